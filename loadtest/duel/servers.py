"""The two deployments: where they are, started from a command where there is one, and stopped at the end.

A command gets a free port of the loopback address, as `{port}` in its words and as PORT in its environment;
its server has to listen there on 127.0.0.1. Both servers run all the time, so that the one that is not being
measured costs nothing but its idling.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from loadtest.duel.processes import Process
from loadtest.duel.settings import Side
from loadtest.errors import InvalidSetting
from loadtest.report.text import printable
from loadtest.transport import Target, check_reachable
from loadtest.transport.ports import LOOPBACK, free_port

_GRACE_S = 5.0
_LOOK_EVERY_S = 0.1
_PLACEHOLDER = "{port}"


class Servers:
    """The deployments of a duel while it goes; a context manager that stops those it started.

    Args:
        sides: of the duel.
        folder: where their logs go.
        timeout_s: how long each may take to listen.

    Attributes:
        urls: where each is, by role.

    Raises:
        InvalidSetting: a command does not start a server that listens in time.
    """

    def __init__(self, sides: Sequence[Side], *, folder: Path, timeout_s: float) -> None:
        self.urls = {side.role: side.url for side in sides if side.url}
        self._processes: dict[str, Process] = {}
        with ExitStack() as stack:
            ports = {}
            for side in sides:
                if side.command:
                    ports[side.role] = free_port()
                    self._processes[side.role] = stack.enter_context(_started(side, ports[side.role], folder))
            for side in sides:
                if side.command:
                    _wait(side, self._processes[side.role], ports[side.role], timeout_s)
                    self.urls[side.role] = f"ws://{LOOPBACK}:{ports[side.role]}"
            self._stack = stack.pop_all()

    def ended(self) -> dict[str, str]:
        """Return what is to say of the servers that have ended by themselves, by role."""
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


def _started(side: Side, port: int, folder: Path) -> Process:
    words = [word.replace(_PLACEHOLDER, str(port)) for word in side.command]
    try:
        return Process(
            words,
            log=folder / f"server-{side.role}.log",
            environment={"PORT": str(port)},
            grace_s=_GRACE_S,
        )
    except OSError as error:
        raise InvalidSetting(
            f"--{side.role}-cmd",
            side.command[0],
            f"cannot be started ({error.strerror or error})",
            "Give a program and its arguments; no shell reads them",
        ) from error


def _wait(side: Side, process: Process, port: int, timeout_s: float) -> None:
    """Wait until the server accepts connections.

    Raises:
        InvalidSetting: it ended, or does not listen in time.
    """
    deadline_s = time.monotonic() + timeout_s
    while not _listens(port):
        status = process.exit_status
        if status is not None:
            raise _failed(side, process, f"ended with exit status {status} before it listened on port {port}")
        if time.monotonic() > deadline_s:
            raise _failed(side, process, f"did not listen on {LOOPBACK}:{port} within {timeout_s:g} s")
        time.sleep(_LOOK_EVERY_S)


def _listens(port: int) -> bool:
    try:
        check_reachable(Target(LOOPBACK, port), 1.0)
    except InvalidSetting:
        return False
    return True


def _failed(side: Side, process: Process, problem: str) -> InvalidSetting:
    told = ""
    if not any(_PLACEHOLDER in word for word in side.command):
        told = "The port it should use is {port} in the command, and $PORT. "
    last = printable(process.last_words())
    return InvalidSetting(
        f"--{side.role}-cmd", " ".join(side.command), problem, f"{told}Its output is in {process.log}: {last}"
    )
