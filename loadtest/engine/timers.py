"""One timer queue for everything that is due later: messages, drops, retries, sweeps.

It is two heaps of plain tuples, without a timer object per message: one of planned messages, one of
everything else. The loop's own timers have a resolution of 1 ms, so a Linux timerfd (timerfd_create(2)) is
armed for the earliest entry, and the loop watches it like a socket. This cuts the median send slip from 0.6
ms to 0.05 ms. Systems without timerfd use the loop's timers.

Entries of both heaps fire in the order of their times. All entries except messages fire at their time or
later. Under load, messages have a slack (`loadtest.engine.send_slack`): one wakeup sends all messages due
within it, as does a reply that wakes the process anyway, and the alarm is set that much after the first one.
A message never overtakes an entry that is due before it: a message planned for after a drop, or for the next
interval, is not sent before that has begun.
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

from loadtest.engine.send_slack import SendSlack
from loadtest.session.schedule import NS_PER_S

PAUSE_NS = NS_PER_S // 4
"""A wake later than this means that the whole process paused: replies, or the end of TCP, may have arrived
unread."""


class Timed(Protocol):
    """Something that a timer can wake."""

    def fire(self, what: object, due_ns: int) -> None:
        """Handle `what`, which was due at `due_ns` on the run's clock."""


class Sender(Protocol):
    """Something that sends messages at planned times."""

    def next_due_ns(self, due_ns: int) -> int | None:
        """Return the due time of the message after the one due at `due_ns`; None to send neither."""

    def send_due(self, due_ns: int) -> None:
        """Send the message due at `due_ns` on the run's clock; the call may come slightly early or late."""


class Alarm(Protocol):
    """A single timer that calls back at a set time."""

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
        start_ns: time of the monotonic clock when the run's clock was 0.
        alarm: creates the alarm.
        clock: the monotonic clock, in nanoseconds.
    """

    NEVER = 2**63

    AT_ONCE = 256
    """Entries fired before the loop reads its sockets again, so that a backlog does not delay replies."""

    AWAKE_AT_ONCE = 4
    """Messages sent between two replies that the loop has read; under a usual load it is one or two."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        start_ns: int,
        alarm: Callable[[asyncio.AbstractEventLoop, Callable[[], None]], Alarm] = best_alarm,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._start_ns = start_ns
        self._clock = clock
        self._exact: list[tuple[int, int, Timed, object]] = []
        self._planned: list[tuple[int, int, Sender]] = []
        self._order = itertools.count()  # breaks ties, so that the entries' other items are never compared
        self._slack = SendSlack()
        self._messages = 0  # in the window of the slack
        self._early_from_ns = self.NEVER  # when `awake` may send the next message; NEVER without slack
        self._armed_ns = self.NEVER
        self._alarm = alarm(loop, self._wake)

    def schedule(self, due_ns: int, whom: Timed, what: object) -> None:
        """Call `whom.fire(what, due_ns)` at this time of the run's clock or later."""
        heapq.heappush(self._exact, (due_ns, next(self._order), whom, what))
        if due_ns < self._armed_ns:
            self._arm(due_ns)

    def plan(self, due_ns: int, sender: Sender) -> None:
        """Send a message at this time of the run's clock, within the slack, and the messages after it."""
        heapq.heappush(self._planned, (due_ns, next(self._order), sender))
        if due_ns + self._slack.ns < self._armed_ns:
            self._arm(due_ns + self._slack.ns)

    def awake(self) -> None:
        """Send the messages due within the slack, if there is one, because the process is awake anyway."""
        if self._early_from_ns != self.NEVER:
            now_ns = self._clock() - self._start_ns
            if now_ns >= self._early_from_ns:
                self._serve(now_ns, self.AWAKE_AT_ONCE, only_messages=True)

    def _arm(self, due_ns: int) -> None:
        self._armed_ns = due_ns
        self._alarm.set(due_ns + self._start_ns)

    def _wake(self) -> None:
        self._serve(self._clock() - self._start_ns, self.AT_ONCE)

    def _serve(self, now_ns: int, at_once: int, *, only_messages: bool = False) -> None:
        """Fire at most `at_once` due entries, and arm the alarm for the next one.

        While a reply is handled, only messages are sent: a sweep, for example, may end the connection being
        read.
        """
        exact, planned, slack = self._exact, self._planned, self._slack
        armed_ns = self._armed_ns if only_messages else -1  # one that has rung is set anew
        # Keeps `schedule` from arming and `awake` from serving meanwhile.
        self._armed_ns, self._early_from_ns = -1, self.NEVER
        try:
            for _ in range(at_once):
                if planned and not (exact and exact[0] < planned[0]):
                    if planned[0][0] > now_ns + slack.ns:
                        break
                    self._send_next()
                elif exact and exact[0][0] <= now_ns and not only_messages:
                    due_ns, _, whom, what = heapq.heappop(exact)
                    whom.fire(what, due_ns)
                else:
                    break
        finally:
            self._rest(armed_ns)

    def _send_next(self) -> None:
        due_ns, _, sender = self._planned[0]
        if due_ns >= self._slack.window_ends_ns:
            self._slack.next_window(due_ns, self._messages)
            self._messages = 0
        self._messages += 1
        next_ns = sender.next_due_ns(due_ns)
        if next_ns is None:
            heapq.heappop(self._planned)
            return
        heapq.heapreplace(self._planned, (next_ns, next(self._order), sender))
        sender.send_due(due_ns)

    def _rest(self, armed_ns: int) -> None:
        """Arm the alarm for the next entry, unless the alarm is already set to a suitable time.

        Setting it to a near time takes 10 µs on a virtual machine, because the host's timer is set too.
        """
        slack_ns = self._slack.ns
        exact_ns = self._exact[0][0] if self._exact else self.NEVER // 2
        planned_ns = self._planned[0][0] if self._planned else self.NEVER // 2
        if slack_ns and planned_ns <= exact_ns:
            self._early_from_ns = planned_ns - slack_ns
        latest_ns = min(exact_ns, planned_ns + slack_ns)
        if self._early_from_ns <= armed_ns <= latest_ns:
            self._armed_ns = armed_ns
        else:
            self._arm(latest_ns)

    def close(self) -> None:
        """Discard all entries and close the alarm."""
        self._exact.clear()
        self._planned.clear()
        self._early_from_ns = self.NEVER
        self._alarm.close()
