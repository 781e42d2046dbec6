"""series.csv: a run second by second, for spreadsheets, pandas, DuckDB and gnuplot.

A line has only numbers and a time in UTC, so no text from outside can become a formula in a spreadsheet. A
field is empty where nothing is known: while every process of the load generator stood still, nothing was
recorded, and what happened then is counted in the row before. Lines end in CR LF (RFC 4180, section 2). Runs
of over two hours have a line for each row of `RunData.row_s` seconds.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from loadtest.report.gauge_rows import highest_gauge, summed_gauge
from loadtest.report.timeline import TIMED_TAGS
from loadtest.results.data import RunData
from loadtest.results.per_second import MEANINGS

PERCENTILES = {50.0: "p50", 90.0: "p90", 99.0: "p99", 100.0: "max"}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Cells = Sequence[float | None]

COLUMNS: Mapping[str, str] = {
    "time_utc": "when the second began, ISO 8601 in UTC",
    "second": "the same in seconds since the run's start",
    "duration_s": "length of the row: 1, less in the last one; in runs of over two hours 2, 4, …",
    "sessions_up": "fewest sessions that were up at the end of a second in the row",
    "sessions_in_outage": "most sessions that were in an outage then",
    **MEANINGS,
    **{
        f"{tag}_{name}_ms": f"{tag} time, {'the maximum' if name == 'max' else name}"
        for tag in TIMED_TAGS
        for name in PERCENTILES.values()
    },
    "log_errors": "records of the server's log at ERROR or worse; empty without a log",
    "generator_cpu_ratio": "CPU of the busiest engine: 1 is a core",
    "generator_loop_lag_ms": "the largest delay of an engine's event loop",
    "generator_stall_ms": "the longest stall of a load generator process",
}
"""The columns in order, with their meaning."""

_GAUGES = {
    "generator_cpu_ratio": "cpu_ratio",
    "generator_loop_lag_ms": "loop_lag_max_ms",
    "generator_stall_ms": "stall_max_ms",
}


def series_csv(run: RunData) -> bytes:
    """Return series.csv."""
    columns, first = _columns(run), _starts(run)
    fields = (map(_field, columns[name][: len(first)]) for name in list(COLUMNS)[1:])
    lines = [",".join(COLUMNS), *map(",".join, zip(first, *fields, strict=True))]
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def _columns(run: RunData) -> dict[str, Cells]:
    """Return the cells of all columns but the first."""
    rows, row_s = math.ceil(run.length_s / run.row_s), run.row_s
    none: Cells = [None] * rows
    return {
        "second": [number * row_s for number in range(rows)],
        "duration_s": [min(row_s, run.length_s - number * row_s) for number in range(rows)],
        "sessions_up": summed_gauge(run, "sessions_up", min),
        "sessions_in_outage": summed_gauge(run, "sessions_in_outage", max),
        **{name: _recorded(run, run.per_second.counts.get(name, none)) for name in MEANINGS},
        **_percentiles(run, rows),
        "log_errors": none if run.log_errors_per_s is None else _by_row(run.log_errors_per_s, rows, row_s),
        **{name: highest_gauge(run, gauge) for name, gauge in _GAUGES.items()},
    }


def _recorded(run: RunData, counts: Cells) -> Cells:
    """Return the counts, None in rows in which nothing was recorded."""
    return [count if run.per_second.recorded(row) else None for row, count in enumerate(counts)]


def _percentiles(run: RunData, rows: int) -> dict[str, list[float | None]]:
    found: dict[str, list[float | None]] = {
        f"{tag}_{name}_ms": [None] * rows for tag in TIMED_TAGS for name in PERCENTILES.values()
    }
    for tag in TIMED_TAGS:
        for row in run.seconds.get(tag, ()):
            number = int(row.start_s // run.row_s)
            for percentile, us in row.carried_us(PERCENTILES).items() if number < rows else ():
                found[f"{tag}_{PERCENTILES[percentile]}_ms"][number] = us / 1000
    return found


def _by_row(per_second: Mapping[int, int], rows: int, row_s: int) -> list[float | None]:
    found = [0] * rows
    for second, count in per_second.items():
        if 0 <= second // row_s < rows:
            found[second // row_s] += count
    return [*found]


def _starts(run: RunData) -> list[str]:
    """Return the start of each row, to the millisecond."""
    rows = math.ceil(run.length_s / run.row_s)
    start = _EPOCH + timedelta(microseconds=run.manifest.started_unix_ns // 1000)
    times = (start + timedelta(seconds=number * run.row_s) for number in range(rows))
    return [f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03}Z" for time in times]


def _field(value: float | None) -> str:
    """Return a number without an exponent, to six places; empty for None."""
    if value is None:
        return ""
    if isinstance(value, int):
        return str(value)
    return f"{value:.6f}".rstrip("0").rstrip(".")
