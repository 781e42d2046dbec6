"""Follows a log that grows, through whatever rotates it, without losing a line, or says what may be missing.

    renamed, created anew      the old file is read to its end before the new one, and stays open: a server
                               may write to it for a while
    copied, then emptied       what was not read yet is read from the copy, compressed or not
    emptied                    read from its start; what came between the last read and then is gone
    deleted, created anew      as renamed; others that came and were deleted between two reads are gone
    a link that is switched    as renamed
    rotated several times      the files between are found beside the log (`rotations`)

A file that was emptied and has grown again may be longer than before. So the last bytes that were read are
compared with those in the file before each read. Nothing waits here, and there are no threads.
"""

import gzip
import os
import stat
import zlib
from collections import deque
from collections.abc import Collection
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from loadtest import text
from loadtest.errors import InvalidSetting
from loadtest.serverlog.rotations import TAIL, Rotations

CHUNK = 64 * 1024
LOG_OPTION = "--ws-server-log"

_KEPT_OPEN = 4
"""Old files kept open: a server with several processes moves to the new file one process after another."""


class FileSource:
    """A growing file, which need not exist yet.

    Attributes:
        ended: whether no more bytes will come.
        problem: what is missing of the log, or why it cannot be read; empty if nothing.
    """

    def __init__(self, path: Path) -> None:
        """Follow `path` from its current end.

        Raises:
            InvalidSetting: it exists but is not a readable regular file, or its folder does not exist.

        """
        self.ended = False
        self._path = path
        self._unreadable = ""
        self._emptied = 0
        self._deleted = 0
        self._unread = 0
        self._damaged = 0  # compressed rotated files
        self._damaged_file: BinaryIO | None = None  # the last of them
        self._quiet = False  # the last read of this file found nothing
        self._tail = b""  # the last bytes read of this file
        self._line_open = False  # the last byte returned was within a line
        self._between: deque[BinaryIO] = deque()  # files between this one and the one that has the name
        self._old: deque[BinaryIO] = deque()
        self._file = self._opened_first()
        self._seen = self._file is not None
        self._rotations = Rotations(path)
        if self._file is not None:
            end = self._file.seek(0, os.SEEK_END)
            self._tail = os.pread(self._file.fileno(), min(end, TAIL), max(0, end - TAIL))

    @property
    def problem(self) -> str:
        """What is missing of the log, or why it cannot be read; empty if nothing."""
        name = self._path.name
        problems = [self._unreadable] if self._unreadable else []
        if self._emptied:
            times = "once" if self._emptied == 1 else f"{self._emptied} times"
            problems.append(
                f"{name} was emptied at least {times} without a copy that could be read: lines "
                "written just before that may be missing"
            )
        if self._deleted:
            times = "once" if self._deleted == 1 else f"{self._deleted} times"
            problems.append(
                f"{name} was deleted and created again at least {times}: lines of a file that was created "
                "and deleted between two reads may be missing"
            )
        if self._unread:
            problems.append(
                f"{self._unread:,} bytes of {name} were not read: it grew faster than it could be read"
            )
        if self._damaged:
            files = text.counted(self._damaged, "rotated file")
            problems.append(f"{files} of {name} could not be read to the end: damaged gzip data")
        if self.ended and not self._seen:
            problems.append("the file did not exist during the run")
        return "; ".join(problems)

    def read(self) -> bytes:
        """Return bytes written since the last read; a newline separates an old file's from a new one's."""
        if self.ended:
            return b""
        if self._file is None:
            self._reopen()
        if self._file is None:
            return b""
        if self._copied_before():
            return _separated(self._next())
        if self._overwritten():
            return _separated(self._begin_again())
        return self._next() or _separated(self._turned()) or self._late_lines()

    def close(self) -> None:
        """Close all files; note what was not read."""
        if self.ended:
            return
        self.ended = True
        for file in (*self._old, *self._between, *([] if self._file is None else [self._file])):
            self._give_up(file)
        self._file = None

    def _next(self) -> bytes:
        """Return the next bytes of the current file."""
        assert self._file is not None
        try:
            chunk = self._file.read(CHUNK)
        except (EOFError, gzip.BadGzipFile, zlib.error):  # a compressed file, damaged or not complete
            self._damaged += self._file is not self._damaged_file
            self._damaged_file = self._file
            return b""
        if chunk:
            self._quiet = False
            self._tail = (self._tail + chunk)[-TAIL:]
            self._line_open = chunk[-1:] != b"\n"
        return chunk

    def _opened_first(self) -> BinaryIO | None:
        try:
            if not self._path.parent.is_dir():
                raise InvalidSetting(LOG_OPTION, str(self._path), "must be in a folder that exists")
            return self._opened()
        except OSError as error:
            problem = f"must be a file that can be read ({error.strerror})"
            raise InvalidSetting(LOG_OPTION, str(self._path), problem) from error

    def _opened(self) -> BinaryIO | None:
        try:
            if not stat.S_ISREG(self._path.stat().st_mode):
                hint = "Use - for standard input, or --ws-server-log-cmd"
                raise InvalidSetting(LOG_OPTION, str(self._path), "must be a regular file", hint)
            return self._path.open("rb", buffering=0)
        except FileNotFoundError:
            return None

    def _reopen(self) -> None:
        """Open the file that has the name now; a failure goes to `problem` and is not raised."""
        self._file, self._tail = None, b""
        try:
            self._file = self._opened()
            self._seen = self._seen or self._file is not None
            self._unreadable = ""
        except (OSError, InvalidSetting) as error:
            reason = error.problem if isinstance(error, InvalidSetting) else error.strerror
            self._unreadable = f"{self._path} can no longer be read: {reason}"

    def _overwritten(self) -> bool:
        """Whether the file no longer has what was read of it: it was emptied, and may have grown again."""
        assert self._file is not None
        position = self._file.tell()
        if not isinstance(self._file, FileIO) or not position:
            return False
        if _size(self._file) < position:
            return True
        return os.pread(self._file.fileno(), len(self._tail), position - len(self._tail)) != self._tail

    def _copied_before(self) -> bool:
        """Go on with copies of a file of which nothing was read yet; return whether there are any.

        It was filled, copied and emptied, perhaps filled again, since the last look.
        """
        assert self._file is not None
        begun = not isinstance(self._file, FileIO) or self._file.tell() > 0
        if self._between or begun or not self._has_the_name():
            return False
        copies, _ = self._appeared()
        if copies:
            self._go_through([*copies, self._file])
        return bool(copies)

    def _has_the_name(self) -> bool:
        """Whether the current file is still the one that has the log's name."""
        assert self._file is not None
        try:
            there = self._path.stat()
        except OSError:
            return False
        return (there.st_dev, there.st_ino) == _identity(self._file)

    def _begin_again(self) -> bytes:
        """Read an emptied file from its start, after what a copy of it still has."""
        assert self._file is not None
        copies, continued = self._appeared()
        self._emptied += not continued
        current, self._tail = self._file, b""
        try:  # a writer that goes on where it was leaves a hole, however long, before its first new line
            os.lseek(current.fileno(), 0, os.SEEK_DATA)
        except OSError:
            current.seek(0)
        self._go_through([*copies, current])
        return self._next()

    def _go_through(self, files: list[BinaryIO]) -> None:
        """Read these files one after the other, then follow the last of them."""
        self._between.extend(files)
        self._file = self._between.popleft()

    def _turned(self) -> bytes:
        """At the end of the file, go on to the next one if there is one; return its first bytes.

        A rotated file may still be written to for a moment, so two reads must find nothing before the next is
        read.
        """
        assert self._file is not None
        if self._between:
            self._retire(self._file)
            self._file, self._tail = self._between.popleft(), b""
            self._copied_before()
            return self._next()
        try:
            there = self._path.stat()
        except OSError:
            return b""
        if (there.st_dev, there.st_ino) == _identity(self._file):
            return b""
        if not self._quiet:
            self._quiet = True
            return b""
        return self._next() if self._go_on_to(there) else b""

    def _go_on_to(self, there: os.stat_result) -> bool:
        """Leave the current file for the one that has the name now; return whether there is one to read."""
        assert self._file is not None
        self._rotations.note(self._file)
        between, _ = self._appeared({(there.st_dev, there.st_ino)})
        if not there.st_size and not between:
            return False  # nobody writes to the new file yet
        self._deleted += not self._rotations.kept(self._file)
        old, self._quiet = self._file, False
        self._retire(old)
        self._reopen()
        if self._file is not None:
            if _identity(self._file) != (there.st_dev, there.st_ino):  # rotated again meanwhile
                between += self._appeared()[0]
            between.append(self._file)
        if between:
            self._go_through(between)
        return bool(between)

    def _appeared(self, others: Collection[tuple[int, int]] = ()) -> tuple[list[BinaryIO], bool]:
        assert self._file is not None
        return self._rotations.appeared(
            log=self._file,
            tail=self._tail,
            open_files={_identity(self._file), *map(_identity, self._old), *others},
        )

    def _retire(self, file: BinaryIO) -> None:
        """Keep an old file open, since it may still be written to."""
        self._old.append(file)
        if len(self._old) > _KEPT_OPEN:
            self._give_up(self._old.popleft())

    def _give_up(self, file: BinaryIO) -> None:
        """Close a file; note what was not read of it."""
        if isinstance(file, FileIO):
            self._unread += max(0, _size(file) - file.tell())
        file.close()

    def _late_lines(self) -> bytes:
        """Return whole lines that were written to an old file after the new one was begun."""
        if self._line_open:
            return b""
        for file in (old for old in self._old if isinstance(old, FileIO)):
            position = file.tell()
            chunk = file.read(CHUNK)
            whole = chunk[: chunk.rfind(b"\n") + 1]
            file.seek(position + len(whole))
            if whole:
                return whole
        return b""


def _separated(chunk: bytes) -> bytes:
    """Return the first bytes of another file, which do not continue the line before."""
    return b"\n" + chunk if chunk else b""


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _identity(file: BinaryIO) -> tuple[int, int]:
    held = os.fstat(file.fileno())
    return held.st_dev, held.st_ino
