"""`loadtest trend`: the series of a plan's runs, the changes in it, and whether latency has risen."""

from __future__ import annotations

import json
import math
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from loadtest.cli import main
from loadtest.results.manifest import UserClass
from loadtest.ruling import Ruling
from loadtest.runs import trend as module
from loadtest.runs.pins import pin
from loadtest.runs.trend import Trend, TrendLevel, trend
from loadtest.runs.trend_sheet import MARK, trend_sheet
from loadtest.runs.verdict_file import read_verdict, write_verdict
from loadtest.statistics.changes import changes_in
from loadtest.verdict.items import ClassVerdict
from tests.support.judged_runs import DAY_S, OTHER_HOST, VALUES, judged_run
from tests.support.recorded_runs import begun
from tests.support.rundirs import HOSTILE, write_run

CHANGE = 6


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve runs of a plan, two a revision, slower from the seventh on; and some that do not count."""
    results = tmp_path_factory.mktemp("results")
    for number in range(12):
        made(results, number, slower_ratio=4.0 if number < CHANGE else 6.0)
    made(results, 20, slower_ratio=9.0, complete=False)
    damaged = made(results, 21, slower_ratio=9.0)
    (damaged / "intervals.jsonl").write_text("{}\n")
    made(results, 22, slower_ratio=9.0, rate=2.0)
    return results


def made(results: Path, number: int, *, rate: float = 1.0, **more: Any) -> Path:
    """Write a run of the night; it has no verdict, so that its data is read."""
    of = begun(f"run{number:02}", f"v{number // 2}", at_s=DAY_S * number, rate=rate)
    return write_run(results, of=of, seconds=16, **more)


def run(results: Path, *words: str) -> Result:
    """Run the command."""
    return CliRunner(env={"COLUMNS": "80"}).invoke(main, ["trend", *words, "--results", str(results)])


def test_a_change_is_found_between_its_revisions(results: Path) -> None:
    """The first run after it, medians before and after, and how surely."""
    found = trend("v1", results)
    assert [one.run_id for one in found.runs] == [f"run{number:02}" for number in range(12)]
    (p50,) = [change for change in found.changes if change.gate == "service p50"]
    assert (p50.index, p50.before, p50.after, p50.run_id) == (CHANGE, "v2", "v3", "run06")
    assert p50.change_ratio == pytest.approx(0.5, abs=0.1)
    assert p50.p_value < 0.05
    assert trend("v1", results) == found


def test_few_samples_are_no_point_of_the_series(results: Path) -> None:
    """Some fifty outages a run have no p95 to speak of; the gate is named as not judged."""
    found = trend("v1", results)
    assert {one.values["outage p95"] for one in found.runs} == {None}
    assert level(found, "outage p95").decision is Ruling.NOT_JUDGED
    lines = [
        line for line in trend_sheet(found).lines if line.startswith("not judged, for lack of samples: ")
    ]
    assert "outage p95" in lines[0]


def test_the_series_is_told_with_its_changes_marked(results: Path) -> None:
    """A row a run on a narrow terminal; the plan may be named by its hash; exit code 1, as it has risen."""
    sheet = trend_sheet(trend("v1", results))
    _, table = sheet.tables
    marked = [row[1] for row in table.rows if row[2].startswith(MARK)]
    assert marked == ["v3"]
    assert any(line.startswith("service p50 changed between v2 and v3 (run run06): ") for line in sheet.lines)
    shown = run(results, "--plan", "v1")
    assert shown.exit_code == 1
    assert all(len(line) <= 80 for line in shown.output.splitlines())
    by_hash = trend("v1", results).comparability_hash[:10]
    as_json = run(results, "--plan", by_hash, "--json")
    assert as_json.exit_code == 1
    assert json.loads(as_json.stdout)["changes"][0]["run_id"] == "run06"
    assert json.loads(as_json.stdout)["verdict"] == "FAIL"


def test_the_newest_runs_plan_is_the_default(results: Path) -> None:
    """A series of one run has no change, and cannot be judged."""
    found = trend(None, results)
    assert ([one.run_id for one in found.runs], found.changes) == (["run22"], [])
    assert found.verdict is Ruling.INCONCLUSIVE
    assert run(results).exit_code == 4
    assert "1 run to judge; 6 are needed" in run(results).output


# The verdict.


def level(found: Trend, gate: str) -> TrendLevel:
    """Return the level of a gate."""
    return next(one for one in found.levels if one.gate == gate)


def nights(
    results: Path, p50s_us: Sequence[float], *, noise: float = 0.005, first: int = 0, **more: Any
) -> list[Path]:
    """Write a run a night, each of a revision of its own, with these medians and a little noise."""
    rng = random.Random(1)
    paths = []
    for number, us in enumerate(p50s_us, start=first):
        scale = math.exp(rng.gauss(0, noise)) * us / VALUES["service p50"]
        values = {name: value * scale for name, value in VALUES.items()}
        of = {"values": values, **more}
        paths.append(judged_run(results, f"run{number:02}", f"v{number}", at_s=DAY_S * number, **of))
    return paths


def test_a_quiet_series_passes(tmp_path: Path) -> None:
    """Exit code 0, in JSON too."""
    nights(tmp_path, [2000.0] * 12)
    shown = run(tmp_path, "--json")
    assert (shown.exit_code, json.loads(shown.stdout)["verdict"]) == (0, "PASS")
    assert "no gate has risen above its margin since the first runs" in run(tmp_path).output


def test_a_slow_creep_fails(tmp_path: Path) -> None:
    """2% a release over twelve releases: no step is found, and none would break the margin."""
    nights(tmp_path, [2000 * 1.02**number for number in range(12)])
    found = trend(None, tmp_path)
    assert found.verdict is Ruling.FAIL
    p50 = level(found, "service p50")
    assert (p50.decision, p50.first, p50.last) == (Ruling.FAIL, "v0 to v3, 4 runs", "v8 to v11, 4 runs")
    assert p50.first_runs == ["run00", "run01", "run02", "run03"]
    assert p50.change_ratio == pytest.approx(1.02**8 - 1, abs=0.01)
    assert (p50.low_ratio or 0) > (p50.margin_ratio or 1) > 0.09, "0.2 ms of 2.06 ms"
    line = trend_sheet(found).lines[0]
    assert line.startswith(
        "service p50 FAIL: it rose from 2.07 ms (v0 to v3, 4 runs) to 2.41 ms (v8 to v11, "
    )
    shown = run(tmp_path)
    assert shown.exit_code == 1
    assert all(len(line) <= 80 for line in shown.output.splitlines())
    assert run(tmp_path, "--markdown").exit_code == 1


def test_noise_of_the_same_size_does_not_fail(tmp_path: Path) -> None:
    """The same spread as of the creep, in another order, is no rise; it is not settled."""
    creep = [2000 * 1.02**number for number in range(12)]
    random.Random(3).shuffle(creep)
    nights(tmp_path, creep)
    found = trend(None, tmp_path)
    assert found.verdict is Ruling.INCONCLUSIVE
    assert run(tmp_path).exit_code == 4
    assert "the runs vary too much to decide" in " ".join(run(tmp_path).output.split())


def test_the_margins_of_the_newest_run_hold(tmp_path: Path) -> None:
    """A team that lets latency grow by a half is not told of 20%."""
    nights(tmp_path, [2000 * 1.02**number for number in range(12)])
    wide = {gate: {"relative_ratio": 0.5} for gate in VALUES}
    newest = next(path for path in tmp_path.rglob("run.json") if "run11" in str(path))
    newest.write_text(json.dumps(json.loads(newest.read_bytes()) | {"margins": wide}))
    assert trend(None, tmp_path).verdict is Ruling.PASS


def test_a_pinned_revision_is_compared_with(tmp_path: Path) -> None:
    """Someone has accepted the slower one: what came after it is judged, and it is named."""
    paths = nights(tmp_path, [2000.0] * 8 + [3000.0] * 12)
    assert trend(None, tmp_path).verdict is Ruling.FAIL
    pin(paths[8], tmp_path)
    found = trend(None, tmp_path)
    assert (found.pinned, found.verdict) == ("v8", Ruling.PASS)
    assert level(found, "service p50").first_runs == ["run08"]
    assert any(line.endswith("since the pinned revision v8") for line in trend_sheet(found).lines)
    pin(paths[2], tmp_path)
    assert trend(None, tmp_path).verdict is Ruling.FAIL
    pin(paths[19], tmp_path)
    assert trend(None, tmp_path).verdict is Ruling.INCONCLUSIVE, "nothing is newer"


def test_a_pin_older_than_the_newest_runs_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a person has accepted is not forgotten for its age; 3 runs of 20 are not the first level."""
    monkeypatch.setattr(module, "MAX_RUNS", 12)
    paths = nights(tmp_path, [2000.0] * 3 + [2600.0] * 17)
    assert trend(None, tmp_path).verdict is Ruling.PASS, "nobody knows better"
    pin(paths[2], tmp_path)
    found = trend(None, tmp_path)
    assert (found.pinned, found.verdict, len(found.runs)) == ("v2", Ruling.FAIL, 13)
    shutil.rmtree(paths[2])
    assert trend(None, tmp_path).pinned == "v2", "the copy serves as well"


