"""HDR histograms of a run: folding samples, merging, percentiles, and the codec. Only home of hdrhistogram.

Histograms hold microseconds from 1 µs to one hour with 3 significant digits (0.1 %). Samples arrive as raw
nanoseconds and are folded by numpy, which gives the same counts as recording them one by one, at a hundredth
of the cost. Values outside the range are clamped to its ends and counted, never dropped: the library's
own `record_value` returns False for them and loses them. Nothing here is fast enough for a loop that
measures: fold and encode elsewhere.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

import numpy as np
from hdrh.histogram import HdrHistogram

LOWEST_US = 1
HIGHEST_US = 3_600_000_000
DIGITS = 3

_NS_PER_US = 1000


def new_histogram() -> HdrHistogram:
    """Return an empty histogram of the run's range and precision."""
    return HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)


_SHAPE = new_histogram()
_HALF_MAGNITUDE: int = _SHAPE.sub_bucket_half_count_magnitude
_MASK: int = _SHAPE.sub_bucket_mask


def fold(samples_ns: array[int]) -> tuple[HdrHistogram, int]:
    """Return the histogram of these samples, and how many lay outside its range and were clamped.

    Args:
        samples_ns: nanoseconds; rounded to the nearest microsecond.
    """
    histogram = new_histogram()
    if not samples_ns:
        return histogram, 0
    raw_us = (np.frombuffer(samples_ns, dtype=np.int64) + _NS_PER_US // 2) // _NS_PER_US
    values_us = np.clip(raw_us, 0, HIGHEST_US)
    counts = np.bincount(_indices(values_us), minlength=histogram.counts_len)
    np.frombuffer(histogram.counts, dtype=np.uint64)[:] += counts.astype(np.uint64)
    histogram.total_count = len(values_us)
    histogram.min_value = int(values_us.min())
    histogram.max_value = int(values_us.max())
    return histogram, int(np.count_nonzero(values_us != raw_us))


def _indices(values_us: np.ndarray) -> np.ndarray:
    """Return the index in the counts of each value: HdrHistogram's `_counts_index_for`, vectorised."""
    # frexp's exponent is the bit length of a positive integer below 2**53.
    bit_length = np.frexp((values_us | _MASK).astype(np.float64))[1].astype(np.int64)
    bucket = bit_length - (_HALF_MAGNITUDE + 1)
    sub_bucket = values_us >> bucket
    return ((bucket + 1) << _HALF_MAGNITUDE) + sub_bucket - (1 << _HALF_MAGNITUDE)


def merged(histograms: Iterable[HdrHistogram]) -> HdrHistogram:
    """Return the sum; empty histograms add nothing (the library's `add` would set the minimum to 0)."""
    total = new_histogram()
    for histogram in histograms:
        if histogram.get_total_count():
            total.add(histogram)
    return total


def percentiles_us(histogram: HdrHistogram, percentiles: Sequence[float]) -> dict[float, int]:
    """Return the value in microseconds at each percentile in [0, 100], empty for an empty histogram."""
    if not histogram.get_total_count():
        return {}
    found: dict[float, int] = histogram.get_percentile_to_value_dict(list(percentiles))
    return found


def buckets(histogram: HdrHistogram) -> dict[int, int]:
    """Return {highest equivalent value in µs: count} of the non-empty buckets, in order."""
    counts = np.frombuffer(histogram.counts, dtype=np.uint64)
    return {
        int(histogram.get_highest_equivalent_value(histogram.get_value_from_index(int(index)))): int(
            counts[index]
        )
        for index in np.flatnonzero(counts)
    }


def encode(histogram: HdrHistogram) -> str:
    """Return the histogram in HdrHistogram's V2 compressed form, base64."""
    text: bytes = histogram.encode()
    return text.decode("ascii")


def decode(text: str) -> HdrHistogram:
    """Read what `encode`, or another HdrHistogram library, wrote."""
    return HdrHistogram.decode(text)
