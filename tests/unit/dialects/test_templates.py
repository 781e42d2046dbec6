"""Templates: fields are filled, JSON stays JSON whatever the data say, and mistakes are found at once."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest import Template
from loadtest.dialects.dialect_session import DialectSession
from loadtest.errors import InvalidSetting
from loadtest.events import Identity

VALUES = st.text(st.characters(exclude_categories=["Cs"]))


def session(data: dict[str, str] | None = None, **others: Any) -> DialectSession:
    """Return a session with a row of data."""
    identity = Identity(number=3, session_id="run-000003", thread_id="run-t000003", user=1)
    return DialectSession(identity, data=data, **others)


def test_fields() -> None:
    """Fields of the session, of the request and of the data are filled; two dollar signs are one."""
    one = session({"question": "why?", "given-name": "Anna"})
    template = Template("$number/$user/$sequence/$session_id/$thread_id: $question ${given-name} $$5")
    assert template(one, 7) == "3/1/7/run-000003/run-t000003: why? Anna $5"
    assert Template("$text")(one, 7) == one.text(7)
    assert Template("no fields")(one, 0) == "no fields"


@given(VALUES, VALUES)
def test_json_stays_json(within: str, alone: str) -> None:
    """Whatever a value holds, it comes back from a string of JSON, and elsewhere as itself or as a string."""
    one = session({"within": within, "alone": alone})
    read = json.loads(Template('{"a\\"b": "<$within>", "n": [$alone], "id": $sequence}')(one, 5))
    assert read['a"b'] == f"<{within}>"
    assert read["id"] == 5
    (found,) = read["n"]
    assert found == alone or (isinstance(found, int | float | None) and json.loads(alone) == found)


@pytest.mark.parametrize(
    ("value", "found"), [("42", 42), ("-1.5e3", -1500.0), ("true", True), ("null", None), ("0123", "0123")]
)
def test_literals_of_json(value: str, found: Any) -> None:
    """Outside a string, a number, true, false and null stand as they are; what resembles them does not."""
    assert json.loads(Template('{"x": $x}')(session({"x": value}), 0)) == {"x": found}


@given(VALUES)
def test_binary_and_plain_text(value: str) -> None:
    """A template of bytes gives bytes in UTF-8; text that is no JSON, or need not be, is filled as it is."""
    one = session({"x": value})
    assert Template(b"<$x>")(one, 0) == f"<{value}>".encode()
    assert Template("<$x>")(one, 0) == f"<{value}>"
    assert Template('["$x"]', json=False)(one, 0) == f'["{value}"]'
    assert json.loads(Template(b'["$x"]')(one, 0)) == [value]


@pytest.mark.parametrize("size", [64, 600])
@pytest.mark.parametrize("text", ['{"id": $sequence, "ü": "$fill"}', b"$fill of $number"])
def test_filling(text: Any, size: int) -> None:
    """`$fill` makes the whole message as long as the size that was drawn for it."""
    message = Template(text)(session(size_of=lambda number, sequence: size), 2)
    assert len(message.encode() if isinstance(message, str) else message) == size


def test_a_marked_text_outside_a_string_of_json() -> None:
    """The text of a request is quoted where no string is open."""
    one = session()
    assert json.loads(Template('{"a": $text, "b": "$text"}')(one, 1)) == dict.fromkeys("ab", one.text(1))


def test_unknown_columns() -> None:
    """A field that is no column is named, with those that there are."""
    with pytest.raises(KeyError, match="no column 'colour': it has question"):
        Template("$colour")(session({"question": "why?"}), 0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("costs $5", r"must have a name after each dollar sign: \$name or \$\{name\}"),
        ("ends in $", "must have a name after each dollar sign"),
        ("$fill and $fill", r"must have \$fill only once"),
        ('{"q": $question', "must be JSON once its fields are filled"),
        ('{"q": "$question}', "must be JSON once its fields are filled"),
        (b"\xff", "must be UTF-8"),
    ],
)
def test_mistakes(text: Any, says: str) -> None:
    """What cannot be filled is refused when the template is made."""
    with pytest.raises(InvalidSetting, match=says):
        Template(text)


@given(st.text())
def test_any_text_is_taken_or_refused(text: str) -> None:
    """A template is made, or says why not; nothing else is raised."""
    try:
        template = Template(text)
    except InvalidSetting:
        return
    try:
        template(session(), 0)
    except KeyError as error:
        assert "no column" in str(error)  # noqa: PT017
