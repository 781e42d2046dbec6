"""The servers of a duel: those given as commands are started, restarted, and stopped at the end.

A command gets a free port at each start, as `{port}` in its arguments and as PORT in its environment; its
server must listen on that port of 127.0.0.1. The port cannot be reserved: if another program takes it first,
the server is started again on another port. Both servers always run, except during their restarts: while one
is measured, the other is idle. Servers that are started together are started at the same time, so that
neither is older. Each instance writes to its own log, `server-a-01.log`, `server-a-02.log` and so on: a run
follows the log of the instance that it measures.

`loadtest.duel.pairing` decides when servers are started.
"""

import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from loadtest.duel.logged_process import LOOK_EVERY_S, LoggedProcess
from loadtest.duel.settings import Side
from loadtest.errors import InvalidSetting, LoadtestError
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
        urls: URL of each side, by role; for a command, after its server was started.
        logs: output file of the newest instance of each started server, by role.
    """

    def __init__(self, sides: Sequence[Side], *, folder: Path, timeout_s: float) -> None:
        self.urls = {side.role: side.url for side in sides if side.url}
        self.logs: dict[str, Path] = {}
        self._commands = {side.role: side for side in sides if side.command}
        self._folder = folder
        self._timeout_s = timeout_s
        self._instances = dict.fromkeys(self._commands, 0)
        self._processes: dict[str, LoggedProcess] = {}
        self._have_run: set[str] = set()
        self._not_restarted: dict[str, str] = {}

    def start(self, roles: Iterable[str]) -> None:
        """Start the servers of these sides at the same time; those that run are stopped first.

        A side with a URL is not touched. If a server that has run before does not restart, the other one is
        restarted, too: if neither starts, the machine is at fault and not a server.

        Raises:
            InvalidSetting: a command does not start a server that listens in time.
            LoadtestError: a server ended early, so nothing is restarted; `ended` says which.
        """
        if self.ended():
            raise LoadtestError("a server of the duel has ended")
        asked = [role for role in roles if role in self._commands]
        failures = self._start_anew(asked)
        if failures.keys() & self._have_run:
            failures |= self._start_anew(sorted(self._have_run.difference(asked)))
        for role in failures.keys() & self._have_run:
            self._not_restarted[role] = str(failures[role])
        for failure in failures.values():
            raise failure.as_setting() from failure
        self._have_run.update(asked)

    @property
    def not_restarted(self) -> bool:
        """Whether a server that had run before did not start again."""
        return bool(self._not_restarted)

    def ended(self) -> dict[str, str]:
        """Return a message for each server that ended early or did not restart, by role."""
        ended = {
            role: f"the server ended with exit status {process.exit_status}; its output is in {process.log}"
            for role, process in self._processes.items()
            if process.exit_status is not None
        }
        return ended | self._not_restarted

    def _start_anew(self, roles: Sequence[str]) -> dict[str, "_NotStarted"]:
        """Stop the servers of these roles, start new ones, and return why some do not start, by role.

        A server that ended is started again only if another program had its port.
        """
        for role in roles:
            self._instances[role] += 1
        failures: dict[str, _NotStarted] = {}
        left = roles
        for _ in range(_TRIES):
            failures = {role: one for role, one in failures.items() if role not in left} | self._try(left)
            left = [role for role in left if role in failures and failures[role].port_taken]
        return failures

    def _try(self, roles: Sequence[str]) -> dict[str, "_NotStarted"]:
        for role in roles:
            if role in self._processes:
                self._processes[role].stop()
                del self._processes[role]
        failures: dict[str, _NotStarted] = {}
        ports = dict(zip(roles, _free_ports(len(roles)), strict=True))
        for role, port in ports.items():
            try:
                self._processes[role] = self._process(role, port)
            except OSError as error:
                problem = f"cannot be started: {error.strerror or error}"
                failures[role] = _NotStarted(self._commands[role], problem)
        deadline_s = time.monotonic() + self._timeout_s
        waiting = {role: port for role, port in ports.items() if role not in failures}
        late = [role for role, port in waiting.items() if not self._listens(role, port, deadline_s)]
        settled_s = time.monotonic() + _SETTLE_S
        for role, port in waiting.items():
            if role in late:
                problem = f"did not listen on {LOOPBACK}:{port} within {self._timeout_s:g} s"
                failures[role] = _NotStarted(self._commands[role], problem, self._processes[role])
            elif self._processes[role].wait(max(0.0, settled_s - time.monotonic())) is not None:
                failures[role] = self._ended_early(role, port)
        return failures

    def _process(self, role: str, port: int) -> LoggedProcess:
        """Start a process. Its log replaces that of an earlier try."""
        log = self._folder / f"server-{role}-{self._instances[role]:02}.log"
        words = [word.replace(_PLACEHOLDER, str(port)) for word in self._commands[role].command]
        process = LoggedProcess(words, log=log, environment={"PORT": str(port)}, grace_s=_GRACE_S)
        self.urls[role], self.logs[role] = f"ws://{LOOPBACK}:{port}", log
        return process

    def _listens(self, role: str, port: int, deadline_s: float) -> bool:
        """Wait until a server listens or has ended; return False if it does neither in time."""
        while self._processes[role].exit_status is None and not _is_listening(port):
            if time.monotonic() > deadline_s:
                return False
            time.sleep(LOOK_EVERY_S)
        return True

    def _ended_early(self, role: str, port: int) -> "_NotStarted":
        process = self._processes[role]
        status = process.exit_status
        problem = f"ended with exit status {status} instead of listening on port {port}"
        # After exit status 0 the port may be taken by the server itself, gone to the background.
        port_taken = status != 0 and not is_free(port)
        return _NotStarted(self._commands[role], problem, process, port_taken=port_taken)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with ExitStack() as stack:  # all are stopped, even if one cannot be
            for process in self._processes.values():
                stack.callback(process.stop)


class _NotStarted(Exception):
    """A command did not start a server.

    Its text is for duel.json, which must not contain the command, because it may contain a password.

    Args:
        side: the side with the command.
        problem: continues the sentence after the option.
        process: the started process, None if it could not be started.
        port_taken: whether another program had its port, so that another try may help.
    """

    def __init__(
        self, side: Side, problem: str, process: LoggedProcess | None = None, *, port_taken: bool = False
    ) -> None:
        super().__init__(side.role, problem)
        self.port_taken = port_taken
        self._side = side
        self._problem = problem
        self._process = process

    def __str__(self) -> str:
        where = "" if self._process is None else f"; its output is in {self._process.log}"
        return f"the server did not start again: it {self._problem}{where}"

    def as_setting(self) -> InvalidSetting:
        """Return the error of the option, for the terminal."""
        option, words, process = f"--{self._side.role}-cmd", self._side.command, self._process
        if process is None:
            hint = "It runs without a shell. To use one: sh -c '…'"
            return InvalidSetting(option, words[0], self._problem, hint)
        hint = f"Its output is in {process.log}: {one_line(process.last_words())}"
        if not any(_PLACEHOLDER in word for word in words):
            hint = f"Pass {{port}} in the command, or listen on $PORT. {hint}"
        return InvalidSetting(option, " ".join(words), self._problem, hint)


def _free_ports(count: int) -> Sequence[int]:
    """Return different ports that are free now."""
    ports: dict[int, None] = {}
    while len(ports) < count:
        ports[free_port()] = None
    return list(ports)


def _is_listening(port: int) -> bool:
    try:
        check_reachable(Target(LOOPBACK, port), 1.0)
    except InvalidSetting:
        return False
    return True
