"""The settings of how connections are opened: a part of the table of settings (`loadtest.options`)."""

from typing import Final

from loadtest.setting import Setting
from loadtest.values import Choice, FilePath, Flag, Text, Token, Whole, seconds

CONNECTION_ROWS: Final = (
    Setting("open-timeout", seconds(0.001, 3600), 10.0, "Time limit of an attempt to connect.", in_plan=True),
    Setting(
        "compression",
        Choice(("off", "on", "no-takeover")),
        "off",
        "Whether to offer compressed messages (permessage-deflate): on, as browsers do, or with each "
        "message compressed by itself (no-takeover). The report says what was agreed.",
        in_plan=True,
    ),
    Setting(
        "ping",
        seconds(1, 86_400, or_zero=True),
        0.0,
        "Time between keepalive pings of the client; 0 for none, as in browsers. The report shows their "
        "round trips.",
        attribute="ping_interval_s",
        in_plan=True,
    ),
    Setting(
        "ping-timeout",
        seconds(1, 86_400),
        20.0,
        "Time after which a ping without a pong ends the connection.",
    ),
    Setting(
        "proxy",
        Text("URL", one_line=True),
        None,
        "Proxy to connect through: http, https, socks5 or socks5h (the proxy resolves names): "
        "http://USER:PASSWORD@HOST:PORT. RST and silence of drops reach the proxy, not the server.",
        in_plan=True,
        secret=True,
        in_web_form=False,
    ),
    Setting(
        "connect-concurrency",
        Whole(1, 100_000, "attempts"),
        256,
        "Attempts to connect at the same time, per process.",
    ),
    Setting(
        "source-ip",
        Text("IP"),
        (),
        "Local addresses to connect from, in turn: IP, FIRST-LAST or NETWORK/BITS.",
        repeatable=True,
    ),
    Setting(
        "tls-ca",
        FilePath(),
        None,
        "Certificates to trust instead of the system's (PEM).",
        default_text="the system's",
        in_web_form=False,
    ),
    Setting("tls-cert", FilePath(), None, "Client certificate (PEM).", in_web_form=False),
    Setting(
        "tls-key",
        FilePath(),
        None,
        "Private key of the client certificate (PEM).",
        default_text="in the certificate's file",
        in_web_form=False,
    ),
    Setting("tls-insecure", Flag(), False, "Accept any server certificate."),
    Setting(
        "sni",
        Token("NAME"),
        None,
        "Server name to send in TLS (SNI), which its certificate must have.",
        default_text="the host",
    ),
    Setting(
        "",
        Whole(1, 2**30, "bytes"),
        None,
        "Largest message that is accepted from the server; a restored history is one message.",
        attribute="max_message_bytes",
        default_text="16 MiB, or what a history of the dialect's window may need",
    ),
    Setting(
        "max-messages-per-s",
        Whole(1, 10**9, "messages per second"),
        100_000,
        "Messages that the server may send on one connection in a second. A connection over a limit is "
        "ended (1008, `flooded`). A closed loop on one machine reached a quarter; streams may need more.",
    ),
    Setting(
        "max-frames-per-s",
        Whole(1, 10**9, "frames per second"),
        200_000,
        "Frames that the server may send on one connection in a second, with pings and fragments. Beyond "
        "it the connection ends with 1008 (`flooded`).",
    ),
    Setting(
        "max-bytes-per-s",
        Whole(1, 10**12, "bytes per second"),
        10**9,
        "Bytes that the server may send on one connection in a second, with the frames' heads. Beyond "
        "it the connection ends with 1008 (`flooded`).",
    ),
)
"""Rows of the group Connection."""
