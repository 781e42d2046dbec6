"""The TOML file of the dialect `template`: a protocol without code.

    [established]
    when = { type = "welcome" }
    session = "session.id"

    [request]
    message = '{"type": "say", "id": $sequence, "text": "$text"}'

    [reply]
    when = { type = "said" }
    id = "id"
    text = "text"

Every key has a kind, as settings have, and every error names the file, the key and what is allowed. The
meaning of the sections is in `loadtest.dialects.template_dialect`.
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from loadtest.dialects import dotted_paths
from loadtest.dialects.checked_fields import AUTO
from loadtest.dialects.dialect_options import OPTION
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.dotted_paths import MISSING, Field, value_at
from loadtest.dialects.templates import Template, names_of
from loadtest.errors import NOT_SHOWN, InvalidSetting
from loadtest.regular_files import open_regular
from loadtest.values import Choice, Flag, Kind, Text, Token, Whole, seconds

MAX_BYTES: Final = 1 << 20
"""Size of a file: far more than any protocol needs."""

ANY: Final = "*"
"""In a condition: the field is there, whatever its value."""

Message = Callable[[DialectSession, int], Any]
"""Writes a message of the client."""

Document = Any
"""A message of the server: JSON, or the named groups of a regular expression."""


@dataclass(frozen=True, slots=True)
class Condition:
    """The condition for a section to apply to a message.

    Args:
        alternatives: lists of (path, allowed values), of which one must hold; an empty tuple always holds.
        pattern: in a protocol of text, the regular expression that the message must match, whose named groups
            are its fields.
    """

    alternatives: tuple[tuple[tuple[dotted_paths.Path, tuple[Any, ...]], ...], ...] = ()
    pattern: re.Pattern[str] | None = None

    def fields(self, document: Document) -> Document:
        """Return the fields of a message if the condition holds, else MISSING."""
        if self.pattern is not None:
            found = self.pattern.search(document)
            return MISSING if found is None else found.groupdict()
        if not self.alternatives or any(_holds(one, document) for one in self.alternatives):
            return document
        return MISSING


def _holds(parts: tuple[tuple[dotted_paths.Path, tuple[Any, ...]], ...], document: Document) -> bool:
    return all(_allows(allowed, value_at(document, path)) for path, allowed in parts)


def _allows(allowed: tuple[Any, ...], value: Any) -> bool:
    if value is MISSING:
        return False
    return any(
        one == ANY or (one == value and isinstance(one, bool) == isinstance(value, bool)) for one in allowed
    )


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the file.

    Args:
        name: its name.
        values: the keys given, with their values.
        when: the server messages that it applies to.
    """

    name: str
    values: Mapping[str, Any] = field(default_factory=dict)
    when: Condition = Condition()

    def path(self, key: str, default: str = "") -> dotted_paths.Path:
        """Return the path of a field."""
        return dotted_paths.path_of(self.values.get(key, default))

    def __contains__(self, key: str) -> bool:
        return key in self.values


@dataclass(frozen=True, slots=True)
class Protocol:
    """A protocol, as read from its file.

    Args:
        file: the file, for errors.
        top: keys outside sections.
        sections: the others by name.
        answers: the sections `[[answer]]`.
    """

    file: str
    top: Section
    sections: Mapping[str, Section]
    answers: tuple[Section, ...] = ()

    def get(self, name: str) -> Section | None:
        """Return a section, None if the file has none of this name."""
        return self.sections.get(name)


@dataclass(frozen=True, slots=True)
class _List:
    """A list of values of one kind."""

    kind: Kind
    metavar: str = "LIST"

    def read(self, given: Any, option: str) -> tuple[Any, ...]:
        if not isinstance(given, list):
            raise InvalidSetting(option, given, f"must be {self}")
        return tuple(self.kind.read(one, option) for one in given)

    def __str__(self) -> str:
        return f"a list, each {self.kind}"


@dataclass(frozen=True, slots=True)
class _Fields:
    """A table of names and fields."""

    metavar: str = "TABLE"

    def read(self, given: Any, option: str) -> dict[str, dotted_paths.Path]:
        if not isinstance(given, dict):
            raise InvalidSetting(option, given, f"must be {self}")
        return {name: dotted_paths.path_of(Field().read(one, option)) for name, one in given.items()}

    def __str__(self) -> str:
        return 'a table of fields: { nonce = "payload.nonce" }'


@dataclass(frozen=True, slots=True)
class _Path:
    """A path of a URL."""

    metavar: str = "PATH"

    def read(self, given: Any, option: str) -> str:
        if not (isinstance(given, str) and given.startswith("/") and given.isascii()):
            raise InvalidSetting(option, given, f"must be {self}")
        return given

    def __str__(self) -> str:
        return "a path that begins with a slash"


