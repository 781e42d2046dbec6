"""Finds the files that rotation leaves beside a log: files that are new, or replaced, since the start.

Rotation by renaming leaves `server.log.1`, by copying (logrotate's copytruncate) a copy under such a name;
either may be compressed at once. Between two reads there may have been several rotations. So the files beside
the log are noted at the start, and whatever has appeared when the log turns out to be rotated is read before
the new log. A file is known by its inode and its first bytes, because an inode is used again as soon as a
file is deleted; a compressed one by its content's first bytes and length.
"""

import gzip
import os
import re
import stat
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

from loadtest.serverlog.compressed import GZIP

HEAD = 256
"""First bytes of a file by which it is known."""

TAIL = 1024
"""Bytes before a position by which a copy of the log is recognized."""

MAX_UNZIPPED = 256 * 1024 * 1024
"""A compressed copy is not searched for a position beyond this."""

_COMPARED = 64 * 1024

Identity = tuple[int, int, bytes]


class Rotations:
    """The files that rotation has left beside a log.

    Args:
        path: the log; it may be a link to a file elsewhere, whose folder is looked through too.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: set[Identity] = set()
        self._lengths: set[tuple[bytes, int]] = set()
        for file, _ in self._files():
            with suppress(OSError), file.open("rb", buffering=0) as raw:
                self.note(raw)

    def note(self, file: BinaryIO) -> None:
        """Note a log that is read, as long as it then is: it is not read again under another name."""
        held = os.fstat(file.fileno())
        head = os.pread(file.fileno(), HEAD, 0)
        self._known.add((held.st_dev, held.st_ino, head))
        self._lengths.add((head, held.st_size))

    def appeared(
        self, *, log: BinaryIO, tail: bytes, open_files: set[tuple[int, int]]
    ) -> tuple[list[BinaryIO], bool]:
        """Return the files that have appeared since, the oldest first, and whether one is a copy of the log.

        Each is at the first byte to read: a copy where the log was read to, others at their start.

        Args:
            log: the log, at the position to which it was read.
            tail: the bytes before that position.
            open_files: device and inode of files that are being read.
        """
        found: list[BinaryIO] = []
        copied, position = False, log.tell()
        for path, held in sorted(self._files(), key=lambda one: one[1].st_mtime_ns):
            if (held.st_dev, held.st_ino) in open_files:
                continue
            with suppress(OSError, EOFError, zlib.error):
                if not position and _begins(log, path):
                    continue  # a copy of what is still to be read: the log will be emptied in a moment
                file = self._opened(path, held)
                if file is not None:
                    copied = _go_on(file, tail, position) or copied
                    found.append(file)
        return found, copied

    def kept(self, log: BinaryIO) -> bool:
        """Whether a log that lost its name still exists, compressed perhaps: it was rotated, not deleted."""
        held = os.fstat(log.fileno())
        if held.st_nlink:
            return True
        head = os.pread(log.fileno(), HEAD, 0)
        for path, _ in self._files():
            with suppress(OSError, EOFError, zlib.error):
                if _unzipped(path) == (head, held.st_size % 2**32):
                    return True
        return False

    def _opened(self, path: Path, held: os.stat_result) -> BinaryIO | None:
        """Open a file that was not known, and note it."""
        file = path.open("rb", buffering=0)
        head = file.read(HEAD)
        zipped = head.startswith(GZIP)
        known = self._zipped_known(path, file) if zipped else (held.st_dev, held.st_ino, head) in self._known
        self._known.add((held.st_dev, held.st_ino, head))
        if not zipped:
            self._lengths.add((head, held.st_size))
        if known or zipped:
            file.close()
        if known:
            return None
        if zipped:
            return cast("BinaryIO", gzip.GzipFile(path))
        file.seek(0)
        return file

    def _zipped_known(self, path: Path, file: BinaryIO) -> bool:
        """Whether a compressed file is one that was read, or not complete yet."""
        if path.with_suffix("").exists():
            return True  # gzip deletes the original when it is done
        held = os.fstat(file.fileno())
        if (held.st_dev, held.st_ino, os.pread(file.fileno(), HEAD, 0)) in self._known:
            return True
        head, length = _unzipped(path)
        return any(head == known and length >= size % 2**32 for known, size in self._lengths)

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        """Yield the regular files that may be this log, rotated, with their status."""
        with suppress(OSError):
            yield from _relatives(self._path)
            target = self._path.resolve()
            if target.parent != self._path.parent.resolve() or target.name != self._path.name:
                yield from _relatives(target)


def _relatives(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield the files named as rotation names them: `server.log.1`, `server-2026-11-29.log`, `1.log`."""
    stem, suffix = re.escape(path.stem), re.escape(path.suffix)
    digits = rf"|\d+{suffix}(?:\..*)?" if path.stem.isdigit() else ""
    named = re.compile(rf"{re.escape(path.name)}[-._].+|{stem}[-._]\d[\d._:TZ+-]*{suffix}(?:\.gz)?{digits}")
    with os.scandir(path.parent) as entries:
        for entry in entries:
            if entry.name == path.name or not named.fullmatch(entry.name):
                continue
            with suppress(OSError):
                held = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(held.st_mode):
                    yield Path(entry.path), held


def _unzipped(path: Path) -> tuple[bytes, int]:
    """Return the first bytes of a compressed file's content and its length, modulo 2^32."""
    with path.open("rb") as file:
        file.seek(-4, os.SEEK_END)
        length = int.from_bytes(file.read(4), "little")  # RFC 1952, ISIZE
    with gzip.GzipFile(path) as content:
        return content.read(HEAD), length


def _begins(log: BinaryIO, path: Path) -> bool:
    """Whether the log begins with all that a file has."""
    position = 0
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_COMPARED):
            if os.pread(log.fileno(), len(chunk), position) != chunk:
                return False
            position += len(chunk)
    return True


def _go_on(file: BinaryIO, tail: bytes, position: int) -> bool:
    """Go to `position` in a copy of what was read until there, to the start of any other file."""
    if tail and position <= MAX_UNZIPPED:
        start = position - len(tail)
        if file.seek(start) == start and _exactly(file, len(tail)) == tail:
            return True
    file.seek(0)
    return False


def _exactly(file: BinaryIO, length: int) -> bytes:
    """Return the next bytes, fewer only at the end of the file."""
    found = b""
    while len(found) < length and (more := file.read(length - len(found))):
        found += more
    return found
