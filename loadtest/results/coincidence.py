"""Failed attempts that lost connections explain: one event must not fail two items.

A server that is killed ends all connections: those that had worked, which is a matter of `stability`, and the
few that were just opened or were opening, which look like failed attempts. Such attempts are explained where
losses around them are many times as frequent. A server that turns away connections by itself turns away as
many as it loses, or more. While no session is up after losses, the server is away, and attempts that find
nobody, or a proxy that answers for it, are explained as well.

In a drill it is otherwise: its losses are not a matter of `stability`, so attempts to reconnect that find
nobody count for `reconnect`. First attempts that find nobody at the same time are explained by them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable

from loadtest.events import UNREACHABLE
from loadtest.results.loss_groups import LATEST_NS, within_limits
from loadtest.results.uptime import Away
from loadtest.session.recorder import Lifecycle
from loadtest.session.schedule import NS_PER_S

LOSSES_PER_ATTEMPT = 4
"""Losses needed within a second of an attempt that ended early: of the sessions that are up, far fewer than
one in five are new at any moment."""


class Coincidences:
    """Counts the attempts that losses explain."""

    def __init__(self) -> None:
        self._losses: Counter[int] = Counter()  # by second
        self._ended: defaultdict[str, Counter[int]] = defaultdict(Counter)  # by item and second
        self._absent: defaultdict[str, Counter[int]] = defaultdict(Counter)  # found nobody, or a proxy
        self._absent_in_drills: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self._ended_in_drills: defaultdict[int, Counter[int]] = defaultdict(Counter)  # by drill and second

    def event(self, record: Lifecycle, *, in_outage: bool, drill: int | None = None) -> None:
        """Add a lifecycle event.

        Args:
            record: the event.
            in_outage: whether its session was established before.
            drill: number of the drill in whose window it lies, if any.
        """
        second = within_limits(record.at_ns) // NS_PER_S
        item = "reconnect" if in_outage else "connect"
        if record.event == "lost":
            self._losses[second] += 1
        elif record.event == "failed" and record.code is not None:
            self._ended[item][second] += 1
            if drill is not None and in_outage:
                self._ended_in_drills[drill][second] += 1
        elif record.event == "failed" and _may_be_away(record.cause or ""):
            absent = self._absent if drill is None else self._absent_in_drills
            absent[item][second] += 1

    def explained(self, away: Iterable[Away]) -> dict[str, int]:
        """Return by item how many failed attempts losses explain.

        Args:
            away: when the server was away.
        """
        found: Counter[str] = Counter()
        for item, ended in self._ended.items():
            found[item] += sum(count for second, count in ended.items() if self._is_explained(second))
        spans = [(int(one.from_s), LATEST_NS if one.until_s is None else one.until_s) for one in away]
        for item, absent in self._absent.items():
            found[item] += sum(
                count
                for second, count in absent.items()
                if self._is_explained(second) or any(first <= second <= last for first, last in spans)
            )
        away_in_drills = self._absent_in_drills["reconnect"]
        for second, count in self._absent_in_drills["connect"].items():
            if any(away_in_drills[near] for near in _around(second)):
                found["connect"] += count
        return dict(sorted(found.items()))

    def turned_away(self) -> dict[int, int]:
        """Return by drill how many attempts to reconnect ended early in it that losses do not explain."""
        return {
            drill: sum(count for second, count in ended.items() if not self._is_explained(second))
            for drill, ended in self._ended_in_drills.items()
        }

    def _is_explained(self, second: int) -> bool:
        around = _around(second)
        losses = sum(self._losses[near] for near in around)
        by_second = (*self._ended.values(), *self._absent.values())
        return losses >= LOSSES_PER_ATTEMPT * sum(counts[near] for counts in by_second for near in around)


def _around(second: int) -> range:
    return range(second - 1, second + 2)


def _may_be_away(cause: str) -> bool:
    """Return whether an attempt failed as it does if no server is there."""
    return cause in UNREACHABLE or cause.startswith("http_5")
