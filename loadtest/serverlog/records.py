"""A record of a server's log, independent of the log's format.

A record is a head line and the traceback or other lines under it. Everything in it is foreign input, so every
text is bounded and has no control characters except a traceback's line breaks. Text for a report also goes
through `excerpt`, which hides likely secrets. Levels are Python's five. Nothing here reads files or knows
what a record means; `rules` does.
"""

import re
from enum import IntEnum
from typing import Annotated

from msgspec import Meta, Struct

from loadtest.serverlog.times import iso
from loadtest.text import LINE_LENGTH, one_line, without_likely_secrets

MAX_MESSAGE = 2_000
"""Characters kept of a message: more than any text that the built-in rules look for."""

MAX_NAME = 200
"""Characters kept of a logger, session, revision or service; Cloud Run's names have at most 63."""


MAX_EXAMPLES = 2
MAX_EXAMPLE = 300
MAX_EXAMPLE_TEXT = 160
"""Examples of records without a level that are kept, and their characters."""

Example = Annotated[str, Meta(max_length=MAX_EXAMPLE)]

MAX_CAUSED = 60
MAX_CAUSE = 100
"""Characters shown of an exception that has a cause, and of that cause."""


ESCAPE = r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*\x07?|[@-Z\\^_])?"
"""Terminal escapes, which colour a log."""


class Level(IntEnum):
    """Level of a record, with the values of Python's logging."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40
    CRITICAL = 50


def is_error(level: Level | None) -> bool:
    """Whether a level is ERROR or worse; one that the log does not give is not."""
    return level is not None and level >= Level.ERROR


NO_LEVEL = "UNKNOWN"


def level_name(level: Level | None) -> str:
    """Return a level's name for a report."""
    return NO_LEVEL if level is None else level.name


_LEVEL_WORDS = {
    Level.DEBUG: "trace trce verbose vrb silly finest finer fine debug dbug dbg",
    Level.INFO: "info inf information informational notice success config log",
    Level.WARNING: "warning warn wrn",
    Level.ERROR: "error err eror erro fail exception severe",
    Level.CRITICAL: "critical crit fatal ftl panic dpanic alert emergency emerg",
}
LEVELS = {word: level for level, words in _LEVEL_WORDS.items() for word in words.split()}
LEVELS |= {word.upper(): level for word, level in LEVELS.items()}
"""Levels by all names: of loggers in Python, Node, Go, Java, .NET, Elixir, Rust, of syslog and of clouds."""


def level_of(word: str) -> Level | None:
    """Return the level with this name, in any case, also slog's `INFO+2`; None if there is none."""
    bare = word.strip().removeprefix("SEVERITY_NUMBER_")[:24].rstrip("0123456789").rstrip("+-").lower()
    return LEVELS.get(word) or LEVELS.get(bare) or _LETTERS.get(word)


SYSLOG_LEVELS = (Level.CRITICAL,) * 3 + (Level.ERROR, Level.WARNING, Level.INFO, Level.INFO, Level.DEBUG)
"""Levels by syslog's numbers."""

_LETTERS = {
    "T": Level.DEBUG,
    "N": Level.INFO,
    "C": Level.CRITICAL,
    "D": Level.DEBUG,
    "I": Level.INFO,
    "W": Level.WARNING,
    "E": Level.ERROR,
    "F": Level.CRITICAL,
}
"""glog, tornado, Ruby."""


class LogRecord(Struct, frozen=True, kw_only=True, gc=False):
    """A record of a server's log; texts that the log does not have are empty.

    Args:
        line: number of its first line in the log, starting at 1.
        level: its level; None if the log gives none that can be read, which is never INFO.
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
    level: Level | None
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
        unlevelled: records whose level is unknown.
        untimed: records whose time is unknown.
        examples: the first few records without a level, and what was understood of them.
        damage: why the rest of a compressed file could not be read; empty if it could.
    """

    lines: int = 0
    records: int = 0
    broken: int = 0
    undecodable: int = 0
    cut: int = 0
    stray: int = 0
    unlevelled: int = 0
    untimed: int = 0
    examples: tuple[Example, ...] = ()
    damage: str = ""

    def damaged_ratio(self) -> float:
        """Return the share of broken, cut and stray among these and all records, in [0, 1]."""
        lost = self.broken + self.cut + self.stray
        return lost / (lost + self.records) if lost else 0.0

    def unlevelled_ratio(self) -> float:
        """Return the share of records whose level is unknown, in [0, 1]."""
        return self.unlevelled / self.records if self.records else 0.0

    def note_unlevelled(self, record: LogRecord) -> None:
        """Count a record whose level is unknown, and keep the first few as examples."""
        self.unlevelled += 1
        if len(self.examples) < MAX_EXAMPLES:
            self.examples = (*self.examples, understood(record))

    def as_dict(self) -> dict[str, int]:
        """Return the counts by name, for a report."""
        return {name: getattr(self, name) for name in self.__struct_fields__ if name not in _WORDS}

    def plus(self, other: "Counts") -> "Counts":
        """Return the sum of two logs' counts."""
        total = {name: count + getattr(other, name) for name, count in self.as_dict().items()}
        examples = (*self.examples, *other.examples)[:MAX_EXAMPLES]
        return Counts(**total, examples=examples, damage=self.damage or other.damage)


_WORDS = ("examples", "damage")
"""Fields of `Counts` that hold text."""


def understood(record: LogRecord) -> str:
    """Return one line that says what was understood of a record."""
    logger = f"logger {record.logger}" if record.logger else "no logger"
    moment = "no time" if record.at_ns is None else f"time {iso(record.at_ns)}"
    moment = "no time of its own" if record.arrival else moment
    level = "no level" if record.level is None else f"level {record.level.name}"
    text = excerpt(record, MAX_EXAMPLE_TEXT)
    line = f"line {record.line}: {moment}, {level}, {logger}, text: {text}"
    return one_line(without_likely_secrets(line), MAX_EXAMPLE)


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
