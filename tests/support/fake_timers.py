"""A clock and a queue of timers that a test turns."""

import heapq
from typing import Any

from loadtest.session.schedule import NS_PER_S


class Planned:
    """The planned messages of one sender."""

    def __init__(self, timers: "FakeTimers", sender: Any) -> None:
        self._timers, self._sender = timers, sender

    def fire(self, _what: object, due_ns: int) -> None:
        """Send the message and plan the next."""
        next_ns = self._sender.next_due_ns(due_ns)
        if next_ns is not None:
            self._timers.schedule(next_ns, self, None)
            self._sender.send_due(due_ns)


class FakeTimers:
    """Stands in for `loadtest.engine.timers.Timers`; `now_ns` is the time."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.heap: list[tuple[int, int, Any, object]] = []

    def schedule(self, due_ns: int, whom: Any, what: object) -> None:
        """Take a timer."""
        heapq.heappush(self.heap, (due_ns, len(self.heap), whom, what))

    def plan(self, due_ns: int, sender: Any) -> None:
        """Take a session's next planned message; they are sent at their times, without slack."""
        self.schedule(due_ns, Planned(self, sender), None)

    def awake(self) -> None:
        """Send nothing early."""

    def pass_s(self, seconds: float) -> None:
        """Let time pass and timers fire."""
        until_ns = self.now_ns + int(seconds * NS_PER_S)
        while self.heap and self.heap[0][0] <= until_ns:
            self.now_ns, _, whom, what = heapq.heappop(self.heap)
            whom.fire(what, self.now_ns)
        self.now_ns = until_ns
