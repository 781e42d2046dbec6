"""Follows a server's log during a run: a growing file, standard input, or a command's output.

A source returns the bytes that are available and never waits, so the caller (a thread, greenlet or event
loop) decides when to poll again; there are no threads here. A file that exists at the start is read from its
end: what is in it is older than the run. What a source could not give is said in `problem`.
"""

import os
import select
from pathlib import Path
from typing import Protocol

from loadtest.errors import InvalidSetting
from loadtest.serverlog.command_output import CommandOutput, LastWords
from loadtest.serverlog.growing_file import CHUNK, LOG_OPTION, FileSource
from loadtest.serverlog.log_reader import LogReader
from loadtest.serverlog.records import Counts, LogRecord

POLL_BYTES = CHUNK
"""Bytes that make a poll stop reading: a few milliseconds of work, too little to disturb measurements."""

CLOSE_BYTES = 64 * 1024 * 1024
"""Limit on bytes read when closing, for a command that prints faster than it is read."""

_QUIET_READS = 3
"""Reads that find nothing before a log that is closed counts as read: a rotated file must be quiet twice."""


class Source(Protocol):
    """Source of a log's bytes."""

    @property
    def ended(self) -> bool:
        """Whether no more bytes will come."""

    @property
    def problem(self) -> str:
        """What went wrong with the source itself; empty if nothing."""

    def read(self) -> bytes:
        """Return the bytes available, about CHUNK at most; empty if there are none for now."""

    def close(self) -> None:
        """Release all resources; unread bytes are lost."""


class StandardInput:
    """Standard input. It stays in blocking mode for other readers, and is polled with select instead."""

    def __init__(self, descriptor: int = 0) -> None:
        """Read from a descriptor.

        Raises:
            InvalidSetting: the descriptor is a terminal.

        """
        if os.isatty(descriptor):
            problem = "must be a pipe or a file for standard input, not a terminal"
            raise InvalidSetting(LOG_OPTION, "-", problem, "Pipe the log in: docker logs -f NAME | …")
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


class Follower:
    """Reads records from a source as they come.

    Attributes:
        behind: whether the last poll may have left something to read, so that you should poll again soon.
    """

    def __init__(self, source: Source, *, format: str = "auto") -> None:  # noqa: A002 - the setting's name
        """Read `source`; `format` is as for LogReader."""
        self.behind = False
        self._cut_off = ""
        self._source = source
        self._reader = LogReader(format=format)
        self._errors = LogReader(format=format)  # of a command
        self._last_words = LastWords()

    @property
    def counts(self) -> Counts:
        """Reading counts so far."""
        return self._reader.counts.plus(self._errors.counts)

    @property
    def ended(self) -> bool:
        """Whether no more bytes will come."""
        return self._source.ended

    @property
    def problem(self) -> str:
        """What went wrong with the source, for the report; a command's status included once known."""
        return "; ".join(filter(None, (self._source.problem, self._cut_off)))

    @property
    def status(self) -> int | None:
        """Exit status of a command that was not stopped; None for other sources, and until it is known."""
        return self._source.status if isinstance(self._source, CommandOutput) else None

    def poll(self, now_ns: int) -> list[LogRecord]:
        """Return new records without waiting.

        The newest record may still get a traceback, so it is returned only when a later record begins or a
        poll finds nothing new.

        Args:
            now_ns: Unix time, given to records without a time of their own.
        """
        records, read = self._take(POLL_BYTES, now_ns)
        self.behind = read >= POLL_BYTES
        if isinstance(self._source, CommandOutput):
            self._source.note_end()
        return records if read else records + self._reader.pause() + self._errors.pause()

    def close(self, now_ns: int) -> list[LogRecord]:
        """Read what is available, close the source, and return the last records."""
        records: list[LogRecord] = []
        read = quiet = 0
        try:
            while quiet < _QUIET_READS and read < CLOSE_BYTES:
                more, taken = self._take(CLOSE_BYTES - read, now_ns)
                records += more
                read += taken
                quiet = 0 if taken else quiet + 1
        finally:
            self._source.close()
        if read >= CLOSE_BYTES:
            self._cut_off = (
                f"it grew faster than it could be read: everything after line {self.counts.lines:,} is "
                "missing"
            )
        if not self.status:
            records += self._feed_errors(self._last_words.release())
        return records + self._reader.finish() + self._errors.finish()

    def _take(self, limit: int, now_ns: int) -> tuple[list[LogRecord], int]:
        records: list[LogRecord] = []
        read = 0
        while read < limit and (chunk := self._source.read()):
            read += len(chunk)
            records += self._reader.feed(chunk, read_at_ns=now_ns)
        if not isinstance(self._source, CommandOutput):
            return records, read
        if read:
            records += self._feed_errors(self._last_words.release())
        while read < limit and (chunk := self._source.read_errors()):
            read += len(chunk)
            records += self._feed_errors(self._last_words.add(chunk, now_ns))
        return records, read

    def _feed_errors(self, chunks: list[tuple[bytes, int]]) -> list[LogRecord]:
        return [
            record
            for chunk, read_at_ns in chunks
            for record in self._errors.feed(chunk, read_at_ns=read_at_ns)
        ]


def source_of(server_log: str) -> Source:
    """Return the source that `--ws-server-log` names: a path, or `-` for standard input.

    Raises:
        InvalidSetting: the log cannot be followed.

    """
    return StandardInput() if server_log == "-" else FileSource(Path(server_log))


def follow(server_log: str, *, format: str = "auto") -> Follower:  # noqa: A002 - the setting's name
    """Follow the log that `--ws-server-log` names."""
    return Follower(source_of(server_log), format=format)


def follow_command(command: str, *, format: str = "auto") -> Follower:  # noqa: A002 - the setting's name
    """Follow the output of the command given by `--ws-server-log-cmd`."""
    return Follower(CommandOutput(command), format=format)
