"""The folder of a comparison: where it is, what is in it, and what happens where it cannot be written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from loadtest.cli import main
from loadtest.results.directory import folder_name
from loadtest.runs.compare import RunPaths
from loadtest.runs.find import find_runs
from tests.support.compared_runs import pairs_of_runs

FILES = ["comparison.json", "junit.xml", "report.html", "summary.md"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[RunPaths]:
    """Two pairs of runs in a results folder."""
    return pairs_of_runs(tmp_path_factory.mktemp("results"), 2)


@pytest.fixture
def results(runs: list[RunPaths]) -> Path:
    """The results folder, without comparisons."""
    return runs[0][0].parents[1]


def compare(results: Path, *arguments: str | Path) -> Result:
    """Compare the first pair."""
    words = ("compare", "run00000", "run00100", "--results", results, *arguments)
    return CliRunner(env={"COLUMNS": "200"}).invoke(main, [str(word) for word in words])


def test_a_comparison_has_a_folder_of_its_own(results: Path) -> None:
    """Named by the runs; its path is printed last, and what --json prints is in it."""
    found = compare(results)
    folder = results / "comparisons" / "run00000..run00100"
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert found.stdout.splitlines()[-1] == f"report: {folder / 'report.html'}"
    as_json = compare(results, "--json")
    assert json.loads(as_json.stdout) == json.loads((folder / "comparison.json").read_bytes())
    assert f"report: {folder / 'report.html'}" in as_json.stderr


def test_several_pairs_are_named_by_the_first_and_the_last(results: Path) -> None:
    """With their number."""
    compare(results, "--pair", "run00300", "run00200")
    assert (results / "comparisons" / "run00000..run00200-2-pairs" / "report.html").is_file()


def test_markdown_is_the_summary(results: Path) -> None:
    """There is one way to make it."""
    printed = compare(results, "--markdown").stdout
    kept = (results / "comparisons" / "run00000..run00100" / "summary.md").read_text()
    assert printed.rstrip("\n") == kept.rstrip("\n")


def test_a_comparison_that_is_made_again_is_replaced(results: Path) -> None:
    """By rename: a link that someone put there is not written through."""
    compare(results)
    folder = results / "comparisons" / "run00000..run00100"
    victim = results / "victim"
    victim.write_text("mine")
    (folder / "report.html").unlink()
    (folder / "report.html").symlink_to(victim)
    compare(results, "--margin", "p50=100%")
    assert victim.read_text() == "mine"
    assert not (folder / "report.html").is_symlink()
    assert "service p50" in (folder / "report.html").read_text()


def test_the_folder_can_be_chosen(results: Path, tmp_path: Path) -> None:
    """It is created."""
    found = compare(results, "--output", tmp_path / "a" / "b")
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == FILES
    assert found.stdout.splitlines()[-1] == f"report: {tmp_path / 'a' / 'b' / 'report.html'}"


@pytest.mark.parametrize("arguments", [(), ("--json",), ("--markdown",)])
def test_what_cannot_be_written_loses_no_verdict(
    results: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """It is printed first; then what could not be written, with exit code 2, and no path of a report."""
    (tmp_path / "file").write_text("")
    found = compare(results, "--output", tmp_path / "file" / "inside", *arguments)
    assert found.exit_code == 2
    assert "v2 against v1" in found.stdout or json.loads(found.stdout)["verdict"]
    assert "report: " not in found.output
    assert found.stderr.startswith(
        f"Error: cannot write results to {tmp_path / 'file' / 'inside'}: Not a dir"
    )
    assert "--output" in found.stderr


def test_a_link_to_another_place_is_not_followed(runs: list[RunPaths], tmp_path: Path) -> None:
    """The results folder may come from anywhere, as an artefact of CI."""
    results = tmp_path / "results"
    for path in runs[0]:
        copy = results / path.parent.name / path.name
        copy.mkdir(parents=True)
        for file in path.iterdir():
            os.link(file, copy / file.name)
    (tmp_path / "elsewhere").mkdir()
    (results / "comparisons").symlink_to(tmp_path / "elsewhere")
    found = compare(results)
    assert found.exit_code == 2
    assert "is a link, not a folder" in found.stderr
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_comparisons_are_no_runs(results: Path, runs: list[RunPaths]) -> None:
    """Neither what is in the folder nor a revision of its name, which gets another folder."""
    compare(results)
    planted = results / "comparisons" / "run00000..run00100" / "run.json"
    planted.write_bytes((runs[0][0] / "run.json").read_bytes())
    catalogue = find_runs(results)
    assert len(catalogue.runs) == 4
    assert catalogue.unreadable == []
    planted.unlink()
    assert folder_name("comparisons") == "comparisons-"
