"""Quantiles of runs: against HdrHistogram, against sorted lists, and merged without loss."""

import math

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from loadtest.statistics.quantiles import SecondlyHistograms, aligned, merged
from tests.support.distributions import exact, latencies_us, quantiles, rng, seconds
from tests.support.effort import effort

# Intervals


@given(st.lists(latencies_us, min_size=1, max_size=60), st.sampled_from([1, 25, 50, 90, 95, 99, 99.9, 100]))
@effort(25)
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
@effort(40)
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
@effort(40)
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
    with pytest.raises(ValueError, match=f"^{named} must"):
        SecondlyHistograms(np.array(counts), np.array(values_us))
