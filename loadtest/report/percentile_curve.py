"""The curve of a latency's percentiles, as far into the tail as its samples carry it."""

from collections.abc import Mapping, Sequence
from typing import Protocol

_MAX_NINES = 4  # to p99.99
_POINTS = 80  # of a curve


class Sampled(Protocol):
    """A run, or the sum of several, with a histogram by tag."""

    def carried_us(self, tag: str, percentiles: Sequence[float], /) -> Mapping[float, int]:
        """Return a tag's value in µs at those of the percentiles that its samples carry."""


def percentile_curve(run: Sampled, tag: str) -> list[tuple[float, float]]:
    """Return (percentile, ms) from 0 to 99.99, as far as a tag's samples carry them.

    The steps shrink with the tail beyond them, as in HdrHistogram's plots; 50, 90, 99 … are among them.
    """
    tails = [10 ** -(_MAX_NINES * number / _POINTS) for number in range(_POINTS + 1)]
    percentiles = sorted({50.0, *(round(100 * (1 - tail), 6) for tail in tails)})
    return [(percentile, us / 1000) for percentile, us in run.carried_us(tag, percentiles).items()]
