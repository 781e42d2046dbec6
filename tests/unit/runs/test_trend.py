"""`loadtest trend`: the series of a plan's runs, and the changes in it with the revisions on both sides."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from loadtest.cli import main
from loadtest.runs.pins import pin
from loadtest.runs.trend import MARK, trend, trend_sheet
from loadtest.statistics.changes import changes_in
from tests.support.recorded_runs import begun
from tests.support.rundirs import write_run

CHANGE = 6


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve runs of a plan, two a revision, slower from the seventh on; and some that do not count."""
    results = tmp_path_factory.mktemp("results")
    for number in range(12):
        path = made(results, number, slower_ratio=1.0 if number < CHANGE else 1.5)
        if number == 2:
            pin(path, results)
    made(results, 20, slower_ratio=9.0, complete=False)
    damaged = made(results, 21, slower_ratio=9.0)
    (damaged / "intervals.jsonl").write_text("{}\n")
    made(results, 22, slower_ratio=9.0, rate=2.0)
    return results


def made(results: Path, number: int, *, rate: float = 1.0, **more: Any) -> Path:
    """Write a run."""
    of = begun(f"run{number:02}", f"v{number // 2}", at_s=3600 * number, rate=rate)
    return write_run(results, of=of, seconds=16, **more)


def test_a_change_is_found_between_its_revisions(results: Path) -> None:
    """The first run after it, medians before and after, and how surely."""
    found = trend("v1", results)
    assert [run.run_id for run in found.runs] == [f"run{number:02}" for number in range(12)]
    (p50,) = [change for change in found.changes if change.gate == "service p50"]
    assert (p50.index, p50.before, p50.after, p50.run_id) == (CHANGE, "v2", "v3", "run06")
    assert p50.change_ratio == pytest.approx(0.5, abs=0.1)
    assert p50.p_value < 0.05
    assert trend("v1", results) == found


def test_few_samples_are_no_point_of_the_series(results: Path) -> None:
    """Some fifty outages a run have no p95 to speak of."""
    assert {run.quantiles_us["outage p95"] for run in trend("v1", results).runs} == {None}


def test_the_series_is_told_with_its_changes_marked(results: Path) -> None:
    """A row a run on a narrow terminal; the plan may be named by its hash."""
    sheet = trend_sheet(trend("v1", results))
    (table,) = sheet.tables
    marked = [row[1] for row in table.rows if row[2].startswith(MARK)]
    assert marked == ["v3"]
    assert sheet.lines[0].startswith("service p50 changed between v2 and v3 (run run06): ")
    shown = CliRunner(env={"COLUMNS": "80"}).invoke(
        main, ["trend", "--plan", "v1", "--results", str(results)]
    )
    assert shown.exit_code == 0
    assert all(len(line) <= 80 for line in shown.output.splitlines())
    by_hash = trend("v1", results).comparability_hash[:10]
    as_json = CliRunner().invoke(main, ["trend", "--plan", by_hash, "--results", str(results), "--json"])
    assert json.loads(as_json.stdout)["changes"][0]["run_id"] == "run06"


def test_the_newest_runs_plan_is_the_default(results: Path) -> None:
    """A series of one run has no change."""
    found = trend(None, results)
    assert ([run.run_id for run in found.runs], found.changes) == (["run22"], [])


# A series of runs.


def test_a_step_in_a_series_is_found() -> None:
    """At the gate where it is, at the run where it begins, passing over runs without samples."""
    rng = random.Random(1)
    series: list[dict[str, float | None]] = [
        {
            "service p50": math.log(1000) + rng.gauss(0.3 * (number >= 6), 0.01),
            "service p90": math.log(2000) + rng.gauss(0, 0.01),
            "service p99": None,
        }
        for number in range(12)
    ]
    series.insert(3, {})
    found = changes_in(series)
    assert [point.index for point in found["service p50"]] == [7]
    assert found["service p99"] == found["outage p95"] == ()
    assert changes_in(series) == found
