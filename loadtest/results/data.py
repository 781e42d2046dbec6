"""`RunData`: everything in a run's files, aggregated. Verdicts and reports use nothing else.

`loadtest.results.reader` builds a `RunData`; it is never changed afterwards. Its size is bounded for runs of
any length: one histogram per tag, one sparse histogram per second (or longer row) for the tags that are
compared or drawn, and two numbers per second for each gauge. What a number means is decided in
`loadtest.verdict`, never here.
"""

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec import Struct

from loadtest import histograms
from loadtest.drops.kinds import disconnects
from loadtest.drops.plan import Storm
from loadtest.histograms import Histogram
from loadtest.results.drill_recovery import DrillRecovery, back_after
from loadtest.results.identities import SharedIdentities
from loadtest.results.interval import counts_of
from loadtest.results.manifest import Manifest
from loadtest.results.outages import OutageGroup
from loadtest.results.per_second import PerSecond
from loadtest.results.uptime import Uptime
from loadtest.session.recorder import NAMED, ErrorTally, Lifecycle, name_of, size_tag
from loadtest.session.schedule import NS_PER_S

_MAX = 2**62  # nanoseconds or occurrences, far beyond any run


def plausible(number: int | None) -> int:
    """Clamp a time or a count read from a file to [0, 2**62], so that sums cannot overflow; None is 0."""
    return min(max(number or 0, 0), _MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class StormRecovery:
    """How one storm went.

    Args:
        storm: as planned.
        met: number of sessions it dropped. Sessions that were not connected at that moment do not count.
        back: how many of these were established again.
        back_after_s: seconds from the storm until this share of the dropped sessions was back, by share
            (`SHARES`); None if that share never came back.
        peak_per_s: connection attempts in the busiest second between the storm and the last session's return,
            or the run's end if some never returned; 0 if no session was disconnected.
    """

    storm: Storm
    met: int
    back: int
    back_after_s: dict[float, float | None]
    peak_per_s: int

    @property
    def disconnects(self) -> bool:
        """Whether the storm disconnects sessions; a slow reader keeps its connection."""
        return disconnects(self.storm.kind)


class Recoveries:
    """Builds the `StormRecovery` of each storm from lifecycle events, in file order."""

    def __init__(self, storms: tuple[Storm, ...]) -> None:
        self._storms = storms
        self._met: Counter[int] = Counter()
        self._away: dict[str, int] = {}  # by disconnected session, the storm that dropped it
        self._back_ns: defaultdict[int, array[int]] = defaultdict(lambda: array("q"))

    def event(self, record: Lifecycle) -> None:
        """Add a lifecycle event."""
        number = record.storm
        if record.event == "dropped" and number is not None and 0 <= number < len(self._storms):
            self._met[number] += 1
            if disconnects(self._storms[number].kind):
                self._away[record.session] = number
        elif record.event == "resumed" and record.session in self._away:
            self._back_ns[self._away.pop(record.session)].append(plausible(record.at_ns))

    def of(self, attempts_per_s: Counter[int]) -> list[StormRecovery]:
        """Return how each planned storm went, ordered by time."""
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
            back_after_s=back_after(back_s, met),
            peak_per_s=max(busy, default=0) if met and disconnects(storm.kind) else 0,
        )


SECONDS_TAGS = ("service", "response", "connect", "resume", "outage", "after_resume")
"""Tags kept per second: those that gates compare and those that reports draw over time."""

STEADY_TAGS = frozenset(
    {
        *("service", "response", "send_slip", "loop_lag", "collateral", "push", "after_resume"),
        *("waited", "stalled", "first_part", "part_gap"),
    }
)
"""Tags whose total histogram excludes the warm-up. Connects and reconnects count from the first second."""

WHOLE_RUN_TAGS = frozenset({"connect", "resume"})
"""Tags that gates compare over the whole run: sessions connect in the warm-up, and drops begin in it."""


