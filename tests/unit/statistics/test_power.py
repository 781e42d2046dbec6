"""The power forecast: what a budget of pairs can resolve, and what would help."""

from __future__ import annotations

import math

import numpy as np
import pytest

from loadtest.statistics.comparison import NoiseFloor
from loadtest.statistics.margins import Gate, Margin
from loadtest.statistics.power import power_of
from tests.support.distributions import P50, noisy, rng, steady

# Power of a plan


def test_an_assumed_noise_of_five_percent_cannot_resolve_the_median_in_one_pair() -> None:
    """(1.960 + 0.842) √2 · 5% is 19.8% in ln units, far above 5%; the pairs it asks for would do."""
    plan = power_of(P50, pairs=1, duration_s=60, rng=rng())
    assert not plan.feasible
    assert plan.resolution_ratio == pytest.approx(math.expm1(0.1981), rel=1e-3)
    assert plan.pairs_needed is not None
    assert power_of(P50, pairs=plan.pairs_needed, duration_s=60, rng=rng()).feasible
    assert not power_of(P50, pairs=plan.pairs_needed - 1, duration_s=60, rng=rng()).feasible
    assert str(plan) == (
        "service p50: 21.9% can be told from noise, the margin is 5%, or 0.2 ms where that is more: "
        f"too few, it takes {plan.pairs_needed} pairs"
    )


def test_a_quiet_machine_resolves_the_margin() -> None:
    """With a measured noise of 0.5% one pair is enough."""
    noise = NoiseFloor(0.005, runs=10)
    plan = power_of(P50, pairs=1, duration_s=600, rng=rng(), baseline=noisy(rng(), length_s=100), noise=noise)
    assert plan.feasible
    assert (plan.pairs_needed, plan.duration_s_needed) == (None, None)
    assert "measured over 10 runs" in str(plan)


def test_longer_runs_help_where_their_own_seconds_are_the_noise() -> None:
    """The duration asked for is feasible, a little less is not."""
    baseline, noise = noisy(rng()), NoiseFloor(0.002, runs=20)
    gate = Gate("service", 0.5, Margin(0.02))
    short = power_of(gate, pairs=1, duration_s=5, rng=rng(), baseline=baseline, noise=noise)
    assert short.duration_s_needed is not None
    for factor, feasible in ((1.01, True), (0.99, False)):
        duration_s = short.duration_s_needed * factor
        plan = power_of(gate, pairs=1, duration_s=duration_s, rng=rng(), baseline=baseline, noise=noise)
        assert plan.feasible is feasible
    assert f"runs of {math.ceil(short.duration_s_needed / 60)} minutes after the warm-up" in str(short)


def test_where_nothing_would_do_the_sentence_says_so() -> None:
    """A noise of 200% against a margin of a thousandth."""
    plan = power_of(
        Gate("service", 0.5, Margin(0.001, 0)), pairs=1, duration_s=60, rng=rng(), noise=NoiseFloor(2.0, 8)
    )
    assert plan.pairs_needed is None
    assert str(plan).endswith("too few, and 1000 pairs would be, too: it takes quieter machines")


@pytest.mark.parametrize(
    ("baseline_us", "says"),
    [(500, "the margin is 0.2 ms = 40% of 0.50 ms: "), (9000, "the margin is 5%: ")],
)
def test_the_margin_in_force_is_named(baseline_us: int, says: str) -> None:
    """The time where that is more than the share."""
    assert says in str(power_of(P50, pairs=12, duration_s=20, rng=rng(), baseline=steady(baseline_us)))


@pytest.mark.parametrize(
    ("margin", "says"),
    [
        (Margin(0.3, 0), "the margin is 30%: enough"),
        (
            Margin(0.0, 500),
            "0%, or 0.5 ms where that is more: too few, unless the time is more, which a first",
        ),
    ],
)
def test_a_forecast_holds_the_noise_against_the_margin_asked_for(margin: Margin, says: str) -> None:
    """A margin that is only a time cannot be weighed before the quantile is known."""
    gate = Gate("service", 0.5, margin)
    noise = NoiseFloor(0.05, 8)
    found = power_of(gate, pairs=12, duration_s=60, rng=np.random.default_rng(0), noise=noise)
    assert says in str(found)
