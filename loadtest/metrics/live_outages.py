"""The outages of a run in progress: their lengths by cause, and the time spent in each phase."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from loadtest.metrics.bounded_names import BoundedNames
from loadtest.metrics.buckets import OUTAGES_S, BucketCounts
from loadtest.results.outage_triggers import OutageTriggers
from loadtest.results.outages import SPENT, times_spent_ns
from loadtest.session.recorder import Lifecycle
from loadtest.session.schedule import NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageKind:
    """Outages with the same cause.

    Args:
        trigger: `drop` or `loss`.
        name: the kind of drop, or the cause of the loss.
        begun: number of outages.
        seconds: lengths of the outages that have ended.
        phases_s: sum of the seconds in each phase, over the outages that have ended.
    """

    trigger: str
    name: str
    begun: int
    seconds: BucketCounts
    phases_s: Mapping[str, float]


class LiveOutages:
    """Counts outages by cause. The events of a session must arrive in order."""

    def __init__(self) -> None:
        self._triggers = OutageTriggers()
        self._names = {trigger: BoundedNames() for trigger in ("drop", "loss")}
        self._begun: Counter[tuple[str, str]] = Counter()
        self._seconds: dict[tuple[str, str], BucketCounts] = {}
        self._phases_s: dict[tuple[str, str], defaultdict[str, float]] = {}

    def append(self, events: Iterable[Lifecycle]) -> None:
        """Add the lifecycle events of an interval."""
        for record in events:
            if begun := self._triggers.begun(record):
                self._begun[self._key(begun)] += 1
            elif ended := self._triggers.ended(record):
                self._end(self._key(ended), record)

    def _key(self, trigger: tuple[str, str]) -> tuple[str, str]:
        of, name = trigger
        return of, self._names[of].of(name)

    def _end(self, key: tuple[str, str], record: Lifecycle) -> None:
        if key not in self._seconds:
            self._seconds[key], self._phases_s[key] = BucketCounts(OUTAGES_S), defaultdict(float)
        self._seconds[key].add((record.outage_ns or 0) / NS_PER_S)
        phases_s = self._phases_s[key]
        for phase, took_ns in zip(SPENT, times_spent_ns(record), strict=True):
            phases_s[phase] += took_ns / NS_PER_S

    @property
    def kinds(self) -> list[OutageKind]:
        """The kinds of outages so far, the most frequent first."""
        keys = sorted({**self._begun, **self._seconds}, key=lambda key: (-self._begun[key], key))
        return [
            OutageKind(
                trigger=key[0],
                name=key[1],
                begun=self._begun[key],
                seconds=self._seconds.get(key) or BucketCounts(OUTAGES_S),
                phases_s=self._phases_s.get(key, {}),
            )
            for key in keys
        ]
