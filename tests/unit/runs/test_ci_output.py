"""What is left for CI: files, their folders, GitHub's files, and what is said if one cannot be written."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest

from loadtest.errors import InvalidSetting, ResultsUnwritable
from loadtest.report.comparison_markdown import comparison_summary
from loadtest.report.github import SUMMARY_BYTES, Annotation, Level, sheet_annotations
from loadtest.report.markdown import MARKER
from loadtest.report.tables import Sheet
from loadtest.runs.ci_files import STEP_OUTPUT, STEP_SUMMARY
from loadtest.runs.ci_output import (
    CiOutput,
    CiReport,
    comparison_report,
    nothing_judged,
    run_report,
)
from tests.support.compared_runs import judged_pairs, pairs_of_runs
from tests.support.github_steps import outputs_of
from tests.unit.report.test_user_class_reports import judged

REPORT = CiReport(
    summary=f"{MARKER}\n## PASS\n",
    junit=b"<testsuites />",
    annotations=[Annotation(Level.NOTICE, "loadtest PASS", "v1")],
    outputs={"verdict": "PASS", "run": "results/v1/x"},
)


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a step's files."""
    for variable in (STEP_SUMMARY, STEP_OUTPUT):
        (tmp_path / variable).touch()
        monkeypatch.setenv(variable, str(tmp_path / variable))
    return tmp_path


def test_files_are_written_where_asked(tmp_path: Path) -> None:
    """Folders are made before the run, what an earlier run left is removed, what stands there is replaced."""
    output = CiOutput(summary_file=tmp_path / "a" / "b" / "s.md", junit_file=tmp_path / "j.xml")
    (tmp_path / "j.xml").write_bytes(nothing_judged("of an earlier run").junit or b"")
    output.check()
    assert not (tmp_path / "j.xml").exists()
    for _ in range(2):
        output.write(REPORT)
    assert (tmp_path / "a" / "b" / "s.md").read_text() == REPORT.summary
    assert (tmp_path / "j.xml").read_bytes() == REPORT.junit


