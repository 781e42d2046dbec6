"""Two runs compared, or pairs of them: noise, intervals, decisions, and what is missing."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.ruling import Ruling
from loadtest.statistics.comparison import ASSUMED_NOISE, NoiseFloor, compare, noise_floor
from loadtest.statistics.margins import GATES, Gate
from loadtest.statistics.quantiles import SecondlyHistograms
from loadtest.statistics.sequential import LOOKS
from tests.support.distributions import P50, P99, assert_finite, noisy, pairs_with, rng, seconds, steady
from tests.support.effort import effort


def test_noise_is_assumed_below_eight_runs() -> None:
    """Seven earlier runs, or eight of which one is empty, say too little."""
    assert noise_floor([1.0] * 7) == ASSUMED_NOISE
    assert noise_floor([1.0] * 7 + [None]) == ASSUMED_NOISE
    assert ASSUMED_NOISE.deviation_ratio == 0.05


def test_noise_is_the_deviation_of_earlier_runs() -> None:
    """Two values, four times each, deviate by √(8/7) of half their distance."""
    noise = noise_floor([1.0, 1.1] * 4 + [None])
    assert noise.deviation_ratio == pytest.approx(0.05 * math.sqrt(8 / 7))
    assert (noise.runs, noise.freedom, noise.measured) == (8, 7, True)


# Comparison


def test_interval_over_pairs_is_students_own_example() -> None:
    """Student (1908): ten patients' extra sleep, mean 1.58, 95 % interval 0.70 to 2.46; here a tenth."""
    sleep = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    result = compare(P50, pairs_with([hours / 10 for hours in sleep]), rng=rng(), gates=1)
    shown = [result.change_ratio or 0.0, result.low_ratio or 0.0, result.high_ratio or 0.0]
    assert [math.log1p(ratio) for ratio in shown] == pytest.approx([0.158, 0.0700, 0.2460], abs=5e-4)
    assert result.decision is Ruling.FAIL


@pytest.mark.parametrize(("noise", "reach"), [(ASSUMED_NOISE, 1.960), (NoiseFloor(0.05, runs=8), 2.365)])
def test_one_pair_has_at_least_the_noise_of_two_runs(noise: NoiseFloor, reach: float) -> None:
    """Without noise within the runs the interval is √2 noise floors wide, by the normal or the t table."""
    result = compare(P50, [(steady(1e6), steady(1e6))], rng=rng(), noise=noise)
    assert math.log1p(result.high_ratio or 0.0) == pytest.approx(reach * math.sqrt(2) * 0.05, rel=1e-3)
    assert result.decision is Ruling.INCONCLUSIVE


def test_a_fail_shares_its_error_with_the_other_gates() -> None:
    """Of four gates each may err a quarter as often: z is 2.498 below and 1.960 above."""
    result = compare(P50, [(steady(1e6), steady(1e6))], rng=rng(), gates=4)
    reach = [-math.log1p(result.low_ratio or 0.0), math.log1p(result.high_ratio or 0.0)]
    assert [width / (math.sqrt(2) * 0.05) for width in reach] == pytest.approx([2.498, 1.960], rel=1e-3)


def test_two_pairs_thin_the_noise_out() -> None:
    """Below four pairs the noise floor counts, and halves in variance with each doubling."""
    one, two = (compare(P50, [(steady(1e6), steady(1e6))] * pairs, rng=rng()) for pairs in (1, 2))
    ratio = math.log1p(one.high_ratio or 0.0) / math.log1p(two.high_ratio or 0.0)
    assert ratio == pytest.approx(math.sqrt(2), rel=1e-3)


@pytest.mark.parametrize(
    ("differences", "decision"),
    [
        ([0.00, 0.01, -0.01, 0.00, 0.01, -0.01], Ruling.PASS),
        ([-0.30, -0.31, -0.29, -0.30, -0.28, -0.32], Ruling.PASS),
        ([0.10, 0.11, 0.09, 0.10, 0.11, 0.09], Ruling.FAIL),
        ([0.10, -0.25, 0.35, 0.20, -0.10, 0.30], Ruling.INCONCLUSIVE),
        ([0.03, 0.06, 0.05, 0.02, 0.04, 0.05], Ruling.INCONCLUSIVE),
    ],
)
def test_decisions_follow_interval_and_margin(differences: list[float], decision: Ruling) -> None:
    """Below the margin for sure, above it and above zero for sure, and whatever lies between."""
    assert compare(P50, pairs_with(differences), rng=rng()).decision is decision


def test_more_pairs_is_the_number_that_settles_it() -> None:
    """That many pairs with the same mean and spread are settled, one less is not."""
    spread = [0.06, -0.06, 0.05, -0.05]
    result = compare(P50, pairs_with(spread), rng=rng())
    assert result.more_pairs is not None
    deviation = float(np.std(spread, ddof=1))
    for pairs, decision in (
        (4 + result.more_pairs, Ruling.PASS),
        (3 + result.more_pairs, Ruling.INCONCLUSIVE),
    ):
        ends = [deviation * math.sqrt((pairs - 1) / 2), -deviation * math.sqrt((pairs - 1) / 2)]
        assert compare(P50, pairs_with([*ends, *[0.0] * (pairs - 2)]), rng=rng()).decision is decision
    assert f"{result.more_pairs} more interleaved pairs" in result.reason


