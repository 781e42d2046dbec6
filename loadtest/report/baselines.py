"""Which run another is compared with when its reports are made.

It is what was asked for, else what the run was compared with before, else what the rule says
(`loadtest.run.choose_baseline`): a report that is made again must not change because a later run exists.
A baseline that was not asked for and cannot be read is told in a note, it is no reason to have no report.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from loadtest.errors import RunUnreadable
from loadtest.evidence import Evidence, Manifest
from loadtest.report.tables import told
from loadtest.run import choose_baseline, find_runs, read_run
from loadtest.verdict import Verdict


def baseline_of(
    manifest: Manifest, results: Path, wanted: str | None, *, before: Verdict | None
) -> tuple[Evidence | None, str]:
    """Return the baseline, and what there is to say about it."""
    if wanted:
        path = choose_baseline(results, manifest, wanted)
        return (None if path is None else read_run(path)), ""
    if before is None:
        path = choose_baseline(results, manifest)
    elif before.baseline is None:
        return None, ""
    else:
        path = _baseline_before(results, before)
    if path is None:
        return None, "" if before is None else "the run that this one was compared with is gone"
    try:
        return read_run(path), ""
    except RunUnreadable as problem:
        return None, f"the baseline could not be read: {problem}"


class _Compared(Struct):
    run_id: str


def _baseline_before(results: Path, before: Verdict) -> Path | None:
    """Return the run that an earlier verdict was made against, if it is still there."""
    latency = next((item for item in before.items if item.item == "latency"), None)
    compared = told(latency, "baseline", _Compared, _Compared("")) if latency else _Compared("")
    runs = find_runs(results).runs
    return next((run.path for run in runs if run.manifest.run_id == compared.run_id), None)


def readable(paths: Iterable[Path]) -> Iterator[Evidence]:
    """Yield the evidence of runs, one at a time, passing over damaged ones."""
    for path in paths:
        with suppress(RunUnreadable):
            yield read_run(path)
