"""The history that run-to-run noise is measured over: which runs are in it, and that no file can harm it."""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from loadtest.ruling import Ruling
from loadtest.runs import past_runs as module
from loadtest.runs.find import FoundRun, find_runs
from loadtest.runs.past_runs import MAX_READ, MAX_RUNS, RunValues, history, run_values
from loadtest.runs.pins import pin
from loadtest.runs.publish import publish
from loadtest.session.schedule import NS_PER_S
from loadtest.statistics.noise import PastRun, noise_of
from tests.support.judged_runs import HOST, OTHER_HOST, VALUES, judged_run
from tests.support.recorded_runs import begun
from tests.support.rundirs import write_run


def of(results: Path, *, at_s: int = 10**6, **manifest: Any) -> Sequence[PastRun]:
    """Return the history of a run that begins then."""
    judged = msgspec.structs.replace(begun("judged", "new", at_s=at_s), host=HOST, **manifest)
    return history(results, judged, before_unix_ns=judged.started_unix_ns)


def p50s_us(results: Path, **more: Any) -> list[float]:
    """Return the medians of the history, in µs."""
    return [round(math.exp(run.values["service p50"] or 0)) for run in of(results, **more)]


def one(results: Path, number: int, **more: Any) -> Path:
    """Write a run whose median tells its number."""
    values = more.pop("values", {**VALUES, "service p50": 1000.0 + number})
    return judged_run(
        results, f"run{number:02}", more.pop("revision", "v1"), at_s=number * 3600, values=values, **more
    )


def test_all_fit_runs_of_any_revision_are_in_it_oldest_first(tmp_path: Path) -> None:
    """Whether settled or not: a change is a step in the series, which the noise is measured around."""
    one(tmp_path, 1, revision="v1")
    one(tmp_path, 2, revision="v2", latency=Ruling.PASS)
    pin(one(tmp_path, 3, revision="v3", latency=Ruling.INCONCLUSIVE), tmp_path)
    assert p50s_us(tmp_path) == [1001, 1002, 1003]


def test_a_release_that_became_slower_is_not_in_it(tmp_path: Path) -> None:
    """One of +50% among fourteen that agree would be most of the noise, and hide the next one."""
    for number in range(15):
        slow = number == 7
        values = {**VALUES, "service p50": 1000.0 * (1.5 if slow else 1 + 0.01 * (-1) ** number)}
        one(tmp_path, number, latency=Ruling.FAIL if slow else Ruling.PASS, values=values)
    spread = noise_of(of(tmp_path))["service p50"].of_pair(same_day=True)
    assert len(p50s_us(tmp_path)) == 14
    assert math.sqrt(spread.variance) < 0.02


def test_a_run_that_only_broke_a_limit_is_in_it(tmp_path: Path) -> None:
    """A limit that every run breaks must not leave a plan without any history."""
    folder = one(tmp_path, 1, latency=Ruling.FAIL)
    path = folder / "verdict.json"
    verdict = json.loads(path.read_bytes())
    (latency,) = (item for item in verdict["items"] if item["item"] == "latency")
    latency["evidence"]["time_limits"] = [{"name": "p50", "verdict": "FAIL"}]
    latency["evidence"]["gates"] = None
    path.write_text(json.dumps(verdict))
    assert p50s_us(tmp_path) == [1001]


def test_what_was_not_fit_is_not_in_it(tmp_path: Path) -> None:
    """Overloaded, incomplete, cut short, of another plan or machine, unnamed, later, or the run itself."""
    plan = begun("x", "v1", at_s=0).plan
    one(tmp_path, 1)
    one(tmp_path, 2, valid=False)
    one(tmp_path, 3, missing_workers=[1])
    one(tmp_path, 4, ended_early="no session left")
    one(tmp_path, 5, plan=msgspec.structs.replace(plan, rate=9.0))
    one(tmp_path, 6, host=OTHER_HOST)
    one(tmp_path, 7, revision="unnamed")
    one(tmp_path, 8)
    killed = one(tmp_path, 9)
    run_json = json.loads((killed / "run.json").read_bytes())
    (killed / "run.json").write_text(json.dumps(run_json | {"complete": False}))
    assert p50s_us(tmp_path) == [1001, 1008]
    assert p50s_us(tmp_path, at_s=8 * 3600) == [1001]
    assert p50s_us(tmp_path, at_s=9 * 3600, run_id="run01") == [1008]


def test_a_run_that_was_cut_short_is_not_in_it(tmp_path: Path) -> None:
    """A run of a minute of the ten that were planned measured something else."""
    plan = msgspec.structs.replace(begun("x", "v1", at_s=0).plan, duration_s=600.0)
    one(tmp_path, 1, plan=plan)
    assert p50s_us(tmp_path, plan=plan) == []
    plan = msgspec.structs.replace(plan, duration_s=62.0)
    one(tmp_path, 2, plan=plan)
    assert p50s_us(tmp_path, plan=plan) == [1002]


def test_of_a_duel_only_the_baseline_is_in_it(tmp_path: Path) -> None:
    """Its sides alternate: what differs between them is no noise. A run of no duel stays."""
    a, b = one(tmp_path, 1), one(tmp_path, 2)
    one(tmp_path, 3)
    folder = tmp_path / "duels" / "d1"
    folder.mkdir(parents=True)
    names = [str(path.relative_to(tmp_path)) for path in (a, b)]
    (folder / "duel.json").write_text(json.dumps({"pairs": [{"a": names[0], "b": names[1]}]}))
    assert p50s_us(tmp_path) == [1001, 1003]