def test_more_pairs_lead_to_the_next_look() -> None:
    """In a duel that looks at 4, 8 and 12 the answer is a look, or beyond the last one."""
    result = compare(P50, pairs_with([0.02, -0.02, 0.01, -0.01]), rng=rng(), looks=LOOKS)
    assert (result.decision, result.more_pairs) == (Ruling.INCONCLUSIVE, 4)


def test_a_change_on_the_margin_is_settled_by_no_number_of_pairs() -> None:
    """Where the estimate is the margin, nothing is promised."""
    result = compare(P50, pairs_with([math.log(1.05) + off for off in (0.2, -0.2, 0.2, -0.2)]), rng=rng())
    assert (result.decision, result.more_pairs) == (Ruling.INCONCLUSIVE, None)
    assert "too close to the margin" in result.reason


def test_early_looks_ask_for_more() -> None:
    """What fails four pairs looked at once does not stop a duel at its first look."""
    pairs = pairs_with([0.10, 0.12, 0.08, 0.10])
    assert compare(P50, pairs, rng=rng()).decision is Ruling.FAIL
    assert compare(P50, pairs, rng=rng(), looks=LOOKS).decision is Ruling.INCONCLUSIVE


def test_a_change_below_the_absolute_margin_passes() -> None:
    """A tenth more of 400 µs is 40 µs, which no user sees."""
    pairs = [(steady(400), steady(440))] * 4
    assert compare(P50, pairs, rng=rng()).decision is Ruling.PASS


def test_values_are_the_percentiles_of_the_runs() -> None:
    """One run's value is its percentile, several runs' their geometric mean."""
    one = compare(P50, [(steady(400), steady(440))], rng=rng())
    two = compare(P50, [(steady(400), steady(440)), (steady(900), steady(440))], rng=rng())
    assert (one.baseline_us, one.candidate_us) == (400.0, 440.0)
    assert two.baseline_us == pytest.approx(600.0)
    assert (two.pairs, two.baseline_samples, two.candidate_samples) == (2, 4000, 4000)


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        (SecondlyHistograms.from_mappings([]), "the candidate has no service samples"),
        (SecondlyHistograms.from_mappings([{}] * 60), "the candidate has no service samples"),
        (SecondlyHistograms.from_mappings([{5: 0}] * 60), "the candidate has no service samples"),
        (SecondlyHistograms.from_mappings([{5: 2000}]), "in 1 seconds only"),
        (SecondlyHistograms.from_mappings([{5: 1000}, {}, {}] * 9), "in 9 seconds only"),
        (steady(400, each_s=5), "p99 needs 1000: run 10 times as long"),
    ],
)
def test_too_little_data_is_inconclusive_and_says_what_is_missing(
    candidate: SecondlyHistograms, reason: str
) -> None:
    """Empty, silent, short and thin runs are never judged, and leave no NaN."""
    result = compare(P99, [(steady(400), candidate)], rng=rng())
    assert result.decision is Ruling.INCONCLUSIVE
    assert reason in result.reason
    assert_finite(result)


def test_the_pair_that_lacks_data_is_named() -> None:
    """Of many pairs the reader wants to know which."""
    pairs = [(steady(400), steady(400))] * 3 + [(SecondlyHistograms.from_mappings([]), steady(400))]
    assert compare(P50, pairs, rng=rng()).reason.startswith("the baseline of pair 4 has no")
    assert "no pair" in compare(P50, [], rng=rng()).reason


def test_gaps_in_a_run_are_no_obstacle() -> None:
    """Every third second silent, the rest equal: judged like the rest."""
    gappy = SecondlyHistograms.from_mappings([{1000: 50}, {1010: 50}, {}] * 20)
    result = compare(P50, [(gappy, gappy)] * 4, rng=rng())
    assert result.decision is Ruling.PASS


@given(seconds, st.integers(1, 5), st.sampled_from(GATES), st.sampled_from([None, LOOKS]))
def test_a_run_never_fails_against_itself(
    values: list[dict[int, int]], pairs: int, gate: Gate, looks: tuple[int, ...] | None
) -> None:
    """Identical runs, however odd, are PASS or INCONCLUSIVE, and every number is finite."""
    run = SecondlyHistograms.from_mappings(
        [{value: 40 * count for value, count in second.items()} for second in values]
    )
    result = compare(gate, [(run, run)] * pairs, rng=rng(), looks=looks, resamples=50)
    assert result.decision is not Ruling.FAIL
    assert_finite(result)


@given(seconds, seconds)
@effort(20)
def test_any_two_runs_compare_to_finite_numbers(a: list[dict[int, int]], b: list[dict[int, int]]) -> None:
    """No pair of runs makes a NaN, an infinity or an exception."""
    one, two = (SecondlyHistograms.from_mappings([*part, *[{1: 9, 99: 9}] * 10]) for part in (a, b))
    for gate in GATES:
        assert_finite(compare(gate, [(one, two)], rng=rng(), resamples=50))
        assert_finite(compare(gate, [(one, two), (two, one)] * 2, rng=rng()))


def test_the_same_seed_gives_the_same_comparison() -> None:
    """Nothing but the generator is random."""
    pair = (noisy(rng(1), correlation=0.5), noisy(rng(2), correlation=0.5))
    assert compare(P99, [pair], rng=rng(3)) == compare(P99, [pair], rng=rng(3))
