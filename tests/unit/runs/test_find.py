"""Which runs there are, which one a person means, and how they are listed."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from loadtest.errors import RunNotFound, UsageError
from loadtest.report.terminal import print_sheet
from loadtest.results.directory import MANIFEST
from loadtest.results.manifest import DrillRun
from loadtest.runs.find import find_runs, list_runs, listing_sheet, resolve, run_of_plan
from tests.support.recorded_runs import recorded
from tests.support.rundirs import write_run
from tests.support.runs import manifest


def test_runs_are_listed_newest_first(tmp_path: Path) -> None:
    """Pinned ones among them, and those that cannot be read apart."""
    old, new = recorded(tmp_path, "a", "v1", at_s=0), recorded(tmp_path, "b", "v2", at_s=9)
    pinned = recorded(tmp_path / "baselines", "c", "v0", at_s=5)
    broken = recorded(tmp_path, "d", "v3", at_s=7)
    (broken / MANIFEST).write_text("{")
    catalogue = find_runs(tmp_path)
    assert [run.path for run in catalogue.runs] == [new, pinned, old]
    assert [run.pinned for run in catalogue.runs] == [False, True, False]
    assert [problem.path for problem in catalogue.unreadable] == [broken / MANIFEST]
    assert find_runs(tmp_path / "nothing").runs == []


def test_a_run_is_meant_by_its_path_or_its_revision(tmp_path: Path) -> None:
    """A revision is its newest complete run."""
    first = recorded(tmp_path, "a", "feature/x", at_s=0)
    second = recorded(tmp_path, "b", "feature/x", at_s=1)
    recorded(tmp_path, "c", "feature/x", at_s=2, complete=False)
    assert resolve(str(first), tmp_path) == first
    assert resolve(f"feature-x/{first.name}", tmp_path) == first
    assert resolve("feature/x", tmp_path) == second
    for unknown in ("feature", "v9", "", "\0", "x" * 10_000):
        with pytest.raises(RunNotFound, match="loadtest list"):
            resolve(unknown, tmp_path)


def test_a_run_is_meant_by_its_id_or_the_beginning_of_it(tmp_path: Path) -> None:
    """Complete or not, as with a directory; fewer than four characters mean nothing."""
    first = recorded(tmp_path, "0a1b2c3d", "v1", at_s=0)
    killed = recorded(tmp_path, "0a1b9999", "v1", at_s=1, complete=False)
    for named, path in {"0a1b2c3d": first, "0a1b2": first, "0a1b9999": killed, "0a1b9": killed}.items():
        assert resolve(named, tmp_path) == path
    for unknown in ("0a1", "0a1b2c3d4", "a1b2", "0A1B2C3D"):
        with pytest.raises(RunNotFound):
            resolve(unknown, tmp_path)
    with pytest.raises(RunNotFound):
        resolve("0a1b2c3d", tmp_path, besides="0a1b2c3d")


@pytest.mark.parametrize("named", ["0a1b2c3d/", "0a1b/", "v1/", "v1//"])
def test_a_slash_at_the_end_changes_nothing(tmp_path: Path, named: str) -> None:
    """A shell adds it to the name of a folder."""
    run = recorded(tmp_path, "0a1b2c3d", "v1", at_s=0)
    assert resolve(named, tmp_path) == run
    slashed = recorded(tmp_path, "ffffffff", "v1/", at_s=1)
    assert resolve("v1/", tmp_path) == slashed, "a revision may end in one"


@pytest.mark.parametrize(
    ("named", "hinted"), [("0A1B2C3D", True), ("0a1", True), ("0A1/", True), ("v9", False)]
)
def test_an_id_that_is_mistyped_gets_a_hint(tmp_path: Path, named: str, hinted: bool) -> None:
    """In upper case, or too short."""
    recorded(tmp_path, "0a1b2c3d", "v1", at_s=0)
    with pytest.raises(RunNotFound) as refused:
        resolve(named, tmp_path)
    assert ("ids are in lower case; give 4 characters or more" in str(refused.value)) is hinted


def test_a_name_that_may_mean_several_runs_is_refused(tmp_path: Path) -> None:
    """The error lists them with their directories; one that means the same run twice is no such name."""
    first = recorded(tmp_path, "0a1b2c3d", "v1", at_s=0)
    second = recorded(tmp_path, "0a1b9999", "v1", at_s=1)
    with pytest.raises(UsageError, match="'0a1b' may mean several runs") as refused:
        resolve("0a1b", tmp_path)
    assert f"0a1b2c3d of v1 ({first})" in str(refused.value)
    assert f"0a1b9999 of v1 ({second})" in str(refused.value)
    of_commit = recorded(tmp_path, "ffffffff", "0a1b2", at_s=2)
    with pytest.raises(UsageError, match=rf"0a1b2c3d of v1 .*, ffffffff of 0a1b2 \({of_commit}\)"):
        resolve("0a1b2", tmp_path)
    same = recorded(tmp_path, "beef", "beef", at_s=3)
    assert resolve("beef", tmp_path) == same
    recorded(tmp_path, "beef0001", "v9", at_s=4)
    assert resolve("beef", tmp_path) == same, "a whole id comes before the beginning of another"


def test_an_id_that_foreign_files_have_too_is_refused(tmp_path: Path) -> None:
    """A pinned copy is the same run, and its original is meant; another folder may hold anything."""
    run = recorded(tmp_path, "0a1b2c3d", "v1", at_s=0)
    copy = recorded(tmp_path / "baselines", "0a1b2c3d", "v1", at_s=0)
    assert resolve("0a1b2c3d", tmp_path) == run
    shutil.rmtree(run)
    assert resolve("0a1b2c3d", tmp_path) == copy
    recorded(tmp_path, "0a1b2c3d", "v1", at_s=0)
    recorded(tmp_path, "0a1b2c3d", "\x1b[2J", at_s=1)
    with pytest.raises(UsageError, match="may mean several runs") as refused:
        resolve("0a1b2c3d", tmp_path)
    assert str(refused.value).isprintable()


def test_a_plan_is_named_by_its_hash_or_by_a_run(tmp_path: Path) -> None:
    """A text that is the beginning of one plan's hash and names a run of another is refused."""
    path = recorded(tmp_path, "0a1b2c3d", "v1", at_s=0)
    of_plan = find_runs(tmp_path).runs[0].manifest.comparability_hash
    assert run_of_plan(of_plan[:8], tmp_path).path == path
    assert run_of_plan("0a1b2c", tmp_path).path == path
    alike = recorded(tmp_path, "cccccccc", of_plan[:8], at_s=1)
    assert run_of_plan(of_plan[:8], tmp_path).path == alike, "the plan is the same"
    shutil.rmtree(alike)
    recorded(tmp_path, of_plan[:8], "v2", at_s=1, rate=2)
    with pytest.raises(UsageError, match="may mean several runs"):
        run_of_plan(of_plan[:8], tmp_path)


