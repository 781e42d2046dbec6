"""A run over time, reduced to what a chart can show: at most `BINS_LIMIT` bins, whatever the run's length.

Spikes are kept: a rate is that of the bin's highest row, sessions in an outage are the bin's most, those up
its fewest. Percentiles come from the bin's merged histogram, never from other percentiles, and only as far as
its samples carry them; the 100th is the bin's maximum. Nothing is drawn here.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from loadtest import text
from loadtest.report.gauge_rows import Pick, summed_gauge
from loadtest.report.heat_map import HeatMap, heat_map
from loadtest.report.storms import storms_until_end
from loadtest.results.data import RunData, Second

BINS_LIMIT = 600
PERCENTILES = (50.0, 90.0, 99.0, 100.0)
TIMED_TAGS = ("service", "response")

_SHORTEST_ROW_S = 0.2
"""A shorter row has no meaningful rate: events that fall into a few milliseconds are not a spike."""

Bins = Sequence[float | None]
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Something that explains what can be seen.

    Args:
        at_s: seconds since the run's start.
        end_s: when it was over; None for a single moment.
        kind: `storm`, `drill`, `warmup` or `stop`.
        label: short text for the chart.
    """

    at_s: float
    end_s: float | None = None
    kind: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """A run over time.

    Args:
        bin_s: seconds per bin, a multiple of `row_s`.
        row_s: seconds that the highest rates are averaged over (`RunData.row_s`).
        at_s: start of each bin in seconds since the run's start; the last bin may be shorter.
        recorded: whether anything was recorded in the bin; the load generator may have stood still.
        rates: by series (`PerSecond.counts`), the rate per second in the bin's highest row; None where
            nothing was recorded.
        sums: by series, the bin's total.
        up: the fewest sessions up in the bin, summed over all workers; None where nothing is known.
        in_outage: the most sessions in an outage in the bin; None where nothing is known.
        percentiles_ms: by tag (`TIMED_TAGS`) and percentile (`PERCENTILES`), of the bin's samples; None where
            these do not carry it.
        drops_by_kind: by kind, the bin's drops.
        log_errors: records of the server's log at ERROR or worse in the bin; zeros without a log.
        moments: ordered by time.
        heat: round trips over time and latency; None without samples.
    """

    bin_s: float
    row_s: int
    at_s: Sequence[float]
    recorded: Sequence[bool]
    rates: Mapping[str, Bins]
    sums: Mapping[str, Sequence[int]]
    up: Bins
    in_outage: Bins
    percentiles_ms: Mapping[tuple[str, float], Bins]
    drops_by_kind: Mapping[str, Sequence[int]]
    log_errors: Sequence[int]
    moments: Sequence[Moment]
    heat: HeatMap | None


def bin_s_of(run: RunData, bins_limit: int = BINS_LIMIT) -> int:
    """Return the seconds per bin of which a run has so many at most."""
    rows = math.ceil(run.length_s / run.row_s)
    return run.row_s * max(1, math.ceil(rows / bins_limit))


def timeline(run: RunData, *, bin_s: int | None = None) -> Timeline:
    """Return a run over time.

    Args:
        run: the run.
        bin_s: seconds per bin, a multiple of the run's `row_s`; None for what its length needs.
    """
    bin_s = bin_s or bin_s_of(run)
    per_bin = bin_s // run.row_s
    bins = math.ceil(run.length_s / bin_s)
    counts, recorded = run.per_second.counts, _recorded(run)
    return Timeline(
        bin_s=float(bin_s),
        row_s=run.row_s,
        at_s=[float(number * bin_s) for number in range(bins)],
        recorded=[any(part) for part in _parts(recorded, per_bin)],
        rates={series: _picked(_rates(run, of, recorded), per_bin, max) for series, of in counts.items()},
        sums=_sums(counts, per_bin),
        up=_picked(summed_gauge(run, "sessions_up", min), per_bin, min),
        in_outage=_picked(summed_gauge(run, "sessions_in_outage", max), per_bin, max),
        percentiles_ms=_percentiles(run, bins, bin_s),
        drops_by_kind=_sums(run.per_second.drops, per_bin),
        log_errors=_log_errors(run, bins, bin_s),
        moments=moments(run),
        heat=heat_map(run, "service"),
    )


