"""Child processes: each in a session and process group of its own, and gone with all that it started.

A Ctrl-C in the terminal reaches this process alone, which then ends its children. No shell reads a command.
A child is ended in steps: SIGTERM to its group, a grace period, SIGKILL to its group, and its exit status is
collected. All of it is plain `subprocess`, without threads or signal handlers: it works in any thread, beside
forked workers, and in a process that gevent has patched (there in the main thread, gevent's own limit).
"""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import IO, Self

PIPE = subprocess.PIPE
"""As `output`: the child's output can be read from `Process.output`."""


class Process:
    """A child process; a context manager that ends it.

    Args:
        command: program and arguments.
        output: takes its standard output: an open file, or PIPE.
        errors: takes its standard error; None for `output`.
        environment: the child's whole environment; None for this process's own.
        grace_s: between SIGTERM and SIGKILL when it is ended; 0 for SIGKILL at once.

    Attributes:
        pid: process id.
        output: the reading end where `output` is PIPE, unbuffered; else None.

    Raises:
        OSError: the command cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        output: IO[bytes] | int,
        errors: IO[bytes] | None = None,
        environment: Mapping[str, str] | None = None,
        grace_s: float = 0.0,
    ) -> None:
        self._grace_s = grace_s
        self._process = subprocess.Popen(  # noqa: S603 - the user's own command, or our own interpreter
            list(command),
            bufsize=0,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if errors is None else errors,
            env=environment,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self.output = self._process.stdout

    @property
    def exit_status(self) -> int | None:
        """Its exit status, None while it runs."""
        return self._process.poll()

    def wait(self, timeout_s: float) -> int | None:
        """Wait until it ends and return its exit status, None if it still runs after `timeout_s`."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def stop(self) -> int:
        """End it and all that it started, after its grace period at most; return its exit status."""
        return self._end(self._grace_s)

    def kill(self) -> int:
        """End it and all that it started with SIGKILL; return its exit status."""
        return self._end(0.0)

    def _end(self, grace_s: float) -> int:
        try:
            if grace_s and self.exit_status is None:
                self._signal(signal.SIGTERM)
                self.wait(grace_s)
        finally:
            # Also if it has ended by itself: what it started may still run.
            self._signal(signal.SIGKILL)
            status = self._process.wait()
        return status

    def _signal(self, number: signal.Signals) -> None:
        """Signal the group, unless its id is another's by now.

        No new process gets the id of a group that has members (POSIX, fork()). So if the child is reaped and
        a process has its id, the group is gone.
        """
        if self._process.returncode is not None and _exists(self.pid):
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def tail(file: IO[bytes], limit: int) -> str:
    """Return the last `limit` bytes of a file as text; the file's position stays where it is.

    A child that writes to the same open file shares its position, which must not move under its writes.
    """
    length = os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), limit, max(0, length - limit)).decode(errors="replace")
