"""Two runs compared, or pairs of them: noise, intervals, decisions, and what is missing."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.ruling import Ruling
from loadtest.statistics.bootstrap import Spread
from loadtest.statistics.comparison import Comparison, compare
from loadtest.statistics.margins import GATES, Gate
from loadtest.statistics.measured_run import MeasuredRun
from loadtest.statistics.noise import Noise
from loadtest.statistics.quantiles import SecondlyHistograms
from loadtest.statistics.rule import Levels
from loadtest.statistics.sequential import LOOKS
from tests.support.distributions import (
    P50,
    P99,
    assert_finite,
    compared,
    noisy,
    pairs_with,
    rng,
    seconds,
    steady,
)
from tests.support.effort import effort

BY_NAME = {gate.name: gate for gate in GATES}


def measured(deviation_ratio: float, runs: int = 8) -> Noise:
    """Return noise measured over runs of one day."""
    return Noise(assumed_ratio=0.05, runs=runs, same_day=Spread(deviation_ratio**2, runs - 1), other_day=None)


def bounds(result: Comparison) -> tuple[float, float]:
    """Return how far down and up the bounds reach from the estimate, in ln."""
    change, low, high = (
        math.log1p(ratio or 0.0) for ratio in (result.change_ratio, result.low_ratio, result.high_ratio)
    )
    return change - low, high - change


def test_interval_over_pairs_is_students_own_example() -> None:
    """Student (1908): ten patients' extra sleep, mean 1.58, s 1.23; 1.833 s / √10 is 0.713; here a tenth."""
    sleep = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    result = compared(P50, pairs_with([hours / 10 for hours in sleep]))
    shown = [result.change_ratio or 0.0, result.low_ratio or 0.0, result.high_ratio or 0.0]
    assert [math.log1p(ratio) for ratio in shown] == pytest.approx([0.158, 0.0867, 0.2293], abs=5e-4)
    assert result.decision is Ruling.FAIL


def test_assumed_noise_counts_twice_for_a_fail() -> None:
    """Two runs of 5% each: 1.645 √2 · 5% upwards, twice that downwards."""
    result = compared(P50, [(steady(1e6), steady(1e6))])
    upwards = 1.645 * math.sqrt(2) * 0.05
    assert bounds(result) == pytest.approx((2 * upwards, upwards), rel=1e-3)
    assert result.decision is Ruling.INCONCLUSIVE


def test_measured_noise_has_the_freedom_of_its_runs() -> None:
    """t(95%) is 1.895 with 7 degrees; both runs share one estimate, so it is not 14."""
    result = compared(P50, [(steady(1e6), steady(1e6))], noise=measured(0.05))
    assert bounds(result) == pytest.approx((1.895 * math.sqrt(2) * 0.05,) * 2, rel=1e-3)


def test_a_run_that_is_noisier_than_all_before_is_taken_as_it_is() -> None:
    """The larger of measured noise and the run's own sampling error counts, not their sum."""
    loud = noisy(rng(1), correlation=0.9)
    quiet, usual, large = (
        bounds(compared(P50, [(loud, loud)], noise=measured(ratio, 10_000)))[1] for ratio in (1e-6, 0.01, 0.3)
    )
    assert quiet > 0.02
    assert usual < 1.05 * quiet
    assert large == pytest.approx(1.645 * math.sqrt(2) * 0.3, rel=1e-3)


def test_a_pair_of_different_days_has_the_noise_of_days() -> None:
    """Here unknown, so the assumed one."""
    noise = {P50.name: measured(0.001)}
    run = MeasuredRun(histograms={"service": steady(1e6)})
    pair = (run, run)
    same, other = (
        compare([P50], [[pair]], noise=noise, same_day=same_day, rng=rng())[0] for same_day in (True, False)
    )
    assert same.decision is Ruling.PASS
    assert other.decision is Ruling.INCONCLUSIVE


@pytest.mark.parametrize(
    ("factor", "decision", "suspect"),
    [
        (1.5, Ruling.FAIL, False),
        (1.25, Ruling.INCONCLUSIVE, True),
        (1.08, Ruling.INCONCLUSIVE, True),
        (1.02, Ruling.INCONCLUSIVE, False),
        (0.8, Ruling.PASS, False),
    ],
)
def test_one_pair_on_assumed_noise_is_suspect_before_it_fails(
    factor: float, decision: Ruling, suspect: bool
) -> None:
    """A quarter slower is beyond the noise assumed, but not beyond twice that; 8% is above the margin."""
    result = compared(P50, [(steady(1e6), steady(1e6 * factor))])
    assert (result.decision, result.suspect) == (decision, suspect)
    assert ("suspect" in result.reason) is suspect


