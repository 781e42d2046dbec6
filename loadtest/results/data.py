"""What a run is judged and reported from: everything in its files, summed up, and nothing else.

`RunData` is made by `loadtest.results.reader` and never changed. It is bounded however long the run
was: one histogram a tag, one sparse histogram a second for the tags that are compared or drawn, and two
numbers a second for each gauge. Deciding what a number means belongs to `loadtest.verdict`.
"""

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from msgspec import Struct

from loadtest import histograms
from loadtest.drops.kinds import disconnects
from loadtest.drops.plan import Storm
from loadtest.histograms import Histogram
from loadtest.results.manifest import Manifest
from loadtest.session.recorder import ErrorTally, Lifecycle
from loadtest.session.schedule import NS_PER_S

SHARES = (0.5, 0.95, 1.0)

_MAX = 2**62  # nanoseconds or occurrences, far beyond any run


def plausible(number: int | None) -> int:
    """Return a time or a count that a file holds, kept within what can be reckoned with."""
    return min(max(number or 0, 0), _MAX)


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


SECONDS_TAGS = ("service", "response", "outage")
"""Tags kept second by second: those that gates compare and those that reports draw over time."""

STEADY_TAGS = frozenset({"service", "response", "send_slip", "collateral", "push", "after_resume"})
"""Tags whose histogram leaves the warm-up out; connecting and coming back count from the first second."""


class Second(Struct, frozen=True):
    """One second's values of a tag: when it began, since the run's start, and {value in µs: count}.

    In runs of many hours it stands for `RunData.row_s` seconds.
    """

    start_s: float
    buckets: dict[int, int]

    @property
    def samples(self) -> int:
        """How many values were recorded."""
        return sum(self.buckets.values())

    @property
    def max_us(self) -> int:
        """The largest value, 0 without values."""
        return max(self.buckets, default=0)

    def percentile_us(self, percentile: float) -> int | None:
        """Return the value at a percentile in (0, 100], None without values."""
        wanted, seen = max(1, int(percentile / 100 * self.samples + 0.5)), 0
        for value_us in sorted(self.buckets):
            seen += self.buckets[value_us]
            if seen >= wanted:
                return value_us
        return None


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """A gauge of one process over time."""

    at_s: "array[float]"
    values: "array[float]"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageGroup:
    """Outages with the same beginning.

    Args:
        trigger: `drop` where the run dropped the connection, `loss` where server or network did.
        name: the drop's kind, or the loss's cause.
        begun: how often it happened.
        resumed: how often the session was established again after it.
        p50_us, p95_us, max_us: of the outages that ended; None if none did.
    """

    trigger: str
    name: str
    begun: int
    resumed: int
    p50_us: int | None = None
    p95_us: int | None = None
    max_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunData:
    """Everything that is known of a run.

    Args:
        manifest: its run.json.
        length_s: from its start to the end of its last interval.
        counts: by the names of `loadtest.session.recorder.COUNTS`, `drops.KIND` and `losses.CAUSE`; no zeros.
        errors: of all processes together, the commonest first.
        histograms: by tag; see `STEADY_TAGS` for what they leave out. Tags without samples are left out.
        seconds: by tag of `SECONDS_TAGS`, the rows with samples, warm-up included, in order.
        row_s: seconds in such a row: 1, but a power of two in runs of many hours.
        gauges: by name and worker (None in a run of one process).
        attempts_per_s: attempts to connect by second of the run; seconds without are left out.
        outages: by what began them.
        phases: by phase of an outage (detect, wait, dns, tcp, tls, upgrade, resume), of those that ended.
        storms: how each of the plan's went, in the order of their times.
        warnings: what was wrong with the files and could be passed over.
    """

    manifest: Manifest
    length_s: float
    counts: Mapping[str, int]
    errors: Sequence[ErrorTally]
    histograms: Mapping[str, Histogram]
    seconds: Mapping[str, Sequence[Second]]
    row_s: int
    gauges: Mapping[str, Mapping[int | None, Series]]
    attempts_per_s: Mapping[int, int]
    outages: Sequence[OutageGroup]
    phases: Mapping[str, Histogram]
    storms: Sequence[StormRecovery] = ()
    warnings: Sequence[str] = ()

    def count(self, name: str) -> int:
        """Return a count, 0 where nothing was counted."""
        return self.counts.get(name, 0)

    def counts_of(self, prefix: str) -> dict[str, int]:
        """Return the counts of `prefix.NAME` by NAME: of an item, of `drops` or of `losses`."""
        return {
            name.removeprefix(f"{prefix}."): count
            for name, count in self.counts.items()
            if name.startswith(f"{prefix}.")
        }

    def samples(self, tag: str) -> int:
        """Return how many values a tag has."""
        histogram = self.histograms.get(tag)
        return 0 if histogram is None else int(histogram.get_total_count())

    def percentiles_us(
        self, tag: str, percentiles: Sequence[float] = (50, 90, 95, 99, 100)
    ) -> dict[float, int]:
        """Return a tag's value in µs at each percentile in (0, 100]; empty without samples."""
        histogram = self.histograms.get(tag)
        return {} if histogram is None else histograms.percentiles_us(histogram, percentiles)

    def errors_of(self, item: str, most: int = 3) -> list[ErrorTally]:
        """Return an item's commonest errors."""
        return [tally for tally in self.errors if tally.item == item][:most]

    @property
    def herd_peak(self) -> int:
        """The most attempts to connect in one second."""
        return max(self.attempts_per_s.values(), default=0)

    @property
    def herd_peak_s(self) -> int | None:
        """The second of the run with the most attempts to connect, None without attempts."""
        return max(self.attempts_per_s, key=lambda second: self.attempts_per_s[second], default=None)

    def after_warmup(self, tag: str) -> list[dict[int, int]]:
        """Return {value in µs: count} for every row after the warm-up, silent ones included."""
        first = math.ceil(self.manifest.plan.warmup_s / self.row_s)
        rows: list[dict[int, int]] = [{} for _ in range(max(0, int(self.length_s // self.row_s) - first))]
        for second in self.seconds.get(tag, ()):
            row = int(second.start_s // self.row_s) - first
            if 0 <= row < len(rows):
                rows[row] = second.buckets
        return rows

    def percentile_table(
        self, tags: Iterable[str], percentiles: Sequence[float] = (50, 90, 99, 100)
    ) -> dict[str, dict[str, float]]:
        """Return {tag: {"samples": n, "p50_ms": …, "max_ms": …}} for the tags that have samples."""
        return {
            tag: {"samples": self.samples(tag), **_in_ms(self.percentiles_us(tag, percentiles))}
            for tag in tags
            if self.samples(tag)
        }

    def phase_table(self, percentiles: Sequence[float] = (50, 95, 100)) -> dict[str, dict[str, float]]:
        """Return {phase: {"p50_ms": …}} of the outages that ended."""
        return {
            phase: _in_ms(histograms.percentiles_us(histogram, percentiles))
            for phase, histogram in self.phases.items()
        }


def _in_ms(percentiles_us: Mapping[float, int]) -> dict[str, float]:
    return {
        "max_ms" if percentile == 100 else f"p{percentile:g}_ms": value_us / 1000
        for percentile, value_us in percentiles_us.items()
    }
