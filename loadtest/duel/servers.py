"""The servers of a duel: those given as commands are started, and stopped at the end.

A command gets a free port, as `{port}` in its arguments and as PORT in its environment; its server must
listen on that port of 127.0.0.1. The port cannot be reserved: if another program takes it first, the server
is started again on another port. Both servers run during the whole duel, so while one is measured the other
only idles.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from loadtest.duel.logged_process import LOOK_EVERY_S, LoggedProcess
from loadtest.duel.settings import Side
from loadtest.errors import InvalidSetting
from loadtest.text import one_line
from loadtest.transport.target import LOOPBACK, Target, check_reachable, free_port, is_free

_GRACE_S = 5.0
_TRIES = 3
_SETTLE_S = 1.0
"""How long a server must stay alive once something listens on its port: that may be another program, and the
server is about to fail on it."""

_PLACEHOLDER = "{port}"


class Servers:
    """The servers of a running duel; a context manager that stops those it started.

    Args:
        sides: the two sides of the duel.
        folder: folder for the servers' logs.
        timeout_s: seconds that each server may take to listen.

    Attributes:
        urls: URL of each side, by role.
        logs: output of each server that was started, by role.

    Raises:
        InvalidSetting: a command does not start a server that listens in time.
    """

    def __init__(self, sides: Sequence[Side], *, folder: Path, timeout_s: float) -> None:
        self.urls = {side.role: side.url for side in sides if side.url}
        self.logs: dict[str, Path] = {}
        self._processes: dict[str, LoggedProcess] = {}
        with ExitStack() as stack:
            for side in sides:
                if side.command:
                    port = self._start(side, stack, folder=folder, timeout_s=timeout_s)
                    self.urls[side.role] = f"ws://{LOOPBACK}:{port}"
            self._stack = stack.pop_all()

    def _start(self, side: Side, stack: ExitStack, *, folder: Path, timeout_s: float) -> int:
        """Start a side's server, register its shutdown on the stack, and return its port."""
        for _ in range(_TRIES):
            port = free_port()
            with ExitStack() as unless_it_listens:
                process = unless_it_listens.enter_context(_process(side, port, folder))
                if _listens_in_time(side, process, port, timeout_s):
                    stack.push(unless_it_listens.pop_all())
                    self._processes[side.role] = process
                    self.logs[side.role] = process.log
                    return port
            # Retry only if another program has the port: after exit status 0 it may be the server itself,
            # gone to the background.
            if process.exit_status == 0 or is_free(port):
                break
        problem = f"ended with exit status {process.exit_status} instead of listening on port {port}"
        raise _failed(side, process, problem)

    def ended(self) -> dict[str, str]:
        """Return a message for each server that has ended by itself, by role."""
        return {
            role: f"the server ended with exit status {process.exit_status}; its output is in {process.log}"
            for role, process in self._processes.items()
            if process.exit_status is not None
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def _process(side: Side, port: int, folder: Path) -> LoggedProcess:
    words = [word.replace(_PLACEHOLDER, str(port)) for word in side.command]
    try:
        return LoggedProcess(
            words,
            log=folder / f"server-{side.role}.log",
            environment={"PORT": str(port)},
            grace_s=_GRACE_S,
        )
    except OSError as error:
        problem = f"cannot be started: {error.strerror or error}"
        hint = "No shell reads it: for one use sh -c '…'"
        raise InvalidSetting(f"--{side.role}-cmd", side.command[0], problem, hint) from error


def _listens_in_time(side: Side, process: LoggedProcess, port: int, timeout_s: float) -> bool:
    """Wait for the server to listen. Return True if it listens and stays alive, False if it has ended.

    Raises:
        InvalidSetting: it does not listen in time.
    """
    deadline_s = time.monotonic() + timeout_s
    while process.exit_status is None:
        if _listens(port):
            return process.wait(_SETTLE_S) is None
        if time.monotonic() > deadline_s:
            raise _failed(side, process, f"did not listen on {LOOPBACK}:{port} within {timeout_s:g} s")
        time.sleep(LOOK_EVERY_S)
    return False


def _listens(port: int) -> bool:
    try:
        check_reachable(Target(LOOPBACK, port), 1.0)
    except InvalidSetting:
        return False
    return True


def _failed(side: Side, process: LoggedProcess, problem: str) -> InvalidSetting:
    hint = f"Its output is in {process.log}: {one_line(process.last_words())}"
    if not any(_PLACEHOLDER in word for word in side.command):
        hint = f"The port to listen on is {{port}} in the command, or $PORT. {hint}"
    return InvalidSetting(f"--{side.role}-cmd", " ".join(side.command), problem, hint)