def test_what_is_within_its_own_deviation_is_not_suspect() -> None:
    """A drift of a third, known to -57% to +320%, points nowhere: no duel is asked for."""
    generator = np.random.default_rng(20)
    one, other = (
        SecondlyHistograms.from_mappings(
            [{int(20_000 * math.exp(generator.normal(0, 0.6))): 8} for _ in range(24)]
        )
        for _ in range(2)
    )
    found = compared(GATES[9], [(one, other)])
    assert (found.decision, found.suspect) == (Ruling.INCONCLUSIVE, False)
    assert found.change_ratio is not None
    assert found.margin_ratio is not None
    assert found.change_ratio > 6 * found.margin_ratio


def test_measured_noise_is_enough_for_a_fail() -> None:
    """What is only suspect on assumed noise."""
    result = compared(P50, [(steady(1e6), steady(1.25e6))], noise=measured(0.03, 40))
    assert (result.decision, result.suspect) == (Ruling.FAIL, False)


def test_a_fail_shares_its_error_with_the_other_gates_that_are_judged() -> None:
    """Of three gates each may err a third as often; those that lack samples take nothing."""
    run = MeasuredRun(histograms={"service": steady(1e6)})
    pairs = [[(run, run)]] * 4
    found = {one.gate: one for one in compare(GATES, pairs, rng=rng())}
    judged = [one for one in found.values() if one.decision is not Ruling.NOT_JUDGED]
    assert [one.gate for one in judged] == ["service p50", "service p90", "service p99", "drift"]
    assert {one.pass_level_ratio for one in judged} == {0.05}
    assert {one.fail_level_ratio for one in judged} == {0.05 / 5}  # slow replies too, which could FAIL
    assert found["outage p95"].reason == "no outage samples"


def test_two_pairs_thin_the_noise_out() -> None:
    """Below four pairs the noise counts, and halves in variance with each doubling."""
    one, two = (compared(P50, [(steady(1e6), steady(1e6))] * pairs) for pairs in (1, 2))
    assert bounds(one)[1] / bounds(two)[1] == pytest.approx(math.sqrt(2), rel=1e-3)


def test_pairs_of_the_same_instances_are_one_unit() -> None:
    """Eight pairs of two starts each are no more than four, and of one start no more than one."""
    made = [
        (MeasuredRun(histograms={"service": before}), MeasuredRun(histograms={"service": after}))
        for before, after in pairs_with([0.10, 0.10, 0.02, 0.02, 0.06, 0.06, 0.06, 0.06])
    ]
    alone, shared, one = (
        compare([P50], [made[at : at + size] for at in range(0, 8, size)], same_day=True, rng=rng())[0]
        for size in (1, 2, 8)
    )
    assert [result.units for result in (alone, shared, one)] == [8, 4, 1]
    assert [result.pairs for result in (alone, shared, one)] == [8, 8, 8]
    assert bounds(shared)[0] > 1.5 * bounds(alone)[0]
    assert bounds(one)[1] == pytest.approx(1.645 * math.sqrt(2) * 0.05, rel=1e-3)


@pytest.mark.parametrize(
    ("differences", "decision"),
    [
        ([0.00, 0.01, -0.01, 0.00, 0.01, -0.01], Ruling.PASS),
        ([-0.30, -0.31, -0.29, -0.30, -0.28, -0.32], Ruling.PASS),
        ([0.10, 0.11, 0.09, 0.10, 0.11, 0.09], Ruling.FAIL),
        ([0.10, -0.25, 0.35, 0.20, -0.10, 0.30], Ruling.INCONCLUSIVE),
        ([0.03, 0.06, 0.05, 0.02, 0.04, 0.05], Ruling.INCONCLUSIVE),
        ([0.05, 0.07, 0.06, 0.03, 0.09, 0.06], Ruling.INCONCLUSIVE),
    ],
)
def test_decisions_follow_interval_and_margin(differences: list[float], decision: Ruling) -> None:
    """Below the margin for sure, above it for sure, and whatever lies between."""
    assert compared(P50, pairs_with(differences)).decision is decision


