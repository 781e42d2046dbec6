"""Pinned baselines: what is copied, that one is kept for a plan, and what is taken away."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.errors import ResultsUnwritable, RunUnreadable, UsageError
from loadtest.results.reader import read_manifest, read_run
from loadtest.runs.find import FoundRun, find_runs, resolve
from loadtest.runs.pins import clear_baselines, pin, set_baseline, unpin
from tests.support.rundirs import write_run
from tests.support.runs import manifest, plan

KEPT = {"run.json", "latency.hlog", "events.jsonl", "intervals.jsonl", "verdict.json"}


def pinned(results: Path) -> list[FoundRun]:
    """Return the pinned runs."""
    return [run for run in find_runs(results).runs if run.pinned]


def test_a_pinned_run_can_be_judged_without_the_run_itself(tmp_path: Path) -> None:
    """The copy holds all evidence and the verdict, and not the reports, which can be made again."""
    path = write_run(tmp_path, seconds=2)
    for name in ("verdict.json", "report.html", "server.log"):
        (path / name).write_text("{}")
    kept = pin(path, tmp_path)
    assert kept.replaced == []
    assert kept.path == tmp_path / "baselines" / "v1.0" / path.name
    assert {file.name for file in kept.path.iterdir()} == KEPT
    assert read_run(kept.path).counts == read_run(path).counts


def test_pinning_takes_the_place_of_the_plans_baseline(tmp_path: Path) -> None:
    """Another plan's stays."""
    first = pin(write_run(tmp_path, of=manifest(run_id="a"), seconds=1), tmp_path)
    other_plan = manifest(run_id="b", run_plan=plan(rate=2.0))
    other = pin(write_run(tmp_path, of=other_plan, seconds=1), tmp_path)
    second = pin(write_run(tmp_path, of=manifest(run_id="c", revision="v2"), seconds=1), tmp_path)
    assert second.replaced == [first.path]
    assert {run.path for run in pinned(tmp_path)} == {other.path, second.path}


def test_pinning_again_changes_nothing(tmp_path: Path) -> None:
    """Neither from the run nor from its copy."""
    path = write_run(tmp_path, seconds=1)
    kept = pin(path, tmp_path)
    for again in (path, kept.path):
        assert pin(again, tmp_path) == kept
        assert {file.name for file in kept.path.iterdir()} == KEPT - {"verdict.json"}


def test_only_complete_runs_are_pinned(tmp_path: Path) -> None:
    """A run that was killed, and a folder that is no run, are refused."""
    killed = write_run(tmp_path, seconds=1, complete=False)
    with pytest.raises(UsageError, match="is incomplete and cannot be a baseline"):
        pin(killed, tmp_path)
    with pytest.raises(RunUnreadable):
        pin(tmp_path, tmp_path)
    assert pinned(tmp_path) == []


def test_a_run_without_a_revision_is_not_pinned(tmp_path: Path) -> None:
    """Its server may be any version; the same run with a revision is pinned, by its id too."""
    unnamed = write_run(tmp_path, of=manifest(run_id="0a1b2c3d", revision="unnamed"), seconds=1)
    with pytest.raises(UsageError, match=r"has no revision and cannot be a baseline.*--ws-revision NAME"):
        set_baseline("0a1b2c3d", tmp_path)
    assert pinned(tmp_path) == []
    assert unnamed.is_dir()
    write_run(tmp_path, of=manifest(run_id="1b2c3d4e", revision="v1"), seconds=1)
    set_baseline("1b2c", tmp_path)
    assert [run.manifest.run_id for run in pinned(tmp_path)] == ["1b2c3d4e"]


def test_a_pinned_run_is_cleared_by_its_id_or_the_beginning_of_it(tmp_path: Path) -> None:
    """A beginning that two have is refused, and nothing is removed."""
    for run_id, rate in (("0a1b2c3d", 1.0), ("0a1b9999", 2.0), ("ffff0000", 3.0)):
        of = manifest(run_id=run_id, run_plan=plan(rate=rate))
        pin(write_run(tmp_path, of=of, seconds=1), tmp_path)
    with pytest.raises(UsageError, match="'0a1b' may mean several runs"):
        clear_baselines("0a1b", tmp_path)
    with pytest.raises(UsageError, match="no pinned run 'fff'"):
        clear_baselines("fff", tmp_path)
    assert len(pinned(tmp_path)) == 3
    clear_baselines("ffff", tmp_path)
    clear_baselines("0a1b9999", tmp_path)
    assert [run.manifest.run_id for run in pinned(tmp_path)] == ["0a1b2c3d"]
    clear_baselines("v1.0", tmp_path)
    assert pinned(tmp_path) == []


def test_unpinning_leaves_the_run(tmp_path: Path) -> None:
    """The copy is gone with its empty folder; the run itself stays."""
    path = write_run(tmp_path, seconds=1)
    pin(path, tmp_path)
    unpin(pinned(tmp_path))
    assert pinned(tmp_path) == []
    assert list((tmp_path / "baselines").iterdir()) == []
    assert read_manifest(resolve("v1.0", tmp_path)).run_id == "0a1b2c3d"


def test_what_cannot_be_copied_is_told(tmp_path: Path) -> None:
    """A file stands where the folder of baselines would be."""
    path = write_run(tmp_path, seconds=1)
    (tmp_path / "baselines").write_text("")
    with pytest.raises(ResultsUnwritable, match="Choose another folder"):
        pin(path, tmp_path)
