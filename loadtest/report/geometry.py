"""Geometry of the report's charts: data in, numbers and path strings out; the template draws them as SVG.

A chart is small enough to be read on a telephone (480 units wide) and says in words what it shows, for
people who do not see it. Latency stands on a logarithmic axis, because a factor is what matters there.
No colour, no markup and no data source here.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Point = tuple[float, float | None]
"""x and y in the units of the data; no y where there is a gap."""

WIDTH, HEIGHT = 480.0, 230.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 470.0, 12.0, 190.0
_LETTER = 6.6  # units that a letter of a label takes at 12 pixels, at most on average
_MARK_TOP, _MARK_ROW, _MARK_ROWS = 28.0, 14.0, 4  # below the label of the y axis
_LEAST_SPAN = 1e-6  # an axis shorter than a microsecond has no ticks worth naming


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps [low, high] of the data onto [start, end] of the drawing, straight or by logarithm."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """Return the place of a value; beyond the ends it is held at them."""
        held = min(max(value, self.low), self.high)
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, held = math.log(low), math.log(high), math.log(held)
        return round(self.start + (held - low) / (high - low) * (self.end - self.start), 1)


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled place on an axis."""

    at: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A line or an area: its name in the legend, its style, and its SVG path."""

    name: str
    style: str
    path: str


@dataclass(frozen=True, slots=True)
class Bar:
    """An upright bar with what it stands for in words."""

    x: float
    y: float
    width: float
    height: float
    label: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment on the x axis: a line from top to bottom and, where there is room, its label.

    Args:
        at: where the line stands.
        label: what happened then.
        y: where the label stands, None where it would cover another.
        before: whether the label ends at the line instead of beginning there.
    """

    at: float
    label: str
    y: float | None
    before: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Everything the template needs to draw one chart.

    Args:
        title: what is drawn; `description` says in a sentence what is to be seen.
        marks: moments that explain what is seen.
        x_label, y_label: quantity and unit of the axes.
        note: what a person may need to know to read it.
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
    """Return a straight x axis over this range."""
    return Scale(low, high if high > low + _LEAST_SPAN else low + 1, _LEFT, _RIGHT)


def y_scale(high: float) -> Scale:
    """Return a straight y axis from 0."""
    return Scale(0, high if high > _LEAST_SPAN else 1, _BOTTOM, _TOP)


def y_logarithmic(values: Sequence[float]) -> Scale:
    """Return a logarithmic y axis that spans these positive values, half a decade at least."""
    low, high = (min(values), max(values)) if values else (1.0, 10.0)
    low, high = low / 1.15, high * 1.15
    widen = max(1.0, math.sqrt(10**0.5 / (high / low)))
    return Scale(low / widen, high * widen, _BOTTOM, _TOP, logarithmic=True)


def ticks(scale: Scale, label: Callable[[float], str], *, about: int = 6) -> list[Tick]:
    """Return about so many round values (1, 2, 5 times a power of ten) on the axis."""
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
    """Return a mark for each moment and label, in this order; no label covers another."""
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
    """Return the path through the points; it is interrupted at gaps, a lone point stays a dot."""
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
    """Return the path of the area between the points, as steps, and the axis."""
    if not points:
        return ""
    floor = y.at(0)
    steps = "".join(f"H{x.at(along):g}V{y.at(value):g}" for along, value in points)
    return f"M{x.at(points[0][0]):g} {floor:g}{steps}V{floor:g}Z"
