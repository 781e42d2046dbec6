"""Publish a run: write its verdict and reports. Also attach a server's log after the run.

Some logs are available only after the run (`gcloud logging read`). `attach_logs` writes the same file as
following the log during the run, so that everything else works as usual. The rules of judging are in
`loadtest.verdict`.
"""

import itertools
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from loadtest import regular_files
from loadtest.errors import RunUnreadable
from loadtest.report.html import html
from loadtest.report.judged_run import JudgedRun
from loadtest.report.junit import junit
from loadtest.report.markdown import summary
from loadtest.report.series_csv import series_csv
from loadtest.report.summary_json import summary_json
from loadtest.results.data import RunData
from loadtest.results.directory import VERDICT, writing
from loadtest.results.log_file import LogWriter, read_known_sessions, read_server_log
from loadtest.results.reader import read_run
from loadtest.runs.baselines import Found, baseline_of
from loadtest.runs.past_runs import Histories, histories
from loadtest.runs.run_items import baseline_items, with_log
from loadtest.runs.suitability import NONE_GOOD
from loadtest.runs.verdict_file import readable_verdict, write_verdict
from loadtest.serverlog.extract import ReadStats, extract
from loadtest.serverlog.log_reader import LogReader, read
from loadtest.serverlog.records import Counts, LogRecord
from loadtest.serverlog.rules import RuleTable
from loadtest.verdict.differences import differences, judged_otherwise
from loadtest.verdict.items import Verdict
from loadtest.verdict.run import judge
from loadtest.verdict.side_changes import changes_over_runs

_AT_ONCE = 10_000  # records classified in one batch

_NO_BASELINE = "this run cannot be a baseline: the load generator was {}. Repeat the run"

_LAST_RESORT = (
    "this run can be a baseline only while there is no better one: the load generator was {}. Repeat the run"
)

_FORGOTTEN = "the last verdict.json could not be read, so the baseline was chosen again"


def attach_logs(
    run: Path,
    files: Sequence[Path],
    *,
    rules: RuleTable,
    format: str = "auto",  # noqa: A002 - the setting's name
) -> None:
    """Attach a server's log to a run. It replaces the run's log after it has been read to the end.

    The number of real errors that the run allows does not change.

    Args:
        run: the run directory.
        files: logs to read; `-` is standard input.
        rules: rules that classify records.
        format: `auto`, `json`, or a format string of Python's logging.

    Raises:
        InvalidSetting: a file cannot be read, or the format is unknown or malformed.
        ResultsUnwritable: server_log.jsonl cannot be written.
    """
    counts, allowed_errors = Counts(), _allowed_errors(run)
    known = read_known_sessions(run)
    with writing(run), tempfile.TemporaryDirectory(dir=run, prefix=".server_log-") as folder:
        with LogWriter(Path(folder)) as writer:
            for file in files:
                reader = LogReader(format=format, option="--format")
                for batch in _batches(read(file, reader, option="--server-log")):
                    classified = ((record, rules.classify(record)) for record in batch)
                    name = file.name if len(files) > 1 else ""
                    writer.append(extract(classified, name, known=known))
                counts = counts.plus(reader.counts)
            names = [file.name for file in files]
            writer.finish(ReadStats(files=names, counts=counts, allowed_errors=allowed_errors))
        writer.path.replace(run / writer.path.name)


def _allowed_errors(run: Path) -> int:
    """Return how many real errors a run allows; 0 if its log cannot be read."""
    try:
        log = read_server_log(run)
    except RunUnreadable:  # the log is about to be replaced
        return 0
    return log.reading.allowed_errors if log is not None and log.reading is not None else 0


def _batches(records: Iterator[LogRecord]) -> Iterator[list[LogRecord]]:
    while batch := list(itertools.islice(records, _AT_ONCE)):
        yield batch


def publish(path: Path, *, results: Path | str, baseline: str | None = None) -> JudgedRun:
    """Judge a run and write its verdict and reports into its directory (`write_reports`).

    Arguments and errors are those of `judge_run`.

    Raises:
        ResultsUnwritable: a report cannot be written.
    """
    judged = judge_run(path, results=results, baseline=baseline)
    write_reports(judged)
    return judged


def judge_run(
    path: Path, *, results: Path | str, baseline: str | None = None, failure: str | None = None
) -> JudgedRun:
    """Judge a run from its files.

    Args:
        path: the run directory, complete or not.
        results: the folder of all runs, which is searched for baselines.
        baseline: a run directory, a revision, `none`, or None to choose by rule.
        failure: the error that ended the run, for one in which run.json could not be written any more.

    Raises:
        RunUnreadable: a file of the run, or of the given baseline, is damaged.
        RunNotFound: the given baseline does not exist.
    """
    run = read_run(path)
    if not run.manifest.complete and run.manifest.failure is None:
        run = replace(run, manifest=msgspec.structs.replace(run.manifest, failure=failure))
    before = readable_verdict(path)
    forgotten = before is None and baseline is None and os.path.lexists(path / VERDICT)
    found = baseline_of(run.manifest, Path(results), baseline, before=before)
    past = Histories()
    if found.run is not None:
        past = histories(Path(results), run.manifest, before_unix_ns=run.manifest.started_unix_ns)
    log, run = with_log(path, run)
    verdict = judge(
        run,
        found.run,
        log,
        history=past.whole,
        class_histories=past.classes,
        search=found.search,
    )
    notes = [*verdict.notes, *found.notes, *([_FORGOTTEN] if forgotten else [])]
    if found.run is None and not verdict.generator.valid and run.manifest.plan.messages_planned:
        never = found.search.rule == NONE_GOOD or not run.manifest.named
        notes.append((_NO_BASELINE if never else _LAST_RESORT).format(verdict.generator.state))
    verdict = _compared(msgspec.structs.replace(verdict, notes=notes), run, found)
    return JudgedRun(path=path, results=Path(results), run=run, verdict=verdict)


def _compared(verdict: Verdict, run: RunData, found: Found) -> Verdict:
    """Return the verdict with what changed against the baseline, if there is one that can be judged."""
    baseline, path = found.run, found.search.path
    if baseline is None or path is None:
        return verdict
    differing = differences([baseline.manifest], [run.manifest])
    try:
        before = baseline_items(Path(path), baseline, like=run.manifest, candidate=verdict.items)
    except RunUnreadable as problem:  # its log: the run itself could be read
        note = f"the changes against the baseline are unknown: {problem}"
        return msgspec.structs.replace(verdict, differences=differing, notes=[*verdict.notes, note])
    doubts = judged_otherwise([baseline.manifest], [run.manifest])
    changes = changes_over_runs([before], [verdict.items], doubts=doubts)
    return msgspec.structs.replace(verdict, changes=changes, differences=differing)


_REPORTS: Mapping[str, Callable[[JudgedRun], bytes]] = {
    "summary.md": lambda judged: summary(judged).encode(),
    "junit.xml": junit,
    "summary.json": summary_json,
    "series.csv": lambda judged: series_csv(judged.run),
    "report.html": lambda judged: html(judged).encode(),  # the last: it links to the others
}


def write_reports(judged: JudgedRun) -> None:
    """Write a judged run's verdict and reports into its directory.

    Raises:
        ResultsUnwritable: one of them cannot be written.
    """
    write_verdict(judged.path, judged.verdict)
    for name, report in _REPORTS.items():
        data, file = report(judged), judged.path / name
        with writing(file):
            regular_files.replace(file, data)