_TEXT, _FIELD, _FLAG = Text(), Field(), Flag()

FORMATS: Final = ("json", "msgpack", "text")

TOP: Final[Mapping[str, Kind]] = {
    "path": _Path(),
    "health_path": _Path(),
    "subprotocols": _List(Token()),
    "format": Choice(FORMATS),
    "lines": _FLAG,
    "unwrap": _FIELD,
    "id_prefix": _TEXT,
    "ordered": _FLAG,
    "others": Choice(("unreadable", "ignore", "push")),
    "cleanup_s": seconds(0, 3600, above=True),
    "forbidding_close_codes": _List(Whole(1000, 4999)),
}
"""Keys that stand in no section."""

SECTIONS: Final[Mapping[str, Mapping[str, Kind]]] = {
    "login": {"message": _TEXT},
    "resume": {"message": _TEXT},
    "request": {"message": _TEXT, "replies": _FLAG},
    "heartbeat": {"message": _TEXT, "every_s": seconds(0.1, 3600)},
    "probe": {"message": _TEXT},
    "established": {"session": _FIELD, "thread": _FIELD, "resume": _FIELD},
    "refused": {"reason": _FIELD},
    "history": {
        "items": _FIELD,
        "text": _FIELD,
        "window": Whole(1, 10**6),
        "shared": _FLAG,
    },
    "history_end": {},
    "error": {"id": _FIELD, "text": _FIELD},
    "stream": {"id": _FIELD, "text": _FIELD},
    "reply": {"id": _FIELD, "text": _FIELD},
    "push": {"text": _FIELD, "number": _FIELD, "sent_at_ms": _FIELD},
    "answer": {"message": _TEXT, "fields": _Fields()},
    "ignore": {},
}
"""Keys of each section besides `when`."""

_OF_CLIENT: Final = frozenset({"login", "resume", "request", "heartbeat", "probe"})
"""Sections that say what the client says: they have no `when`."""

_MAY_OMIT_WHEN: Final = frozenset({"error", "reply"})
"""Sections whose fields say which messages they are about."""

_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys((*_OF_CLIENT, "answer"), ("message",)),
    "heartbeat": ("message", "every_s"),
    "error": ("text",),
}


def load(path: Path) -> Protocol:
    """Read a file.

    Raises:
        InvalidSetting: it cannot be read, is not TOML, or a key has a bad value.
    """
    try:
        with open_regular(path, follow=True) as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        problem = f"must be a file that can be read ({error.strerror})"
        raise InvalidSetting(f"{OPTION} file", str(path), problem) from None
    if len(content) > MAX_BYTES:
        raise InvalidSetting(f"{OPTION} file", str(path), f"must have at most {MAX_BYTES:,} bytes")
    try:
        document = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidSetting(path.name, NOT_SHOWN, f"must be TOML ({error})") from None
    return protocol_of(document, path.name)


def protocol_of(document: Mapping[str, Any], file: str) -> Protocol:
    """Return the protocol of a file's content.

    Args:
        document: the content.
        file: name of the file, for errors.

    Raises:
        InvalidSetting: a key is unknown or has a bad value.
    """
    known = {**TOP, **SECTIONS}
    for name in document:
        if name not in known:
            raise InvalidSetting(f"{file}: {name}", NOT_SHOWN, f"is unknown. Allowed: {_listed(known)}")
    reader = _Reader(file, str(document.get("format", "json")))
    top = reader.section("", {name: one for name, one in document.items() if name in TOP}, TOP)
    found = {
        name: reader.section(name, document[name], keys)
        for name, keys in SECTIONS.items()
        if name in document and name != "answer"
    }
    answers = document.get("answer", [])
    listed = answers if isinstance(answers, list) else [answers]
    protocol = Protocol(
        file, top, found, tuple(reader.section("answer", one, SECTIONS["answer"]) for one in listed)
    )
    _check_whole(protocol)
    return protocol


def _check_whole(protocol: Protocol) -> None:
    for name, needs in (("request", "reply"), ("resume", "established"), ("history_end", "history")):
        section = protocol.get(name)
        silent = section is not None and section.values.get("replies") is False
        if section is not None and protocol.get(needs) is None and not silent:
            raise InvalidSetting(f"{protocol.file}: [{name}]", NOT_SHOWN, f"needs a section [{needs}]")
    if protocol.get("request") is None and protocol.get("push") is None:
        raise InvalidSetting(protocol.file, NOT_SHOWN, "must have a section [request] or [push]")
    _check_together(protocol)


