"""Opening a WebSocket: DNS, TCP or a proxy, TLS and the upgrade, each timed.

Every failure is raised as `ConnectFailed` (`loadtest.transport.refusals`).
"""

import asyncio
import errno
import itertools
import os
import ssl
import sys
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import anyio
from websockets.exceptions import InvalidHandshake, InvalidStatus

from loadtest.events import Endpoint, Phases
from loadtest.transport import refusals
from loadtest.transport.backlog import Backlog
from loadtest.transport.connection import Connection
from loadtest.transport.deflate import offer
from loadtest.transport.meter import Limits
from loadtest.transport.names import Address, Names, first_to_connect
from loadtest.transport.proxies import SERVER_UNREACHABLE, Proxy, ProxyRefused
from loadtest.transport.request_headers import merged
from loadtest.transport.target import Target
from loadtest.transport.tls_alerts import CertificateRequests
from loadtest.transport.tls_stream import secure
from loadtest.transport.tunnel import Tunnel
from loadtest.transport.upgrade import Upgrade, Upgrades
from loadtest.transport.wire_counts import WireCounts

Dialled = TypeVar("Dialled", Connection, Tunnel)
"""What a TCP connection is made for."""


@dataclass(slots=True)
class _Attempt:
    """An attempt in progress: its phase and the durations of earlier phases."""

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
    """Time out after `timeout_s`, unless this process itself was paused.

    A process that was stopped, or whose machine slept, wakes with the deadline passed and the answer unread,
    and the loop runs its timers before it reads. So the deadline is extended once by the delay of the timer,
    at most by `timeout_s`: data that arrived meanwhile is read, and unfinished work can finish.

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


class Dialer:
    """Opens the WebSockets of a run.

    Args:
        target: the server.
        clock: returns monotonic nanoseconds.
        timeout_s: time allowed for one attempt, from DNS to the end of the upgrade.
        headers: added to every upgrade request.
        subprotocols: offered in addition to the dialect's.
        subprotocol_optional: whether the server may select none of the subprotocols offered.
        max_message_bytes: size of the largest message accepted.
        source_ips: local addresses to connect from, in turn; empty for the system's choice.
        most_connections: maximum number of connections; above it attempts fail with `out_of_files`.
        counts: counts of what the connections send and receive; None to discard them.
        limits: limits on what the server may send on one connection in a second.
        compression: what to offer, a key of `loadtest.transport.deflate.OFFERS`.
        proxy: the proxy to connect through, None for none.
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
        limits: Limits = Limits(),  # noqa: B008  # frozen
        compression: str = "off",
        proxy: Proxy | None = None,
    ) -> None:
        self._target = target
        self._clock = clock
        self._timeout_s = timeout_s
        self._headers = tuple(headers)
        self._subprotocol_optional = subprotocol_optional
        self._upgrades = Upgrades(
            target,
            subprotocols=subprotocols,
            extensions=offer(compression),
            max_message_bytes=max_message_bytes,
        )
        self._proxy = proxy
        next_host = target if proxy is None else proxy
        self._names = Names(next_host.host, next_host.port, clock)
        self._server_names = Names(target.host, target.port, clock)  # for a proxy that wants an address
        self._source_ips = tuple(source_ips)
        self._sources = itertools.cycle((address, 0) for address in source_ips)
        self._sockets: set[Connection] = set()  # open ones, including those without a listener
        self._most_connections = most_connections
        self._counts = WireCounts() if counts is None else counts
        self._limits = limits
        self._backlog: Backlog | None = None  # of the loop that opens the first connection
        self._dialling = 0  # connections that are not yet in `_sockets`
        self._has_opened = False  # whether the server has ever let a connection in
        self._certificate_requests = CertificateRequests(target.tls) if target.tls is not None else None

    @property
    def connections(self) -> int:
        """Number of connections that are open or being opened."""
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
            secrets: secrets to redact in the details of a failure.

        Returns:
            The open connection and the duration of each phase.

        Raises:
            ConnectFailed: the WebSocket did not open.
        """
        attempt = _Attempt(self._clock)
        if self._proxy is not None:
            secrets = (*secrets, *self._proxy.secrets)
        try:
            with fail_after(self._timeout_s):
                connection = await self._open(endpoint, attempt)
        except TimeoutError:
            raise refusals.by_timeout(attempt.phase, self._timeout_s, secrets) from None
        except ProxyRefused as error:
            raise refusals.by_proxy(error, secrets) from error
        except (OSError, EOFError) as error:
            if attempt.phase in ("tls", "upgrade") and self._lacks_certificate(error):
                raise refusals.by_missing_certificate() from error
            raise refusals.by_error(attempt.phase, error, secrets) from error
        except InvalidHandshake as error:
            raise refusals.by_answer(error, secrets) from error
        self._has_opened = True
        return connection, Phases(**attempt.took_ns)

    def _lacks_certificate(self, error: OSError | EOFError) -> bool:
        """Return whether the connection ended because of a missing client certificate.

        A server that asks for a certificate, but has accepted connections without one, has another reason.
        """
        asked = self._certificate_requests is not None and self._certificate_requests.asked
        ended = isinstance(error, EOFError | ConnectionResetError | ssl.SSLError)
        verified = not isinstance(error, ssl.SSLCertVerificationError)
        return asked and ended and verified and not self._target.shows_certificate and not self._has_opened

    async def _open(self, endpoint: Endpoint, attempt: _Attempt) -> Connection:
        upgrade = self._upgrades.of(endpoint)
        source = next(self._sources, None)
        if self._proxy is None:
            connection = await self._direct(upgrade, source, attempt)
        else:
            connection = await self._through(self._proxy, upgrade, source, attempt)
        if connection.loss is None:
            self._sockets.add(connection)
        try:
            if self._target.tls is not None:
                attempt.enter("tls")
                await self._secure(connection, self._target.tls)
            attempt.enter("upgrade")
            await self._upgrade(connection, endpoint)
            self._check_subprotocol(upgrade)
        except BaseException:
            connection.abort()
            self._sockets.discard(connection)  # an aborted TLS handshake does not call connection_lost
            raise
        attempt.enter("established")
        return connection

    async def _direct(self, upgrade: Upgrade, source: Address | None, attempt: _Attempt) -> Connection:
        attempt.enter("dns")
        addresses = await self._names.addresses(source)
        attempt.enter("tcp")
        return await self._connect(addresses, source, lambda: self._connection(upgrade))

    async def _through(
        self, proxy: Proxy, upgrade: Upgrade, source: Address | None, attempt: _Attempt
    ) -> Connection:
        hosts = [self._target.host]
        if proxy.takes_addresses:
            attempt.enter("dns")
            hosts = [host for host, _ in await self._server_names.addresses(None)]
        attempt.enter("proxy")
        tunnel = await self._tunnel(proxy, hosts, source)
        connection = self._connection(upgrade)
        tunnel.hand_over(connection)
        return connection

    async def _tunnel(self, proxy: Proxy, hosts: Sequence[str], source: Address | None) -> Tunnel:
        """Return a connection through the proxy to the first of the server's addresses that it reaches."""
        untried = deque(hosts)
        while True:
            try:
                tunnel = await self._tunnel_to(proxy, untried.popleft(), source)
            except ProxyRefused as refused:
                if refused.cause != SERVER_UNREACHABLE or not untried:
                    raise
            else:
                self._counts.passed_over += len(untried) < len(hosts) - 1
                return tunnel

    async def _tunnel_to(self, proxy: Proxy, host: str, source: Address | None) -> Tunnel:
        steps = proxy.steps(host, self._target.port)
        tunnel = await self._connect(await self._names.addresses(source), source, lambda: Tunnel(steps))
        self._dialling += 1
        try:
            await tunnel.through(proxy.tls, proxy.host)
        except BaseException:
            tunnel.abort()
            raise
        finally:
            self._dialling -= 1
        return tunnel

    def _connection(self, upgrade: Upgrade) -> Connection:
        backlog = self._backlog = self._backlog or Backlog(asyncio.get_running_loop())
        return Connection(upgrade, self._clock, self._sockets, self._counts, self._limits, backlog)

    async def close(self) -> None:
        """Abort every connection; return when all sockets are closed, after at most 1 s."""
        for connection in tuple(self._sockets):
            connection.detach()
            connection.abort()
        with anyio.move_on_after(1):  # usually a few iterations of the loop
            while self._sockets:
                await anyio.sleep(0)

    async def _secure(self, connection: Connection, tls: ssl.SSLContext) -> None:
        await secure(connection.transport, connection, tls, self._target.server_name)
        if connection.loss is not None:
            raise ConnectionResetError(errno.ECONNRESET, "the connection ended after the TLS handshake")
        if self._certificate_requests is not None:
            self._certificate_requests.stop(tls)

    async def _upgrade(self, connection: Connection, endpoint: Endpoint) -> None:
        assert connection.opened is not None
        connection.upgrade(merged((*self._headers, *endpoint.headers)))
        await connection.opened
        connection.opened = None
        error = connection.handshake_error
        if error is None:
            return
        if not connection.answered and not isinstance(error, InvalidStatus):
            raise connection.error or EOFError
        raise error

    def _check_subprotocol(self, upgrade: Upgrade) -> None:
        """Fail the upgrade if the server selected none of the subprotocols offered."""
        if upgrade.subprotocols and upgrade.subprotocol is None and not self._subprotocol_optional:
            raise refusals.NoneSelected(upgrade.subprotocols)

    @property
    def unread_ns(self) -> int:
        """Total time in which received bytes waited because the servers sent more than can be read."""
        return self._backlog.waited_ns if self._backlog is not None else 0

    async def _connect(
        self, addresses: list[Address], source: Address | None, protocol: Callable[[], Dialled]
    ) -> Dialled:
        """Return a TCP connection to the first address that accepts one."""
        if not addresses:
            problem = "the target has no address in the source address's family"
            raise OSError(errno.EHOSTUNREACH, problem)

        async def dial(address: Address) -> Dialled:
            return await self._dial(address, source, protocol)

        connection, position = await first_to_connect(addresses, dial, lambda second: second.abort())
        self._counts.passed_over += position > 0
        return connection

    async def _dial(
        self, address: Address, source: Address | None, protocol: Callable[[], Dialled]
    ) -> Dialled:
        if self.connections >= self._most_connections:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        loop = asyncio.get_running_loop()
        self._dialling += 1
        try:
            _, connection = await loop.create_connection(protocol, *address, local_addr=source)
        finally:
            self._dialling -= 1
        return connection
