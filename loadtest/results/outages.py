"""Outages of a run by what began them, with their lengths and the phases they were spent in.

An outage goes from a drop or loss until the session is established again. Its phases are the time until the
client noticed, its waits, the phases of the last attempt, and what is left. They add up to its length.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import attrgetter

from loadtest import histograms
from loadtest.histograms import Histogram
from loadtest.results.loss_groups import LATEST_NS, within_limits
from loadtest.results.outage_triggers import OutageTriggers
from loadtest.results.per_second import OTHER
from loadtest.session.recorder import Lifecycle

PHASES = ("detect", "wait", "dns", "tcp", "proxy", "tls", "upgrade", "resume")
"""Phases that each resume records, in order (`Lifecycle.detect_ns` and so on)."""

FAILED_ATTEMPTS = "failed_attempts"
"""What is left of an outage with several attempts: those that failed."""

PREPARE = "prepare"
"""What is left of an outage with one attempt: the client's login and its own work."""

OUTAGE_PHASES = (*PHASES[:2], FAILED_ATTEMPTS, PREPARE, *PHASES[2:])
"""All phases of an outage, in order."""

SPENT = (*PHASES, FAILED_ATTEMPTS, PREPARE)
"""All phases in the order of `times_spent_ns`."""

_PROXY = PHASES.index("proxy")
_times_ns = attrgetter(*(f"{phase}_ns" for phase in PHASES))


def times_spent_ns(record: Lifecycle) -> list[int]:
    """Return how long the outage that an event ended spent in each phase of `SPENT`; they add up to it."""
    spent_ns = [
        took_ns if took_ns is not None and 0 <= took_ns < LATEST_NS else within_limits(took_ns or 0)
        for took_ns in _times_ns(record)
    ]
    left_ns = max(0, within_limits(record.outage_ns or 0) - sum(spent_ns))
    return [*spent_ns, left_ns, 0] if (record.attempt or 1) > 1 else [*spent_ns, 0, left_ns]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageGroup:
    """Outages with the same trigger and cause.

    Args:
        trigger: `drop` if the run dropped the connection, `loss` if the server or the network did.
        name: the kind of drop, or the cause of the loss.
        begun: number of outages.
        resumed: how many of them ended with the session established again.
        p50_us, p95_us, max_us: duration of the outages that ended; None if none did.
        phases_us: mean duration of each of `OUTAGE_PHASES` over the outages that ended; they add up to the
            mean outage. Empty if none ended.
    """

    trigger: str
    name: str
    begun: int
    resumed: int
    p50_us: int | None = None
    p95_us: int | None = None
    max_us: int | None = None
    phases_us: Mapping[str, float] = field(default_factory=dict)


class OutageGathering:
    """Aggregates outages by trigger and cause, and their phases. Add the events of a session in order.

    Args:
        names_limit: maximum number of distinct triggers and causes; further ones are added up as `OTHER`.
    """

    def __init__(self, names_limit: int) -> None:
        self._names_limit = names_limit
        self._begun: Counter[tuple[str, str]] = Counter()
        self._triggers = OutageTriggers()
        self._outages_ns: defaultdict[tuple[str, str], array[int]] = defaultdict(lambda: array("q"))
        self._spent_ns: defaultdict[tuple[str, str], array[int]] = defaultdict(lambda: array("q"))
        self._proxy_ns = array("q")  # of outages that ended by a proxy

    def event(self, record: Lifecycle) -> None:
        """Add a lifecycle event."""
        if begun := self._triggers.begun(record):
            self._begun[self._key(begun)] += 1
        elif ended := self._triggers.ended(record):
            self._resumed(record, self._key(ended))

    def is_open(self, session: str) -> bool:
        """Return whether a session is in an outage, as far as events tell."""
        return self._triggers.is_open(session)

    def _key(self, trigger: tuple[str, str]) -> tuple[str, str]:
        known = trigger in self._begun or len(self._begun) < self._names_limit
        return trigger if known else (trigger[0], OTHER)

    def _resumed(self, record: Lifecycle, key: tuple[str, str]) -> None:
        self._outages_ns[key].append(within_limits(record.outage_ns or 0))
        spent_ns = times_spent_ns(record)
        self._spent_ns[key].extend(spent_ns)
        if record.proxy_ns is not None:
            self._proxy_ns.append(spent_ns[_PROXY])

    def groups(self) -> list[OutageGroup]:
        """Return the outages by trigger and cause."""
        keys = {**self._begun, **dict.fromkeys(self._outages_ns.keys() - self._begun.keys(), 0)}
        return [self._group(key, begun) for key, begun in sorted(keys.items())]

    def _group(self, key: tuple[str, str], begun: int) -> OutageGroup:
        outages_ns = self._outages_ns.get(key, array("q"))
        at = histograms.percentiles_us(histograms.fold(outages_ns)[0], (50, 95, 100))
        return OutageGroup(
            trigger=key[0],
            name=key[1],
            begun=begun,
            resumed=len(outages_ns),
            p50_us=at.get(50),
            p95_us=at.get(95),
            max_us=at.get(100),
            phases_us=self._means_us(key) if outages_ns else {},
        )

    def _means_us(self, key: tuple[str, str]) -> dict[str, float]:
        outages, spent_ns = len(self._outages_ns[key]), self._spent_ns[key]
        of_phase = {phase: sum(spent_ns[at :: len(SPENT)]) for at, phase in enumerate(SPENT)}
        return {phase: of_phase[phase] / outages / 1000 for phase in OUTAGE_PHASES}

    def phases(self) -> dict[str, Histogram]:
        """Return the durations of each phase over all outages that ended."""
        recorded = ((phase, self._of_phase(at)) for at, phase in enumerate(PHASES))
        return {phase: histograms.fold(took_ns)[0] for phase, took_ns in recorded if took_ns}

    def _of_phase(self, at: int) -> "array[int]":
        if at == _PROXY:
            return self._proxy_ns
        found = array("q")
        for spent_ns in self._spent_ns.values():
            found += spent_ns[at :: len(SPENT)]
        return found
