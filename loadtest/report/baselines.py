"""Which run another is compared with when its reports are made, and why that one.

It is what was asked for, else what the run was compared with before, else what the rule says
(`loadtest.run.choose_baseline`): a report that is made again must not change because a later run exists.
A baseline that was not asked for and cannot be read is told in a note, it is no reason to have no report.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from loadtest.errors import RunUnreadable
from loadtest.evidence import Evidence, Manifest
from loadtest.report.tables import told
from loadtest.run import PassedOver, choose_baseline, find_runs, given_verdict, read_run
from loadtest.run.catalogue import NO_BASELINE
from loadtest.verdict import Item, Ruling, Verdict
from loadtest.verdict.suitability import suitability

NONE_ASKED = "no comparison was asked for"


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A baseline.

    Args:
        evidence: what its files say, None where there is no baseline.
        path, rule: where it is, and by which rule it was found; or by which there is none.
        passed_over: the runs that the rule did not take, the newest first.
        notes: what a person must know of it.
    """

    evidence: Evidence | None = None
    path: str = ""
    rule: str = ""
    passed_over: Sequence[PassedOver] = ()
    notes: Sequence[str] = ()

    def told(self) -> dict[str, Any]:
        """Return how it was found, for the evidence of a verdict."""
        passed_over = [msgspec.to_builtins(one) for one in self.passed_over]
        return {"path": self.path, "rule": self.rule, "passed_over": passed_over}


def baseline_of(manifest: Manifest, results: Path, wanted: str | None, *, before: Verdict | None) -> Found:
    """Return the baseline, if there is one.

    Args:
        manifest: of the run that is judged.
        results: the folder of all runs.
        wanted: a run directory, a revision, `none`, or None to leave the choice to the rule.
        before: an earlier verdict on the run, which is kept to unless another baseline is wanted.

    Raises:
        RunNotFound: what is wanted does not exist.
        RunUnreadable: what is wanted is damaged.
    """
    if before is not None and not wanted:
        return _as_before(before, results)
    if wanted == NO_BASELINE:
        return Found(rule=NONE_ASKED)
    choice = choose_baseline(results, manifest, wanted)
    if choice.baseline is None:
        return Found(passed_over=choice.passed_over)
    try:
        return _read(choice.baseline.path, str(choice.baseline.rule), choice.passed_over)
    except RunUnreadable as problem:
        if wanted:
            raise
        return _unreadable(problem, choice.passed_over)


def _as_before(before: Verdict, results: Path) -> Found:
    """Return what an earlier verdict was made against."""
    latency = next((item for item in before.items if item.item == "latency"), _NOTHING)
    passed_over = told(latency, "passed_over", list[PassedOver], [])
    if before.baseline is None:
        none_asked = told(latency, "rule", str, "") == NONE_ASKED
        return Found(rule=NONE_ASKED if none_asked else "", passed_over=passed_over)
    compared = told(latency, "baseline", _Compared, _Compared(""))
    path = next((run.path for run in find_runs(results).runs if run.manifest.run_id == compared.run_id), None)
    if path is None:
        return Found(passed_over=passed_over, notes=["the run that this one was compared with is gone"])
    try:
        return _read(path, compared.rule, passed_over)
    except RunUnreadable as problem:
        return _unreadable(problem, passed_over)


class _Compared(Struct):
    run_id: str
    rule: str = ""


_NOTHING = Item(item="latency", verdict=Ruling.NOT_JUDGED, summary="")


def _read(path: Path, rule: str, passed_over: Sequence[PassedOver]) -> Found:
    evidence = read_run(path)
    notes = [
        f"the baseline {evidence.manifest.revision} is a poor one: {failing}"
        for failing in suitability(evidence, given_verdict(path)).failings
    ]
    return Found(evidence, str(path), rule, passed_over, notes)


def _unreadable(problem: RunUnreadable, passed_over: Sequence[PassedOver]) -> Found:
    return Found(passed_over=passed_over, notes=[f"the baseline could not be read: {problem}"])


def readable(paths: Iterable[Path]) -> Iterator[Evidence]:
    """Yield the evidence of runs, one at a time, passing over damaged ones."""
    for path in paths:
        with suppress(RunUnreadable):
            yield read_run(path)