def _check_together(protocol: Protocol) -> None:
    """Refuse sections that need something missing in another section."""

    def check(where: str, needs: str, *, holds: bool) -> None:
        if not holds:
            raise InvalidSetting(f"{protocol.file}: {where}", NOT_SHOWN, f"needs {needs}")

    request, reply, resume = (protocol.get(name) for name in ("request", "reply", "resume"))
    if request and reply:
        sent = names_of(request.values["message"])
        has_id = "sequence" in sent or "uuid" in sent
        check("[reply].id", "$sequence or $uuid in [request]", holds=has_id or not reply.values.get("id"))
        is_checked = reply.values.get("text", AUTO) not in ("", AUTO)
        check("[reply].text", "$text in [request]", holds="text" in sent or not is_checked)
    established = protocol.get("established")
    if resume and established and "resume" in names_of(resume.values["message"]):
        check("[resume].message", "the key resume in [established]", holds="resume" in established)


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(names)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads sections.

    Args:
        file: name of the file.
        format: of the messages.
    """

    file: str
    format: str

    def section(self, name: str, given: Any, keys: Mapping[str, Kind]) -> Section:
        where = f"{self.file}: [{name}]" if name else f"{self.file}: "
        if not isinstance(given, dict):
            raise InvalidSetting(where, given, "must be a section with keys")
        allowed = {**keys, **({} if not name or name in _OF_CLIENT else {"when": _TEXT})}
        for key in given:
            if key not in allowed:
                problem = f"is unknown. Allowed: {_listed(allowed)}"
                raise InvalidSetting(self._key(where, key), NOT_SHOWN, problem)
        values = {
            key: keys[key].read(one, self._key(where, key)) for key, one in given.items() if key != "when"
        }
        for key in _NEEDED.get(name, ()):
            if key not in values:
                raise InvalidSetting(self._key(where, key), NOT_SHOWN, "is missing")
        when = self._when(
            self._key(where, "when"), given, needed=name not in _OF_CLIENT | _MAY_OMIT_WHEN | {""}
        )
        groups = when.pattern.groupindex if when.pattern is not None else {}
        for key, value in values.items():
            if when.pattern is not None and isinstance(keys[key], Field) and value not in ("", AUTO, *groups):
                problem = f"must be a named group of its `when` ({_listed(groups) or 'it has none'})"
                raise InvalidSetting(self._key(where, key), value, problem)
        return Section(name, {**{key: key for key in groups if key in keys}, **values}, when)

    @staticmethod
    def _key(where: str, key: str) -> str:
        return f"{where}.{key}" if where.endswith("]") else f"{where}{key}"

    def _when(self, where: str, given: Mapping[str, Any], *, needed: bool) -> Condition:
        if "when" not in given:
            if needed:
                raise InvalidSetting(where, NOT_SHOWN, f"is missing. It must be {self._form}")
            return Condition()
        when = given["when"]
        if self.format == "text":
            return Condition(pattern=self._pattern(where, when))
        tables = when if isinstance(when, list) and when else [when]
        if not all(isinstance(table, dict) and table for table in tables):
            raise InvalidSetting(where, when, f"must be {self._form}")
        return Condition(tuple(tuple(self._parts(where, table)) for table in tables))

    @property
    def _form(self) -> str:
        if self.format == "text":
            return "a regular expression such as '^OK (?P<id>\\d+)', whose named groups are the fields"
        return 'a table such as { type = "welcome" }, or a list of such tables, of which one must hold'

    def _pattern(self, where: str, when: Any) -> re.Pattern[str]:
        try:
            return re.compile(when, re.DOTALL)
        except (TypeError, re.error, RecursionError) as error:
            raise InvalidSetting(where, when, f"must be {self._form} ({error})") from None

    def _parts(
        self, where: str, table: Mapping[str, Any], above: str = ""
    ) -> Iterator[tuple[dotted_paths.Path, tuple[Any, ...]]]:
        for name, value in table.items():
            if isinstance(value, dict):
                yield from self._parts(where, value, f"{above}{name}.")
                continue
            allowed = value if isinstance(value, list) else [value]
            if not all(isinstance(one, str | int | float | bool) for one in allowed):
                problem = "must compare fields with strings, numbers, true or false, or lists of these"
                raise InvalidSetting(where, value, problem)
            yield dotted_paths.path_of(Field().read(f"{above}{name}", where)), tuple(allowed)


def message_of(
    protocol: Protocol, section: Section, more: Mapping[str, Callable[[DialectSession, int], str]]
) -> Message:
    """Return the template of a section's message.

    Args:
        protocol: the protocol.
        section: a section with a key `message`.
        more: fields besides those of `loadtest.Template`.

    Raises:
        InvalidSetting: it is not a valid template.
    """
    is_json = protocol.top.values.get("format", "json") != "text"
    try:
        return Template(section.values["message"].strip(), json=is_json, more=more)
    except InvalidSetting as error:
        problem = error.problem.partition(". Give json=False")[0]
        raise InvalidSetting(f"{protocol.file}: [{section.name}].message", NOT_SHOWN, problem) from None
