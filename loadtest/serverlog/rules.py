"""Classifies records by a readable table of texts, `rules.toml`.

A rule has a class and the texts that identify it: in the message, in the exception that ends the traceback,
or anywhere in the traceback. A rule with several of these needs all of them. A pattern is plain text found
anywhere; `*` matches anything in between, `^` and `$` anchor it to the start and end. There are no regular
expressions: a pattern is a short sequence of text searches, so no log and no user's rule can take more than
linear time.

The first matching rule decides; the user's own come before the built-in ones. A record that no rule matches
is a real error if its level is ERROR or higher, and is not judged otherwise: an unknown text never hides a
fault.
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
    """Class of a record."""

    GRACEFUL = "graceful"
    ABRUPT = "abrupt"
    SEND_TO_GONE_CLIENT = "send_to_gone_client"
    CANCELLED_AT_SHUTDOWN = "cancelled_at_shutdown"
    REAL_ERROR = "real_error"
    OTHER = "other"


DISCONNECTS = frozenset({LogClass.GRACEFUL, LogClass.ABRUPT, LogClass.SEND_TO_GONE_CLIENT})
"""Classes of records that are caused by a client's leaving; none is an error of the server."""


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"log_class": "class"}):
    """A row of the table; each text is a pattern, or a list of patterns of which one must match.

    Args:
        log_class: the class of records that match.
        message: patterns for the record's message.
        exception: patterns for the exception that ends the traceback.
        frames: patterns for the traceback.
        source: which program writes such records, and when.
        example: such a record as it appears in a log.
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
    """A pattern, compiled for searching."""

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
        """Whether the text has all parts, in order and without overlap."""
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
    """The rules, in the order they are tried."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        compiled = [(r, _patterns(r.message), _patterns(r.exception), _patterns(r.frames)) for r in rules]
        self._any = compiled
        self._without_traceback = [row for row in compiled if not (row[2] or row[3])]
        messages = [pattern for row in self._without_traceback for pattern in row[1]]
        self._needles = tuple(dict.fromkeys(pattern.needle for pattern in messages))

    def rule_for(self, record: LogRecord) -> Rule | None:
        """Return the first rule that matches a record; None if none does.

        Most records match no rule; a search for the first part of each pattern settles that quickly.
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
        """Return the class of a record."""
        rule = self.rule_for(record)
        if rule is not None:
            return rule.log_class
        return LogClass.REAL_ERROR if record.level >= Level.ERROR else LogClass.OTHER


def load_rules(path: Path | None = None, *, option: str = "--ws-server-log-rules") -> RuleTable:
    """Return the built-in rules, preceded by those of a user's file if one is given.

    Args:
        path: the user's file; None for the built-in rules only.
        option: the option named in errors.

    Raises:
        InvalidSetting: the file cannot be read or does not contain rules.
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
        text: content of a rules file.
        name: the file's name, for errors.
        option: the option named in errors.

    Raises:
        InvalidSetting: the text does not contain rules.
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
