"""One-second latency histograms of a run, as a matrix with a row per second and a column per bucket.

HdrHistogram's buckets are sparse; only those with values become columns. A percentile is defined as in
HdrHistogram's own readers (Tene's `getValueAtPercentile`), so that values agree with those of other tools.
Differences use a second, continuous definition, `ln_quantile`: at low latencies a bucket is wide compared
with the margins (1 µs of 50 µs is 2%), and quantiles restricted to bucket edges would give the bootstrap and
the t test only a handful of distinct values. Reading `.hlog` files does not belong here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Self

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# HdrHistogram with three significant digits halves its resolution at each power of two from 2048 on:
# 1024 buckets per octave, none finer than a microsecond.
_BUCKETS_PER_OCTAVE = 1024
RESOLUTION_US = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class SecondlyHistograms:
    """Histograms of one run and tag, second by second.

    Args:
        counts: shape (seconds, buckets), number of values in each; a row of zeros is an empty second.
        values_us: shape (buckets,), strictly increasing, 0 or more: the highest equivalent value of each
            bucket.

    Attributes:
        totals: shape (buckets,), number of values in each bucket over the whole run.
        samples: number of values.

    Raises:
        ValueError: the shapes do not match, a count is negative, or the values are negative, not finite
            or not increasing.
    """

    counts: Counts
    values_us: Floats
    totals: Counts = field(init=False, repr=False)
    samples: int = field(init=False)
    _cumulative: Counts = field(init=False, repr=False)
    _ln_quantiles: dict[float, float] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        if self.counts.ndim != 2 or self.values_us.shape != self.counts.shape[1:]:
            raise ValueError(
                f"counts must have a column for each value: {self.counts.shape}, {self.values_us.shape}"
            )
        if not np.all(np.isfinite(self.values_us)) or np.any(np.diff(self.values_us) <= 0):
            raise ValueError("values_us must be finite and strictly increasing")
        if self.values_us.size and self.values_us[0] < 0:
            raise ValueError("values_us must be 0 or more")
        if np.any(self.counts < 0):
            raise ValueError("counts must be 0 or more")
        # Summed once: every percentile needs it, and the matrix of an hour-long run is large.
        object.__setattr__(self, "totals", self.counts.sum(axis=0, dtype=np.int64))
        object.__setattr__(self, "_cumulative", np.cumsum(self.totals))
        object.__setattr__(self, "samples", int(self._cumulative[-1]) if self.totals.size else 0)

    @classmethod
    def from_mappings(cls, seconds: Sequence[Mapping[int, int]]) -> Self:
        """Build the matrix from one mapping per second, `{highest equivalent value in µs: count}`."""
        sizes = np.fromiter(map(len, seconds), dtype=np.int64, count=len(seconds))
        every = np.fromiter(chain.from_iterable(seconds), dtype=np.float64, count=int(sizes.sum()))
        values_us, columns = np.unique(every, return_inverse=True)
        counts = np.zeros((len(seconds), values_us.size), dtype=np.int64)
        found = chain.from_iterable(second.values() for second in seconds)
        counts[np.repeat(np.arange(len(seconds)), sizes), columns] = np.fromiter(
            found, dtype=np.int64, count=every.size
        )
        return cls(counts, values_us)

    @property
    def busy(self) -> int:
        """Number of seconds with at least one value."""
        return int(np.count_nonzero(self.counts.any(axis=1)))

    def percentile_us(self, quantile: float) -> float | None:
        """Return HdrHistogram's value at a quantile in (0, 1]; None without samples."""
        if not self.samples:
            return None
        target = max(1, int(quantile * 100 * self.samples / 100 + 0.5))
        return float(self.values_us[np.searchsorted(self._cumulative, target)])

    def ln_quantile(self, quantile: float) -> float | None:
        """Return ln of the quantile in µs, interpolated within its bucket; None without samples."""
        if not self.samples:
            return None
        if quantile not in self._ln_quantiles:
            self._ln_quantiles[quantile] = self._ln_quantile(quantile)
        return self._ln_quantiles[quantile]

    def _ln_quantile(self, quantile: float) -> float:
        rank = quantile * self.samples
        bucket = int(np.searchsorted(self._cumulative, rank))
        share = 1 - (float(self._cumulative[bucket]) - rank) / int(self.totals[bucket])
        near = self.values_us[max(0, bucket - 1) : bucket + 1]
        return float(ln_inside(near, bucket_widths_us(near), np.array([near.size - 1]), share)[0])

    def count_above(self, limit_us: float) -> int:
        """Return the number of values above a limit, without those in the limit's own bucket."""
        bucket = int(np.searchsorted(self.values_us, limit_us, side="right"))
        return self.samples - (int(self._cumulative[bucket - 1]) if bucket else 0)


def pooled(runs: Sequence[SecondlyHistograms]) -> SecondlyHistograms:
    """Return the values of several runs as one row, without their seconds."""
    axis = np.unique(np.concatenate([run.values_us for run in runs]))
    totals = np.zeros((1, axis.size), dtype=np.int64)
    for run in runs:
        totals[0, np.searchsorted(axis, run.values_us)] += run.totals
    return SecondlyHistograms(totals, axis)


def aligned(*runs: SecondlyHistograms) -> tuple[SecondlyHistograms, ...]:
    """Return the runs on a common bucket axis, the union of theirs."""
    axis = np.unique(np.concatenate([run.values_us for run in runs]))
    return tuple(_on_axis(run, axis) for run in runs)


def merged(*runs: SecondlyHistograms) -> SecondlyHistograms:
    """Return the sum of concurrent recordings, second by second; as long as the longest of them."""
    length = max(run.counts.shape[0] for run in runs)
    common = aligned(*runs)
    counts = np.zeros((length, common[0].values_us.size), dtype=np.int64)
    for run in common:
        counts[: run.counts.shape[0]] += run.counts
    return SecondlyHistograms(counts, common[0].values_us)


def bucket_widths_us(values_us: Floats) -> Floats:
    """Return the width of each bucket, down from its highest value and never beyond the previous bucket's."""
    octave = np.floor(np.log2(np.maximum(values_us, RESOLUTION_US)))
    widths = np.maximum(RESOLUTION_US, 2.0**octave / _BUCKETS_PER_OCTAVE)
    gaps = np.diff(values_us, prepend=-np.inf)
    return np.asarray(np.minimum(widths, gaps), dtype=np.float64)


def ln_inside(
    values_us: Floats, widths_us: Floats, buckets: npt.NDArray[np.intp], shares: float | Floats
) -> Floats:
    """Return ln of points within buckets, as if each bucket's values were spread evenly.

    Values below the clock's resolution cannot be distinguished, so the smallest result is ln of 1 µs.

    Args:
        values_us, widths_us: shape (buckets,), highest value and width of each bucket.
        buckets: indexes of the points' buckets.
        shares: position of each point in its bucket, from 0 (low end) to 1 (high end).
    """
    points = values_us[buckets] - widths_us[buckets] * (1 - np.asarray(shares))
    return np.asarray(np.log(np.maximum(points, RESOLUTION_US)), dtype=np.float64)


def _on_axis(run: SecondlyHistograms, values_us: Floats) -> SecondlyHistograms:
    counts = np.zeros((run.counts.shape[0], values_us.size), dtype=np.int64)
    counts[:, np.searchsorted(values_us, run.values_us)] = run.counts
    return SecondlyHistograms(counts, values_us)
