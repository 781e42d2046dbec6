"""The two runs that `loadtest compare` was asked for: of a revision, a run with the plan of the other side.

A revision stands for its newest complete run that no duel made (`loadtest.runs.find`). Another run of it is
taken only if that one has another plan than the other side's run.
"""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from loadtest import text
from loadtest.results.manifest import Manifest
from loadtest.results.reader import read_manifest
from loadtest.runs.find import Catalogue, FoundRun, find_runs, once, resolve


def alike_runs(baseline: str, candidate: str, results: Path) -> tuple[Path, Path]:
    """Return the runs that two names stand for, with the same plan if a revision has such a run.

    Args:
        baseline, candidate: each a run as for `resolve`.
        results: the folder of all runs.

    Raises:
        RunNotFound: no run or revision has that name.
        UsageError: a name may mean several runs, or a revision has no complete run.
    """
    before, after = _stands_for(baseline, results), _stands_for(candidate, results)
    pairs = chain(((run, after[0]) for run in before), ((before[0], run) for run in after))
    alike = (
        (one.path, other.path)
        for one, other in pairs
        if one.manifest.comparability_hash == other.manifest.comparability_hash
        and one.manifest.run_id != other.manifest.run_id
    )
    return next(alike, (before[0].path, after[0].path))


def _stands_for(wanted: str, results: Path) -> list[FoundRun]:
    """Return the runs that a name may stand for, first the one that it means: several only of a revision."""
    path = resolve(wanted, results)
    runs = find_runs(results).complete_of_revision(wanted)
    if runs and runs[0].path == path:
        return once(runs)
    return [FoundRun(path, read_manifest(path))]


def place_of(manifest: Manifest, catalogue: Catalogue) -> str:
    """Return which of its revision's complete runs a run is, empty if it is not one of the results folder."""
    complete = once(run for run in catalogue.of_revision(manifest.revision) if run.manifest.complete)
    if manifest.run_id not in _ids(complete):
        return "" if manifest.complete else "did not finish"
    if len(complete) == 1:
        return "the only complete run"
    alike = [run for run in complete if run.manifest.comparability_hash == manifest.comparability_hash]
    places = {
        "the newest": complete,
        "the newest with this plan": alike,
        "the newest made by no duel": _by_no_duel(complete, catalogue),
        "the newest with this plan made by no duel": _by_no_duel(alike, catalogue),
    }
    place = next((one for one, runs in places.items() if _ids(runs)[:1] == [manifest.run_id]), "an older one")
    return f"{place} of {text.count(len(complete))} complete runs"


def _by_no_duel(runs: Sequence[FoundRun], catalogue: Catalogue) -> list[FoundRun]:
    return [run for run in runs if not catalogue.is_of_duel(run)]


def _ids(runs: Sequence[FoundRun]) -> list[str]:
    return [run.manifest.run_id for run in runs]
