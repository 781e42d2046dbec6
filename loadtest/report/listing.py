"""All runs in a row, the newest first: `loadtest list`. Manifests and verdicts are read, nothing else."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from loadtest.evidence import Manifest
from loadtest.report import figures
from loadtest.report.tables import Foreign, Table
from loadtest.run import FoundRun, find_runs, given_verdict


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
    verdict: str | None
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


def _verdict(path: Path) -> str | None:
    verdict = given_verdict(path)
    return None if verdict is None else str(verdict.verdict)


def _ending(run: ListedRun) -> str:
    if run.failure is not None:
        return "tool failed"
    return "yes" if run.complete else "no"


def listing_tables(listing: Listing) -> Iterator[Table]:
    """Yield the runs, and those that cannot be read."""
    rows = [
        (
            Foreign(run.revision),
            Foreign(run.started_at[:16].replace("T", " ")),
            figures.UNKNOWN if run.duration_s is None else figures.clock(run.duration_s),
            figures.count(run.sessions),
            run.verdict or figures.UNKNOWN,
            _ending(run),
            Foreign(f"{run.run_id} (pinned)" if run.pinned else run.run_id),
        )
        for run in listing.runs
    ]
    header = ("revision", "started (UTC)", "length", "sessions", "verdict", "complete", "id")
    yield Table(header, "llrrlll", rows, "Runs")
    unreadable = [(Foreign(one.path), Foreign(one.problem)) for one in listing.unreadable]
    yield Table(("cannot be read", "why"), "ll", unreadable, "Unreadable runs")
