"""How a run's storms went: whom each met, and how long it took until they were back.

Times count from the storm's moment, and shares are of all it met: a session that never came back makes
"until all were back" unknown, where a percentile of those that did would look fine.
"""

import math
from collections import Counter, defaultdict
from dataclasses import dataclass

from loadtest.drops import Storm
from loadtest.recorder import Lifecycle
from loadtest.schedule import NS_PER_S

SHARES = (0.5, 0.95, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class StormRecovery:
    """How one storm went.

    Args:
        storm: as planned.
        met: sessions that it dropped; members that were not connected at its moment are not among them.
        back: of these, that were established again.
        back_after_s: until so large a share of those met was back, by share; None if it never was.
        peak_per_s: attempts to connect in the busiest second between its moment and the last return.
    """

    storm: Storm
    met: int
    back: int
    back_after_s: dict[float, float | None]
    peak_per_s: int


class Recoveries:
    """Sums them up, event by event, in the order of the file."""

    def __init__(self, storms: tuple[Storm, ...]) -> None:
        self._storms = storms
        self._met: Counter[int] = Counter()
        self._away: dict[str, int] = {}  # the storm that a session is away because of
        self._back_ns: defaultdict[int, list[int]] = defaultdict(list)

    def event(self, record: Lifecycle) -> None:
        """Enter a lifecycle event."""
        number = record.storm
        if record.event == "dropped" and number is not None and 0 <= number < len(self._storms):
            self._met[number] += 1
            self._away[record.session] = number
        elif record.event == "resumed" and record.session in self._away:
            self._back_ns[self._away.pop(record.session)].append(record.at_ns)

    def of(self, attempts_per_s: Counter[int]) -> list[StormRecovery]:
        """Return how each planned storm went, in the order of their times."""
        return [self._one(number, storm, attempts_per_s) for number, storm in enumerate(self._storms)]

    def _one(self, number: int, storm: Storm, attempts_per_s: Counter[int]) -> StormRecovery:
        met, back_s = (
            self._met[number],
            sorted(at_ns / NS_PER_S - storm.at_s for at_ns in self._back_ns[number]),
        )
        until = int(storm.at_s + back_s[-1]) if back_s else -1
        busy = (n for second, n in attempts_per_s.items() if int(storm.at_s) <= second <= until)
        return StormRecovery(
            storm=storm,
            met=met,
            back=len(back_s),
            back_after_s={share: _at(back_s, math.ceil(share * met)) for share in SHARES},
            peak_per_s=max(busy, default=0),
        )


def _at(back_s: list[float], rank: int) -> float | None:
    return back_s[rank - 1] if 0 < rank <= len(back_s) else None
