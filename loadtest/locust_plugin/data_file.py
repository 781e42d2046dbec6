"""Reads the file of `--ws-data` in each process of a run: its rows, and the secrets in them.

Settings are built several times before a run, so the last file read is cached until it changes. Errors leave
out the path, because an error from a worker may end up in run.json.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from loadtest.errors import NOT_SHOWN, InvalidSetting
from loadtest.scrubber import NO_SECRETS, Secrets
from loadtest.session.data_rows import OPTION, Rows, parse_rows

MAX_BYTES = 64 << 20
"""Takes about a gigabyte of memory once it is split into rows."""


@dataclass(frozen=True, slots=True)
class SessionData:
    """The data of a run's sessions, one row each.

    Args:
        rows: by session number; empty if no file was given.
        secrets: all values of the rows.
    """

    rows: Rows = ()
    secrets: Secrets = NO_SECRETS


def read_data(path: Path | None) -> SessionData:
    """Return the content of a file; empty data if no file was given.

    Raises:
        InvalidSetting: the file cannot be read, is not a regular file, is too large, or is malformed.
    """
    if path is None:
        return SessionData()
    try:
        # Without O_NONBLOCK, opening a FIFO would wait for a writer.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            return _read(file)
    except OSError as error:
        raise _unusable(f"must be a file that can be read ({error.strerror})") from None


_latest: dict[tuple[int, ...], SessionData] = {}
"""The content of the last file read; the key differs for another file and for a changed one."""


def _read(file: BinaryIO) -> SessionData:
    found = os.fstat(file.fileno())
    if not stat.S_ISREG(found.st_mode):
        raise _unusable("must be a regular file")
    identity = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
    if identity not in _latest:
        content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise _unusable(f"must be at most {MAX_BYTES >> 20} MiB")
        rows = parse_rows(content)
        secrets = Secrets(values={value for row in rows for value in row.values()})
        _latest.clear()
        _latest[identity] = SessionData(rows, secrets)
    return _latest[identity]


def _unusable(problem: str) -> InvalidSetting:
    return InvalidSetting(OPTION, NOT_SHOWN, problem)
