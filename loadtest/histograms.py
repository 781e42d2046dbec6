"""HDR histograms of latency: fold, merge, percentiles, and the codec. Only this module imports hdrh.

A histogram holds microseconds from 1 µs to one hour with 3 significant digits (0.1%), in 23,552 counts.
Samples arrive as raw nanoseconds. numpy folds them all at once, with the same counts as recording them one by
one at a hundredth of the cost. Values out of range are clamped to its ends and counted, whereas the library's
`record_value` returns False and discards them. Percentiles come from the cumulative counts: the same values
as the library's own loop, many times faster.

Layout of the counts (HdrHistogram.java): bucket b covers the values whose bit length is b + 11, in 1,024
slots of 2**b µs each; bucket 0 has another 1,024 slots below, for the values from 0 on.

Encoded histograms come from other processes and files, so `decode` checks them before the library sees them.
Never call this module on the engine's loop: it is too slow for that. No file formats here
(`loadtest.results.hlog`), no statistics (`loadtest.statistics`).
"""

from __future__ import annotations

import base64
import struct
import zlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyhdrh
from hdrh.histogram import HdrHistogram

Histogram: TypeAlias = Any
"""An HdrHistogram with this module's range and precision; Any because the library has no types."""

LOWEST_US = 1
HIGHEST_US = 3_600_000_000
DIGITS = 3

ENCODED_LIMIT = 1 << 19
"""Maximum characters of an encoded histogram: 23,552 counts of 9 bytes, incompressible, take 283,000."""

_NS_PER_US = 1000
_ROUNDING = 1e-9  # 1,000 x (100 - 99.9) / 100 is slightly less than 1


def new_histogram() -> Histogram:
    """Return an empty histogram."""
    return HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)


_SHAPE = new_histogram()
_HALF_MAGNITUDE: int = _SHAPE.sub_bucket_half_count_magnitude
_HALF = 1 << _HALF_MAGNITUDE
_MASK: int = _SHAPE.sub_bucket_mask


