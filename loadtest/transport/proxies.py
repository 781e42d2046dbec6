"""Proxies: their URLs, and the exchange with a proxy before the connection reaches the server.

    http://[USER:PASSWORD@]HOST[:PORT]       CONNECT (RFC 9110, section 9.3.6)
    https://…                                the same within TLS
    socks5://…                               SOCKS5 (RFC 1928), with the server's name resolved locally
    socks5h://…                              SOCKS5, with the name resolved by the proxy

The exchange is a generator without I/O: it yields bytes to send and is sent the bytes received, however they
are split. `loadtest.transport.tunnel` runs it.
"""

import base64
import ipaddress
import re
import socket
import ssl
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

from loadtest.errors import NOT_SHOWN, InvalidSetting
from loadtest.text import one_line
from loadtest.transport.target import Tls
from loadtest.values import Choice, text_problem

OPTION: Final = "--ws-proxy"

PORTS: Final = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
"""Ports by scheme, as curl and requests have them, except that http has HTTP's own."""

SERVER_UNREACHABLE: Final = "server_unreachable"
"""Cause of failed attempts: the proxy says that it does not reach the server."""

MAX_HEAD = 1 << 14
"""Bytes of an answer to CONNECT up to its blank line."""

_MAX_FIELD = 255
"""Bytes of a name, a user or a password in SOCKS5: their length is one byte."""

Steps = Generator[bytes, bytes, None]
"""Yields bytes to send, perhaps none; is sent bytes received; ends when the connection reaches the server."""


class ProxyRefused(Exception):
    """A proxy refused a connection.

    Args:
        cause: short fixed word to count by.
        detail: the proxy's answer, for people.
    """

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(cause, detail)
        self.cause = cause
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A proxy.

    Args:
        scheme: one of `PORTS`.
        host, port: address on which it listens.
        user, password: login for the proxy, empty for none.
        tls: the TLS context of connections to the proxy, None for none.
    """

    scheme: str
    host: str
    port: int
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = None

    @classmethod
    def parse(cls, url: str, tls: Tls) -> "Proxy":
        """Parse a proxy's URL; user and password may be percent-encoded.

        Args:
            url: as typed.
            tls: TLS settings for `https`: certificates to trust. A client certificate is for the server only.

        Raises:
            InvalidSetting: the URL is not valid.
        """
        malformed = InvalidSetting(OPTION, NOT_SHOWN, f"must be {_FORM}")
        if problem := text_problem(url, one_line=True):
            raise InvalidSetting(OPTION, NOT_SHOWN, problem)
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise malformed from None
        if parts.scheme not in PORTS or not parts.hostname or port == 0:
            raise malformed
        if parts.path not in ("", "/") or parts.query or parts.fragment:
            raise InvalidSetting(OPTION, NOT_SHOWN, "must not contain a path, a query or a fragment")
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        _check_login(parts.scheme, user, password)
        return cls(
            scheme=parts.scheme,
            host=parts.hostname,
            port=port or PORTS[parts.scheme],
            user=user,
            password=password,
            tls=Tls(ca=tls.ca, insecure=tls.insecure).context() if parts.scheme == "https" else None,
        )

    def __str__(self) -> str:
        """Return the proxy's URL without the login."""
        return f"{self.scheme}://{authority(self.host, self.port)}"

    @property
    def takes_addresses(self) -> bool:
        """Whether the server's name is resolved locally, not by the proxy."""
        return self.scheme == "socks5"

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts to redact: the password, or the user if there is no password, and the header with both."""
        credential = self.password or self.user
        return (credential, _basic(self)) if credential else ()

    def steps(self, host: str, port: int) -> Steps:
        """Return the exchange that connects to a server.

        Args:
            host: host name or IP address of the server; an address if the proxy `takes_addresses`.
            port: port of the server.
        """
        return _socks5(self, host, port) if self.scheme.startswith("socks") else _connect(self, host, port)


_FORM = f"SCHEME://[USER:PASSWORD@]HOST[:PORT], with SCHEME {Choice(tuple(PORTS))}"


def _check_login(scheme: str, user: str, password: str) -> None:
    if password and not user:
        raise InvalidSetting(OPTION, NOT_SHOWN, "must have a user beside the password")
    if scheme.startswith("socks"):
        if user and not password:
            raise InvalidSetting(OPTION, NOT_SHOWN, "must have a password beside the user (RFC 1929)")
        if max(len(user.encode()), len(password.encode())) > _MAX_FIELD:
            problem = f"must have a user and a password of at most {_MAX_FIELD} bytes each"
            raise InvalidSetting(OPTION, NOT_SHOWN, problem)
    elif ":" in user:
        raise InvalidSetting(OPTION, NOT_SHOWN, "must have a user without a colon (RFC 7617)")
    if text_problem(user + password, one_line=True):
        raise InvalidSetting(OPTION, NOT_SHOWN, "must have a user and a password without control characters")


def check_proxy(proxy: Proxy, timeout_s: float = 5.0) -> None:
    """Check that something listens at the proxy's address.

    Raises:
        InvalidSetting: no TCP connection succeeded within `timeout_s`.
    """
    try:
        socket.create_connection((proxy.host, proxy.port), timeout_s).close()
    except (OSError, UnicodeError) as error:
        problem = f"cannot be reached at {authority(proxy.host, proxy.port)}: {_words(error)}"
        raise InvalidSetting(OPTION, NOT_SHOWN, problem, "Check the address of the proxy") from error


def _words(error: OSError | UnicodeError) -> str:
    return str(getattr(error, "strerror", None) or error)


def authority(host: str, port: int) -> str:
    """Return host and port as in a URL, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _basic(proxy: Proxy) -> str:
    return base64.b64encode(f"{proxy.user}:{proxy.password}".encode()).decode()


