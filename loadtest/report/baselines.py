"""Which run another is compared with when its reports are made, and why that one.

It is what was asked for, else what the run was compared with before, else what the rule says
(`loadtest.run.choose_baseline`): a report that is made again must not change because a later run exists.
A baseline that was not asked for and cannot be read is told in a note, it is no reason to have no report.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from msgspec import Struct

from loadtest.errors import RunUnreadable
from loadtest.evidence import Evidence, Manifest
from loadtest.report.tables import told
from loadtest.run import choose_baseline, find_runs, read_run
from loadtest.verdict import Verdict


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A baseline: what its files say, where they are, and by which rule it was found."""

    evidence: Evidence
    path: Path
    rule: str

    def told(self) -> dict[str, str]:
        """Return where and why, for the evidence of a verdict."""
        return {"path": str(self.path), "rule": self.rule}


def baseline_of(
    manifest: Manifest, results: Path, wanted: str | None, *, before: Verdict | None
) -> tuple[Found | None, str]:
    """Return the baseline, and what there is to say about it."""
    if before is not None and not wanted:
        if before.baseline is None:
            return None, ""
        compared = _compared_before(before)
        path, rule = _path_of(compared.run_id, results), compared.rule
        if path is None:
            return None, "the run that this one was compared with is gone"
    else:
        chosen = choose_baseline(results, manifest, wanted)
        if chosen is None:
            return None, ""
        path, rule = chosen.path, str(chosen.rule)
    try:
        return Found(read_run(path), path, rule), ""
    except RunUnreadable as problem:
        if wanted:
            raise
        return None, f"the baseline could not be read: {problem}"


class _Compared(Struct):
    run_id: str
    rule: str = ""


def _compared_before(before: Verdict) -> _Compared:
    """Return the run that an earlier verdict was made against."""
    latency = next((item for item in before.items if item.item == "latency"), None)
    return told(latency, "baseline", _Compared, _Compared("")) if latency else _Compared("")


def _path_of(run_id: str, results: Path) -> Path | None:
    return next((run.path for run in find_runs(results).runs if run.manifest.run_id == run_id), None)


def readable(paths: Iterable[Path]) -> Iterator[Evidence]:
    """Yield the evidence of runs, one at a time, passing over damaged ones."""
    for path in paths:
        with suppress(RunUnreadable):
            yield read_run(path)
