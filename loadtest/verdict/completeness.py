"""How much of a run there is: ended in good order, with the data of all workers, and for its planned time.

Nothing passes in a run that lacks data, or that someone ended (Ctrl-C, SIGTERM) before half of its planned
time: what was going to happen may not have happened yet. A failure stays a failure, however short the run.
"""

from loadtest.results.data import RunData

NOTED_RATIO = 0.1
NOTED_S = 5.0
"""A note tells that a run was cut short if it lacks more than this share of its planned time and more than
5 s."""

HALF = 0.5
START_S = 3.0
"""Nothing passes in a run of less than half of its planned time that lacks more than this: Locust's own start
and end take two or three seconds of every run, so that `-t 2s` leaves half a second."""


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
    return _ended_early(run) or _cut_short(run)


def _ended_early(run: RunData) -> str:
    """Return why the tool ended the run before its time: it had no prospects any more."""
    why = run.manifest.ended_early
    return f"the run was ended early: {why}" if why else ""


def lost_workers(run: RunData) -> str:
    """Return which workers were lost with a part of their data, empty if none was."""
    missing = run.manifest.missing_workers
    if not missing:
        return ""
    if len(missing) == 1:
        return f"worker {missing[0]} was lost before it had delivered all its data"
    return f"workers {', '.join(map(str, missing))} were lost before they had delivered all their data"


def _cut_short(run: RunData) -> str:
    """Return that a run was ended before half of its planned time, empty if it was not."""
    planned_s = _planned_s(run)
    is_cut = run.length_s < HALF * planned_s and planned_s - run.length_s > START_S
    return _described(run) if is_cut else ""


def shortfall(run: RunData) -> str:
    """Return that a run lacks a part of its planned time that is worth a note, empty if it does not."""
    planned_s = _planned_s(run)
    is_noted = planned_s - run.length_s > max(NOTED_S, NOTED_RATIO * planned_s)
    return _described(run) if is_noted else too_short(run)


def _planned_s(run: RunData) -> float:
    """Return the planned time of a run that someone may have cut short, 0 for any other.

    A run without -t has no planned time. One that the tool ended or that was killed has a reason of its own.
    """
    ended_otherwise = run.manifest.unended or run.manifest.ended_early
    return 0.0 if ended_otherwise else run.manifest.plan.duration_s or 0.0


def _described(run: RunData) -> str:
    return f"the run was cut short: {run.length_s:.0f} s of {_planned_s(run):.0f} s"
