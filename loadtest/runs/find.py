"""Find runs: all runs of a results folder (`loadtest list`), or the one that a RUN argument names.

A RUN argument is a run directory, a run id or its beginning, or a revision, which means its newest complete
run, of a duel only if there is no other. Some commands also accept the beginning of a plan's comparability
hash. A name that may mean several runs is refused. Pinned baselines are copies of runs in results/baselines/,
and otherwise normal runs; `once` drops a copy if the original still exists, and an id means the original.

Only run.json, verdict.json and duel.json are read here. `loadtest.runs.baselines` chooses baselines.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from loadtest import text
from loadtest.errors import RunNotFound, RunUnreadable, UsageError
from loadtest.report.tables import Sheet, Table, Untrusted
from loadtest.results import directory
from loadtest.results.manifest import Manifest
from loadtest.results.reader import read_json, read_manifest
from loadtest.ruling import Ruling
from loadtest.runs.run_folders import own_folder, run_folders
from loadtest.runs.verdict_file import readable_verdict

_PLAN = re.compile(r"[0-9a-f]{6,64}")
"""The beginning of a comparability hash, long enough to be rarely mistaken for a revision."""

SHORTEST_ID = 4
"""Characters of a run id's beginning that stand for the run; an id has 8."""

_DUEL = re.compile(r"\bduel \d{8}T\d{6}Z-([0-9a-f]{8})\b")
"""A duel in a note. Its id is enough for a table: the time is nearly that of the run."""

_CANDIDATES_SHOWN = 5
"""Runs that an ambiguous name may mean, as an error lists them."""

HASH_SHOWN = 12
"""Characters of a comparability hash to show: enough to distinguish plans."""

MAKE_RUN = "locust -f locustfiles/ws.py --headless -u 5 -r 5 -t 30s"
"""The command to suggest if there are no runs yet."""


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run directory and its manifest; `pinned` if it is under results/baselines/."""

    path: Path
    manifest: Manifest
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class MadeBy:
    """The duel that made a run, and whether the run is one of its baseline."""

    duel: str
    is_baseline: bool


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The runs of a results folder, newest first.

    Args:
        runs: the runs.
        unreadable: those whose run.json is unreadable.
        duels: the duel that made a run, by its resolved directory.
    """

    runs: Sequence[FoundRun]
    unreadable: Sequence[RunUnreadable]
    duels: Mapping[Path, MadeBy]

    def newest_complete(self, revision: str, *, besides: str = "") -> FoundRun | None:
        """Return the complete run that a revision stands for, leaving out the run with id `besides`."""
        return next(iter(self.complete_of_revision(revision, besides=besides)), None)

    def complete_of_revision(self, revision: str, *, besides: str = "") -> list[FoundRun]:
        """Return the complete runs of a revision: newest first, with those that a duel made at the end."""
        complete = [run for run in self.of_revision(revision, besides) if run.manifest.complete]
        return sorted(complete, key=self.is_of_duel)

    def is_of_duel(self, run: FoundRun) -> bool:
        """Return whether a duel made a run."""
        return run.path.resolve() in self.duels

    def of_revision(self, revision: str, besides: str = "") -> Iterator[FoundRun]:
        """Yield the runs of a revision, complete or not, newest first."""
        return (
            run for run in self.runs if run.manifest.revision == revision and run.manifest.run_id != besides
        )

    def complete_of_plan(self, comparability_hash: str) -> list[FoundRun]:
        """Return the complete runs of a plan, newest first."""
        return [run for run in self.of_plan(comparability_hash) if run.manifest.complete]

    def of_plan(self, comparability_hash: str) -> Iterator[FoundRun]:
        """Yield the runs of a plan, complete or not, newest first."""
        return (run for run in self.runs if run.manifest.comparability_hash == comparability_hash)


def with_id(runs: Iterable[FoundRun], wanted: str) -> list[FoundRun]:
    """Return the runs with this id; if there are none, those whose id begins with it, if long enough."""
    runs = list(runs)
    exact = [run for run in runs if run.manifest.run_id == wanted]
    if exact or len(wanted) < SHORTEST_ID:
        return exact
    return [run for run in runs if run.manifest.run_id.startswith(wanted)]


def without_slash(wanted: str) -> str:
    """Return a name without the slash that a shell's completion appends to folders."""
    return wanted.rstrip("/") or wanted


def originals(runs: Sequence[FoundRun]) -> list[FoundRun]:
    """Return the runs without pinned copies of other runs in the list."""
    unpinned = {run.manifest.run_id for run in runs if not run.pinned}
    return [run for run in runs if not (run.pinned and run.manifest.run_id in unpinned)]


