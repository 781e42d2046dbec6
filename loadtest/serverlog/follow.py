"""Follows a server's log during a run: a growing file, standard input, or a command's output.

A source returns the bytes that are available and never waits, so the caller (a thread, greenlet or event
loop) decides when to poll again; there are no threads here. A file that is renamed and created anew
(rotation) is read to its end before the new one; a truncated file is read from its start. A file that exists
at the start is read from its end: what is in it is older than the run.
"""

import os
import select
import stat
from pathlib import Path
from typing import BinaryIO, Protocol

from loadtest.command_lines import COMMAND_HINT, command_words, public_command
from loadtest.errors import InvalidSetting
from loadtest.processes import PIPE, Process
from loadtest.serverlog.log_reader import LogReader
from loadtest.serverlog.records import Counts, LogRecord

CHUNK = 64 * 1024
POLL_BYTES = CHUNK
"""Bytes that make a poll stop reading: a few milliseconds of work, too little to disturb measurements."""

CLOSE_BYTES = 64 * 1024 * 1024
"""Limit on bytes read when closing, for a command that prints faster than it is read."""

GRACE_S = 5.0
"""Between SIGTERM and SIGKILL when a command is stopped."""

_LOG_OPTION = "--ws-server-log"
COMMAND_OPTION = "--ws-server-log-cmd"


class Source(Protocol):
    """Source of a log's bytes."""

    ended: bool
    """Whether no more bytes will come."""

    problem: str
    """What went wrong with the source itself; empty if nothing."""

    def read(self) -> bytes:
        """Return the bytes available, about CHUNK at most; empty if there are none for now."""

    def close(self) -> None:
        """Release all resources; unread bytes are lost."""


class FileSource:
    """A growing file, which need not exist yet."""

    def __init__(self, path: Path) -> None:
        """Follow `path` from its current end.

        Raises:
            InvalidSetting: it exists but is not a readable regular file, or its folder does not exist.

        """
        self.ended = False
        self.problem = ""
        self._path = path
        self._quiet = False  # the last read of this file found nothing
        try:
            if not path.parent.is_dir():
                raise InvalidSetting(_LOG_OPTION, str(path), "must be in a folder that exists")
            self._file = self._opened()
        except OSError as error:
            problem = f"must be a file that can be read ({error.strerror})"
            raise InvalidSetting(_LOG_OPTION, str(path), problem) from error
        if self._file is not None:
            self._file.seek(0, os.SEEK_END)

    def read(self) -> bytes:
        """Return bytes written since the last read; a newline separates an old file's from a new one's."""
        if self._file is None:
            self._reopen()
            return self._file.read(CHUNK) if self._file is not None else b""
        chunk = self._file.read(CHUNK)
        if chunk:
            self._quiet = False
            return chunk
        return self._turned()

    def close(self) -> None:
        """Close the file."""
        self.ended = True
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> BinaryIO | None:
        try:
            if not stat.S_ISREG(self._path.stat().st_mode):
                hint = "Use - for standard input, or --ws-server-log-cmd"
                raise InvalidSetting(_LOG_OPTION, str(self._path), "must be a regular file", hint)
            return self._path.open("rb", buffering=0)
        except FileNotFoundError:
            return None

    def _reopen(self) -> None:
        """Open the file that has the name now; a failure goes to `problem` and is not raised."""
        self._file = None
        try:
            self._file = self._opened()
            self.problem = ""
        except (OSError, InvalidSetting) as error:
            reason = error.problem if isinstance(error, InvalidSetting) else error.strerror
            self.problem = f"{self._path} cannot be read any more: {reason}"

    def _turned(self) -> bytes:
        """At the end of the file, check whether it was rotated or truncated; return the first new bytes.

        A rotated file may still be written to for a moment, so two reads must find nothing before it is
        closed.
        """
        assert self._file is not None
        try:
            there = self._path.stat()
        except OSError:
            return b""
        held = os.fstat(self._file.fileno())
        if (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino):
            if there.st_size >= self._file.tell():
                return b""
            self._file.seek(0)
        elif self._quiet and there.st_size:
            self._file.close()
            self._reopen()
        else:
            self._quiet = True
            return b""
        self._quiet = False
        return b"\n" + (self._file.read(CHUNK) if self._file is not None else b"")


