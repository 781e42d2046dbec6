"""Output for CI outside the run directory: copies of reports, and the files that GitHub reads.

It is written whatever the verdict, even if nothing could be judged, because a pipeline needs it when
something is wrong. The reports themselves are made in `loadtest.report`.
"""

import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from loadtest.errors import InvalidSetting, ResultsUnwritable
from loadtest.options import SETTINGS
from loadtest.report.comparison_markdown import comparison_summary
from loadtest.report.github import (
    SUMMARY_BYTES,
    Annotation,
    Level,
    commands,
    output_lines,
    run_annotations,
    sheet_annotations,
)
from loadtest.report.judged_comparison import JudgedComparison
from loadtest.report.judged_run import JudgedRun
from loadtest.report.junit import junit, junit_of_nothing
from loadtest.report.markdown import summary, summary_of_nothing
from loadtest.report.tables import Sheet
from loadtest.results.directory import writing
from loadtest.ruling import Ruling
from loadtest.runs.ci_files import JUNIT_HEAD, STEP_OUTPUT, STEP_SUMMARY, SUMMARY_HEAD, CiFile


@dataclass(frozen=True, slots=True, kw_only=True)
class CiReport:
    """The report for CI.

    Args:
        summary: summary.md.
        junit: junit.xml; None if there is none.
        annotations: messages that GitHub shows with the job.
        outputs: outputs of the step by name.
    """

    summary: str
    junit: bytes | None = None
    annotations: Sequence[Annotation] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)


def run_report(judged: JudgedRun, problems: Sequence[str] = ()) -> CiReport:
    """Return the report of a run.

    Args:
        judged: the run.
        problems: other failures of the process, which belong to no item.
    """
    found = [Annotation(Level.ERROR, "loadtest", problem) for problem in problems]
    return CiReport(
        summary=summary(judged, problems),
        junit=junit(judged, problems),
        annotations=[*found, *run_annotations(judged)],
        outputs={
            "verdict": str(judged.verdict.verdict),
            "run": str(judged.path),
            "report": str(judged.path / "report.html"),
        },
    )


def comparison_report(sheet: Sheet, comparison: JudgedComparison, report: Path | None) -> CiReport:
    """Return the report of a comparison or a duel.

    Args:
        sheet: the result as tables.
        comparison: the result in the form for its reports.
        report: its report.html, None if that could not be written.
    """
    return CiReport(
        summary=comparison_summary(comparison),
        annotations=sheet_annotations(sheet, f"loadtest {comparison.made_by}"),
        outputs={"verdict": str(comparison.verdict), "report": "" if report is None else str(report)},
    )


def nothing_judged(reason: str) -> CiReport:
    """Return the report for a run that could not be judged.

    Args:
        reason: the error.
    """
    return CiReport(
        summary=summary_of_nothing(reason),
        junit=junit_of_nothing(reason, time.time_ns()),
        annotations=[Annotation(Level.ERROR, "loadtest: nothing was judged", reason)],
        outputs={"verdict": str(Ruling.NOT_JUDGED)},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CiOutput:
    """The places where CI reads output.

    Args:
        github: whether this is a step of GitHub Actions.
        summary_file: further file for summary.md; None for none.
        junit_file: further file for junit.xml; None for none.
    """

    github: bool = False
    summary_file: Path | None = None
    junit_file: Path | None = None

    def _files(self) -> Iterator[CiFile]:
        if self.summary_file is not None:
            yield CiFile(SETTINGS["summary_file"].option, self.summary_file, SUMMARY_HEAD)
        if self.junit_file is not None:
            yield CiFile(SETTINGS["junit_file"].option, self.junit_file, JUNIT_HEAD)

    def check(self) -> None:
        """Check that the files can be written, create their folders, and remove an earlier run's reports.

        Raises:
            InvalidSetting: one of them cannot be written.
        """
        files = list(self._files())
        if len({file.place for file in files}) < len(files):
            first, second = files
            problem = f"must differ from the file of {first.option}"
            raise InvalidSetting(second.option, str(second.path), problem)
        for file in files:
            file.check()

    def admissible(self) -> "CiOutput":
        """Return the output without the files that `check` refuses, for the report of a refused run."""
        found = CiOutput(github=self.github)
        for attribute in ("summary_file", "junit_file"):
            wider = replace(found, **{attribute: getattr(self, attribute)})
            with suppress(InvalidSetting):
                wider.check()
                found = wider
        return found

    def write(self, report: CiReport) -> None:
        """Write the files, and the annotations to standard error, which GitHub also reads.

        Raises:
            ResultsUnwritable: the first of the files that cannot be written; the others have been, and each
                further error has been printed.
        """
        if self.github:
            for line in commands(report.annotations):
                print(line, file=sys.stderr)
        first: ResultsUnwritable | None = None
        for write in self._writes(report):
            try:
                write()
            except ResultsUnwritable as error:
                if first is not None:
                    print(f"Error: {error}", file=sys.stderr)
                first = first or error
        if first is not None:
            raise first

    def _writes(self, report: CiReport) -> Iterator[Callable[[], None]]:
        """Yield a function for each file that writes it."""
        summary = report.summary.encode()
        if self.github:
            outputs = output_lines(report.outputs, f"loadtest-{secrets.token_hex(16)}")
            yield partial(_append_summary, summary)
            yield partial(_append, STEP_OUTPUT, outputs.encode())
        for file in self._files():
            data = report.junit if file.head is JUNIT_HEAD else summary
            if data is not None:
                yield partial(file.write, data)


def _append_summary(data: bytes) -> None:
    """Append a summary to that of the step, unless both together would be too long."""
    path = os.environ.get(STEP_SUMMARY)
    size = os.path.getsize(path) if path and os.path.exists(path) else 0
    if size + len(data) + 1 > SUMMARY_BYTES:
        print(Annotation(Level.WARNING, "loadtest", "the step's summary is full"), file=sys.stderr)
        return
    _append(STEP_SUMMARY, data)


def _append(variable: str, data: bytes) -> None:
    """Append lines to the file in one of GitHub's variables; report an error if the variable is not set."""
    path = os.environ.get(variable)
    if not path:
        told = f"{variable} is not set. In a container, pass the variable and mount the file it names"
        print(Annotation(Level.WARNING, "loadtest", told), file=sys.stderr)
        return
    with writing(Path(path), advice=f"{variable} names this file"), open(path, "a+b") as file:
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(end - 1)
            data = data if file.read(1) == b"\n" else b"\n" + data
        file.write(data)
