"""Charts that draw both revisions of a comparison over each other.

Over time one pair is drawn (`loadtest.report.pair_sums`). Percentiles are those of all pairs that count.
The gates' changes are drawn in `loadtest.report.forest_charts`, outages in `loadtest.report.outage_charts`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from loadtest import text
from loadtest.report.chart import Axis, Chart, Line, Mark, Rule, Spacing, Tone, Unit
from loadtest.report.chart_scales import linear_top, log_ends
from loadtest.report.judged_comparison import JudgedComparison
from loadtest.report.pair_sums import PairSums
from loadtest.report.percentile_curve import percentile_curve
from loadtest.report.run_charts import percentile_axis
from loadtest.report.tables import Table, Untrusted
from loadtest.report.timeline import Bins, Timeline

_NO_P99 = "No p99 over time: most bins have fewer than the 100 round trips that it needs."

OVER_TIME = "over-time"
"""Group of the charts over time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Panel:
    """A series over time: its anchor, its words, and how it is read from a timeline."""

    id: str
    title: str
    axis: str
    unit: Unit
    series: Callable[[Timeline], Bins]
    height: int = 120

    @property
    def logarithmic(self) -> bool:
        """Whether ratios matter in it, not differences."""
        return self.unit is Unit.MS

    def y(self, values: Sequence[float]) -> Axis:
        """Return the axis for these values, of which some are above 0."""
        if self.logarithmic:
            low, high = log_ends([value for value in values if value > 0])
            spacing = Spacing.LOGARITHMIC
        else:
            low, high, spacing = 0.0, linear_top(values), Spacing.LINEAR
        return Axis(title=self.axis, low=low, high=high, unit=self.unit, spacing=spacing)


def _percentile(percentile: float) -> Callable[[Timeline], Bins]:
    return lambda run: run.percentiles_ms.get(("service", percentile), ())


def _rate(name: str) -> Callable[[Timeline], Bins]:
    return lambda run: run.rates.get(name, ())


_MAXIMUM = _percentile(100.0)
"""Known wherever there is a round trip."""

_PANELS = (
    _Panel(id="p50", title="p50 of round trips", axis="round trip", unit=Unit.MS, series=_percentile(50.0)),
    _Panel(id="p99", title="p99 of round trips", axis="round trip", unit=Unit.MS, series=_percentile(99.0)),
    _Panel(
        id="slowest",
        title="Slowest round trip",
        axis="round trip",
        unit=Unit.MS,
        series=_percentile(100.0),
    ),
    _Panel(
        id="answered",
        title="Replies per second",
        axis="replies per second",
        unit=Unit.COUNT,
        series=_rate("answered"),
    ),
    _Panel(id="up", title="Sessions up", axis="sessions", unit=Unit.COUNT, series=lambda run: run.up),
    _Panel(
        id="out",
        title="Sessions in an outage",
        axis="sessions",
        unit=Unit.COUNT,
        series=lambda run: run.in_outage,
        height=90,
    ),
    _Panel(
        id="lost",
        title="Connections lost",
        axis="connections per second",
        unit=Unit.COUNT,
        series=_rate("losses"),
        height=80,
    ),
)


def charts_over_time(judged: JudgedComparison) -> list[Chart]:
    """Return the charts of one pair over time; empty without data."""
    if judged.drawn.over_time is None:
        return []
    found = (_over_time(panel, judged, *judged.drawn.over_time) for panel in _PANELS)
    charts = [chart for chart in found if chart is not None]
    if charts and "p99" not in {chart.id for chart in charts}:
        charts[0] = replace(charts[0], note=_NO_P99)
    return [*charts[:1], *map(_without_labels, charts[1:])]


def _without_labels(chart: Chart) -> Chart:
    """Return a chart whose moments are named in the one above it."""
    marks = [replace(mark, label="") if isinstance(mark, Rule) else mark for mark in chart.marks]
    return replace(chart, marks=marks)


def _over_time(
    panel: _Panel, judged: JudgedComparison, baseline: Timeline, candidate: Timeline
) -> Chart | None:
    longer = max(baseline, candidate, key=lambda run: len(run.at_s))
    at = longer.at_s
    before, after = (_filled(panel.series(run), len(at)) for run in (baseline, candidate))
    known = [value for value in (*before, *after) if value is not None]
    if not any(known) or (panel.logarithmic and _mostly_unknown(before, after, baseline, candidate)):
        return None
    rows = [
        (text.clock(start), _written(one, panel), _written(two, panel))
        for start, one, two in zip(at, before, after, strict=True)
    ]
    return Chart(
        id=panel.id,
        title=panel.title,
        description=f"Baseline {_extent(before, panel)}; candidate {_extent(after, panel)}.",
        x=Axis(title="time since the start", low=0.0, high=at[-1] + longer.bin_s, unit=Unit.CLOCK),
        y=panel.y(known),
        marks=[*_moments(longer), *_both(judged, at, before, after, stepped=not panel.logarithmic)],
        table=Table(("time", *_names(judged)), "rrr", rows, panel.title),
        at=at,
        height=panel.height,
        group=OVER_TIME,
    )


