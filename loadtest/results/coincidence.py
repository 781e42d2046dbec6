"""Connections that ended before they had worked, at the moment when others were lost.

A server that is killed ends all connections: those that had worked, which is a matter of `stability`, and the
few that were just opened, which look like failed attempts. One event must not fail two items. So each loss
explains one such attempt within a second of it. A server that ends new connections by itself has many more
of them than losses.
"""

from collections import Counter, defaultdict

from loadtest.session.recorder import Lifecycle
from loadtest.session.schedule import NS_PER_S

_LATEST_NS = 2**62


class Coincidences:
    """Counts the attempts that losses explain. Events may come in any order."""

    def __init__(self) -> None:
        self._losses: Counter[int] = Counter()  # by second
        self._ended: defaultdict[str, Counter[int]] = defaultdict(Counter)  # by item and second

    def event(self, record: Lifecycle, *, in_outage: bool) -> None:
        """Add a lifecycle event.

        Args:
            record: the event.
            in_outage: whether its session was established before.
        """
        second = min(max(record.at_ns, 0), _LATEST_NS) // NS_PER_S
        if record.event == "lost":
            self._losses[second] += 1
        elif record.event == "failed" and record.code is not None:
            self._ended["reconnect" if in_outage else "connect"][second] += 1

    def explained(self) -> dict[str, int]:
        """Return by item how many failed attempts ended together with a loss."""
        left = Counter(self._losses)
        return {item: sum(self._take(left, ended)) for item, ended in sorted(self._ended.items())}

    @staticmethod
    def _take(left: Counter[int], ended: Counter[int]) -> list[int]:
        """Take losses for the attempts that ended within a second of them; return how many."""
        taken = []
        for second, count in sorted(ended.items()):
            for near in (second, second - 1, second + 1):
                found = min(count, left[near])
                left[near] -= found
                count -= found
                taken.append(found)
        return taken
