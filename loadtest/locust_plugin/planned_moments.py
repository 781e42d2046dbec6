"""Checks that storms and drills are planned before the end of the run."""

from collections.abc import Iterable

from loadtest.command_lines import command_words
from loadtest.drops.drills import AT, Drill
from loadtest.drops.plan import Storm
from loadtest.errors import InvalidSetting
from loadtest.scrubber import Secrets


def check_storms(storms: Iterable[Storm], run_time_s: float | None) -> None:
    """Refuse a storm that is planned at or after the end of the run.

    Raises:
        InvalidSetting: a storm is planned at or after the end.
    """
    for storm in storms:
        _check_moment("--ws-storm", storm.at_s, str(storm), run_time_s)


def check_drills(drills: Iterable[Drill], run_time_s: float | None, *, secrets: Secrets) -> None:
    """Refuse a drill that is planned at or after the end of the run, or whose program does not exist.

    Args:
        drills: the run's drills.
        run_time_s: the run's duration; None if it has none.
        secrets: texts that the error must not show.

    Raises:
        InvalidSetting: a drill is planned at or after the end, or its command is malformed or not found.
    """
    for drill in drills:
        command_words(drill.command, AT)
        _check_moment(AT, drill.at_s, drill.public(secrets), run_time_s)


def _check_moment(option: str, at_s: float, given: str, run_time_s: float | None) -> None:
    if run_time_s is not None and at_s >= run_time_s:
        problem = f"must come before the end of the run (--run-time {run_time_s:g}s)"
        raise InvalidSetting(option, given, problem, "Use an earlier moment or a longer run")
