"""Opening a WebSocket: DNS, TCP, TLS and the upgrade, each timed, and every refusal told in one form.

Foreign exceptions are translated here, once, into `ConnectFailed`, which carries the phase that failed, a
short stable cause to count by, and a bounded line for a person. A body that the server sent with a refusal
is quoted in part, with the token taken out.
"""

import asyncio
import errno
import itertools
import os
import socket
import ssl
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from loadtest.errors import ConnectFailed
from loadtest.events import Endpoint, Phases, Refused
from loadtest.text import LINE_LENGTH, Secrets, public_line
from loadtest.transport.connection import Connection
from loadtest.transport.target import Target

Address = tuple[str, int]
"""Host and port of a socket."""


class Names:
    """The target's addresses: asked for once an interval, and used in turn.

    Once an answer is known, it serves until DNS has given the next: who asks again does not wait for it, and
    where the question fails it is put again an interval later.

    A name with several addresses stands for several front ends, among which many clients, each with its own
    DNS, would spread: so does this one, which would else aim a whole run at the first. Only addresses of the
    family that the system prefers take turns (RFC 6724); those of the other are for when all of these fail.
    """

    FRESH_S = 30.0
    """How long an answer serves, so that reconnecting crowds do not ask for each attempt."""

    def __init__(self, target: Target, clock: Callable[[], int]) -> None:
        self._target = target
        self._clock = clock
        self._known: list[Address] = []  # the latest answer
        self._question: asyncio.Future[None] | None = None
        self._asked_ns = 0
        self._turn = itertools.count()
        self.in_turn = 1  # addresses

    async def addresses(self, source: Address | None) -> list[Address]:
        """Return the addresses that an attempt from this local one, or from any, should try, in order."""
        found = await self._found()
        wanted = is_ipv6(found[0] if source is None else source)
        first = [address for address in found if is_ipv6(address) == wanted]
        others = [address for address in found if is_ipv6(address) != wanted] if source is None else []
        self.in_turn = max(1, len(first))
        at = next(self._turn) % self.in_turn
        return [*first[at:], *first[:at], *others]

    async def _found(self) -> list[Address]:
        """Return the latest answer, and see to it that DNS is asked again in time; wait for the first one."""
        now_ns = self._clock()
        fresh = bool(self._known) and now_ns - self._asked_ns <= self.FRESH_S * 1e9
        question = self._question
        if question is None or (question.done() and not fresh):
            self._asked_ns = now_ns
            question = self._question = asyncio.ensure_future(self._ask())
        if not self._known:
            # Shielded: an attempt that gives up must not take the answer from the others.
            await asyncio.shield(question)
        return self._known

    async def _ask(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self._target.host, self._target.port, type=socket.SOCK_STREAM)
        except UnicodeError:  # a label of no or more than 63 characters
            raise socket.gaierror(socket.EAI_NONAME, "this cannot be a host's name") from None
        except OSError:
            if not self._known:
                raise
        else:
            self._known = list(dict.fromkeys((str(at[0]), int(at[1])) for _, _, _, _, at in found))


def is_ipv6(address: Address) -> bool:
    """Tell an IPv6 address from one of IPv4."""
    return ":" in address[0]


DETAIL_LENGTH = LINE_LENGTH

_CAUSES = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.ETIMEDOUT: "timeout",
    errno.EADDRNOTAVAIL: "out_of_ports",
    errno.EADDRINUSE: "out_of_ports",  # so says the system where a source address was asked for
    errno.EMFILE: "out_of_files",
    errno.ENFILE: "out_of_files",
}
_UNREACHABLE = {"refused", "reset", "unreachable", "timeout", "eof"}
"""Causes that a server which is down explains, unless it answered before."""


@dataclass(slots=True)
class _Attempt:
    """An attempt under way: its phase, and how long the earlier ones took."""

    clock: Callable[[], int]
    phase: str = "dns"
    began_ns: int = 0
    took_ns: dict[str, int] = field(default_factory=dict)

    def enter(self, phase: str) -> None:
        now_ns = self.clock()
        if self.began_ns:
            self.took_ns[f"{self.phase}_ns"] = now_ns - self.began_ns
        self.phase, self.began_ns = phase, now_ns


