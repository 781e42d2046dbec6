"""Pinned baselines: copies of runs in results/baselines/, the only folder in results/ that git tracks.

A copy has the run's data and its verdict, not its reports; `loadtest report` writes those again. A plan has
at most one pinned run: pinning another one replaces it. `loadtest.runs.baselines` chooses the baseline if
none is pinned.
"""

import os
import shlex
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec import Struct

from loadtest import text
from loadtest.errors import ResultsUnwritable, RunUnreadable, UsageError
from loadtest.regular_files import create, open_regular
from loadtest.report.tables import Sheet, Table, Untrusted, bounded
from loadtest.results import directory
from loadtest.results.reader import read_manifest, read_run
from loadtest.runs.baselines import choose_baseline
from loadtest.runs.find import (
    HASH_SHOWN,
    FoundRun,
    ambiguous,
    find_runs,
    resolve,
    run_of_plan,
    started_utc,
    with_id,
    without_slash,
)
from loadtest.runs.suitability import NONE_GOOD, suitability
from loadtest.runs.verdict_file import readable_verdict
from loadtest.verdict.evidence import PassedOver

_KEPT = (
    directory.HISTOGRAMS,
    directory.EVENTS,
    directory.INTERVALS,
    directory.SERVER_LOG,
    directory.VERDICT,
    directory.MANIFEST,  # last: a folder with a manifest is a run
)


@dataclass(frozen=True, slots=True)
class Pinned:
    """A pinned run, and the runs that it replaced."""

    path: Path
    replaced: Sequence[Path]


def pin(run: Path, results: Path) -> Pinned:
    """Pin a run as the baseline of its plan.

    Args:
        run: the run directory.
        results: the folder of all runs.

    Raises:
        RunUnreadable: the directory is not a run.
        UsageError: the run is incomplete or has no revision.
        ResultsUnwritable: the run cannot be copied.
    """
    manifest = read_manifest(run)
    if not manifest.complete:
        raise UsageError(f"{run} is incomplete and cannot be a baseline. Pin a complete run")
    if not manifest.named:
        raise UsageError(
            f"{run} has no revision and cannot be a baseline: its server may be any version. Repeat it "
            "with --ws-revision NAME"
        )
    kept = results / directory.BASELINES / directory.folder_name(manifest.revision) / run.resolve().name
    others = [
        one.path
        for one in find_runs(results).complete_of_plan(manifest.comparability_hash)
        if one.pinned and one.path.resolve() != kept.resolve()
    ]
    if kept.resolve() != run.resolve():
        _copy(run, kept)
    for path in others:
        _remove(path)
    return Pinned(kept, others)


def unpin(runs: Sequence[FoundRun]) -> None:
    """Remove pinned copies; the original runs stay.

    Raises:
        ResultsUnwritable: a copy cannot be removed.
    """
    for run in runs:
        assert run.pinned, "only pinned copies can be removed"
        _remove(run.path)


def _copy(run: Path, kept: Path) -> None:
    """Copy a run's files. The copy appears only once it is complete."""
    partial = kept.with_name(f".{kept.name}.partial")
    with directory.writing(kept):
        if kept.parent.is_symlink() or kept.parent.parent.is_symlink():
            raise ResultsUnwritable(kept.parent, "is a link, not a folder")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name in _KEPT:
            if os.path.lexists(run / name):
                with open_regular(run / name) as source, create(partial / name) as copy:
                    shutil.copyfileobj(source, copy)
        shutil.rmtree(kept, ignore_errors=True)
        partial.rename(kept)


