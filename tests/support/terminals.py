"""Runs a command on a terminal of its own, and shows what people would see there."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Self

import pyte

from tests.support.places import ROOT

_POLL_S = 0.05

PROGRESS = re.compile(
    r"^\d\d:\d\d  [\d,]+ up, (?:\d+ connecting, )?\d+ out, \d+ drops?, \d+ loss", re.MULTILINE
)
"""The progress line."""

TABLES = ("# reqs", "Response time percentiles", "Aggregated")
"""Words of Locust's own tables."""


class OnTerminal:
    """A command on a pseudo-terminal, with an emulator that shows it; a context manager that leaves nothing.

    Args:
        command: the command with its arguments.
        columns, lines: size of the terminal.
        environment: variables added to this process's, or taken away if None.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        columns: int = 80,
        lines: int = 30,
        environment: dict[str, str | None] | None = None,
    ) -> None:
        self._lock = threading.Lock()
        self.raw = ""
        self._screen = pyte.HistoryScreen(columns, lines, history=5000)
        self._stream = pyte.Stream(self._screen)
        self._terminal, inner = pty.openpty()
        self._set_size(columns, lines)
        self.modes_before = termios.tcgetattr(inner)
        wanted = {**os.environ, "TERM": "xterm-256color", "CI": None, "NO_COLOR": None, **(environment or {})}
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=inner,
            stdout=inner,
            stderr=inner,
            env={name: value for name, value in wanted.items() if value is not None},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0) and None,
        )
        self._inner = inner
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _set_size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def _read(self) -> None:
        decoder: Any = codecs.getincrementaldecoder("utf-8")("replace")
        while True:
            try:
                data = os.read(self._terminal, 65536)
            except OSError:  # closed
                return
            with self._lock:
                text = decoder.decode(data)
                self.raw += text
                self._stream.feed(text)

    def resize(self, columns: int) -> None:
        """Give the terminal another width; of another height, the emulator would misplace the cursor."""
        with self._lock:
            self._screen.resize(columns=columns)
        self._set_size(columns, self._screen.lines)

    def type(self, keys: str) -> None:
        """Type keys: `"\\x03"` is Ctrl-C."""
        os.write(self._terminal, keys.encode())

    @property
    def screen(self) -> list[str]:
        """The lines on the screen, without spaces at their ends."""
        with self._lock:
            return [line.rstrip() for line in self._screen.display]

    @property
    def everything(self) -> str:
        """What was printed and is not erased, also what has left the screen."""
        with self._lock:
            above = [
                "".join(line[at].data for at in range(self._screen.columns))
                for line in self._screen.history.top
            ]
            return "\n".join(line.rstrip() for line in [*above, *self._screen.display])

    @property
    def modes(self) -> Any:
        """The terminal's modes now (termios)."""
        return termios.tcgetattr(self._inner)

    def wait_for(self, seen: Callable[[list[str]], bool], what: str, timeout_s: float = 60) -> list[str]:
        """Wait until the screen shows something; return its lines."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            shown = self.screen
            if seen(shown):
                return shown
            time.sleep(_POLL_S)
        raise AssertionError(f"{what} was not seen:\n" + "\n".join(self.screen))

    def wait(self, timeout_s: float = 90) -> int:
        """Wait until the process ends and all it printed is read; return its exit code."""
        code = self.process.wait(timeout_s)
        end = time.monotonic() + 2  # the reader cannot know that nothing more comes
        read = -1
        while read != len(self.raw) and time.monotonic() < end:
            read = len(self.raw)
            time.sleep(4 * _POLL_S)
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self._inner)
        self._reader.join(5)
        os.close(self._terminal)