def fold(samples_ns: array[int]) -> tuple[Histogram, int]:
    """Return the histogram of these samples, and how many of them were clamped to its range.

    Args:
        samples_ns: shape (n,), signed 64-bit nanoseconds, any value; rounded to the nearest microsecond.
    """
    histogram = new_histogram()
    if not samples_ns:
        return histogram, 0
    raw_us = (np.frombuffer(samples_ns, dtype=np.int64) + _NS_PER_US // 2) // _NS_PER_US
    values_us = np.clip(raw_us, 0, HIGHEST_US)
    _counts(histogram)[:] = np.bincount(_slots(values_us), minlength=histogram.counts_len)
    histogram.total_count = len(values_us)
    histogram.min_value = int(values_us.min())
    histogram.max_value = int(values_us.max())
    return histogram, int(np.count_nonzero(values_us != raw_us))


@dataclass(frozen=True, slots=True)
class Counted:
    """The non-empty slots of a histogram that was read.

    Args:
        slots: shape (n,), indexes in the counts, in ascending order.
        counts: shape (n,), how many values each has.
        samples: their sum.
    """

    slots: np.ndarray
    counts: np.ndarray
    samples: int

    def buckets(self) -> dict[int, int]:
        """Return {highest equivalent value in µs: count} in ascending order."""
        return dict(zip(_HIGHEST_US[self.slots].tolist(), self.counts.tolist(), strict=True))

    def histogram(self) -> Histogram:
        """Return it as a histogram."""
        histogram = new_histogram()
        if self.samples:
            _counts(histogram)[self.slots] = self.counts
            histogram.total_count = self.samples
            histogram.min_value = _SHAPE.get_value_from_index(int(self.slots[0]))
            histogram.max_value = int(_HIGHEST_US[self.slots[-1]])
        return histogram


class Total:
    """A sum of histograms."""

    def __init__(self) -> None:
        self._counts = np.zeros(_COUNTS, np.uint64)
        self._samples = 0

    def add(self, counted: Counted) -> None:
        """Add a histogram.

        Raises:
            ValueError: a count is too large.
        """
        if self._samples + counted.samples > _MAX_TOTAL:
            raise ValueError("a histogram's counts are too large")
        self._samples += counted.samples
        self._counts[counted.slots] += counted.counts

    def histogram(self) -> Histogram:
        """Return the sum as a histogram."""
        slots = np.flatnonzero(self._counts)
        return Counted(slots, self._counts[slots], self._samples).histogram()


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """Return the sum. Empty histograms are skipped: the library's `add` would set the minimum to 0."""
    total = new_histogram()
    for histogram in histograms:
        if histogram.get_total_count():
            total.add(histogram)
    return total


def percentiles_us(histogram: Histogram, percentiles: Sequence[float]) -> dict[float, int]:
    """Return {percentile: value in µs} in ascending order; empty for an empty histogram.

    Each value is the highest one equivalent to the sample of rank `round(percentile / 100 * n)`, at least 1;
    at percentile 0 it is the lowest equivalent one (HdrHistogram's getValueAtPercentile).

    Args:
        percentiles: each in [0, 100], in any order.
    """
    total = int(histogram.get_total_count())
    if not total:
        return {}
    wanted = sorted(set(percentiles))
    ranks = [max(1, int(percentile * total / 100 + 0.5)) for percentile in wanted]
    slots = np.searchsorted(np.cumsum(_counts(histogram)), ranks)
    lowest_us, highest_us = _bounds_us(slots)
    values_us = np.where(np.array(wanted) > 0, highest_us, lowest_us).tolist()
    return dict(zip(wanted, values_us, strict=True))


def carries(samples: int, percentile: float) -> bool:
    """Return whether this number of samples supports a percentile: at least one whole sample is beyond it.

    p50 needs 2 samples, p99 needs 100, p99.9 needs 1,000; the maximum needs one. This rule decides which
    percentiles are shown; limits and gates need more samples.

    Args:
        percentile: in [0, 100].
    """
    beyond = samples * (100 - percentile) / 100
    return samples > 0 and (percentile == 100 or beyond >= 1 - _ROUNDING)


def carried_us(histogram: Histogram | None, percentiles: Sequence[float]) -> dict[float, int]:
    """Return `percentiles_us` for the percentiles that the samples support; empty without a histogram."""
    if histogram is None:
        return {}
    samples = int(histogram.get_total_count())
    return percentiles_us(histogram, [one for one in percentiles if carries(samples, one)])


def buckets(histogram: Histogram) -> dict[int, int]:
    """Return {highest equivalent value in µs: count} of the non-empty slots, in ascending order."""
    counts = _counts(histogram)
    slots = np.flatnonzero(counts)
    _, highest_us = _bounds_us(slots)
    return dict(zip(highest_us.tolist(), counts[slots].tolist(), strict=True))


def cumulative(histogram: Histogram, bounds_us: Sequence[int]) -> tuple[list[int], float]:
    """Return how many values are at most each bound, then their total number and their sum in µs.

    Args:
        bounds_us: highest equivalent values, in ascending order.
    """
    counts = _counts(histogram)
    slots = np.flatnonzero(counts)
    found = counts[slots].astype(np.int64)
    lowest_us, highest_us = _bounds_us(slots)
    up_to = np.concatenate(([0], np.cumsum(found)))
    at = np.searchsorted(highest_us, bounds_us, side="right")
    sum_us = float(((lowest_us + highest_us) / 2 * found).sum())
    return [*up_to[at].tolist(), int(up_to[-1])], sum_us


def highest_equivalent_us(value_us: float) -> int:
    """Return the highest value in the same slot as this one; `buckets` counts it there.

    Args:
        value_us: from 0 to `HIGHEST_US`.
    """
    _, highest_us = _bounds_us(_slots(np.array([int(value_us)])))
    return int(highest_us[0])


def _counts(histogram: Histogram) -> np.ndarray:
    """Return the histogram's counts, shape (counts_len,): a view, not a copy."""
    return np.frombuffer(histogram.counts, dtype=np.uint64)


def _slots(values_us: np.ndarray) -> np.ndarray:
    """Return each value's index in the counts: HdrHistogram's `_counts_index_for`, vectorised."""
    # frexp's exponent is the bit length of a positive integer below 2**53.
    bit_length = np.frexp((values_us | _MASK).astype(np.float64))[1].astype(np.int64)
    bucket = bit_length - (_HALF_MAGNITUDE + 1)
    sub_bucket = values_us >> bucket
    return ((bucket + 1) << _HALF_MAGNITUDE) + sub_bucket - _HALF


def _bounds_us(slots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and the highest value of each slot: the inverse of `_slots`."""
    bucket = np.maximum((slots >> _HALF_MAGNITUDE) - 1, 0)
    lowest_us = (slots - (bucket << _HALF_MAGNITUDE)) << bucket
    return lowest_us, lowest_us + (1 << bucket) - 1


_COUNTS: int = _SHAPE.counts_len
_, _HIGHEST_US = _bounds_us(np.arange(_COUNTS))


def encode(histogram: Histogram) -> str:
    """Return the histogram in HdrHistogram's V2 compressed form, base64."""
    text: bytes = histogram.encode()
    return text.decode("ascii")


_OUTER = struct.Struct(">II")
_COMPRESSED_COOKIE = 0x1C849304
_INNER = struct.Struct(">IIIIQQd")
_PLAIN_COOKIE = 0x1C849313
_WORD_BITS = 0xF0
_PAYLOAD_LIMIT = _INNER.size + 9 * len(_SHAPE.counts)
_MAX_SAMPLES = 2**53
_MAX_TOTAL = 2**62
_WORD_BYTES = 8


def decode(text: str) -> Histogram:
    """Read a histogram that `encode` or another HdrHistogram library wrote.

    Raises:
        ValueError: the text is not a histogram, or has another range or precision.
    """
    return Decoder().counted(text).histogram()


class Decoder:
    """Reads many histograms one after the other, faster than `decode` because it allocates counts only once.

    The library fills the same counts for each histogram. Not thread-safe.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(_COUNTS, np.uint64)
        self._address = self._counts.ctypes.data

    def counted(self, text: str) -> Counted:
        """Read a histogram that `encode` or another HdrHistogram library wrote.

        Raises:
            ValueError: the text is not a histogram, or has another range or precision.
        """
        if len(text) > ENCODED_LIMIT:
            raise ValueError(
                f"a histogram of {len(text):,} characters is over the limit of {ENCODED_LIMIT:,}"
            )
        payload = _payload(base64.b64decode(text, validate=True))
        try:
            found = pyhdrh.decode(payload, _INNER.size, self._address, _COUNTS, _WORD_BYTES)
        except (IndexError, OverflowError, ValueError) as problem:
            self._counts[:] = 0
            raise ValueError(f"a histogram's counts cannot be read: {problem}") from problem
        samples, first = found["total"], max(found["min_nonzero_index"], 0)  # -1 if it is empty
        held = self._counts[first : found["max_nonzero_index"] + 1]
        slots = np.flatnonzero(held)
        counts = held[slots]
        held[:] = 0
        if not 0 <= samples <= _MAX_SAMPLES:
            raise ValueError("a histogram's counts are too large")
        if counts.sum(dtype=np.float64) != samples:  # as integers, both sums wrap around
            raise ValueError("a histogram's counts do not add up")
        return Counted(slots + first, counts, samples)


def _payload(data: bytes) -> bytes:
    """Return the payload of a histogram's V2 form; check both headers and the sizes in them."""
    if len(data) < _OUTER.size:
        raise ValueError("a histogram is cut short")
    cookie, length = _OUTER.unpack_from(data)
    if cookie & ~_WORD_BITS != _COMPRESSED_COOKIE:
        raise ValueError(f"a histogram's cookie is {cookie:#x}, not that of the V2 compressed form")
    if length != len(data) - _OUTER.size:
        raise ValueError(f"a histogram has {len(data) - _OUTER.size:,} bytes instead of {length:,}")
    payload = _inflated(data[_OUTER.size :])
    if len(payload) < _INNER.size:
        raise ValueError("a histogram's payload is cut short")
    cookie, length, offset, digits, lowest, highest, _ = _INNER.unpack_from(payload)
    if cookie != _PLAIN_COOKIE or length != len(payload) - _INNER.size or offset:
        raise ValueError("a histogram's payload is not in the V2 form")
    if (digits, lowest, highest) != (DIGITS, LOWEST_US, HIGHEST_US):
        found = f"{digits} digits from {lowest} to {highest}"
        raise ValueError(f"a histogram has {found}, but must have {DIGITS} digits from 1 to {HIGHEST_US} µs")
    return payload


def _inflated(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        payload = inflater.decompress(data, _PAYLOAD_LIMIT + 1)
    except zlib.error as problem:
        raise ValueError(f"a histogram cannot be inflated: {problem}") from problem
    if len(payload) > _PAYLOAD_LIMIT or not inflater.eof:
        raise ValueError("a histogram's zlib stream is cut short or over its limit")
    return payload