class StandardInput:
    """Standard input. It stays in blocking mode for other readers, and is polled with select instead."""

    def __init__(self, descriptor: int = 0) -> None:
        """Read from a descriptor.

        Raises:
            InvalidSetting: the descriptor is a terminal.

        """
        if os.isatty(descriptor):
            problem = "must be a pipe or a file for standard input, not a terminal"
            raise InvalidSetting(_LOG_OPTION, "-", problem, "Pipe the log in: docker logs -f NAME | …")
        self.ended = False
        self.problem = ""
        self._descriptor = descriptor

    def read(self) -> bytes:
        """Return the bytes available."""
        if self.ended or not select.select([self._descriptor], [], [], 0)[0]:
            return b""
        chunk = os.read(self._descriptor, CHUNK)
        self.ended = not chunk
        return chunk

    def close(self) -> None:
        """Stop reading; standard input itself stays open."""
        self.ended = True


class CommandOutput:
    """A command's standard output and error: `docker logs` writes to both."""

    def __init__(self, command: str) -> None:
        """Start `command`, split into words as a shell would; no shell runs it.

        It gets a session of its own, so that Ctrl-C does not end it before the run, and so that `close` ends
        all processes it started.

        Raises:
            InvalidSetting: the command cannot be started.

        """
        self.ended = False
        self.problem = ""
        words = command_words(command, COMMAND_OPTION)
        try:
            self._process = Process(words, output=PIPE, grace_s=GRACE_S)
        except OSError as error:
            problem = f"cannot be started: {error.strerror}"
            raise InvalidSetting(COMMAND_OPTION, public_command(words[0]), problem, COMMAND_HINT) from error
        assert self._process.output is not None
        self._output = self._process.output
        os.set_blocking(self._output.fileno(), False)

    def read(self) -> bytes:
        """Return the bytes available."""
        if self.ended:
            return b""
        try:
            chunk = os.read(self._output.fileno(), CHUNK)
        except BlockingIOError:
            return b""
        self.ended = not chunk
        return chunk

    def close(self) -> None:
        """Stop the command and all processes it started, and wait for their end."""
        if self.ended and not self._output.closed:
            self._note_status()
        self.ended = True
        self._output.close()
        self._process.stop()

    def _note_status(self) -> None:
        """Record a failure of a command that closed its output itself, and so is about to end."""
        if status := self._process.wait(GRACE_S):
            self.problem = f"the command ended with status {status}"


class Follower:
    """Reads records from a source as they come.

    Attributes:
        behind: whether the last poll may have left something to read, so that you should poll again soon.
    """

    def __init__(self, source: Source, *, format: str = "auto") -> None:  # noqa: A002
        """Read `source`; `format` is as for LogReader."""
        self.behind = False
        self._source = source
        self._reader = LogReader(format=format)

    @property
    def counts(self) -> Counts:
        """Reading counts so far."""
        return self._reader.counts

    @property
    def ended(self) -> bool:
        """Whether no more bytes will come."""
        return self._source.ended

    @property
    def problem(self) -> str:
        """What went wrong with the source, for the report; a command's status is included after `close`."""
        return self._source.problem

    def poll(self, now_ns: int) -> list[LogRecord]:
        """Return new records without waiting.

        The newest record may still get a traceback, so it is returned only when a later record begins or a
        poll finds nothing new.

        Args:
            now_ns: Unix time, given to records without a time of their own.
        """
        records, read = self._take(POLL_BYTES, now_ns)
        self.behind = read >= POLL_BYTES
        return records if read else self._reader.pause()

    def close(self, now_ns: int) -> list[LogRecord]:
        """Read what is available, close the source, and return the last records."""
        try:
            records, _ = self._take(CLOSE_BYTES, now_ns)
        finally:
            self._source.close()
        return records + self._reader.finish()

    def _take(self, limit: int, now_ns: int) -> tuple[list[LogRecord], int]:
        records: list[LogRecord] = []
        read = 0
        while read < limit and (chunk := self._source.read()):
            read += len(chunk)
            records += self._reader.feed(chunk, read_at_ns=now_ns)
        return records, read


def source_of(server_log: str) -> Source:
    """Return the source that `--ws-server-log` names: a path, or `-` for standard input.

    Raises:
        InvalidSetting: the log cannot be followed.

    """
    return StandardInput() if server_log == "-" else FileSource(Path(server_log))


def follow(server_log: str, *, format: str = "auto") -> Follower:  # noqa: A002
    """Follow the log that `--ws-server-log` names."""
    return Follower(source_of(server_log), format=format)


def follow_command(command: str, *, format: str = "auto") -> Follower:  # noqa: A002
    """Follow the output of the command given by `--ws-server-log-cmd`."""
    return Follower(CommandOutput(command), format=format)
