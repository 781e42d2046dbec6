"""Runs the commands of `--ws-at`, in the process that records the run: a local run or a master.

Each drill has a greenlet that waits for its time, starts the command and follows it to its end. The output
goes to an unnamed file, not to a pipe: a deploy may leave a server running, which must survive when its
output is no longer read. The runner copies the output from there to the run directory, line by line, without
secrets and up to a limit.

A command that still runs when the run ends is stopped with all processes it started. Processes left behind by
a command that has ended are not touched.
"""

import fcntl
import logging
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import gevent
from msgspec.structs import replace

from loadtest.command_lines import command_words, public_command
from loadtest.drops.drills import AT, Drill
from loadtest.errors import InvalidSetting, LoadtestError, ResultsUnwritable
from loadtest.processes import Process
from loadtest.regular_files import create
from loadtest.results import directory
from loadtest.results.drill_windows import Windows
from loadtest.results.manifest import DrillRun
from loadtest.scrubber import NO_SECRETS, Secrets, public_line, without_secrets
from loadtest.text import one_line, without_likely_secrets

logger = logging.getLogger("loadtest")

LOOK_EVERY_S = 0.05
"""How often a running command is polled: its end is known to this precision."""

GRACE_S = 5.0
"""Between SIGTERM and SIGKILL when a command is stopped."""

CHUNK = 64 * 1024
"""Bytes of output read at a time: a millisecond of work, too little to disturb measurements."""

LOG_LIMIT = 2**20
"""Characters kept of a command's output."""

FILE_LIMIT = 2**26
"""Size in bytes at which the output file is emptied: a command that prints without end must not fill the
disk. Output written at that very moment is lost."""

_LEFT_OUT = "[output truncated]"
_LINE_LIMIT = 1000
_LATEST_WAIT_S = 1.0


def planned(drills: Sequence[Drill], secrets: Secrets) -> tuple[DrillRun, ...]:
    """Return the records of drills that have not started yet."""
    return tuple(DrillRun(at_s=one.at_s, command=public_command(one.command, secrets)) for one in drills)