def ambiguous(wanted: str, runs: Sequence[FoundRun]) -> UsageError:
    """Return the error for a name that may mean several runs."""
    shown = [
        text.one_line(f"{run.manifest.run_id} of {run.manifest.revision} ({run.path})", 400)
        for run in runs[:_CANDIDATES_SHOWN]
    ]
    more = f" and {len(runs) - len(shown)} more" if runs[len(shown) :] else ""
    return UsageError(
        f"{wanted!r} may mean several runs: {', '.join(shown)}{more}. Give more characters of the id, or the "
        "run's directory"
    )


def find_runs(results: Path) -> Catalogue:
    """Return all runs of a results folder, newest first; none if the folder does not exist."""
    runs, unreadable = [], []
    for path in run_folders(results):
        if isinstance(path, RunUnreadable):
            unreadable.append(path)
            continue
        try:
            pinned = path.is_relative_to(results / directory.BASELINES)
            runs.append(FoundRun(path, read_manifest(path), pinned))
        except RunUnreadable as problem:
            unreadable.append(problem)
    runs.sort(key=lambda run: (run.manifest.started_unix_ns, run.manifest.run_id, run.path), reverse=True)
    return Catalogue(runs, unreadable, _made_by_duels(results))


def resolve(wanted: str, results: Path, *, besides: str = "") -> Path:
    """Return the run directory that a RUN argument names.

    Args:
        wanted: a run directory, as a path or relative to the results folder; a run id or its beginning; or a
            revision, which means its newest complete run.
        results: the folder of all runs.
        besides: id of a run to leave out.

    Raises:
        RunNotFound: no run directory, run id or revision has that name.
        UsageError: the name may mean several runs, or the revision has no complete run.
    """
    for path in (Path(wanted), results / wanted):
        if _is_run(path):
            return own_folder(path, results)
    catalogue = find_runs(results)
    of_id = originals(with_id((run for run in catalogue.runs if run.manifest.run_id != besides), wanted))
    found = catalogue.newest_complete(wanted, besides=besides)
    incomplete = next(catalogue.of_revision(wanted, besides), None)
    of_revision = [run for run in (found or incomplete,) if run is not None and run not in of_id]
    if len([*of_id, *of_revision]) > 1:
        raise ambiguous(wanted, [*of_id, *of_revision])
    if of_id:
        return of_id[0].path
    if found is not None:
        return found.path
    if incomplete is None:
        if without_slash(wanted) != wanted:
            return resolve(without_slash(wanted), results, besides=besides)
        raise RunNotFound(wanted, results)
    raise UsageError(
        f"revision {wanted!r} has no complete run in {results}/. To use an incomplete one, name its "
        f"directory; the newest is {incomplete.path}"
    )


def _is_run(path: Path) -> bool:
    try:
        return os.path.lexists(path / directory.MANIFEST)
    except (OSError, ValueError):  # a revision may be too long for a path, or contain NUL
        return False


def run_of_plan(wanted: str | None, results: Path) -> FoundRun:
    """Return the run whose plan an argument names.

    Args:
        wanted: a run as for `resolve`; the beginning of a comparability hash, which means the newest complete
            run of that plan; or None for the newest complete run of any plan.
        results: the folder of all runs.

    Raises:
        RunNotFound: no run, revision or plan has that name.
        UsageError: the name matches several plans, or there is no complete run.
    """
    complete = [run for run in once(find_runs(results).runs) if run.manifest.complete]
    if wanted is None:
        if not complete:
            raise UsageError(f"no complete run in {results}/ yet. To make one, run: {MAKE_RUN}")
        return complete[0]
    of_plan = [
        run
        for run in complete
        if _PLAN.fullmatch(wanted) and run.manifest.comparability_hash.startswith(wanted)
    ]
    if len({run.manifest.comparability_hash for run in of_plan}) > 1:
        raise UsageError(f"several plans begin with {wanted}. Give more characters of the hash")
    try:
        path = resolve(wanted, results)
    except RunNotFound:
        if of_plan:
            return of_plan[0]
        raise
    named = FoundRun(path, read_manifest(path))
    if of_plan and named.manifest.comparability_hash != of_plan[0].manifest.comparability_hash:
        raise ambiguous(wanted, [named, of_plan[0]])
    return named


def once(runs: Iterable[FoundRun]) -> list[FoundRun]:
    """Return each run once, in the same order: a pinned copy only if the original is gone."""
    found: dict[str, FoundRun] = {}
    for run in runs:
        known = found.get(run.manifest.run_id)
        if known is None or known.pinned:
            found[run.manifest.run_id] = run
    return list(found.values())


