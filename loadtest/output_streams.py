"""Standard output and error that may fail: `locust … | head`, a closed terminal, `> log` on a full disk.

Output that cannot be written is dropped. The run and its files matter more, and an error while printing would
replace the verdict's exit code.
"""

import contextlib
import errno
import logging
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from loadtest.errors import LoadtestError

_NOBODY_READS = (errno.EPIPE, errno.EIO)

_STDERR = 2


class DroppingStream:
    """A text stream that drops what it cannot write, from the first failure on.

    Args:
        stream: the underlying stream; all other attributes are read from it.

    Attributes:
        problem: why a write failed; None if none failed, or if the reader has closed the stream.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.problem: str | None = None

    def write(self, text: str) -> int:
        """Write text; return its length."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._give_up(error)
            return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """Redirect the stream to the null device: its buffer is flushed at the process's exit."""
        if error.errno not in _NOBODY_READS and self.problem is None:
            self.problem = error.strerror or str(error)
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def open_missing_streams() -> None:
    """Redirect closed standard streams to the null device, before anything else is opened.

    Cron, systemd and `2>&-` close them. The next sockets would get their numbers, and libuv, gevent's loop,
    aborts a process that closes a descriptor up to 2 (uv__close).
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - open as long as the process


def drop_unwritable_output() -> None:
    """Drop this process's output when it cannot be written, also in log handlers, instead of failing."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or isinstance(stream, DroppingStream):
            continue
        dropping = DroppingStream(stream)
        setattr(sys, name, dropping)
        for handler in _handlers():
            if handler.stream is stream:
                handler.stream = dropping


def _handlers() -> Iterator[Any]:
    loggers = [logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)]
    for logger in loggers:
        yield from (one for one in logger.handlers if isinstance(one, logging.StreamHandler))


@contextlib.contextmanager
def complete_output() -> Iterator[None]:
    """Drop output that cannot be written in the block; report it at the end.

    Raises:
        LoadtestError: after the block, if the output is incomplete and may still be read.
    """
    before = sys.stdout, sys.stderr
    drop_unwritable_output()
    try:
        yield
    finally:
        sys.stdout.flush()
        problem = sys.stdout.problem if isinstance(sys.stdout, DroppingStream) else None
        sys.stdout, sys.stderr = before
    if problem is not None:
        raise LoadtestError(f"cannot write the output: {problem}")
