"""What a record means: one readable table of texts, read from `rules.toml`.

A rule names a class and the text that shows it: in the message, in the exception that ends the
traceback, or in the traceback's frames; a rule that names several needs all of them. A pattern is plain
text found anywhere; `*` stands for anything between, `^` at its beginning and `$` at its end bind it to
the text's. There are no regular expressions: a pattern is a few searches one after the other, so that no
log and no user's rule can take more than linear time.

The first rule that fits decides, a user's own before ours. What no rule knows is a real error if it is
logged as ERROR or worse, and nothing to judge otherwise: an unknown text never hides a fault.
"""

import tomllib
from collections.abc import Sequence
from enum import StrEnum
from importlib.resources import files
from pathlib import Path

import msgspec
from msgspec import Struct

from loadtest.errors import InvalidSetting
from loadtest.serverlog.records import Level, LogRecord


class LogClass(StrEnum):
    """What a record is about."""

    GRACEFUL = "graceful"
    ABRUPT = "abrupt"
    SEND_TO_GONE_CLIENT = "send_to_gone_client"
    CANCELLED_AT_SHUTDOWN = "cancelled_at_shutdown"
    REAL_ERROR = "real_error"
    OTHER = "other"


DISCONNECTS = frozenset({LogClass.GRACEFUL, LogClass.ABRUPT, LogClass.SEND_TO_GONE_CLIENT})
"""The classes of records that a client's leaving causes; none of them is an error of the server."""


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"log_class": "class"}):
    """One row of the table; each text is one pattern or a list of which one must fit.

    `source` says which program writes such records and when, `example` is one as it stands in a log.
    """

    log_class: LogClass
    message: str | list[str] = []
    exception: str | list[str] = []
    frames: str | list[str] = []
    source: str = ""
    example: str = ""


class _Table(Struct, forbid_unknown_fields=True):
    rule: list[Rule]


class Pattern:
    """One pattern, taken apart for searching."""

    def __init__(self, text: str) -> None:
        at_start, at_end = text.startswith("^"), text.endswith("$")
        body = text.removeprefix("^").removesuffix("$")
        parts = body.split("*")
        self._whole = body if at_start and at_end and "*" not in body else None
        self._head = parts.pop(0) if at_start else ""
        self._tail = parts.pop() if at_end and parts else ""
        self._between = [part for part in parts if part]
        self.needle = next((part for part in (self._head, *self._between, self._tail) if part), "")

    def fits(self, text: str) -> bool:
        """Whether the text holds all parts, in order and without overlap."""
        if self._whole is not None:
            return text == self._whole
        if not (text.startswith(self._head) and text.endswith(self._tail)):
            return False
        position, end = len(self._head), len(text) - len(self._tail)
        for part in self._between:
            found = text.find(part, position, end)
            if found < 0:
                return False
            position = found + len(part)
        return position <= end


Patterns = tuple[Pattern, ...]
_Row = tuple[Rule, Patterns, Patterns, Patterns]


def _patterns(texts: str | list[str]) -> Patterns:
    return tuple(map(Pattern, [texts] if isinstance(texts, str) else texts))


def _fit(patterns: Patterns, text: str) -> bool:
    return any(pattern.fits(text) for pattern in patterns)


class RuleTable:
    """The rules in the order in which they are tried."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        compiled = [(r, _patterns(r.message), _patterns(r.exception), _patterns(r.frames)) for r in rules]
        self._any = compiled
        self._without_traceback = [row for row in compiled if not (row[2] or row[3])]
        messages = [pattern for row in self._without_traceback for pattern in row[1]]
        self._needles = tuple(dict.fromkeys(pattern.needle for pattern in messages))

    def rule_for(self, record: LogRecord) -> Rule | None:
        """The first rule that fits a record.

        Most records hold no text of any rule; one look for the first part of each pattern settles that.
        """
        if record.traceback:
            return self._first(self._any, record)
        for needle in self._needles:
            if needle in record.message:
                return self._first(self._without_traceback, record)
        return None

    def _first(self, candidates: Sequence[_Row], record: LogRecord) -> Rule | None:
        for rule, messages, exceptions, frames in candidates:
            if messages and not _fit(messages, record.message):
                continue
            if exceptions and not _fit(exceptions, record.exception):
                continue
            if frames and not _fit(frames, record.traceback):
                continue
            return rule
        return None

    def classify(self, record: LogRecord) -> LogClass:
        """What a record is about."""
        rule = self.rule_for(record)
        if rule is not None:
            return rule.log_class
        return LogClass.REAL_ERROR if record.level >= Level.ERROR else LogClass.OTHER


def load_rules(path: Path | None = None, *, option: str = "--ws-server-log-rules") -> RuleTable:
    """Return the built-in rules, after those of a user's file if one is given.

    Args:
        option: the name that errors give.

    Raises:
        InvalidSetting: the file cannot be read or does not hold rules.
    """
    built_in = (files(__package__) / "rules.toml").read_text(encoding="utf-8")
    own = parse_rules(built_in, "rules.toml", option=option)
    if path is None:
        return RuleTable(own)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InvalidSetting(option, str(path), f"must be a file that can be read ({reason})") from error
    return RuleTable([*parse_rules(text, str(path), option=option), *own])


def parse_rules(text: str, name: str, *, option: str) -> list[Rule]:
    """Return the rules of a TOML text.

    Args:
        name: of the file, for errors.
        option: that names the file, for errors.

    Raises:
        InvalidSetting: it does not hold rules.
    """
    hint = 'Write rules as [[rule]] with class = "graceful" and message, exception or frames = "text"'
    try:
        table = msgspec.convert(tomllib.loads(text), _Table)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise InvalidSetting(option, name, f"must hold rules ({error})", hint) from error
    for number, rule in enumerate(table.rule, 1):
        if not any((*_texts(rule.message), *_texts(rule.exception), *_texts(rule.frames))):
            raise InvalidSetting(option, name, f"rule {number} must have a text", hint)
    return table.rule


def _texts(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
