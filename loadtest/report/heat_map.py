"""A heat map of round trips: time across, latency up, and how many fell into each cell.

Latency rows are logarithmic with edges at round steps of a decade, so that two runs share their edges.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.results.data import RunData, Second

COLUMNS_LIMIT = 120
ROWS_LIMIT = 40

_STEPS = (20, 10, 5, 4, 2, 1)
"""Rows per decade; 4 are enough for all values that a histogram can hold: 1 µs to 1 hour in 39 rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatMap:
    """Round trips by time and latency.

    Args:
        tag: the histogram.
        low_ms: lower edge of each row, ascending.
        high_ms: upper edge of the last row.
        column_s: seconds per column.
        at_s: start of each column in seconds since the run's start.
        counts: by row, then by column.
    """

    tag: str
    low_ms: Sequence[float]
    high_ms: float
    column_s: float
    at_s: Sequence[float]
    counts: Sequence[Sequence[int]]


def heat_map(run: RunData, tag: str) -> HeatMap | None:
    """Return the heat map of a tag, None if it has no samples."""
    seconds = run.seconds.get(tag, ())
    if not seconds:
        return None
    low_us = min(min(row.buckets) for row in seconds)
    high_us = max(row.max_us for row in seconds)
    step = next(step for step in _STEPS if len(_rows(low_us, high_us, step)) <= ROWS_LIMIT)
    rows = _rows(low_us, high_us, step)
    column_s = run.row_s * max(1, math.ceil(math.ceil(run.length_s / run.row_s) / COLUMNS_LIMIT))
    columns = math.ceil(run.length_s / column_s)
    return HeatMap(
        tag=tag,
        low_ms=[_edge_ms(row, step) for row in rows],
        high_ms=_edge_ms(rows[-1] + 1, step),
        column_s=float(column_s),
        at_s=[float(column * column_s) for column in range(columns)],
        counts=_counts(seconds, rows, step, column_s, columns),
    )


def _rows(low_us: int, high_us: int, step: int) -> range:
    """Return the numbers of the rows that hold these values: row r begins at 10 ** (r / step) µs."""
    return range(_row(low_us, step), _row(high_us, step) + 1)


def _row(us: int, step: int) -> int:
    return math.floor(math.log10(max(1, us)) * step + 1e-9)


def _edge_ms(row: int, step: int) -> float:
    return float(f"{10 ** (row / step) / 1000:.6g}")


def _counts(
    seconds: Sequence[Second], rows: range, step: int, column_s: int, columns: int
) -> list[list[int]]:
    found = [[0] * columns for _ in rows]
    row_of: dict[int, int] = {}
    for second in seconds:
        column = min(columns - 1, int(second.start_s // column_s))
        for us, count in second.buckets.items():
            row = row_of.get(us)
            if row is None:
                row = row_of[us] = _row(us, step) - rows.start
            found[row][column] += count
    return found
