"""Which runs there are, which one a person means, and which one is the baseline.

The rule for the baseline is that of the command line: what was asked for, else the run pinned for the plan,
else the newest complete run of another revision with the same plan that can be compared with. What is passed
over is told, with its reason. `loadtest.verdict.suitability` says what speaks against a run; where something
speaks against all of them, the newest of the best serves: no baseline at all would leave latency unjudged,
where it has to be INCONCLUSIVE. Pinned runs are copies under results/baselines/ and otherwise runs like any
other; where runs are counted, a run counts once.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice, takewhile
from pathlib import Path

from msgspec import Struct

from loadtest.errors import RunNotFound, RunUnreadable, UsageError
from loadtest.evidence import Manifest
from loadtest.run import directory
from loadtest.run.reader import given_verdict, read_manifest, read_run
from loadtest.statistics.noise import LEAST_RUNS
from loadtest.verdict.suitability import Suitability, suitability

NO_BASELINE = "none"

_PLAN = re.compile(r"[0-9a-f]{6,64}")
"""The beginning of a comparability hash, long enough to be meant."""

MOST_READ = 5
"""Runs that are read in search of a sound baseline, damaged ones among them: older ones say little of how the
server was before."""

MOST_TOLD = 20
"""Runs that are told to have been passed over: any number may have been killed, for which none is read."""


class Rule(StrEnum):
    """By which rule a baseline was chosen."""

    ASKED = "it was asked for"
    PINNED = "it is pinned for this plan"
    NEWEST = "it is the newest complete run of another revision with this plan"
    FITTEST = "newer runs of other revisions with this plan are less fit to be compared with"


@dataclass(frozen=True, slots=True)
class Baseline:
    """The run directory to compare with, and why this one."""

    path: Path
    rule: Rule


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run directory with its manifest; `pinned` says that it lies under results/baselines/."""

    path: Path
    manifest: Manifest
    pinned: bool = False


class PassedOver(Struct, frozen=True, kw_only=True):
    """A run that the rule did not take for the baseline, as verdict.json tells it."""

    revision: str
    run_id: str
    path: str
    why: str


