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
from scipy.special import stdtrit

from loadtest.statistics.bootstrap import sampling_spread
from loadtest.statistics.comparison import LEAST_PAIRS, LEAST_SECONDS
from loadtest.statistics.gates import Gate
from loadtest.statistics.intervals import Intervals
from loadtest.statistics.looks import ERROR
from loadtest.statistics.noise import ASSUMED_NOISE, NoiseFloor

_CHANCE = 0.8
_MOST_PAIRS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Feasibility:
    """What a plan can resolve of one gated quantile, and what would do if it cannot.

    Args:
        margin_ratio: the margin as a share of the baseline.
        resolution_ratio: the smallest margin at which this plan would PASS an unchanged server 4 times in 5.
        feasible: whether that is within the margin.
        pairs_needed: how many pairs of this duration would do; None if it is feasible or over 1000.
        duration_s_needed: how long the runs would have to be at this number of pairs; None if it is
            feasible, or if no length would do, or if the sampling error is not known.
    """

    gate: Gate
    pairs: int
    duration_s: float
    noise: NoiseFloor
    margin_ratio: float
    resolution_ratio: float
    feasible: bool
    pairs_needed: int | None = None
    duration_s_needed: float | None = None

    def __str__(self) -> str:
        plan = f"{self.pairs} pair{'s' * (self.pairs != 1)} of {self.duration_s:g} s"
        told = f"{self.gate}: {plan} can tell a change of {100 * self.resolution_ratio:.2g} %, the margin is "
        told += f"{100 * self.margin_ratio:.2g} % ({self.noise})"
        return told if self.feasible else f"{told}. {self._remedy()}"

    def _remedy(self) -> str:
        ways = []
        if self.pairs_needed is not None:
            ways.append(f"{self.pairs_needed} pairs")
        if self.duration_s_needed is not None:
            ways.append(f"runs of {self.duration_s_needed / 60:.1f} minutes")
        if not ways:
            return f"Not even {_MOST_PAIRS} pairs would do: quieten the machines or widen the margin"
        return f"It would take {' or '.join(ways)}"


def feasibility(
    gate: Gate,
    *,
    pairs: int,
    duration_s: float,
    rng: np.random.Generator,
    baseline: Intervals | None = None,
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
    sampling = 0.0
    margin_ratio = gate.margin.relative_ratio
    if baseline and baseline.samples >= gate.least_samples and baseline.busy >= LEAST_SECONDS:
        sampling = sampling_spread(baseline, gate.quantile, rng=rng).variance * baseline.counts.shape[0]
        margin_ratio = gate.margin.ratio(baseline.percentile_us(gate.quantile) or 0.0)
    margin = math.log1p(margin_ratio)
    run_variance = noise.deviation_ratio**2 + sampling / duration_s
    resolution = _reach(pairs, noise) * math.sqrt(2 * run_variance)
    feasible = resolution <= margin
    return Feasibility(
        gate=gate,
        pairs=pairs,
        duration_s=duration_s,
        noise=noise,
        margin_ratio=margin_ratio,
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
    freedom = pairs - 1 if pairs >= LEAST_PAIRS else noise.freedom
    return float(stdtrit(freedom, 1 - ERROR / 2) + stdtrit(freedom, _CHANCE)) / math.sqrt(pairs)


def _pairs_needed(pairs: int, margin: float, *, run_variance: float, noise: NoiseFloor) -> int | None:
    deviation = math.sqrt(2 * run_variance)
    enough = (n for n in range(pairs + 1, _MOST_PAIRS + 1) if _reach(n, noise) * deviation <= margin)
    return next(enough, None)


def _duration_s_needed(pairs: int, margin: float, *, sampling: float, noise: NoiseFloor) -> float | None:
    """Solve reach² · 2 (noise² + sampling / T) = margin² for T."""
    left = (margin / _reach(pairs, noise)) ** 2 / 2 - noise.deviation_ratio**2
    return sampling / left if sampling > 0 and left > 0 else None
