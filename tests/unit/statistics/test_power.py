"""The power forecast: what a budget of pairs can resolve, what it can detect, and what would help."""

from __future__ import annotations

import math
from bisect import bisect_left

import numpy as np
import pytest

from loadtest.statistics.bootstrap import Spread
from loadtest.statistics.event_counts import Rates, Side
from loadtest.statistics.margins import GATES, Gate, Margin
from loadtest.statistics.measured_run import MeasuredRun
from loadtest.statistics.noise import Noise
from loadtest.statistics.power import detectable, power_of, power_of_gates
from loadtest.statistics.quantiles import SecondlyHistograms
from loadtest.statistics.rate_gates import rate_bounds
from loadtest.statistics.rule import Levels
from tests.support.distributions import P50, compared, noisy, quantile_gate, rng, steady

SLOW, LOSSES = GATES[10], GATES[11]


def measured(deviation_ratio: float, runs: int = 10) -> Noise:
    return Noise(assumed_ratio=0.05, runs=runs, same_day=Spread(deviation_ratio**2, runs - 1))


def service(run: SecondlyHistograms) -> MeasuredRun:
    return MeasuredRun(histograms={"service": run}, session_hours=5.0)


def test_an_assumed_noise_of_five_percent_cannot_resolve_the_median_in_one_pair() -> None:
    """(1.645 + 0.842) √2 · 5% is 17.6% in ln units, far above 5%; the pairs it asks for would do."""
    plan = power_of(P50, pairs=1, duration_s=60, rng=rng())
    assert not plan.feasible
    for ln, feasible in ((0.176, True), (0.175, False)):
        as_named = quantile_gate(Margin(math.expm1(ln)))
        assert power_of(as_named, pairs=1, duration_s=60, rng=rng()).feasible is feasible
    assert plan.pairs_needed is not None
    assert power_of(P50, pairs=plan.pairs_needed, duration_s=60, rng=rng()).feasible
    assert not power_of(P50, pairs=plan.pairs_needed - 1, duration_s=60, rng=rng()).feasible


def test_a_quiet_machine_resolves_the_margin() -> None:
    """With a measured noise of 0.5% one pair is enough."""
    baseline = service(noisy(rng(), length_s=100))
    plan = power_of(P50, pairs=1, duration_s=600, rng=rng(), baseline=baseline, noise=measured(0.005))
    assert plan.feasible
    assert (plan.pairs_needed, plan.duration_s_needed) == (None, None)
    assert not plan.assumed


def test_longer_runs_help_where_their_own_seconds_are_the_noise() -> None:
    """The duration asked for is feasible, a little less is not."""
    baseline, noise = service(noisy(rng())), measured(0.002, runs=20)
    gate = quantile_gate(Margin(0.02, 200))
    short = power_of(gate, pairs=1, duration_s=5, rng=rng(), baseline=baseline, noise=noise)
    assert short.duration_s_needed is not None
    for factor, feasible in ((1.01, True), (0.99, False)):
        duration_s = short.duration_s_needed * factor
        plan = power_of(gate, pairs=1, duration_s=duration_s, rng=rng(), baseline=baseline, noise=noise)
        assert plan.feasible is feasible


def test_where_nothing_would_do_nothing_is_promised() -> None:
    """A noise of 200% against a margin of a thousandth."""
    plan = power_of(quantile_gate(Margin(0.001)), pairs=1, duration_s=60, rng=rng(), noise=measured(2.0, 8))
    assert plan.pairs_needed is None
    assert plan.duration_s_needed is None


@pytest.mark.parametrize(("baseline_us", "margin"), [(500, 0.4), (9000, 0.05)])
def test_the_margin_in_force_is_the_time_where_that_is_more_than_the_share(
    baseline_us: int, margin: float
) -> None:
    """0.2 ms are 40% of 0.5 ms. Without a baseline only the share is known."""
    found = power_of(P50, pairs=12, duration_s=20, rng=rng(), baseline=service(steady(baseline_us)))
    assert found.margin == pytest.approx(margin, rel=0.01)
    assert power_of(P50, pairs=12, duration_s=20, rng=rng()).margin == 0.05


@pytest.mark.parametrize(("margin", "feasible"), [(Margin(0.3), True), (Margin(0.0, 500), False)])
def test_a_forecast_holds_the_noise_against_the_margin_asked_for(margin: Margin, *, feasible: bool) -> None:
    """A margin that is only a time cannot be weighed before the quantile is known."""
    found = power_of(quantile_gate(margin), pairs=12, duration_s=60, rng=rng(), noise=measured(0.05, 8))
    assert found.feasible is feasible


def shares(gate: Gate, change: float, *, pairs: int) -> tuple[float, float]:
    """Return how often such a change FAILs and PASSes if runs vary by 5%, over 300 simulated comparisons."""
    generator, decisions = np.random.default_rng(4), []
    for _ in range(300):
        ln = generator.normal(math.log(100_000), 0.05, (pairs, 2))
        ln[:, 1] += math.log1p(change)
        made = [(steady(math.exp(a)), steady(math.exp(b))) for a, b in ln]
        decisions.append(compared(gate, made).decision.value)
    return decisions.count("FAIL") / 300, decisions.count("PASS") / 300


def feasible_at(margin_ratio: float) -> bool:
    gate = quantile_gate(Margin(margin_ratio))
    return power_of(gate, pairs=12, duration_s=60, rng=rng(), noise=Noise(assumed_ratio=0.05)).feasible