def test_the_candidate_of_a_duel_may_be_pinned(tmp_path: Path) -> None:
    """Its runs are left out, but not the one that a person has accepted."""
    paths = nights(tmp_path, [2000.0] * 8 + [3000.0] * 12)
    pair = {"a": str(paths[7].relative_to(tmp_path)), "b": str(paths[8].relative_to(tmp_path))}
    folder = tmp_path / "duels" / "d1"
    folder.mkdir(parents=True)
    (folder / "duel.json").write_text(json.dumps({"pairs": [pair]}))
    assert trend(None, tmp_path).verdict is Ruling.FAIL
    pin(paths[8], tmp_path)
    assert (trend(None, tmp_path).pinned, trend(None, tmp_path).verdict) == ("v8", Ruling.PASS)


def test_only_the_newest_runs_machine_is_judged(tmp_path: Path) -> None:
    """A slower machine is no slower server; the others are named, and stay in the list."""
    nights(tmp_path, [2000.0] * 8)
    nights(tmp_path, [3000.0] * 8, first=8, host=OTHER_HOST)
    found = trend(None, tmp_path)
    assert found.verdict is Ruling.PASS
    assert (len(found.runs), len(found.judged), found.changes) == (16, 8, [])
    (left_out,) = {one.left_out for one in found.runs if one.left_out}
    assert left_out == "it was made on another machine: CPU Model A → Model B, cores 2 → 8"
    assert f"8 runs left out: {left_out}" in trend_sheet(found).lines


