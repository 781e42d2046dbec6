"""A record of a server's log, independent of the log's format.

A record is a head line and the traceback or other lines under it. Everything in it is foreign input, so every
text is bounded and has no control characters except a traceback's line breaks. Text for a report also goes
through `excerpt`, which hides likely secrets. Levels are Python's five. Nothing here reads files or knows
what a record means; `rules` does.
"""

import re
from enum import IntEnum

from msgspec import Struct

from loadtest.text import LINE_LENGTH, one_line, without_likely_secrets

MAX_MESSAGE = 2_000
"""Characters kept of a message: more than any text that the built-in rules look for."""

MAX_NAME = 200
"""Characters kept of a logger, session, revision or service; Cloud Run's names have at most 63."""


MAX_CAUSED = 60
MAX_CAUSE = 100
"""Characters shown of an exception that has a cause, and of that cause."""


class Level(IntEnum):
    """Level of a record, with the values of Python's logging."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40
    CRITICAL = 50


_OTHER_NAMES = {
    "TRACE": Level.DEBUG,
    "NOTSET": Level.INFO,
    "SUCCESS": Level.INFO,
    "NOTICE": Level.INFO,
    "WARN": Level.WARNING,
    "ERR": Level.ERROR,
    "EXCEPTION": Level.ERROR,
    "FATAL": Level.CRITICAL,
    "CRIT": Level.CRITICAL,
    "ALERT": Level.CRITICAL,
    "EMERGENCY": Level.CRITICAL,
}
_NAMES = {level.name: level for level in Level} | _OTHER_NAMES
LEVELS: dict[str, Level] = _NAMES | {name.lower(): level for name, level in _NAMES.items()}
"""Levels by all their names in Python's logging, loguru and Cloud Logging."""


class LogRecord(Struct, frozen=True, kw_only=True, gc=False):
    """A record of a server's log; texts that the log does not have are empty.

    Args:
        line: number of its first line in the log, starting at 1.
        level: its level; INFO if the log gives none.
        message: the head's message on one line.
        at_ns: Unix time; None if unknown.
        arrival: whether `at_ns` is when the tool read the line, not the server's own time.
        logger, session, revision, service: names as logged.
        exception: the last line of the traceback (`KeyError: 'x'`), of the last exception in a chain.
        cause: the same of its root cause.
        traceback: the lines under the head, shortened.
        frame: the JSON object that the record was read from; empty for text.
    """

    line: int
    level: Level
    message: str
    at_ns: int | None = None
    arrival: bool = False
    logger: str = ""
    session: str = ""
    revision: str = ""
    service: str = ""
    exception: str = ""
    cause: str = ""
    traceback: str = ""
    frame: bytes = b""


class Counts(Struct, kw_only=True):
    """Counts of reading a log.

    Args:
        lines, records: number of lines and records read.
        broken: records that could not be read.
        undecodable: lines that were not UTF-8; they are read nevertheless.
        cut: records that were too long.
        stray: lines in no known format that belong to no traceback.
    """

    lines: int = 0
    records: int = 0
    broken: int = 0
    undecodable: int = 0
    cut: int = 0
    stray: int = 0

    def damaged_ratio(self) -> float:
        """Return the share of broken, cut and stray among these and all records, in [0, 1]."""
        lost = self.broken + self.cut + self.stray
        return lost / (lost + self.records) if lost else 0.0

    def as_dict(self) -> dict[str, int]:
        """Return the counts by name, for a report."""
        return {name: getattr(self, name) for name in self.__struct_fields__}

    def plus(self, other: "Counts") -> "Counts":
        """Return the sum of two logs' counts."""
        return Counts(**{name: count + getattr(other, name) for name, count in self.as_dict().items()})


_SESSION = re.compile(r"""(?:\(session |\bsession(?:_id)?=)["']?([^\s,;:()"'\[\]{}<>]{1,128})""")


def session_in(message: str) -> str:
    """Return the session in a message with `session=S`, `session_id=S` or `(session S)`; empty if none."""
    if "session" not in message:
        return ""
    found = _SESSION.search(message)
    return found[1] if found else ""


def excerpt(record: LogRecord, limit: int = LINE_LENGTH) -> str:
    """Return one line for a report, without likely secrets.

    The exception that was raised last comes first, since it names the fault; then its root cause, then the
    message. A long exception is cut so that the cause's type remains, also in the shape.
    """
    text, exception = (without_likely_secrets(part) for part in (record.message, record.exception))
    if record.cause:
        cause = one_line(without_likely_secrets(record.cause), MAX_CAUSE)
        exception = f"{one_line(exception, MAX_CAUSED)}, caused by {cause}"
    repeats = bool(record.exception) and record.message.startswith(record.exception)
    if record.cause and repeats:
        text = exception
    elif record.exception and not repeats:
        text = f"{exception} | {text}"
    return one_line(text, limit)
