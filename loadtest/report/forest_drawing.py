"""A forest plot as a table with a plot in each row, so that no name lies on what is drawn.

All rows share the axis below them. What lies beyond the axis has an arrow at its end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from loadtest.report.chart import Axis, Band, Chart, Dots, Mark, Spacing, Whiskers
from loadtest.report.chart_scales import Scale, Tick, scale, ticks, x_scale
from loadtest.report.chart_svg import Key, Shape, keys, shapes

_TICKS = 5
_PLAIN, _WITH_PAIRS = 26, 36  # height of a row in pixels
_BAND_INSET = 0.1  # share of a row's height


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestRowDrawing:
    """The plot of a row.

    Args:
        shapes: what is drawn, from back to front.
        beyond: tone of the arrow to the right, empty if the estimate is on the axis.
    """

    shapes: Sequence[Shape]
    beyond: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestDrawing:
    """A forest plot, ready to be printed.

    Args:
        rows: the plots of the rows.
        height: of a row in pixels.
        x_ticks: ticks of the axis.
        keys: the legend.
    """

    rows: Sequence[ForestRowDrawing]
    height: int
    x_ticks: Sequence[Tick]
    keys: Sequence[Key]


def forest_drawing(chart: Chart) -> ForestDrawing:
    """Return what the template prints of a forest plot: a chart of rows with bands, whiskers and dots."""
    x = x_scale(chart.x)
    height = _WITH_PAIRS if any(isinstance(mark, Dots) for mark in chart.marks) else _PLAIN
    return ForestDrawing(
        rows=[_row(chart.marks, number, x, height) for number in range(len(chart.table.rows))],
        height=height,
        x_ticks=ticks(x, about=_TICKS),
        keys=keys(chart),
    )


def _row(marks: Sequence[Mark], number: int, x: Scale, height: int) -> ForestRowDrawing:
    y = scale(Axis(title="", low=number, high=number + 1, spacing=Spacing.ROWS), 0.0, height)
    own = [found for mark in marks for found in _of_row(mark, number, x.axis)]
    beyond = [
        str(one.tone)
        for mark in own
        if isinstance(mark, Whiskers)
        for one in mark.whiskers
        if one.at is not None and one.at > x.axis.high
    ]
    drawn = [shape for mark in own for shape in shapes(mark, x, y) if shape.path]
    return ForestRowDrawing(shapes=drawn, beyond="".join(beyond))


def _of_row(mark: Mark, number: int, axis: Axis) -> Iterator[Mark]:
    """Yield what a mark has in a row; dots beyond the axis are not drawn."""
    match mark:
        case Band(rows=(first, _)):
            if first == number:
                # A margin that reaches beyond the axis ends there.
                yield replace(mark, rows=(number + _BAND_INSET, number + 1 - _BAND_INSET))
        case Whiskers(whiskers=found):
            own = [one for one in found if one.row == number]
            yield replace(mark, whiskers=own)
        case Dots():
            points = [
                (at, y)
                for at, y in zip(mark.x, mark.y, strict=True)
                if number <= y < number + 1 and axis.low <= at <= axis.high
            ]
            yield replace(mark, x=[at for at, _ in points], y=[y for _, y in points])
        case _:
            yield mark
