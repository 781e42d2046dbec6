"""The distributions of a run in progress, by tag: since the start, and over the last seconds.

Decoding one histogram and adding it takes up to 0.7 ms, so only the tags in use are kept.
"""

from collections.abc import Iterable, Mapping, Sequence

from loadtest import histograms
from loadtest.histograms import Histogram

LIVE_TAGS = ("service", "response", "first_part", "connect", "outage", "resume", "send_slip", "unanswered")
"""Tags that the web page and the metrics show, and those that rules need."""


class LiveHistograms:
    """The distributions since the run's start, warm-up included.

    Args:
        tags: the tags to keep.
    """

    def __init__(self, tags: Sequence[str] = LIVE_TAGS) -> None:
        self._tags = tags
        self._totals: dict[str, Histogram] = {}

    def append(self, encoded: Mapping[str, str]) -> None:
        """Add the histograms of an interval, by tag."""
        for tag in self._tags:
            if tag not in encoded:
                continue
            if tag not in self._totals:
                self._totals[tag] = histograms.new_histogram()
            self._totals[tag].add(histograms.decode(encoded[tag]))

    @property
    def totals(self) -> Mapping[str, Histogram]:
        """The distributions by tag; tags without samples are left out."""
        return self._totals

    def carried_us(self, tag: str, percentiles: Sequence[float]) -> dict[float, int]:
        """Return a tag's values in µs at the percentiles for which it has enough samples."""
        return histograms.carried_us(self._totals.get(tag), percentiles)

    def samples(self, tag: str) -> int:
        """Return the number of samples of a tag."""
        total = self._totals.get(tag)
        return 0 if total is None else int(total.get_total_count())


def recent(tag: str, encoded: Iterable[Mapping[str, str]]) -> Histogram:
    """Return the distribution of a tag over some intervals."""
    return histograms.merged(histograms.decode(one[tag]) for one in encoded if tag in one)
