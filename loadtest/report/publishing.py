"""From a run directory to its verdict and its reports, by files alone.

What a server's log showed was judged when the log could be read; it is kept from the verdict before.
"""

from contextlib import suppress
from pathlib import Path

import msgspec

from loadtest.errors import ResultsUnwritable, RunUnreadable
from loadtest.report.baselines import baseline_of, readable
from loadtest.report.html import html
from loadtest.report.junit import junit
from loadtest.report.markdown import summary
from loadtest.report.published import Published
from loadtest.run import earlier_runs, read_run, read_verdict, write_verdict
from loadtest.verdict import Item, Ruling, Verdict, judge


def publish(
    path: Path, *, results: Path | str, baseline: str | None = None, log_item: Item | None = None
) -> Published:
    """Judge a run and write verdict.json, summary.md, junit.xml and report.html into its directory.

    Args:
        path: the run directory, complete or not.
        results: the folder of all runs, where baselines are looked for.
        baseline: a run directory, a revision, `none`, or None to leave the choice to the rule.
        log_item: the item `server_log`; None keeps that of an earlier verdict.

    Raises:
        RunUnreadable: a file of the run, or of the baseline that was asked for, is damaged.
        RunNotFound: there is no such baseline.
        ResultsUnwritable: a report cannot be written.
    """
    evidence = read_run(path)
    before = _verdict_before(path)
    with_baseline, note = baseline_of(evidence.manifest, Path(results), baseline, before=before)
    verdict = judge(
        evidence,
        with_baseline,
        log_item or _log_item(before),
        earlier=readable(earlier_runs(Path(results), with_baseline.manifest)) if with_baseline else (),
    )
    if note:
        verdict = msgspec.structs.replace(verdict, notes=[*verdict.notes, note])
    published = Published(path=path, results=Path(results), evidence=evidence, verdict=verdict)
    _write(published)
    return published


def _verdict_before(path: Path) -> Verdict | None:
    """Return the run's earlier verdict; one that cannot be read is about to be replaced."""
    with suppress(RunUnreadable):
        return read_verdict(path)
    return None


def _log_item(before: Verdict | None) -> Item | None:
    judged = [item for item in before.items if item.item == "server_log"] if before else []
    return next((item for item in judged if item.verdict is not Ruling.NOT_JUDGED), None)


def _write(published: Published) -> None:
    write_verdict(published.path, published.verdict)
    for name, data in (
        ("summary.md", summary(published).encode()),
        ("junit.xml", junit(published)),
        ("report.html", html(published).encode()),
    ):
        file = published.path / name
        try:
            file.write_bytes(data)
        except OSError as error:
            raise ResultsUnwritable(file, error.strerror or str(error)) from error
