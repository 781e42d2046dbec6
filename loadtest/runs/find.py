"""Which runs there are, and which one a person means.

Pinned runs are copies under results/baselines/ and otherwise runs like any other. Where runs are counted, a
run counts once.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from loadtest import text
from loadtest.errors import RunNotFound, RunUnreadable, UsageError
from loadtest.report.tables import Table, Untrusted
from loadtest.results import directory
from loadtest.results.manifest import Manifest
from loadtest.results.reader import read_json, read_manifest
from loadtest.ruling import Ruling
from loadtest.verdict.items import Verdict


def read_verdict(path: Path) -> Verdict | None:
    """Read a run directory's verdict.json, None where there is none.

    Raises:
        RunUnreadable: it is damaged, or of another schema.
    """
    file = path / directory.VERDICT
    return read_json(file, Verdict) if file.is_file() else None


def given_verdict(path: Path) -> Verdict | None:
    """Return the verdict in a run's verdict.json, None if there is none or it cannot be read."""
    try:
        return read_verdict(path)
    except RunUnreadable:
        return None


_PLAN = re.compile(r"[0-9a-f]{6,64}")
"""The beginning of a comparability hash, long enough to be meant."""


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


class ListedRun(Struct, frozen=True, kw_only=True):
    """A run in the list.

    Args:
        duration_s: from start to end; None for a run that was not ended in good order.
        verdict: None where there is none yet, or where it cannot be read.
        failure: what made the tool itself give up, None if nothing did.
        pinned: whether it is a pinned baseline.
    """

    revision: str
    run_id: str
    started_at: str
    duration_s: float | None
    sessions: int
    verdict: Ruling | None
    complete: bool
    failure: str | None
    pinned: bool
    path: str


class Damaged(Struct, frozen=True, kw_only=True):
    """A run directory whose run.json cannot be read."""

    path: str
    problem: str


class Listing(Struct, frozen=True, kw_only=True):
    """What `list --json` prints."""

    runs: list[ListedRun]
    unreadable: list[Damaged]
    schema: int = 1


def list_runs(results: Path) -> Listing:
    """Return the runs under a results folder, the newest first."""
    catalogue = find_runs(results)
    return Listing(
        runs=[_listed(run) for run in catalogue.runs],
        unreadable=[Damaged(path=str(one.path), problem=one.problem) for one in catalogue.unreadable],
    )


def _listed(run: FoundRun) -> ListedRun:
    manifest = run.manifest
    return ListedRun(
        revision=manifest.revision,
        run_id=manifest.run_id,
        started_at=manifest.started_at,
        duration_s=_duration_s(manifest),
        sessions=manifest.plan.sessions,
        verdict=_verdict(run.path),
        complete=manifest.complete,
        failure=manifest.failure,
        pinned=run.pinned,
        path=str(run.path),
    )


def _duration_s(manifest: Manifest) -> float | None:
    if manifest.ended_at is None:
        return None
    try:
        ended = datetime.fromisoformat(manifest.ended_at)
        return max(0.0, ended.timestamp() - manifest.started_unix_ns // 10**9)
    except (ValueError, OverflowError, OSError):  # run.json may hold any text there
        return None


def _verdict(path: Path) -> Ruling | None:
    verdict = given_verdict(path)
    return None if verdict is None else verdict.verdict


def _ending(run: ListedRun) -> str:
    if run.failure is not None:
        return "tool failed"
    return "yes" if run.complete else "no"


def listing_tables(listing: Listing) -> Iterator[Table]:
    """Yield the runs, and those that cannot be read."""
    rows = [
        (
            Untrusted(run.revision),
            Untrusted(run.started_at[:16].replace("T", " ")),
            text.UNKNOWN if run.duration_s is None else text.clock(run.duration_s),
            text.count(run.sessions),
            run.verdict or text.UNKNOWN,
            _ending(run),
            Untrusted(f"{run.run_id} (pinned)" if run.pinned else run.run_id),
        )
        for run in listing.runs
    ]
    header = ("revision", "started (UTC)", "length", "sessions", "verdict", "complete", "id")
    yield Table(header, "llrrlll", rows, "Runs")
    unreadable = [(Untrusted(one.path), Untrusted(one.problem)) for one in listing.unreadable]
    yield Table(("cannot be read", "why"), "ll", unreadable, "Unreadable runs")
