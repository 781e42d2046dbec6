"""The change of a gate on times (a quantile, or the drift) from the baseline's runs to the candidate's.

The estimate is the mean over the units of d = value(candidate) - value(baseline), in ln. With four or more
units, their own spread gives Student's t, which is valid whatever makes runs differ. With fewer, that spread
is too uncertain, and each run's variance comes from elsewhere:

    measured noise  the larger of the noise over earlier runs, which includes their sampling error, and the
                    block bootstrap of the run itself
    assumed noise   the block bootstrap plus the assumed variance; the lower bound with twice the assumed
                    deviation, because it is only a guess, and a wrong FAIL costs more than a duel

Variances of several estimates are added with the freedom of Welch and Satterthwaite (1946).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from loadtest.statistics.bootstrap import Spread, sampling_spread
from loadtest.statistics.distributions import student_quantile
from loadtest.statistics.margins import Gate, GateKind
from loadtest.statistics.measured_run import MeasuredRun, value
from loadtest.statistics.noise import Noise
from loadtest.statistics.rule import MIN_UNITS, Bounds, Levels

Unit = Sequence[tuple[MeasuredRun, MeasuredRun]]
"""Pairs (baseline, candidate) that share their process instances: nearly always one pair."""

CAUTION = 2.0
"""How many times the assumed deviation a FAIL on assumed noise must withstand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeChange:
    """The mean difference over the units, and its spread.

    Args:
        difference: mean of candidate - baseline, in ln.
        units: number of units.
        spread: variance of the mean difference and its freedom.
        cautious: the same for the lower bound.
    """

    difference: float
    units: int
    spread: Spread
    cautious: Spread

    def bounds(self, margin: float, levels: Levels, *, cautiously: bool = True) -> Bounds:
        """Return the bounds for the current units.

        Args:
            margin: in ln.
            levels: error levels.
            cautiously: whether the lower bound withstands twice the assumed noise.
        """
        lower = self.cautious if cautiously else self.spread
        return Bounds(
            change=self.difference,
            low=self.difference - _reach(lower, levels.to_fail(self.units)),
            high=self.difference + _reach(self.spread, levels.to_pass(self.units)),
            margin=margin,
        )

    def bounds_at(self, units: int, margin: float, levels: Levels) -> Bounds:
        """Return the bounds for this many units (at least `MIN_UNITS`) with the same mean and spread."""
        spread = Spread(self.spread.variance * self.units / units, units - 1)
        levels = levels.at(units)
        return Bounds(
            change=self.difference,
            low=self.difference - _reach(spread, levels.to_fail(units)),
            high=self.difference + _reach(spread, levels.to_pass(units)),
            margin=margin,
        )


def _reach(spread: Spread, level: float) -> float:
    return -float(student_quantile(spread.freedom, level)) * math.sqrt(spread.variance)


def time_change(
    gate: Gate,
    units: Sequence[Unit],
    *,
    noise: Noise,
    same_day: bool,
    rng: np.random.Generator,
    resamples: int,
) -> TimeChange:
    """Return the change of a gate on times; every run must have a value.

    Args:
        gate: a quantile or the drift.
        units: one or more, each of one or more pairs.
        noise: the gate's run-to-run noise; used with fewer than four units.
        same_day: whether both runs of every pair were made on one day.
        rng, resamples: of the bootstrap; used with fewer than four units.
    """
    differences = [
        math.fsum(_known(gate, after) - _known(gate, before) for before, after in unit) / len(unit)
        for unit in units
    ]
    if len(units) >= MIN_UNITS:
        spread = spread_of_mean(differences)
        cautious = spread
    else:
        own = [[_sampling(gate, run, rng, resamples) for pair in unit for run in pair] for unit in units]
        spread = _mean_spread(own, noise, same_day=same_day, factor=1.0)
        cautious = _mean_spread(own, noise, same_day=same_day, factor=CAUTION)
    return TimeChange(
        difference=float(np.mean(differences)),
        units=len(units),
        spread=spread,
        cautious=cautious,
    )


def spread_of_mean(differences: Sequence[float]) -> Spread:
    """Return the spread of the mean of independent differences, two or more."""
    count = len(differences)
    return Spread(float(np.var(differences, ddof=1)) / count, count - 1)


def _known(gate: Gate, run: MeasuredRun) -> float:
    found = value(gate, run)
    assert found is not None, "runs without samples were turned away"
    return found


def _sampling(gate: Gate, run: MeasuredRun, rng: np.random.Generator, resamples: int) -> Spread:
    """Return the spread of a run's value that comes from the run's own seconds."""
    parts = run.thirds(gate.tag) if gate.kind is GateKind.DRIFT else (run.histogram(gate.tag),)
    return joined([sampling_spread(part, gate.quantile, rng=rng, resamples=resamples) for part in parts])


def _mean_spread(own: Sequence[Sequence[Spread]], noise: Noise, *, same_day: bool, factor: float) -> Spread:
    """Return the spread of the mean difference over few units.

    Args:
        own: per unit, the sampling spread of each run: for each pair, baseline, then candidate.
        noise: noise of one run.
        factor: factor on an assumed deviation.
    """
    between = noise.of_pair(same_day=same_day)
    assumed = noise.assumed(same_day=same_day)
    parts: list[Spread] = []
    shared = 0.0  # factor of the run-to-run variance, which is one estimate for all runs
    for unit in own:
        weight = 1.0 / len(own) ** 2
        for side in (unit[::2], unit[1::2]):
            # The runs of a unit share its instances: only their sampling errors average out.
            sampled = joined([Spread(part.variance / len(side) ** 2, part.freedom) for part in side])
            if assumed or sampled.variance > between.variance:
                parts.append(Spread(sampled.variance * weight, sampled.freedom))
            if assumed or sampled.variance <= between.variance:
                shared += weight
    if assumed:
        shared *= factor**2
    return joined([*parts, Spread(between.variance * shared, between.freedom)])


def joined(spreads: Sequence[Spread]) -> Spread:
    """Return the spread of a sum; its freedom f is (Σ v)² / Σ (v² / f) (Satterthwaite, 1946, equation 17)."""
    variance = math.fsum(spread.variance for spread in spreads)
    doubt = math.fsum(spread.variance**2 / spread.freedom for spread in spreads)
    return Spread(variance=variance, freedom=variance**2 / doubt if doubt > 0 else math.inf)