@dataclass(frozen=True, slots=True)
class Choice:
    """The baseline, None for no comparison; and the `MOST_TOLD` newest of what was passed over for it."""

    baseline: Baseline | None = None
    passed_over: tuple[PassedOver, ...] = ()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The runs of a results folder, the newest first, and those whose run.json cannot be read."""

    runs: Sequence[FoundRun]
    unreadable: Sequence[RunUnreadable]

    def newest_complete(self, revision: str, *, besides: str = "") -> FoundRun | None:
        """Return the newest complete run of a revision that has not this run id."""
        return next((run for run in self.of_revision(revision, besides) if run.manifest.complete), None)

    def of_revision(self, revision: str, besides: str = "") -> Iterator[FoundRun]:
        """Yield the runs of a revision, complete or not, the newest first."""
        return (
            run for run in self.runs if run.manifest.revision == revision and run.manifest.run_id != besides
        )

    def of_plan(self, comparability_hash: str) -> list[FoundRun]:
        """Return the complete runs of a plan, the newest first."""
        return [run for run in self.with_plan(comparability_hash) if run.manifest.complete]

    def with_plan(self, comparability_hash: str) -> Iterator[FoundRun]:
        """Yield the runs of a plan, complete or not, the newest first."""
        return (run for run in self.runs if run.manifest.comparability_hash == comparability_hash)


def _baseline_by_rule(catalogue: Catalogue, of: Manifest) -> Choice:
    """Return what a run is compared with where nothing was asked for."""
    others = [run for run in catalogue.with_plan(of.comparability_hash) if run.manifest.run_id != of.run_id]
    pinned = next((run for run in others if run.pinned and run.manifest.complete), None)
    if pinned is not None:
        return Choice(Baseline(pinned.path, Rule.PINNED))
    return _fittest(run for run in others if run.manifest.revision != of.revision)


def _fittest(candidates: Iterable[FoundRun]) -> Choice:
    """Return the newest sound one of these, which are the newest first, else the newest of the best."""
    looked_at = list(_looked_at(candidates))
    fit = [(run, found.rank) for run, found, _ in looked_at if found is not None]
    best, _ = min(fit, key=lambda one: one[1], default=(None, None))
    passed_over = tuple(
        PassedOver(revision=run.manifest.revision, run_id=run.manifest.run_id, path=str(run.path), why=why)
        for run, _, why in islice(takewhile(lambda one: one[0] is not best, looked_at), MOST_TOLD)
    )
    if best is None:
        return Choice(None, passed_over)
    rule = Rule.NEWEST if best is fit[0][0] else Rule.FITTEST
    return Choice(Baseline(best.path, rule), passed_over)


def _looked_at(candidates: Iterable[FoundRun]) -> Iterator[tuple[FoundRun, Suitability | None, str]]:
    """Yield runs up to a sound one, how fit each is, None for not at all, and what speaks against it."""
    read = 0
    for run in candidates:
        if not run.manifest.complete:
            yield run, None, "it was not ended in good order"
            continue
        read += 1
        try:
            found = suitability(read_run(run.path), given_verdict(run.path))
        except RunUnreadable as problem:
            yield run, None, f"it cannot be read: {problem}"
        else:
            yield run, found, "; ".join(found.problems)
            if found.sound:
                return
        if read == MOST_READ:
            return


def find_runs(results: Path) -> Catalogue:
    """Return all runs under a results folder; an empty catalogue where there is no such folder."""
    runs, unreadable = [], []
    for path in _run_directories(results):
        try:
            pinned = path.is_relative_to(results / directory.BASELINES)
            runs.append(FoundRun(path, read_manifest(path), pinned))
        except RunUnreadable as problem:
            unreadable.append(problem)
    runs.sort(key=lambda run: (run.manifest.started_unix_ns, run.manifest.run_id, run.path), reverse=True)
    return Catalogue(runs, unreadable)


def _run_directories(results: Path) -> Iterator[Path]:
    """Yield the folders with a run.json: those of a revision, and those pinned, with or without it."""
    for pattern in ("*/*", f"{directory.BASELINES}/*/*"):
        for manifest in sorted(results.glob(f"{pattern}/{directory.MANIFEST}")):
            yield manifest.parent


def resolve(wanted: str, results: Path, *, besides: str = "") -> Path:
    """Return the run directory that a person means.

    Args:
        wanted: a run directory, as a path or as one below the results folder; or a revision, which stands
            for its newest complete run.
        besides: id of a run that is not meant.

    Raises:
        RunNotFound: there is none.
        UsageError: the revision has no complete run.
    """
    for path in (Path(wanted), results / wanted):
        if _is_run(path):
            return path
    catalogue = find_runs(results)
    found = catalogue.newest_complete(wanted, besides=besides)
    if found is not None:
        return found.path
    incomplete = next(catalogue.of_revision(wanted, besides), None)
    if incomplete is None:
        raise RunNotFound(wanted, results)
    raise UsageError(
        f"no run of {wanted!r} under {results} was ended in good order. To read one all the same, as far as "
        f"it got, give its directory; the newest is {incomplete.path}"
    )


def _is_run(path: Path) -> bool:
    try:
        return (path / directory.MANIFEST).is_file()
    except (OSError, ValueError):  # a revision may be text that no path can be
        return False


def run_of_plan(wanted: str | None, results: Path) -> FoundRun:
    """Return the run whose plan a person means.

    Args:
        wanted: a run as for `resolve`, the beginning of a comparability hash, which stands for its newest
            complete run, or None for the newest complete run of all.

    Raises:
        RunNotFound: there is no such run or plan.
        UsageError: several plans begin so, or there is no run at all.
    """
    complete = [run for run in once(find_runs(results).runs) if run.manifest.complete]
    if wanted is None:
        if not complete:
            raise UsageError(f"there is no complete run under {results} yet. A headless Locust run makes one")
        return complete[0]
    if _PLAN.fullmatch(wanted):
        of_plan = [run for run in complete if run.manifest.comparability_hash.startswith(wanted)]
        if len({run.manifest.comparability_hash for run in of_plan}) > 1:
            raise UsageError(f"the hashes of several plans begin with {wanted}: give more of it")
        if of_plan:
            return of_plan[0]
    path = resolve(wanted, results)
    return FoundRun(path, read_manifest(path))


def once(runs: Iterable[FoundRun]) -> list[FoundRun]:
    """Return the runs in their order, each once: a pinned copy only where the run itself is gone."""
    found: dict[str, FoundRun] = {}
    for run in runs:
        known = found.get(run.manifest.run_id)
        if known is None or known.pinned:
            found[run.manifest.run_id] = run
    return list(found.values())


def choose_baseline(results: Path, manifest: Manifest, wanted: str | None = None) -> Choice:
    """Return the run to compare a run with and why.

    Args:
        manifest: of the run that is judged.
        wanted: a run directory, a revision, `none`; None or empty to choose by the rule.

    Raises:
        RunNotFound: what is wanted does not exist.
    """
    if wanted == NO_BASELINE:
        return Choice()
    if wanted:
        return Choice(Baseline(resolve(wanted, results, besides=manifest.run_id), Rule.ASKED))
    return _baseline_by_rule(find_runs(results), manifest)


def earlier_runs(
    results: Path, manifest: Manifest, *, before_unix_ns: int, least: int = LEAST_RUNS, most: int = 20
) -> list[Path]:
    """Return complete runs of this run's revision and plan besides itself, the newest first.

    They tell how much runs differ that should not: the noise floor of a comparison.

    Args:
        before_unix_ns: when what is judged was made; what was run later must not change a verdict.
        least: where there are fewer, none are returned: they would be read for nothing.
        most: how many are enough.
    """
    found = [
        run.path
        for run in once(find_runs(results).of_plan(manifest.comparability_hash))
        if run.manifest.revision == manifest.revision
        and run.manifest.run_id != manifest.run_id
        and run.manifest.started_unix_ns < before_unix_ns
    ]
    return found[:most] if len(found) >= least else []
