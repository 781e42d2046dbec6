"""Bounds on the change of a rate of events (slow replies, lost connections) that come in clusters.

Events with one cause come together: a garbage collection pause slows fifty replies, a crash loses every
connection. So runs are the unit, not events. A run's count has the variance φ times its mean, where the
dispersion φ is estimated from the runs of each side (Pearson's χ² / freedom; McCullagh and Nelder,
"Generalized Linear Models", 1989, section 6.2.3), and never taken below 1, the value for Poisson.

The bounds invert a score test: the variance is that under the hypothesis, with both rates at their most
likely values given that difference (Miettinen and Nurminen, Statistics in Medicine 4, 1985; for rates Ng and
Tang, 2005). Rates far from zero give nearly the same as Student's t over the pairs; near zero, where one side
has no event at all, the score test has far more power.

An upper bound, which a PASS needs, uses a dispersion of at least 10 for fewer than 30 events, and of at least
1 + 9 * 30 / events for more: connections are lost by server or by proxy, replies are slow by pause, and a few
events do not show how many would come at once. A lower bound does not assume this.

If the χ² test at 5% cannot distinguish the dispersion from Poisson's, it is averaged with 1, as if as many
more runs had shown that, and the reference is the larger of the normal quantile and Student's t with twice
the freedom times √φ. Otherwise it is √φ times Student's t. In simulations, an unchanged server FAILs less
often than the level, for clusters of 2 to 60 events, Pareto clusters and gamma rates alike; at the margin
itself the level is kept within a third of it (tests/unit/statistics/test_event_counts.py).
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from loadtest.statistics.distributions import (
    chi_square_quantile,
    normal_quantile,
    root,
    student_quantile,
)
from loadtest.statistics.quantiles import Floats

_POISSON_LEVEL = 0.05

CLUSTER = 10.0
"""Assumed number of events that come at once: runs without events do not show it."""

_TELLING = 3.0
"""Number of clusters that shows their size; beyond it, the assumption has less weight."""


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """The events of each run of a side, and their exposure: replies, or session-hours.

    Args:
        events: shape (units,), 0 or more.
        exposure: shape (units,), 0 or more.
    """

    events: Floats
    exposure: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """The input of the bounds: both sides' events and exposures, and the dispersion.

    Args:
        baseline_events, candidate_events: over all runs.
        baseline_exposure, candidate_exposure: over all runs, above 0.
        dispersion: variance of a count / its mean, as estimated, 0 or more.
        freedom: degrees of freedom of the dispersion, above 0.
        cluster: assumed number of events that come at once; 1 if they are known to be independent.
    """

    baseline_events: float
    candidate_events: float
    baseline_exposure: float
    candidate_exposure: float
    dispersion: float
    freedom: float
    cluster: float = CLUSTER

    @classmethod
    def of(cls, baseline: Side, candidate: Side) -> "Rates":
        """Return the rates of two sides of two or more units each."""
        chi_square, freedom = 0.0, 0
        for side in (baseline, candidate):
            expected = side.exposure * (side.events.sum() / side.exposure.sum())
            counts = expected > 0
            if np.any(counts):
                chi_square += float(np.sum((side.events - expected)[counts] ** 2 / expected[counts]))
                freedom += int(counts.sum()) - 1
        events = [float(side.events.sum()) for side in (baseline, candidate)]
        exposure = [float(side.exposure.sum()) for side in (baseline, candidate)]
        return cls(
            baseline_events=events[0],
            candidate_events=events[1],
            baseline_exposure=exposure[0],
            candidate_exposure=exposure[1],
            dispersion=chi_square / freedom if freedom else 1.0,
            freedom=freedom or 2 * baseline.events.size - 2,
        )

    def times(self, factor: float) -> "Rates":
        """Return the rates for this many times as many pairs with the same results."""
        return replace(
            self,
            baseline_events=self.baseline_events * factor,
            candidate_events=self.candidate_events * factor,
            baseline_exposure=self.baseline_exposure * factor,
            candidate_exposure=self.candidate_exposure * factor,
            freedom=self.freedom * factor,
        )

    def exposure_needed(self, margin: float, level: float) -> float | None:
        """Return the exposure of each side at which no events would PASS; None if no exposure is enough.

        Args:
            margin: absolute margin of the rate.
            level: one-sided error of a PASS.
        """
        reach = replace(self, baseline_events=0.0, candidate_events=0.0, dispersion=1.0).upper_reach(level)
        return reach**2 / margin if margin > 0 else None

    @property
    def baseline(self) -> float:
        """Events per exposure of the baseline."""
        return self.baseline_events / self.baseline_exposure

    @property
    def candidate(self) -> float:
        """Events per exposure of the candidate."""
        return self.candidate_events / self.candidate_exposure

    @property
    def change(self) -> float:
        """The candidate's rate minus the baseline's."""
        return self.candidate - self.baseline

    def reach(self, level: float) -> float:
        """Return the distance of a bound of this one-sided level, in Poisson deviations."""
        if self.dispersion * self.freedom > chi_square_quantile(self.freedom, 1 - _POISSON_LEVEL):
            return -float(student_quantile(self.freedom, level)) * math.sqrt(self.dispersion)
        averaged = (self.dispersion + 1.0) / 2.0
        student = -float(student_quantile(2 * self.freedom, level)) * math.sqrt(averaged)
        return max(-normal_quantile(level), student)

    def upper_reach(self, level: float) -> float:
        """Return the same for an upper bound, for which events are assumed to come in clusters."""
        seen = self.baseline_events + self.candidate_events
        least = 1.0 + (self.cluster - 1.0) * min(1.0, _TELLING * self.cluster / max(seen, 1.0))
        return max(self.reach(level), -normal_quantile(level) * math.sqrt(least))

    def difference_bounds(self, *, low_level: float, high_level: float) -> tuple[float, float]:
        """Return one-sided bounds of the candidate's rate minus the baseline's."""
        return self._difference(self.reach(low_level), -1), self._difference(self.upper_reach(high_level), 1)

    def relative_bounds(self, *, low_level: float, high_level: float) -> tuple[float, float]:
        """Return one-sided bounds of the same difference by the ratio of both rates, times the baseline's.

        With R = candidate / baseline, the most likely rates give (c - R b)² = reach² (events) R / (exposures'
        product), a quadratic equation in R. The baseline must have events.
        """
        return self._ratio(self.reach(low_level), -1), self._ratio(self.upper_reach(high_level), 1)

    def _ratio(self, reach: float, side: int) -> float:
        events = self.baseline_events + self.candidate_events
        k = reach**2 * events / (self.baseline_exposure * self.candidate_exposure)
        half = self.baseline * self.candidate + k / 2.0
        spread = math.sqrt(half**2 - (self.baseline * self.candidate) ** 2)
        return (half + side * spread) / self.baseline - self.baseline

    def _difference(self, reach: float, side: int) -> float:
        """Solve |change - Δ| = reach * deviation under Δ for the Δ on this side of the change."""
        if not self.baseline_events + self.candidate_events:
            return side * reach**2 / (self.candidate_exposure if side > 0 else self.baseline_exposure)

        def beyond(difference: float) -> float:
            return side * (difference - self.change) - reach * self._deviation(difference)

        step = (reach**2 + reach) / min(self.baseline_exposure, self.candidate_exposure)
        end = self.change + side * step
        while beyond(end) < 0:
            step *= 2.0
            end = self.change + side * step
        scale = max(abs(self.change), abs(end))
        near, far = (0.0, (end - self.change) / scale) if side > 0 else ((end - self.change) / scale, 0.0)
        return self.change + scale * root(lambda at: beyond(self.change + scale * at), near, far)

    def _deviation(self, difference: float) -> float:
        """Return Poisson's deviation of the change, with the likeliest rates that differ by this much."""
        exposure = self.baseline_exposure + self.candidate_exposure
        linear = exposure * difference - self.baseline_events - self.candidate_events
        discriminant = linear**2 + 4.0 * exposure * self.baseline_events * difference
        rate = (math.sqrt(max(discriminant, 0.0)) - linear) / (2.0 * exposure)
        baseline = max(rate, -difference, 0.0)
        candidate = max(baseline + difference, 0.0)
        return math.sqrt(baseline / self.baseline_exposure + candidate / self.candidate_exposure)