# HTTP CONNECT.

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9][0-9])(?: ([^\r\n]*))?\r?\n")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_LIKE_HTTP = re.compile(rb"HTTP/1\.[01] ")
_UNREACHABLE_STATUSES = ("502", "503", "504")
_SWITCHING = "101"  # of those with a 1 the only one that is final (RFC 9110, section 15.2.2)


def _connect(proxy: Proxy, host: str, port: int) -> Steps:
    there = authority(_ascii(host), port)
    login = f"Proxy-Authorization: Basic {_basic(proxy)}\r\n" if proxy.user else ""
    answer = bytearray((yield f"CONNECT {there} HTTP/1.1\r\nHost: {there}\r\n{login}\r\n".encode()))
    status, reason = yield from _status_taken(answer)
    if not status.startswith("2"):
        cause = SERVER_UNREACHABLE if status in _UNREACHABLE_STATUSES else f"answered_{status}"
        raise ProxyRefused(cause, f"HTTP {status} {_quoted(reason)}".rstrip())
    _check_nothing_after(answer)


def _status_taken(answer: bytearray) -> Generator[bytes, bytes, tuple[str, bytes]]:
    """Consume the header of the final response and interim responses before it; return status and reason."""
    room = MAX_HEAD
    while True:
        searched = 0
        while (end := _HEAD_END.search(answer, searched)) is None and len(answer) <= room:
            if not _may_be_http(answer):
                raise _not_as_a_proxy(answer)
            searched = max(0, len(answer) - 3)  # where the blank line may begin
            answer += yield b""
        if end is None or end.end() > room:
            raise ProxyRefused("bad_answer", f"its response header is larger than {MAX_HEAD // 1024} kB")
        found = _STATUS.match(answer)
        if found is None:
            raise _not_as_a_proxy(answer)
        status, reason = found[1].decode(), found[2] or b""
        del answer[: end.end()]
        room -= end.end()
        if not status.startswith("1") or status == _SWITCHING:
            return status, reason


def _may_be_http(beginning: bytes | bytearray) -> bool:
    expected = b"HTTP/1.1 "
    return _LIKE_HTTP.match(beginning) is not None or len(beginning) < len(expected)


# SOCKS5.

_VERSION = 5
_NO_LOGIN, _PASSWORD, _NONE_OF_THEM = 0, 2, 0xFF
_IPV4, _NAME, _IPV6 = 1, 3, 4
_ADDRESS_BYTES: Final = {_IPV4: 4, _IPV6: 16}

