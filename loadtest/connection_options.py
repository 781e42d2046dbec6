"""Settings for opening connections: a part of the table of settings (`loadtest.options`)."""

from typing import Final

from loadtest.setting import Setting
from loadtest.values import Choice, FilePath, Flag, Text, Token, Whole, seconds

CONNECTION_ROWS: Final = (
    Setting("open-timeout", seconds(0.001, 3600), 10.0, "Time limit of an attempt to connect.", in_plan=True),
    Setting(
        "compression",
        Choice(("off", "on", "no-takeover")),
        "off",
        "Whether to offer compression (permessage-deflate): on, as browsers do, or no-takeover to compress "
        "each message separately. The report shows what was negotiated.",
        in_plan=True,
    ),
    Setting(
        "ping",
        seconds(1, 86_400, or_zero=True),
        0.0,
        "Time between the client's keepalive pings; 0 for none, as in browsers. The report shows their "
        "round-trip times.",
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
        "Proxy to connect through: http, https, socks5 or socks5h (the proxy resolves names), as in "
        "http://USER:PASSWORD@HOST:PORT. Resets and half-open connections reach the proxy, not the server.",
        in_plan=True,
        secret=True,
        in_web_form=False,
    ),
    Setting(
        "connect-concurrency",
        Whole(1, 100_000, "attempts"),
        256,
        "Maximum number of simultaneous attempts to connect, per process.",
    ),
    Setting(
        "source-ip",
        Text("IP"),
        (),
        "Local addresses to connect from, used in rotation: IP, FIRST-LAST or NETWORK/BITS.",
        repeatable=True,
    ),
    Setting(
        "tls-ca",
        FilePath(),
        None,
        "CA certificates to trust instead of the system's (PEM).",
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
        "Server name to send in TLS (SNI). The server's certificate must match it.",
        default_text="the host",
    ),
    Setting(
        "",
        Whole(1, 2**30, "bytes"),
        None,
        "Largest message to accept from the server. A restored history may be one message.",
        attribute="max_message_bytes",
        default_text="16 MiB, or more if the dialect's history may need it",
    ),
    Setting(
        "max-messages-per-s",
        Whole(1, 10**9, "messages per second"),
        100_000,
        "Maximum number of messages per second from the server on one connection. Above this limit the "
        "tool closes the connection (1008, `flooded`). A closed loop on one machine reached a quarter of "
        "the default; streams may need more.",
    ),
    Setting(
        "max-frames-per-s",
        Whole(1, 10**9, "frames per second"),
        200_000,
        "Maximum number of frames per second from the server on one connection, including pings and "
        "fragments. Above this limit the tool closes the connection (1008, `flooded`).",
    ),
    Setting(
        "max-bytes-per-s",
        Whole(1, 10**12, "bytes per second"),
        10**9,
        "Maximum number of bytes per second from the server on one connection, including frame headers. "
        "Above this limit the tool closes the connection (1008, `flooded`).",
    ),
)
"""Rows of the group Connection."""
