"""HDR histograms of a run: folding samples, merging, percentiles, and the codec. Only home of hdrhistogram.

Histograms hold microseconds from 1 µs to one hour with 3 significant digits (0.1 %). Samples arrive as raw
nanoseconds and are folded by numpy, which gives the same counts as recording them one by one, at a hundredth
of the cost. Values outside the range are clamped to its ends and counted, never dropped: the library's
own `record_value` returns False for them and loses them. Nothing here is fast enough for a loop that
measures: fold and encode elsewhere.
"""

from __future__ import annotations

import base64
import struct
import zlib
from array import array
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

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


Histogram: TypeAlias = Any
"""An HdrHistogram: the library has no types."""

TEXT_LIMIT = 1 << 19
"""Characters of an encoded histogram: 23,552 counts of 9 bytes, incompressible, in base64 are 283,000."""

_OUTER = struct.Struct(">II")
_COMPRESSED_COOKIE = 0x1C849304
_INNER = struct.Struct(">IIIIQQd")
_PLAIN_COOKIE = 0x1C849313
_WORD_BITS = 0xF0
_PAYLOAD_LIMIT = _INNER.size + 9 * len(new_histogram().counts)
_MAX_SAMPLES = 2**53


def decoded(text: str) -> Histogram:
    """Return the histogram.

    Raises:
        ValueError: it is none, or one of another range or precision.
    """
    if len(text) > TEXT_LIMIT:
        raise ValueError(f"a histogram of {len(text)} characters is over the limit of {TEXT_LIMIT}")
    _check(base64.b64decode(text, validate=True))
    try:
        histogram = decode(text)
    except (IndexError, OverflowError, ValueError) as problem:
        raise ValueError(f"a histogram's counts cannot be read: {problem}") from problem
    if not 0 <= histogram.get_total_count() <= _MAX_SAMPLES:
        raise ValueError("a histogram's counts are beyond reason")
    return histogram


def _check(data: bytes) -> None:
    if len(data) < _OUTER.size:
        raise ValueError("a histogram is cut short")
    cookie, length = _OUTER.unpack_from(data)
    if cookie & ~_WORD_BITS != _COMPRESSED_COOKIE:
        raise ValueError(f"a histogram's cookie is {cookie:#x}, not that of the V2 compressed form")
    if length != len(data) - _OUTER.size:
        raise ValueError(f"a histogram has {len(data) - _OUTER.size} bytes instead of {length}")
    payload = _inflated(data[_OUTER.size :])
    if len(payload) < _INNER.size:
        raise ValueError("a histogram's payload is cut short")
    cookie, length, offset, digits, lowest, highest, _ = _INNER.unpack_from(payload)
    if cookie != _PLAIN_COOKIE or length != len(payload) - _INNER.size or offset:
        raise ValueError("a histogram's payload is not in the V2 form")
    expected = (DIGITS, LOWEST_US, HIGHEST_US)
    if (digits, lowest, highest) != expected:
        found = f"{digits} digits from {lowest} to {highest}"
        raise ValueError(
            f"a histogram has {found}, this tool's have {expected[0]} digits to {expected[2]} µs"
        )


def _inflated(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        payload = inflater.decompress(data, _PAYLOAD_LIMIT + 1)
    except zlib.error as problem:
        raise ValueError(f"a histogram cannot be inflated: {problem}") from problem
    if len(payload) > _PAYLOAD_LIMIT or not inflater.eof:
        raise ValueError("a histogram's zlib stream is cut short or over its limit")
    return payload
