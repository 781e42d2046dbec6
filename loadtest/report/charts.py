"""The report's charts, from a run's evidence: latency over time, its percentiles, sessions, outages.

Each chart says in words what it shows. Long runs are summed up into at most `POINTS_LIMIT` points, and
percentiles are taken of the sums, never averaged.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping

from loadtest import latency
from loadtest.evidence import Evidence, Second, Series
from loadtest.report import figures
from loadtest.report.geometry import (
    Bar,
    Chart,
    Point,
    Scale,
    Shape,
    Tick,
    area,
    line,
    ticks,
    x_scale,
    y_logarithmic,
    y_scale,
)
from loadtest.report.storms import storm_marks, storm_sentence

POINTS_LIMIT = 240
_OUTAGE_BARS = 36
_MOST_SESSIONS = 1e9  # a file may hold any number
_SMALLEST_TAIL = 1e-5


def charts(evidence: Evidence) -> list[Chart]:
    """Return the charts that this run has data for."""
    found = (
        latency_over_time(evidence),
        percentile_curve(evidence),
        sessions_over_time(evidence),
        outage_distribution(evidence),
    )
    return [chart for chart in found if chart is not None]


def latency_over_time(evidence: Evidence) -> Chart | None:
    """Return p50 and p99 of service time, and p99 of response time, by second."""
    service = _steps(evidence, "service")
    response = _steps(evidence, "response")
    lines = (
        ("service p50", "one", _percentiles(service, 50)),
        ("service p99", "two", _percentiles(service, 99)),
        ("response p99", "three dashed", _percentiles(response, 99)),
    )
    values = [value for _, _, points in lines for _, value in points if value is not None]
    if not values:
        return None
    x, y = x_scale(0, evidence.length_s), y_logarithmic(values)
    total = evidence.percentiles_us("service", (50, 99))
    return Chart(
        title="Latency over time",
        description=f"Service time of steady sessions second by second: {_told(total)} over the whole run "
        f"after its warm-up; the highest p99 of a second was {figures.span(1000 * max(values))}.",
        x_label="seconds since the start",
        y_label="ms",
        x_ticks=ticks(x, _plain),
        y_ticks=ticks(y, _plain),
        shapes=[Shape(name=name, style=style, path=line(points, x, y)) for name, style, points in lines],
    )


def _steps(evidence: Evidence, tag: str) -> list[Second]:
    """Return a tag's rows, summed up so that there are not too many."""
    rows = evidence.seconds.get(tag, ())
    step_s = _step_s(evidence, evidence.row_s)
    sums: dict[int, Counter[int]] = {}
    for row in rows:
        sums.setdefault(int(row.start_s // step_s), Counter()).update(row.buckets)
    last = max(sums, default=-1)
    return [Second(float(step * step_s), dict(sums.get(step, {}))) for step in range(last + 1)]


def _percentiles(rows: Iterable[Second], percentile: float) -> list[Point]:
    points: list[Point] = []
    for row in rows:
        us = row.percentile_us(percentile)
        points.append((row.start_s, None if us is None else max(1, us) / 1000))
    return points


def percentile_curve(evidence: Evidence) -> Chart | None:
    """Return service and response time by percentile, as HdrHistogram's users plot it."""
    samples = evidence.samples("service")
    if not samples:
        return None
    reach = -math.log10(max(_SMALLEST_TAIL, 1 / max(10, samples)))
    lines = (
        ("response", "three dashed", _curve(evidence, "response", reach)),
        ("service", "one", _curve(evidence, "service", reach)),
    )
    values = [value for _, _, points in lines for _, value in points if value is not None]
    x, y = x_scale(0, reach), y_logarithmic(values)
    return Chart(
        title="Latency by percentile",
        description="Service time: " + _told(evidence.percentiles_us("service", (50, 99, 99.9))) + ". "
        "Response time: " + _told(evidence.percentiles_us("response", (50, 99, 99.9))) + ".",
        x_label="percentile",
        y_label="ms",
        x_ticks=[Tick(x.at(at), label) for at, label in _tails(reach)],
        y_ticks=ticks(y, _plain),
        shapes=[Shape(name=name, style=style, path=line(points, x, y)) for name, style, points in lines],
        note="Service time counts from the moment a message was really sent, response time from the moment "
        "it was due: where a slow server kept the client from sending, only response time holds that wait; "
        "leaving it out is called coordinated omission.",
    )


def _curve(evidence: Evidence, tag: str, reach: float) -> list[Point]:
    """Return the values where the tail above is 10^-x, x evenly spaced."""
    places = [reach * number / 60 for number in range(61)]
    percentiles = {place: 100 * (1 - 10**-place) for place in places}
    at_us = evidence.percentiles_us(tag, list(percentiles.values()))
    return [(place, max(1, at_us[percentile]) / 1000) for place, percentile in percentiles.items() if at_us]


def _tails(reach: float) -> list[tuple[float, str]]:
    named = ((0.0, "0"), (math.log10(2), "50"), (1.0, "90"), (2.0, "99"), (3.0, "99.9"), (4.0, "99.99"))
    return [(at, label) for at, label in (*named, (5.0, "99.999")) if at <= reach + 1e-9]


def sessions_over_time(evidence: Evidence) -> Chart | None:
    """Return sessions up and in an outage by second, with the attempts to connect."""
    step_s = _step_s(evidence, 1)
    up = _summed(evidence.gauges.get("sessions_up", {}), evidence.length_s, step_s)
    in_outage = _summed(evidence.gauges.get("sessions_in_outage", {}), evidence.length_s, step_s)
    attempts = _attempts(evidence, step_s)
    if not up:
        return None
    most_up = max(value for _, value in up)
    most_out = max((value for _, value in in_outage), default=0.0)
    x = x_scale(0, evidence.length_s)
    y = y_scale(1.1 * max(most_up, most_out, *(value for _, value in attempts)))
    return Chart(
        title="Sessions over time",
        description=f"At most {most_up:.0f} sessions were up and {most_out:.0f} in an outage at a time; "
        f"{sum(evidence.counts_of('drops').values())} drops were made and "
        f"{sum(evidence.counts_of('losses').values())} connections lost. {storm_sentence(evidence)}".rstrip(),
        x_label="seconds since the start",
        y_label="sessions",
        x_ticks=ticks(x, _plain),
        y_ticks=ticks(y, _plain, about=5),
        shapes=[
            Shape(name="up", style="one filled", path=area(up, x, y)),
            Shape(name="in an outage", style="two filled", path=area(in_outage, x, y)),
            Shape(name="connection attempts a second", style="three dashed", path=line(attempts, x, y)),
        ],
        marks=storm_marks(evidence, x),
    )


def _step_s(evidence: Evidence, row_s: int) -> int:
    """Return how many seconds a point stands for, a multiple of `row_s`."""
    return row_s * max(1, math.ceil(evidence.length_s / row_s / POINTS_LIMIT))


def _attempts(evidence: Evidence, step_s: int) -> list[tuple[float, float]]:
    """Return the attempts to connect in the busiest second of each step."""
    busiest: Counter[int] = Counter()
    for second, attempts in evidence.attempts_per_s.items():
        if 0 <= second < evidence.length_s:
            busiest[second // step_s] = max(busiest[second // step_s], attempts)
    last = max(busiest, default=-1)
    return [(float(step * step_s), float(busiest[step])) for step in range(last + 1)]


def _summed(
    by_worker: Mapping[int | None, Series], length_s: float, step_s: int
) -> list[tuple[float, float]]:
    """Return a gauge at each step's end, summed over the workers; one silent for a step keeps its value.

    It is read when an interval ends: drawn at its start, a storm's drops would seem to come before the storm.
    """
    totals = [0.0] * math.ceil(length_s / step_s)
    for series in by_worker.values():
        known = {
            int(at_s // step_s): min(max(0.0, value), _MOST_SESSIONS)
            for at_s, value in zip(series.at_s, series.values, strict=True)
        }
        value = 0.0
        for step in range(min(len(totals), max(known, default=-1) + 1)):
            value = known.get(step, value)
            totals[step] += value
    ends = [(min(length_s, float(step * step_s)), total) for step, total in enumerate(totals, start=1)]
    return [(0.0, totals[0]), *ends] if by_worker and totals else []


def outage_distribution(evidence: Evidence) -> Chart | None:
    """Return how many outages took how long."""
    histogram = evidence.histograms.get("outage")
    if histogram is None:
        return None
    in_s = {max(1, us) / 1e6: count for us, count in latency.buckets(histogram).items()}
    low, high = min(in_s), max(in_s)
    scale = Scale(low / 1.02, high * 1.02, *_x_ends(), logarithmic=high > 10 * low)
    heights = _binned(in_s, scale)
    y = y_scale(max(heights.values()) * 1.1)
    told = evidence.percentiles_us("outage", (50, 95, 100))
    return Chart(
        title="How long outages took",
        description=f"{evidence.samples('outage')} outages ended, {_told(told)}.",
        x_label="seconds from drop or loss to established again",
        y_label="outages",
        x_ticks=ticks(scale, _plain),
        y_ticks=ticks(y, _plain, about=5),
        bars=_bars(heights, y),
    )


def _x_ends() -> tuple[float, float]:
    scale = x_scale(0, 1)
    return scale.start, scale.end


def _binned(counts: Mapping[float, int], scale: Scale) -> Counter[int]:
    width = (scale.end - scale.start) / _OUTAGE_BARS
    heights: Counter[int] = Counter()
    for value, count in counts.items():
        heights[min(_OUTAGE_BARS - 1, int((scale.at(value) - scale.start) / width))] += count
    return heights


def _bars(heights: Mapping[int, int], y: Scale) -> list[Bar]:
    start, end = _x_ends()
    width = (end - start) / _OUTAGE_BARS
    return [
        Bar(
            x=round(start + place * width + 0.5, 1),
            y=y.at(count),
            width=round(width - 1, 1),
            height=round(y.at(0) - y.at(count), 1),
            label=f"{count} outages",
        )
        for place, count in sorted(heights.items())
    ]


def _told(percentiles_us: Mapping[float, int]) -> str:
    told = [
        f"{'max' if percentile == 100 else f'p{percentile:g}'} {figures.span(us)}"
        for percentile, us in percentiles_us.items()
    ]
    return ", ".join(told) or "no samples"


def _plain(value: float) -> str:
    return f"{value:g}" if value < 10_000 else f"{value:,.0f}"
