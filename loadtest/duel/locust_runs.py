"""Makes the runs of a duel: headless Locust in its own process, started as a user would start it.

Locust needs its own process because it patches the standard library, and because a run must be the same with
or without a duel. If a duel ends early, its runs in progress are killed. Their run directories stay
incomplete, so they are never chosen as a baseline.
"""

import re
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from loadtest.duel.locust_options import LOGS
from loadtest.duel.logged_process import LOOK_EVERY_S, LoggedProcess
from loadtest.duel.settings import DuelSettings, Side
from loadtest.errors import LoadtestError, RunUnreadable, UsageError
from loadtest.locust_plugin.hidden_arguments import started_with
from loadtest.options import SETTINGS
from loadtest.results.directory import MANIFEST, folder_name
from loadtest.results.reader import read_manifest
from loadtest.text import one_line

_OVERTIME_S = 120.0
"""Seconds that a run may take beyond its duration: starting, closing sessions, writing reports."""

_VERDICTS = (0, 1, 4)
"""Exit codes of a run that was completed and judged: PASS, FAIL, INCONCLUSIVE."""

NOT_INHERITED = {
    SETTINGS["github"].variable: "false",
    SETTINGS["summary_file"].variable: "",
    SETTINGS["junit_file"].variable: "",
    SETTINGS["prometheus_port"].variable: "",
}
"""Variables of a run. The duel itself writes what CI reads, and two runs at once cannot have one port."""

_PROGRAM = re.compile(r"^(?:\S+: )?error: ", re.IGNORECASE)
"""Prefix of the line in which argparse reports an argument error."""


@dataclass(frozen=True, slots=True)
class _Turn:
    side: Side
    known: frozenset[Path]
    process: LoggedProcess


class MakeRuns(Protocol):
    """Makes a run of each given side, all at the same time, and returns the run directories by role."""

    def __call__(
        self,
        settings: DuelSettings,
        roles: Sequence[str],
        /,
        *,
        urls: Mapping[str, str],
        logs: Mapping[str, Path],
        server_logs: Mapping[str, Path],
    ) -> dict[str, Path]: ...


def run_at_once(
    settings: DuelSettings,
    roles: Sequence[str],
    *,
    urls: Mapping[str, str],
    logs: Mapping[str, Path],
    server_logs: Mapping[str, Path],
) -> dict[str, Path]:
    """Make a run of each given side, all at the same time, and return the run directories by role.

    Args:
        settings: settings of the duel.
        roles: sides to run.
        urls: URL of each side, by role.
        logs: file for Locust's output, by role.
        server_logs: server log to follow, by role, of the sides that have one.

    Raises:
        UsageError: Locust refused its arguments or its locustfile.
        LoadtestError: Locust failed or did not end. The other runs are killed.
    """
    sides = {side.role: side for side in settings.sides}
    turns: list[_Turn] = []
    with ExitStack() as stack:
        for role in roles:
            known = frozenset(_runs_of(sides[role], settings.results))
            command, environment = started_with(
                arguments_of(settings, sides[role], urls[role], server_logs.get(role))
            )
            environment = {**environment, **NOT_INHERITED}
            process = LoggedProcess(command, log=logs[role], environment=environment)
            turns.append(_Turn(sides[role], known, stack.enter_context(process)))
        _wait(turns, settings.duration_s)
    return {turn.side.role: _new_run(turn, settings.results) for turn in turns}


def arguments_of(settings: DuelSettings, side: Side, url: str, server_log: Path | None) -> list[str]:
    """Return Locust's arguments for a run.

    The duel's options come last and so override abbreviated ones. Only the spawn rate comes first: all users
    at once, unless the user's arguments say otherwise.
    """
    return [
        *("-f", str(settings.locustfile), "-r", str(settings.users)),
        *settings.arguments,
        *("--headless", "--only-summary", "-u", str(settings.users)),
        *("-t", f"{settings.duration_s}s", "--host", url),
        *("--ws-results", str(settings.results), "--ws-revision", side.revision, "--ws-baseline", "none"),
        *(() if server_log is None else (LOGS[0].option, str(server_log))),
    ]


def _wait(turns: Sequence[_Turn], duration_s: int) -> None:
    """Wait until all runs have ended.

    Raises:
        UsageError: Locust refused its arguments.
        LoadtestError: Locust failed, or did not end in time.
    """
    deadline_s = time.monotonic() + duration_s + _OVERTIME_S
    while under_way := [turn for turn in turns if _is_under_way(turn)]:
        if time.monotonic() > deadline_s:
            late = f"Locust was still running {_OVERTIME_S:g} s after the end of a {duration_s} s run"
            raise LoadtestError(f"{late}: {_last_words(under_way[0])}")
        time.sleep(LOOK_EVERY_S)


def _is_under_way(turn: _Turn) -> bool:
    """Return whether Locust is still running.

    Raises:
        UsageError: it refused its arguments.
        LoadtestError: it has ended without a verdict.
    """
    status = turn.process.exit_status
    if status is None or status in _VERDICTS:
        return status is None
    if status == UsageError.exit_code:
        raise UsageError(_refusal(turn))
    raise LoadtestError(f"Locust ended with exit status {status}: {_last_words(turn)}")


def _refusal(turn: _Turn) -> str:
    said = _last_words(turn)
    if "unrecognized" in said and "--ws-results" in said:  # the class adds these options
        return "the locustfile has no WebSocketUser"
    return _PROGRAM.sub("", said)


def _last_words(turn: _Turn) -> str:
    said = one_line(turn.process.last_words())
    return f"{said} (the run of {turn.side.role}; its output is in {turn.process.log})"


def _runs_of(side: Side, results: Path) -> set[Path]:
    return {path.parent for path in (results / folder_name(side.revision)).glob(f"*/{MANIFEST}")}


def _new_run(turn: _Turn, results: Path) -> Path:
    """Return the run directory of the side's revision that did not exist before."""
    found = [
        path for path in _runs_of(turn.side, results) - turn.known if _revision(path) == turn.side.revision
    ]
    if not found:  # Locust exits with 1 for a failing locustfile, too
        raise UsageError(f"Locust did not make a run with a WebSocketUser: {_last_words(turn)}")
    if len(found) > 1:
        raise LoadtestError(
            f"{len(found)} runs of {turn.side.revision} appeared in {results}, but this duel made only one. "
            f"Set --{turn.side.role}-revision to a name that no other process uses"
        )
    return found[0]


def _revision(path: Path) -> str | None:
    try:
        return read_manifest(path).revision
    except RunUnreadable:
        return None
