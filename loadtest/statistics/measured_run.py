"""The data that a run is judged by: its histograms and losses, and the value of each gate.

    quantiles      ln of the quantile in µs
    drift          ln of the quantile's last third / first third of the run
    slow replies   share of replies far above the baseline's p99; known only beside its baseline
    losses         lost connections per session-hour

Reading runs does not belong here (`loadtest.verdict.latency.timing` makes these).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from loadtest.statistics.margins import Gate, GateKind
from loadtest.statistics.quantiles import SecondlyHistograms

_SLOW_FACTOR = 4.0
_LEAST_SLOWER_US = 1_000.0
"""A reply is slow if it took more than four times the baseline's p99, and more than a millisecond longer: a
reply within the margin of p99.9 on a fast server is not slow."""

_Thirds = tuple[SecondlyHistograms, SecondlyHistograms]

NO_HISTOGRAM = SecondlyHistograms.from_mappings([])


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MeasuredRun:
    """The part of a run from which gates are computed.

    Args:
        histograms: second by second, by tag of `loadtest.statistics.margins.TAGS`: after the warm-up, those
            of `connect` over the whole run. A tag may be missing.
        losses: lost connections, without those that drills caused.
        session_hours: time for which sessions were up, in hours, 0 or more.
        closed_load: whether requests wait for replies: closed arrivals, or a limit on requests in flight.
            Only then `response p99` is judged.
        row_s: seconds per row of the histograms: more than one in runs of many hours.
    """

    histograms: Mapping[str, SecondlyHistograms]
    losses: int = 0
    session_hours: float = 0.0
    closed_load: bool = False
    row_s: int = 1
    _thirds: dict[str, _Thirds] = field(init=False, repr=False, default_factory=dict)

    def histogram(self, tag: str) -> SecondlyHistograms:
        """Return a tag's histograms, empty ones if it has none."""
        return self.histograms.get(tag, NO_HISTOGRAM)

    def length_s(self, tag: str) -> int:
        """Return the seconds that a tag's histograms cover."""
        return int(self.histogram(tag).counts.shape[0]) * self.row_s

    def thirds(self, tag: str) -> _Thirds:
        """Return the first and the last third of a tag's seconds."""
        if tag not in self._thirds:
            self._thirds[tag] = _outer_thirds(self.histogram(tag))
        return self._thirds[tag]


def value(gate: Gate, run: MeasuredRun) -> float | None:
    """Return a gate's value in the units in which it is compared, None if it is unknown.

    Returns:
        ln(µs) of a quantile, ln(last third / first third) of the drift, losses per session-hour; None for
        slow replies, which are defined only beside a baseline.
    """
    if gate.kind is GateKind.LOSSES:
        return run.losses / run.session_hours if run.session_hours > 0 else None
    histogram = run.histogram(gate.tag)
    if gate.kind is GateKind.QUANTILE:
        return histogram.ln_quantile(gate.quantile)
    if gate.kind is GateKind.DRIFT:
        first, last = (third.ln_quantile(gate.quantile) for third in run.thirds(gate.tag))
        return None if first is None or last is None else last - first
    return None


def shown(gate: Gate, found: float | None) -> float | None:
    """Return a value in the units of files and reports: µs, ratio (drift: 0.05 is +5%), losses per hour."""
    if found is None or gate.kind.counted:
        return found
    return math.exp(found) if gate.kind is GateKind.QUANTILE else math.expm1(found)


def _outer_thirds(run: SecondlyHistograms) -> _Thirds:
    third = run.counts.shape[0] // 3
    first, last = run.counts[:third], run.counts[run.counts.shape[0] - third :]
    return SecondlyHistograms(first, run.values_us), SecondlyHistograms(last, run.values_us)


def slow_above_us(quantile_us: float | None) -> float:
    """Return the time above which a reply is slow, in µs.

    Args:
        quantile_us: the baseline's p99 in µs; None without replies.
    """
    known_us = quantile_us or 0.0
    return max(_SLOW_FACTOR * known_us, known_us + _LEAST_SLOWER_US)