def test_new_versions_of_libraries_do_not_end_a_history(tmp_path: Path) -> None:
    """A pair that they differ in is not compared, but how much runs differ stays the same."""
    one(tmp_path, 1, versions={"python": "3.11.4", "msgspec": "0.20"})
    one(tmp_path, 2, versions={"python": "3.12.1", "msgspec": "0.21"})
    assert p50s_us(tmp_path, versions={"python": "3.12.1", "msgspec": "0.22"}) == [1001, 1002]


def test_a_run_of_another_script_is_not_in_it(tmp_path: Path) -> None:
    """An edit changes what is sent, which is no noise."""
    scripted = msgspec.structs.replace(begun("any", "v1", at_s=0).plan, tasks={"ask": 1})
    for number, code in ((1, "same"), (2, "edited"), (3, "same")):
        one(tmp_path, number, plan=scripted, code=code)
    assert p50s_us(tmp_path, plan=scripted, code="same") == [1001, 1003]


def test_a_verdict_and_the_data_have_the_same_values(tmp_path: Path) -> None:
    """A run of an earlier version, whose verdict has none, is read; both are the same numbers."""
    path = write_run(tmp_path, of=msgspec.structs.replace(begun("r", "v1", at_s=0), host=HOST), seconds=25)
    (found,) = find_runs(tmp_path).runs
    of_data = run_values(found)
    publish(path, results=tmp_path)
    of_verdict = run_values(found)
    assert (of_data.unfit, of_verdict.unfit) == ("", "")
    assert of_data.past.day == of_verdict.past.day
    known = {name: value for name, value in of_data.past.values.items() if value is not None}
    assert known
    for name, value in known.items():
        assert of_verdict.past.values[name] == pytest.approx(value, abs=1e-5), name


def test_values_are_converted_to_the_units_that_are_compared(tmp_path: Path) -> None:
    """Quantiles and drift are logarithms, losses are not."""
    one(tmp_path, 1, values={"service p50": 2000.0, "drift": 0.05, "losses": 1.5})
    (past,) = of(tmp_path)
    assert past.values["service p50"] == pytest.approx(math.log(2000))
    assert past.values["drift"] == pytest.approx(math.log(1.05))
    assert past.values["losses"] == 1.5
    assert past.values["service p90"] is None
    assert past.day == "2026-11-23"


def test_it_is_bounded(tmp_path: Path) -> None:
    """The newest runs say what the noise is today."""
    for number in range(MAX_RUNS + 5):
        one(tmp_path, number)
    assert p50s_us(tmp_path) == [1000 + number for number in range(5, MAX_RUNS + 5)]


def test_reading_whole_runs_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs without values, of an earlier version, are read only so far; those with values still count."""
    one(tmp_path, 0)
    for number in range(1, MAX_READ + 4):
        one(tmp_path, number, values=None)
    read: list[FoundRun] = []

    def counted(run: FoundRun) -> RunValues:
        read.append(run)
        return run_values(run)

    monkeypatch.setattr(module, "run_values", counted)
    found = of(tmp_path)
    assert len(read) == MAX_READ + 1
    assert found[0].values["service p50"] is not None


def test_sixty_verdicts_are_read_quickly(tmp_path: Path) -> None:
    """In well under a second: a hundredth of the time that reading the data of the runs takes."""
    for number in range(MAX_RUNS):
        one(tmp_path, number)
    began_ns = time.process_time_ns()
    assert len(of(tmp_path)) == MAX_RUNS
    assert time.process_time_ns() - began_ns < 3 * NS_PER_S


# Hostile files.


@pytest.mark.parametrize(
    "value",
    ["1e999", "-1", "0", "1e300", "NaN", "Infinity", '"fast"', "null", "[]", "{}", "1e-320", "0.5", "true"],
)
def test_a_value_that_is_none_harms_nothing(tmp_path: Path, value: str) -> None:
    """It is unknown, or the file is unreadable and the run left out; the others stay."""
    one(tmp_path, 1)
    path = one(tmp_path, 2) / "verdict.json"
    path.write_text(path.read_text().replace("1002.0", value))
    one(tmp_path, 3)
    found = [run.values["service p50"] for run in of(tmp_path)]
    assert all(one is None or math.isfinite(one) for one in found)
    known = [round(math.exp(one)) for one in found if one is not None]
    assert known == [1001, 1003]


@pytest.mark.parametrize(
    "kind", ["link", "folder", "fifo", "nested", "huge", "binary", "empty", "wrong types"]
)
def test_a_hostile_verdict_harms_nothing(tmp_path: Path, kind: str) -> None:
    """Whatever stands in its place is not followed, waited for, or believed; its data is read instead."""
    one(tmp_path, 1)
    path = one(tmp_path, 2) / "verdict.json"
    wrong = re.sub(rb'"items": ?\[', b'"items":[7,', path.read_bytes())
    path.unlink()
    if kind == "link":
        path.symlink_to(one(tmp_path, 4, revision="secret") / "verdict.json")
    elif kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        data = {
            "nested": b"[" * 100_000,
            "huge": b'{"schema":1,"verdict":"' + b"A" * 10_000_000 + b'"}',
            "binary": bytes(range(256)) * 100,
            "empty": b"",
            "wrong types": wrong,
        }
        path.write_bytes(data[kind])
    one(tmp_path, 3)
    found = {run.values["service p50"] for run in of(tmp_path)}
    assert {math.log(1001), math.log(1003)} <= found
    assert math.log(1002) not in found


def test_days_are_those_of_the_manifest(tmp_path: Path) -> None:
    """Noise from day to day needs them."""
    for number in (0, 24, 48):
        one(tmp_path, number)
    assert [run.day for run in of(tmp_path)] == ["2026-11-23", "2026-11-24", "2026-11-25"]
