"""The charts of a run's latency: the curve of its percentiles, and the heat map over time."""

from collections.abc import Sequence
from itertools import pairwise

from loadtest import text
from loadtest.report.chart import Axis, Chart, Heat, Line, Spacing, Tone, Unit
from loadtest.report.chart_scales import log_ends
from loadtest.report.heat_map import HeatMap
from loadtest.report.percentile_curve import percentile_curve
from loadtest.report.tables import Table
from loadtest.results.data import RunData

_CURVES = {"response": Tone.THREE, "service": Tone.ONE}
"""Tags from back to front."""

_NAMED = (50, 90, 99, 99.9, 99.99)
_LOWEST_MS = 0.001

_OMISSION = (
    "Service time starts at a message's actual send, response time at its planned send: if a slow server "
    "kept the client from sending, only response time includes that wait. Leaving the wait out is called "
    "coordinated omission."
)


def percentile_axis(percentiles: Sequence[float]) -> Axis:
    """Return the axis of a curve at these percentiles, which widens towards the tail."""
    low, high = percentiles[0], percentiles[-1]
    return Axis(title="percentile", low=low, high=high, unit=Unit.PERCENTILE, spacing=Spacing.TAIL)


def percentile_chart(run: RunData, *, prefix: str = "") -> Chart | None:
    """Return service and response time by percentile, as HdrHistogram plots them; None without samples."""
    curves = {tag: dict(percentile_curve(run, tag)) for tag in _CURVES}
    if run.only_scripted:
        curves["response"] = {}  # the same as `service`
    curves = {tag: curve for tag, curve in curves.items() if curve}
    percentiles = sorted({percentile for curve in curves.values() for percentile in curve})
    if not percentiles:
        return None
    low, high = log_ends([max(ms, _LOWEST_MS) for curve in curves.values() for ms in curve.values()])
    return Chart(
        id=f"{prefix}percentiles",
        title="Latency by percentile",
        description=f"{' '.join(_told(run, tag) for tag in reversed(curves))} The curve ends at the last "
        "percentile with at least one sample beyond it.",
        x=percentile_axis(percentiles),
        y=Axis(title="round trip", low=low, high=high, unit=Unit.MS, spacing=Spacing.LOGARITHMIC),
        marks=[
            Line(name=tag, tone=_CURVES[tag], x=percentiles, y=list(map(curve.get, percentiles)))
            for tag, curve in curves.items()
        ],
        table=_percentile_table(percentiles, curves),
        at=percentiles,
        height=260,
        note=_OMISSION if "response" in curves else "",
    )


def _percentile_table(percentiles: Sequence[float], curves: dict[str, dict[float, float]]) -> Table:
    shown = list(reversed(curves))
    rows = [
        (f"p{percentile:.7g}", *(_ms(curves[tag].get(percentile)) for tag in shown))
        for percentile in percentiles
    ]
    return Table(("percentile", *shown), "r" * (1 + len(shown)), rows, "Latency by percentile")


def _ms(ms: float | None) -> str:
    return "" if ms is None else text.span(1000 * ms)


def _told(run: RunData, tag: str) -> str:
    named = [f"p{one:g} {text.span(us)}" for one, us in run.carried_us(tag, _NAMED).items()]
    return f"{tag.capitalize()} time: {', '.join(named)} ({text.counted(run.samples(tag), 'sample')})."


def heat_chart(heat: HeatMap, length_s: float, *, prefix: str = "") -> Chart:
    """Return a heat map of round trips over time."""
    y_edges = [max(edge, _LOWEST_MS / 10) for edge in (*heat.low_ms, heat.high_ms)]
    x_edges = [*heat.at_s, max(length_s, heat.at_s[-1] + 1e-3)]
    middles_s = [(start + end) / 2 for start, end in pairwise(x_edges)]
    middles_ms = [(low * high) ** 0.5 for low, high in pairwise(y_edges)]
    rows = [
        (text.clock(at_s), *(text.count(row[column]) if row[column] else "" for row in heat.counts))
        for column, at_s in enumerate(heat.at_s)
    ]
    most = max(count for row in heat.counts for count in row)
    header = ("time", *(f"{_ms(low)} to {_ms(high)}" for low, high in pairwise(y_edges)))
    return Chart(
        id=f"{prefix}heat-map",
        title="Latency over time, all round trips",
        description=f"Each cell counts the round trips of {heat.column_s:g} s by service time. A stronger "
        f"colour means more, up to {text.count(most)}. Two bands mean two kinds of replies; an "
        "empty column is a pause.",
        x=Axis(title="time since the start", low=0, high=x_edges[-1], unit=Unit.CLOCK),
        y=Axis(
            title="round trip",
            low=y_edges[0],
            high=y_edges[-1],
            unit=Unit.MS,
            spacing=Spacing.LOGARITHMIC,
        ),
        marks=[Heat(name="round trips", x_edges=x_edges, y_edges=y_edges, counts=heat.counts)],
        table=Table(header, "r" * len(header), rows, "Round trips by time and latency"),
        at=middles_s,
        across=middles_ms,
        height=260,
    )
