"""The texts of streamed answers, whose cut may take the mark away."""

from __future__ import annotations

import json

from msgspec import UNSET

from loadtest.dialects.base import Reply
from loadtest.dialects.checked_fields import StreamedTexts
from loadtest.dialects.graphql import GraphQl
from tests.support.fake_link import dialect_session


def test_auto() -> None:
    """From the first text with a mark on, each is checked."""
    session, texts = dialect_session(), StreamedTexts("auto")
    text = session.text(7)
    found = [texts.checked(session, joined) for joined in (None, "no mark", text, "no mark", None)]
    assert found == [UNSET, UNSET, text, "no mark", None]


def test_a_named_field_and_none() -> None:
    """A named field is checked from the first on, without a field none is."""
    session = dialect_session()
    text = session.text(7)
    assert [StreamedTexts("part").checked(session, joined) for joined in (None, "x")] == [None, "x"]
    texts = StreamedTexts("")
    assert [texts.checked(session, joined) for joined in (text, "x", None)] == [UNSET] * 3


def test_a_subscription() -> None:
    """Its pieces in the wrong order destroy the mark."""

    class Streamed(GraphQl):
        query = "subscription ($text: String!) { answer(text: $text) { piece } }"

    dialect, session = Streamed(), dialect_session()

    def answer(number: str, *pieces: str) -> object:
        for piece in pieces:
            payload = {"data": {"answer": {"piece": piece}}}
            dialect.read(session, json.dumps({"type": "next", "id": number, "payload": payload}))
        return dialect.read(session, json.dumps({"type": "complete", "id": number}))

    text = session.text(7)
    assert answer("7", text[:5], text[5:]) == Reply("7", text)
    assert answer("8", text[5:], text[:5]) == Reply("8", text[5:] + text[:5])
