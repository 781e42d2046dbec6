"""Every option of the reference server, in one frozen record that refuses what it cannot do.

The command line, the Python API and the child process all build a `ServerSettings`; it checks itself, so
that whoever holds one holds a possible one. Names in its messages are those of the command line.

The server is for loopback only: it has no TLS, trusts its clients and logs what they do. That is a
property of the settings, not of the socket, so it is refused here.
"""

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from loadtest.errors import InvalidSetting
from loadtest.server.faults import parse_faults

HandlingName = Literal["before", "after"]
WebSocketImplementation = Literal["websockets", "wsproto"]
LogFormat = Literal["text", "json"]

# RFC 9110, section 5.6.2: a subprotocol is a token, and the login token travels as one.
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_MAX_S = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """What a reference server is to do; see `loadtest serve --help` for each option.

    Raises:
        InvalidSetting: a value is impossible; the text names the command-line option.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    """0 lets the system choose a free one."""
    database: Path | None = None
    """None: a temporary database, gone when the server ends."""
    handling: HandlingName = "after"
    faults: tuple[str, ...] = ()
    """Each `NAME` or `NAME=VALUE`, as on the command line."""
    token: str | None = field(default=None, repr=False)
    """None: no login is asked for."""
    push_every_s: float = 5.0
    """0: no pushes."""
    inactivity_timeout_s: float = 300.0
    """0: no limit."""
    ping_interval_s: float = 20.0
    """0: no keepalive."""
    ping_timeout_s: float = 20.0
    ws_implementation: WebSocketImplementation = "websockets"
    log_format: LogFormat = "text"
    parent_pid: int | None = None
    """The server stops by itself once this is no longer its parent process."""

    def __post_init__(self) -> None:
        _check_host(self.host)
        if not 0 <= self.port <= 65535:
            raise InvalidSetting("--port", self.port, "is no port", "Choose 1 to 65535, or 0 for a free one")
        _check_seconds("--push-every", self.push_every_s, zero="no pushes")
        _check_seconds("--inactivity-timeout", self.inactivity_timeout_s, zero="no limit")
        _check_seconds("--ping-interval", self.ping_interval_s, zero="no keepalive")
        _check_seconds("--ping-timeout", self.ping_timeout_s)
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            raise InvalidSetting(
                "--token",
                "(hidden)",
                "cannot travel as a WebSocket subprotocol",
                "Use letters, digits and -._~",
            )
        parse_faults(self.faults)


def _check_host(host: str) -> None:
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise InvalidSetting(
            "--host",
            host,
            "is not a loopback address",
            "The reference server has no TLS and trusts its clients: use 127.0.0.1, ::1 or localhost",
        )


def _check_seconds(option: str, value_s: float, *, zero: str = "") -> None:
    if not (0 <= value_s <= _MAX_S and (value_s > 0 or zero)):
        lowest = f"0 ({zero})" if zero else "more than 0"
        raise InvalidSetting(option, value_s, f"is not a time in seconds from {lowest} to {_MAX_S:.0f}")
