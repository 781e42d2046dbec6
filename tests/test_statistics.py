import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields

import numpy as np
import numpy.typing as npt
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.errors import InvalidSetting
from loadtest.statistics.bootstrap import QuantileSearch, block_length, sampling_spread
from loadtest.statistics.changes import change_points
from loadtest.statistics.comparison import (
    ASSUMED_NOISE,
    Comparison,
    Decision,
    NoiseFloor,
    compare,
    noise_floor,
)
from loadtest.statistics.margins import GATES, Gate, Margin
from loadtest.statistics.power import feasibility
from loadtest.statistics.quantiles import SecondlyHistograms, aligned, merged
from loadtest.statistics.sequential import (
    LOOKS,
    critical_values,
    crossing_probability,
    nominal_level,
    plan_looks,
    spent_error,
)

P50 = Gate("service", 0.50, Margin(0.05))
P99 = Gate("service", 0.99, Margin(0.20))

latencies_us = st.integers(1, 3_000_000)
seconds = st.lists(st.dictionaries(latencies_us, st.integers(0, 50), max_size=5), max_size=15)
quantiles = st.sampled_from([0.001, 0.05, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0])


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def exact(values_us: Sequence[Sequence[int]]) -> SecondlyHistograms:
    """Build a run from the values of each second, a bucket for every distinct value."""
    return SecondlyHistograms.from_mappings([Counter(second) for second in values_us])


def steady(value_us: float, *, each_s: int = 100, length_s: int = 20) -> SecondlyHistograms:
    """Build a run in which every reply took the same time."""
    return SecondlyHistograms.from_mappings([{round(value_us): each_s}] * length_s)


