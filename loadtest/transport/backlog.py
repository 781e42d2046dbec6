"""Received bytes that wait to be handled, so that no connection blocks the loop.

One read of a socket may bring a hundred thousand frames. They are handled in slices: in each turn of the
loop, all connections together get `TURN_NS`; then timers and other sockets get their turn. A connection with
waiting bytes is not read, so its rate would look like the rate of handling, not the server's. Therefore one
such connection at a time, the suspect, is read ahead, and the frames are only counted. If several were read
ahead, each would get a share of what this process can read, and no flood would reach a limit.
"""

import asyncio
import time
from collections import deque
from typing import Protocol

from loadtest.transport.frames import FrameCounter
from loadtest.transport.raw_tcp import Surplus

TURN_NS = 5_000_000
"""Time for received bytes in a turn of the loop: the longest wait of other sessions during a flood."""

_SLICE_NS = 1_000_000
"""Time for one connection before the next one gets its turn."""

_COUNT_NS = 2_000_000
"""Time for counting in a turn: at 0.2 µs a frame, over a million frames a second."""

_SUSPECT_NS = 1_500_000_000
"""How long one connection is read ahead: long enough to include a whole second of the meter."""

_MAX_AHEAD_BYTES = 16 * 2**20
"""Limit on the suspect's waiting bytes: a second's limit of messages of 160 bytes."""

_MAX_WAITING_BYTES = 64 * 2**20
"""Limit on all waiting bytes, above which none is read ahead: a process has hundreds of megabytes."""


class Waiter(Protocol):
    """A connection with waiting bytes."""

    @property
    def waiting_bytes(self) -> int:
        """Number of waiting bytes."""

    def catch_up(self, until_ns: int) -> bool:
        """Handle waiting bytes; return whether some are left."""

    def read_ahead(self, until_ns: int, *, more: bool) -> None:
        """Count the frames received, and read once more if `more`."""


class Ahead:
    """Counts the waiting frames of one connection.

    Args:
        frames, messages: numbers handled before.
    """

    __slots__ = ("_counter", "_frames", "_messages", "_uncounted")

    def __init__(self, frames: int, messages: int) -> None:
        self._counter = FrameCounter()
        self._counter.frames, self._counter.messages = frames, messages
        self._frames, self._messages = frames, messages
        self._uncounted: deque[bytes] = deque()

    def add(self, data: bytes) -> None:
        """Add bytes to count later."""
        self._uncounted.append(data)

    def count(self, until_ns: int) -> None:
        """Count for as long as this turn allows."""
        done = self._counter.add(b"")
        while (self._uncounted or not done) and time.monotonic_ns() < until_ns:
            done = self._counter.add(self._uncounted.popleft() if done else b"")

    def news(self, frames: int, messages: int) -> tuple[int, int]:
        """Return the numbers of new frames and whole messages since the last call.

        Args:
            frames, messages: numbers handled so far, whether counted before or not.
        """
        frames, messages = max(frames, self._counter.frames), max(messages, self._counter.messages)
        found = frames - self._frames, messages - self._messages
        self._frames, self._messages = frames, messages
        return found


class Backlog:
    """The connections of one loop with more received bytes than one turn can handle.

    Args:
        loop: the loop.

    Attributes:
        surplus: limits the reading of bytes that are discarded.
    """

    __slots__ = (
        "_began_ns",
        "_ends_ns",
        "_loop",
        "_suspect",
        "_suspect_until_ns",
        "_waited_ns",
        "_waiting",
        "surplus",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.surplus = Surplus(time.monotonic_ns)
        self._waiting: deque[Waiter] = deque()
        self._suspect: Waiter | None = None
        self._suspect_until_ns = 0
        self._began_ns = self._waited_ns = 0  # when something began to wait; how long something waited before
        self._ends_ns = 0  # of this turn's time; 0 until somebody asks

    def turn_ends_ns(self) -> int:
        """Return the monotonic time until which received bytes may be handled in this turn."""
        if not self._ends_ns:
            self._ends_ns = time.monotonic_ns() + TURN_NS
            self._loop.call_soon(self._turn)
        return self._ends_ns

    def put_off(self, waiter: Waiter) -> None:
        """Let this connection catch up in the next turns until nothing is left."""
        if not self._waiting:
            self._began_ns = time.monotonic_ns()
        self._waiting.append(waiter)
        self.turn_ends_ns()

    @property
    def waited_ns(self) -> int:
        """Total time so far in which bytes waited, as they do when servers send more than can be read."""
        return self._waited_ns + (time.monotonic_ns() - self._began_ns if self._waiting else 0)

    def _turn(self) -> None:
        self._ends_ns = 0
        if not self._waiting:
            return
        ends_ns = self.turn_ends_ns()
        while self._waiting and (now_ns := time.monotonic_ns()) < ends_ns:
            waiter = self._waiting.popleft()
            if waiter.catch_up(min(now_ns + _SLICE_NS, ends_ns)):
                self._waiting.append(waiter)
            elif waiter is self._suspect:
                self._suspect = None
        if self._waiting:
            self._read_ahead()
        else:
            self._waited_ns += time.monotonic_ns() - self._began_ns

    def _read_ahead(self) -> None:
        """Read one connection ahead for a while, to measure how much its server sends."""
        now_ns = time.monotonic_ns()
        if self._suspect is None or now_ns >= self._suspect_until_ns:
            last = self._suspect
            self._suspect = next((waiter for waiter in self._waiting if waiter is not last), last)
            self._suspect_until_ns = now_ns + _SUSPECT_NS
        if self._suspect is not None:
            waiting = sum(waiter.waiting_bytes for waiter in self._waiting)
            more = waiting < _MAX_WAITING_BYTES and self._suspect.waiting_bytes < _MAX_AHEAD_BYTES
            self._suspect.read_ahead(now_ns + _COUNT_NS, more=more)
