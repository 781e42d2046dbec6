"""One run of a duel: headless Locust in a process of its own, as anybody starts it, and the run it leaves.

Locust has its own process because it patches the standard library, and because a run must not know whether a
duel asked for it. A run that was not finished is killed: its directory then says that it is not complete, and
nothing will ever be compared with it.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from loadtest.duel.processes import Process
from loadtest.duel.settings import DuelSettings, Side
from loadtest.errors import LoadtestError, RunUnreadable, UsageError
from loadtest.report.text import printable
from loadtest.run import read_manifest
from loadtest.run.directory import MANIFEST, folder_name

_OVERTIME_S = 120.0
"""What a run may take beyond its duration: starting, closing its sessions, its reports."""

_VERDICTS = (0, 1, 4)
"""Exit codes of a run that was made and judged."""


@dataclass(frozen=True, slots=True)
class _Turn:
    side: Side
    known: frozenset[Path]
    process: Process


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
        UsageError: Locust refused its arguments.
        LoadtestError: Locust failed, or did not end.
    """
    sides = {side.role: side for side in settings.sides}
    turns: list[_Turn] = []
    with ExitStack() as stack:
        for role in roles:
            known = frozenset(_runs_of(sides[role], settings.results))
            command = _command(settings, sides[role], urls[role])
            turns.append(_Turn(sides[role], known, stack.enter_context(Process(command, log=logs[role]))))
        deadline_s = time.monotonic() + settings.duration_s + _OVERTIME_S
        for turn in turns:
            _check_end(turn, turn.process.wait(max(0.0, deadline_s - time.monotonic())), settings)
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


def _check_end(turn: _Turn, status: int | None, settings: DuelSettings) -> None:
    if status in _VERDICTS:
        return
    said = printable(turn.process.last_words())
    where = f"the run of {turn.side.role}; its output is in {turn.process.log}"
    if status is None:
        raise LoadtestError(f"Locust did not end {_OVERTIME_S:g} s after {settings.duration_s} s: {where}")
    if status == UsageError.exit_code:
        raise UsageError(f"{said.removeprefix('Error: ')} ({where})")
    raise LoadtestError(f"Locust ended with exit status {status}: {said} ({where})")


def _runs_of(side: Side, results: Path) -> set[Path]:
    return {path.parent for path in (results / folder_name(side.revision)).glob(f"*/{MANIFEST}")}


def _made(turn: _Turn, results: Path) -> Path:
    """Return the one run of the side's revision that was not there before."""
    found = [
        path for path in _runs_of(turn.side, results) - turn.known if _revision(path) == turn.side.revision
    ]
    if len(found) != 1:
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
