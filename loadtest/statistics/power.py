"""Power of a planned comparison, computed before an hour is spent on runs.

Most releases change nothing, and should PASS: the whole interval must lie below the margin. If a pair's
deviation is s, this happens with a probability of 80% when (t(97.5%) + t(80%)) s / √pairs is at most
ln(1 + margin), the usual sample size formula (Chow, Shao and Wang, "Sample Size Calculations", 2003,
section 3.2). A pair's variance is twice a run's. A run's is the noise floor, which more pairs average out but
longer runs do not, plus the sampling error of its seconds, which both reduce.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from loadtest import text
from loadtest.statistics.bootstrap import sampling_spread
from loadtest.statistics.comparison import ASSUMED_NOISE, MIN_PAIRS, MIN_SECONDS, NoiseFloor
from loadtest.statistics.distributions import student_quantile
from loadtest.statistics.margins import Gate
from loadtest.statistics.quantiles import SecondlyHistograms
from loadtest.statistics.sequential import ERROR

_CHANCE = 0.8
_MAX_PAIRS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """The resolution of a plan for one gated quantile, and what to change if it is too coarse.

    Args:
        gate: the quantile and its margin.
        noise: the quantile's run-to-run noise.
        margin_ratio: the margin as a share of the baseline.
        resolution_ratio: the smallest margin at which this plan would PASS an unchanged server 4 times in 5.
        feasible: whether the resolution is within the margin.
        baseline_us: the quantile; None if it is not known, and then the margin is the relative one only.
        pairs_needed: how many pairs of this duration would do; None if feasible or above 1000.
        duration_s_needed: how long runs must be with this number of pairs; None if feasible, if no duration
            would do, or if the sampling error is not known.
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
        resolution = f"{self.gate}: {text.share(self.resolution_ratio)} can be told from noise{noise}"
        return f"{resolution}, the margin is {self._margin()}: {found}"

    def _margin(self) -> str:
        """Describe the margin, with the absolute time if that is larger than the share or may be."""
        margin, share = self.gate.margin, text.share(self.margin_ratio)
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
    """Format a duration, rounded up so that it suffices."""
    return f"{math.ceil(seconds)} s" if seconds < 120 else f"{math.ceil(seconds / 60)} minutes"


def power_of(
    gate: Gate,
    *,
    pairs: int,
    duration_s: float,
    rng: np.random.Generator,
    baseline: SecondlyHistograms | None = None,
    noise: NoiseFloor = ASSUMED_NOISE,
) -> Power:
    """Return whether a plan can judge a quantile against its margin.

    Args:
        gate: the quantile and its margin.
        pairs: planned number of pairs, at least 1.
        duration_s: planned duration of each run in seconds, above 0.
        rng: source of the bootstrap's randomness.
        baseline: an earlier run under the same load, for the quantile's value and sampling error; without it,
            or with too few samples in it, only the relative margin and the noise floor count.
        noise: the quantile's run-to-run noise.
    """
    sampling, baseline_us = _measured(gate, baseline, rng)
    margin_ratio = gate.margin.relative_ratio if baseline_us is None else gate.margin.ratio(baseline_us)
    margin = math.log1p(margin_ratio)
    run_variance = noise.deviation_ratio**2 + sampling / duration_s
    resolution = _reach(pairs, noise) * math.sqrt(2 * run_variance)
    feasible = resolution <= margin
    found = Power(
        gate=gate,
        noise=noise,
        margin_ratio=margin_ratio,
        baseline_us=baseline_us,
        resolution_ratio=math.expm1(resolution),
        feasible=feasible,
    )
    if feasible:
        return found
    return replace(
        found,
        pairs_needed=_pairs_needed(pairs, margin, run_variance=run_variance, noise=noise),
        duration_s_needed=_duration_s_needed(pairs, margin, sampling=sampling, noise=noise),
    )


def _measured(
    gate: Gate, baseline: SecondlyHistograms | None, rng: np.random.Generator
) -> tuple[float, float | None]:
    """Return the variance of a second's sampling error and the quantile; 0 and None if they are not known."""
    if baseline is None or baseline.samples < gate.least_samples or baseline.busy < MIN_SECONDS:
        return 0.0, None
    variance = sampling_spread(baseline, gate.quantile, rng=rng).variance * baseline.counts.shape[0]
    return variance, baseline.percentile_us(gate.quantile) or 0.0


def _reach(pairs: int, noise: NoiseFloor) -> float:
    """Return how many deviations of a pair the margin must span."""
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
