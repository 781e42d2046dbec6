"""Child processes: each has its own session and process group, and the whole group is ended with it.

Ctrl-C in the terminal reaches only this process, which then ends its children. Commands run without a shell.
If this process is killed, `loadtest.orphan_guard` ends its children instead.
Ending a child takes these steps: SIGTERM to its group, a grace period, SIGKILL to its group, and collecting
its exit status. This is plain `subprocess` without threads or signal handlers, so it works in any thread,
beside forked workers, and in a process that gevent has patched (there only in the main thread, a limit of
gevent).
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import IO, Self

from loadtest import orphan_guard


class _Guard:
    """The guard of this process's children, started with the first of them."""

    def __init__(self) -> None:
        self._forked()
        os.register_at_fork(after_in_child=self._forked)

    def _forked(self) -> None:
        """Reset after a fork: the guard is the parent's, and a thread of the parent may hold the lock."""
        self._pipe: int | None = None
        self._lock = threading.Lock()

    def tell(self, change: str, group: int) -> None:
        """Add (+) or remove (-) a process group."""
        with self._lock:  # two guards would each end what was removed from the other
            if self._pipe is None:
                self._pipe = self._started()
        with suppress(OSError):  # the guard was killed
            os.write(self._pipe, f"{change}{group}\n".encode())

    def _started(self) -> int:
        """Start the guard; return the pipe to it."""
        reading, writing = os.pipe()
        null = os.open(os.devnull, os.O_RDWR)
        script = [sys.executable, "-I", "-S", orphan_guard.__file__]
        files = [(os.POSIX_SPAWN_DUP2, one, number) for number, one in enumerate((reading, null, null))]
        try:
            libraries = {name: text for name, text in os.environ.items() if name.startswith(("LD_", "DYLD_"))}
            os.posix_spawn(script[0], script, libraries, file_actions=files, setsid=True)
        except BaseException:
            os.close(writing)
            raise
        finally:
            os.close(reading)
            os.close(null)
        return writing


_GUARD = _Guard()

PIPE = subprocess.PIPE
"""Pass it as `output` or `errors` to read from the child through `Process.output` or `Process.errors`."""


class Process:
    """A child process; a context manager that ends it.

    Args:
        command: program and arguments.
        output: where its standard output goes: an open file, or PIPE.
        errors: where its standard error goes: as `output`; None for the same place.
        environment: the child's whole environment; None to inherit this process's.
        grace_s: seconds between SIGTERM and SIGKILL in `stop`; 0 for SIGKILL at once.

    Attributes:
        pid: process id.
        output: the reading end of the pipe, unbuffered; None without PIPE.
        errors: the same for standard error.

    Raises:
        OSError: the command cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        output: IO[bytes] | int,
        errors: IO[bytes] | int | None = None,
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
        _GUARD.tell("+", self.pid)
        self.output = self._process.stdout
        self.errors = self._process.stderr

    @property
    def exit_status(self) -> int | None:
        """Exit status, None while the process runs."""
        return self._process.poll()

    def wait(self, timeout_s: float) -> int | None:
        """Wait for the process to end; return its exit status, or None if it still runs after `timeout_s`."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def stop(self) -> int:
        """End the process and its group, after the grace period at most; return its exit status."""
        return self._end(self._grace_s)

    def kill(self) -> int:
        """End the process and its group with SIGKILL; return its exit status."""
        return self._end(0.0)

    def let_go(self) -> None:
        """Leave the process and its descendants running, even after this process ends."""
        _GUARD.tell("-", self.pid)

    def _end(self, grace_s: float) -> int:
        try:
            if grace_s and self.exit_status is None:
                self._signal(signal.SIGTERM)
                self.wait(grace_s)
        finally:
            # Even if the process has already ended: its descendants may still run.
            self._signal(signal.SIGKILL)
            status = self._process.wait()
            self.let_go()
        return status

    def _signal(self, number: signal.Signals) -> None:
        """Signal the group, unless its id may belong to another group by now.

        The system does not reuse the id of a group that has members (POSIX, fork()). So if the child has been
        reaped and a process has its id, the group no longer exists.
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
    """Return the last `limit` bytes of a file as text, without moving its position.

    A child that writes to the same open file shares that position.
    """
    length = os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), limit, max(0, length - limit)).decode(errors="replace")


_PR_SET_PDEATHSIG = 1  # prctl(2)


def end_with_parent(parent: int) -> None:
    """Have the kernel kill this newly forked process when its parent ends in any way; Linux only.

    Args:
        parent: process id of the parent, whose main thread has forked.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before that
            os._exit(1)
