"""Failed attempts that lost connections explain: one event must not fail two items.

A server that is killed ends all connections: those that had worked, which is a matter of `stability`, and the
few that were just opened, which look like failed attempts. Such attempts are explained where losses around
them are many times as frequent. A server that ends new connections by itself has as many of them as losses,
or more. While no session is up after losses, a proxy may answer for the server: what it refuses then is
explained as well.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable

from loadtest.results.uptime import Away
from loadtest.session.recorder import Lifecycle
from loadtest.session.schedule import NS_PER_S

LOSSES_PER_ATTEMPT = 4
"""Losses needed within a second of an attempt that ended early: of the sessions that are up, far fewer than
one in five are new at any moment."""

_LATEST_NS = 2**62


class Coincidences:
    """Counts the attempts that losses explain."""

    def __init__(self) -> None:
        self._losses: Counter[int] = Counter()  # by second
        self._ended: defaultdict[str, Counter[int]] = defaultdict(Counter)  # by item and second
        self._refused: defaultdict[str, Counter[int]] = defaultdict(Counter)

    def event(self, record: Lifecycle, *, in_outage: bool) -> None:
        """Add a lifecycle event.

        Args:
            record: the event.
            in_outage: whether its session was established before.
        """
        second = min(max(record.at_ns, 0), _LATEST_NS) // NS_PER_S
        item = "reconnect" if in_outage else "connect"
        if record.event == "lost":
            self._losses[second] += 1
        elif record.event == "failed" and record.code is not None:
            self._ended[item][second] += 1
        elif record.event == "failed" and (record.cause or "").startswith("http_5"):
            self._refused[item][second] += 1

    def explained(self, away: Iterable[Away]) -> dict[str, int]:
        """Return by item how many failed attempts losses explain.

        Args:
            away: when the server was away.
        """
        found: Counter[str] = Counter()
        for item, ended in self._ended.items():
            found[item] += sum(count for second, count in ended.items() if self._is_explained(second))
        for item, refused in self._refused.items():
            for one in away:
                until_s = _LATEST_NS if one.until_s is None else one.until_s
                found[item] += sum(
                    count for second, count in refused.items() if int(one.from_s) <= second <= until_s
                )
        return dict(sorted(found.items()))

    def _is_explained(self, second: int) -> bool:
        around = range(second - 1, second + 2)
        losses = sum(self._losses[near] for near in around)
        ended = sum(by_second[near] for by_second in self._ended.values() for near in around)
        return losses >= LOSSES_PER_ATTEMPT * ended