def test_more_pairs_is_the_number_that_settles_it() -> None:
    """That many pairs with the same mean and spread are settled, one less is not."""
    spread = [0.06, -0.06, 0.05, -0.05]
    result = compared(P50, pairs_with(spread))
    assert result.more_pairs is not None
    deviation = float(np.std(spread, ddof=1))
    for pairs, decision in (
        (4 + result.more_pairs, Ruling.PASS),
        (3 + result.more_pairs, Ruling.INCONCLUSIVE),
    ):
        ends = [deviation * math.sqrt((pairs - 1) / 2), -deviation * math.sqrt((pairs - 1) / 2)]
        assert compared(P50, pairs_with([*ends, *[0.0] * (pairs - 2)])).decision is decision
    assert f"{result.more_pairs} more interleaved pairs" in result.reason


def test_more_pairs_lead_to_the_next_look() -> None:
    """In a duel that looks at 4, 8 and 12 the answer is a look, or beyond the last one."""
    result = compared(P50, pairs_with([0.02, -0.02, 0.01, -0.01]), looks=LOOKS)
    assert (result.decision, result.more_pairs) == (Ruling.INCONCLUSIVE, 4)


def test_a_change_on_the_margin_is_settled_by_no_number_of_pairs() -> None:
    """Where the estimate is the margin, nothing is promised."""
    result = compared(P50, pairs_with([math.log(1.05) + off for off in (0.2, -0.2, 0.2, -0.2)]))
    assert (result.decision, result.more_pairs) == (Ruling.INCONCLUSIVE, None)
    assert "too close to the margin" in result.reason


def test_early_looks_ask_for_more() -> None:
    """What fails four pairs looked at once does not stop a duel at its first look."""
    pairs = pairs_with([0.10, 0.12, 0.08, 0.10])
    assert compared(P50, pairs).decision is Ruling.FAIL
    assert compared(P50, pairs, looks=LOOKS).decision is Ruling.INCONCLUSIVE


def test_a_change_below_the_absolute_margin_passes() -> None:
    """A tenth more of 400 µs is 40 µs, which no user sees."""
    pairs = [(steady(400), steady(440))] * 4
    assert compared(P50, pairs).decision is Ruling.PASS


def test_values_are_the_percentiles_of_the_runs() -> None:
    """One run's value is its percentile, several runs' their geometric mean."""
    one = compared(P50, [(steady(400), steady(440))])
    two = compared(P50, [(steady(400), steady(440)), (steady(900), steady(440))])
    assert (one.baseline_us, one.candidate_us) == (400.0, 440.0)
    assert two.baseline_us == pytest.approx(600.0)
    assert (two.pairs, two.baseline_samples, two.candidate_samples) == (2, 4000, 4000)


@pytest.mark.parametrize(("gate", "decision"), [(P99, Ruling.INCONCLUSIVE), (GATES[3], Ruling.NOT_JUDGED)])
def test_too_little_data_is_inconclusive_if_required_and_else_left_out(gate: Gate, decision: Ruling) -> None:
    """With what is missing, and without NaN."""
    result = compared(gate, [(steady(400), steady(400, each_s=5))])
    assert result.decision is decision
    assert f"{gate.label} needs {gate.least_samples:,}" in result.reason
    assert_finite(result)


def test_gaps_in_a_run_are_no_obstacle() -> None:
    """Every third second silent, the rest equal: judged like the rest."""
    gappy = SecondlyHistograms.from_mappings([{1000: 50}, {1010: 50}, {}] * 20)
    result = compared(P50, [(gappy, gappy)] * 4)
    assert result.decision is Ruling.PASS


@given(seconds, st.integers(1, 5), st.sampled_from(GATES), st.sampled_from([None, LOOKS]))
def test_a_run_never_fails_against_itself(
    values: list[dict[int, int]], pairs: int, gate: Gate, looks: tuple[int, ...] | None
) -> None:
    """Identical runs, however odd, are PASS or INCONCLUSIVE, and every number is finite."""
    run = SecondlyHistograms.from_mappings(
        [{value: 40 * count for value, count in second.items()} for second in values]
    )
    result = compared(gate, [(run, run)] * pairs, looks=looks, resamples=50)
    assert result.decision is not Ruling.FAIL
    assert_finite(result)


