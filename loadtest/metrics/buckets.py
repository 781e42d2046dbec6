"""Cumulative buckets: distributions in the form that Prometheus and OpenTelemetry use.

An HDR histogram has 23,552 counts; these have a dozen. A bucket counts the values that are at most its bound,
or equal to it within the histogram's precision, so it is accurate to 0.1%. The sum uses the middle of each
value's histogram bucket.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from loadtest import histograms
from loadtest.histograms import Histogram

ROUND_TRIPS_S = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
OUTAGES_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
SLIPS_S = (0.00001, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 1.0)
"""Send slip: the limit of a fit load generator is 5 ms."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """A distribution as cumulative buckets.

    Args:
        bounds_s: upper bounds in seconds, in ascending order, without infinity.
        counts: cumulative number of values up to each bound; the last one counts all values.
        sum_s: sum of all values in seconds.
    """

    bounds_s: Sequence[float]
    counts: Sequence[int]
    sum_s: float

    @property
    def total(self) -> int:
        """The number of values."""
        return self.counts[-1]


def buckets_of(histogram: Histogram | None, bounds_s: Sequence[float]) -> Buckets:
    """Return the buckets of a histogram in microseconds; None is an empty histogram."""
    if histogram is None:
        return Buckets(bounds_s, (0,) * (len(bounds_s) + 1), 0.0)
    bounds_us = [histograms.highest_equivalent_us(bound_s * 1e6) for bound_s in bounds_s]
    counts, sum_us = histograms.cumulative(histogram, bounds_us)
    return Buckets(bounds_s, counts, sum_us / 1e6)


@dataclass(slots=True)
class BucketCounts:
    """Counts values one by one, for small numbers of values.

    Args:
        bounds_s: upper bounds in seconds, in ascending order, without infinity.
    """

    bounds_s: Sequence[float]
    sum_s: float = 0.0
    _counts: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self._counts = [0] * (len(self.bounds_s) + 1)

    def add(self, value_s: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self.bounds_s, value_s)] += 1
        self.sum_s += value_s

    @property
    def buckets(self) -> Buckets:
        """The buckets of all values so far."""
        counts, below = [], 0
        for count in self._counts:
            below += count
            counts.append(below)
        return Buckets(self.bounds_s, counts, self.sum_s)
