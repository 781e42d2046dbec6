"""Baselines that are kept: copies of runs under results/baselines/, the one folder there that git tracks.

A copy holds what a comparison needs, its data and the verdict; reports are made again from it with
`loadtest report`. One run is pinned for a plan: pinning another takes its place, so that nobody has to guess
which of two baselines was meant.
"""

import shlex
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec import Struct

from loadtest import text
from loadtest.errors import InvalidSetting, RunUnreadable, UsageError
from loadtest.report.tables import Sheet, Table, Untrusted, bounded
from loadtest.results import directory
from loadtest.results.reader import read_manifest, read_run
from loadtest.runs.baselines import choose_baseline, suitability
from loadtest.runs.find import FoundRun, find_runs, given_verdict, resolve, run_of_plan
from loadtest.verdict.evidence import PassedOver

_KEPT = (
    directory.HISTOGRAMS,
    directory.EVENTS,
    directory.INTERVALS,
    directory.SERVER_LOG,
    directory.VERDICT,
    directory.MANIFEST,  # last: it makes a folder a run
)


@dataclass(frozen=True, slots=True)
class Pinned:
    """A run that was pinned, and those whose place it took."""

    path: Path
    replaced: Sequence[Path]


def pin(run: Path, results: Path) -> Pinned:
    """Keep a run as the baseline of its plan.

    Args:
        run: its directory.
        results: the folder of all runs.

    Raises:
        RunUnreadable: it is no run.
        InvalidSetting: it was not ended in good order.
        ResultsUnwritable: it cannot be copied.
    """
    manifest = read_manifest(run)
    if not manifest.complete:
        raise InvalidSetting("RUN", str(run), "must be a complete run")
    kept = results / directory.BASELINES / directory.folder_name(manifest.revision) / run.resolve().name
    others = [
        one.path
        for one in find_runs(results).of_plan(manifest.comparability_hash)
        if one.pinned and one.path.resolve() != kept.resolve()
    ]
    if kept.resolve() != run.resolve():
        _copy(run, kept)
    for path in others:
        _remove(path)
    return Pinned(kept, others)


def unpin(runs: Sequence[FoundRun]) -> None:
    """Take kept baselines away; the runs that they are copies of stay.

    Raises:
        ResultsUnwritable: one cannot be removed.
    """
    for run in runs:
        assert run.pinned, "only copies are removed"
        _remove(run.path)


def _copy(run: Path, kept: Path) -> None:
    """Copy what is kept; the copy is there whole or not at all."""
    beside = kept.with_name(f".{kept.name}.partial")
    with directory.writing(kept):
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        for name in _KEPT:
            if (run / name).is_file():
                shutil.copyfile(run / name, beside / name)
        shutil.rmtree(kept, ignore_errors=True)
        beside.rename(kept)


def _remove(kept: Path) -> None:
    with directory.writing(kept):
        shutil.rmtree(kept)
        if not any(kept.parent.iterdir()):
            kept.parent.rmdir()


_HASH_SHOWN = 12
"""Characters of a comparability hash that tell plans apart."""


class NamedRun(Struct, frozen=True, kw_only=True):
    """A run and its plan."""

    revision: str
    run_id: str
    started_at: str
    comparability_hash: str
    path: str


class BaselineChoice(Struct, frozen=True, kw_only=True):
    """What `baseline show --json` prints.

    Args:
        run: the run that was asked about.
        baseline: what it would be compared with, None for nothing.
        rule: why that one, or why none.
        problems: what speaks against comparing with it.
        passed_over: the runs that the rule did not take, the newest first.
        pinned: all pinned runs, the newest first.
    """

    run: NamedRun
    baseline: NamedRun | None
    rule: str
    problems: list[str]
    passed_over: list[PassedOver]
    pinned: list[NamedRun]
    schema: int = 1


class BaselineChange(Struct, frozen=True, kw_only=True):
    """What `baseline set --json` and `baseline clear --json` print.

    Args:
        problems: what speaks against comparing with what was pinned.
    """

    pinned: list[str]
    removed: list[str]
    problems: list[str] = []
    schema: int = 1


def set_baseline(wanted: str, results: Path) -> BaselineChange:
    """Pin a run as the baseline of its plan, in the place of the one that is pinned for it.

    What speaks against it is told, and no obstacle: who pins a run may know why.

    Raises:
        RunNotFound: there is no such run.
        InvalidSetting: it was not ended in good order.
        ResultsUnwritable: it cannot be copied.
    """
    run = resolve(wanted, results)
    problems = _problems(run)
    kept = pin(run, results)
    removed = [str(path) for path in kept.replaced]
    return BaselineChange(pinned=[str(kept.path)], removed=removed, problems=problems)