@given(seconds, seconds)
@effort(20)
def test_any_two_runs_compare_to_finite_numbers(a: list[dict[int, int]], b: list[dict[int, int]]) -> None:
    """No pair of runs makes a NaN, an infinity or an exception."""
    one, two = (SecondlyHistograms.from_mappings([*part, *[{1: 9, 99: 9}] * 10]) for part in (a, b))
    for gate in GATES:
        assert_finite(compared(gate, [(one, two)], resamples=50))
        assert_finite(compared(gate, [(one, two), (two, one)] * 2))


def test_the_same_seed_gives_the_same_comparison() -> None:
    """Nothing but the generator is random."""
    pair = (noisy(rng(1), correlation=0.5), noisy(rng(2), correlation=0.5))
    assert compared(P99, [pair], rng=rng(3)) == compared(P99, [pair], rng=rng(3))


# Drift


def drifting(ratio: float, level_us: float = 1e6) -> SecondlyHistograms:
    """Build a run that slows linearly by this share."""
    return SecondlyHistograms.from_mappings(
        [{round(level_us * (1 + ratio * second / 60)): 50} for second in range(60)]
    )


@pytest.mark.parametrize(
    ("ratio", "decision"), [(0.0, Ruling.PASS), (0.02, Ruling.PASS), (0.09, Ruling.FAIL), (0.2, Ruling.FAIL)]
)
def test_a_server_that_slows_within_each_run_fails(ratio: float, decision: Ruling) -> None:
    """9% over the run are 6% from third to third."""
    result = compared(BY_NAME["drift"], [(drifting(0.0), drifting(ratio))] * 4)
    assert result.decision is decision
    assert result.candidate_ratio == pytest.approx(ratio / 1.5, rel=0.06, abs=1e-3)


def test_a_drift_on_both_sides_is_none() -> None:
    """A machine that warms up slows both servers."""
    assert compared(BY_NAME["drift"], [(drifting(0.3), drifting(0.3))] * 4).decision is Ruling.PASS


# Slow replies and losses


