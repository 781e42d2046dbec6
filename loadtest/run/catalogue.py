"""Which runs there are, which one a person means, and which one is the baseline.

The rule for the baseline is that of the command line: what was asked for, else the run pinned for the plan,
else the newest complete run of another revision with the same plan. Pinned runs are copies under
results/baselines/ and otherwise runs like any other; where runs are counted, a run counts once.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from loadtest.errors import InvalidSetting, RunNotFound, RunUnreadable, UsageError
from loadtest.evidence import Manifest
from loadtest.run import directory
from loadtest.run.reader import read_manifest
from loadtest.statistics.noise import LEAST_RUNS

NO_BASELINE = "none"

_PLAN = re.compile(r"[0-9a-f]{6,64}")
"""The beginning of a comparability hash, long enough to be meant."""


class Rule(StrEnum):
    """By which rule a baseline was chosen."""

    ASKED = "it was asked for"
    PINNED = "it is pinned for this plan"
    NEWEST = "it is the newest complete run of another revision with this plan"


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


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The runs of a results folder, the newest first, and those whose run.json cannot be read."""

    runs: Sequence[FoundRun]
    unreadable: Sequence[RunUnreadable]

    def newest_complete(self, revision: str, *, besides: str = "") -> FoundRun | None:
        """Return the newest complete run of a revision that has not this run id."""
        return next((run for run in self._complete(besides) if run.manifest.revision == revision), None)

    def baseline_by_rule(
        self, comparability_hash: str, *, revision: str | None = None, besides: str = ""
    ) -> Baseline | None:
        """Return what a run is compared with where nothing was asked for.

        Args:
            comparability_hash: of the run's plan.
            revision: of the run, None for one that no run has had yet.
            besides: the run's own id.
        """
        alike = self.of_plan(comparability_hash, besides=besides)
        for run in alike:
            if run.pinned:
                return Baseline(run.path, Rule.PINNED)
        for run in alike:
            if run.manifest.revision != revision:
                return Baseline(run.path, Rule.NEWEST)
        return None

    def of_plan(self, comparability_hash: str, *, besides: str = "") -> list[FoundRun]:
        """Return the complete runs of a plan, the newest first."""
        return [
            run for run in self._complete(besides) if run.manifest.comparability_hash == comparability_hash
        ]

    def _complete(self, besides: str) -> Iterator[FoundRun]:
        return (run for run in self.runs if run.manifest.complete and run.manifest.run_id != besides)


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
    """
    for path in (Path(wanted), results / wanted):
        if _is_run(path):
            return path
    found = find_runs(results).newest_complete(wanted, besides=besides)
    if found is None:
        raise RunNotFound(wanted, results)
    return found.path


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
        InvalidSetting: several plans begin so.
        UsageError: there is no run at all.
    """
    complete = [run for run in once(find_runs(results).runs) if run.manifest.complete]
    if wanted is None:
        if not complete:
            raise UsageError(f"there is no complete run under {results} yet. A headless Locust run makes one")
        return complete[0]
    if _PLAN.fullmatch(wanted):
        of_plan = [run for run in complete if run.manifest.comparability_hash.startswith(wanted)]
        if len({run.manifest.comparability_hash for run in of_plan}) > 1:
            raise InvalidSetting("plan", wanted, "is the beginning of several", "Give more of its hash")
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


def choose_baseline(results: Path, manifest: Manifest, wanted: str | None = None) -> Baseline | None:
    """Return the run to compare a run with and why, None for no comparison.

    Args:
        manifest: of the run that is judged.
        wanted: a run directory, a revision, `none`; None or empty to choose by the rule.

    Raises:
        RunNotFound: what is wanted does not exist.
    """
    if wanted == NO_BASELINE:
        return None
    if wanted:
        return Baseline(resolve(wanted, results, besides=manifest.run_id), Rule.ASKED)
    return find_runs(results).baseline_by_rule(
        manifest.comparability_hash, revision=manifest.revision, besides=manifest.run_id
    )


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
    alike = find_runs(results).of_plan(manifest.comparability_hash, besides=manifest.run_id)
    found = [
        run.path
        for run in once(alike)
        if run.manifest.revision == manifest.revision and run.manifest.started_unix_ns < before_unix_ns
    ]
    return found[:most] if len(found) >= least else []
