"""How much of a run there is: ended normally, with the data of all workers, and for its planned time.

Nothing passes in a run that lacks data, or that someone ended (Ctrl-C, SIGTERM) before half of its planned
time: what was going to happen may not have happened yet. A failure stays a failure, however short the run.
Nor is latency compared between runs of unequal length: a server that warms up or fills up behaves
differently later.
"""

from loadtest.results.data import RunData
from loadtest.results.manifest import Manifest

NOTED_RATIO = 0.1
NOTED_S = 5.0
"""A note tells that a run was cut short if it lacks more than this share of its planned time and more than
5 s."""

HALF = 0.5
START_S = 3.0
"""Nothing passes in a run of less than half of its planned time that lacks more than this: Locust's own start
and end take two or three seconds of every run, so that `-t 2s` leaves half a second."""

UNEQUAL_RATIO = 0.1
"""Runs are of unequal length if the shorter one lacks more than this share of the longer one's time, and more
than `START_S`."""


def unseen(run: RunData) -> str:
    """Return why nothing may pass in a run, empty if it may: it is incomplete or was too short."""
    return incomplete(run) or too_short(run)


def unseen_in_short(run: RunData) -> str:
    """Return the same without the details that the verdict's notes have: `the run was cut short`."""
    return incomplete(run) or too_short(run).partition(":")[0]


def incomplete(run: RunData) -> str:
    """Return why a run's data is incomplete, empty if it is complete."""
    return run.manifest.unended or lost_workers(run)


def too_short(run: RunData) -> str:
    """Return that a run was ended early, by the tool or by someone; empty if it was not."""
    return ended_too_soon(run.manifest, run.length_s)


def ended_too_soon(manifest: Manifest, length_s: float) -> str:
    """Return the same of a run of which only the manifest and the length in seconds are known."""
    if manifest.ended_early:  # by the tool: it had no prospects any more
        return f"the run was ended early: {manifest.ended_early}"
    planned_s = _planned_s(manifest)
    is_cut = length_s < HALF * planned_s and planned_s - length_s > START_S
    return _cut_short(length_s, planned_s) if is_cut else ""


def lost_workers(run: RunData) -> str:
    """Return which workers were lost with a part of their data, empty if none was."""
    missing = run.manifest.missing_workers
    if not missing:
        return ""
    if len(missing) == 1:
        return f"worker {missing[0]} was lost before it delivered all its data"
    return f"workers {', '.join(map(str, missing))} were lost before they delivered all their data"


def shortfall(run: RunData) -> str:
    """Return that a run lacks a part of its planned time that is worth a note, empty if it does not."""
    planned_s = _planned_s(run.manifest)
    is_noted = planned_s - run.length_s > max(NOTED_S, NOTED_RATIO * planned_s)
    return _cut_short(run.length_s, planned_s) if is_noted else too_short(run)


def unequal(one_s: float, other_s: float) -> bool:
    """Whether two runs of so many seconds are of unequal length."""
    return abs(one_s - other_s) > max(START_S, UNEQUAL_RATIO * max(one_s, other_s))


def _planned_s(manifest: Manifest) -> float:
    """Return the planned time of a run that someone may have cut short, 0 for any other.

    A run without -t has no planned time. One that the tool ended or that was killed has a reason of its own.
    """
    ended_otherwise = manifest.unended or manifest.ended_early
    return 0.0 if ended_otherwise else manifest.plan.duration_s or 0.0


def _cut_short(length_s: float, planned_s: float) -> str:
    return f"the run was cut short: {length_s:.0f} s of {planned_s:.0f} s"
