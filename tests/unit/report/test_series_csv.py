"""series.csv: read by Python's own reader, against the run it was made from."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest import histograms
from loadtest.report.series_csv import COLUMNS, series_csv
from loadtest.results.data import RunData
from loadtest.results.interval import pack
from tests.support.effort import effort
from tests.support.rundirs import HOSTILE
from tests.support.runs import gathered, interval, manifest, plan

NUMBER = re.compile(r"-?\d+(\.\d+)?")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def rows_of(run: RunData) -> list[dict[str, str]]:
    """Return the lines of series.csv, each of which must be as RFC 4180 has it and hold numbers only."""
    data = series_csv(run)
    assert data.count(b"\n") == data.count(b"\r\n")
    assert data.endswith(b"\r\n")
    header, *lines = csv.reader(io.StringIO(data.decode("ascii"), newline=""), strict=True)
    assert header == list(COLUMNS)
    for first, *cells in lines:
        assert TIME.fullmatch(first)
        assert len(cells) == len(header) - 1
        assert [cell for cell in cells if cell and not NUMBER.fullmatch(cell)] == []
    return [dict(zip(header, line, strict=True)) for line in lines]


def column(rows: Sequence[dict[str, str]], name: str) -> list[float | None]:
    """Return a column as numbers."""
    return [float(row[name]) if row[name] else None for row in rows]


SECONDS = st.lists(
    st.tuples(st.integers(0, 99), st.lists(st.integers(1, 10_000_000), max_size=12)), min_size=1, max_size=9
)


@given(SECONDS)
@effort(40)
def test_a_line_is_what_its_second_was(seconds: list[tuple[int, list[int]]]) -> None:
    """Counts, and percentiles of the second's own times as far as these carry them."""
    run = gathered(
        interval(second, counts={"messaging.sent": sent, "drops.fin": 1}, samples_us={"response": times_us})
        for second, (sent, times_us) in enumerate(seconds)
    )
    rows = rows_of(run)
    assert column(rows, "second") == list(range(len(seconds)))
    assert column(rows, "sent") == [sent for sent, _ in seconds]
    assert column(rows, "drops") == [1] * len(seconds)
    for row, (_, times_us) in zip(rows, seconds, strict=True):
        highest = histograms.highest_equivalent_us(max(times_us)) / 1000 if times_us else None
        median_us = sorted(times_us)[int(len(times_us) / 2 + 0.5) - 1] if len(times_us) > 1 else None
        median = None if median_us is None else histograms.highest_equivalent_us(median_us) / 1000
        assert column([row], "response_max_ms") == [highest]
        assert column([row], "response_p50_ms") == [median]
        assert row["response_p99_ms"] == row["service_max_ms"] == ""


def test_times_go_on_from_the_runs_start() -> None:
    """UTC to the millisecond; the last second may be shorter."""
    of = manifest(started_unix_ns=1_795_443_815_250_999_999)
    first, last = interval(0), interval(1)
    last.stop_ns -= 400_000_000
    rows = rows_of(gathered([first, last], of))
    assert [row["time_utc"] for row in rows] == ["2026-11-23T14:23:35.250Z", "2026-11-23T14:23:36.250Z"]
    assert column(rows, "duration_s") == [1, 0.6]


def test_processes_are_one_line() -> None:
    """Sessions of all workers are added up; of the load generator's health the worst counts."""
    health = ({"sessions_up": 5.0, "cpu_ratio": 0.25}, {"sessions_up": 7.0, "cpu_ratio": 0.5})
    packed = [pack(interval(0, gauges=gauges), worker=worker) for worker, gauges in enumerate(health)]
    (row,) = rows_of(gathered(packed))
    assert (row["sessions_up"], row["generator_cpu_ratio"], row["generator_stall_ms"]) == ("12", "0.5", "")


def test_a_run_of_many_hours_has_longer_rows() -> None:
    """Three hours are lines of two seconds; sums are those of the run."""
    hours = [interval(second, seconds=10, counts={"messaging.sent": 10}) for second in range(0, 10_800, 10)]
    rows = rows_of(gathered(hours))
    assert len(rows) == 5400
    assert set(column(rows, "duration_s")) == {2}
    assert sum(sent or 0 for sent in column(rows, "sent")) == 10_800


def test_errors_of_the_log_are_empty_without_a_log() -> None:
    """No log is something else than a log without errors."""
    run = gathered([interval(0), interval(1)])
    assert column(rows_of(run), "log_errors") == [None, None]
    assert column(rows_of(replace(run, log_errors_per_s={})), "log_errors") == [0, 0]
    assert column(rows_of(replace(run, log_errors_per_s={1: 3, 77: 1})), "log_errors") == [0, 3]


@pytest.mark.parametrize("value", [1e308, -1e308, 5e-324])
def test_no_text_and_no_number_from_a_file_can_spoil_it(value: float) -> None:
    """No formula, no exponent, no other text, whatever the run's files say."""
    gauges = dict.fromkeys(("sessions_up", "sessions_in_outage", "cpu_ratio", "stall_max_ms"), value)
    counts = {"messaging.lost": -(2**63), "messaging.sent": 2**63 - 1, f"losses.={HOSTILE}"[:190]: 1}
    of = manifest(run_plan=plan(dialect='=HYPERLINK("http://evil.example")'), revision=HOSTILE)
    rows = rows_of(gathered([interval(0, counts=counts, gauges=gauges), interval(1)], of))
    assert len(rows) == 2


def test_a_run_without_data_has_a_header_alone() -> None:
    """Nothing was recorded."""
    assert rows_of(gathered([])) == []


def test_seconds_without_a_recording_are_empty() -> None:
    """The engine stood still from 2 to 5 s: what it did then is counted in the second before, once."""
    counts = {"messaging.sent": 10}
    parts = [
        interval(at, seconds=length, counts=counts, gauges={"sessions_up": 5.0})
        for at, length in ((0, 1), (1, 4), (5, 1))
    ]
    rows = rows_of(gathered(parts))
    for name in ("sent", "answered", "attempts", "drops", "sessions_up"):
        cells = [row[name] for row in rows]
        assert [number for number, cell in enumerate(cells) if not cell] == [2, 3, 4]
    assert sum(float(row["sent"] or 0) for row in rows) == 30
