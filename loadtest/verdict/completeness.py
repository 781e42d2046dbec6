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


def incomplete(run: RunData) -> str:
    """Return why a run's data is incomplete, empty if it is complete."""
    lost = lost_workers(run)
    unknown = f"what {lost} saw is not known in full" if lost else ""
    return run.manifest.unended or unknown or ended_early(run)


def ended_early(run: RunData) -> str:
    """Return why the run was ended before its time, which is no cut: it had told what it could."""
    why = run.manifest.ended_early
    return f"the run was ended early: {why}" if why else ""


def lost_workers(run: RunData) -> str:
    """Return the workers with missing data, as text; empty if there are none."""
    missing = ", ".join(map(str, run.manifest.missing_workers))
    return missing and f"worker {missing}"


def cut_short(run: RunData) -> str:
    """Return that a run was ended before half of its planned time, empty if it was not."""
    planned_s = _planned_s(run)
    is_cut = run.length_s < HALF * planned_s and planned_s - run.length_s > START_S
    return _described(run) if is_cut else ""


def shortfall(run: RunData) -> str:
    """Return that a run lacks a part of its planned time that is worth a note, empty if it does not."""
    planned_s = _planned_s(run)
    is_noted = planned_s - run.length_s > max(NOTED_S, NOTED_RATIO * planned_s)
    return _described(run) if is_noted else cut_short(run)


def _planned_s(run: RunData) -> float:
    """Return the planned time of a run that someone may have cut short, 0 for any other.

    A run without -t has no planned time. One that the tool ended or that was killed has a reason of its own.
    """
    ended_otherwise = run.manifest.unended or run.manifest.ended_early
    return 0.0 if ended_otherwise else run.manifest.plan.duration_s or 0.0


def _described(run: RunData) -> str:
    return f"the run was cut short: {run.length_s:.0f} s of {_planned_s(run):.0f} s"
