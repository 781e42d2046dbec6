"""`--github` and `--inconclusive-exit` of the commands: what CI is told, and the exit code it gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.report.markdown import MARKER
from loadtest.runs.ci_files import STEP_OUTPUT, STEP_SUMMARY
from tests.support.commands import run
from tests.support.github_steps import outputs_of
from tests.support.golden_runs import write_runs


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs that pass, fail and are inconclusive."""
    folder = tmp_path_factory.mktemp("results")
    write_runs(folder)
    return folder


@pytest.fixture(autouse=True)
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a step's files."""
    for variable in (STEP_SUMMARY, STEP_OUTPUT):
        (tmp_path / variable).touch()
        monkeypatch.setenv(variable, str(tmp_path / variable))
    return tmp_path


@pytest.mark.parametrize(
    ("revision", "verdict", "kind", "code"),
    [("v0.9", "PASS", "notice", 0), ("v1.0", "FAIL", "error", 1), ("killed", "INCONCLUSIVE", "warning", 4)],
)
def test_a_report_tells_github(
    results: Path, step: Path, revision: str, verdict: str, kind: str, code: int
) -> None:
    """Whatever the verdict: summary, annotations and outputs; without the option, nothing."""
    asked = ("report", revision, "--baseline", "none", "--results", results)
    assert run(*asked).exit_code == code
    assert (step / STEP_SUMMARY).read_bytes() == (step / STEP_OUTPUT).read_bytes() == b""
    result = run(*asked, "--github", "--json")
    assert result.exit_code == code
    assert f"::{kind} title=loadtest {verdict}" in result.stderr
    assert "::" not in result.stdout
    assert (step / STEP_SUMMARY).read_text().startswith(f"{MARKER}\n## ")
    outputs = outputs_of((step / STEP_OUTPUT).read_text())
    assert outputs["verdict"] == verdict
    assert Path(outputs["report"]).is_file()


def test_a_comparison_tells_github(results: Path, step: Path) -> None:
    """One annotation, and the verdict as an output."""
    result = run("compare", "v0.9", "v1.0", "--github", "--results", results)
    assert result.exit_code == 1, result.output
    assert "::error title=loadtest compare FAIL::" in result.stderr
    assert outputs_of((step / STEP_OUTPUT).read_text())["verdict"] == "FAIL"
    assert "v1.0" in (step / STEP_SUMMARY).read_text()


def test_an_error_is_told_too(results: Path, step: Path) -> None:
    """A command that cannot do its work has no verdict, which nobody may take for one."""
    result = run("compare", "v0.9", "nope", "--github", "--results", results)
    assert result.exit_code == 2
    assert "::error title=loadtest%3A nothing was judged::" in result.stderr
    assert "'nope'" in (step / STEP_SUMMARY).read_text()
    assert outputs_of((step / STEP_OUTPUT).read_text()) == {"verdict": "NOT_JUDGED"}


def test_github_files_that_cannot_be_written_are_an_error(
    results: Path, step: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, with what cannot be written."""
    monkeypatch.setenv(STEP_SUMMARY, str(step))
    result = run("report", "v0.9", "--github", "--results", results)
    assert result.exit_code == 2
    assert result.stderr.count("Is a directory") == 1


@pytest.mark.parametrize("code", [0, 1, 4])
def test_the_exit_code_of_inconclusive_is_chosen(results: Path, code: int) -> None:
    """The verdict stays; other exit codes are not touched."""
    chosen = ("--inconclusive-exit", str(code), "--results", str(results))
    unclear = run("report", "killed", "--baseline", "none", "--json", *chosen)
    assert unclear.exit_code == code
    assert '"verdict": "INCONCLUSIVE"' in unclear.stdout
    assert run("report", "v1.0", "--baseline", "none", *chosen).exit_code == 1
    assert run("report", "v0.9", "--baseline", "none", *chosen).exit_code == 0
    assert run("trend", *chosen).exit_code == code
    assert run("report", "nope", *chosen).exit_code == 2


def test_no_other_code_may_be_chosen(results: Path) -> None:
    """3 would be a code that nothing documents."""
    result = run("report", "v0.9", "--inconclusive-exit", "3", "--results", results)
    assert result.exit_code == 2
    assert "'3' is not one of '0', '1', '4'" in result.stderr


@pytest.mark.parametrize("command", ["report", "compare", "duel", "trend", "probe", "check-log"])
def test_all_commands_with_a_verdict_have_it(command: str) -> None:
    """And those for CI tell GitHub."""
    told = run(command, "--help").stdout
    assert "--inconclusive-exit" in told
    assert ("--github" in told) == (command not in ("trend", "check-log"))