def with_slow(count: int, samples: int = 3_600) -> SecondlyHistograms:
    """Build a minute with so many replies of 220 ms among those of 20 ms."""
    fast = [{20_000: samples // 60}] * 59
    return SecondlyHistograms.from_mappings([*fast, {20_000: samples // 60 - count, 220_000: count}])


def slow(before: Sequence[int], after: Sequence[int], **settings: Any) -> Comparison:
    pairs = [(with_slow(a), with_slow(b)) for a, b in zip(before, after, strict=True)]
    return compared(BY_NAME["slow replies"], pairs, **settings)


def test_one_in_two_thousand_slow_replies_fail() -> None:
    """They stand in p99 nowhere, and in no required gate."""
    result = slow([0] * 12, [2, 1, 2, 3, 1, 2, 2, 1, 3, 2, 1, 2])
    assert result.decision is Ruling.FAIL
    assert result.slow_us == pytest.approx(80_000, rel=0.01)
    assert result.candidate_ratio == pytest.approx(22 / 43_200)
    assert result.margin_ratio == 0.0002


def test_what_the_margins_of_quantiles_let_pass_is_not_slow() -> None:
    """One reply in a thousand of a fast server at four and a half times its p99: 0.35 ms more."""

    def fast(count: int, us: int) -> SecondlyHistograms:
        return SecondlyHistograms.from_mappings([{100: 6_000, us: count}] * 60)

    for us, decision in ((450, Ruling.PASS), (1_300, Ruling.FAIL)):
        pairs = [(fast(0, us), fast(6, us))] * 12
        result = compared(BY_NAME["slow replies"], pairs)
        assert result.decision is decision
        assert result.slow_us == pytest.approx(1_100, rel=0.01)


def test_as_many_slow_replies_before_pass() -> None:
    """The margin is twice the baseline's share."""
    counts = [12, 14, 16, 13, 11, 14, 15, 13, 14, 12, 15, 13]
    result = slow(counts, counts[::-1])
    assert result.decision is Ruling.PASS
    assert result.margin_ratio == pytest.approx(sum(counts) / 43_200)
    assert slow(counts, [3 * count for count in counts]).decision is Ruling.FAIL


def test_one_burst_of_slow_replies_is_no_fail() -> None:
    """Thirty replies of one pause are one event."""
    result = slow([0] * 12, [30, *[0] * 11])
    assert result.decision is Ruling.INCONCLUSIVE
    assert result.more_pairs is None or result.more_pairs > 0


def test_too_few_replies_to_pass_are_left_out_but_may_fail() -> None:
    """Four short runs: without a slow reply, and with many."""
    assert slow([0] * 4, [0] * 4).decision is Ruling.NOT_JUDGED
    assert "replies per side" in slow([0] * 4, [0] * 4).reason
    assert slow([0] * 4, [50, 55, 52, 51]).decision is Ruling.FAIL


def test_an_early_look_leaves_open_what_the_last_can_settle() -> None:
    """Or a duel would end with a gate that was not judged: of 60 session-hours, 28 are needed."""
    for pairs, decision in ((4, Ruling.INCONCLUSIVE), (8, Ruling.INCONCLUSIVE), (12, Ruling.PASS)):
        result = losses([0] * pairs, [0] * pairs, hours=5.0, looks=LOOKS)
        assert result.decision is decision
        assert result.more_pairs == {4: 8, 8: 4}.get(pairs)


def test_events_that_may_come_at_once_are_left_out_if_they_would_pass_singly() -> None:
    """None in 12 session-hours a side: ten at once would have been missed too often for a PASS."""
    result = losses([0] * 12, [0, 1, *[0] * 10], hours=1.0)
    assert result.decision is Ruling.NOT_JUDGED
    assert result.reason == (
        "unchanged if events occur one at a time; if 10 occur at once, needs 27 session-hours per side"
    )
    assert losses([0] * 12, [1] * 12, hours=1.0).decision is Ruling.INCONCLUSIVE  # too many even then


def test_a_quantile_that_the_last_look_can_judge_is_open_at_an_early_one() -> None:
    """Of p99.9, 1,000 replies a run are enough in twelve pairs; with 800 it is left out at once."""
    for each_s, decisions in (
        (50, [Ruling.INCONCLUSIVE, Ruling.INCONCLUSIVE, Ruling.PASS]),
        (40, [Ruling.NOT_JUDGED] * 3),
    ):
        pair = (steady(20_000, each_s=each_s), steady(20_000, each_s=each_s))
        found = [compared(GATES[3], [pair] * pairs, looks=LOOKS) for pairs in LOOKS]
        assert [one.decision for one in found] == decisions
    four = compared(GATES[3], [(steady(20_000, each_s=50), steady(20_000, each_s=50))] * 4, looks=LOOKS)
    assert four.more_pairs == 8
    assert "judged after 8 more pairs" in four.reason


def test_the_error_is_divided_among_as_many_gates_at_every_look() -> None:
    """Those that are judged in the end, though p99.9 lacks samples before."""
    run = MeasuredRun(histograms={"service": steady(20_000, each_s=50)}, session_hours=5.0)
    judged = [compare(GATES, [[(run, run)]] * pairs, looks=LOOKS, rng=rng()) for pairs in LOOKS]
    levels = [{one.fail_level_ratio for one in found} - {None} for found in judged]
    names = [[one.gate for one in found if one.fail_level_ratio is not None] for found in judged]
    assert names[0] == names[1] == names[2]
    assert [len(found) for found in levels] == [1, 1, 1]
    assert levels[2] == {Levels(LOOKS, len(names[2])).to_fail(12)}


def losses(before: Sequence[int], after: Sequence[int], hours: float = 3.0, **settings: Any) -> Comparison:
    sides = (
        [MeasuredRun(histograms={}, losses=lost, session_hours=hours) for lost in side]
        for side in (before, after)
    )
    units = [[pair] for pair in zip(*sides, strict=True)]
    return compare([BY_NAME["losses"]], units, rng=rng(), **settings)[0]


@pytest.mark.parametrize(
    ("after", "decision"),
    [
        ([0] * 12, Ruling.PASS),
        ([0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], Ruling.PASS),
        ([9, 6, 12, 9, 9, 6, 12, 9, 9, 9, 6, 12], Ruling.FAIL),
        ([40, *[0] * 11], Ruling.INCONCLUSIVE),
    ],
)
def test_losses_are_judged_by_the_hour(after: list[int], decision: Ruling) -> None:
    """One more a session-hour is the margin; a crash that lost forty connections at once is one event."""
    result = losses([0] * 12, after)
    assert result.decision is decision
    assert result.margin_per_h == 1.0
    assert result.candidate_per_h == pytest.approx(sum(after) / 36)


def test_losses_of_a_few_minutes_say_nothing() -> None:
    """Without any in four minutes, an hour may have a dozen."""
    result = losses([0] * 4, [0] * 4, hours=1 / 60)
    assert result.decision is Ruling.NOT_JUDGED
    assert "session-hours per side" in result.reason
