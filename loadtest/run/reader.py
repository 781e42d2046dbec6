"""From a run directory to its evidence. Files are foreign: any of them may be damaged, cut short or hostile.

A last line without its end is what a killed run leaves: it is passed over and told as a warning. Anything
else that cannot be read is `RunUnreadable`, with the file, the line and what is wrong. Files are read line
by line, and lines have a limit.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from loadtest.errors import RunUnreadable
from loadtest.evidence import Evidence, Manifest
from loadtest.evidence.gathering import Gathering
from loadtest.evidence.interval import IntervalLine, second_of
from loadtest.recorder import Lifecycle
from loadtest.run import directory, hlog
from loadtest.verdict import Verdict

LINE_LIMIT = 1 << 20
"""Bytes of a line: the longest are intervals with a hundred errors of 200 characters."""

FILE_LIMIT = 1 << 22
"""Bytes of run.json and verdict.json."""

_Record = TypeVar("_Record")
_MALFORMED = (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError)

_decode_event = msgspec.json.Decoder(Lifecycle).decode
_decode_interval = msgspec.json.Decoder(IntervalLine).decode


def read_run(path: Path) -> Evidence:
    """Read a run directory, complete or not.

    Raises:
        RunUnreadable: a file of it is missing or damaged, or of another schema.
    """
    gathering = Gathering(read_manifest(path))

    def enter_histogram(line: bytes) -> None:
        entry = hlog.parsed(line.decode())
        if entry is not None:
            gathering.histogram(entry.tag, second_of(entry.start_ns), entry.histogram)

    readers: dict[str, Callable[[bytes], None]] = {
        directory.INTERVALS: lambda line: gathering.interval(_decode_interval(line)),
        directory.EVENTS: lambda line: gathering.event(_decode_event(line)),
        directory.HISTOGRAMS: enter_histogram,
    }
    for name, enter in readers.items():
        read_lines(path / name, enter, gathering.warn)
    return gathering.evidence()


def read_manifest(path: Path) -> Manifest:
    """Read a run directory's run.json.

    Raises:
        RunUnreadable: there is none, it is damaged, or of another schema.
    """
    return read_json(path / directory.MANIFEST, Manifest)


def read_verdict(path: Path) -> Verdict | None:
    """Read a run directory's verdict.json, None where there is none.

    Raises:
        RunUnreadable: it is damaged, or of another schema.
    """
    file = path / directory.VERDICT
    return read_json(file, Verdict) if file.is_file() else None


def given_verdict(path: Path) -> Verdict | None:
    """Return the verdict that a run was given, None where there is none that can be read."""
    try:
        return read_verdict(path)
    except RunUnreadable:
        return None


def read_json(file: Path, kind: type[_Record]) -> _Record:
    """Read a file of JSON as a record of this kind.

    Raises:
        RunUnreadable: it is missing, damaged, or of another schema.
    """
    try:
        with file.open("rb") as opened:
            data = opened.read(FILE_LIMIT + 1)
    except OSError as error:
        raise RunUnreadable(file, error.strerror or str(error)) from error
    if len(data) > FILE_LIMIT:
        raise RunUnreadable(file, f"is over {FILE_LIMIT} bytes")
    try:
        return msgspec.json.decode(data, type=kind)
    except _MALFORMED as error:
        raise RunUnreadable(file, f"cannot be read: {error}{_hint(data)}") from error


def _hint(data: bytes) -> str:
    """Return what the schema number tells of an unreadable file."""
    try:
        schema = msgspec.json.decode(data, type=dict[str, object]).get("schema")
    except _MALFORMED:
        return ""
    return "" if schema == 1 else f" (its schema is {schema}, this version reads 1)"


def read_lines(
    file: Path, enter: Callable[[bytes], None], warn: Callable[[str], None] = lambda _text: None
) -> None:
    """Have each line of a file entered; a ValueError or an error of msgspec says that it is malformed.

    Raises:
        RunUnreadable: a line but the last, cut short one is malformed, or the file cannot be read.
    """
    try:
        for number, line in enumerate(_lines(file), start=1):
            if len(line) == LINE_LIMIT and not line.endswith(b"\n"):
                raise RunUnreadable(file, f"line {number}: is over {LINE_LIMIT} bytes")
            try:
                enter(line)
            except _MALFORMED as error:
                if not line.endswith(b"\n"):
                    warn(f"{file.name}: the last line is cut short and was left out")
                    return
                raise RunUnreadable(file, f"line {number}: {error}") from error
    except OSError as error:
        raise RunUnreadable(file, error.strerror or str(error)) from error


def _lines(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while line := opened.readline(LINE_LIMIT):
            yield line