def test_only_runs_of_the_newest_script_are_judged(tmp_path: Path) -> None:
    """An edit that makes requests slower is no slower server."""
    scripted = msgspec.structs.replace(begun("any", "v1", at_s=0).plan, tasks={"ask": 1})
    nights(tmp_path, [2000.0] * 8, plan=scripted, code="a" * 16)
    nights(tmp_path, [3000.0] * 8, first=8, plan=scripted, code="b" * 16)
    found = trend(None, tmp_path)
    assert found.verdict is Ruling.PASS
    assert (len(found.runs), len(found.judged), found.changes) == (16, 8, [])
    (left_out,) = {one.left_out for one in found.runs if one.left_out}
    assert left_out == "it ran another script: the script's code aaaaaaaa → bbbbbbbb"


def test_runs_that_do_not_count_are_left_out(tmp_path: Path) -> None:
    """Of an overloaded generator, cut short, or without a revision among others that have one."""
    nights(tmp_path, [2000.0] * 8)
    nights(tmp_path, [9000.0], first=8, valid=False)
    nights(tmp_path, [9000.0], first=9, ended_early="no session left")
    judged_run(tmp_path, "run10", "unnamed", at_s=DAY_S * 10, values={"service p50": 9000.0})
    found = trend(None, tmp_path)
    assert (found.verdict, len(found.judged)) == (Ruling.PASS, 8)
    reasons = [one.left_out for one in found.runs if one.left_out]
    assert [reason.partition(" was ")[0] for reason in reasons] == [
        "the load generator",
        "the run",
        "the version of its server is unknown",
    ]


