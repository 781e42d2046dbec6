"""Run directories: their names, and what stands in the way of making one."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadtest.errors import ResultsUnwritable
from loadtest.results.directory import EVENTS, HISTOGRAMS, INTERVALS, MANIFEST, check_writable, folder_name
from loadtest.results.reader import read_manifest
from loadtest.results.writer import RunWriter
from tests.support.runs import manifest
from tests.support.stories import written


def test_the_directory_is_named_by_revision_start_and_id(tmp_path: Path) -> None:
    """results/<revision>/<UTC start>-<run id>."""
    path = written(tmp_path, manifest(revision="v1.0"))
    assert path == tmp_path / "v1.0" / "20261123T142335Z-0a1b2c3d"
    assert sorted(file.name for file in path.iterdir()) == sorted([EVENTS, HISTOGRAMS, INTERVALS, MANIFEST])


def test_results_that_cannot_be_written_are_refused_early(tmp_path: Path) -> None:
    """A file in the folder's place is told with what to do, before a run begins."""
    in_the_way = tmp_path / "results"
    in_the_way.write_text("")
    with pytest.raises(ResultsUnwritable, match="--ws-results"):
        check_writable(in_the_way)
    with pytest.raises(ResultsUnwritable):
        RunWriter(in_the_way, manifest())
    check_writable(tmp_path / "new" / "results")
    assert list((tmp_path / "new" / "results").iterdir()) == []


def test_a_full_disk_is_refused_with_the_room_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How much a run needs, and what to do."""

    def full(**_options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(ResultsUnwritable) as refused:
        check_writable(tmp_path)
    assert str(refused.value).endswith(
        "No space left on device (a run needs at least 1 MiB). "
        "Make room, or choose another folder (--ws-results; loadtest: --results)"
    )


def test_two_runs_never_share_a_directory(tmp_path: Path) -> None:
    """A directory that is there already is somebody's run."""
    written(tmp_path)
    with pytest.raises(ResultsUnwritable, match="exists"):
        written(tmp_path)


@given(st.text(max_size=200))
@example("feature/über cool & <b>")
@example("../../etc")
@example("baselines")
@example("duels")
@example("Baselines")
@example("README.md")
@example("..")
@example("")
def test_any_revision_makes_a_harmless_folder(revision: str) -> None:
    """One folder, of harmless characters, never hidden, never a name that the results folder uses itself."""
    name = folder_name(revision)
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,80}", name)
    assert name.lower() not in ("baselines", "duels", "readme.md")


def test_the_revision_itself_is_in_the_manifest(tmp_path: Path) -> None:
    """The folder's name is only a likeness."""
    revision = "feature/über cool"
    path = written(tmp_path, manifest(revision=revision))
    assert path.parent.name == "feature-ber-cool"
    assert read_manifest(path).revision == revision
