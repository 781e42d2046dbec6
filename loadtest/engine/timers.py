"""One timer queue for everything that is due later: messages, drops, retries, sweeps.

It is a heap of plain tuples, without a timer object per message. The loop's own timers have a resolution of
1 ms, so a Linux timerfd (timerfd_create(2)) is armed for the heap's earliest entry, and the loop watches it
like a socket. This cuts the median send slip from 0.6 ms to 0.05 ms. Without a timerfd, the loop's timers are
used.
"""

import asyncio
import ctypes
import errno
import heapq
import itertools
import os
import time
from collections.abc import Callable
from typing import Protocol

from loadtest.session.schedule import NS_PER_S

PAUSE_NS = NS_PER_S // 4
"""A wake later than this means that the whole process paused: replies, or the end of TCP, may have arrived
unread."""


class Timed(Protocol):
    """Something that a timer can wake."""

    def fire(self, what: object, due_ns: int) -> None:
        """Handle `what`, which was due at `due_ns` of the run's clock."""


class Alarm(Protocol):
    """A single timer that calls back at the time it is set to."""

    def set(self, due_ns: int) -> None:
        """Call back at this time of the monotonic clock; replaces any earlier setting."""

    def close(self) -> None:
        """Never call back again."""


class _Itimerspec(ctypes.Structure):
    """struct itimerspec of timerfd_settime(2)."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class TimerfdAlarm:
    """A Linux timerfd, accurate to tens of microseconds.

    Raises:
        OSError: this system has no timerfd.
    """

    _ABSOLUTE = 1  # TFD_TIMER_ABSTIME
    _FLAGS = os.O_NONBLOCK | os.O_CLOEXEC

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        # PyDLL keeps the GIL: releasing it for a call of a microsecond would let another thread take it.
        library = ctypes.PyDLL(None, use_errno=True)
        if not hasattr(library, "timerfd_create"):
            raise OSError(errno.ENOSYS, "no timerfd on this system")
        self._settime = library.timerfd_settime
        self._descriptor: int = library.timerfd_create(time.CLOCK_MONOTONIC, self._FLAGS)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._spec = _Itimerspec()
        self._reference = ctypes.byref(self._spec)
        self._loop = loop
        loop.add_reader(self._descriptor, callback)

    def set(self, due_ns: int) -> None:
        """Call back at this time. Setting it also clears an expiry, so the descriptor need not be read."""
        self._spec.value_s, self._spec.value_ns = divmod(max(due_ns, 1), NS_PER_S)
        self._settime(self._descriptor, self._ABSOLUTE, self._reference, None)

    def close(self) -> None:
        """Close the descriptor."""
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)


class LoopAlarm:
    """The loop's own timer, with a resolution of a millisecond."""

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        self._loop = loop
        self._callback = callback
        self._handle: asyncio.TimerHandle | None = None

    def set(self, due_ns: int) -> None:
        """Call back at this time."""
        self.close()
        delay_s = max(0, due_ns - time.monotonic_ns()) / NS_PER_S
        self._handle = self._loop.call_later(delay_s, self._callback)

    def close(self) -> None:
        """Cancel the timer."""
        if self._handle is not None:
            self._handle.cancel()


def best_alarm(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> Alarm:
    """Return the most accurate alarm that this system has."""
    try:
        return TimerfdAlarm(loop, callback)
    except OSError:
        return LoopAlarm(loop, callback)


class Timers:
    """The timer queue.

    Args:
        loop: the loop whose thread calls `fire`.
        start_ns: the monotonic clock's time when the run's clock was 0.
        alarm: creates the alarm.
    """

    NEVER = 2**63

    AT_ONCE = 256
    """Entries fired before the loop reads its sockets again, so that a backlog does not delay replies."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        start_ns: int,
        alarm: Callable[[asyncio.AbstractEventLoop, Callable[[], None]], Alarm] = best_alarm,
    ) -> None:
        self._start_ns = start_ns
        self._heap: list[tuple[int, int, Timed, object]] = []
        self._order = itertools.count()  # breaks ties, so that the entries' other items are never compared
        self._armed_ns = self.NEVER
        self._alarm = alarm(loop, self._wake)

    def schedule(self, due_ns: int, whom: Timed, what: object) -> None:
        """Call `whom.fire(what, due_ns)` at this time of the run's clock."""
        heapq.heappush(self._heap, (due_ns, next(self._order), whom, what))
        if due_ns < self._armed_ns:
            self._arm(due_ns)

    def _arm(self, due_ns: int) -> None:
        self._armed_ns = due_ns
        self._alarm.set(due_ns + self._start_ns)

    def _wake(self) -> None:
        heap = self._heap
        # Keeps `schedule` from arming meanwhile: new entries are fired below, or armed at the end.
        self._armed_ns = -1
        now_ns = time.monotonic_ns() - self._start_ns
        try:
            for _ in range(self.AT_ONCE):
                if not heap or heap[0][0] > now_ns:
                    break
                due_ns, _, whom, what = heapq.heappop(heap)
                whom.fire(what, due_ns)
        finally:
            self._arm(heap[0][0] if heap else self.NEVER // 2)

    def close(self) -> None:
        """Discard all entries and close the alarm."""
        self._heap.clear()
        self._alarm.close()
