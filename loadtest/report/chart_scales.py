"""Where a chart's values are drawn, and the ticks of its axes.

A plot is `WIDTH` wide whatever its width in pixels (the page stretches it), and as high as its chart says.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from loadtest import text
from loadtest.report.chart import Axis, Spacing, Unit

WIDTH = 1000.0
_MIN_SPAN = 1e-9
_MIN_TAIL = 1e-7  # percentiles beyond 99.99999 are drawn there
_CLOCK_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
_PERCENTILES = (0, 50, 75, 90, 95, 99, 99.5, 99.9, 99.99, 99.999, 99.9999)


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled position on an axis; a minor one gives way where there is little room."""

    at: float
    label: str
    minor: bool = False


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps the values of an axis to [start, end] of the drawing.

    Args:
        axis: the axis.
        start, end: positions of its low and its high end.
        low: its low end as spaced.
        factor: units of the drawing per unit as spaced.
    """

    axis: Axis
    start: float
    end: float
    low: float
    factor: float

    def at(self, value: float) -> float:
        """Return the position of a value; values beyond the axis are held at its ends."""
        axis = self.axis
        held = axis.low if value < axis.low else axis.high if value > axis.high else value
        spaced = held if axis.spacing in _AS_IT_IS else _spaced(held, axis.spacing)
        return round(self.start + (spaced - self.low) * self.factor, 1)


_AS_IT_IS = (Spacing.LINEAR, Spacing.ROWS)


def _spaced(value: float, spacing: Spacing) -> float:
    if spacing is Spacing.LOGARITHMIC:
        return math.log(max(value, _MIN_SPAN))
    if spacing is Spacing.TAIL:
        return -math.log10(max(1 - value / 100, _MIN_TAIL))
    return value


def scale(axis: Axis, start: float, end: float) -> Scale:
    """Return the scale that maps an axis to [start, end]."""
    low, high = _spaced(axis.low, axis.spacing), _spaced(axis.high, axis.spacing)
    span = high - low if high - low > _MIN_SPAN else 1.0
    return Scale(axis, start, end, low, (end - start) / span)


def x_scale(axis: Axis) -> Scale:
    """Return the scale of an x axis."""
    return scale(axis, 0.0, WIDTH)


def y_scale(axis: Axis, height: float) -> Scale:
    """Return the scale of a y axis: upwards, but rows from the top."""
    return scale(axis, 0.0, height) if axis.spacing is Spacing.ROWS else scale(axis, height, 0.0)


def written(value: float, unit: Unit) -> str:
    """Write a value of an axis."""
    match unit:
        case Unit.MS:
            return text.span(1000 * value)
        case Unit.SECONDS:
            return f"{text.figures(value)} s"
        case Unit.CLOCK:
            return text.clock(value)
        case Unit.SHARE:
            return text.share(value)
        case Unit.CHANGE:
            return text.change(value).replace(".0%", "%").replace("+0%", "0%")
        case Unit.PERCENTILE:
            return f"{value:.7g}"
    return text.figures(value)


def ticks(along: Scale, *, about: int) -> list[Tick]:
    """Return about so many ticks at round values; none for an axis of rows."""
    axis = along.axis
    values = _values(axis, about)
    places = [along.at(value) for value in values]
    return [
        Tick(at, written(value, axis.unit), minor=bool(number % 2))
        for number, (at, value) in enumerate(zip(places, values, strict=True))
    ]


def _values(axis: Axis, about: int) -> list[float]:
    match axis.spacing:
        case Spacing.ROWS:
            return []
        case Spacing.TAIL:
            return [one for one in _PERCENTILES if axis.low <= one <= axis.high]
        case Spacing.LOGARITHMIC:
            return _log_values(axis, about)
    return _straight_values(axis, about)


def _straight_values(axis: Axis, about: int) -> list[float]:
    span = max(axis.high - axis.low, _MIN_SPAN)
    step = _clock_step(span, about) if axis.unit is Unit.CLOCK else _round_step(span, about)
    if axis.unit is Unit.COUNT and span >= 1:
        step = max(1.0, float(math.floor(step)))  # there is no half a session
    first, last = math.ceil(axis.low / step - 1e-9), math.floor(axis.high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _round_step(span: float, about: int) -> float:
    """Return the smallest round step of which the span has so many at most, and at least one."""
    rough = span / about
    power = 10.0 ** math.floor(math.log10(rough))
    steps = [factor * power for factor in (1, 2, 2.5, 4, 5, 10)]
    return next((step for step in steps if rough * (1 - 1e-9) <= step <= span), rough)


def _clock_step(span: float, about: int) -> float:
    fitting = (step for step in _CLOCK_STEPS_S if span / step <= about)
    return float(next(fitting, _CLOCK_STEPS_S[-1] * math.ceil(span / about / _CLOCK_STEPS_S[-1])))


def _log_values(axis: Axis, about: int) -> list[float]:
    low, high = max(axis.low, _MIN_SPAN), max(axis.high, _MIN_SPAN)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values: list[float] = []
    for factors in ((1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        found = (factor * 10.0**power for power in powers for factor in factors)
        values = [value for value in found if low <= value <= high]
        if len(values) <= about + 1:
            return values
    return values[:: math.ceil(len(values) / about)]


def linear_top(values: Sequence[float]) -> float:
    """Return the high end of a linear axis that starts at 0 and holds these values."""
    highest = max(values, default=0.0)
    return highest * 1.08 if highest > _MIN_SPAN else 1.0


def log_ends(values: Sequence[float], *, widen: float = 1.15) -> tuple[float, float]:
    """Return the ends of a logarithmic axis for these positive values, at least half a decade apart."""
    low, high = (min(values), max(values)) if values else (1.0, 10.0)
    low, high = low / widen, high * widen
    more = max(1.0, math.sqrt(10**0.5 / (high / low)))
    return low / more, high * more
