"""One record of a server's log, whatever format it was written in.

A record is what a server said at one moment: its head line and the traceback or further lines under it.
Everything in it came from outside, so every text is bounded and holds no control character; the text of
a report goes through `excerpt` as well, which hides what looks like a secret. Levels are Python's five.
Nothing here reads files or knows what a record means (that is `rules`).
"""

import re
from enum import IntEnum

from msgspec import Struct

from loadtest.text import LINE_LENGTH, one_line, without_likely_secrets

MAX_MESSAGE = 2_000
"""Characters kept of a message; the longest of the texts that the rules look for ends well before."""

MAX_NAME = 200
"""Characters kept of a logger, session, revision or service; Cloud Run's own names end at 63."""


class Level(IntEnum):
    """How grave the server says a record is; the values are those of Python's logging."""

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
"""A level by any name that Python's loggers, loguru or Cloud Logging give it."""


class LogRecord(Struct, frozen=True, kw_only=True, gc=False):
    """What the server logged at one moment.

    `at_ns` is Unix time, None where the log carries none; `arrival` says that it is the moment at which
    the line was read here and not the server's own time. Texts that a log does not carry are empty.
    `exception` is the line that ends the traceback (`KeyError: 'x'`), the last of a chain.
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
    traceback: str = ""


class Counts(Struct, kw_only=True):
    """How reading a log went.

    Args:
        lines, records: how many were read.
        broken: records that could not be read.
        undecodable: lines that were not UTF-8; they are read all the same.
        cut: records that were too long.
        stray: lines of no known format that belong to no traceback.
    """

    lines: int = 0
    records: int = 0
    broken: int = 0
    undecodable: int = 0
    cut: int = 0
    stray: int = 0

    def damaged_ratio(self) -> float:
        """The share of what should have been records that could not be read as such."""
        lost = self.broken + self.cut + self.stray
        return lost / (lost + self.records) if lost else 0.0

    def as_dict(self) -> dict[str, int]:
        """The counts by name, for a report."""
        return {name: getattr(self, name) for name in self.__struct_fields__}

    def plus(self, other: "Counts") -> "Counts":
        """The counts of two logs together."""
        return Counts(**{name: count + getattr(other, name) for name, count in self.as_dict().items()})


_SESSION = re.compile(r"""(?:\(session |\bsession(?:_id)?=)["']?([^\s,;:()"'\[\]{}<>]{1,128})""")


def session_in(message: str) -> str:
    """The session that a message names as `session=S`, `session_id=S` or `(session S)`; else nothing."""
    if "session" not in message:
        return ""
    found = _SESSION.search(message)
    return found[1] if found else ""


def excerpt(record: LogRecord, limit: int = LINE_LENGTH) -> str:
    """One line of a record for a report: message and exception, without what looks like a secret."""
    text = record.message
    if record.exception and record.exception not in text:
        text = f"{text} | {record.exception}"
    return one_line(without_likely_secrets(text), limit)
