"""Histograms: folding against the library's own recording, percentiles against sorted lists."""

from array import array
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadtest import histograms
from tests.support.effort import effort

HIGHEST_NS = histograms.HIGHEST_US * 1000

PERCENTILES = [0, 1, 25, 50, 90, 99, 99.9, 100]

samples = st.lists(
    st.integers(0, 10_000_000)
    | st.integers(0, HIGHEST_NS)
    | st.sampled_from([499, 500, 1499, 2_047_500, HIGHEST_NS]),
    max_size=60,
)


def fold(samples_ns: list[int]) -> Any:
    """Return the histogram of samples that must all be in range."""
    histogram, clamped = histograms.fold(array("q", samples_ns))
    assert clamped == 0
    return histogram


def state(histogram: Any) -> tuple[Any, ...]:
    """Return what a histogram holds."""
    return histogram.total_count, histogram.min_value, histogram.max_value, list(histogram.counts)


class TestFold:
    """Samples become a histogram."""

    @given(samples_ns=samples)
    @example(samples_ns=[])
    @effort(15)
    def test_equals_recording_one_by_one(self, samples_ns: list[int]) -> None:
        """Folding gives counts, total, least and greatest value as the library's own recording does."""
        recorded: Any = histograms.new_histogram()
        for sample_ns in samples_ns:
            assert recorded.record_value((sample_ns + 500) // 1000)
        assert state(fold(samples_ns)) == state(recorded)

    def test_every_bucket_boundary(self) -> None:
        """Around powers of two, where buckets change their width, values fall where the library puts them."""
        recorded: Any = histograms.new_histogram()
        values_us = [2**power + apart for power in range(2, 32) for apart in (-1, 0, 1)]
        values_us = [value_us for value_us in values_us if value_us <= histograms.HIGHEST_US]
        for value_us in values_us:
            recorded.record_value(value_us)
        assert state(fold([value_us * 1000 for value_us in values_us])) == state(recorded)

    @pytest.mark.parametrize(
        ("sample_ns", "value_us"),
        [
            (HIGHEST_NS + 500, histograms.HIGHEST_US),
            (2**62, histograms.HIGHEST_US),
            (-501, 0),
            (-(2**62), 0),
        ],
    )
    def test_clamped(self, sample_ns: int, value_us: int) -> None:
        """A sample beyond the range is counted at its end, and told."""
        histogram, clamped = histograms.fold(array("q", [1_000_000, sample_ns, sample_ns]))
        assert clamped == 2
        assert histogram.total_count == 3
        assert value_us in (histogram.min_value, histogram.max_value)
        assert histogram.get_count_at_value(value_us) == 2

    def test_ends_of_the_range_are_in_it(self) -> None:
        """Nothing and a whole hour are within the range."""
        assert fold([0, HIGHEST_NS]).total_count == 2


class TestPercentiles:
    """What a histogram says of its samples."""

    @given(samples_ns=samples.filter(bool))
    @effort(15)
    def test_against_a_sorted_list(self, samples_ns: list[int]) -> None:
        """Each percentile is within 0.1 % of the sample of that rank, and half a microsecond of rounding."""
        ordered = sorted(samples_ns)
        found = histograms.percentiles_us(fold(samples_ns), PERCENTILES)
        for percentile in PERCENTILES:
            # HdrHistogram's rank: the nearest to this share of all samples, at least the first.
            rank = max(1, int(percentile / 100 * len(ordered) + 0.5))
            exact_us = ordered[rank - 1] / 1000
            assert found[percentile] == pytest.approx(exact_us, rel=0.001, abs=0.5)

    def test_empty(self) -> None:
        """An empty histogram has no percentiles."""
        assert histograms.percentiles_us(fold([]), PERCENTILES) == {}

    @given(samples_ns=samples)
    @effort(15)
    def test_buckets(self, samples_ns: list[int]) -> None:
        """The buckets hold every sample, in order, each within the precision of its bucket's value."""
        buckets = histograms.buckets(fold(samples_ns))
        assert sum(buckets.values()) == len(samples_ns)
        assert list(buckets) == sorted(buckets)
        spread_us = [value_us for value_us, count in buckets.items() for _ in range(count)]
        for sample_ns, value_us in zip(sorted(samples_ns), spread_us, strict=True):
            assert value_us == pytest.approx(sample_ns / 1000, rel=0.001, abs=0.5)


class TestMerged:
    """Histograms of intervals and of workers become one."""

    @given(parts=st.lists(samples, max_size=4))
    @example(parts=[[], [5_000_000], []])
    @effort(15)
    def test_equals_folding_all(self, parts: list[list[int]]) -> None:
        """The sum is the histogram of all samples; empty parts leave the least value alone."""
        total = histograms.merged(fold(part) for part in parts)
        whole = fold([sample_ns for part in parts for sample_ns in part])
        assert list(total.counts) == list(whole.counts)
        assert total.get_total_count() == whole.get_total_count()
        assert (total.get_min_value(), total.get_max_value()) == (
            whole.get_min_value(),
            whole.get_max_value(),
        )

    def test_parts_stay_as_they_were(self) -> None:
        """Merging changes none of its parts."""
        part = fold([1_000_000])
        histograms.merged([part, part])
        assert state(part) == state(fold([1_000_000]))


class TestCodec:
    """HdrHistogram's V2 compressed form."""

    @given(samples_ns=samples)
    @effort(15)
    def test_round_trip(self, samples_ns: list[int]) -> None:
        """What is written is read back with every count in its bucket, and can be merged again."""
        histogram = fold(samples_ns)
        text = histograms.encode(histogram)
        read = histograms.decode(text)
        assert histograms.buckets(read) == histograms.buckets(histogram)
        assert read.get_total_count() == len(samples_ns)
        assert histograms.buckets(histograms.merged([read, histogram])) == histograms.buckets(
            histograms.merged([histogram, histogram])
        )

    def test_is_what_other_libraries_write(self) -> None:
        """The form begins like that of every HdrHistogram library: V2, compressed with zlib."""
        assert histograms.encode(fold([1_000_000])).startswith("HISTFAAAA")


def test_samples_carry_a_percentile_if_one_lies_beyond_it() -> None:
    """p50 takes two samples, p99 a hundred, p99.99 ten thousand; the maximum takes one."""
    least = {0: 1, 50: 2, 90: 10, 95: 20, 99: 100, 99.9: 1000, 99.99: 10_000, 99.999: 100_000, 100: 1}
    for percentile, samples in least.items():
        assert histograms.carries(samples, percentile), percentile
        assert not histograms.carries(samples - 1, percentile), percentile
