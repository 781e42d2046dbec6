"""What the template needs to draw a chart as SVG, and the numbers that the page's script reads it with.

A plot is stretched to the width that it gets, so that it fits any screen without a script, while its texts
and the widths of its lines stay as they are: paths are in units of `WIDTH` and not scaled in stroke, texts
are placed at a percentage of the width. Colours and dashes are the page's style, by the class of the tone.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from loadtest import text
from loadtest.report.chart import (
    Band,
    Box,
    Boxes,
    Chart,
    Dots,
    Heat,
    Line,
    Mark,
    Rule,
    Whiskers,
)
from loadtest.report.chart_scales import WIDTH, Scale, Tick, ticks, x_scale, y_scale

HEAT_LEVELS = 8
"""Steps of colour in a heat map."""

ROW_HEIGHT = 42
"""Pixels of a row in a chart of rows: its name above, its bar or whisker below."""

ROW_NAME, ROW_TOP, ROW_MIDDLE, ROW_BOTTOM = 0.34, 0.46, 0.68, 0.9
"""Shares of a row's height: base line of its name; top, middle and bottom of what is drawn in it."""

_TICKS, _TICKS_WIDE, _PIXELS_A_TICK = 7, 10, 36
_MIN_BAND = 2.0  # of the plot's width: a band of a moment can still be seen
_LETTER, _LETTER_WIDE = 20.0, 13.0  # upper bounds of a letter's width, in plots of 330 and 500 pixels
_LABEL_LINES, _LABEL_LINE = 3, 14
_TOP = 8


@dataclass(frozen=True, slots=True)
class Shape:
    """An SVG path with its classes."""

    style: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A text in the plot: x in percent of its width, y in pixels, anchored at its start, middle or end."""

    x: float
    y: float
    text: str
    style: str = ""
    anchor: str = "start"


@dataclass(frozen=True, slots=True)
class Key:
    """An entry of a legend: the name, its tone, and the form of the sample: line, area, box, dot."""

    name: str
    tone: str
    form: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A chart, ready to be printed.

    Args:
        x_ticks, y_ticks: ticks with their positions, in units of the plot.
        shapes: what is drawn, from back to front.
        labels: texts in the plot.
        keys: the legend.
        reading: JSON for the read-out; numbers only, safe within a script element.
        top: pixels above the plot, for the labels of moments.
    """

    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    shapes: Sequence[Shape]
    labels: Sequence[Label]
    keys: Sequence[Key]
    reading: Markup
    top: int


