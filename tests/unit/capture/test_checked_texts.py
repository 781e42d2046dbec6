"""Texts of the user are checked where they come back, whole or in pieces; what is not checked is said."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from loadtest.dialects.base import Push, Reply, StreamPart
from loadtest.dialects.dialect_session import DialectSession
from loadtest.events import Identity
from tests.support.conversations import Turn, converted

WORDS = ("hello there you", "how are you today", "what is the weather", "tell me a joke")


def streamed(deltas: bool = True) -> list[Turn]:
    """Return questions that are answered in pieces, an end after each."""
    turns: list[Turn] = []
    for at, text in enumerate(WORDS):
        turns.append(("->", {"type": "ask", "id": at, "prompt": text}))
        pieces = [text[begin : begin + 5] for begin in range(0, len(text), 5)] if deltas else ["a", "b"]
        turns += [("<-", {"type": "chunk", "id": at, "delta": piece}) for piece in pieces]
        turns.append(("<-", {"type": "done", "id": at}))
    return turns


def acknowledged(broadcasts: int = len(WORDS)) -> list[Turn]:
    """Return texts that are acknowledged by ids, and broadcast beside."""
    turns: list[Turn] = [("->", {"type": "hello"}), ("<-", {"type": "welcome"})]
    for at, text in enumerate(WORDS):
        turns += [
            ("->", {"type": "send", "cid": f"c{at}", "text": text}),
            ("<-", {"type": "ack", "cid": f"c{at}"}),
        ]
        if at < broadcasts:
            turns.append(("<-", {"type": "message", "seq": 90 + at, "text": text}))
    return turns


class Played:
    """The dialect of a generated file, with a session."""

    def __init__(self, conversion: Any) -> None:
        module: dict[str, Any] = {"__name__": "recorded"}
        exec(conversion.locustfile.dialect_module, module)
        self.dialect = module["Recorded"]()
        self.session = DialectSession(
            Identity(number=0, session_id="s", thread_id="t", user=0), run_id="unit"
        )

    def says(self, sequence: int) -> str:
        """Return a request's text, once it was written."""
        self.dialect.request(self.session, sequence)
        return self.session.text(sequence)

    def reads(self, said: Any) -> Any:
        """Return what the dialect makes of a message."""
        return self.dialect.read(self.session, json.dumps(said))


def test_pieces_are_joined_and_checked() -> None:
    """The reply has the text as it came: cut, swapped or of somebody else, it is not that of the request."""
    conversion = converted(*streamed())
    assert conversion.replay.wrong == 0
    assert conversion.to_json()["not_checked"] == []
    played = Played(conversion)
    text = played.says(0)
    for piece in (text[:4], text[4:]):
        assert played.reads({"type": "chunk", "id": 0, "delta": piece}) == StreamPart(0)
    assert played.reads({"type": "done", "id": 0}) == Reply(0, text)
    played.reads({"type": "chunk", "id": 1, "delta": "cut"})
    assert played.reads({"type": "done", "id": 1}) == Reply(1, "cut")
    assert played.reads({"type": "done", "id": 2}) == Reply(2, "")


def test_a_text_beside_an_acknowledgement_is_half_of_the_reply() -> None:
    """One without the other is no reply, in either order; texts of others and old ones are pushes."""
    conversion = converted(*acknowledged())
    assert conversion.replay.wrong == 0
    played = Played(conversion)
    one, two = played.says(0), played.says(1)
    ids = list(played.session.memory["ids"]) if "ids" in played.session.memory else ["c0", "c1"]
    assert played.reads({"type": "ack", "cid": ids[0]}) == StreamPart(0)
    assert played.reads({"type": "message", "seq": 7, "text": "of another client"}) == Push()
    assert played.reads({"type": "message", "seq": 8, "text": one}) == Reply(0, one)
    assert played.reads({"type": "message", "seq": 8, "text": one}) == Push()
    assert played.reads({"type": "message", "seq": 9, "text": two}) == Push()
    assert played.reads({"type": "ack", "cid": ids[1]}) == Reply(1, two)