def noisy(
    generator: np.random.Generator, *, length_s: int = 60, correlation: float = 0.0
) -> SecondlyHistograms:
    """Build a run of lognormal latencies whose seconds follow an AR(1) series."""
    shocks = generator.normal(0.0, math.sqrt(1 - correlation**2), length_s)
    series = [float(generator.normal())]
    for shock in shocks[1:]:
        series.append(correlation * series[-1] + float(shock))
    ln = math.log(20_000) + 0.1 * np.array(series)[:, None] + generator.normal(0.0, 0.2, (length_s, 50))
    return exact([[int(value) // 16 * 16 + 15 for value in second] for second in np.exp(ln)])


def pairs_with(differences: Sequence[float]) -> list[tuple[SecondlyHistograms, SecondlyHistograms]]:
    """Build pairs of runs with these differences of ln-quantiles."""
    return [(steady(1e6), steady(1e6 * math.exp(difference))) for difference in differences]


def assert_finite(result: Comparison) -> None:
    for name in (field.name for field in fields(result)):
        value = getattr(result, name)
        assert not isinstance(value, float) or math.isfinite(value), name


# Intervals


@given(st.lists(latencies_us, min_size=1, max_size=60), st.sampled_from([1, 25, 50, 90, 95, 99, 99.9, 100]))
@settings(max_examples=25, deadline=None)
def test_percentiles_are_those_of_hdrhistogram(values: list[int], percentile: float) -> None:
    """Whatever was recorded, HdrHistogram's own reader names the same percentile."""
    histogram = HdrHistogram(1, 60_000_000, 3)
    buckets: dict[int, int] = {}
    for value in values:
        histogram.record_value(value)
        highest = histogram.get_highest_equivalent_value(value)
        buckets[highest] = buckets.get(highest, 0) + 1
    run = SecondlyHistograms.from_mappings([buckets])
    assert run.percentile_us(percentile / 100) == histogram.get_value_at_percentile(percentile)


@given(st.lists(st.lists(st.integers(1, 2047), max_size=20), min_size=1, max_size=10), quantiles)
def test_percentiles_are_those_of_the_sorted_values(values: list[list[int]], quantile: float) -> None:
    """Where buckets are a microsecond wide, a percentile is the value at its place in the sorted list."""
    ordered = sorted(value for second in values for value in second)
    place = max(1, int(quantile * 100 * len(ordered) / 100 + 0.5))
    assert exact(values).percentile_us(quantile) == (ordered[place - 1] if ordered else None)


@given(seconds, quantiles, quantiles)
def test_quantiles_rise(values: list[dict[int, int]], one: float, other: float) -> None:
    """A higher quantile is never a lower value, in either definition."""
    run = SecondlyHistograms.from_mappings(values)
    low, high = sorted([one, other])
    assert (run.percentile_us(low) or 0.0) <= (run.percentile_us(high) or 0.0)
    assert (run.ln_quantile(low) or 0.0) <= (run.ln_quantile(high) or 0.0)


@given(seconds, seconds, seconds)
@settings(max_examples=40)
def test_merging_is_associative_and_loses_nothing(
    a: list[dict[int, int]], b: list[dict[int, int]], c: list[dict[int, int]]
) -> None:
    """However three recorders' seconds are added up, the sum is the same and every sample is in it."""
    one, two, three = (SecondlyHistograms.from_mappings(part) for part in (a, b, c))
    left, right = merged(merged(one, two), three), merged(one, merged(two, three))
    assert np.array_equal(left.counts, right.counts)
    assert np.array_equal(left.values_us, right.values_us)
    assert np.array_equal(merged(one, two).counts, merged(two, one).counts)
    assert left.samples == one.samples + two.samples + three.samples


@given(seconds, seconds, quantiles)
@settings(max_examples=40)
def test_aligned_runs_keep_their_percentiles(
    a: list[dict[int, int]], b: list[dict[int, int]], quantile: float
) -> None:
    """On a common axis a run has more columns and the same percentiles."""
    one, two = SecondlyHistograms.from_mappings(a), SecondlyHistograms.from_mappings(b)
    left, right = aligned(one, two)
    assert np.array_equal(left.values_us, right.values_us)
    assert left.percentile_us(quantile) == one.percentile_us(quantile)
    assert right.percentile_us(quantile) == two.percentile_us(quantile)


def test_an_interpolated_quantile_sees_less_than_a_bucket() -> None:
    """A shift of a fifth of a microsecond at 50 µs shows in the ln-quantile and not in the percentile."""
    base = rng().normal(50, 2, 20_000)
    runs = [exact([[math.ceil(value) for value in base + shift]]) for shift in (0.0, 0.2)]
    differences = [runs[1].percentile_us(0.5) or 0.0, -(runs[0].percentile_us(0.5) or 0.0)]
    assert sum(differences) in (0.0, 1.0)
    one, other = (run.ln_quantile(0.5) or 0.0 for run in runs)
    assert other - one == pytest.approx(0.2 / 50, rel=0.15)


def test_seconds_with_samples_are_counted_apart_from_silent_ones() -> None:
    """Gaps stay in the matrix as rows of zeros."""
    run = SecondlyHistograms.from_mappings([{5: 1}, {}, {}, {7: 2, 5: 1}, {9: 0}])
    assert run.counts.shape == (5, 3)
    assert (run.busy, run.samples) == (2, 4)


@pytest.mark.parametrize(
    ("counts", "values_us", "named"),
    [
        ([[1, 2]], [1.0], "counts"),
        ([1, 2], [1.0, 2.0], "counts"),
        ([[1, 2]], [2.0, 1.0], "values_us"),
        ([[1, 2]], [1.0, math.nan], "values_us"),
        ([[1, 2]], [-1.0, 1.0], "values_us"),
        ([[1, -2]], [1.0, 2.0], "counts"),
    ],
)
def test_a_matrix_that_makes_no_sense_is_refused(
    counts: list[int], values_us: list[float], named: str
) -> None:
    """Shapes that do not fit, values that do not rise and negative counts are named."""
    with pytest.raises(InvalidSetting) as caught:
        SecondlyHistograms(np.array(counts), np.array(values_us))
    assert caught.value.name == named


# Bootstrap


def autoregressive(
    generator: np.random.Generator, length: int, correlation: float
) -> npt.NDArray[np.float64]:
    series = np.zeros(length)
    for i, shock in enumerate(generator.normal(size=length)):
        series[i] = correlation * series[i - 1] + shock
    return series


@pytest.mark.parametrize("correlation", [0.5, 0.7, 0.9])
def test_block_length_of_an_autoregressive_series_is_the_optimal_one(correlation: float) -> None:
    """For AR(1), G / g(0) is 2 φ / (1 - φ²), which gives the optimum in closed form."""
    optimum = (6 * correlation**2 / (1 - correlation**2) ** 2 * 1000) ** (1 / 3)
    lengths = [block_length(autoregressive(rng(seed), 1000, correlation)) for seed in range(40)]
    assert np.median(lengths) == pytest.approx(optimum, rel=0.25, abs=1)


def test_block_length_of_independent_seconds_is_short() -> None:
    """Without autocorrelation there is no reason for long blocks."""
    assert np.median([block_length(rng(seed).normal(size=600)) for seed in range(40)]) <= 3


@pytest.mark.parametrize("series", [[], [3.0], [0.0] * 100, [1e9] * 100])
def test_block_length_of_a_flat_series_is_one(series: list[float]) -> None:
    """Nothing to correlate is no reason to fail."""
    assert block_length(np.array(series)) == 1


@given(st.lists(st.floats(-1e6, 1e6), max_size=80))
def test_block_length_leaves_five_blocks(series: list[float]) -> None:
    """A trend asks for one endless block; five are the fewest that carry a variance."""
    assert 1 <= block_length(np.array(series)) <= max(1, len(series) // 5)


def test_quantiles_of_resamples_are_those_of_the_weighted_counts() -> None:
    """The search in strides finds what adding the seconds up and looking finds."""
    run = noisy(rng())
    weights = rng(2).poisson(1.0, (50, 60)).astype(np.float64)
    for quantile in (0.01, 0.5, 0.99):
        found = QuantileSearch(run, quantile).ln_quantiles(weights)
        for row, ln_quantile in zip(weights, found, strict=True):
            weighted = SecondlyHistograms((run.counts * row[:, None]).astype(np.int64), run.values_us)
            assert ln_quantile == pytest.approx(weighted.ln_quantile(quantile), abs=1e-9)


def test_equal_seconds_have_no_sampling_variance() -> None:
    """Drawing the same second again and again changes nothing."""
    seconds = [dict.fromkeys(range(100, 1100), 1)] * 30
    assert sampling_spread(
        SecondlyHistograms.from_mappings(seconds), 0.5, rng=rng()
    ).variance == pytest.approx(0, abs=1e-20)


@pytest.mark.parametrize(("correlation", "least"), [(0.0, 0.8), (0.6, 0.5)])
def test_sampling_variance_is_that_of_runs_drawn_anew(correlation: float, least: float) -> None:
    """One run's bootstrap sees what many runs of the server show; of strong correlation it misses a part.

    For correlated seconds drawing them singly would see a quarter: (1 - φ) / (1 + φ).
    """
    runs = [noisy(rng(seed), length_s=80, correlation=correlation) for seed in range(60)]
    truth = np.var([run.ln_quantile(0.5) or 0.0 for run in runs])
    guesses = [sampling_spread(run, 0.5, rng=rng(9), resamples=200).variance for run in runs]
    assert least < np.mean(guesses) / truth < 1.3


# Looks


@pytest.mark.parametrize(
    ("looks", "published"),
    [
        (2, [2.9626, 1.9686]),
        (3, [3.7103, 2.5114, 1.9930]),
        (4, [4.3326, 2.9631, 2.3590, 2.0141]),
        (5, [4.8769, 3.3569, 2.6803, 2.2898, 2.0310]),
    ],
)
def test_critical_values_are_the_published_ones(looks: int, published: list[float]) -> None:
    """Lan-DeMets boundaries of O'Brien-Fleming type at 5 %, as in Reboussin, DeMets, Kim and Lan (2000)."""
    fractions = [look / looks for look in range(1, looks + 1)]
    assert critical_values(fractions) == pytest.approx(published, abs=3e-4)


@pytest.mark.parametrize(
    ("looks", "constant"), [(1, 1.960), (2, 1.977), (3, 2.004), (4, 2.024), (5, 2.040), (10, 2.087)]
)
def test_obrien_fleming_tests_cross_in_five_of_a_hundred(looks: int, constant: float) -> None:
    """Jennison and Turnbull (2000), table 2.3: C_B(K, 0.05) √(K / k) errs in 5 %."""
    count = range(1, looks + 1)
    bounds = [constant * math.sqrt(looks / look) for look in count]
    assert crossing_probability(bounds, [look / looks for look in count]) == pytest.approx(0.05, abs=2e-4)


@pytest.mark.parametrize(("looks", "constant"), [(2, 2.178), (3, 2.289), (5, 2.413), (10, 2.555)])
def test_pocock_tests_cross_in_five_of_a_hundred(looks: int, constant: float) -> None:
    """Jennison and Turnbull (2000), table 2.1: C_P(K, 0.05) at every look errs in 5 %."""
    fractions = [look / looks for look in range(1, looks + 1)]
    assert crossing_probability([constant] * looks, fractions) == pytest.approx(0.05, abs=2e-4)


def test_all_error_is_spent_at_the_end_and_little_before() -> None:
    """A single look has all of it; the first of three has a five-thousandth."""
    assert nominal_level(12, (12,)) == pytest.approx(0.05)
    assert spent_error(1.0) == pytest.approx(0.05)
    assert [nominal_level(look, LOOKS) for look in LOOKS] == pytest.approx(
        [2.07e-4, 0.01202, 0.04626], rel=1e-2
    )


def test_an_unplanned_look_spends_its_share() -> None:
    """Six pairs judge at a level between those of four and eight; more than planned are refused."""
    assert nominal_level(4, LOOKS) < nominal_level(6, LOOKS) < nominal_level(8, LOOKS)
    with pytest.raises(InvalidSetting, match="13"):
        nominal_level(13, LOOKS)


@pytest.mark.parametrize(
    ("budget", "looks"), [(1, (1,)), (4, (4,)), (6, (4, 6)), (12, LOOKS), (20, (4, 8, 12, 20))]
)
def test_looks_are_planned_by_the_budget(budget: int, looks: tuple[int, ...]) -> None:
    """A duel looks at 4, 8 and 12 pairs as far as it goes, and when it ends."""
    assert plan_looks(budget) == looks


def test_t_statistics_at_the_nominal_levels_err_in_five_of_a_hundred() -> None:
    """Four pairs are few for a t statistic; the levels meant for normal ones still hold."""
    student = [15.0, 3.36, 2.23]  # upper bounds of t beyond its level at 3, 7 and 11 degrees, from tables
    draws = rng().normal(size=(20_000, 12))
    crossed = np.zeros(20_000, dtype=bool)
    for look, least in zip(LOOKS, student, strict=True):
        seen = draws[:, :look]
        crossed |= np.abs(seen.mean(axis=1)) > least * seen.std(axis=1, ddof=1) / math.sqrt(look)
    assert crossed.mean() < 0.055


@pytest.mark.parametrize("budget", [5, 13, 40, 100, 1000, 100_000])
def test_looks_far_before_the_end_spend_next_to_nothing(budget: int) -> None:
    """Four pairs of a thousand decide nothing, and the last look has nearly everything."""
    looks = plan_looks(budget)
    levels = [nominal_level(look, looks) for look in looks]
    assert levels == sorted(levels)
    assert 0.03 < levels[-1] <= 0.05
    early = compare(P50, pairs_with([0.30, 0.31, 0.29, 0.30]), rng=rng(), looks=looks)
    assert_finite(early)
    assert early.decision is Decision.FAIL or budget > 5


def test_more_pairs_than_planned_are_refused() -> None:
    """All error is spent at the last look; another one would have none left."""
    with pytest.raises(InvalidSetting, match="pairs"):
        compare(P50, pairs_with([0.0] * 13), rng=rng(), looks=LOOKS)


# Gates and noise


def test_margins_are_relative_or_absolute_whichever_is_more() -> None:
    """5 % of 100 ms is 5 ms; 5 % of 1 ms is less than the 0.2 ms that nobody notices."""
    assert Margin(0.05).ratio(100_000) == 0.05
    assert Margin(0.05).ratio(1_000) == pytest.approx(0.2)
    assert math.isfinite(Margin(0.05).ratio(0.0))


@pytest.mark.parametrize("number", [-0.1, math.nan, math.inf])
def test_a_margin_that_is_none_is_refused(number: float) -> None:
    """Negative and infinite margins would settle everything."""
    with pytest.raises(InvalidSetting, match="is out of range"):
        Margin(number)
    with pytest.raises(InvalidSetting, match="is out of range"):
        Margin(0.05, number)


def test_a_quantile_in_percent_is_refused() -> None:
    """99 where 0.99 is meant is a slip that must not go on."""
    with pytest.raises(InvalidSetting, match=r"0\.99"):
        Gate("service", 99, Margin(0.2))


def test_default_gates_are_the_contract() -> None:
    """p50, p90, p99 of service time and p95 of outage, and how many samples each asks for."""
    found = [(str(gate), gate.margin.relative_ratio, gate.least_samples) for gate in GATES]
    assert found == [
        ("service p50", 0.05, 20),
        ("service p90", 0.10, 100),
        ("service p99", 0.20, 1000),
        ("outage p95", 0.20, 200),
    ]


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
    assert result.decision is Decision.FAIL


@pytest.mark.parametrize(("noise", "reach"), [(ASSUMED_NOISE, 1.960), (NoiseFloor(0.05, runs=8), 2.365)])
def test_one_pair_has_at_least_the_noise_of_two_runs(noise: NoiseFloor, reach: float) -> None:
    """Without noise within the runs the interval is √2 noise floors wide, by the normal or the t table."""
    result = compare(P50, [(steady(1e6), steady(1e6))], rng=rng(), noise=noise)
    assert math.log1p(result.high_ratio or 0.0) == pytest.approx(reach * math.sqrt(2) * 0.05, rel=1e-3)
    assert result.decision is Decision.INCONCLUSIVE


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
        ([0.00, 0.01, -0.01, 0.00, 0.01, -0.01], Decision.PASS),
        ([-0.30, -0.31, -0.29, -0.30, -0.28, -0.32], Decision.PASS),
        ([0.10, 0.11, 0.09, 0.10, 0.11, 0.09], Decision.FAIL),
        ([0.10, -0.25, 0.35, 0.20, -0.10, 0.30], Decision.INCONCLUSIVE),
        ([0.03, 0.06, 0.05, 0.02, 0.04, 0.05], Decision.INCONCLUSIVE),
    ],
)
def test_decisions_follow_interval_and_margin(differences: list[float], decision: Decision) -> None:
    """Below the margin for sure, above it and above zero for sure, and whatever lies between."""
    assert compare(P50, pairs_with(differences), rng=rng()).decision is decision


def test_more_pairs_is_the_number_that_settles_it() -> None:
    """That many pairs with the same mean and spread are settled, one less is not."""
    spread = [0.06, -0.06, 0.05, -0.05]
    result = compare(P50, pairs_with(spread), rng=rng())
    assert result.more_pairs is not None
    deviation = float(np.std(spread, ddof=1))
    for pairs, decision in (
        (4 + result.more_pairs, Decision.PASS),
        (3 + result.more_pairs, Decision.INCONCLUSIVE),
    ):
        ends = [deviation * math.sqrt((pairs - 1) / 2), -deviation * math.sqrt((pairs - 1) / 2)]
        assert compare(P50, pairs_with([*ends, *[0.0] * (pairs - 2)]), rng=rng()).decision is decision
    assert f"{result.more_pairs} more interleaved pairs" in result.reason


def test_more_pairs_lead_to_the_next_look() -> None:
    """In a duel that looks at 4, 8 and 12 the answer is a look, or beyond the last one."""
    result = compare(P50, pairs_with([0.02, -0.02, 0.01, -0.01]), rng=rng(), looks=LOOKS)
    assert (result.decision, result.more_pairs) == (Decision.INCONCLUSIVE, 4)


def test_a_change_on_the_margin_is_settled_by_no_number_of_pairs() -> None:
    """Where the estimate is the margin, nothing is promised."""
    result = compare(P50, pairs_with([math.log(1.05) + off for off in (0.2, -0.2, 0.2, -0.2)]), rng=rng())
    assert (result.decision, result.more_pairs) == (Decision.INCONCLUSIVE, None)
    assert "too close to the margin" in result.reason


def test_early_looks_ask_for_more() -> None:
    """What fails four pairs looked at once does not stop a duel at its first look."""
    pairs = pairs_with([0.10, 0.12, 0.08, 0.10])
    assert compare(P50, pairs, rng=rng()).decision is Decision.FAIL
    assert compare(P50, pairs, rng=rng(), looks=LOOKS).decision is Decision.INCONCLUSIVE


def test_a_change_below_the_absolute_margin_passes() -> None:
    """A tenth more of 400 µs is 40 µs, which no user sees."""
    pairs = [(steady(400), steady(440))] * 4
    assert compare(P50, pairs, rng=rng()).decision is Decision.PASS


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
    assert result.decision is Decision.INCONCLUSIVE
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
    assert result.decision is Decision.PASS


@given(seconds, st.integers(1, 5), st.sampled_from(GATES), st.sampled_from([None, LOOKS]))
@settings(deadline=None)
def test_a_run_never_fails_against_itself(
    values: list[dict[int, int]], pairs: int, gate: Gate, looks: tuple[int, ...] | None
) -> None:
    """Identical runs, however odd, are PASS or INCONCLUSIVE, and every number is finite."""
    run = SecondlyHistograms.from_mappings(
        [{value: 40 * count for value, count in second.items()} for second in values]
    )
    result = compare(gate, [(run, run)] * pairs, rng=rng(), looks=looks, resamples=50)
    assert result.decision is not Decision.FAIL
    assert_finite(result)


@given(seconds, seconds)
@settings(deadline=None, max_examples=20)
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


# Feasibility


def test_an_assumed_noise_of_five_percent_cannot_resolve_the_median_in_one_pair() -> None:
    """(1.960 + 0.842) √2 · 5 % is 19.8 % in ln units, far above 5 %; the pairs it asks for would do."""
    plan = feasibility(P50, pairs=1, duration_s=60, rng=rng())
    assert not plan.feasible
    assert plan.resolution_ratio == pytest.approx(math.expm1(0.1981), rel=1e-3)
    assert plan.pairs_needed is not None
    assert feasibility(P50, pairs=plan.pairs_needed, duration_s=60, rng=rng()).feasible
    assert not feasibility(P50, pairs=plan.pairs_needed - 1, duration_s=60, rng=rng()).feasible
    assert str(plan) == (
        "service p50: 22 % can be told from noise, the margin is 5 %, or 0.2 ms where that is more: "
        f"too few, it takes {plan.pairs_needed} pairs"
    )


def test_a_quiet_machine_resolves_the_margin() -> None:
    """With a measured noise of 0.5 % one pair is enough."""
    noise = NoiseFloor(0.005, runs=10)
    plan = feasibility(
        P50, pairs=1, duration_s=600, rng=rng(), baseline=noisy(rng(), length_s=100), noise=noise
    )
    assert plan.feasible
    assert (plan.pairs_needed, plan.duration_s_needed) == (None, None)
    assert "measured over 10 runs" in str(plan)


def test_longer_runs_help_where_their_own_seconds_are_the_noise() -> None:
    """The duration asked for is feasible, a little less is not."""
    baseline, noise = noisy(rng()), NoiseFloor(0.002, runs=20)
    gate = Gate("service", 0.5, Margin(0.02))
    short = feasibility(gate, pairs=1, duration_s=5, rng=rng(), baseline=baseline, noise=noise)
    assert short.duration_s_needed is not None
    for factor, feasible in ((1.01, True), (0.99, False)):
        duration_s = short.duration_s_needed * factor
        plan = feasibility(gate, pairs=1, duration_s=duration_s, rng=rng(), baseline=baseline, noise=noise)
        assert plan.feasible is feasible
    assert f"runs of {math.ceil(short.duration_s_needed / 60)} minutes after the warm-up" in str(short)


def test_where_nothing_would_do_the_sentence_says_so() -> None:
    """A noise of 200 % against a margin of a thousandth."""
    plan = feasibility(
        Gate("service", 0.5, Margin(0.001, 0)), pairs=1, duration_s=60, rng=rng(), noise=NoiseFloor(2.0, 8)
    )
    assert plan.pairs_needed is None
    assert str(plan).endswith("too few, and 1000 pairs would be, too: it takes quieter machines")


@pytest.mark.parametrize(
    ("baseline_us", "says"),
    [(500, "the margin is 0.2 ms = 40 % of 0.50 ms: "), (9000, "the margin is 5 %: ")],
)
def test_the_margin_in_force_is_named(baseline_us: int, says: str) -> None:
    """The time where that is more than the share."""
    assert says in str(feasibility(P50, pairs=12, duration_s=20, rng=rng(), baseline=steady(baseline_us)))


# Trend

NILE = """1120 1160 963 1210 1160 1160 813 1230 1370 1140 995 935 1110 994 1020 960 1180 799 958 1140
1100 1210 1150 1250 1260 1220 1030 1100 774 840 874 694 940 833 701 916 692 1020 1050 969 831
726 456 824 702 1120 1100 832 764 821 768 845 864 862 698 845 744 796 1040 759 781 865 845 944
984 897 822 1010 771 676 649 846 812 742 801 1040 860 874 848 890 744 749 838 1050 918 986 797
923 975 815 1020 906 901 1170 912 746 919 718 714 740"""


def test_the_nile_changed_in_1898() -> None:
    """Cobb (1978): the annual flow at Aswan, 1871 to 1970, dropped after 1898, and only then."""
    points = change_points([math.log(float(flow)) for flow in NILE.split()], rng=rng())
    assert [1871 + point.index for point in points] == [1899]
    assert points[0].p_value <= 0.001
    assert points[0].change_ratio == pytest.approx(-0.25, abs=0.04)


def test_two_changes_are_both_found() -> None:
    """Slower from the 15th run on, mended at the 30th."""
    levels = np.repeat([9.0, 9.2, 9.0], 15) + rng().normal(0, 0.03, 45)
    points = change_points(list(levels), rng=rng())
    assert [point.index for point in points] == [15, 30]
    assert [point.change_ratio > 0 for point in points] == [True, False]
    assert points[0].before_us == pytest.approx(math.exp(9.0), rel=0.03)


def test_series_without_a_change_rarely_show_one() -> None:
    """Noise alone is called a change in about 5 of 100 series."""
    found = [bool(change_points(list(rng(seed).normal(9, 0.05, 20)), rng=rng(seed))) for seed in range(200)]
    assert sum(found) <= 20


def test_one_wild_run_is_no_change() -> None:
    """An outlier a hundred times as slow does not divide the series."""
    series = list(9 + 0.01 * rng().normal(size=20))
    series[10] += math.log(100)
    assert change_points(series, rng=rng()) == ()


@pytest.mark.parametrize("series", [[], [9.0], [None] * 30, [9.0] * 30, [9.0, None, math.inf, 9.1]])
def test_series_that_cannot_show_a_change_show_none(series: list[float | None]) -> None:
    """Short, empty and constant series."""
    assert change_points(series, rng=rng()) == ()


def test_runs_without_samples_do_not_shift_the_change() -> None:
    """The index is that of the series given, empty runs included."""
    series = [9.0, None, 9.01, 9.02, 9.0, 8.99, None, 9.5, 9.51, 9.52, 9.5, 9.49]
    assert [point.index for point in change_points(series, rng=rng())] == [7]