def drawing(chart: Chart) -> Drawing:
    """Return what the template prints of a chart."""
    x, y = x_scale(chart.x), y_scale(chart.y, chart.height)
    moments, lines = _moment_labels(chart, x)
    return Drawing(
        x_ticks=ticks(x, about=_TICKS_WIDE if chart.group else _TICKS),
        y_ticks=ticks(y, about=max(2, chart.height // _PIXELS_A_TICK)),
        shapes=[shape for mark in chart.marks for shape in shapes(mark, x, y) if shape.path],
        labels=[*_labels(chart, y), *moments],
        keys=keys(chart),
        reading=json_text(_reading(chart, x, y)),
        top=_TOP + _LABEL_LINE * lines,
    )


def json_text(value: Any) -> Markup:
    """Return JSON that is safe in a script element: nothing in it ends the element or a line."""
    found = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return Markup(found.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))  # noqa: S704


# Shapes.

Point = tuple[float, float | None]
"""x and y in the units of the axes; y is None at a gap."""


def shapes(mark: Mark, x: Scale, y: Scale) -> Iterable[Shape]:
    """Return the shapes of a mark, from back to front; some may be empty."""
    return _DRAWN[type(mark)](mark, x, y)


def _line(mark: Line, x: Scale, y: Scale) -> Iterator[Shape]:
    values = list(zip(mark.x, mark.y, strict=True))
    end = mark.x[-1] + (mark.x[-1] - mark.x[-2] if len(mark.x) > 1 else 1) if mark.x else 0.0
    path = step_path(values, end, x, y) if mark.stepped else line_path(values, x, y)
    if mark.filled:
        yield Shape(f"area {mark.tone}", closed(path, y.at(y.axis.low)))
    yield Shape(f"line {mark.tone}", path)


def line_path(points: Sequence[Point], x: Scale, y: Scale) -> str:
    """Return the path through the points, interrupted at gaps; a lone point becomes a dot."""
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


def step_path(points: Sequence[Point], end: float, x: Scale, y: Scale) -> str:
    """Return the path of steps: each value holds until the next x, the last one until `end`."""
    parts, level = [], None  # where the pen is; None: up
    for along, value in points:
        at = None if value is None else y.at(value)
        if at == level:
            continue
        if level is not None:
            parts.append(f"H{x.at(along):g}")
        if at is not None:
            parts.append(f"M{x.at(along):g} {at:g}" if level is None else f"V{at:g}")
        level = at
    if level is not None:
        parts.append(f"H{x.at(end):g}")
    return "".join(parts)


def closed(path: str, floor: float) -> str:
    """Return the area between a line and the floor: each of its stretches goes down to it at both ends."""
    parts = []
    for stretch in path.split("M")[1:]:
        start = stretch.partition(" ")[0]
        parts.append(f"M{start} {floor:g}L{stretch}V{floor:g}Z")
    return "".join(parts)


def _boxes(mark: Boxes, x: Scale, y: Scale) -> Iterator[Shape]:
    yield Shape(f"{'hollow' if mark.hollow else 'box'} {mark.tone}", box_path(mark.boxes, x, y))


def box_path(boxes: Iterable[Box], x: Scale, y: Scale) -> str:
    """Return the path of rectangles that have an area."""
    return "".join(
        f"M{x.at(box.x0):g} {y.at(box.y0):g}H{x.at(box.x1):g}V{y.at(box.y1):g}H{x.at(box.x0):g}Z"
        for box in boxes
        if box.x0 != box.x1 and box.y0 != box.y1
    )


def _dots(mark: Dots, x: Scale, y: Scale) -> Iterator[Shape]:
    """Yield dots: lines without length, whose round or square ends are not stretched."""
    path = "".join(f"M{x.at(at):g} {y.at(value):g}h.01" for at, value in zip(mark.x, mark.y, strict=True))
    yield Shape(f"dots {mark.shape} {mark.tone}", path)
    if mark.shape == "ring":
        yield Shape("dots hole", path)


def _whiskers(mark: Whiskers, x: Scale, y: Scale) -> Iterator[Shape]:
    for one in mark.whiskers:
        if one.low is not None and one.low > x.axis.high:
            continue
        at = y.at(one.row + mark.place)
        low = x.at(x.axis.low if one.low is None else one.low)
        high = x.at(x.axis.high if one.high is None else one.high)
        ends = [end for end, known in ((low, one.low), (high, one.high)) if known is not None]
        caps = "".join(f"M{end:g} {at - 5:g}v10" for end in ends)
        yield Shape(f"line {one.tone} whisker", f"M{low:g} {at:g}H{high:g}{caps}")
        if one.at is not None and one.at <= x.axis.high:
            yield Shape(f"dots square {one.tone}", f"M{x.at(one.at):g} {at:g}h.01")


def _heat(mark: Heat, x: Scale, y: Scale) -> Iterator[Shape]:
    """Yield a path for each level of colour; neighbours along x of one level are one rectangle."""
    most = max((count for row in mark.counts for count in row), default=0)
    paths: list[list[str]] = [[] for _ in range(HEAT_LEVELS + 1)]
    for row, counts in enumerate(mark.counts):
        low, high = y.at(mark.y_edges[row]), y.at(mark.y_edges[row + 1])
        levels = [heat_level(count, most) for count in counts]
        for level, first, end in _stretches(levels):
            left, right = x.at(mark.x_edges[first]), x.at(mark.x_edges[end])
            paths[level].append(f"M{left:g} {low:g}H{right:g}V{high:g}H{left:g}Z")
    for level in range(1, HEAT_LEVELS + 1):
        yield Shape(f"heat level-{level}", "".join(paths[level]))


def heat_level(count: int, most: int) -> int:
    """Return the level of colour of a count: 0 for none, else 1 to `HEAT_LEVELS`, by its logarithm."""
    if count <= 0:
        return 0
    share = math.log(count) / math.log(most) if most > 1 else 1.0
    return 1 + round(share * (HEAT_LEVELS - 1))


def _stretches(levels: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Yield each stretch of equal levels: the level, its first index, and the one after its last."""
    first = 0
    for index in range(1, len(levels) + 1):
        if index == len(levels) or levels[index] != levels[first]:
            yield levels[first], first, index
            first = index


def _rule(mark: Rule, x: Scale, y: Scale) -> Iterator[Shape]:
    bottom = max(y.start, y.end)
    place = f"M{x.at(mark.at):g} 0V{bottom:g}" if mark.along == "x" else f"M0 {y.at(mark.at):g}H{WIDTH:g}"
    yield Shape(f"rule {mark.tone}", place)


def _band(mark: Band, x: Scale, y: Scale) -> Iterator[Shape]:
    top, bottom = (0.0, max(y.start, y.end)) if mark.rows is None else map(y.at, mark.rows)
    if mark.along == "x":
        left, right = x.at(mark.low), x.at(mark.high)
    else:
        left, right, top, bottom = 0.0, WIDTH, y.at(mark.high), y.at(mark.low)
    if right - left < _MIN_BAND:
        right = min(WIDTH, left + _MIN_BAND)
    yield Shape(f"band {mark.tone}", f"M{left:g} {top:g}H{right:g}V{bottom:g}H{left:g}Z")


_DRAWN: Mapping[type, Callable[..., Iterable[Shape]]] = {
    Line: _line,
    Boxes: _boxes,
    Dots: _dots,
    Whiskers: _whiskers,
    Heat: _heat,
    Rule: _rule,
    Band: _band,
}


# Texts and the read-out.


def _labels(chart: Chart, y: Scale) -> Iterator[Label]:
    """Yield the names of the rows, and the labels of values of the y axis."""
    for number, name in enumerate(chart.y.names):
        yield Label(x=0.0, y=y.at(number + ROW_NAME), text=name, style="row")
    for mark in chart.marks:
        if isinstance(mark, Rule | Band) and mark.label and mark.along == "y":
            at = y.at(mark.at if isinstance(mark, Rule) else mark.high)
            yield Label(x=100.0, y=at - 4, text=mark.label, anchor="end", style="mark")


def _moment_labels(chart: Chart, x: Scale) -> tuple[list[Label], int]:
    """Return the labels of rules and bands of the x axis, above the plot, and in how many lines they stand.

    A label that finds no room is left out: the mark itself is drawn all the same.
    """
    letter = _LETTER_WIDE if chart.group else _LETTER
    lines: list[list[tuple[float, float]]] = []
    found = []
    for mark in chart.marks:
        if isinstance(mark, Rule | Band) and mark.label and mark.along == "x":
            at = x.at(mark.at if isinstance(mark, Rule) else mark.low)
            width = letter * (len(mark.label) + 1)
            before = at + width > WIDTH
            start, end = (at - width, at) if before else (at, at + width)
            line = _free_line(lines, start, end)
            if line is not None:
                y, anchor = -5.0 - line * _LABEL_LINE, "end" if before else "start"
                found.append(
                    Label(x=round(at / WIDTH * 100, 2), y=y, text=mark.label, style="mark", anchor=anchor)
                )
    return found, len(lines)


def _free_line(lines: list[list[tuple[float, float]]], start: float, end: float) -> int | None:
    """Return the first line with room from start to end, and take it; None if there is none."""
    for number, taken in enumerate(lines):
        if all(end <= one or two <= start for one, two in taken):
            taken.append((start, end))
            return number
    if len(lines) == _LABEL_LINES:
        return None
    lines.append([(start, end)])
    return len(lines) - 1


def keys(chart: Chart) -> list[Key]:
    """Return the legend, in the order of the table's columns where the marks are there."""
    found = {key.name: key for mark in chart.marks for key in _key(mark) if key.name}
    columns = {name: number for number, name in enumerate(chart.table.header)}
    return sorted(found.values(), key=lambda key: columns.get(key.name, len(columns)))


def _key(mark: Mark) -> Iterator[Key]:
    match mark:
        case Line(name=name, tone=tone, filled=filled):
            yield Key(name, tone, "area" if filled else "line")
        case Boxes(name=name, tone=tone, hollow=hollow):
            yield Key(name, tone, "hollow" if hollow else "box")
        case Heat(name=name, counts=counts):
            most = max((count for row in counts for count in row), default=0)
            yield Key(f"1 to {text.count(most)} {name}", "", "heat")
        case Dots(name=name, tone=tone, shape=shape):
            yield Key(name, tone, f"dots {shape}")


def _reading(chart: Chart, x: Scale, y: Scale) -> dict[str, Any]:
    """Return the positions that the read-out needs, as shares of the plot in thousandths."""
    along = x if chart.read_along == "x" else y
    other = y if chart.read_along == "x" else x
    found: dict[str, Any] = {
        "along": chart.read_along,
        "at": [_thousandth(along.at(at), along) for at in chart.at],
        "dots": [
            [mark.tone, [None if value is None else _thousandth(y.at(value), y) for value in mark.y]]
            for mark in chart.marks
            if isinstance(mark, Line) and len(mark.y) == len(chart.at) and chart.read_along == "x"
        ],
    }
    if chart.across:
        found["across"] = [_thousandth(other.at(at), other) for at in chart.across]
    return found


def _thousandth(place: float, along: Scale) -> int:
    return round(1000 * place / max(along.start, along.end))
