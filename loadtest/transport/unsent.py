"""Checks whether a server reads, on a connection with many unsent bytes.

asyncio reports when a connection's write buffer is full and when it has drained; between the two, the
connection has an `Unsent`. A connection with room in its buffer has no cost. A server reads as long as its
kernel acknowledges bytes. A connection whose server reads nothing for the reply timeout is given up, as no
message sent to it can have arrived.
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
    """The unsent bytes of one connection.

    Args:
        clock: returns monotonic nanoseconds.
        room: resolved when there is room again, or the wait is no longer needed.
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
        """Return, in words, how the server fails to read; empty if it reads or is excused.

        Args:
            transport: transport of the connection.
            tcp: the transport below TLS, or the same transport.
            timeout_ns: how long the server may read nothing.
            excused: whether this client does not read either, which may be why the server does not.
        """
        taken = acknowledged_bytes(tcp)
        if excused or taken > self._taken:
            self._since_ns, self._taken = self._clock(), taken
        if self._clock() - self._since_ns > max(timeout_ns, LEAST_WAIT_NS):
            return "the server does not read the messages sent to it"
        much = transport.get_write_buffer_size() > MOST_BYTES
        return "the server reads more slowly than the client sends" if much else ""
