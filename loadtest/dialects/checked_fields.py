"""Which fields of replies and pushes are checked: the options `text`, `push-text` and `push-number`.

`text` names the field of a reply in which the request's text must stand. `auto` accepts the text wherever it
stands, and a reply without it is not checked; empty, no reply is checked. Unless it is empty, no text of
another session may stand anywhere in a reply.
"""

from typing import Any, Final

from msgspec import UNSET, UnsetType

from loadtest.dialects.base import Push
from loadtest.dialects.dialect_options import DialectOption
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.dotted_paths import Field, foreign_text, marked_text, path_of, value_at

AUTO: Final = "auto"


def text_option(of: str) -> DialectOption:
    """Return the option `text`; `of` says whose field it is."""
    help_text = (
        f"Field of {of} in which the request's text must stand. auto: wherever it stands, and replies "
        "without it are not checked. Empty: no reply is checked."
    )
    return DialectOption("text", Field(), help_text)


def push_options(of: str) -> tuple[DialectOption, DialectOption]:
    """Return the options `push-text` and `push-number`; `of` says whose fields they are."""
    text = f"Field of {of} with a text; one of another session fails messaging. Empty: none is checked."
    number = f"Field of {of} that counts the pushes of a connection. Empty: they are not counted."
    return DialectOption("push-text", Field(), text), DialectOption("push-number", Field(), number)


def checked_text(session: DialectSession, document: Any, field: str) -> str | UnsetType | None:
    """Return the text for `Reply.text`: UNSET if it is not to be checked, None if it is missing.

    A text of another session comes first, wherever in the document it stands.
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

    A piece that is lost, or in the wrong place, may destroy the mark of a text. So with `auto`, once one
    answer has borne a mark, all must.

    Args:
        field: the option `text`.
    """

    def __init__(self, field: str) -> None:
        self._field = field
        self._are_checked = field not in ("", AUTO)

    def checked(self, session: DialectSession, joined: str | None) -> str | UnsetType | None:
        """Return the text for `Reply.text` of an answer whose pieces are joined; None if it had none."""
        if self._field and joined is not None and session.marker.marked(joined):
            self._are_checked = True
        return joined if self._are_checked else UNSET


def pushed(document: Any, text: str, number: str) -> Push:
    """Return a push whose text and number stand in these fields, as far as they do."""
    words = value_at(document, path_of(text)) if text else None
    count = value_at(document, path_of(number)) if number else None
    return Push(
        text=words if isinstance(words, str) else None,
        number=count if isinstance(count, int) and not isinstance(count, bool) else None,
    )
