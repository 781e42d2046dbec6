"""One run of a duel: headless Locust in a process of its own, as anybody starts it, and the run it leaves.

Locust has its own process because it patches the standard library, and because a run must not know whether a
duel asked for it. A run that was not finished is killed: its directory then says that it is not complete, and
nothing will ever be compared with it.
"""

import re
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from loadtest.duel.logged_process import LOOK_EVERY_S, LoggedProcess
from loadtest.duel.settings import DuelSettings, Side
from loadtest.errors import LoadtestError, RunUnreadable, UsageError
from loadtest.results.directory import MANIFEST, folder_name
from loadtest.results.reader import read_manifest
from loadtest.text import one_line

_OVERTIME_S = 120.0
"""What a run may take beyond its duration: starting, closing its sessions, its reports."""

_VERDICTS = (0, 1, 4)
"""Exit codes of a run that was made and judged."""

_PROGRAM = re.compile(r"^(?:\S+: )?error: ", re.IGNORECASE)
"""How a line begins in which a program says what is wrong with its arguments."""


@dataclass(frozen=True, slots=True)
class _Turn:
    side: Side
    known: frozenset[Path]
    process: LoggedProcess


class MakeRuns(Protocol):
    """Makes a run of each of these sides, all at once, and returns their directories."""

    def __call__(
        self,
        settings: DuelSettings,
        roles: Sequence[str],
        /,
        *,
        urls: Mapping[str, str],
        logs: Mapping[str, Path],
    ) -> dict[str, Path]: ...


def run_at_once(
    settings: DuelSettings, roles: Sequence[str], *, urls: Mapping[str, str], logs: Mapping[str, Path]
) -> dict[str, Path]:
    """Make a run of each of these sides, all at once, and return their directories.

    Args:
        roles: of the sides.
        urls: where each is.
        logs: file for Locust's output of each.

    Raises:
        UsageError: Locust refused its arguments or its locustfile.
        LoadtestError: Locust failed, or did not end. The runs of the others are broken off.
    """
    sides = {side.role: side for side in settings.sides}
    turns: list[_Turn] = []
    with ExitStack() as stack:
        for role in roles:
            known = frozenset(_runs_of(sides[role], settings.results))
            command = _command(settings, sides[role], urls[role])
            turns.append(
                _Turn(sides[role], known, stack.enter_context(LoggedProcess(command, log=logs[role])))
            )
        _wait(turns, settings.duration_s)
    return {turn.side.role: _made(turn, settings.results) for turn in turns}


def _command(settings: DuelSettings, side: Side, url: str) -> list[str]:
    """Return the words; what the duel sets comes last, where it wins over abbreviations of the same."""
    return [
        *(sys.executable, "-m", "locust", "-f", str(settings.locustfile)),
        *settings.arguments,
        *("--headless", "--only-summary", "-u", str(settings.users), "-r", str(settings.users)),
        *("-t", f"{settings.duration_s}s", "--host", url),
        *("--ws-results", str(settings.results), "--ws-revision", side.revision, "--ws-baseline", "none"),
    ]


def _wait(turns: Sequence[_Turn], duration_s: int) -> None:
    """Wait until all have ended well, or the first has not."""
    deadline_s = time.monotonic() + duration_s + _OVERTIME_S
    while under_way := [turn for turn in turns if _is_under_way(turn)]:
        if time.monotonic() > deadline_s:
            late = f"Locust did not end {_OVERTIME_S:g} s after a run of {duration_s} s"
            raise LoadtestError(f"{late}: {_last_words(under_way[0])}")
        time.sleep(LOOK_EVERY_S)


def _is_under_way(turn: _Turn) -> bool:
    """Tell whether Locust still runs.

    Raises:
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
    if "unrecognized" in said and "--ws-results" in said:  # which come with the class
        return "the locustfile has no WebSocketUser"
    return _PROGRAM.sub("", said)


def _last_words(turn: _Turn) -> str:
    said = one_line(turn.process.last_words())
    return f"{said} (the run of {turn.side.role}; its output is in {turn.process.log})"


def _runs_of(side: Side, results: Path) -> set[Path]:
    return {path.parent for path in (results / folder_name(side.revision)).glob(f"*/{MANIFEST}")}


def _made(turn: _Turn, results: Path) -> Path:
    """Return the one run of the side's revision that was not there before."""
    found = [
        path for path in _runs_of(turn.side, results) - turn.known if _revision(path) == turn.side.revision
    ]
    if not found:  # a locustfile that fails ends with the exit code of a failed verdict
        raise UsageError(f"Locust made no run with a WebSocketUser: {_last_words(turn)}")
    if len(found) > 1:
        raise LoadtestError(
            f"{len(found)} runs of {turn.side.revision} appeared under {results}, and one is of this duel. "
            f"Give --{turn.side.role}-revision a name that nobody else uses now"
        )
    return found[0]


def _revision(path: Path) -> str | None:
    try:
        return read_manifest(path).revision
    except RunUnreadable:
        return None
