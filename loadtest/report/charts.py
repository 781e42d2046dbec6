"""The report's charts: latency over time, latency by percentile, sessions over time, outage durations.

Each chart has a description in words. Long runs are reduced to at most `POINTS_LIMIT` points; percentiles are
computed from summed histograms, never averaged.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from loadtest import histograms, text
from loadtest.report.drill_table import drill_moments
from loadtest.report.storms import storm_sentence, storms_until_end
from loadtest.results.data import RunData, Second, Series

Point = tuple[float, float | None]
"""x and y in the units of the data; y is None at a gap."""

WIDTH, HEIGHT = 480.0, 230.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 470.0, 12.0, 190.0
_LETTER = 6.6  # upper bound of the average width of a letter at 12 pixels
_MARK_TOP, _MARK_ROW, _MARK_ROWS = 28.0, 14.0, 4  # below the label of the y axis
_MIN_SPAN = 1e-6  # an axis shorter than a microsecond has no ticks worth naming


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps [low, high] of the data to [start, end] of the drawing, linearly or logarithmically."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """Return the position of a value; values outside the scale are clamped to its ends."""
        held = min(max(value, self.low), self.high)
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, held = math.log(low), math.log(high), math.log(held)
        return round(self.start + (held - low) / (high - low) * (self.end - self.start), 1)


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled position on an axis."""

    at: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A line or an area: its name in the legend, its CSS classes, and its SVG path."""

    name: str
    style: str
    path: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A vertical bar; `label` says in words what it shows."""

    x: float
    y: float
    width: float
    height: float
    label: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment on the x axis: a vertical line and, if there is room, its label.

    Args:
        at: x position of the line.
        label: what happened at this moment.
        y: y position of the label, None if it would cover another label.
        before: whether the label is to the left of the line instead of to the right.
    """

    at: float
    label: str
    y: float | None
    before: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Everything the template needs to draw one chart.

    Args:
        title: what the chart shows.
        description: what can be seen in it, in a sentence.
        x_label, y_label: quantity and unit of each axis.
        x_ticks, y_ticks: ticks of each axis.
        shapes: lines and areas.
        bars: bars of a histogram.
        marks: moments that explain what can be seen.
        note: remark that helps to read the chart.
    """

    title: str
    description: str
    x_label: str
    y_label: str
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    shapes: Sequence[Shape] = ()
    bars: Sequence[Bar] = ()
    marks: Sequence[Mark] = ()
    note: str = ""

    width, height, left, right, top, bottom = WIDTH, HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM


def x_scale(low: float, high: float) -> Scale:
    """Return a linear x axis over this range."""
    return Scale(low, high if high > low + _MIN_SPAN else low + 1, _LEFT, _RIGHT)


def y_scale(high: float) -> Scale:
    """Return a linear y axis from 0."""
    return Scale(0, high if high > _MIN_SPAN else 1, _BOTTOM, _TOP)


def y_logarithmic(values: Sequence[float]) -> Scale:
    """Return a logarithmic y axis for these positive values, spanning at least half a decade."""
    low, high = (min(values), max(values)) if values else (1.0, 10.0)
    low, high = low / 1.15, high * 1.15
    widen = max(1.0, math.sqrt(10**0.5 / (high / low)))
    return Scale(low / widen, high * widen, _BOTTOM, _TOP, logarithmic=True)


def ticks(scale: Scale, label: Callable[[float], str], *, about: int = 6) -> list[Tick]:
    """Return about `about` ticks at round values: 1, 2, 5 times a power of ten, or more if logarithmic."""
    values = _log_values(scale, about) if scale.logarithmic else _straight_values(scale, about)
    return [Tick(scale.at(value), label(value)) for value in values]


