"""Classifies records by a readable table of texts, `rules.toml`.

A rule has a class and the texts that identify it: in the message, in the exception that ends the traceback,
in either, or anywhere in the traceback (`patterns` says how a text is found). A rule with several of these
needs all of them. The first matching rule decides; the user's own come before the built-in ones. A record
that no rule matches is a real error if its level is ERROR or higher, and is not judged otherwise: an unknown
text never hides a fault.

Two guards keep a fault from passing as a client's leaving:

- Every exception that a record names must be the rule's, or harmless beside it: a fault that was raised
  before or during a disconnect stays a fault.
- Words such as "connection reset by peer" do not say whose connection. A rule with `ambiguous` does not match
  a record that puts the cause elsewhere, with a database or an upstream.
"""

import re
import tomllib
from collections.abc import Sequence
from enum import StrEnum
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path

import msgspec
from msgspec import Struct

from loadtest.errors import InvalidSetting
from loadtest.serverlog.patterns import Finder, Index, Patterns, compiled, fit, words_marked
from loadtest.serverlog.raised import raised
from loadtest.serverlog.records import LogRecord, is_error
from loadtest.serverlog.rule_bounds import excess, read_bounded
from loadtest.text import one_line

MAX_RULES = 1_000
MAX_PATTERNS = 4_000
MAX_PATTERN = 500
"""Rules of a file, their patterns in all, and a pattern's characters: each is searched for in every log."""

MAX_REMEMBERED = 1_000
"""Characters of a traceback of which the rule is remembered: a log says many things often."""

_HINT = 'Write rules as [[rule]] with class = "graceful" and message, exception or frames = "text"'


class LogClass(StrEnum):
    """Class of a record."""

    GRACEFUL = "graceful"
    ABRUPT = "abrupt"
    SEND_TO_GONE_CLIENT = "send_to_gone_client"
    CANCELLED_AT_SHUTDOWN = "cancelled_at_shutdown"
    PROBER = "prober"
    REAL_ERROR = "real_error"
    OTHER = "other"


DISCONNECTS = frozenset({LogClass.GRACEFUL, LogClass.ABRUPT, LogClass.SEND_TO_GONE_CLIENT})
"""Classes of records that are caused by a client's leaving; none is an error of the server."""

_GUARDED = frozenset({*DISCONNECTS, LogClass.CANCELLED_AT_SHUTDOWN, LogClass.PROBER})
"""Classes that excuse a record at ERROR, if it names no other exception."""


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"log_class": "class"}):
    """A row of the table; each text is a pattern, or a list of patterns of which one must match.

    Args:
        log_class: the class of records that match.
        message: patterns for the record's message.
        exception: patterns for the exception that reached the top.
        text: patterns for the message or any exception that the record names.
        frames: patterns for the traceback.
        unless: patterns for all of these; a record that has one of them does not match.
        ambiguous: whether the texts leave open whose connection ended (see `RuleFile.elsewhere`).
        source: which program writes such records, and when.
        example: such a record as it appears in a log, or several.
        unlike: records that look alike and are none, each as it appears in a log.
    """

    log_class: LogClass
    message: str | list[str] = []
    exception: str | list[str] = []
    text: str | list[str] = []
    frames: str | list[str] = []
    unless: str | list[str] = []
    ambiguous: bool = False
    source: str = ""
    example: str | list[str] = ""
    unlike: str | list[str] = ""

    def finding(self) -> list[str]:
        """Return the patterns of which a record must have some."""
        fields = (self.message, self.exception, self.text, self.frames)
        return [text for field in fields for text in listed(field)]

    def patterns(self) -> list[str]:
        """Return all patterns."""
        return [*self.finding(), *listed(self.unless)]


class RuleFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of rules.

    Args:
        rule: the rules, in the order they are tried.
        harmless: patterns for exceptions that may stand in a chain beside a disconnect's.
        elsewhere: patterns for the message, exceptions and logger of a record whose cause is not the client;
            `ambiguous` rules do not match it.
        elsewhere_words: the same for message and exceptions, found only where a word begins.
        frames_elsewhere: the same for its traceback.
    """

    rule: list[Rule] = []
    harmless: list[str] = []
    elsewhere: list[str] = []
    elsewhere_words: list[str] = []
    frames_elsewhere: list[str] = []

    def guards(self) -> list[str]:
        """Return the patterns that belong to no rule."""
        return [*self.harmless, *self.elsewhere, *self.elsewhere_words, *self.frames_elsewhere]

    def before(self, later: "RuleFile") -> "RuleFile":
        """Return both files' rules, this one's first."""
        return RuleFile(
            rule=[*self.rule, *later.rule],
            harmless=[*self.harmless, *later.harmless],
            elsewhere=[*self.elsewhere, *later.elsewhere],
            elsewhere_words=[*self.elsewhere_words, *later.elsewhere_words],
            frames_elsewhere=[*self.frames_elsewhere, *later.frames_elsewhere],
        )


def listed(value: str | list[str]) -> list[str]:
    """Return a text or several as a list."""
    return [value] if isinstance(value, str) else value


class _Row(Struct, frozen=True):
    rule: Rule
    message: Patterns
    exception: Patterns
    text: Patterns
    frames: Patterns
    unless: Patterns

    @classmethod
    def of(cls, rule: Rule) -> "_Row":
        fields = (rule.message, rule.exception, rule.text, rule.frames, rule.unless)
        return cls(rule, *map(compiled, fields))

    @property
    def searched(self) -> Patterns:
        """The patterns by which the row is found: of a field that every matching record must have."""
        return self.exception or self.message or self.text or self.frames


class _Texts(Struct, frozen=True):
    """A record's texts in lower case."""

    message: str
    exception: str
    raised: list[str]
    traceback: str
    logger: str

    @classmethod
    def of(cls, message: str, exception: str, cause: str, traceback: str, logger: str) -> "_Texts":
        found = [text.lower() for text in raised(exception, cause, traceback)]
        return cls(message.lower(), exception.lower(), found, traceback.lower(), logger.lower())

    def everything(self) -> str:
        """Return all of them but the logger, to search in."""
        return "\n".join((self.message, *self.raised, self.traceback))


_GO_ENDS = re.compile(r"\btcp \S{1,60}:(\d{1,5})->\S{1,60}:(\d{1,5})\b")
_FIRST_EPHEMERAL = 32_768
"""The lowest port that Linux gives to the side that connects (ip_local_port_range)."""


def _dialled(text: str) -> bool:
    """Whether a text in Go's words (`tcp LOCAL->REMOTE`) names a connection that the server itself opened."""
    ends = _GO_ENDS.search(text)
    return ends is not None and int(ends[1]) >= _FIRST_EPHEMERAL > int(ends[2])


class RuleTable:
    """The rules, in the order they are tried."""

    def __init__(self, file: RuleFile) -> None:
        self.rules = tuple(file.rule)
        self._rows = [_Row.of(rule) for rule in file.rule]
        self._harmless = compiled(file.harmless)
        self._elsewhere = Finder(compiled(file.elsewhere))
        self._elsewhere_words = Finder(compiled(map(words_marked, file.elsewhere_words)))
        self._frames_elsewhere = Finder(compiled(file.frames_elsewhere))
        self._index = Index([row.searched for row in self._rows])
        plain = [() if row.exception or row.frames else row.searched for row in self._rows]
        self._plain = Index(plain)  # of records without a traceback, which most are
        self._remembered = lru_cache(maxsize=1024)(self._find)

    def rule_for(self, record: LogRecord) -> Rule | None:
        """Return the first rule that matches a record; None if none does."""
        if not (record.exception or record.traceback or self._plain.candidates(record.message.lower())):
            return None  # most records: nothing of them is worth remembering
        find = self._remembered if len(record.traceback) < MAX_REMEMBERED else self._find
        return find(record.message, record.exception, record.cause, record.traceback, record.logger)

    def _find(self, message: str, exception: str, cause: str, traceback: str, logger: str) -> Rule | None:
        texts = _Texts.of(message, exception, cause, traceback, logger)
        if exception or traceback:
            found = self._index.candidates(texts.everything())
        else:
            found = self._plain.candidates(texts.message)
        rows = (self._rows[number] for number in found)
        return next((row.rule for row in rows if self._matches(row, texts)), None)

    def classify(self, record: LogRecord) -> LogClass:
        """Return the class of a record."""
        rule = self.rule_for(record)
        if rule is not None:
            return rule.log_class
        return LogClass.REAL_ERROR if is_error(record.level) else LogClass.OTHER

    def excuses(self, record: LogRecord) -> bool:
        """Whether the exceptions of a record are those of a client's leaving, or of a shutdown."""
        rule = self.rule_for(record)
        if rule is not None:
            return rule.log_class is not LogClass.REAL_ERROR
        texts = _Texts.of(record.message, record.exception, record.cause, record.traceback, record.logger)
        named = all(fit(self._harmless, exception) for exception in texts.raised)
        return bool(texts.raised) and named and not self._is_elsewhere(texts)

    def _matches(self, row: _Row, texts: _Texts) -> bool:
        if row.message and not fit(row.message, texts.message):
            return False
        if row.exception and not fit(row.exception, texts.exception):
            return False
        if row.text and not any(fit(row.text, text) for text in (texts.message, *texts.raised)):
            return False
        if row.frames and not fit(row.frames, texts.traceback):
            return False
        return not self._excepted(row, texts)

    def _excepted(self, row: _Row, texts: _Texts) -> bool:
        """Whether a guard keeps a record from a row whose texts it has."""
        if row.unless and fit(row.unless, texts.everything()):
            return True
        if row.rule.ambiguous and self._is_elsewhere(texts):
            return True
        return row.rule.log_class in _GUARDED and not self._alone(row, texts.raised)

    def _is_elsewhere(self, texts: _Texts) -> bool:
        """Whether a record puts its cause with another service, or a fault in code."""
        if texts.traceback and self._frames_elsewhere.fits(texts.traceback):
            return True
        if texts.logger and self._elsewhere.fits(texts.logger):
            return True
        return any(self._says_elsewhere(text) for text in (texts.message, *texts.raised))

    def _says_elsewhere(self, text: str) -> bool:
        words = self._elsewhere_words.fits(words_marked(text))
        return words or self._elsewhere.fits(text) or _dialled(text)

    def _alone(self, row: _Row, exceptions: Sequence[str]) -> bool:
        """Whether a record names no exception but the row's own and harmless ones."""
        known = (*row.exception, *row.text, *self._harmless)
        return all(fit(known, exception) for exception in exceptions)


