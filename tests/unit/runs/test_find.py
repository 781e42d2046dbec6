"""Which runs there are, which one a person means, and how they are listed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loadtest.errors import RunNotFound, UsageError
from loadtest.report.terminal import print_sheet
from loadtest.results.directory import MANIFEST
from loadtest.runs.find import find_runs, list_runs, listing_sheet, resolve
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