class DrillRunner:
    """Runs the drills of one run.

    Args:
        drills: ordered by time.
        folder: the run directory, for their output.
        began_ns: the monotonic clock at the run's start.
        window_s: seconds after a command's end in which losses still belong to it.
        secrets: returns the texts that must not be written.
        write: called with all records whenever one has changed.
        tell: called with the windows whenever one begins or its end is known.
        failed: called with an error of the tool itself.

    Attributes:
        windows: the windows of the drills so far.
    """

    def __init__(
        self,
        drills: Sequence[Drill],
        folder: Path,
        *,
        began_ns: int,
        window_s: float,
        secrets: Callable[[], Secrets],
        write: Callable[[tuple[DrillRun, ...]], None],
        tell: Callable[[Windows], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._drills = drills
        self._folder = folder
        self._began_ns = began_ns
        self._window_s = window_s
        self._secrets = secrets
        self._write = write
        self._tell = tell
        self._failed = failed
        self._runs = list(planned(drills, secrets()))
        self._over = False
        self._greenlets: list[Any] = []
        self._waiting: dict[int, Any] = {}  # greenlets of drills that were not started yet
        self.windows = Windows({})

    def start(self) -> None:
        """Start the drills: each command runs at its time."""
        self._waiting = {number: gevent.spawn(self._guarded, number) for number in range(len(self._drills))}
        self._greenlets = list(self._waiting.values())

    def active(self) -> bool:
        """Return whether a command is running, or its window is open."""
        return self.windows.at(self._elapsed_ns()) is not None

    def finish(self) -> None:
        """Start no more commands, stop those that still run, and wait for their end."""
        self._over = True
        gevent.killall(list(self._waiting.values()))
        gevent.joinall(self._greenlets)  # not killed: one that is starting its command must also stop it

    def _guarded(self, number: int) -> None:
        try:
            self._wait_until(self._drills[number].at_s)
            del self._waiting[number]
            if command := self._started(number):
                self._follow(number, command)
        except Exception as error:
            self._failed(error)

    def _follow(self, number: int, command: "_Command") -> None:
        """Follow a command to its end; stop it after an error of the tool."""
        try:
            status = self._copy(number, command)
        except BaseException:
            stopped = self._runs[number].stopped or command.exit_status is None
            status = command.abandon()
            self._change(number, ended_s=self._now_s(), exit_status=status, stopped=stopped)
            raise
        self._tell_end(number, status)

    def _copy(self, number: int, command: "_Command") -> int:
        """Copy a command's output until it ends, or until the end of the run stops it; return its status."""
        while (status := command.exit_status) is None and not self._over:
            command.look()
            gevent.sleep(LOOK_EVERY_S)
        stopped = status is None
        if status is None:
            status = command.stop()
        last_words = command.close()
        self._change(
            number, ended_s=self._now_s(), exit_status=status, stopped=stopped, last_words=last_words
        )
        return status

    def _tell_end(self, number: int, status: int) -> None:
        run = self._runs[number]
        took_s = (run.ended_s or 0.0) - (run.started_s or 0.0)
        if run.stopped:
            stopped = "%s: still running at the end of the run, stopped after %.1f s"
            logger.warning(stopped, self._name(number), took_s)
            return
        said = f": {run.last_words}" if run.last_words and status else ""
        level = logging.WARNING if status else logging.INFO
        ended = "%s: ended with %s after %.1f s%s"
        logger.log(level, ended, self._name(number), _exit_text(status), took_s, said)

    def _wait_until(self, at_s: float) -> None:
        # gevent's timers count from a cached clock and may fire early.
        while (left_s := at_s - self._elapsed_ns() / 1e9) > 0:
            gevent.sleep(min(left_s, _LATEST_WAIT_S))

    def _started(self, number: int) -> "_Command | None":
        """Start a command and return it; None if it cannot be started.

        Its window begins first, so that it covers everything the command does.
        """
        self._change(number, started_s=self._now_s())
        try:
            words = command_words(self._drills[number].command, AT)
            log = self._folder / directory.DRILL_LOG.format(number + 1)
            command = _Command(words, log, self._secrets)
        except (LoadtestError, OSError) as error:
            why = public_line(f"cannot be started: {_reason(error)}", self._secrets())
            self._change(number, started_s=None, last_words=why)
            if isinstance(error, ResultsUnwritable):
                raise
            logger.error("%s %s", self._name(number), why)
            return None
        logger.info("%s: started %s", self._name(number), self._runs[number].command)
        return command

    def _change(self, number: int, **changes: Any) -> None:
        self._runs[number] = replace(self._runs[number], **changes)
        runs = tuple(self._runs)
        self.windows = Windows.around(runs, self._window_s)
        try:
            self._write(runs)
        finally:
            self._tell(self.windows)

    def _elapsed_ns(self) -> int:
        return time.monotonic_ns() - self._began_ns

    def _now_s(self) -> float:
        """Return the seconds since the run's start, rounded down to milliseconds."""
        return self._elapsed_ns() // 1_000_000 / 1000

    def _name(self, number: int) -> str:
        return f"drill {number + 1} of {len(self._drills)}"


def _reason(error: Exception) -> str:
    """Return why a command cannot be started, without the names of option and program."""
    if isinstance(error, InvalidSetting):
        return error.problem
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _exit_text(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


class _Command(Process):
    """A running command whose output is copied to a log.

    Args:
        words: program and arguments.
        log: file for its output.
        secrets: returns the texts that must not be written.

    Raises:
        OSError: the command cannot be started.
        ResultsUnwritable: the log cannot be written.
    """

    def __init__(self, words: Sequence[str], log: Path, secrets: Callable[[], Secrets]) -> None:
        self._secrets = secrets
        self._path = log
        self._position = 0
        self._kept = 0
        self._left_out = False
        self._rest = b""
        self._mid_line = False  # new output continues a line that was left out
        self._last_line = ""
        with ExitStack() as undo:
            self._raw: IO[bytes] = undo.enter_context(TemporaryFile())
            # Every process that writes appends, so that the file can be emptied under its writers.
            descriptor = self._raw.fileno()
            fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_APPEND)
            with directory.writing(log):
                self._log = undo.enter_context(create(log))
            undo.callback(log.unlink)
            super().__init__(words, output=self._raw, grace_s=GRACE_S)
            undo.pop_all()  # the files are closed in `close` or `abandon`

    def look(self) -> bool:
        """Copy some new output; return whether there was any."""
        ahead = os.fstat(self._raw.fileno()).st_size - self._position
        if ahead > LOG_LIMIT or self._kept >= LOG_LIMIT:
            self._leave_out()
        chunk = os.pread(self._raw.fileno(), CHUNK, self._position)
        self._position += len(chunk)
        self._keep(self._lines(chunk))
        return bool(chunk)

    def _lines(self, chunk: bytes) -> list[bytes]:
        """Return the complete lines of new output, and the beginning of a line that is too long.

        The rest of a line whose beginning was left out is never kept, because it may begin within a secret.
        """
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if self._mid_line and lines:
            del lines[0]
            self._mid_line = False
        if self._mid_line:
            self._rest = b""
        elif len(self._rest) > CHUNK:
            lines.append(self._rest)
            self._rest, self._mid_line = b"", True
        return lines

    def _leave_out(self) -> None:
        """Skip all output but its end, which has the last line."""
        descriptor = self._raw.fileno()
        size = os.fstat(descriptor).st_size
        if size <= self._position:
            return
        if size - CHUNK > self._position:
            self._position, self._rest, self._mid_line = size - CHUNK, b"", True
        self._kept = LOG_LIMIT
        if not self._left_out:
            self._left_out = True
            self._write(_LEFT_OUT)
        if size > FILE_LIMIT:
            self._rest += os.pread(descriptor, 2 * CHUNK, self._position)  # it may have grown
            os.ftruncate(descriptor, 0)
            self._position = 0

    def close(self) -> str:
        """Copy the rest of the output, close the log, and return the last line."""
        while self.look() and self._kept < LOG_LIMIT:
            pass
        self.let_go()
        self.look()  # if the log is full now, the last line is still to come
        self._keep([self._rest])
        self._raw.close()
        with directory.writing(self._path):
            self._log.close()
        return self._last_line

    def abandon(self) -> int:
        """Stop the command if it is running, close the files, and return its exit status."""
        status = self.exit_status
        if status is None:
            status = self.stop()
        self._raw.close()
        with suppress(OSError):  # closing fails too if the log could not be written
            self._log.close()
        return status

    def _keep(self, lines: Sequence[bytes]) -> None:
        if self._kept >= LOG_LIMIT:
            lines = [line for line in reversed(lines) if line.strip()][:1]
        secrets = self._secrets() if lines else NO_SECRETS
        for line in lines:
            # Known secrets first: what looks like a secret may be half of one.
            said = without_likely_secrets(without_secrets(line.decode(errors="replace").rstrip(), secrets))
            shown = one_line(said, _LINE_LIMIT)
            if shown and self._kept < LOG_LIMIT:
                self._write(shown)
            self._kept += len(shown) + 1
            self._last_line = shown or self._last_line

    def _write(self, line: str) -> None:
        with directory.writing(self._path):
            self._log.write(line.encode() + b"\n")
            self._log.flush()
