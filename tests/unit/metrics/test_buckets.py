"""Cumulative buckets, against counting the values one by one."""

from array import array

from hypothesis import given
from hypothesis import strategies as st

from loadtest import histograms
from loadtest.metrics.buckets import ROUND_TRIPS_S, BucketCounts, buckets_of

TIMES_US = st.lists(st.integers(1, 200_000_000), max_size=200)


@given(TIMES_US)
def test_a_histograms_buckets(times_us: list[int]) -> None:
    """Each bucket has the values up to its bound: to 0.1%, the precision of the histogram."""
    histogram, _ = histograms.fold(array("q", (value * 1000 for value in times_us)))
    found = buckets_of(histogram, ROUND_TRIPS_S)
    for bound_s, count in zip(ROUND_TRIPS_S, found.counts, strict=False):
        surely = sum(value <= bound_s * 1e6 for value in times_us)
        perhaps = sum(value <= bound_s * 1.001 * 1e6 for value in times_us)
        assert surely <= count <= perhaps
    assert found.total == len(times_us)
    assert abs(found.sum_s - sum(times_us) / 1e6) <= 0.001 * sum(times_us) / 1e6
    assert list(found.counts) == sorted(found.counts)


@given(TIMES_US)
def test_values_counted_one_by_one(times_us: list[int]) -> None:
    """A value that is a bound is in its bucket."""
    counted = BucketCounts(ROUND_TRIPS_S)
    for value_us in times_us:
        counted.add(value_us / 1e6)
    for bound_s, count in zip(ROUND_TRIPS_S, counted.buckets.counts, strict=False):
        assert count == sum(value_us / 1e6 <= bound_s for value_us in times_us)
    assert counted.buckets.total == len(times_us)


def test_without_values() -> None:
    """A run that has not measured yet has empty buckets, not none."""
    assert buckets_of(None, (1.0, 2.0)).counts == (0, 0, 0)


def test_a_value_that_is_a_bound_is_in_its_bucket() -> None:
    """Also where the bound shares a slot of the histogram with larger values."""
    histogram, _ = histograms.fold(array("q", (int(bound_s * 1e9) for bound_s in ROUND_TRIPS_S)))
    found = buckets_of(histogram, ROUND_TRIPS_S)
    assert list(found.counts) == [*range(1, len(ROUND_TRIPS_S) + 1), len(ROUND_TRIPS_S)]