def test_a_revision_with_killed_runs_only_names_the_newest(tmp_path: Path) -> None:
    """It can be read by its directory, so the error says which that is."""
    recorded(tmp_path, "a", "v1", at_s=0, complete=False)
    newest = recorded(tmp_path, "b", "v1", at_s=1, complete=False)
    with pytest.raises(UsageError, match=rf"'v1'.* name its directory; the newest is {newest}$"):
        resolve("v1", tmp_path)
    assert resolve(str(newest), tmp_path) == newest


def test_a_failed_tool_is_seen_in_the_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The list tells it from a run that was killed; as JSON it has the reason."""
    for run_id, failure, complete in (("a", None, True), ("b", None, False), ("c", "disk full", False)):
        write_run(tmp_path, of=manifest(run_id=run_id, failure=failure), seconds=1, complete=complete)
    listing = list_runs(tmp_path)
    assert {run.run_id: run.failure for run in listing.runs} == {"a": None, "b": None, "c": "disk full"}
    print_sheet(listing_sheet(listing, tmp_path))
    rows = {line.split()[-1]: line for line in capsys.readouterr().out.splitlines() if "v1.0" in line}
    assert [re.split("  +", rows[run_id].strip())[-2] for run_id in "abc"] == ["yes", "no", "tool failed"]


def test_a_table_has_the_id_of_a_duel_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run of a duel takes two lines at most on a narrow terminal; JSON has the folder's name."""
    name = "20261129T134509Z-1b43b42e"
    of = manifest(run_id="0a1b2c3d", revision="main-fb3c2d1")
    path = write_run(tmp_path, of=of, seconds=1)
    (tmp_path / "duels" / name).mkdir(parents=True)
    pairs = [{"a": str(path.relative_to(tmp_path)), "b": "other"}]
    (tmp_path / "duels" / name / "duel.json").write_text(json.dumps({"pairs": pairs}))
    listing = list_runs(tmp_path)
    assert [run.note for run in listing.runs] == [f"duel {name}"]
    print_sheet(listing_sheet(listing, tmp_path))
    shown = capsys.readouterr().out
    assert "1b43b42e" in shown
    assert "20261129T134509Z" not in shown
    rows = shown.split("note", 1)[1].partition("1 run in")[0].splitlines()
    assert len([row for row in rows if row.strip(" ─")]) <= 2, shown


def test_the_list_tells_drills_and_duels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A duel.json that is damaged, or hostile, names no run and breaks no list."""
    drill = DrillRun(at_s=1.0, command="true")
    paths = {
        run_id: write_run(tmp_path, of=manifest(run_id=run_id, drills=drills), seconds=1)
        for run_id, drills in (("a", (drill,)), ("b", ()), ("c", ()))
    }
    pairs = [{name: str(paths[name].relative_to(tmp_path)) for name in "ab"}]
    deep = b'{"pairs":' + b"[" * 100_000
    for name, content in (
        ("good", json.dumps({"pairs": pairs, "end": "", "more": 1}).encode()),
        ("deep", deep),
        ("nul", json.dumps({"pairs": [{"a": "x\0", "b": "y"}]}).encode()),
        ("other", b"\xff"),
    ):
        (tmp_path / "duels" / name).mkdir(parents=True)
        (tmp_path / "duels" / name / "duel.json").write_bytes(content)
    listing = list_runs(tmp_path)
    notes = {run.run_id: run.note for run in listing.runs}
    assert notes == {"a": "drill, duel good", "b": "duel good", "c": ""}
    print_sheet(listing_sheet(listing, tmp_path))
    assert "drill, duel good" in " ".join(capsys.readouterr().out.split())