def _problems(run: Path) -> list[str]:
    """Return what speaks against comparing with a run."""
    try:
        return suitability(read_run(run), given_verdict(run)).problems
    except RunUnreadable as problem:
        return [f"it cannot be read: {problem}"]


def clear_baselines(wanted: str | None, results: Path) -> BaselineChange:
    """Remove the pinned copy of a run, or of a revision's runs, or all of them.

    Raises:
        UsageError: nothing of that name is pinned.
    """
    kept = [run for run in find_runs(results).runs if run.pinned and _is_meant(run, wanted)]
    if wanted is not None and not kept:
        raise UsageError(f"no pinned run {wanted!r}: `loadtest baseline show` lists those that are")
    unpin(kept)
    return BaselineChange(pinned=[], removed=[str(run.path) for run in kept])


def _is_meant(run: FoundRun, wanted: str | None) -> bool:
    names = (run.manifest.revision, run.manifest.run_id, run.path.name)
    return wanted is None or wanted in names or Path(wanted).name == run.path.name


def show_baseline(wanted: str | None, results: Path) -> BaselineChoice:
    """Return what a run would be compared with now.

    Args:
        wanted: a run, or the beginning of a plan's hash; None for the newest complete run.

    Raises:
        RunNotFound: there is no such run.
    """
    run = run_of_plan(wanted, results)
    choice = choose_baseline(results, run.manifest)
    chosen = choice.baseline
    none = "no other revision has a complete run with this plan, and none is pinned for it"
    return BaselineChoice(
        run=_named(run),
        baseline=None if chosen is None else _named(FoundRun(chosen.path, read_manifest(chosen.path))),
        rule=none if chosen is None else str(chosen.rule),
        problems=[] if chosen is None else _problems(chosen.path),
        passed_over=list(choice.passed_over),
        pinned=[_named(kept) for kept in find_runs(results).runs if kept.pinned],
    )


def _named(run: FoundRun) -> NamedRun:
    return NamedRun(
        revision=run.manifest.revision,
        run_id=run.manifest.run_id,
        started_at=run.manifest.started_at,
        comparability_hash=run.manifest.comparability_hash,
        path=str(run.path),
    )


def choice_sheet(choice: BaselineChoice) -> Sheet:
    """Return the choice, and the pinned runs."""
    run, baseline = choice.run, choice.baseline
    compared = "with nothing" if baseline is None else f"with {baseline.revision} ({baseline.path})"
    shown = [("the run", run), *([] if baseline is None else [("its baseline", baseline)])]
    return Sheet(
        headline=f"{run.revision} ({run.path}) would be compared {compared}",
        lines=[
            choice.rule if baseline is None else f"because {choice.rule}",
            *(f"Warning: {problem}" for problem in choice.problems),
        ],
        tables=[
            _table("Choice", shown),
            _passed_over_table(choice.passed_over),
            _table("Pinned", [("pinned", kept) for kept in choice.pinned]),
        ],
    )


def _passed_over_table(runs: Iterable[PassedOver]) -> Table:
    rows = [(*map(Untrusted, (run.revision, run.run_id, run.path)), run.why) for run in runs]
    return bounded("Passed over", ("passed over", "id", "directory", "why"), "llll", rows)


def _table(title: str, runs: Iterable[tuple[str, NamedRun]]) -> Table:
    rows: Sequence[Sequence[str]] = [
        (
            what,
            *map(Untrusted, (run.revision, run.run_id, run.started_at, run.comparability_hash[:_HASH_SHOWN])),
        )
        for what, run in runs
    ]
    return bounded(title, ("run", "revision", "id", "started", "plan"), "lllll", rows)


def change_sheet(change: BaselineChange) -> Sheet:
    """Return what was pinned and removed."""
    if change.pinned:
        kept = change.pinned[0]
        warnings = [f"Warning: {problem}" for problem in change.problems]
        lines = [*_removed(change), *warnings, f"Keep it: git add {shlex.quote(kept)}"]
        return Sheet(headline=f"pinned {kept}", lines=lines, tables=())
    cleared = f"{text.counted(len(change.removed), 'baseline')} cleared"
    return Sheet(headline=cleared, lines=_removed(change), tables=())


def _removed(change: BaselineChange) -> list[str]:
    return [f"removed {path}" for path in change.removed]
