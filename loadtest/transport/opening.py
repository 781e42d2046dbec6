"""Opening a WebSocket: DNS, TCP, TLS and the upgrade, each timed, with one form for every failure.

Exceptions of other libraries are translated here, once, into `ConnectFailed`: the phase that failed, a short
stable cause to count by, and a bounded line for people. The line quotes the beginning of the server's
response, without the token.
"""

import asyncio
import errno
import itertools
import os
import socket
import ssl
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from loadtest.errors import ConnectFailed
from loadtest.events import UNREACHABLE, Endpoint, Phases, Refused
from loadtest.text import LINE_LENGTH, Secrets, public_line
from loadtest.transport.connection import Connection
from loadtest.transport.retry_after import retry_after_s
from loadtest.transport.target import Target
from loadtest.transport.wire_counts import WireCounts

Address = tuple[str, int]
"""Host and port of a socket."""


class Names:
    """The target's addresses: resolved at most once every `FRESH_S`, and used in turn.

    A known answer is used until DNS has returned the next one: attempts do not wait for a refresh. If a
    refresh fails, it is repeated after `FRESH_S`.

    A name with several addresses usually has several front ends, and real clients spread over them. So do
    these attempts; otherwise the whole run would go to the first address. Only addresses of the family that
    the system prefers are used in turn (RFC 6724); the others are tried when all of these fail.
    """

    FRESH_S = 30.0
    """How long an answer is used, so that a mass reconnect does not resolve the name for each attempt."""

    def __init__(self, target: Target, clock: Callable[[], int]) -> None:
        self._target = target
        self._clock = clock
        self._known: list[Address] = []  # the latest answer
        self._question: asyncio.Future[None] | None = None
        self._asked_ns = 0
        self._turn = itertools.count()
        self.in_turn = 1  # number of addresses used in turn

    async def addresses(self, source: Address | None) -> list[Address]:
        """Return the addresses that an attempt should try, in order.

        Args:
            source: the local address, whose family the addresses must have; None for any.

        Raises:
            OSError: the name cannot be resolved.
        """
        found = await self._found()
        wanted = is_ipv6(found[0] if source is None else source)
        first = [address for address in found if is_ipv6(address) == wanted]
        others = [address for address in found if is_ipv6(address) != wanted] if source is None else []
        self.in_turn = max(1, len(first))
        at = next(self._turn) % self.in_turn
        return [*first[at:], *first[:at], *others]

    async def _found(self) -> list[Address]:
        """Return the latest answer, waiting only for the first one; refresh an old one in the background."""
        now_ns = self._clock()
        fresh = bool(self._known) and now_ns - self._asked_ns <= self.FRESH_S * 1e9
        question = self._question
        if question is None or (question.done() and not fresh):
            self._asked_ns = now_ns
            question = self._question = asyncio.ensure_future(self._ask())
        if not self._known:
            # Shielded: an attempt that times out must not cancel the query of the others.
            await asyncio.shield(question)
        return self._known

    async def _ask(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self._target.host, self._target.port, type=socket.SOCK_STREAM)
        except UnicodeError:  # a label is empty or longer than 63 characters
            raise socket.gaierror(socket.EAI_NONAME, "this cannot be a host's name") from None
        except OSError:
            if not self._known:
                raise
        else:
            self._known = list(dict.fromkeys((str(at[0]), int(at[1])) for _, _, _, _, at in found))


def is_ipv6(address: Address) -> bool:
    """Return whether an address is IPv6 rather than IPv4."""
    return ":" in address[0]


DETAIL_LENGTH = LINE_LENGTH

_CAUSES = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.ETIMEDOUT: "timeout",
    errno.EADDRNOTAVAIL: "out_of_ports",
    errno.EADDRINUSE: "out_of_ports",  # the system's error when a source address was given
    errno.EMFILE: "out_of_files",
    errno.ENFILE: "out_of_files",
}


@dataclass(slots=True)
class _Attempt:
    """An attempt in progress: its phase, and how long the earlier phases took."""

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
    """Time out after `timeout_s`, but not because this process itself was paused.

    A process that was stopped, or whose machine slept, wakes with the deadline passed and the answer unread,
    and the loop runs its timers before it reads. So the deadline is extended once by as much as it fired
    late, at most by `timeout_s`: what arrived meanwhile is read, and unfinished work can finish.

    Raises:
        TimeoutError: the time is up.
    """
    loop = asyncio.get_running_loop()
    due_s = loop.time() + timeout_s
    timer: asyncio.TimerHandle
    with anyio.CancelScope() as scope:

        def extend_once() -> None:
            nonlocal timer
            timer = loop.call_later(min(loop.time() - due_s, timeout_s), scope.cancel)

        timer = loop.call_at(due_s, extend_once)
        try:
            yield
        finally:
            timer.cancel()
    if scope.cancelled_caught:
        raise TimeoutError


class _NoneSelected(InvalidHandshake):
    """The server has accepted the upgrade, but selected none of the subprotocols offered.

    RFC 6455 allows that; browsers fail the connection (WHATWG WebSockets, section 2).
    """

    def __init__(self, offered: Sequence[str]) -> None:
        more = ", …" if len(offered) > 1 else ""  # one of them may be a token
        super().__init__(f"the server selected none of the subprotocols offered ({offered[0]}{more})")


