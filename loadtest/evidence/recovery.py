"""How a run's storms went: whom each met, and how long it took until they were back.

Times count from the storm's moment, and shares are of all it met: a session that never came back makes
"until all were back" unknown, where a percentile of those that did would look fine.
"""

import math
from array import array
from collections import Counter, defaultdict
from dataclasses import dataclass

from loadtest.drops import Storm, disconnects
from loadtest.recorder import Lifecycle
from loadtest.schedule import NS_PER_S

SHARES = (0.5, 0.95, 1.0)

_MOST = 2**62  # nanoseconds or occurrences, far beyond any run


def plausible(number: int | None) -> int:
    """Return a time or a count that a file holds, kept within what can be reckoned with."""
    return min(max(number or 0, 0), _MOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class StormRecovery:
    """How one storm went.

    Args:
        storm: as planned.
        met: sessions that it dropped; members that were not connected at its moment are not among them.
        back: of these, that were established again.
        back_after_s: until so large a share of those met was back, by share; None if it never was.
        peak_per_s: attempts to connect in the busiest second between its moment and the last return, or the
            run's end where some did not return; 0 where nobody was away.
    """

    storm: Storm
    met: int
    back: int
    back_after_s: dict[float, float | None]
    peak_per_s: int

    @property
    def disconnects(self) -> bool:
        """Whether those it met were away at all: a slow reader keeps its connection."""
        return disconnects(self.storm.kind)


class Recoveries:
    """Sums them up, event by event, in the order of the file."""

    def __init__(self, storms: tuple[Storm, ...]) -> None:
        self._storms = storms
        self._met: Counter[int] = Counter()
        self._away: dict[str, int] = {}  # the storm that a session is away because of
        self._back_ns: defaultdict[int, array[int]] = defaultdict(lambda: array("q"))

    def event(self, record: Lifecycle) -> None:
        """Enter a lifecycle event."""
        number = record.storm
        if record.event == "dropped" and number is not None and 0 <= number < len(self._storms):
            self._met[number] += 1
            if disconnects(self._storms[number].kind):
                self._away[record.session] = number
        elif record.event == "resumed" and record.session in self._away:
            self._back_ns[self._away.pop(record.session)].append(plausible(record.at_ns))

    def of(self, attempts_per_s: Counter[int]) -> list[StormRecovery]:
        """Return how each planned storm went, in the order of their times."""
        return [self._one(number, storm, attempts_per_s) for number, storm in enumerate(self._storms)]

    def _one(self, number: int, storm: Storm, attempts_per_s: Counter[int]) -> StormRecovery:
        met = self._met[number]
        back_s = sorted(max(0.0, at_ns / NS_PER_S - storm.at_s) for at_ns in self._back_ns[number])
        until_s = storm.at_s + back_s[-1] if 0 < met <= len(back_s) else math.inf
        busy = (n for second, n in attempts_per_s.items() if int(storm.at_s) <= second <= until_s)
        return StormRecovery(
            storm=storm,
            met=met,
            back=len(back_s),
            back_after_s={share: _at(back_s, math.ceil(share * met)) for share in SHARES},
            peak_per_s=max(busy, default=0) if met and disconnects(storm.kind) else 0,
        )


def _at(back_s: list[float], rank: int) -> float | None:
    return back_s[rank - 1] if 0 < rank <= len(back_s) else None
