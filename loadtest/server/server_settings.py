"""The reference server's settings, checked on construction.

The command line, the Python API and the child process all build a `ServerSettings`. Errors name the options
of `loadtest serve`.

The server is for loopback only: it has no TLS, trusts its clients and logs what they do. Other addresses are
refused here, before a socket is opened.
"""

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from loadtest.errors import NOT_SHOWN, InvalidSetting
from loadtest.server.faults import HISTORY_FAULTS, parse_faults
from loadtest.values import Token, Whole, seconds

ModeName = Literal["chat", "ack"]
HandlingName = Literal["before", "after"]
WebSocketImplementation = Literal["websockets", "websockets-sansio", "wsproto"]
LogFormat = Literal["text", "json"]

_MAX_S = 7 * 24 * 3600
_SECONDS, _POSITIVE_SECONDS = seconds(0, _MAX_S), seconds(0, _MAX_S, above=True)
_PORT = Whole(0, 65_535)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Settings of a reference server; `loadtest serve --help` describes each option.

    Raises:
        InvalidSetting: a value is out of range or malformed.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    """0 lets the system choose a free port."""
    database: Path | None = None
    """None: a temporary database, deleted when the server ends."""
    mode: ModeName = "chat"
    handling: HandlingName = "after"
    faults: tuple[str, ...] = ()
    """Each `NAME` or `NAME=VALUE`, as on the command line."""
    token: str | None = field(default=None, repr=False)
    """None: no login is required."""
    push_every_s: float = 5.0
    """0: no pushes."""
    inactivity_timeout_s: float = 300.0
    """0: no limit."""
    ping_interval_s: float = 20.0
    """0: no keepalive."""
    ping_timeout_s: float = 20.0
    ws_implementation: WebSocketImplementation = "websockets"
    log_format: LogFormat = "text"
    reuse_port: bool = False
    """Whether another server may listen on the same port, such as the next one in a rolling restart."""
    parent_pid: int | None = None
    """The server stops once this is no longer its parent process."""

    def __post_init__(self) -> None:
        _check_host(self.host)
        _PORT.read(self.port, "--port", hint="0 takes a free port")
        _SECONDS.read(self.push_every_s, "--push-every", hint="0 sends no pushes")
        _SECONDS.read(self.inactivity_timeout_s, "--inactivity-timeout", hint="0 sets no limit")
        _SECONDS.read(self.ping_interval_s, "--ping-interval", hint="0 sends no pings")
        _POSITIVE_SECONDS.read(self.ping_timeout_s, "--ping-timeout")
        if self.token is not None and not Token.admits(self.token):
            raise InvalidSetting("--token", NOT_SHOWN, f"must be {Token()}. It is sent as a subprotocol")
        _check_faults(self.faults, self.mode)


def _check_faults(faults: tuple[str, ...], mode: ModeName) -> None:
    parse_faults(faults)
    for fault in faults if mode == "ack" else ():
        if fault.partition("=")[0] in HISTORY_FAULTS:
            raise InvalidSetting("--fault", fault, "needs --mode chat, which keeps a history")


def _check_host(host: str) -> None:
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        problem = "must be a loopback address: 127.0.0.1, ::1 or localhost"
        raise InvalidSetting("--host", host, problem, "The server has no TLS and trusts its clients")