@pytest.mark.parametrize("turns", [acknowledged(0), streamed(deltas=False)])
def test_what_is_not_checked_is_said(turns: list[Turn]) -> None:
    """In the file's head, on the screen, in the document."""
    conversion = converted(*turns)
    kind = turns[-1][1].get("type")
    assert kind in ("ack", "done")
    told = "Not checked: the texts of replies to"
    assert told in conversion.source.split("import loadtest")[0].replace("\n#   ", " ")
    assert any(line.startswith(told) for line in conversion.lines("a.py"))
    assert conversion.to_json()["not_checked"][0].startswith(told)


def test_pushes_without_a_number_are_said_to_be_unchecked() -> None:
    """Nobody knows how many there must be."""
    turns = [*acknowledged(), ("<-", {"type": "news", "of": "a"})]
    assert "Not checked: lost pushes of news." in converted(*turns).lines("a.py")


def packed(value: Any) -> bytes:
    """Return a value as MessagePack."""
    return msgspec.msgpack.encode(value)


@pytest.mark.parametrize(
    ("form", "make"),
    [
        ("msgpack", lambda at, text: packed({0: 1, 1: at, 2: text})),
        ("msgpack", lambda at, text: packed({"x": msgspec.msgpack.Ext(4, b"abc"), "n": at, "m": text})),
        ("auto", lambda at, text: f'{{"id": {at}, "value": NaN, "text": "{text}"}}'),
        ("auto", lambda _, text: "[" * 60 + f'"{text}"' + "]" * 60),
    ],
)
def test_what_cannot_be_read_is_not_explained(form: str, make: Any) -> None:
    """It is taken for any text or bytes, so nothing of it is checked: the command does not succeed."""
    turns: list[Turn] = []
    for at, text in enumerate(WORDS):
        turns += [("->", make(at, text)), ("<-", make(at, text))]
    conversion = converted(*turns, form=form)
    assert conversion.replay.wrong == len(WORDS)
    assert "could not be read as " in str(conversion.replay)
    assert conversion.exit_code == 1


def test_each_item_of_an_array_of_arrays_is_a_record() -> None:
    """Each has its id and text: a reply that is lost or of somebody else is one of those."""
    turns: list[Turn] = []
    for at in range(0, 12, 2):
        asked = [[2, at, f"hello there {at}"], [2, at + 1, f"and again {at}"]]
        turns += [("->", asked), ("<-", [[3, *one[1:]] for one in asked])]
    turns += [("->", [[2, 12, "the last one"]]), ("<-", [[3, 12, "the last one"]])]
    conversion = converted(*turns)
    assert conversion.replay.wrong == 0
    assert conversion.replay.said.wrong == 0
    told = "Not checked: batches. The client sent up to 2 records in one message; "
    told += "this file sends one record per message."
    assert told in conversion.lines("a.py")
    played = Played(conversion)
    one, two = played.says(0), played.says(1)
    assert json.loads(played.dialect.request(played.session, 1)) == [[2, 1, two]]
    assert list(played.reads([[3, 0, one], [3, 1, two]])) == [Reply(0, one), Reply(1, two)]
    assert list(played.reads([[3, 1, "of another user"]])) == [Reply(1, "of another user")]


def test_parts_without_kinds_are_told_from_their_end_by_a_field() -> None:
    """The value of an id tells no kind apart, and the last part has a number that says so."""
    turns: list[Turn] = []
    for at, text in enumerate((*WORDS, *WORDS)):
        pieces = [text[begin : begin + 5] for begin in range(0, len(text), 5)]
        turns.append(("->", {"id": at, "prompt": text}))
        turns += [("<-", {"id": at, "i": place, "d": piece}) for place, piece in enumerate(pieces)]
        turns.append(("<-", {"id": at, "i": len(pieces), "fin": 1}))
    conversion = converted(*turns)
    assert conversion.replay.wrong == 0
    played = Played(conversion)
    text = played.says(0)
    assert played.reads({"id": 0, "i": 0, "d": text}) == StreamPart(0)
    assert played.reads({"id": 0, "i": 1, "fin": 1}) == Reply(0, text)