def test_nothing_is_written_unasked(step: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not even where GitHub's variables are set."""
    CiOutput().check()
    CiOutput().write(REPORT)
    assert [file.read_bytes() for file in step.iterdir()] == [b"", b""]
    assert capsys.readouterr() == ("", "")


def test_a_step_of_github_has_it_all(step: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After what is there already, each on a line of its own; annotations leave standard output alone."""
    (step / STEP_SUMMARY).write_text("before")
    (step / STEP_OUTPUT).write_text("mine=1")
    for _ in range(2):
        CiOutput(github=True).write(REPORT)
    assert (step / STEP_SUMMARY).read_text() == f"before\n{REPORT.summary}{REPORT.summary}"
    outputs = outputs_of((step / STEP_OUTPUT).read_text())
    assert outputs == {"mine": "1", "verdict": "PASS", "run": "results/v1/x"}
    assert capsys.readouterr() == ("", 2 * "::notice title=loadtest PASS::v1\n")


def test_a_full_summary_is_told(step: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """GitHub would show nothing of it; the outputs are set all the same."""
    (step / STEP_SUMMARY).write_bytes(b"x" * (SUMMARY_BYTES - len(REPORT.summary)))
    CiOutput(github=True).write(REPORT)
    assert (step / STEP_SUMMARY).stat().st_size < SUMMARY_BYTES
    assert "::warning title=loadtest::the step's summary is full" in capsys.readouterr().err
    assert outputs_of((step / STEP_OUTPUT).read_text())["verdict"] == "PASS"


def test_elsewhere_a_warning_says_what_lacks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a container, the variables must be passed on."""
    for variable in (STEP_SUMMARY, STEP_OUTPUT):
        monkeypatch.delenv(variable, raising=False)
    CiOutput(github=True).write(REPORT)
    told = capsys.readouterr().err.splitlines()
    assert [line.partition(" is not set")[0] for line in told[1:]] == [
        f"::warning title=loadtest::{variable}" for variable in (STEP_SUMMARY, STEP_OUTPUT)
    ]


def refused_names(folder: Path) -> dict[Path, str]:
    """Return names that no report may have, with what is said of each."""
    os.mkfifo(folder / "pipe")
    (folder / "file").write_text("class Mine(WebSocketUser): ...")
    (folder / "link").symlink_to(folder / "file")
    (folder / "loose").symlink_to(folder / "nowhere")
    no_file = "must be a file, not a folder, a link, a device or a pipe"
    return {
        folder: no_file,
        folder / "pipe": no_file,
        folder / "link": no_file,
        folder / "loose": no_file,
        folder / "file" / "s.md": "must be a file that can be written",
        folder / "file": "must be a new file or a report of loadtest",
    }


def test_what_may_not_be_replaced_is_refused_before_the_run(tmp_path: Path) -> None:
    """A folder, a link, a pipe, a place below a file, a file of the user's: each with the option."""
    for path, problem in refused_names(tmp_path).items():
        with pytest.raises(InvalidSetting, match=f"^--ws-summary {problem}"):
            CiOutput(summary_file=path).check()
    with pytest.raises(InvalidSetting, match=r"^--ws-junit must be a file"):
        CiOutput(junit_file=tmp_path).check()
    assert (tmp_path / "file").read_text() == "class Mine(WebSocketUser): ..."


def test_what_is_refused_is_not_written_either(tmp_path: Path) -> None:
    """The error is told to CI in the files that can be written; a pipe stays a pipe, a link a link."""
    for path in refused_names(tmp_path):
        given = CiOutput(summary_file=path, junit_file=tmp_path / "j.xml").admissible()
        given.write(nothing_judged("--ws-rate must be 0"))
        assert (given.summary_file, given.junit_file) == (None, tmp_path / "j.xml")
    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "class Mine(WebSocketUser): ..."
    assert b"must be 0" in (tmp_path / "j.xml").read_bytes()


def test_what_became_a_pipe_during_the_run_stays_one(tmp_path: Path) -> None:
    """A device, too, which root could replace."""
    output = CiOutput(junit_file=tmp_path / "j.xml")
    output.check()
    os.mkfifo(tmp_path / "j.xml")
    with pytest.raises(ResultsUnwritable, match="is a FIFO, not a regular file"):
        output.write(REPORT)
    assert (tmp_path / "j.xml").is_fifo()


def test_a_folder_may_be_a_link(tmp_path: Path) -> None:
    """As /tmp is on macOS."""
    (tmp_path / "real").mkdir()
    (tmp_path / "tmp").symlink_to(tmp_path / "real")
    output = CiOutput(junit_file=tmp_path / "tmp" / "j.xml")
    output.check()
    output.write(REPORT)
    assert (tmp_path / "real" / "j.xml").read_bytes() == REPORT.junit


def test_empty_files_and_reports_are_replaced(tmp_path: Path) -> None:
    """What `mktemp` made, and what runs and comparisons wrote before."""
    report = run_report(judged(corrupted=40))
    for summary, xml in ((b"", b""), (report.summary.encode(), report.junit)):
        (tmp_path / "s.md").write_bytes(summary)
        (tmp_path / "j.xml").write_bytes(xml or b"")
        CiOutput(summary_file=tmp_path / "s.md", junit_file=tmp_path / "j.xml").check()
        assert list(tmp_path.iterdir()) == []


def test_the_files_of_a_step_are_not_replaced(step: Path) -> None:
    """Other tools document `--summary "$GITHUB_STEP_SUMMARY"`; what the step wrote before must stay."""
    for variable in (STEP_SUMMARY, STEP_OUTPUT):
        output = CiOutput(summary_file=step / ".." / step.name / variable)
        with pytest.raises(InvalidSetting, match=f"in {variable}. Use --ws-github, which appends to it"):
            output.check()
        assert output.admissible().summary_file is None
        assert (step / variable).exists()


def test_two_reports_need_two_files(tmp_path: Path) -> None:
    """One would silently replace the other."""
    output = CiOutput(summary_file=tmp_path / "x", junit_file=tmp_path / "." / "x")
    with pytest.raises(InvalidSetting, match=r"^--ws-junit must differ from the file of --ws-summary"):
        output.check()
    assert output.admissible() == CiOutput(summary_file=tmp_path / "x")


def test_what_cannot_be_written_any_more_is_an_error(tmp_path: Path, step: Path) -> None:
    """A folder that was removed during the run, a summary that is a folder."""
    with pytest.raises(ResultsUnwritable, match="No such file"):
        CiOutput(junit_file=tmp_path / "gone" / "j.xml").write(REPORT)
    (step / STEP_SUMMARY).unlink()
    (step / STEP_SUMMARY).mkdir()
    with pytest.raises(ResultsUnwritable, match="Is a directory"):
        CiOutput(github=True).write(REPORT)


def test_one_file_that_cannot_be_written_keeps_back_no_other(
    tmp_path: Path, step: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The step has its summary and outputs, and all that cannot be written is named with its option."""
    gone = tmp_path / "gone"
    with pytest.raises(ResultsUnwritable) as caught:
        CiOutput(github=True, summary_file=gone / "s.md", junit_file=tmp_path / "j.xml").write(REPORT)
    assert str(caught.value) == (
        f"cannot write results to {gone / 's.md'}: No such file or directory. "
        "Choose another file (--ws-summary)"
    )
    assert (tmp_path / "j.xml").read_bytes() == REPORT.junit
    assert (step / STEP_SUMMARY).read_text() == REPORT.summary
    assert outputs_of((step / STEP_OUTPUT).read_text())["verdict"] == "PASS"
    capsys.readouterr()
    (step / STEP_SUMMARY).unlink()
    (step / STEP_SUMMARY).mkdir()
    with pytest.raises(ResultsUnwritable, match=r"Is a directory. GITHUB_STEP_SUMMARY names this file$"):
        CiOutput(github=True, junit_file=gone / "j.xml").write(REPORT)
    assert "j.xml: No such file or directory. Choose another file (--ws-junit)" in capsys.readouterr().err
    assert (step / STEP_OUTPUT).read_text().count("verdict") == 2


def test_what_is_said_of_a_run() -> None:
    """All reports, and where they are."""
    of = judged(corrupted=40)
    report = run_report(of)
    assert report.outputs == {
        "verdict": "FAIL",
        "run": "results/v1/run",
        "report": "results/v1/run/report.html",
    }
    assert report.summary.startswith(MARKER)
    assert report.junit is not None


def test_what_fails_besides_the_items_stands_in_each_report() -> None:
    """GitLab reads only junit.xml: it must not be all green where the job fails."""
    problem = "outside the sessions, 3 of 9 other requests failed"
    report = run_report(judged(corrupted=40), [problem])
    assert [one.level for one in report.annotations] == [Level.ERROR] * 2
    assert report.annotations[0].message == problem
    assert f"\n### ❌ {problem}\n" in report.summary
    suite = fromstring(report.junit or b"")[0]
    failed = {case.attrib["name"]: case.find("failure") for case in suite.iter("testcase")}
    assert getattr(failed["process"], "attrib", {})["message"] == problem


def test_what_is_said_where_there_is_no_run() -> None:
    """The reason in every form: a pipeline that reads one of them must not take it for a pass."""
    report = nothing_judged("no server at wss://staging.example.org")
    assert report.outputs == {"verdict": "NOT_JUDGED"}
    assert "no server at" in report.summary
    assert b"<error " in (report.junit or b"")
    assert [one.level for one in report.annotations] == [Level.ERROR]


def test_what_is_said_of_a_comparison(tmp_path: Path) -> None:
    """Its own summary.md, its verdict, and where its report is."""
    comparison = judged_pairs(pairs_of_runs(tmp_path, 1), tmp_path)
    sheet = Sheet(headline="v1 → v2", tables=[], ruling=comparison.verdict)
    report = comparison_report(sheet, comparison, tmp_path / "report.html")
    assert report.outputs == {"verdict": str(comparison.verdict), "report": str(tmp_path / "report.html")}
    assert report.summary == comparison_summary(comparison)
    assert report.annotations == sheet_annotations(sheet, "loadtest compare")
    assert comparison_report(sheet, comparison, None).outputs["report"] == ""