@contextmanager
def fail_after(timeout_s: float) -> Iterator[None]:
    """Give up what is waited for after this time, but not because this process itself stood still.

    Who was stopped, or put to sleep with its machine, wakes with the time long up and the answer unread, and
    the loop looks at its timers first. So what the deadline is late by is granted once more, up to the time
    itself: what came meanwhile is read, and what could not be done meanwhile gets done.

    Raises:
        TimeoutError: the time is up.
    """
    loop = asyncio.get_running_loop()
    due_s = loop.time() + timeout_s
    timer: asyncio.TimerHandle
    with anyio.CancelScope() as scope:

        def be_up() -> None:
            nonlocal timer
            timer = loop.call_later(min(loop.time() - due_s, timeout_s), scope.cancel)

        timer = loop.call_at(due_s, be_up)
        try:
            yield
        finally:
            timer.cancel()
    if scope.cancelled_caught:
        raise TimeoutError


class Dialer:
    """Opens the WebSockets of a run.

    Args:
        target: the server.
        clock: returns monotonic nanoseconds.
        timeout_s: for one attempt, from DNS to the end of the upgrade.
        headers: added to every upgrade request.
        subprotocols: offered besides the dialect's.
        max_message_bytes: the largest message that is accepted.
        source_ips: local addresses to connect from, in turn; empty for the system's choice.
        most_connections: at a time; beyond them attempts fail as if no file were left.
    """

    def __init__(
        self,
        target: Target,
        *,
        clock: Callable[[], int],
        timeout_s: float = 10.0,
        headers: Sequence[tuple[str, str]] = (),
        subprotocols: Sequence[str] = (),
        max_message_bytes: int = 2**20,
        source_ips: Sequence[str] = (),
        most_connections: int = sys.maxsize,
    ) -> None:
        self._target = target
        self._clock = clock
        self._timeout_s = timeout_s
        self._headers = tuple(headers)
        self._subprotocols = tuple(subprotocols)
        self._max_message_bytes = max_message_bytes
        self._names = Names(target, clock)
        self._source_ips = tuple(source_ips)
        self._sources = itertools.cycle((address, 0) for address in source_ips)
        self._sockets: set[Connection] = set()  # open ones, also those that nobody listens to any more
        self._most_connections = most_connections
        self._dialling = 0  # connections that are not yet among the sockets

    @property
    def connections(self) -> int:
        """Connections that are open or being dialled."""
        return len(self._sockets) + self._dialling

    @property
    def address_pairs(self) -> int:
        """Pairs of a local address and one of the server whose ports these connections share.

        A local address that is asked for is bound to a port before anybody knows whereto it will connect, so
        its ports are for all of the server's addresses together (ip(7), IP_BIND_ADDRESS_NO_PORT).
        """
        return len(self._source_ips) or self._names.in_turn

    async def open(self, endpoint: Endpoint, secret: str | None) -> tuple[Connection, Phases]:
        """Open one WebSocket.

        Args:
            endpoint: what to ask of the server.
            secret: the token, to be kept out of what is told of a refusal.

        Raises:
            ConnectFailed: it did not open.
        """
        attempt = _Attempt(self._clock)
        try:
            with fail_after(self._timeout_s):
                connection = await self._open(endpoint, attempt)
        except TimeoutError:
            detail = f"no answer within {self._timeout_s:g} s"
            raise _failed(attempt.phase, "timeout", detail, secret) from None
        except OSError as error:
            raise _failed(attempt.phase, _cause(error), _text(error), secret) from error
        except EOFError:
            detail = "the connection ended before the server answered"
            raise _failed(attempt.phase, "eof", detail, secret) from None
        except InvalidHandshake as error:
            raise _refused_upgrade(error, secret) from error
        return connection, Phases(**attempt.took_ns)

    async def _open(self, endpoint: Endpoint, attempt: _Attempt) -> Connection:
        attempt.enter("dns")
        source = next(self._sources, None)
        addresses = await self._names.addresses(source)
        attempt.enter("tcp")
        connection = await self._connect(addresses, source, self._protocol(endpoint))
        if connection.loss is None:
            self._sockets.add(connection)
        try:
            if self._target.tls is not None:
                attempt.enter("tls")
                await self._secure(connection, self._target.tls)
            attempt.enter("upgrade")
            await self._upgrade(connection, endpoint)
        except BaseException:
            connection.abort()
            self._sockets.discard(connection)  # of a TLS handshake given up, no end is told
            raise
        attempt.enter("established")
        return connection

    async def close(self) -> None:
        """Close every socket at once, and return when all are closed."""
        for connection in tuple(self._sockets):
            connection.detach()
            connection.abort()
        with anyio.move_on_after(1):  # in truth a few turns of the loop
            while self._sockets:
                await anyio.sleep(0)

    def _protocol(self, endpoint: Endpoint) -> ClientProtocol:
        target = self._target
        path, _, query = endpoint.path.partition("?")
        uri = WebSocketURI(target.tls is not None, target.host, target.port, path, query)
        subprotocols = [Subprotocol(name) for name in (*endpoint.subprotocols, *self._subprotocols)]
        return ClientProtocol(uri, subprotocols=subprotocols or None, max_size=self._max_message_bytes)

    async def _secure(self, connection: Connection, tls: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        secured = await loop.start_tls(
            connection.transport, connection, tls, server_hostname=self._target.host
        )
        if secured is None or connection.loss is not None:
            raise ConnectionResetError(errno.ECONNRESET, "the connection ended during the TLS handshake")
        connection.connection_made(secured)

    async def _upgrade(self, connection: Connection, endpoint: Endpoint) -> None:
        assert connection.opened is not None
        connection.upgrade((*self._headers, *endpoint.headers))
        await connection.opened
        connection.opened = None
        error = connection.handshake_error
        if error is None:
            return
        if not connection.answered and not isinstance(error, InvalidStatus):
            raise connection.error or EOFError
        raise error

    async def _connect(
        self, addresses: list[Address], source: Address | None, client: ClientProtocol
    ) -> Connection:
        """Return a TCP connection to the first address that takes one."""
        failure = OSError(errno.EHOSTUNREACH, "the target has no address of the source address's family")
        for address in addresses:
            try:
                return await self._dial(address, source, client)
            except OSError as error:
                failure = error
        raise failure

    async def _dial(self, address: Address, source: Address | None, client: ClientProtocol) -> Connection:
        if self.connections >= self._most_connections:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        self._dialling += 1
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(client, self._clock, self._sockets), *address, local_addr=source
            )
        finally:
            self._dialling -= 1
        return connection