class Second(Struct, frozen=True):
    """A tag's values in one row: its start in seconds since the run's start, and {value in µs: count}.

    A row is one second; in runs of many hours it is `RunData.row_s` seconds.
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

    def carried_us(self, percentiles: Iterable[float]) -> dict[float, int]:
        """Return the value in µs at each of the percentiles that the samples carry (`histograms.carries`).

        Args:
            percentiles: in (0, 100], ascending.
        """
        samples, found = self.samples, dict[float, int]()
        wanted = [percentile for percentile in percentiles if histograms.carries(samples, percentile)]
        ascending, seen, value_us = iter(sorted(self.buckets)), 0, 0
        for percentile in wanted:
            rank = max(1, int(percentile / 100 * samples + 0.5))
            while seen < rank:
                value_us = next(ascending)
                seen += self.buckets[value_us]
            found[percentile] = value_us
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """A gauge of one process over time."""

    at_s: "array[float]"
    values: "array[float]"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunData:
    """Everything known about a run.

    Args:
        manifest: the content of run.json.
        length_s: seconds from the run's start to the end of its last interval.
        counts: by name (`loadtest.session.recorder.COUNTS`, `drops.KIND`, `losses.CAUSE`,
            `closes.CODE`), without zeros.
        errors: of all processes together, most frequent first.
        histograms: values in µs, by tag. Tags without samples are left out; `STEADY_TAGS` exclude the
            warm-up.
        seconds: by tag of `SECONDS_TAGS`, the rows that have samples, in order, including the warm-up.
        row_s: seconds per row: 1, or a higher power of two in runs of many hours.
        per_second: what was counted in each row, of all processes together.
        log_errors_per_s: records of the server's log at ERROR or worse by second of the run, by the tool's
            clock; None if no log was judged with the run.
        gauges: by name, then by worker (None in a run of one process).
        attempts_per_s: connection attempts by second of the run; seconds without attempts are left out.
        outages: grouped by trigger and cause.
        phases: durations in µs by phase (detect, wait, dns, tcp, proxy, tls, upgrade, resume) of the outages
            that ended.
        uptime: how long connections were up, and how they were lost.
        explained_by_losses: failed attempts by item (`connect`, `reconnect`) that lost connections explain.
        storms: how each planned storm went, ordered by time.
        drills: how each drill went, ordered by planned start.
        shared_identities: sessions whose id another session has too, None if there are none, or if sessions
            of the dialect have no identity.
        classes: the same for each user class of a run that has several, by name.
        warnings: problems with the files that did not prevent reading them.
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
    uptime: Uptime
    per_second: PerSecond = field(default_factory=PerSecond)
    log_errors_per_s: Mapping[int, int] | None = None
    explained_by_losses: Mapping[str, int] = field(default_factory=dict)
    storms: Sequence[StormRecovery] = ()
    drills: Sequence[DrillRecovery] = ()
    shared_identities: SharedIdentities | None = None
    classes: "Mapping[str, RunData]" = field(default_factory=dict)
    warnings: Sequence[str] = ()

    def count(self, name: str) -> int:
        """Return a count by name, 0 if there is none."""
        return self.counts.get(name, 0)

    def counts_of(self, prefix: str) -> dict[str, int]:
        """Return the counts `prefix.NAME` by NAME. The prefix is an item, `drops` or `losses`."""
        return counts_of(self.counts, prefix)

    @property
    def only_scripted(self) -> bool:
        """Whether sessions send nothing but what their script does: no message has a planned moment."""
        return bool(self.manifest.plan.tasks) and self.manifest.plan.rate == 0

    @property
    def size_tags(self) -> dict[str, int]:
        """The tags of round trips by the size of their texts, with the size in bytes; empty for one size."""
        return {size_tag(size): size for size in self.manifest.plan.sizes}

    @property
    def name_tags(self) -> dict[str, str]:
        """The tags of round trips by the name of their request, with the name; the most frequent first."""
        tags = [tag for tag in self.histograms if tag.startswith(NAMED)]
        return {tag: name_of(tag) for tag in sorted(tags, key=lambda tag: (-self.samples(tag), tag))}

    def samples(self, tag: str) -> int:
        """Return the number of samples of a tag."""
        histogram = self.histograms.get(tag)
        return 0 if histogram is None else int(histogram.get_total_count())

    def percentiles_us(
        self, tag: str, percentiles: Sequence[float] = (50, 90, 95, 99, 100)
    ) -> dict[float, int]:
        """Return a tag's value in µs at each percentile in (0, 100]; empty without samples."""
        histogram = self.histograms.get(tag)
        return {} if histogram is None else histograms.percentiles_us(histogram, percentiles)

    def carried_us(self, tag: str, percentiles: Sequence[float]) -> dict[float, int]:
        """Return a tag's value in µs at those of the percentiles that its samples carry."""
        return histograms.carried_us(self.histograms.get(tag), percentiles)

    def errors_of(self, item: str, most: int = 3) -> list[ErrorTally]:
        """Return an item's most frequent errors."""
        return [tally for tally in self.errors if tally.item == item][:most]

    @property
    def herd_peak(self) -> int:
        """The highest number of connection attempts in one second."""
        return max(self.attempts_per_s.values(), default=0)

    @property
    def herd_peak_s(self) -> int | None:
        """The second of the run with the most connection attempts, None without attempts."""
        return max(self.attempts_per_s, key=lambda second: self.attempts_per_s[second], default=None)

    def after_warmup(self, tag: str) -> list[dict[int, int]]:
        """Return {value in µs: count} for each whole row after the warm-up, empty rows included."""
        first = math.ceil(self.manifest.plan.warmup_s / self.row_s)
        return self._rows(tag, first)

    def compared_rows(self, tag: str) -> list[dict[int, int]]:
        """Return `after_warmup`, or the same for the whole run if the tag is one of `WHOLE_RUN_TAGS`."""
        return self._rows(tag, 0) if tag in WHOLE_RUN_TAGS else self.after_warmup(tag)

    def _rows(self, tag: str, first: int) -> list[dict[int, int]]:
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
        """Return {phase: {"p50_ms": …}} for the outages that ended."""
        return {
            phase: _in_ms(histograms.percentiles_us(histogram, percentiles))
            for phase, histogram in self.phases.items()
        }


def _in_ms(percentiles_us: Mapping[float, int]) -> dict[str, float]:
    return {
        "max_ms" if percentile == 100 else f"p{percentile:g}_ms": value_us / 1000
        for percentile, value_us in percentiles_us.items()
    }
