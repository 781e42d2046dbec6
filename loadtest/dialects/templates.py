"""`Template`: a message with fields, filled for each request.

    Template('{"id": $sequence, "q": "$question", "text": "$text"}')

A field is `$name` or `${name}`; `$$` is a dollar sign. Names are those below and the columns of `--ws-data`.
A text that begins with a brace or a bracket is JSON: values are escaped within strings; elsewhere, a value
other than a number, true, false or null becomes a string. Scripts or `Dialect.request` call a template with
the session and the sequence number.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, cast

from loadtest.dialects.dialect_options import OPTION
from loadtest.dialects.dialect_session import DialectSession
from loadtest.errors import NOT_SHOWN, InvalidSetting
from loadtest.events import Data

Field = Callable[[DialectSession, int], str]
"""Returns the value of a field for a session and a sequence number."""

FIELDS: Final[dict[str, Field]] = {
    "text": lambda session, sequence: session.text(sequence),
    "sequence": lambda _session, sequence: str(sequence),
    "number": lambda session, _sequence: str(session.number),
    "user": lambda session, _sequence: str(session.user),
    "session_id": lambda session, _sequence: session.session_id,
    "thread_id": lambda session, _sequence: session.thread_id,
    "connection": lambda session, _sequence: str(session.connection),
}
"""Fields besides the columns of `--ws-data`. `text` is the marked text of the request, by which the tool
recognises its reply and checks it; `fill` makes the message as long as `--ws-message-bytes` says."""

NO_FIELDS: Final[Mapping[str, Field]] = {}

FILL: Final = "fill"

_FIELD = re.compile(r"\$(?:(?P<dollar>\$)|(?P<name>[^\W\d]\w*)|\{(?P<braced>[^\W\d][\w-]*)\})")
_LITERAL = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null", re.ASCII)


class Template:
    """A message with fields.

    Args:
        text: the message; `bytes` for a binary message, in which values are encoded in UTF-8.
        json: whether it is JSON; None to decide by its first character.
        more: fields besides `FIELDS`.

    Raises:
        InvalidSetting: a dollar sign begins no field, `fill` occurs twice, or the JSON is malformed.
    """

    __slots__ = ("_binary", "_fill_at", "_more", "_pieces", "_written")

    def __init__(
        self, text: Data, *, json: bool | None = None, more: Mapping[str, Field] = NO_FIELDS
    ) -> None:
        self._written = text
        self._more = more
        self._binary = isinstance(text, bytes)
        plain = _decoded(text)
        is_json = plain.lstrip()[:1] in ("{", "[") if json is None else json
        self._pieces = _pieces(plain, more, is_json=is_json)
        fills = [at for at, piece in enumerate(self._pieces) if piece is _fill]
        if len(fills) > 1:
            raise InvalidSetting("Template", text, f"must have ${FILL} only once")
        self._fill_at = fills[0] if fills else None
        if is_json:
            _check_json(text, self._pieces)

    def __call__(self, session: DialectSession, sequence: int) -> Data:
        """Return the message of a session with this sequence number.

        Raises:
            KeyError: a name is neither a field nor a column of `--ws-data`.
        """
        filled = [piece if piece.__class__ is str else piece(session, sequence) for piece in self._pieces]  # type: ignore[operator]
        if self._fill_at is not None:
            short = session.size(sequence) - sum(len(part.encode()) for part in filled)
            filled[self._fill_at] = "x" * short
        message = "".join(filled)
        return message.encode() if self._binary else message

    def check(self, where: str, columns: Iterable[str]) -> None:
        """Check that all fields are known.

        Args:
            where: the setting that gives the template, for the error.
            columns: those of `--ws-data`.

        Raises:
            InvalidSetting: one is neither a field nor a column.
        """
        fields, listed = (*FIELDS, FILL, *self._more), list(columns)
        for name in names_of(self._written):
            if name not in (*fields, *listed):
                of_data = f" ({', '.join(listed)})" if listed else ""
                problem = f"has ${name}, which is neither a column of --ws-data{of_data} nor a field "
                known = ", ".join(f"${field}" for field in fields)
                raise InvalidSetting(where, NOT_SHOWN, f"{problem}({known})")

    def __repr__(self) -> str:
        return f"Template({self._written!r})"


def names_of(text: Data) -> list[str]:
    """Return the names of the fields in a template, in order."""
    found = (one["name"] or one["braced"] for one in _FIELD.finditer(_decoded(text)))
    return [name for name in found if name]


def option_template(name: str, text: str, given: str) -> Callable[[DialectSession, int], str]:
    """Return the JSON template that an option of a dialect gives.

    Args:
        name: name of the option.
        text: the template.
        given: the part of it that came from the option, for the error.

    Raises:
        InvalidSetting: it is not a valid template.
    """
    try:
        return cast("Callable[[DialectSession, int], str]", Template(text, json=True))
    except InvalidSetting as error:
        problem = error.problem.partition(". Give json=False")[0]
        raise InvalidSetting(f"{OPTION} {name}", given, problem) from None


def _decoded(text: Data) -> str:
    try:
        return text.decode() if isinstance(text, bytes) else text
    except UnicodeDecodeError as error:
        problem = "must be UTF-8. Build other binary messages in a function"
        raise InvalidSetting("Template", text, problem) from error


def _pieces(text: str, more: Mapping[str, Field], *, is_json: bool) -> list[str | Field]:
    pieces: list[str | Field] = []
    end, inside = 0, False
    for found in _FIELD.finditer(text):
        literal = _checked(text, text[end : found.start()])
        inside = _inside(literal, inside=inside)
        pieces.append(literal)
        end = found.end()
        name = found["name"] or found["braced"]
        pieces.append("$" if found["dollar"] else _field(name, more.get(name), is_json, inside))
    return [piece for piece in [*pieces, _checked(text, text[end:])] if piece]


def _checked(text: str, literal: str) -> str:
    """Return the text between two fields.

    Raises:
        InvalidSetting: it has a dollar sign.
    """
    if "$" in literal:
        problem = "must have a name after each dollar sign: $name or ${name}. Write $$ for a dollar sign"
        raise InvalidSetting("Template", text, problem)
    return literal


def _inside(literal: str, *, inside: bool) -> bool:
    """Return whether a JSON string is open after this text."""
    return inside ^ (re.sub(r"\\.", "", literal).count('"') % 2 == 1)


def _fill(_session: DialectSession, _sequence: int) -> str:
    """Placeholder for the padding, whose length depends on the other fields."""
    return ""


def _field(name: str, more: Field | None, is_json: bool, inside: bool) -> Field:
    if name == FILL:
        return _fill
    value = more or FIELDS.get(name) or (lambda session, _sequence: _column(session, name))
    if not is_json or name == "text":  # which needs no escaping
        return value if inside or name != "text" or not is_json else lambda *of: f'"{value(*of)}"'
    written = _within if inside else _alone
    return lambda session, sequence: written(value(session, sequence))


def _column(session: DialectSession, name: str) -> str:
    try:
        return session.data[name]
    except KeyError as error:
        fields = ", ".join(f"${field}" for field in (*FIELDS, FILL))
        raise KeyError(f"${name} is not a field ({fields}), and {error.args[0]}") from None


def _within(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)[1:-1]


def _alone(value: str) -> str:
    return value if _LITERAL.fullmatch(value) else json.dumps(value, ensure_ascii=False)


def _check_json(text: Data, pieces: list[str | Field]) -> None:
    inside, example = False, ""
    for piece in pieces:
        if isinstance(piece, str):
            inside = _inside(piece, inside=inside)
            example += piece
        else:
            example += "0"
    try:
        json.loads(example)
    except ValueError as error:
        problem = f"must be JSON once its fields are filled ({error}). For other text, give json=False"
        raise InvalidSetting("Template", text, problem) from None