def _straight_values(scale: Scale, about: int) -> list[float]:
    rough = (scale.high - scale.low) / about
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first, last = math.ceil(scale.low / step), math.floor(scale.high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _log_values(scale: Scale, about: int) -> list[float]:
    powers = range(math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high)) + 1)
    for factors in ((1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        values = [factor * 10.0**power for power in powers for factor in factors]
        values = [value for value in values if scale.low <= value <= scale.high]
        if len(values) <= about + 1:
            return values
    return values[:: math.ceil(len(values) / about)]


def marks(moments: Sequence[tuple[float, str]], x: Scale) -> list[Mark]:
    """Return a mark for each moment and label, in order; a label that would cover another is left out."""
    taken: list[list[tuple[float, float]]] = [[] for _ in range(_MARK_ROWS)]
    found = []
    for moment, label in moments:
        at, width = x.at(moment), _LETTER * len(label) + 8
        before = at + width > _RIGHT
        start, end = (at - width, at) if before else (at, at + width)
        free = (
            row for row in range(_MARK_ROWS) if all(end <= one or two <= start for one, two in taken[row])
        )
        row = next(free, None)
        if row is not None:
            taken[row].append((start, end))
        found.append(Mark(at, label, None if row is None else _MARK_TOP + row * _MARK_ROW, before))
    return found


def line(points: Sequence[Point], x: Scale, y: Scale) -> str:
    """Return the SVG path through the points, interrupted at gaps; a single point becomes a dot."""
    parts = []
    pen_down = False
    for index, (along, value) in enumerate(points):
        if value is None:
            pen_down = False
            continue
        parts.append(f"{'L' if pen_down else 'M'}{x.at(along):g} {y.at(value):g}")
        if not pen_down and (index + 1 == len(points) or points[index + 1][1] is None):
            parts.append("h.1")
        pen_down = True
    return "".join(parts)


def area(points: Sequence[tuple[float, float]], x: Scale, y: Scale) -> str:
    """Return the SVG path of the area between the points, drawn as steps, and the x axis."""
    if not points:
        return ""
    floor = y.at(0)
    steps = "".join(f"H{x.at(along):g}V{y.at(value):g}" for along, value in points)
    return f"M{x.at(points[0][0]):g} {floor:g}{steps}V{floor:g}Z"


POINTS_LIMIT = 240
_OUTAGE_BARS = 36
_MAX_SESSIONS = 1e9  # a file may hold any number
_MIN_TAIL = 1e-5


def charts(run: RunData) -> list[Chart]:
    """Return the charts that this run has data for."""
    found = (
        latency_over_time(run),
        percentile_curve(run),
        sessions_over_time(run),
        outage_distribution(run),
    )
    return [chart for chart in found if chart is not None]


def latency_over_time(run: RunData) -> Chart | None:
    """Return p50 and p99 of service time, and p99 of response time, by second."""
    service = _steps(run, "service")
    response = _steps(run, "response")
    lines = (
        ("service p50", "one", _percentiles(service, 50)),
        ("service p99", "two", _percentiles(service, 99)),
        ("response p99", "three dashed", _percentiles(response, 99)),
    )
    values = [value for _, _, points in lines for _, value in points if value is not None]
    if not values:
        return None
    x, y = x_scale(0, run.length_s), y_logarithmic(values)
    total = run.percentiles_us("service", (50, 99))
    return Chart(
        title="Latency over time",
        description=f"Service time of steady sessions second by second: {_listed(total)} over the whole run "
        f"after its warm-up; the highest p99 of a second was {text.span(1000 * max(values))}.",
        x_label="seconds since the start",
        y_label="ms",
        x_ticks=ticks(x, _plain),
        y_ticks=ticks(y, _plain),
        shapes=[Shape(name=name, style=style, path=line(points, x, y)) for name, style, points in lines],
    )


def _steps(run: RunData, tag: str) -> list[Second]:
    """Return a tag's rows, added up into at most `POINTS_LIMIT` rows."""
    rows = run.seconds.get(tag, ())
    step_s = _step_s(run, run.row_s)
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


def percentile_curve(run: RunData) -> Chart | None:
    """Return service and response time by percentile, in HdrHistogram's usual plot."""
    samples = run.samples("service")
    if not samples:
        return None
    reach = -math.log10(max(_MIN_TAIL, 1 / max(10, samples)))
    lines = (
        ("response", "three dashed", _curve(run, "response", reach)),
        ("service", "one", _curve(run, "service", reach)),
    )
    values = [value for _, _, points in lines for _, value in points if value is not None]
    x, y = x_scale(0, reach), y_logarithmic(values)
    return Chart(
        title="Latency by percentile",
        description="Service time: " + _listed(run.percentiles_us("service", (50, 99, 99.9))) + ". "
        "Response time: " + _listed(run.percentiles_us("response", (50, 99, 99.9))) + ".",
        x_label="percentile",
        y_label="ms",
        x_ticks=[Tick(x.at(at), label) for at, label in _tails(reach)],
        y_ticks=ticks(y, _plain),
        shapes=[Shape(name=name, style=style, path=line(points, x, y)) for name, style, points in lines],
        note="Service time counts from the moment a message was really sent, response time from the moment "
        "it was due: where a slow server kept the client from sending, only response time holds that wait; "
        "leaving it out is called coordinated omission.",
    )


def _curve(run: RunData, tag: str, reach: float) -> list[Point]:
    """Return the values whose upper tail is 10^-x, for evenly spaced x in [0, reach]."""
    places = [reach * number / 60 for number in range(61)]
    percentiles = {place: 100 * (1 - 10**-place) for place in places}
    at_us = run.percentiles_us(tag, list(percentiles.values()))
    return [(place, max(1, at_us[percentile]) / 1000) for place, percentile in percentiles.items() if at_us]


def _tails(reach: float) -> list[tuple[float, str]]:
    named = ((0.0, "0"), (math.log10(2), "50"), (1.0, "90"), (2.0, "99"), (3.0, "99.9"), (4.0, "99.99"))
    return [(at, label) for at, label in (*named, (5.0, "99.999")) if at <= reach + 1e-9]


def sessions_over_time(run: RunData) -> Chart | None:
    """Return sessions up and in an outage over time, with connection attempts per second."""
    step_s = _step_s(run, 1)
    up = _summed(run.gauges.get("sessions_up", {}), run.length_s, step_s)
    in_outage = _summed(run.gauges.get("sessions_in_outage", {}), run.length_s, step_s)
    attempts = _attempts(run, step_s)
    if not up:
        return None
    most_up = max(value for _, value in up)
    most_out = max((value for _, value in in_outage), default=0.0)
    x = x_scale(0, run.length_s)
    y = y_scale(1.1 * max(most_up, most_out, *(value for _, value in attempts)))
    return Chart(
        title="Sessions over time",
        description=f"At most {most_up:.0f} sessions were up and {most_out:.0f} in an outage at a time; "
        f"{sum(run.counts_of('drops').values())} drops were made and "
        f"{sum(run.counts_of('losses').values())} connections lost. {storm_sentence(run)}".rstrip(),
        x_label="seconds since the start",
        y_label="sessions",
        x_ticks=ticks(x, _plain),
        y_ticks=ticks(y, _plain, about=5),
        shapes=[
            Shape(name="up", style="one filled", path=area(up, x, y)),
            Shape(name="in an outage", style="two filled", path=area(in_outage, x, y)),
            Shape(name="connection attempts a second", style="three dashed", path=line(attempts, x, y)),
        ],
        marks=herd_marks(run, x),
    )


def _step_s(run: RunData, row_s: int) -> int:
    """Return the seconds per point, a multiple of `row_s`."""
    return row_s * max(1, math.ceil(run.length_s / row_s / POINTS_LIMIT))


def _attempts(run: RunData, step_s: int) -> list[tuple[float, float]]:
    """Return the connection attempts in the busiest second of each step."""
    busiest: Counter[int] = Counter()
    for second, attempts in run.attempts_per_s.items():
        if 0 <= second < run.length_s:
            busiest[second // step_s] = max(busiest[second // step_s], attempts)
    last = max(busiest, default=-1)
    return [(float(step * step_s), float(busiest[step])) for step in range(last + 1)]


def _summed(
    by_worker: Mapping[int | None, Series], length_s: float, step_s: int
) -> list[tuple[float, float]]:
    """Return a gauge at the end of each step, summed over the workers.

    A worker without a value in a step keeps its last one. Gauges are read when an interval ends: drawn at the
    interval's start, a storm's drops would seem to come before the storm.
    """
    totals = [0.0] * math.ceil(length_s / step_s)
    for series in by_worker.values():
        known = {
            int(at_s // step_s): min(max(0.0, value), _MAX_SESSIONS)
            for at_s, value in zip(series.at_s, series.values, strict=True)
        }
        value = 0.0
        for step in range(min(len(totals), max(known, default=-1) + 1)):
            value = known.get(step, value)
            totals[step] += value
    ends = [(min(length_s, float(step * step_s)), total) for step, total in enumerate(totals, start=1)]
    return [(0.0, totals[0]), *ends] if by_worker and totals else []


def outage_distribution(run: RunData) -> Chart | None:
    """Return the distribution of outage durations."""
    histogram = run.histograms.get("outage")
    if histogram is None:
        return None
    in_s = {max(1, us) / 1e6: count for us, count in histograms.buckets(histogram).items()}
    low, high = min(in_s), max(in_s)
    scale = Scale(low / 1.02, high * 1.02, *_x_ends(), logarithmic=high > 10 * low)
    heights = _binned(in_s, scale)
    y = y_scale(max(heights.values()) * 1.1)
    told = run.percentiles_us("outage", (50, 95, 100))
    return Chart(
        title="How long outages took",
        description=f"{run.samples('outage')} outages ended, {_listed(told)}.",
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


def _listed(percentiles_us: Mapping[float, int]) -> str:
    told = [
        f"{'max' if percentile == 100 else f'p{percentile:g}'} {text.span(us)}"
        for percentile, us in percentiles_us.items()
    ]
    return ", ".join(told) or "no samples"


def _plain(value: float) -> str:
    return f"{value:g}" if value < 10_000 else f"{value:,.0f}"


def herd_marks(run: RunData, x: Scale) -> list[Mark]:
    """Return a mark for each storm and drill that came before the run's end."""
    storms = [(storm.at_s, f"storm {text.share(storm.share_ratio)}") for storm in storms_until_end(run)]
    return marks([*storms, *drill_moments(run)], x)