def load_rules(path: Path | None = None, *, option: str = "--ws-server-log-rules") -> RuleTable:
    """Return the built-in rules, preceded by those of a user's file if one is given.

    Args:
        path: the user's file; None for the built-in rules only.
        option: the option named in errors.

    Raises:
        InvalidSetting: the file cannot be read or does not contain rules.
    """
    own = built_in()
    if path is None:
        return RuleTable(own)
    return RuleTable(parse_rules(read_bounded(path, option), str(path), option=option).before(own))


@cache
def built_in() -> RuleFile:
    """Return the rules that come with the package."""
    text = (files(__package__) / "rules.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), RuleFile)


def parse_rules(text: str, name: str, *, option: str) -> RuleFile:
    """Return the rules of a TOML text.

    Args:
        text: content of a rules file.
        name: the file's name, for errors.
        option: the option named in errors.

    Raises:
        InvalidSetting: the text does not contain rules.
    """

    def refused(problem: str) -> InvalidSetting:
        return InvalidSetting(option, name, f"must contain rules ({problem})", _HINT)

    if problem := excess(text):
        raise refused(problem)
    try:
        file = msgspec.convert(tomllib.loads(text), RuleFile)
    except (ValueError, RecursionError) as error:  # msgspec's and tomllib's own errors are ValueErrors
        raise refused(f"{error}{_choices(str(error))}") from error
    if problem := _problem(file):
        raise InvalidSetting(option, name, problem, _HINT)
    return file


def _choices(problem: str) -> str:
    """Return the allowed values for a field that msgspec rejected, to be added to its message."""
    if "enum value" in problem:
        return f"; the classes are {', '.join(LogClass)}"
    if "unknown field" in problem:
        of = Rule if "$.rule" in problem else RuleFile
        return f"; the fields are {', '.join(field.encode_name for field in msgspec.structs.fields(of))}"
    return ""


def _problem(file: RuleFile) -> str:
    everywhere = [*file.guards(), *(text for rule in file.rule for text in rule.patterns())]
    if not (file.rule or everywhere):
        return "must have a rule, or a text in harmless, elsewhere, elsewhere_words or frames_elsewhere"
    if len(file.rule) > MAX_RULES:
        return f"must have at most {MAX_RULES:,} rules"
    if len(everywhere) > MAX_PATTERNS:
        return f"must have at most {MAX_PATTERNS:,} patterns"
    if long := next((text for text in everywhere if len(text) > MAX_PATTERN), ""):
        return f"must have patterns of at most {MAX_PATTERN} characters: {one_line(long, 40)}"
    for number, rule in enumerate(file.rule, 1):
        if not all(text.strip("^$*") for text in rule.patterns()) or not rule.finding():
            return f"rule {number} must have a text"
    if not all(text.strip("^$*") for text in everywhere):
        return "must have a text in each pattern"
    return ""