def _remove(kept: Path) -> None:
    with directory.writing(kept):
        shutil.rmtree(kept)
        if not any(kept.parent.iterdir()):
            kept.parent.rmdir()


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
        run: the run whose baseline is shown.
        baseline: the run it is compared with, None for none.
        rule: why this baseline was chosen, or why there is none.
        problems: what makes this baseline a poor one, one sentence each.
        passed_over: runs that the rule did not choose, newest first.
        pinned: all pinned runs, newest first.
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
        pinned, removed: directories of the copies.
        problems: what makes the pinned run a poor baseline, one sentence each.
    """

    pinned: list[str]
    removed: list[str]
    problems: list[str] = []
    schema: int = 1


def set_baseline(wanted: str, results: Path) -> BaselineChange:
    """Pin a run as the baseline of its plan, replacing the run that is pinned for it.

    Problems of the run as a baseline are reported but do not prevent pinning: the choice is the user's.

    Args:
        wanted: a run as for `resolve`.
        results: the folder of all runs.

    Raises:
        RunNotFound: no run or revision has that name.
        UsageError: the run is incomplete or has no revision, or the name is ambiguous.
        ResultsUnwritable: the run cannot be copied.
    """
    run = resolve(wanted, results)
    problems = _problems(run)
    kept = pin(run, results)
    removed = [str(path) for path in kept.replaced]
    return BaselineChange(pinned=[str(kept.path)], removed=removed, problems=problems)


def _problems(run: Path) -> list[str]:
    """Return what makes a run a poor baseline, one sentence each."""
    try:
        return suitability(read_run(run), readable_verdict(run)).problems
    except RunUnreadable as problem:
        return [f"it cannot be read: {problem}"]


def clear_baselines(wanted: str | None, results: Path) -> BaselineChange:
    """Remove the pinned copy of a run, of a revision's runs, or all of them.

    Args:
        wanted: a run directory, a run id or its beginning, or a revision; None for all.
        results: the folder of all runs.

    Raises:
        UsageError: no pinned run has that name, or the name is ambiguous.
        ResultsUnwritable: a copy cannot be removed.
    """
    pinned = [run for run in find_runs(results).runs if run.pinned]
    kept = pinned if wanted is None else _meant(wanted, pinned) or _meant(without_slash(wanted), pinned)
    if wanted is not None and not kept:
        raise UsageError(
            f"no pinned run {wanted!r} in {results}/. Run 'loadtest baseline show' to see which are pinned"
        )
    unpin(kept)
    return BaselineChange(pinned=[], removed=[str(run.path) for run in kept])


def _meant(wanted: str, pinned: Sequence[FoundRun]) -> list[FoundRun]:
    """Return the pinned runs with this name: a run by its directory or id, or all of a revision."""
    of_id = with_id(pinned, wanted)
    named = [run for run in pinned if run.manifest.revision == wanted or run.path.name == Path(wanted).name]
    if (of_id and named and of_id != named) or len({run.manifest.run_id for run in of_id}) > 1:
        raise ambiguous(wanted, [*of_id, *(run for run in named if run not in of_id)])
    return of_id or named


def show_baseline(wanted: str | None, results: Path) -> BaselineChoice:
    """Return the baseline of a run and the reason for it.

    Args:
        wanted: a run as for `resolve`, or the beginning of a plan's hash; None for the newest complete run.
        results: the folder of all runs.

    Raises:
        RunNotFound: no run, revision or plan has that name.
        UsageError: the name fits several plans, or there is no complete run.
    """
    run = run_of_plan(wanted, results)
    choice = choose_baseline(results, run.manifest)
    chosen = choice.baseline
    none = (
        NONE_GOOD
        if choice.none_good
        else "no other revision has a complete run with this plan, and none is pinned for it"
    )
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
    """Return the baseline of a run with the reason, runs that were not chosen, and pinned runs, as tables."""
    run, baseline = choice.run, choice.baseline
    found = (
        "has no baseline" if baseline is None else f"is compared with {baseline.revision} ({baseline.path})"
    )
    shown = [("run", run), *([] if baseline is None else [("baseline", baseline)])]
    return Sheet(
        headline=f"{run.revision} ({run.path}) {found}",
        lines=[f"Reason: {choice.rule}", *(f"Warning: {problem}" for problem in choice.problems)],
        tables=[
            _table("Choice", shown),
            _passed_over_table(choice.passed_over),
            _table("Pinned", [("pinned", kept) for kept in choice.pinned]),
        ],
    )


def _passed_over_table(runs: Iterable[PassedOver]) -> Table:
    rows = [(*map(Untrusted, (run.revision, run.run_id, run.path)), run.why) for run in runs]
    return bounded("Passed over", ("passed over", "id", "directory", "reason"), "llll", rows)


def _table(title: str, runs: Iterable[tuple[str, NamedRun]]) -> Table:
    rows: Sequence[Sequence[str]] = [
        (
            what,
            Untrusted(run.revision),
            Untrusted(run.run_id),
            started_utc(run.started_at),
            Untrusted(run.comparability_hash[:HASH_SHOWN]),
        )
        for what, run in runs
    ]
    return bounded(title, ("role", "revision", "id", "started (UTC)", "plan"), "lllll", rows)


def change_sheet(change: BaselineChange) -> Sheet:
    """Return what was pinned and what was removed."""
    if change.pinned:
        kept = change.pinned[0]
        warnings = [f"Warning: {problem}" for problem in change.problems]
        lines = [*_removed(change), *warnings, f"To keep it: git add {shlex.quote(kept)}"]
        return Sheet(headline=f"pinned {kept}", lines=lines, tables=())
    cleared = f"{text.counted(len(change.removed), 'baseline')} cleared"
    return Sheet(headline=cleared, lines=_removed(change), tables=())


def _removed(change: BaselineChange) -> list[str]:
    return [f"removed {path}" for path in change.removed]
