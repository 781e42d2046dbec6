"""A chart as data: axes, marks and the table behind it, in the units of what was measured.

Nothing here knows SVG or pixels: `chart_svg` draws a chart, `chart_scales` places its values. Both pages,
report.html and comparison.html, are made of these charts.

A chart is read along one axis: row i of its table belongs to the position `at[i]` on that axis. The script of
the page uses this for its read-out, so that a number is written once, in the table, and shown from there. A
column of the table whose header is the name of a mark gets the colour of that mark.

Colour is never the only difference: each tone has its own dashes, lines are named in the legend, and rows,
bars and points carry their text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias

from loadtest.report.tables import Table

Along: TypeAlias = Literal["x", "y"]


class Unit(StrEnum):
    """How the numbers of an axis are written."""

    MS = "ms"
    """Milliseconds: `2.5 ms`, `1.2 s`."""
    SECONDS = "s"
    """A duration in seconds: `0.2 s`."""
    CLOCK = "clock"
    """Seconds since the run's start: `00:30`."""
    COUNT = "count"
    """`1,234`."""
    SHARE = "share"
    """A ratio: `5%`."""
    CHANGE = "change"
    """A relative change: `+5%`."""
    PERCENTILE = "percentile"
    """In [0, 100]: `99.9`."""


class Spacing(StrEnum):
    """How the values of an axis are spaced."""

    LINEAR = "linear"
    LOGARITHMIC = "logarithmic"
    """By ratio. Both ends must be positive."""
    TAIL = "tail"
    """Percentiles by the share beyond them, as HdrHistogram plots them: from 90 to 99 as to 99.9."""
    ROWS = "rows"
    """Row i, from the top, spans [i, i + 1] and has the name i. Only for y."""


class Tone(StrEnum):
    """Colour and dashes of a mark."""

    ONE = "one"
    TWO = "two"
    THREE = "three"
    FOUR = "four"
    FIVE = "five"
    SIX = "six"
    SEVEN = "seven"
    EIGHT = "eight"
    QUIET = "quiet"
    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    OPEN = "open"
    """INCONCLUSIVE."""
    GAP = "gap"
    """Nothing was recorded."""
    BASELINE = "baseline"
    CANDIDATE = "candidate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """An axis.

    Args:
        title: quantity, without the unit where `unit` writes it.
        low, high: range of the values; values beyond it are drawn at its ends.
        unit: how values are written.
        spacing: how values are spaced.
        names: names of the rows if `spacing` is ROWS; `Untrusted` where they come from outside.
    """

    title: str
    low: float
    high: float
    unit: Unit = Unit.COUNT
    spacing: Spacing = Spacing.LINEAR
    names: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line through points, interrupted where y is None; a lone point is a dot.

    Args:
        name: name in the legend.
        x, y: positions, of the same length.
        stepped: whether a value holds until the next x (the last one until the end of the axis).
        filled: whether the area down to the axis is filled.
    """

    name: str
    tone: Tone
    x: Sequence[float]
    y: Sequence[float | None]
    stepped: bool = False
    filled: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle, in units of the axes."""

    x0: float
    x1: float
    y0: float
    y1: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Boxes:
    """Bars, or one part of stacked bars.

    Args:
        name: name in the legend.
        boxes: the rectangles; those without a width or height are not drawn.
        hollow: whether only the outline is drawn, with a light fill.
    """

    name: str
    tone: Tone
    boxes: Sequence[Box]
    hollow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dots:
    """Points, each drawn as a symbol."""

    name: str
    tone: Tone
    x: Sequence[float]
    y: Sequence[float]
    shape: Literal["circle", "square", "ring"] = "circle"


@dataclass(frozen=True, slots=True)
class Whisker:
    """An estimate with its interval along x, in a row of a forest plot.

    Args:
        row: number of the row, from the top.
        low, high: the interval; None where it has no end on that side.
        at: the estimate; None if there is none.
    """

    row: int
    low: float | None
    at: float | None
    high: float | None
    tone: Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class Whiskers:
    """The estimates and intervals of a forest plot.

    Args:
        place: where they are drawn, as a share of the row's height.
    """

    name: str
    whiskers: Sequence[Whisker]
    place: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """A heat map: how many samples lie in each cell, coloured by the logarithm of the count.

    Args:
        x_edges, y_edges: edges of the columns and rows, ascending, one more than there are.
        counts: a sequence a row (along y), each with a count a column (along x).
    """

    name: str
    x_edges: Sequence[float]
    y_edges: Sequence[float]
    counts: Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A line across the whole chart at one value of an axis: a moment, a limit, no change.

    Args:
        at: the value.
        label: what is there, empty to draw the line alone.
        along: the axis that `at` belongs to.
    """

    at: float
    label: str = ""
    tone: Tone = Tone.QUIET
    along: Along = "x"


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A range of an axis, shaded across the whole chart: the warm-up, a drill, a margin.

    Args:
        low, high: the range.
        rows: for bands of single rows of a forest plot: the first, and the one after the last.
    """

    low: float
    high: float
    label: str = ""
    tone: Tone = Tone.QUIET
    along: Along = "x"
    rows: tuple[float, float] | None = None


Mark: TypeAlias = Line | Boxes | Dots | Whiskers | Heat | Rule | Band


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart.

    Args:
        id: its anchor in the page, unique there: lower-case letters, digits and hyphens.
        title: what it shows.
        description: what can be seen in it, in a sentence or two.
        x, y: the axes.
        marks: what is drawn, from back to front.
        table: the same as numbers; row i belongs to the position `at[i]`.
        at: positions of the table's rows on the axis `read_along`, in its units, ascending.
        read_along: the axis along which the chart is read.
        across: for a heat map, the position of the table's columns after the first on the other axis.
        height: height of the plot in pixels, without the labels of the x axis.
        note: remark that helps to read it.
        group: charts of one group and x axis stand under each other and are read together.
    """

    id: str
    title: str
    description: str
    x: Axis
    y: Axis
    marks: Sequence[Mark]
    table: Table
    at: Sequence[float]
    read_along: Along = "x"
    across: Sequence[float] = ()
    height: int = 170
    note: str = ""
    group: str = ""
