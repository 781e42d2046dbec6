"""A quantile between two groups of replies: fast and slow ones, for example cached or not.

Where half of the replies take 2 ms and half 40 ms, the median is 2 ms in one run and 40 ms in the next, by
chance, and no number of runs settles it. The share of the slow group can be compared instead.

A gap is a stretch around the quantile's rank, within three sampling errors of a run, that contains hardly any
values and is much wider than the margin, with far more values on either side within its own width (in ln).
The last condition distinguishes a gap from a thinning tail: beyond every stretch of a tail there is less
still.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from loadtest.statistics.quantiles import SecondlyHistograms, pooled

_SAMPLING_ERRORS = 3.0
_EMPTY_RATIO = 0.1
"""Share of the window's values that may lie within a gap."""
_WIDTHS = 3.0
"""How many margins wide a gap is at least."""
_FULLER = 4.0
"""How many times more values than in the gap lie on either side of it."""
_MIN_VALUES = 15
"""On either side; fewer may be chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A gap between two groups of replies.

    Args:
        below_us, above_us: values at its ends.
        below_rank, above_rank: share of all values up to its lower end, and below its upper end.
    """

    below_us: float
    above_us: float
    below_rank: float
    above_rank: float

    @property
    def middle_us(self) -> float:
        """The value that divides the groups."""
        return math.sqrt(self.below_us * self.above_us)


def gap_at(runs: Sequence[SecondlyHistograms], quantile: float, margin_ln: float) -> Gap | None:
    """Return the gap in which a quantile of these runs lies, None if there is none.

    Args:
        runs: all runs of one side, none empty.
        quantile: in (0, 1).
        margin_ln: the margin in ln.
    """
    every = pooled(runs)
    used = every.totals > 0
    ln, counts = np.log(np.maximum(every.values_us[used], 1.0)), every.totals[used]
    cumulative = np.cumsum(counts)
    samples = int(cumulative[-1])
    typical = float(np.median([run.samples for run in runs]))
    error = _SAMPLING_ERRORS * math.sqrt(quantile * (1 - quantile) / typical)
    first = int(np.searchsorted(cumulative, max(0.0, quantile - error) * samples))
    last = int(np.searchsorted(cumulative, min(1.0, quantile + error) * samples))
    allowed = _EMPTY_RATIO * 2 * error * samples
    starts = np.arange(first, min(last, ln.size - 1))
    if not starts.size:
        return None
    # The furthest value that is still within the window and has few enough values before it.
    ends = np.searchsorted(cumulative, cumulative[starts] + allowed, side="right")
    ends = np.minimum(np.maximum(ends, starts + 1), min(last, ln.size - 1))
    best = int(np.argmax(ln[ends] - ln[starts]))
    start, end = int(starts[best]), int(ends[best])
    width = float(ln[end] - ln[start])
    if width < _WIDTHS * margin_ln:
        return None
    inside = int(cumulative[end - 1] - cumulative[start])
    below = cumulative[start] - _count_to(ln, cumulative, ln[start] - width)
    above = _count_to(ln, cumulative, ln[end] + width) - cumulative[end - 1]
    if min(below, above) < max(_MIN_VALUES, _FULLER * inside):
        return None
    gap = Gap(
        below_us=math.exp(ln[start]),
        above_us=math.exp(ln[end]),
        below_rank=float(cumulative[start] / samples),
        above_rank=float(cumulative[end - 1] / samples),
    )
    return gap if _within_runs(runs, quantile, gap) else None


def _within_runs(runs: Sequence[SecondlyHistograms], quantile: float, gap: Gap) -> bool:
    """Whether half of the runs have both groups, on either side of the quantile within sampling errors.

    Otherwise the groups consist of runs, not replies: each run has its own quantile, and they differ.
    """
    found = 0
    for run in runs:
        error = _SAMPLING_ERRORS * math.sqrt(quantile * (1 - quantile) / run.samples)
        found += abs(1.0 - run.count_above(gap.middle_us) / run.samples - quantile) <= error
    return 2 * found >= len(runs)


def _count_to(ln: np.ndarray, cumulative: np.ndarray, limit: float) -> int:
    """Return how many values are at or below a limit."""
    place = int(np.searchsorted(ln, limit, side="right"))
    return int(cumulative[place - 1]) if place else 0