_REPLIES: Final = {
    1: "general failure",
    2: "not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "time to live expired",
    7: "command not supported",
    8: "address type not supported",
}
"""Replies of SOCKS5 (RFC 1928, section 6)."""

_UNREACHABLE_REPLIES = (3, 4, 5, 6)


def _socks5(proxy: Proxy, host: str, port: int) -> Steps:
    destination = _destination(host) + port.to_bytes(2, "big")
    methods = bytes((_NO_LOGIN, _PASSWORD)) if proxy.user else bytes((_NO_LOGIN,))
    answer = bytearray((yield bytes((_VERSION, len(methods))) + methods))
    version, method = yield from _taken(answer, 2)
    if version != _VERSION:
        raise _not_as_a_proxy(bytes((version, method)) + answer)
    if method == _PASSWORD and proxy.user:
        answer += yield b"\x01" + _field(proxy.user) + _field(proxy.password)
        _, status = yield from _taken(answer, 2)
        if status:
            raise ProxyRefused("login", "it rejected the user and password")
    elif method == _NONE_OF_THEM:
        offered = "the user and password given" if proxy.user else "clients without a login"
        raise ProxyRefused("login", f"it does not accept {offered}")
    elif method != _NO_LOGIN:
        raise ProxyRefused("bad_answer", f"it chose the login method {method}, which was not offered")
    answer += yield bytes((_VERSION, 1, 0)) + destination
    yield from _reply(answer)
    _check_nothing_after(answer)


def _reply(answer: bytearray) -> Generator[bytes, bytes, None]:
    version, reply, _, kind = yield from _taken(answer, 4)
    if version != _VERSION:
        raise _not_as_a_proxy(bytes((version, reply, 0, kind)))
    if reply:
        words = _REPLIES.get(reply, "unknown reply")
        cause = SERVER_UNREACHABLE if reply in _UNREACHABLE_REPLIES else f"socks_{reply}"
        raise ProxyRefused(cause, f"SOCKS5 reply {reply}, {words}")
    if kind == _NAME:
        (size,) = yield from _taken(answer, 1)
    elif kind in _ADDRESS_BYTES:
        size = _ADDRESS_BYTES[kind]
    else:
        raise ProxyRefused("bad_answer", f"it answered with an address of unknown type {kind}")
    yield from _taken(answer, size + 2)


def _taken(answer: bytearray, size: int) -> Generator[bytes, bytes, bytes]:
    """Remove `size` bytes from the answer once they have arrived, and return them."""
    while len(answer) < size:
        answer += yield b""
    taken = bytes(answer[:size])
    del answer[:size]
    return taken


def _destination(host: str) -> bytes:
    """Return an address or name in the format of SOCKS5 (RFC 1928, section 5)."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return bytes((_NAME,)) + _field(_ascii(host))
    return bytes((_IPV6 if address.version == 6 else _IPV4,)) + address.packed


def _field(text: str) -> bytes:
    data = text.encode()
    return bytes((len(data),)) + data


def _ascii(host: str) -> str:
    """Return a host name in ASCII, as in DNS.

    Raises:
        ProxyRefused: the host name is not valid.
    """
    try:
        return host if host.isascii() and len(host) <= _MAX_FIELD else host.encode("idna").decode()
    except UnicodeError:
        raise ProxyRefused("unknown_host", "not a valid host name") from None


def _not_as_a_proxy(answer: bytes | bytearray) -> ProxyRefused:
    return ProxyRefused("bad_answer", f"it answered: {_quoted(answer)}")


def _quoted(answer: bytes | bytearray) -> str:
    return one_line(bytes(answer).decode("utf-8", "replace"), 80).strip()


def _check_nothing_after(rest: bytes | bytearray) -> None:
    """Refuse bytes after the answer: TLS and WebSocket servers send nothing before the client does."""
    if rest:
        raise ProxyRefused("bad_answer", f"it sent unexpected data after its answer: {_quoted(rest)}")