def _mostly_unknown(before: Bins, after: Bins, baseline: Timeline, candidate: Timeline) -> bool:
    """Whether few bins with round trips have so many that they carry the percentile: dots tell nothing."""
    known = sum(value is not None for value in (*before, *after))
    measured = sum(value is not None for run in (baseline, candidate) for value in _MAXIMUM(run))
    return 2 * known < measured


def _filled(values: Bins, bins: int) -> list[float | None]:
    """Return the values of so many bins: None for those after the run's end."""
    return [*values, *[None] * (bins - len(values))]


def _moments(run: Timeline) -> Iterator[Mark]:
    """Yield the moments of the plan, which both runs have."""
    yield from (Rule(at=one.at_s, label=one.label) for one in run.moments)


def _names(judged: JudgedComparison) -> tuple[str, str]:
    """Return the names of both lines: the revisions, with their roles."""
    return (
        Untrusted(f"baseline {text.one_line(judged.baseline, 60)}"),
        Untrusted(f"candidate {text.one_line(judged.candidate, 60)}"),
    )


def _both(
    judged: JudgedComparison,
    at: Sequence[float],
    before: Sequence[float | None],
    after: Sequence[float | None],
    *,
    stepped: bool = False,
) -> list[Mark]:
    one, two = _names(judged)
    return [
        Line(name=one, tone=Tone.BASELINE, x=at, y=before, stepped=stepped),
        Line(name=two, tone=Tone.CANDIDATE, x=at, y=after, stepped=stepped),
    ]


def _written(value: float | None, panel: _Panel) -> str:
    if value is None:
        return text.UNKNOWN
    return text.span(1000 * value) if panel.logarithmic else text.figures(value)


def _extent(values: Sequence[float | None], panel: _Panel) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "unknown"
    return f"from {_written(min(known), panel)} to {_written(max(known), panel)}"


_CURVES = (
    ("percentiles", "Round trips by percentile", "service", "from the actual send"),
    ("response-percentiles", "Response times by percentile", "response", "from the planned send"),
)


def percentile_charts(judged: JudgedComparison) -> list[Chart]:
    """Return the percentile curves of both sides over all pairs that count, as far as both carry them."""
    found = (_curve(judged, *curve) for curve in _CURVES)
    return [chart for chart in found if chart is not None]


def _curve(judged: JudgedComparison, id_: str, title: str, tag: str, counted: str) -> Chart | None:
    drawn = judged.drawn
    curves = [dict(percentile_curve(side, tag)) for side in (drawn.baseline, drawn.candidate)]
    at = sorted({percentile for curve in curves for percentile in curve})
    if not all(curves):
        return None
    before, after = ([curve.get(percentile) for percentile in at] for curve in curves)
    low, high = log_ends([value for value in (*before, *after) if value])
    rows = [
        (f"{percentile:.6g}", _ms(one), _ms(two), _change(one, two))
        for percentile, one, two in zip(at, before, after, strict=True)
    ]
    return Chart(
        id=id_,
        title=title,
        description=f"Counted {counted}. {_samples(drawn, tag)}",
        x=percentile_axis(at),
        y=Axis(title="round trip", low=low, high=high, unit=Unit.MS, spacing=Spacing.LOGARITHMIC),
        marks=_both(judged, at, before, after),
        table=Table(("percentile", *_names(judged), "change"), "rrrr", rows, title),
        at=at,
        height=220,
    )


def _samples(drawn: PairSums, tag: str) -> str:
    before, after = (text.count(side.samples(tag)) for side in (drawn.baseline, drawn.candidate))
    runs = text.counted(drawn.baseline.runs, "run")
    return f"{before} round trips in the baseline, {after} in the candidate, {runs} each."


def _ms(value: float | None) -> str:
    return text.UNKNOWN if value is None else text.span(1000 * value)


def _change(before: float | None, after: float | None) -> str:
    return text.change(after / before - 1) if before and after is not None else text.UNKNOWN