def _parts(values: Sequence[_Value], size: int) -> list[Sequence[_Value]]:
    return [values[start : start + size] for start in range(0, len(values), size)]


def _recorded(run: RunData) -> list[bool]:
    return [run.per_second.recorded(row) for row in range(math.ceil(run.length_s / run.row_s))]


def _rates(run: RunData, counts: Sequence[int], recorded: Sequence[bool]) -> list[float | None]:
    """Return the rate per second by row, None where nothing was recorded.

    The last row is as long as the run left it. A row before a gap is as long as its interval, which reaches
    into the gap.
    """
    spans_s, last = run.per_second.spans_s, len(counts) - 1
    found: list[float | None] = []
    for row, count in enumerate(counts):
        length_s = float(run.row_s)
        if row == last:
            length_s = max(round(run.length_s - last * run.row_s, 3), _SHORTEST_ROW_S)
        elif not recorded[row + 1]:
            length_s = max(length_s, spans_s[row])
        found.append(count / length_s if recorded[row] else None)
    return found


def _sums(series: Mapping[str, Sequence[int]], per_bin: int) -> dict[str, list[int]]:
    return {name: [sum(part) for part in _parts(values, per_bin)] for name, values in series.items()}


def _picked(values: Bins, per_bin: int, pick: Pick) -> list[float | None]:
    parts = ([value for value in part if value is not None] for part in _parts(values, per_bin))
    return [pick(part) if part else None for part in parts]


def _percentiles(run: RunData, bins: int, bin_s: int) -> Mapping[tuple[str, float], Bins]:
    found: dict[tuple[str, float], list[float | None]] = {
        (tag, one): [None] * bins for tag in TIMED_TAGS for one in PERCENTILES
    }
    for tag in TIMED_TAGS:
        for row in merged_rows(run.seconds.get(tag, ()), bin_s):
            number = int(row.start_s // bin_s)
            if number < bins:  # a killed run's histograms may reach beyond its last interval
                for percentile, us in row.carried_us(PERCENTILES).items():
                    found[tag, percentile][number] = us / 1000
    return found


def merged_rows(rows: Sequence[Second], row_s: int) -> list[Second]:
    """Return a tag's rows, merged into longer ones of `row_s` seconds."""
    buckets: dict[int, Counter[int]] = {}
    for row in rows:
        buckets.setdefault(int(row.start_s // row_s), Counter()).update(row.buckets)
    return [Second(float(number * row_s), of) for number, of in sorted(buckets.items())]


def _log_errors(run: RunData, bins: int, bin_s: int) -> list[int]:
    found = [0] * bins
    for second, errors in (run.log_errors_per_s or {}).items():
        if 0 <= second // bin_s < bins:
            found[second // bin_s] += errors
    return found


def moments(run: RunData) -> list[Moment]:
    """Return the storms, drills, the warm-up's end and the stop, as far as the run has them, by time."""
    found = [
        Moment(at_s=storm.at_s, kind="storm", label=f"storm {text.share(storm.share_ratio)}")
        for storm in storms_until_end(run)
    ]
    found += [
        Moment(at_s=one.drill.started_s, end_s=one.drill.ended_s, kind="drill", label="drill")
        for one in run.drills
        if one.drill.started_s is not None
    ]
    warmup_s = run.manifest.plan.warmup_s
    if 0 < warmup_s < run.length_s:
        found.append(Moment(at_s=warmup_s, kind="warmup", label="warm-up ends"))
    duration_s = run.manifest.plan.duration_s
    if duration_s is not None and duration_s + _SHORTEST_ROW_S < run.length_s:
        found.append(Moment(at_s=duration_s, end_s=run.length_s, kind="stop", label="stopping"))
    return sorted(found, key=lambda moment: moment.at_s)
