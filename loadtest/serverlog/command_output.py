"""A command whose output is a server's log: `docker logs --follow chat`.

`docker logs` prints the container's two streams on its own two, so both are the server's log. Each is read
apart: lines of one never come between the lines of the other. A command that fails writes the reason on
standard error too, in its last lines. So the newest lines from there are held back until more comes: if the
command ends with a non-zero status instead, they are its own and not the server's.
"""

import os
from collections import deque
from typing import IO

from loadtest.command_lines import COMMAND_HINT, command_words, public_command
from loadtest.errors import InvalidSetting
from loadtest.processes import PIPE, Process
from loadtest.serverlog.growing_file import CHUNK
from loadtest.serverlog.times import SECOND_NS
from loadtest.text import one_line, without_likely_secrets

COMMAND_OPTION = "--ws-server-log-cmd"

GRACE_S = 5.0
"""Between SIGTERM and SIGKILL when a command is stopped."""

LAST_WORDS_NS = SECOND_NS
"""A command writes all lines of its reason within this time, and ends."""

MAX_HELD = CHUNK
"""Bytes held back. No command says more when it fails."""

_LAST_BYTES = 1_000


class LastWords:
    """The newest bytes of a command's standard error, with the times when they were read."""

    def __init__(self) -> None:
        self._held: deque[tuple[bytes, int]] = deque()

    def add(self, chunk: bytes, now_ns: int) -> list[tuple[bytes, int]]:
        """Take new bytes; return those that cannot be the last words."""
        self._held.append((chunk, now_ns))
        size = sum(len(held) for held, _ in self._held)
        released = []
        while len(self._held) > 1 and (size > MAX_HELD or now_ns - self._held[0][1] > LAST_WORDS_NS):
            released.append(self._held.popleft())
            size -= len(released[-1][0])
        return released

    def release(self) -> list[tuple[bytes, int]]:
        """Return all bytes, since something came after them or the command did not fail."""
        released = list(self._held)
        self._held.clear()
        return released


class CommandOutput:
    """A command's standard output (`read`) and standard error (`read_errors`).

    Attributes:
        ended: whether no more bytes will come.
        problem: how the command failed, known after `note_end` or `close`; empty if it did not.
        status: exit status of a command that ended by itself, known like `problem`; None if it was stopped.
    """

    def __init__(self, command: str) -> None:
        """Start `command`, split into words as a shell would; no shell runs it.

        It gets a session of its own, so that Ctrl-C does not end it before the run, and so that `close` ends
        all processes it started.

        Raises:
            InvalidSetting: the command cannot be started.

        """
        self.problem = ""
        self.status: int | None = None
        words = command_words(command, COMMAND_OPTION)
        try:
            self._process = Process(words, output=PIPE, errors=PIPE, grace_s=GRACE_S)
        except OSError as error:
            problem = f"cannot be started: {error.strerror}"
            raise InvalidSetting(COMMAND_OPTION, public_command(words[0]), problem, COMMAND_HINT) from error
        self._output = _Pipe(self._process.output)
        self._errors = _Pipe(self._process.errors)

    @property
    def ended(self) -> bool:
        """Whether no more bytes will come."""
        return self._output.ended and self._errors.ended

    def read(self) -> bytes:
        """Return the bytes available on standard output."""
        return self._output.read()

    def read_errors(self) -> bytes:
        """Return the bytes available on standard error."""
        return self._errors.read()

    def close(self) -> None:
        """Stop the command and all processes it started, and wait for their end."""
        self.note_end(GRACE_S)
        self._output.close()
        self._errors.close()
        self._process.stop()

    def note_end(self, wait_s: float = 0.0) -> None:
        """Record how a command ended that closed its output itself; what it said last is often the reason.

        Args:
            wait_s: how long it may still take to end.
        """
        if not (self.ended and self._output.open) or self.status is not None:
            return
        self.status = self._process.wait(wait_s)
        if self.status:
            self.problem = f"the command ended with status {self.status}"
            reason = self._errors.last_line or self._output.last_line
            if reason:
                self.problem += f": {one_line(without_likely_secrets(reason))}"


class _Pipe:
    """The reading end of a pipe, read without waiting."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        assert pipe is not None
        self.ended = False
        self.open = True
        self._pipe = pipe
        self._last = b""
        os.set_blocking(pipe.fileno(), False)

    @property
    def last_line(self) -> str:
        lines = self._last.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def read(self) -> bytes:
        if self.ended:
            return b""
        try:
            chunk = os.read(self._pipe.fileno(), CHUNK)
        except BlockingIOError:
            return b""
        self.ended = not chunk
        self._last = (self._last + chunk)[-_LAST_BYTES:]
        return chunk

    def close(self) -> None:
        self.ended, self.open = True, False
        self._pipe.close()
