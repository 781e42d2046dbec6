"""HTTP connections that limit the time and size of the answer, whatever its headers claim.

The endpoint is not trusted. `http.client` limits only single reads and the length of a line, so a server that
sends one byte a second, or an endless body, would block it forever. The time limit covers all addresses of a
host, but not the resolver, which has its own limits. Under gevent, each read of a TLS handshake has the time
that was left when the read began. It blocks, so never use it on the engine's loop.
"""

import http.client
import io
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from loadtest.transport.proxies import MAX_HEAD, SERVER_UNREACHABLE, Proxy, ProxyRefused, Steps


def bounded_connection(
    host: str,
    port: int | None,
    tls: ssl.SSLContext | None,
    *,
    time_limit_s: float,
    size_limit: int,
    server_name: str = "",
    proxy: Proxy | None = None,
) -> http.client.HTTPConnection:
    """Return a connection for one request. Reading the answer raises an error at a limit.

    Args:
        host, port: where to connect; None for the scheme's port.
        tls: the TLS context for https, None for http.
        time_limit_s: seconds from now to the answer's last byte.
        size_limit: size limit of the answer in bytes, including its header.
        server_name: the server's name in TLS, if it differs from the host.
        proxy: the proxy to connect through, None for none.

    Returns:
        A connection that raises TimeoutError when the time is up and ValueError when the answer is too large.
    """
    limits = _Limits(time.monotonic() + time_limit_s, time_limit_s, size_limit)
    way = _Way(limits, tls, server_name or host, proxy)
    connection = _Plain(way, host, port) if tls is None else _Encrypted(way, host, port)

    def response(sock: socket.socket, *arguments: Any, **options: Any) -> http.client.HTTPResponse:
        bounded: Any = _BoundedSocket(sock, limits)
        return http.client.HTTPResponse(bounded, *arguments, **options)

    connection.response_class = response  # type: ignore[assignment]  # a function does what the class does
    return connection


@dataclass(frozen=True, slots=True)
class _Limits:
    deadline_s: float
    time_limit_s: float
    size_limit: int

    def left_s(self) -> float:
        """Return the seconds that are left.

        Raises:
            TimeoutError: the time is up.
        """
        left_s = self.deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError(f"no complete answer within {self.time_limit_s:g} s")
        return left_s


@dataclass(frozen=True, slots=True)
class _Way:
    """How to reach the server.

    Args:
        limits: limits of the whole request.
        tls: the TLS context for https, None for http.
        server_name: the server's name in TLS.
        proxy: the proxy to connect through, None for none.
    """

    limits: _Limits
    tls: ssl.SSLContext | None
    server_name: str
    proxy: Proxy | None

    def socket_to(self, host: str, port: int) -> socket.socket:
        """Return a socket that is connected to the server.

        Raises:
            OSError, ProxyRefused: the server cannot be reached.
        """
        if self.proxy is None:
            opened = connected(host, port, self.limits.left_s)
        else:
            opened = self._through(self.proxy, host, port)
        try:
            return (
                opened if self.tls is None else self.tls.wrap_socket(opened, server_hostname=self.server_name)
            )
        except BaseException:
            opened.close()
            raise

    def _through(self, proxy: Proxy, host: str, port: int) -> socket.socket:
        if proxy.tls is not None and self.tls is not None:
            raise OSError("https:// requests made before the run do not support an https:// proxy")
        untried = deque([host])
        if proxy.takes_addresses:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            untried = deque(dict.fromkeys(str(address[0]) for *_, address in found))
        while True:
            try:
                return self._through_to(proxy, untried.popleft(), port)
            except ProxyRefused as refused:
                if refused.cause != SERVER_UNREACHABLE or not untried:
                    raise

    def _through_to(self, proxy: Proxy, host: str, port: int) -> socket.socket:
        opened = connected(proxy.host, proxy.port, self.limits.left_s)
        try:
            if proxy.tls is not None:
                opened = proxy.tls.wrap_socket(opened, server_hostname=proxy.host)
            self._talk(opened, proxy.steps(host, port))
        except BaseException:
            opened.close()
            raise
        return opened

    def _talk(self, opened: socket.socket, steps: Steps) -> None:
        with suppress(StopIteration):
            said = next(steps)
            while True:
                opened.settimeout(self.limits.left_s())
                if said:
                    opened.sendall(said)
                heard = opened.recv(MAX_HEAD)
                if not heard:
                    raise OSError("the proxy ended the connection before it answered")
                said = steps.send(heard)


class _Plain(http.client.HTTPConnection):
    """A connection without TLS."""

    def __init__(self, way: _Way, host: str, port: int | None) -> None:
        super().__init__(host, port)
        self._way = way

    def connect(self) -> None:
        """Connect within the time limit."""
        self.sock = self._way.socket_to(self.host, self.port)


class _Encrypted(http.client.HTTPSConnection):
    """A connection with TLS."""

    def __init__(self, way: _Way, host: str, port: int | None) -> None:
        super().__init__(host, port, context=way.tls)
        self._way = way

    def connect(self) -> None:
        """Connect within the time limit."""
        self.sock = self._way.socket_to(self.host, self.port)


def connected(host: str, port: int, left_s: Callable[[], float]) -> socket.socket:
    """Return a socket connected to the host's first address that accepts; its timeout is the time left.

    Args:
        host, port: where to connect.
        left_s: returns the seconds left, or raises TimeoutError.

    Raises:
        OSError: no address accepted in time, or the host has no address.
    """
    problem = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(left_s())
            sock.connect(address)
            sock.settimeout(left_s())
            return sock
        except OSError as error:
            sock.close()
            problem = error
    raise problem


class _BoundedSocket:
    """The socket from which `http.client` reads an answer; raises an error at a limit."""

    def __init__(self, sock: socket.socket, limits: _Limits) -> None:
        self._bytes = _BoundedBytes(sock, limits)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return the file to read from."""
        return io.BufferedReader(self._bytes)


class _BoundedBytes(io.RawIOBase):
    """The bytes of a socket up to the limits of size and time."""

    def __init__(self, sock: socket.socket, limits: _Limits) -> None:
        self._sock = sock
        self._file = sock.makefile("rb", buffering=0)  # keeps the socket open when the connection closes it
        self._limits = limits
        self._left = limits.size_limit

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some bytes.

        Raises:
            TimeoutError: the time is up.
            ValueError: the answer is too large.
        """
        self._sock.settimeout(self._limits.left_s())
        count = self._file.readinto(buffer) or 0
        self._left -= count
        if self._left < 0:
            raise ValueError(f"the answer is larger than {_size(self._limits.size_limit)}")
        return count

    def close(self) -> None:
        """Close the file, and the socket with it."""
        self._file.close()
        super().close()


def _size(count: int) -> str:
    return f"{count // 2**20} MB" if count >= 2**20 else f"{count // 2**10} kB"
