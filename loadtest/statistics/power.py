"""Can a planned comparison tell at all? Asked before a run, not after an hour of it.

Nothing changed is the common case, and it should PASS: the whole interval must lie below the margin. With
pairs of deviation s this happens with a chance of 80 % where (t(97.5 %) + t(80 %)) s / √pairs is below
ln(1 + margin), the usual sample size formula (Chow, Shao and Wang, "Sample Size Calculations", 2003,
section 3.2). A pair's variance is twice a run's: the noise floor, which more pairs thin out but longer runs
do not, and the sampling error of its seconds, which both do.
"""

import math
from dataclasses import dataclass

import numpy as np

from loadtest.statistics.bootstrap import sampling_spread
from loadtest.statistics.comparison import ASSUMED_NOISE, MIN_PAIRS, MIN_SECONDS, NoiseFloor
from loadtest.statistics.distributions import student_quantile
from loadtest.statistics.margins import Gate
from loadtest.statistics.quantiles import SecondlyHistograms
from loadtest.statistics.sequential import ERROR

_CHANCE = 0.8
_MAX_PAIRS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Feasibility:
    """What a plan can resolve of one gated quantile, and what would do if it cannot.

    Args:
        margin_ratio: the margin as a share of the baseline.
        baseline_us: the quantile; None where it is not known, and the margin is only the relative one.
        resolution_ratio: the smallest margin at which this plan would PASS an unchanged server 4 times in 5.
        feasible: whether that is within the margin.
        pairs_needed: how many pairs of this duration would do; None if it is feasible or over 1000.
        duration_s_needed: how long the runs would have to be at this number of pairs; None if it is
            feasible, or if no length would do, or if the sampling error is not known.
    """

    gate: Gate
    noise: NoiseFloor
    margin_ratio: float
    resolution_ratio: float
    feasible: bool
    baseline_us: float | None = None
    pairs_needed: int | None = None
    duration_s_needed: float | None = None

    def __str__(self) -> str:
        noise = f" ({self.noise})" if self.noise.measured else ""
        found = "enough" if self.feasible else f"too few, {self._remedy()}"
        told = f"{self.gate}: {_percent(self.resolution_ratio)} can be told from noise{noise}"
        return f"{told}, the margin is {self._margin()}: {found}"

    def _margin(self) -> str:
        """Name the margin, with the time behind it where that is more than the share, or may be."""
        margin, share = self.gate.margin, _percent(self.margin_ratio)
        time = f"{margin.absolute_us / 1000:g} ms"
        if self.baseline_us is None:
            return f"{share}, or {time} where that is more" if margin.absolute_us else share
        if self.margin_ratio > margin.relative_ratio:
            return f"{time} = {share} of {self.baseline_us / 1000:.2f} ms"
        return share

    def _remedy(self) -> str:
        ways = []
        if self.pairs_needed is not None:
            ways.append(f"{self.pairs_needed} pairs")
        if self.duration_s_needed is not None:
            ways.append(f"runs of {_duration(self.duration_s_needed)} after the warm-up")
        if not ways and self.baseline_us is None and self.gate.margin.absolute_us:
            return "unless the time is more, which a first pair tells"
        if not ways:
            return f"and {_MAX_PAIRS} pairs would be, too: it takes quieter machines"
        return f"it takes {' or '.join(ways)}"


def _duration(seconds: float) -> str:
    """Write a duration, rounded up so that it is enough."""
    return f"{math.ceil(seconds)} s" if seconds < 120 else f"{math.ceil(seconds / 60)} minutes"


def _percent(ratio: float) -> str:
    return f"{100 * ratio:.0f} %" if ratio >= 0.1 else f"{100 * ratio:.2g} %"


def feasibility(
    gate: Gate,
    *,
    pairs: int,
    duration_s: float,
    rng: np.random.Generator,
    baseline: SecondlyHistograms | None = None,
    noise: NoiseFloor = ASSUMED_NOISE,
) -> Feasibility:
    """Return whether a plan can judge a quantile against its margin.

    Args:
        gate: the quantile and its margin.
        pairs: planned, at least 1.
        duration_s: planned for each run, above 0.
        rng: source of the bootstrap's randomness.
        baseline: an earlier run under the same load, for the quantile's value and its sampling error; without
            it (or with too few samples in it) only the relative margin and the noise floor count.
        noise: of this quantile.
    """
    sampling, baseline_us = 0.0, None
    margin_ratio = gate.margin.relative_ratio
    if baseline and baseline.samples >= gate.least_samples and baseline.busy >= MIN_SECONDS:
        sampling = sampling_spread(baseline, gate.quantile, rng=rng).variance * baseline.counts.shape[0]
        baseline_us = baseline.percentile_us(gate.quantile) or 0.0
        margin_ratio = gate.margin.ratio(baseline_us)
    margin = math.log1p(margin_ratio)
    run_variance = noise.deviation_ratio**2 + sampling / duration_s
    resolution = _reach(pairs, noise) * math.sqrt(2 * run_variance)
    feasible = resolution <= margin
    return Feasibility(
        gate=gate,
        noise=noise,
        margin_ratio=margin_ratio,
        baseline_us=baseline_us,
        resolution_ratio=math.expm1(resolution),
        feasible=feasible,
        pairs_needed=None
        if feasible
        else _pairs_needed(pairs, margin, run_variance=run_variance, noise=noise),
        duration_s_needed=None
        if feasible
        else _duration_s_needed(pairs, margin, sampling=sampling, noise=noise),
    )


def _reach(pairs: int, noise: NoiseFloor) -> float:
    """Return how many deviations of a pair the margin must be away."""
    freedom = pairs - 1 if pairs >= MIN_PAIRS else noise.freedom
    quantiles = (student_quantile(freedom, share) for share in (1 - ERROR / 2, _CHANCE))
    return float(sum(quantiles)) / math.sqrt(pairs)


def _pairs_needed(pairs: int, margin: float, *, run_variance: float, noise: NoiseFloor) -> int | None:
    deviation = math.sqrt(2 * run_variance)
    enough = (n for n in range(pairs + 1, _MAX_PAIRS + 1) if _reach(n, noise) * deviation <= margin)
    return next(enough, None)


def _duration_s_needed(pairs: int, margin: float, *, sampling: float, noise: NoiseFloor) -> float | None:
    """Solve reach² · 2 (noise² + sampling / T) = margin² for T."""
    left = (margin / _reach(pairs, noise)) ** 2 / 2 - noise.deviation_ratio**2
    return sampling / left if sampling > 0 and left > 0 else None
