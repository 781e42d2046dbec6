"""Which fields of replies and pushes are checked: the options `text`, `push-text` and `push-number`.

`text` names the field of a reply that must contain the request's text. With `auto` the text may be in any
field, and a reply without it is not checked. If `text` is empty, no reply is checked. Otherwise a text of
another session anywhere in a reply fails the check.
"""

from typing import Any, Final

from msgspec import UNSET, UnsetType

from loadtest.dialects.base import Push
from loadtest.dialects.dialect_options import DialectOption
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.dotted_paths import Field, foreign_text, marked_text, path_of, value_at

AUTO: Final = "auto"


def text_option(of: str) -> DialectOption:
    """Return the option `text`; `of` names the owner of the field."""
    help_text = (
        f"Field of {of} that must contain the request's text. auto: any field; replies without the "
        "text are "
        "not checked. Empty: no reply is checked."
    )
    return DialectOption("text", Field(), help_text)


def push_options(of: str) -> tuple[DialectOption, DialectOption]:
    """Return the options `push-text` and `push-number`; `of` names the owner of the fields."""
    text = f"Field of {of} with a push's text. A text of another session fails messaging. Empty: not checked."
    number = f"Field of {of} with the number of a push on its connection. Empty: pushes are not counted."
    return DialectOption("push-text", Field(), text), DialectOption("push-number", Field(), number)


def checked_text(session: DialectSession, document: Any, field: str) -> str | UnsetType | None:
    """Return the text for `Reply.text`: UNSET if it is not to be checked, None if it is missing.

    A text of another session has priority, wherever it is in the document.
    """
    if not field:
        return UNSET
    foreign = foreign_text(session, document)
    if foreign is not None:
        return foreign
    if field == AUTO:
        found = marked_text(session, document)
        return UNSET if found is None else found
    value = value_at(document, path_of(field))
    return value if isinstance(value, str) else marked_text(session, value)


class StreamedTexts:
    """Checks the joined texts of a run's streamed answers.

    A lost or misplaced piece may destroy the mark in a text. So with `auto`, all answers must have a mark
    once one of them had one.

    Args:
        field: the option `text`.
    """

    def __init__(self, field: str) -> None:
        self._field = field
        self._are_checked = field not in ("", AUTO)

    def checked(self, session: DialectSession, joined: str | None) -> str | UnsetType | None:
        """Return the text for `Reply.text` of an answer with joined pieces; None if it had none."""
        if self._field and joined is not None and session.marker.marked(joined):
            self._are_checked = True
        return joined if self._are_checked else UNSET


def pushed(document: Any, text: str, number: str) -> Push:
    """Return a push with its text and number from these fields, as far as the document has them."""
    words = value_at(document, path_of(text)) if text else None
    count = value_at(document, path_of(number)) if number else None
    return Push(
        text=words if isinstance(words, str) else None,
        number=count if isinstance(count, int) and not isinstance(count, bool) else None,
    )
