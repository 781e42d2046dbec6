"""What the charts of a comparison draw, gathered pair by pair: one pair in memory at a time.

Percentiles and outages are those of all pairs that count together: histograms are added up, never averaged.
What is drawn over time is one pair, the first that counts. If no pair counts, all are drawn.
Memory is bounded for any number of pairs: a histogram a tag, a mean a kind of outage, and two timelines.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum

from loadtest import histograms
from loadtest.histograms import Histogram
from loadtest.report.outage_phases import OutagePhases, outage_phases
from loadtest.report.timeline import Timeline, bin_s_of, timeline
from loadtest.results.data import RunData
from loadtest.results.interval import counts_of
from loadtest.session.schedule import NS_PER_S

CURVES = ("service", "response")
"""Tags of which percentiles are drawn."""

_MAX_KINDS = 60
"""Kinds of outages that are kept: a file may name any number of causes."""


class First(StrEnum):
    """Which run of a pair was made first."""

    BASELINE = "baseline first"
    CANDIDATE = "candidate first"
    TOGETHER = "both at once"


def first_of(baseline: RunData, candidate: RunData) -> First:
    """Return which run was made first; runs that overlap were made at once."""
    apart_ns = candidate.manifest.started_unix_ns - baseline.manifest.started_unix_ns
    earlier = baseline if apart_ns >= 0 else candidate
    if abs(apart_ns) < earlier.length_s * NS_PER_S:
        return First.TOGETHER
    return First.BASELINE if earlier is baseline else First.CANDIDATE


class SideSums:
    """The sums over the runs of one side.

    Attributes:
        runs: how many runs there are.
        length_s: how long they took together.
        counts: their counts by name, as in `RunData.counts`.
        outages: by trigger and kind.
    """

    def __init__(self) -> None:
        self.runs = 0
        self.length_s = 0.0
        self.counts: Counter[str] = Counter()
        self.outages: dict[tuple[str, str], OutagePhases] = {}
        self._histograms: dict[str, Histogram] = {}

    def add(self, run: RunData) -> None:
        """Add a run."""
        self.runs += 1
        self.length_s += run.length_s
        self.counts.update(run.counts)
        for tag in CURVES:
            if tag in run.histograms:
                known = [self._histograms[tag]] if tag in self._histograms else []
                self._histograms[tag] = histograms.merged([*known, run.histograms[tag]])
        for found in outage_phases(run):
            key = (found.trigger, found.kind)
            if key in self.outages:
                self.outages[key] = self.outages[key].plus(found)
            elif len(self.outages) < _MAX_KINDS:
                self.outages[key] = found

    def total(self, family: str) -> int:
        """Return the sum of the counts `family.NAME`, such as all drops."""
        return sum(counts_of(self.counts, family).values())

    def samples(self, tag: str) -> int:
        """Return the number of samples of a tag."""
        histogram = self._histograms.get(tag)
        return 0 if histogram is None else int(histogram.get_total_count())

    def carried_us(self, tag: str, percentiles: Sequence[float]) -> Mapping[float, int]:
        """Return a tag's value in µs at those of the percentiles that its samples carry."""
        return histograms.carried_us(self._histograms.get(tag), percentiles)


class PairSums:
    """The runs of a comparison, as far as they are drawn.

    Attributes:
        baseline, candidate: the sums of both sides over the pairs that count.
        firsts: by pair, which run was made first.
        total_s: how long all runs took together, those of pairs that do not count, too.
        valid: how many pairs count.
        drawn: number of the pair that is drawn over time, 0 before there is one.
        over_time: the runs of that pair with bins of the same length, None before there is one.
    """

    def __init__(self) -> None:
        self.baseline, self.candidate = SideSums(), SideSums()
        self.firsts: list[First] = []
        self.drawn = 0
        self.over_time: tuple[Timeline, Timeline] | None = None
        self.total_s = 0.0
        self.valid = 0

    @property
    def outages(self) -> Mapping[str, Collection[OutagePhases]]:
        """The outages of both sides, by the side's name."""
        sides = {"baseline": self.baseline, "candidate": self.candidate}
        return {name: side.outages.values() for name, side in sides.items()}

    def add(self, baseline: RunData, candidate: RunData, *, fit: bool) -> None:
        """Add the next pair.

        Args:
            baseline, candidate: its runs.
            fit: whether it counts.
        """
        self.firsts.append(first_of(baseline, candidate))
        self.total_s += baseline.length_s + candidate.length_s
        if fit and not self.valid:  # what was gathered so far does not count
            self.baseline, self.candidate, self.drawn = SideSums(), SideSums(), 0
        self.valid += fit
        if fit or not self.valid:
            self.baseline.add(baseline)
            self.candidate.add(candidate)
        if not self.drawn:
            bin_s = max(bin_s_of(baseline), bin_s_of(candidate))
            self.drawn = len(self.firsts)
            self.over_time = timeline(baseline, bin_s=bin_s), timeline(candidate, bin_s=bin_s)
