"""The power of a planned comparison at the gates on counted events, by simulation.

The margin depends on the number of events in the baseline, and the bounds on how much runs differ, so no
formula in the expected numbers is accurate. Instead the gate judges simulated runs with independent events;
clusters need more.
"""

import math
from bisect import bisect_left
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from loadtest.ruling import Ruling
from loadtest.statistics.event_counts import Rates, Side
from loadtest.statistics.margins import Gate
from loadtest.statistics.rate_gates import rate_bounds
from loadtest.statistics.rule import MAX_PAIRS, Levels

CHANCE = 0.8
"""Required probability of the forecast result."""

_DRAWS = 200
"""Number of simulated comparisons: enough to distinguish 80% from 72%."""

_STEPS = 7
"""Halvings of an interval, to a hundredth of its length."""

_MOST_TIMES = 1_000.0
"""Largest change searched for, as a multiple of the margin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RatePlan:
    """Pairs of runs with events at a rate of the baseline.

    Args:
        gate: a gate on slow replies or losses.
        rate: events per exposure, 0 or more.
        exposure: exposure of each run: replies, or session-hours.
        pairs: number of pairs, `MIN_UNITS` or more.
        gates: number of gates judged together.
    """

    gate: Gate
    rate: float
    exposure: float
    pairs: int
    gates: int

    def passes(self) -> bool:
        """Whether an unchanged server would PASS 4 times in 5."""
        return _share(self, 0.0, Ruling.PASS) >= CHANCE


@lru_cache(maxsize=64)
def pairs_to_pass(plan: RatePlan) -> int | None:
    """Return the number of pairs that would be enough for `passes`, None if not even `MAX_PAIRS` would."""
    if not replace(plan, pairs=MAX_PAIRS).passes():
        return None
    later = range(plan.pairs + 1, MAX_PAIRS + 1)
    return later[bisect_left(later, True, key=lambda pairs: replace(plan, pairs=pairs).passes())]


@lru_cache(maxsize=64)
def fails_from(plan: RatePlan, margin: float) -> float:
    """Return the smallest change beyond a margin that would FAIL 4 times in 5, infinite if none is known."""
    low = max(margin, 1e-9)
    high, most = 2.0 * low, _MOST_TIMES * low
    while _share(plan, high, Ruling.FAIL) < CHANCE:
        low, high = high, 2.0 * high
        if high > most:
            return math.inf
    for _ in range(_STEPS):
        middle = (low + high) / 2.0
        enough = _share(plan, middle, Ruling.FAIL) >= CHANCE
        low, high = (low, middle) if enough else (middle, high)
    return high


def _share(plan: RatePlan, change: float, ruling: Ruling) -> float:
    """Return the share of simulated comparisons with this change that get this decision."""
    if plan.exposure <= 0:
        return 0.0
    rng, levels = np.random.default_rng(0), Levels(looks=None, gates=plan.gates)
    exposure = np.full(plan.pairs, plan.exposure)
    before = rng.poisson(plan.rate * exposure, (_DRAWS, plan.pairs)).astype(np.float64)
    after = rng.poisson((plan.rate + change) * exposure, (_DRAWS, plan.pairs)).astype(np.float64)
    found = (
        rate_bounds(Rates.of(Side(a, exposure), Side(b, exposure)), plan.gate, levels, plan.pairs)
        for a, b in zip(before, after, strict=True)
    )
    return sum(bounds.decision is ruling for bounds in found) / _DRAWS
