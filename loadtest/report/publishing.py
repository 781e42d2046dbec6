"""From a run directory to its verdict and its reports, by files alone."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from loadtest.evidence import Evidence
from loadtest.report.baselines import baseline_of, readable
from loadtest.report.html import html
from loadtest.report.junit import junit
from loadtest.report.markdown import summary
from loadtest.report.published import Published
from loadtest.report.server_log import log_item
from loadtest.run import earlier_runs, given_verdict, read_run, write_verdict
from loadtest.run.directory import writing
from loadtest.verdict import judge


def publish(path: Path, *, results: Path | str, baseline: str | None = None) -> Published:
    """Judge a run and write verdict.json, summary.md, junit.xml and report.html into its directory.

    Args:
        path: the run directory, complete or not.
        results: the folder of all runs, where baselines are looked for.
        baseline: a run directory, a revision, `none`, or None to leave the choice to the rule.

    Raises:
        RunUnreadable: a file of the run, or of the baseline that was asked for, is damaged.
        RunNotFound: there is no such baseline.
        ResultsUnwritable: a report cannot be written.
    """
    evidence = read_run(path)
    before = given_verdict(path)
    found = baseline_of(evidence.manifest, Path(results), baseline, before=before)
    verdict = judge(
        evidence,
        found.evidence,
        log_item(path, evidence),
        earlier=_earlier(found.evidence, evidence, Path(results)),
        found=found.told(),
    )
    verdict = msgspec.structs.replace(verdict, notes=[*verdict.notes, *found.notes])
    published = Published(path=path, results=Path(results), evidence=evidence, verdict=verdict)
    _write(published)
    return published


def _earlier(baseline: Evidence | None, judged: Evidence, results: Path) -> Iterator[Evidence]:
    """Yield earlier runs like the baseline, from which its noise is known."""
    if baseline is not None:
        before_unix_ns = judged.manifest.started_unix_ns
        yield from readable(earlier_runs(results, baseline.manifest, before_unix_ns=before_unix_ns))


def _write(published: Published) -> None:
    write_verdict(published.path, published.verdict)
    for name, data in (
        ("summary.md", summary(published).encode()),
        ("junit.xml", junit(published)),
        ("report.html", html(published).encode()),
    ):
        file = published.path / name
        with writing(file):
            file.write_bytes(data)
