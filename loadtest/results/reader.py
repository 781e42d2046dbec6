"""Read a run directory as `RunData`. No file is trusted: any may be damaged, truncated or hostile.

A killed run may leave an incomplete last line: it is skipped with a warning. Anything else that cannot be
read raises `RunUnreadable` with the file, the line and the problem. Files are read line by line, and the
length of a line is limited.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from loadtest import histograms, regular_files
from loadtest.errors import RunUnreadable
from loadtest.results import directory, hlog
from loadtest.results.data import RunData
from loadtest.results.gathering import RunGathering
from loadtest.results.interval import IntervalLine, second_of
from loadtest.results.manifest import Manifest
from loadtest.session.recorder import Lifecycle
from loadtest.text import one_line

LINE_LIMIT = 1 << 20
"""Maximum length of a line in bytes: the longest are intervals with a hundred errors of 200 characters."""

FILE_LIMIT = 1 << 22
"""Maximum size in bytes of a JSON file: run.json, verdict.json, duel.json."""

DATA_LIMIT = 16 << 30
"""Maximum size in bytes of a file of lines; days of a run with thousands of sessions write less."""

_Record = TypeVar("_Record")
_MALFORMED = (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError)

_decode_event = msgspec.json.Decoder(Lifecycle).decode
_decode_interval = msgspec.json.Decoder(IntervalLine).decode


def read_run(path: Path) -> RunData:
    """Read a run directory, complete or not.

    Raises:
        RunUnreadable: a file is missing or damaged, or has another schema.
    """
    gathering, decoder = RunGathering(read_manifest(path)), histograms.Decoder()

    def enter_histogram(line: bytes) -> None:
        entry = hlog.parsed(line.decode())
        if entry is not None:
            gathering.histogram(entry.tag, second_of(entry.start_ns), decoder.counted(entry.encoded))

    readers: dict[str, Callable[[bytes], None]] = {
        directory.INTERVALS: lambda line: gathering.interval(_decode_interval(line)),
        directory.EVENTS: lambda line: gathering.event(_decode_event(line)),
        directory.HISTOGRAMS: enter_histogram,
    }
    for name, enter in readers.items():
        read_lines(path / name, enter, gathering.warn)
    return gathering.data()


def read_manifest(path: Path) -> Manifest:
    """Read a run directory's run.json.

    Raises:
        RunUnreadable: the file is missing or damaged, or has another schema.
    """
    return read_json(path / directory.MANIFEST, Manifest)


def read_json(file: Path, kind: type[_Record]) -> _Record:
    """Read a JSON file as a record of this type.

    Raises:
        RunUnreadable: the file is missing, damaged or too large, or has another schema.
    """
    try:
        data = regular_files.read_regular(file, FILE_LIMIT)
    except OSError as error:
        raise RunUnreadable(file, error.strerror or str(error)) from error
    try:
        return msgspec.json.decode(data, type=kind)
    except _MALFORMED as error:
        raise RunUnreadable(file, f"cannot be read: {error}{_hint(data)}") from error


def _hint(data: bytes) -> str:
    """Return a hint for the error if an unreadable file has another schema number."""
    try:
        schema = msgspec.json.decode(data, type=dict[str, object]).get("schema")
    except _MALFORMED:
        return ""
    known = schema == 1 or not isinstance(schema, int)  # anything else is hostile, not a version
    return "" if known else f" (its schema is {one_line(str(schema), 20)}, this version reads 1)"


def read_lines(
    file: Path, enter: Callable[[bytes], None], warn: Callable[[str], None] = lambda _text: None
) -> None:
    """Call `enter` with each line of a file.

    Args:
        file: file to read.
        enter: raises a ValueError or an error of msgspec if the line is malformed.
        warn: called with a warning if the last line is malformed and incomplete; that line is skipped.

    Raises:
        RunUnreadable: a line is too long, a complete line is malformed, or the file cannot be read.
    """
    try:
        for number, line in enumerate(_lines(file), start=1):
            if len(line) == LINE_LIMIT and not line.endswith(b"\n"):
                raise RunUnreadable(file, f"line {number}: is longer than {LINE_LIMIT} bytes")
            try:
                enter(line)
            except _MALFORMED as error:
                if not line.endswith(b"\n"):
                    warn(f"{file.name}: the last line is incomplete and was skipped")
                    return
                raise RunUnreadable(file, f"line {number}: {error}") from error
    except OSError as error:
        raise RunUnreadable(file, error.strerror or str(error)) from error


def _lines(file: Path) -> Iterator[bytes]:
    with regular_files.open_regular(file) as opened:
        if os.fstat(opened.fileno()).st_size > DATA_LIMIT:
            raise RunUnreadable(file, f"is over {DATA_LIMIT >> 30} GiB")
        while line := opened.readline(LINE_LIMIT):
            yield line
