"""A clock and a queue of timers that a test turns."""

import heapq
from typing import Any

from loadtest.session.schedule import NS_PER_S


class FakeTimers:
    """Stands in for `loadtest.engine.timers.Timers`; `now_ns` is the time."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.heap: list[tuple[int, int, Any, object]] = []

    def schedule(self, due_ns: int, whom: Any, what: object) -> None:
        """Take a timer."""
        heapq.heappush(self.heap, (due_ns, len(self.heap), whom, what))

    def pass_s(self, seconds: float) -> None:
        """Let time pass and timers fire."""
        until_ns = self.now_ns + int(seconds * NS_PER_S)
        while self.heap and self.heap[0][0] <= until_ns:
            self.now_ns, _, whom, what = heapq.heappop(self.heap)
            whom.fire(what, self.now_ns)
        self.now_ns = until_ns
