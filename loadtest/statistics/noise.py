"""How much a gate's value differs from run to run of the same server: assumed, or measured over earlier runs.

The history is all earlier fit runs of a plan, of any revision, on the same kind of machine. Change points
(`loadtest.statistics.changes`) split a gate's series into segments of one level. The noise is the deviation
around the segments' means, with runs - segments degrees of freedom.

Runs of one day resemble each other: the machine's neighbours, its temperature, a kernel. Where three days or
more have two runs or more each, a one-way analysis of variance divides the noise into the part within a day
and the part between days (Searle, Casella and McCulloch, "Variance Components", 1992, section 3.6), with
Satterthwaite's (1946) freedom. The segments are then those of the days' means: days can be exchanged, runs of
different days cannot, and change points among runs would treat each unusual day as a new level. A pair made
on one day has only the part within a day. If the parts are unknown, such a pair gets the noise of all runs,
which is no less; a pair of different days needs runs of eight different days.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loadtest.statistics.bootstrap import Spread
from loadtest.statistics.changes import change_points
from loadtest.statistics.margins import GATES, Gate
from loadtest.statistics.quantiles import Floats

# Fewer runs would leave a standard deviation uncertain by more than a quarter: 1 / sqrt(2 (8 - 1)).
MIN_RUNS = 8
_MIN_REPEATED_DAYS = 3
_SEGMENT_ERROR = 0.01
"""Level of a change point here. Splits made by chance leave too little noise; an undetected change leaves too
much, which is safe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """An earlier fit run of the plan, of any revision, on the same kind of machine.

    Args:
        day: UTC date on which it started, such as "2026-11-29"; only compared for equality.
        values: by gate name, in the units of `loadtest.statistics.measured_run.value`; None if unknown.
    """

    day: str
    values: Mapping[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """The deviation of one gate's value from run to run.

    Args:
        assumed_ratio: standard deviation assumed where nothing is measured, in ln units.
        runs: number of earlier runs it was measured over; 0 if it is assumed.
        same_day: variance of one run of a pair made on one day; None if it is assumed.
        other_day: variance of one run of a pair made on different days; None if it is assumed.
    """

    assumed_ratio: float
    runs: int = 0
    same_day: Spread | None = None
    other_day: Spread | None = None

    def assumed(self, *, same_day: bool) -> bool:
        """Whether the noise of such a pair is assumed, not measured."""
        return (self.same_day if same_day else self.other_day) is None

    def of_pair(self, *, same_day: bool) -> Spread:
        """Return the variance of ONE run of a pair, with its degrees of freedom (infinite if assumed)."""
        measured = self.same_day if same_day else self.other_day
        return measured or Spread(self.assumed_ratio**2, math.inf)

    def text(self, *, same_day: bool) -> str:
        """Describe the noise: `run-to-run noise of 5%, assumed`."""
        deviation = math.sqrt(self.of_pair(same_day=same_day).variance)
        source = "assumed" if self.assumed(same_day=same_day) else f"measured over {self.runs} runs"
        return f"run-to-run noise of {100 * deviation:.2g}%, {source}"


def assumed_noise(gate: Gate) -> Noise:
    """Return the assumed noise of a gate, for use until it is measured."""
    return Noise(assumed_ratio=gate.assumed_ratio)


def noise_of(history: Sequence[PastRun], gates: Iterable[Gate] = GATES) -> dict[str, Noise]:
    """Return the noise by gate name, measured as far as the history allows.

    Args:
        history: oldest first, of any revision; may be empty.
        gates: the gates to judge.
    """
    return {gate.name: _noise(gate, history) for gate in gates}


def _noise(gate: Gate, history: Sequence[PastRun]) -> Noise:
    known = [
        (run.day, value)
        for run in history
        if (value := run.values.get(gate.name)) is not None and math.isfinite(value)
    ]
    if gate.kind.counted or len(known) < MIN_RUNS:
        return assumed_noise(gate)
    order = list(dict.fromkeys(day for day, _ in known))
    days = np.array([order.index(day) for day, _ in known], dtype=np.intp)
    values = np.array([value for _, value in known])
    same_day, other_day = _components(values, days) or _spreads(values, days)
    return Noise(assumed_ratio=gate.assumed_ratio, runs=len(known), same_day=same_day, other_day=other_day)


def _spreads(values: Floats, days: npt.NDArray[np.intp]) -> tuple[Spread | None, Spread | None]:
    """Return the spread of all runs, and that of the newest run of each day."""
    newest = sorted(int(np.flatnonzero(days == day)[-1]) for day in np.unique(days))
    return _residual_spread(values), _residual_spread(values[newest])


def _segments(values: Floats) -> npt.NDArray[np.int64]:
    """Return the number of each run's segment, shape (runs,), from 0."""
    found = change_points(values.tolist(), rng=np.random.default_rng(0), error=_SEGMENT_ERROR)
    starts = np.zeros(values.size, dtype=np.int64)
    starts[[point.index for point in found]] = 1
    return np.cumsum(starts)


def _residuals(values: Floats) -> tuple[Floats, int]:
    """Return each run's distance from the mean of its segment, and the number of segments."""
    segments = _segments(values)
    means = np.bincount(segments, weights=values) / np.bincount(segments)
    return values - means[segments], means.size


def _residual_spread(values: Floats) -> Spread | None:
    """Return the spread around the segments' means, None with too few runs."""
    if values.size < MIN_RUNS:
        return None
    residuals, segments = _residuals(values)
    freedom = values.size - segments
    return Spread(variance=float(residuals @ residuals) / freedom, freedom=freedom)


def _components(values: Floats, days: npt.NDArray[np.intp]) -> tuple[Spread, Spread] | None:
    """Return the spread of a run within its day, and over days; None if too few days have two runs or more.

    Args:
        values: shape (runs,), oldest first.
        days: shape (runs,), number of each run's day, from 0, the oldest day first.
    """
    sizes = np.bincount(days)
    if np.count_nonzero(sizes >= 2) < _MIN_REPEATED_DAYS:
        return None
    means = np.bincount(days, weights=values) / sizes
    around = values - means[days]
    within = Spread(float(around @ around) / (values.size - sizes.size), values.size - sizes.size)
    # Segments of days: runs of one day resemble each other, and would be taken for a level.
    segments = _segments(means)
    levels = np.bincount(segments, weights=sizes * means) / np.bincount(segments, weights=sizes)
    between_freedom = sizes.size - levels.size
    between = float(sizes @ (means - levels[segments]) ** 2) / between_freedom
    if between <= within.variance:
        residuals, freedom = values - levels[segments[days]], values.size - levels.size
        pooled = Spread(float(residuals @ residuals) / freedom, freedom)
        return within, max(within, pooled, key=lambda spread: spread.variance)
    typical = (values.size - float(sizes @ sizes) / values.size) / (sizes.size - 1)
    parts = between / typical, (1 - 1 / typical) * within.variance
    doubt = parts[0] ** 2 / between_freedom + parts[1] ** 2 / within.freedom
    return within, Spread(sum(parts), sum(parts) ** 2 / doubt)
