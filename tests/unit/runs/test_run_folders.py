"""A results folder that came from elsewhere: one bad run never stops the others, and no link leads out."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from loadtest.cli import main
from loadtest.errors import ResultsUnwritable, RunUnreadable
from loadtest.results import directory
from loadtest.results.reader import read_run
from loadtest.runs.find import find_runs, list_runs, resolve
from loadtest.runs.pins import pin
from loadtest.runs.publish import publish
from tests.support.recorded_runs import recorded
from tests.support.runs import manifest

REPORTS = ("verdict.json", "summary.md", "junit.xml", "report.html", "summary.json", "series.csv")
READ = (directory.MANIFEST, directory.EVENTS, directory.INTERVALS, directory.HISTOGRAMS)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("planted", ["fifo", "link", "folder", "sparse"])
@pytest.mark.parametrize("name", READ)
def test_a_file_of_another_kind(tmp_path: Path, planted: str, name: str) -> None:
    """The run is unreadable for this reason, at once; the other run is listed."""
    sound, bad = recorded(tmp_path, "a", "v1", at_s=0), recorded(tmp_path, "b", "v2", at_s=9)
    file = bad / name
    kept = file.rename(tmp_path / "kept")
    match planted:
        case "fifo":
            os.mkfifo(file)
        case "link":
            file.symlink_to(kept)
        case "folder":
            file.mkdir()
        case "sparse":
            with file.open("wb") as sparse:
                sparse.truncate(20 << 30)
    wanted = {"fifo": "is a FIFO", "link": "is a link", "folder": "is a folder", "sparse": "is over"}
    with pytest.raises(RunUnreadable, match=wanted[planted]) as refused:
        read_run(bad)
    assert refused.value.path == file
    assert sound in [run.path for run in find_runs(tmp_path).runs]
    if name == directory.MANIFEST:
        assert [one.path for one in find_runs(tmp_path).unreadable] == [file]


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", [directory.VERDICT, directory.SERVER_LOG])
def test_a_fifo_in_place_of_a_file_that_may_be_missing(tmp_path: Path, name: str) -> None:
    """`list` does not wait for a writer."""
    run = recorded(tmp_path, "a", "v1", at_s=0)
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)
    assert [one.path for one in list_runs(tmp_path).runs] == [str(run)]
    if name == directory.SERVER_LOG:
        with pytest.raises(RunUnreadable, match="is a FIFO"):
            publish(run, results=tmp_path)


@pytest.mark.parametrize("name", REPORTS)
def test_reports_replace_planted_links(tmp_path: Path, name: str) -> None:
    """What the links point to is as it was: this is how a downloaded run wrote to a user's own files."""
    run = recorded(tmp_path / "results", "a", "v1", at_s=0)
    victim = tmp_path / "authorized_keys"
    victim.write_text("mine")
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(victim)
    (run / f".{name}.partial").symlink_to(victim)
    publish(run, results=tmp_path / "results")
    assert victim.read_text() == "mine"
    assert not (run / name).is_symlink()


@pytest.mark.parametrize("level", ["revision", "run"])
def test_a_link_out_of_the_results(tmp_path: Path, level: str) -> None:
    """It is listed as unreadable, and no command follows it."""
    elsewhere, results = tmp_path / "elsewhere", tmp_path / "results"
    run = recorded(elsewhere, "a", "v1", at_s=0)
    before = sorted(os.listdir(run))
    link = results / "v1" if level == "revision" else results / "v1" / run.name
    link.parent.mkdir(parents=True)
    link.symlink_to(run.parent if level == "revision" else run)
    catalogue = find_runs(results)
    assert not catalogue.runs
    assert [one.path for one in catalogue.unreadable] == [link]
    with pytest.raises(RunUnreadable, match="is a link to another place"):
        resolve(f"v1/{run.name}", results)
    assert sorted(os.listdir(run)) == before


def test_a_link_within_the_results_means_its_run(tmp_path: Path) -> None:
    """A link `latest` that people make is used, and its run is listed once."""
    run = recorded(tmp_path, "a", "v1", at_s=0)
    (tmp_path / "v1" / "latest").symlink_to(run)
    assert resolve("v1/latest", tmp_path) == run.resolve()
    assert [one.path for one in find_runs(tmp_path).runs] == [run]
    assert not find_runs(tmp_path).unreadable


def test_the_results_folder_may_be_a_link(tmp_path: Path) -> None:
    """The user named it."""
    run = recorded(tmp_path / "disk", "a", "v1", at_s=0)
    results = tmp_path / "results"
    results.symlink_to(tmp_path / "disk")
    assert [one.path for one in find_runs(results).runs] == [results / "v1" / run.name]
    found = resolve("v1", results)
    publish(found, results=results)
    assert (run / "summary.md").is_file()


def test_nothing_is_written_into_linked_folders(tmp_path: Path) -> None:
    """Neither a new run nor a pinned copy."""
    results, home = tmp_path / "results", tmp_path / "home"
    home.mkdir()
    run = recorded(results, "a", "v1", at_s=0)
    (results / "v2").symlink_to(home)
    with pytest.raises(ResultsUnwritable, match="is a link"):
        directory.make_directory(results, manifest(revision="v2"))
    (results / "baselines").mkdir()
    (results / "baselines" / "v1").symlink_to(home)
    with pytest.raises(ResultsUnwritable, match="is a link"):
        pin(run, results)
    assert not os.listdir(home)


def test_a_pinned_copy_holds_no_links(tmp_path: Path) -> None:
    """A link in a run is not copied into the folder that git tracks."""
    run = recorded(tmp_path, "a", "v1", at_s=0)
    (run / directory.SERVER_LOG).symlink_to("/etc/passwd")
    with pytest.raises(ResultsUnwritable, match="is a link"):
        pin(run, tmp_path)


def test_names_that_steer_a_terminal_and_are_no_utf_8(tmp_path: Path) -> None:
    """They are listed, as escapes, in the table and as JSON."""
    run = recorded(tmp_path, "a", "v1", at_s=0)
    for name in (b"\xff\xfe", b"\x1b[2J\nv2"):
        shutil.copytree(run, tmp_path / os.fsdecode(name) / "run")
        broken = tmp_path / os.fsdecode(name) / "broken"
        broken.mkdir()
        (broken / directory.MANIFEST).write_text("{")
    result = CliRunner().invoke(main, ["list", "--results", str(tmp_path)])
    assert result.exit_code == 0
    assert "\x1b[2J" not in result.output
    result = CliRunner().invoke(main, ["list", "--json", "--results", str(tmp_path)])
    assert result.exit_code == 0
    assert len(json.loads(result.output)["unreadable"]) == 2
    result = CliRunner().invoke(main, ["report", "\x1b[2J\nv2/broken", "--results", str(tmp_path)])
    assert result.exit_code == 2
    assert "\x1b" not in result.output


def test_a_run_that_vanishes_while_it_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other runs are listed all the same."""
    run, gone = recorded(tmp_path, "a", "v1", at_s=0), recorded(tmp_path, "b", "v2", at_s=1)
    real = os.path.lexists

    def vanishing(path: Path) -> bool:
        there = real(path)
        if gone in Path(path).parents:
            shutil.rmtree(gone, ignore_errors=True)
        return there

    monkeypatch.setattr(os.path, "lexists", vanishing)
    assert [one.path for one in find_runs(tmp_path).runs] == [run]