def _cause(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "unknown_host"
    if isinstance(error, ssl.SSLCertVerificationError):
        return "certificate"
    if isinstance(error, ssl.SSLError):
        return "tls"
    return _CAUSES.get(error.errno or 0, "reset" if isinstance(error, ConnectionError) else "os_error")


_HINTS = {
    "certificate": "trust it with --ws-tls-ca, or accept any with --ws-tls-insecure",
    "tls": "is this a TLS port (else use ws://), and does it want a client certificate (--ws-tls-cert)?",
}


def _text(error: OSError) -> str:
    text = error.strerror or str(error) or type(error).__name__
    hint = _HINTS.get(_cause(error))
    return f"{text}; {hint}" if hint else text


def _refused_upgrade(error: InvalidHandshake, secret: str | None) -> ConnectFailed:
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        location = " ".join(error.response.headers.get_all("Location"))
        body = bytes(error.response.body).decode("utf-8", "replace")
        detail = f"HTTP {status} {location} {body}"
        return _failed("upgrade", f"http_{status}", detail, secret, answered=True)
    text = f"{error}: {error.__cause__}" if error.__cause__ else str(error)
    return _failed("upgrade", "bad_handshake", text, secret, answered=True)


def _failed(
    phase: str, cause: str, detail: str, secret: str | None, *, answered: bool = False
) -> ConnectFailed:
    known = Secrets([secret] if secret else [])
    return ConnectFailed(
        Refused(
            phase=phase,
            cause=cause,
            detail=public_line(" ".join(detail.split()), known, DETAIL_LENGTH),
            unreachable=not answered and cause in _UNREACHABLE,
        )
    )