class Dialer:
    """Opens the WebSockets of a run.

    Args:
        target: the server.
        clock: returns monotonic nanoseconds.
        timeout_s: time allowed for one attempt, from DNS to the end of the upgrade.
        headers: added to every upgrade request.
        subprotocols: offered in addition to the dialect's.
        subprotocol_optional: whether a server may select none of those offered.
        max_message_bytes: size of the largest message accepted.
        source_ips: local addresses to connect from, in turn; empty for the system's choice.
        most_connections: maximum number at the same time; beyond it attempts fail with `out_of_files`.
        counts: what the connections send and receive is added to these; None to count for nobody.
    """

    def __init__(
        self,
        target: Target,
        *,
        clock: Callable[[], int],
        timeout_s: float = 10.0,
        headers: Sequence[tuple[str, str]] = (),
        subprotocols: Sequence[str] = (),
        subprotocol_optional: bool = False,
        max_message_bytes: int = 2**20,
        source_ips: Sequence[str] = (),
        most_connections: int = sys.maxsize,
        counts: WireCounts | None = None,
    ) -> None:
        self._target = target
        self._clock = clock
        self._timeout_s = timeout_s
        self._headers = tuple(headers)
        self._subprotocols = tuple(subprotocols)
        self._subprotocol_optional = subprotocol_optional
        self._max_message_bytes = max_message_bytes
        self._names = Names(target, clock)
        self._source_ips = tuple(source_ips)
        self._sources = itertools.cycle((address, 0) for address in source_ips)
        self._sockets: set[Connection] = set()  # open ones, including those without a listener
        self._most_connections = most_connections
        self._counts = WireCounts() if counts is None else counts
        self._dialling = 0  # connections that are not yet in `_sockets`

    @property
    def connections(self) -> int:
        """Connections that are open or being dialled."""
        return len(self._sockets) + self._dialling

    @property
    def address_pairs(self) -> int:
        """Number of local/server address pairs; each pair has its own set of local ports.

        A configured local address is bound to a port before its destination is known, so all server addresses
        share its ports and only local addresses count (ip(7), IP_BIND_ADDRESS_NO_PORT).
        """
        return len(self._source_ips) or self._names.in_turn

    async def open(self, endpoint: Endpoint, secrets: Collection[str]) -> tuple[Connection, Phases]:
        """Open one WebSocket.

        Args:
            endpoint: path, headers and subprotocols to request.
            secrets: to be removed from the details of a failure.

        Returns:
            The open connection, and how long each phase took.

        Raises:
            ConnectFailed: the WebSocket did not open.
        """
        attempt = _Attempt(self._clock)
        try:
            with fail_after(self._timeout_s):
                connection = await self._open(endpoint, attempt)
        except TimeoutError:
            detail = f"no answer within {self._timeout_s:g} s"
            raise _failed(attempt.phase, "timeout", detail, secrets) from None
        except OSError as error:
            raise _failed(attempt.phase, _cause(error), _text(error), secrets) from error
        except EOFError:
            detail = "the connection ended before the server answered"
            raise _failed(attempt.phase, "eof", detail, secrets) from None
        except InvalidHandshake as error:
            raise _refused_upgrade(error, secrets) from error
        return connection, Phases(**attempt.took_ns)

    async def _open(self, endpoint: Endpoint, attempt: _Attempt) -> Connection:
        attempt.enter("dns")
        source = next(self._sources, None)
        addresses = await self._names.addresses(source)
        attempt.enter("tcp")
        client = self._protocol(endpoint)
        connection = await self._connect(addresses, source, client)
        if connection.loss is None:
            self._sockets.add(connection)
        try:
            if self._target.tls is not None:
                attempt.enter("tls")
                await self._secure(connection, self._target.tls)
            attempt.enter("upgrade")
            await self._upgrade(connection, endpoint)
            self._check_subprotocol(client)
        except BaseException:
            connection.abort()
            self._sockets.discard(connection)  # an aborted TLS handshake does not call connection_lost
            raise
        attempt.enter("established")
        return connection

    async def close(self) -> None:
        """Abort every connection, and return when all sockets are closed, after 1 s at most."""
        for connection in tuple(self._sockets):
            connection.detach()
            connection.abort()
        with anyio.move_on_after(1):  # usually a few iterations of the loop
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

    def _check_subprotocol(self, client: ClientProtocol) -> None:
        """Fail the upgrade if the server has selected none of the subprotocols that were offered."""
        offered = client.available_subprotocols
        if offered and client.subprotocol is None and not self._subprotocol_optional:
            raise _NoneSelected(offered)

    async def _connect(
        self, addresses: list[Address], source: Address | None, client: ClientProtocol
    ) -> Connection:
        """Return a TCP connection to the first address that accepts one."""
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
                lambda: Connection(client, self._clock, self._sockets, self._counts),
                *address,
                local_addr=source,
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


def _refused_upgrade(error: InvalidHandshake, secrets: Collection[str]) -> ConnectFailed:
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        location = " ".join(error.response.headers.get_all("Location"))
        body = bytes(error.response.body).decode("utf-8", "replace")
        detail = f"HTTP {status} {location} {body}"
        wait_s = retry_after_s(status, error.response.headers)
        return _failed("upgrade", f"http_{status}", detail, secrets, answered=True, wait_s=wait_s)
    cause = "no_subprotocol" if isinstance(error, _NoneSelected) else "bad_handshake"
    text = f"{error}: {error.__cause__}" if error.__cause__ else str(error)
    return _failed("upgrade", cause, text, secrets, answered=True)


def _failed(
    phase: str,
    cause: str,
    detail: str,
    secrets: Collection[str],
    *,
    answered: bool = False,
    wait_s: float = 0.0,
) -> ConnectFailed:
    known = Secrets(secrets)
    return ConnectFailed(
        Refused(
            phase=phase,
            cause=cause,
            detail=public_line(" ".join(detail.split()), known, DETAIL_LENGTH),
            unreachable=not answered and cause in UNREACHABLE,
            retry_after_s=wait_s,
        )
    )
