"""Failed attempts that lost connections explain: one event must not fail two items.

A server that is killed ends all connections: those that had worked, which is a matter of `stability`, and the
few that were just opened or were opening, which look like failed attempts. Such attempts are explained where
losses around them are many times as frequent. A server that merely rejects connections rejects as
many as it loses, or more. While no session is up after losses, the server is away, and attempts that find
no server, or a proxy that answers for it, are explained as well.

Drills differ: their losses are not a matter of `stability`, so attempts to reconnect that find no server
count for `reconnect`. First attempts that find no server at the same time are explained by them. A
connection that ends before the session has worked is explained if the server says that it goes away or
restarts, for it may be drained like the others, or if it ended in the way of many losses around it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from loadtest.events import UNREACHABLE
from loadtest.results.loss_groups import LATEST_NS, code_of, within_limits
from loadtest.results.uptime import Away
from loadtest.session.recorder import Lifecycle
from loadtest.session.schedule import NS_PER_S

LOSSES_PER_ATTEMPT = 4
"""Losses needed within a second of an attempt that ended early: of the sessions that are up, far fewer than
one in five are new at any moment."""

GOING_AWAY = frozenset({1001, 1012})
"""Close codes of a server that shuts down: Going Away (RFC 6455, section 7.4.1), Service Restart."""


class _Ended(NamedTuple):
    """A connection that ended in a drill before its session had worked."""

    drill: int
    second: int
    code: int


class Coincidences:
    """Counts the attempts that losses explain."""

    def __init__(self) -> None:
        self._losses: Counter[int] = Counter()  # by second
        self._ended: defaultdict[str, Counter[int]] = defaultdict(Counter)  # by item and second
        self._absent: defaultdict[str, Counter[int]] = defaultdict(Counter)  # found nobody, or a proxy
        self._absent_in_drills: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self._lost_as: Counter[tuple[int, int]] = Counter()  # in drills, by second and code
        self._early_as: Counter[tuple[int, int]] = Counter()  # ended early in drills, by second and code
        self._ended_as: defaultdict[str, Counter[_Ended]] = defaultdict(Counter)  # the same, by item

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
            if drill is not None:
                self._lost_as[second, code_of(record)] += 1
        elif record.event == "failed" and record.code is not None:
            if drill is None:
                self._ended[item][second] += 1
            else:
                code = code_of(record)
                self._early_as[second, code] += 1
                self._ended_as[item][_Ended(drill, second, code)] += 1
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
        for item, ended_as in self._ended_as.items():
            found[item] += sum(count for ended, count in ended_as.items() if self._is_drained(ended))
        away_in_drills = self._absent_in_drills["reconnect"]
        for second, count in self._absent_in_drills["connect"].items():
            if any(away_in_drills[near] for near in _around(second)):
                found["connect"] += count
        return dict(sorted(found.items()))

    def turned_away(self) -> dict[int, int]:
        """Return by drill how many attempts to reconnect ended early in it without explanation."""
        found: Counter[int] = Counter()
        for ended, count in self._ended_as["reconnect"].items():
            found[ended.drill] += 0 if self._is_drained(ended) else count
        return dict(found)

    def _is_drained(self, ended: _Ended) -> bool:
        """Return whether a connection that ended early in a drill went like the drill's losses."""
        if ended.code in GOING_AWAY:
            return True
        alike = [(near, ended.code) for near in _around(ended.second)]
        losses, early = (sum(found[key] for key in alike) for found in (self._lost_as, self._early_as))
        return losses >= LOSSES_PER_ATTEMPT * early

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
