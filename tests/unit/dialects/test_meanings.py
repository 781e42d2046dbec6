"""What was read, as people see it, and which facts about it count."""

from typing import Any

import pytest

from loadtest.dialects.base import (
    AuthRequired,
    Established,
    Failed,
    Push,
    Reply,
    Restored,
    StreamPart,
    Unreadable,
)
from loadtest.dialects.meanings import facts_of, listed, meaning_of
from loadtest.events import Send


@pytest.mark.parametrize(
    ("incoming", "meaning"),
    [
        (Reply(0), "Reply(0)"),
        (Reply("0"), "Reply('0')"),
        (Reply(None, "text", whole=True), "Reply(None, text=…, whole=True)"),
        (Established(session_id="s"), "Established(session_id='s')"),
        (Established(), "Established()"),
        (Restored(texts=["a", "b"], count=4), "Restored(2 texts, count=4)"),
        (Restored(complete=False), "Restored(complete=False)"),
        (Failed("7", "no\x1b room"), "Failed('7', 'no\\x1b room')"),
        (Push(number=3, text="news"), "Push(text=…, number=3)"),
        (StreamPart(), "StreamPart()"),
        (Send(b"\x00pong"), "Send(b'\\x00pong')"),
        (AuthRequired("x" * 41), f"AuthRequired('{'x' * 37}...')"),
        (Unreadable("what the message was"), "Unreadable"),
        ({"type": "x"}, "{'type': 'x'}"),
    ],
)
def test_meanings(incoming: Any, meaning: str) -> None:
    """As code would make it: without defaults, long values cut; of a text only that it is given."""
    assert meaning_of(incoming) == meaning


@pytest.mark.parametrize(
    ("incoming", "facts"),
    [
        (Reply(0), ["Reply"]),
        (Reply(0, ""), ["Reply", "Reply.text"]),
        (Established(thread_id="t"), ["Established"]),
        (Established(session_id="s"), ["Established", "Established.session_id"]),
        (Restored(), ["Restored"]),
        (Restored(texts=["a"]), ["Restored", "Restored.texts"]),
        (Restored(sequences=(1,)), ["Restored", "Restored.sequences"]),
        (Push(number=0, sent_at_ms=0.0), ["Push", "Push.number", "Push.sent_at_ms"]),
        (Failed(0, "no"), ["Failed"]),
    ],
)
def test_facts(incoming: Any, facts: list[str]) -> None:
    """A field that is given counts, also if it is 0 or empty text."""
    assert facts_of(incoming) == facts


def test_one_message_says_any_number_of_things() -> None:
    """Nothing, one thing or a list; a wrong result is one thing, to be shown."""
    assert listed(None) == ()
    assert listed(Reply(0)) == (Reply(0),)
    assert listed([Reply(0), Push()]) == [Reply(0), Push()]
    assert listed({"type": "x"}) == ({"type": "x"},)
