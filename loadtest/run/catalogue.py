"""Which runs there are, which one a person means, and which one is the baseline.

The rule for the baseline is that of the command line: what was asked for, else the newest complete run of
another revision with the same plan. Pinned runs under results/baselines/ are runs like any other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.errors import RunNotFound, RunUnreadable
from loadtest.evidence import Manifest
from loadtest.run import directory
from loadtest.run.reader import read_manifest
from loadtest.statistics.noise import LEAST_RUNS

NO_BASELINE = "none"


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

    def newest_comparable(self, manifest: Manifest) -> FoundRun | None:
        """Return the newest complete run of another revision with the same plan."""
        return next(
            (
                run
                for run in self._complete(manifest.run_id)
                if run.manifest.revision != manifest.revision
                and run.manifest.comparability_hash == manifest.comparability_hash
            ),
            None,
        )

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


def choose_baseline(results: Path, manifest: Manifest, wanted: str | None = None) -> Path | None:
    """Return the run directory to compare a run with, None for no comparison.

    Args:
        manifest: of the run that is judged.
        wanted: a run directory, a revision, `none`; None or empty to choose by the rule.

    Raises:
        RunNotFound: what is wanted does not exist.
    """
    if wanted == NO_BASELINE:
        return None
    if wanted:
        return resolve(wanted, results, besides=manifest.run_id)
    found = find_runs(results).newest_comparable(manifest)
    return None if found is None else found.path


def earlier_runs(results: Path, manifest: Manifest, *, least: int = LEAST_RUNS, most: int = 20) -> list[Path]:
    """Return complete runs of this run's revision and plan besides itself, the newest first.

    They tell how much runs differ that should not: the noise floor of a comparison.

    Args:
        least: where there are fewer, none are returned: they would be read for nothing.
        most: how many are enough.
    """
    found = [
        run.path
        for run in find_runs(results).runs
        if run.manifest.complete
        and run.manifest.run_id != manifest.run_id
        and run.manifest.revision == manifest.revision
        and run.manifest.comparability_hash == manifest.comparability_hash
    ]
    return found[:most] if len(found) >= least else []