def test_a_server_that_nobody_names_is_judged_all_the_same(tmp_path: Path) -> None:
    """If no run has a revision, all are taken for the same server's."""
    for path in nights(tmp_path, [2000 * 1.04**number for number in range(12)]):
        file = path / "run.json"
        file.write_text(json.dumps(json.loads(file.read_bytes()) | {"revision": "unnamed"}))
    assert trend(None, tmp_path).verdict is Ruling.FAIL


def test_runs_that_failed_are_not_the_first_level(tmp_path: Path) -> None:
    """Two slow releases at the beginning, which failed, do not hide that the newest are slow again."""
    nights(tmp_path, [2000.0, 2000.0])
    nights(tmp_path, [3000.0, 3000.0], first=2, latency=Ruling.FAIL)
    nights(tmp_path, [2000.0] * 4 + [2700.0] * 4, first=4)
    found = trend(None, tmp_path)
    assert found.verdict is Ruling.FAIL
    assert level(found, "service p50").first_runs == ["run00", "run01"]


def test_each_user_class_has_its_gates(tmp_path: Path) -> None:
    """One kind of users that got slower fails, whatever the other does."""
    plan = begun("x", "v1", at_s=0).plan
    classes = tuple(UserClass(name=name, plan=plan) for name in ("Chat", "Feed"))
    for number, path in enumerate(nights(tmp_path, [2000.0] * 12, user_classes=classes)):
        verdict = read_verdict(path)
        assert verdict is not None
        users = {}
        for name, ratio in (("Chat", 1.0), ("Feed", 1.03**number)):
            values = {gate: value * ratio for gate, value in (verdict.latency.evidence.values or {}).items()}
            evidence = msgspec.structs.replace(verdict.latency.evidence, values=values)
            item = msgspec.structs.replace(verdict.latency, evidence=evidence)
            users[name] = ClassVerdict(items=[item], verdict=Ruling.PASS)
        write_verdict(path, msgspec.structs.replace(verdict, users=users))
    found = trend(None, tmp_path)
    assert found.verdict is Ruling.FAIL
    assert level(found, "Feed service p50").decision is Ruling.FAIL
    assert level(found, "Chat service p50").decision is Ruling.PASS
    shown = run(tmp_path)
    assert shown.exit_code == 1
    assert "Feed service p50 FAIL: it rose" in shown.output


def test_hostile_names_and_values_are_shown_safely(tmp_path: Path) -> None:
    """What someone else has written neither steers a terminal nor breaks a table, nor hides a run."""
    for number, path in enumerate(nights(tmp_path, [2000.0] * 12)):
        file = path / "run.json"
        file.write_text(json.dumps(json.loads(file.read_bytes()) | {"revision": f"{HOSTILE[:60]}{number}"}))
    verdicts = sorted(tmp_path.rglob("verdict.json"))
    verdicts[0].write_text("[" * 100_000)
    verdicts[1].write_bytes(verdicts[1].read_bytes().replace(b"2", b"9e99"))
    for words in ((), ("--markdown",)):
        shown = run(tmp_path, *words)
        assert shown.exit_code in (0, 1, 4)
        assert not {"\x1b", "\u202e"} & set(shown.output)
    assert run(tmp_path, "--json").exit_code in (0, 1, 4)


@pytest.mark.parametrize("least", [1e-320, 1e-9, 1.1])
def test_the_shortest_and_the_longest_times_end_no_trend(tmp_path: Path, least: float) -> None:
    """What is shorter than histograms hold cannot have been measured; the rest is judged."""
    nights(tmp_path, [least] * 6 + [3.5e9] * 6)
    found = trend(None, tmp_path)
    assert level(found, "service p50").first_runs[0] == ("run06" if least < 1.0 else "run00")
    nights(tmp_path, [1.1, 3.5e9] * 6, first=12)
    assert trend(None, tmp_path).verdict is Ruling.INCONCLUSIVE
    assert run(tmp_path).exit_code == 4


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
