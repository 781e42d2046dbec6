"""Which quantiles a release is judged by, and how much each may change before it matters.

A margin is relative or absolute, whichever is more: 5 % of a 0.4 ms median is 20 µs, which no user and
hardly any machine notices. Everything is compared in logarithms, where a margin is ln(1 + margin / baseline).
"""

import math
from dataclasses import dataclass

from loadtest.errors import InvalidSetting


@dataclass(frozen=True, slots=True)
class Margin:
    """How much slower is still unchanged: the larger of a share of the baseline and a fixed time."""

    relative_ratio: float
    absolute_us: float = 200.0

    def __post_init__(self) -> None:
        for name, value in (("relative_ratio", self.relative_ratio), ("absolute_us", self.absolute_us)):
            if not (math.isfinite(value) and value >= 0):
                raise InvalidSetting(name, value, "is not a margin", "Give a finite number, zero or more")

    def ratio(self, baseline_us: float) -> float:
        """Return the margin as a share of this baseline."""
        return max(self.relative_ratio, self.absolute_us / max(baseline_us, 1.0))


@dataclass(frozen=True, slots=True)
class Gate:
    """A quantile of one tag's latency that is judged, and its margin.

    Args:
        tag: of the interval log, `service` or `outage`.
        quantile: in (0, 1).
        margin: what a change is measured against.
    """

    tag: str
    quantile: float
    margin: Margin

    def __post_init__(self) -> None:
        if not 0 < self.quantile < 1:
            raise InvalidSetting("quantile", self.quantile, "is not between 0 and 1", "Give p99 as 0.99")

    def __str__(self) -> str:
        return f"{self.tag} p{100 * self.quantile:g}"

    @property
    def least_samples(self) -> int:
        """How many samples a run needs: ten beyond the quantile, so that no single one decides it."""
        return math.ceil(round(10 / min(self.quantile, 1 - self.quantile), 6))


GATES = (
    Gate("service", 0.50, Margin(0.05)),
    Gate("service", 0.90, Margin(0.10)),
    Gate("service", 0.99, Margin(0.20)),
    Gate("outage", 0.95, Margin(0.20)),
)
