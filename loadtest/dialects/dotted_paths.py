"""Dotted paths into JSON documents, `payload.items.0.text`, and the texts of requests in them.

A part in digits is an index in an array, or a key of that name in an object. Documents come from the server:
no content of them raises an error here.
"""

from dataclasses import dataclass
from typing import Any, Final

from loadtest.dialects.dialect_session import DialectSession
from loadtest.errors import InvalidSetting
from loadtest.text import one_line

Path = tuple[str, ...]
"""The parts of a dotted path; empty for the whole document."""

MISSING: Final = object()
"""Stands for a value that a document does not have."""

MAX_DEPTH: Final = 40
"""How deep texts are searched for: deeper than messages are nested, and no deep recursion."""


@dataclass(frozen=True, slots=True)
class Field:
    """The kind of an option that names a field of the server's messages."""

    metavar: str = "FIELD"

    def read(self, given: Any, option: str) -> str:
        """Return the dotted path as text; empty for no field."""
        if not isinstance(given, str) or (given and not all(given.split("."))):
            raise InvalidSetting(option, given, f"must be {self}")
        return given

    def __str__(self) -> str:
        return "a field such as text, payload.text or items.0.text, or empty"


def path_of(text: str) -> Path:
    """Return the parts of a dotted path."""
    return tuple(text.split(".")) if text else ()


def value_at(document: Any, path: Path) -> Any:
    """Return the value at a path, MISSING if there is none."""
    for part in path:
        if isinstance(document, dict):
            document = document.get(part, MISSING)
        elif (
            isinstance(document, list) and part.isascii() and part.isdecimal() and len(part) < len("1000000")
        ):
            document = document[int(part)] if int(part) < len(document) else MISSING
        else:
            return MISSING
    return document


def words_of(value: Any, limit: int = 200) -> str:
    """Return the value of an error field as text: its message, if it is an object with one."""
    if isinstance(value, dict):
        value = value.get("message") or value
    return one_line(value if isinstance(value, str) else repr(value), limit)


def foreign_text(session: DialectSession, document: Any, depth: int = 0) -> str | None:
    """Return the first text in a document with a mark of another session; None if there is none."""
    if isinstance(document, bytes | bytearray):
        document = document.decode(errors="replace")
    if isinstance(document, str):
        return document if session.marker.is_foreign(document) else None
    if depth >= MAX_DEPTH or not isinstance(document, dict | list):
        return None
    inside = document.values() if isinstance(document, dict) else document
    found = (foreign_text(session, one, depth + 1) for one in inside)
    return next((text for text in found if text is not None), None)


def marked_text(session: DialectSession, document: Any, depth: int = 0) -> str | None:
    """Return the first text in a document with a mark of this run; None if there is none."""
    if isinstance(document, bytes | bytearray):
        document = document.decode(errors="replace")
    if isinstance(document, str):
        return (
            document if session.sequence_of(document) is not None or session.marker.marked(document) else None
        )
    if depth >= MAX_DEPTH or not isinstance(document, dict | list):
        return None
    inside = document.values() if isinstance(document, dict) else document
    found = (marked_text(session, one, depth + 1) for one in inside)
    return next((text for text in found if text is not None), None)
