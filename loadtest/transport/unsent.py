"""What waits to be sent on a connection, once it is much: whether the server reads at all.

asyncio says when a connection's buffer has filled and when it has drained; in between there is an `Unsent`.
Nothing here costs a connection that has room. A server reads as long as its kernel acknowledges bytes; one
that reads nothing for the reply timeout is given up, as no message sent to it can have arrived.
"""

import asyncio
from collections.abc import Callable

from loadtest.transport.raw_tcp import acknowledged_bytes

FULL_BYTES = 2**18
"""Unsent bytes above which asyncio pauses writing; a script's `send` waits until a quarter is left."""

MOST_BYTES = 2**26
"""Unsent bytes that end a connection, though the server may read: it never catches up."""

LEAST_WAIT_NS = 5 * 10**9
"""Least time without a byte read: a kernel opens its window again only when a good part of it is free."""


class Unsent:
    """Bytes that wait on one connection.

    Args:
        clock: returns monotonic nanoseconds.
        room: resolved when there is room again, or nobody waits for it any more.
    """

    __slots__ = ("_clock", "_since_ns", "_taken", "room")

    def __init__(self, clock: Callable[[], int], room: "asyncio.Future[None]") -> None:
        self.room = room
        self._clock = clock
        self._since_ns = clock()  # when the server last took a byte, or had a reason not to
        self._taken = 0

    def flaw(
        self, transport: asyncio.Transport, tcp: asyncio.Transport, timeout_ns: int, *, excused: bool
    ) -> str:
        """Return how the server fails to read, empty if it reads or is excused.

        Args:
            transport: of the connection.
            tcp: the one below TLS, or the same.
            timeout_ns: how long the server may read nothing.
            excused: whether this client does not read either, which may be the server's reason.
        """
        taken = acknowledged_bytes(tcp)
        if excused or taken > self._taken:
            self._since_ns, self._taken = self._clock(), taken
        if self._clock() - self._since_ns > max(timeout_ns, LEAST_WAIT_NS):
            return "the server does not read the messages sent to it"
        much = transport.get_write_buffer_size() > MOST_BYTES
        return "the server reads more slowly than the client sends" if much else ""
