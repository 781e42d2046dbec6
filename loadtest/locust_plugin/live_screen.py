r"""A block of lines at the bottom of a terminal, redrawn in place, with all other output above it.

The cursor stays on the block's first line, which is empty. Whatever is printed next (a log line, a redraw, a
resized terminal, the shell's prompt after a crash) starts there, and `\x1b[J` erases the whole block, however
the terminal has wrapped it. Nothing else in the terminal changes: the cursor stays visible, there is no
alternate screen, and nothing has to be restored.

Writing never waits for a terminal that accepts no output (Ctrl-S, a hung connection): the block then stays as
it is, and lines for above it are kept until they can be written. Other threads may print, too; their lines
are written with the next redraw.
"""

import logging
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TextIO

from gevent import monkey

_ident = monkey.get_original("_thread", "get_ident")
_select = monkey.get_original("select", "select")

_ERASE = "\r\x1b[J"

MAX_KEPT = 1000
"""Lines kept for a terminal that accepts no output; beyond these, writing waits as in any program."""


def is_live(stream: Any, environment: Mapping[str, str]) -> bool:
    """Return whether a stream is an interactive terminal that can move its cursor."""
    if environment.get("TERM", "dumb") == "dumb" or environment.get("CI", "false").lower() not in (
        "",
        "false",
    ):
        return False
    return bool(stream is not None and stream.isatty())


def size_of(stream: Any) -> tuple[int, int]:
    """Return a terminal's columns and lines; 80 and 24 if unknown."""
    try:
        columns, lines = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        columns, lines = 0, 0
    return columns or 80, lines or 24


def takes_text(stream: Any) -> bool:
    """Return whether a stream can be written without waiting."""
    try:
        return bool(_select([], [stream.fileno()], [], 0)[1])
    except (OSError, ValueError):
        return True  # the write then raises the error


class LiveScreen:
    """The block on a terminal.

    Args:
        stream: the terminal.
        ready: returns whether the stream can be written without waiting.
    """

    def __init__(self, stream: TextIO, ready: Callable[[Any], bool] = takes_text) -> None:
        self._stream = stream
        self._ready = ready
        self._thread = _ident()
        self._above: deque[str] = deque()
        self._block = ""
        self._released: list[Callable[[], None]] = []

    def capture(self) -> None:
        """Print all of this process's output to the terminal above the block."""
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is self._stream or _same_terminal(stream, self._stream):
                above = _Above(stream, self)
                setattr(sys, name, above)
                self._released.append(_setter(sys, name, stream))
                for handler in _handlers_of(stream):
                    handler.stream = above
                    self._released.append(_setter(handler, "stream", stream))
                self._released.append(above.end)

    def draw(self, lines: Sequence[str]) -> None:
        """Redraw the block."""
        if self._ready(self._stream):
            # Back to the empty first line: one line up for each line end.
            self._block = "".join(f"\n{line}" for line in lines) + f"\r\x1b[{len(lines)}A"
            self._write()

    def above(self, text: str) -> None:
        """Print whole lines above the block."""
        self._above.append(text)
        if _ident() == self._thread and (len(self._above) > MAX_KEPT or self._ready(self._stream)):
            self._write()

    def _write(self) -> None:
        """Write the lines for above the block and the block, in one write."""
        printed = []
        while self._above:  # other threads may add to it
            printed.append(self._above.popleft())
        self._stream.write(f"{_ERASE}{''.join(printed)}{self._block}")
        self._stream.flush()

    def end(self) -> None:
        """Erase the block, print the kept lines, and stop capturing output."""
        self._block = ""
        for release in reversed(self._released):
            release()
        self._released.clear()
        self._write()


class _Above:
    """A text stream that prints whole lines above the block."""

    def __init__(self, stream: TextIO, screen: LiveScreen) -> None:
        self._stream = stream
        self._screen = screen
        self._begun = ""  # a line that has no end yet

    def write(self, text: str) -> int:
        """Write text; return its length."""
        lines, end, begun = (self._begun + text).rpartition("\n")
        self._begun = begun
        if end:
            self._screen.above(lines + end)
        return len(text)

    def flush(self) -> None:
        """Do nothing: whole lines are written at once."""

    def end(self) -> None:
        """Print the last line if it is not complete."""
        if self._begun:
            self._screen.above(f"{self._begun}\n")
            self._begun = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _setter(owner: Any, name: str, value: Any) -> Callable[[], None]:
    return lambda: setattr(owner, name, value)


def _same_terminal(stream: Any, other: Any) -> bool:
    try:
        return bool(os.ttyname(stream.fileno()) == os.ttyname(other.fileno()))
    except (OSError, ValueError, AttributeError):
        return False


def _handlers_of(stream: Any) -> Iterator[Any]:
    """Yield the log handlers that write to a stream, each once."""
    loggers = [logging.getLogger(), *map(logging.getLogger, tuple(logging.root.manager.loggerDict))]
    found = {id(handler): handler for one in loggers for handler in one.handlers}
    yield from (one for one in found.values() if getattr(one, "stream", None) is stream)