def test_the_forecast_comes_true() -> None:
    """The change it names FAILs 4 times in 5; at the least feasible margin an unchanged server PASSes so."""
    noise = Noise(assumed_ratio=0.05)
    plan = power_of(P50, pairs=12, duration_s=60, rng=rng(), noise=noise, gates=1)
    assert shares(P50, plan.fails_from, pairs=12)[0] == pytest.approx(0.8, abs=0.07)
    least = bisect_left(range(100), True, key=lambda percent: feasible_at(percent / 100))
    assert shares(quantile_gate(Margin(least / 100)), 0.0, pairs=12)[1] == pytest.approx(0.8, abs=0.12)


def test_one_pair_needs_far_more_where_the_noise_is_assumed() -> None:
    """A FAIL must withstand twice the assumed noise, not twice a measured one."""
    assumed = power_of(P50, pairs=1, duration_s=60, rng=rng())
    known = power_of(P50, pairs=1, duration_s=60, rng=rng(), noise=measured(0.05, runs=10_000))
    assert assumed.pairs_needed == known.pairs_needed
    assert assumed.fails_from > 1.4 * known.fails_from


def test_slow_replies_and_losses_are_counted_over_all_pairs() -> None:
    """Twelve pairs of 60 s at 60 replies a second see 1 in 2,000; for a PASS it takes three times as many."""
    run = service(SecondlyHistograms.from_mappings([{20_000: 60}] * 60))
    slow = power_of(SLOW, pairs=12, duration_s=60, rng=rng(), baseline=run)
    assert slow.fails_from == pytest.approx(1 / 2_000, rel=0.15)
    assert not slow.feasible
    assert slow.pairs_needed in (38, 39)  # 1.645² · 10 / 0.0002 replies a side
    assert power_of(SLOW, pairs=slow.pairs_needed, duration_s=60, rng=rng(), baseline=run).feasible
    losses = power_of(LOSSES, pairs=12, duration_s=60, rng=rng(), baseline=run)
    assert losses.feasible
    assert 1.0 < losses.fails_from < 2.0


def test_a_row_of_several_seconds_is_as_long_as_they_are() -> None:
    """The runs of many hours have rows of 2, 4 or 8 s: their rates and their noise are those of seconds."""
    run = noisy(rng(), length_s=80)
    short, long = (
        MeasuredRun(histograms={"service": run}, session_hours=0.5 * row_s, losses=4 * row_s, row_s=row_s)
        for row_s in (1, 8)
    )
    of_short, of_long = (
        [
            power_of(gate, pairs=6, duration_s=duration_s, rng=rng(), baseline=one)
            for gate in (P50, SLOW, LOSSES)
        ]
        for one, duration_s in ((short, 100), (long, 800))
    )
    for a, b in zip(of_short[:2], of_long[:2], strict=True):  # as many replies in both
        assert b.fails_from == pytest.approx(a.fails_from)
    at_once = power_of(LOSSES, pairs=6, duration_s=800, rng=rng(), baseline=short)
    assert of_long[2].fails_from == pytest.approx(at_once.fails_from)


@pytest.mark.parametrize("rate", [0.0, 0.0002, 0.001])
def test_the_forecast_of_slow_replies_comes_true(rate: float) -> None:
    """The change it names FAILs 4 times in 5, with the margin of what each baseline happens to have."""
    replies = SecondlyHistograms.from_mappings([{20_000: 5_000, 200_000: round(5_000 * rate)}] * 20)
    plan = power_of(SLOW, pairs=12, duration_s=60 * 60 / 5_000, rng=rng(), baseline=service(replies))
    exposure, generator, fails = np.full(12, 3_600.0), np.random.default_rng(9), 0
    for _ in range(400):
        before, after = (generator.poisson(one * exposure) for one in (rate, rate + plan.fails_from))
        both = Rates.of(Side(before.astype(float), exposure), Side(after.astype(float), exposure))
        fails += rate_bounds(both, SLOW, Levels(None, len(GATES)), 12).decision.value == "FAIL"
    assert fails / 400 == pytest.approx(0.8, abs=0.07)


def test_what_cannot_be_seen_is_not_promised() -> None:
    """Without sessions there is no change that losses would show."""
    idle = MeasuredRun(histograms={"service": steady(20_000)}, session_hours=0.0)
    losses = power_of(LOSSES, pairs=12, duration_s=60, rng=rng(), baseline=idle)
    assert (losses.fails_from, losses.feasible, losses.pairs_needed) == (math.inf, False, None)
    assert detectable([losses]) == ""


def test_one_line_says_what_can_be_detected() -> None:
    """With the unit of each gate; nothing without gates."""
    run = service(SecondlyHistograms.from_mappings([{20_000: 60}] * 60))
    found = [power_of(gate, pairs=12, duration_s=60, rng=rng(), baseline=run) for gate in (P50, SLOW, LOSSES)]
    line = detectable(found)
    assert line.startswith("a change this large is found with 80% probability: p50 +1")
    assert "slow replies +0.05" in line
    assert line.endswith("/h")
    assert detectable([]) == ""


def test_only_what_can_be_judged_is_foretold() -> None:
    """Without an earlier run only what every run is judged by; with one, what it has samples for."""
    like = service(steady(20_000, each_s=100))
    required = ["service p50", "service p90", "service p99"]
    for known, pairs, names in (
        (None, 12, required),
        (like, 12, [*required, "drift", "slow replies", "losses"]),
        (like, 1, [*required, "drift"]),
    ):
        found = power_of_gates(GATES, pairs=pairs, duration_s=20, baseline=known, noise={})
        assert [str(one.gate) for one in found] == names
