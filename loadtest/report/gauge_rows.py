"""Gauges of all processes by row: sessions summed, and the worst value of each health gauge."""

import math
from collections.abc import Callable, Iterable

from loadtest.results.data import RunData, Series

_MAX_VALUE = 1e9  # a file may hold any number
_EARLY_S = 0.01  # an interval may begin slightly before its second

Pick = Callable[[Iterable[float]], float]
"""`min` or `max`."""


def summed_gauge(run: RunData, name: str, pick: Pick) -> list[float | None]:
    """Return a gauge in each row, summed over all workers; None before the first value.

    A worker without a value in a row keeps its last one. After its last value it counts no more. Where no
    process recorded anything, there is no value.

    Args:
        run: the run.
        name: name of the gauge.
        pick: which of a worker's values counts, where a row has several.
    """
    rows = math.ceil(run.length_s / run.row_s)
    totals: list[float | None] = [None] * rows
    for series in run.gauges.get(name, {}).values():
        known = _by_row(series, run.row_s, pick)
        value: float | None = None
        for row in range(min(rows, max(known, default=-1) + 1)):
            value = known.get(row, value)
            if value is not None and run.per_second.recorded(row):
                totals[row] = (totals[row] or 0.0) + value
    return totals


def highest_gauge(run: RunData, name: str) -> list[float | None]:
    """Return a gauge's highest value of all workers in each row; None where there is none."""
    rows = math.ceil(run.length_s / run.row_s)
    highest: list[float | None] = [None] * rows
    for series in run.gauges.get(name, {}).values():
        for row, value in _by_row(series, run.row_s, max).items():
            if 0 <= row < rows:
                highest[row] = max(value, highest[row] or 0.0)
    return highest


def _by_row(series: Series, row_s: int, pick: Pick) -> dict[int, float]:
    found: dict[int, float] = {}
    for at_s, value in zip(series.at_s, series.values, strict=True):
        row, value = int((at_s + _EARLY_S) // row_s), min(max(0.0, value), _MAX_VALUE)
        found[row] = pick((found[row], value)) if row in found else value
    return found