class ListedRun(Struct, frozen=True, kw_only=True):
    """A run in the list.

    Args:
        duration_s: seconds from start to end, None if the end is unknown.
        sessions: number of planned sessions.
        verdict: verdict on the run, None if there is none or it is unreadable.
        failure: why the tool itself failed, None if it did not.
        pinned: whether this is a pinned baseline.
        note: whether it is a drill, and the duel that made it; empty for any other run.
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
    note: str = ""


class Damaged(Struct, frozen=True, kw_only=True):
    """A run directory whose run.json is unreadable."""

    path: str
    problem: str


class Listing(Struct, frozen=True, kw_only=True):
    """What `list --json` prints."""

    runs: list[ListedRun]
    unreadable: list[Damaged]
    schema: int = 1


def list_runs(results: Path) -> Listing:
    """Return the runs of a results folder, newest first."""
    catalogue = find_runs(results)
    return Listing(
        runs=[_listed(run, catalogue.duels.get(run.path.resolve())) for run in catalogue.runs],
        unreadable=[Damaged(path=_written(one.path), problem=one.problem) for one in catalogue.unreadable],
    )


class _Pair(Struct, frozen=True):
    a: str
    b: str


class _Duel(Struct, frozen=True):
    """The part of a duel.json that names its runs, relative to the results folder."""

    pairs: list[_Pair] = []


def _made_by_duels(results: Path) -> dict[Path, MadeBy]:
    """Return the duel that made each run, by resolved directory; unreadable duel.json files are skipped."""
    made: dict[Path, MadeBy] = {}
    for file in sorted((results / directory.DUELS).glob("*/duel.json")):
        with suppress(RunUnreadable, OSError, ValueError):  # a path in it may be invalid
            for pair in read_json(file, _Duel).pairs:
                made[(results / pair.a).resolve()] = MadeBy(file.parent.name, is_baseline=True)
                made[(results / pair.b).resolve()] = MadeBy(file.parent.name, is_baseline=False)
    return made


def _listed(run: FoundRun, made_by: MadeBy | None) -> ListedRun:
    manifest = run.manifest
    notes = ["drill"] if manifest.drills else []
    notes += [f"duel {made_by.duel}"] if made_by is not None else []
    return ListedRun(
        revision=manifest.revision,
        run_id=manifest.run_id,
        started_at=manifest.started_at,
        duration_s=duration_s(manifest),
        sessions=manifest.sessions,
        verdict=_verdict(run.path),
        complete=manifest.complete,
        failure=manifest.failure,
        pinned=run.pinned,
        path=_written(run.path),
        note=", ".join(notes),
    )


def _written(path: Path) -> str:
    """Return a path as text that can be encoded in UTF-8, whatever bytes its names have."""
    return os.fsencode(path).decode(errors="backslashreplace")


def duration_s(manifest: Manifest) -> float | None:
    """Return the seconds from a run's start to its end, None if the end is unknown."""
    if manifest.ended_at is None:
        return None
    try:
        ended = datetime.fromisoformat(manifest.ended_at)
        return max(0.0, ended.timestamp() - manifest.started_unix_ns // 10**9)
    except (ValueError, OverflowError, OSError):  # run.json may hold any text
        return None


def _verdict(path: Path) -> Ruling | None:
    verdict = readable_verdict(path)
    return None if verdict is None else verdict.verdict


def _ending(run: ListedRun) -> str:
    if run.failure is not None:
        return "tool failed"
    return "yes" if run.complete else "no"


def started_utc(started_at: str) -> Untrusted:
    """Shorten a manifest's time (ISO 8601) to the minute, for a table."""
    return Untrusted(started_at[:16].replace("T", " "))


def listing_sheet(listing: Listing, results: Path) -> Sheet:
    """Return the runs of a results folder, and the unreadable ones, as tables."""
    if not (listing.runs or listing.unreadable):
        how = f"To make one, run: {MAKE_RUN}"
        return Sheet(headline=f"no runs in {results}/ yet", lines=[how], tables=())
    unreadable = f", {text.count(len(listing.unreadable))} unreadable" if listing.unreadable else ""
    runs = text.counted(len(listing.runs), "run")
    return Sheet(headline=f"{runs} in {results}/{unreadable}", lines=(), tables=list(_tables(listing)))


def _tables(listing: Listing) -> Iterator[Table]:
    rows = [
        (
            Untrusted(run.revision),
            started_utc(run.started_at),
            text.UNKNOWN if run.duration_s is None else text.clock(run.duration_s),
            text.count(run.sessions),
            run.verdict or text.UNKNOWN,
            _ending(run),
            Untrusted(f"{run.run_id} (pinned)" if run.pinned else run.run_id),
            Untrusted(_DUEL.sub(r"duel \1", run.note)),
        )
        for run in listing.runs
    ]
    header = ("revision", "started (UTC)", "length", "sessions", "verdict", "complete", "id", "note")
    yield Table(header, "llrrllll", rows, "Runs")
    unreadable = [(Untrusted(one.path), Untrusted(one.problem)) for one in listing.unreadable]
    yield Table(("unreadable", "problem"), "ll", unreadable, "Unreadable runs")
