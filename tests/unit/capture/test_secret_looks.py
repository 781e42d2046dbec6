"""Secrets that no name gives away: by looks, holder, place, or the question that they answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.conversations import Turn, converted

SECRETS = {
    "hex of 64": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
    "hex of 32": "7694f4a66316e53c8cdd9d9954bd611d",
    "base64": "dXNlcjpTM2NyZXRQYXNzdzByZCE=",
    "letters and digits": "a1b2c3d4e5f6g7h8i9j0k1l2",
    "capitals and digits": "ABCDEF0123456789ABCDEF0123456789",
}


def written(*turns: Turn, **options: Any) -> str:
    """Return all that is written and printed."""
    conversion = converted(*turns, **options)
    return "\n".join([conversion.source, *conversion.lines("a.py"), json.dumps(conversion.to_json())])


def say(count: int = 3) -> list[Turn]:
    """Return texts with their replies."""
    return [
        turn
        for at in range(count)
        for turn in (
            ("->", {"id": at, "type": "say", "text": f"hello there {at}"}),
            ("<-", {"id": at, "type": "said", "text": f"hello there {at}"}),
        )
    ]


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_secrets_by_their_looks(secret: str) -> None:
    """In any field, as a key, within a text, in the URL, said by the server."""
    found = written(
        ("->", {"type": "login", "user": "joe", "h": secret, "note": f"this: {secret}."}),
        ("<-", {"type": "welcome", "session": secret}),
        ("->", {"type": "keyed", secret: 1}),
        *say(),
        url=f"ws://a.example/ws/{secret}/x?q={secret}",
        headers=[("sec-websocket-protocol", f"chat.v1, {secret}")],
    )
    assert secret not in found


@pytest.mark.parametrize(
    "said",
    [
        {"credentials": {"value": "word-4711"}},
        {"auth": {"b64": "word-4711"}},
        {"login": {"credentials": ["word-4711"]}},
        {"auth": {"user": "joe", "data": {"key": "word-4711"}}},
        {"card": "word-4711"},
        {"proof": "word-4711"},
    ],
)
def test_secrets_by_what_holds_them(said: Any) -> None:
    """A neutral name below one of credentials; names of cards and proofs."""
    assert "word-4711" not in written(("->", {"type": "hello", **said}), ("<-", {"type": "welcome"}), *say())


@pytest.mark.parametrize(
    "word", ["bearer.", "token.", "access_token-", "base64url.bearer.authorization.k8s.io."]
)
def test_secrets_in_a_subprotocol(word: str) -> None:
    """After a word that says so; the word stays."""
    found = written(*say(), headers=[("sec-websocket-protocol", f"chat.v1, {word}tok77xyz12345")])
    assert "tok77xyz12345" not in found
    assert "session.token" in found
    assert "chat.v1" in found


def test_a_token_in_the_path() -> None:
    """A segment that looks random becomes a placeholder."""
    found = written(*say(), url="ws://a.example/ws/p4thT0kenAbCdEf99")
    assert "p4thT0kenAbCdEf99" not in found
    assert '"/ws/{' in found


@pytest.mark.parametrize("question", ["PASSWORD?", "Enter your PIN:", "otp> ", "Please give the passcode"])
@pytest.mark.parametrize("answer", ["hunter2horse", "4938"])
def test_the_answer_to_a_question_for_a_secret(question: str, answer: str) -> None:
    """Not as a text, nor a name, nor a word of the protocol."""
    lines: list[Turn] = [
        turn
        for at in range(5)
        for turn in (("->", f"SAY {at} hello there {at}"), ("<-", f"OK {at} hello there {at}"))
    ]
    found = written(("<-", question), ("->", answer), ("<-", "WELCOME"), *lines)
    assert answer.lower() not in found.lower()
    assert "session.data[" in found
    asked = written(
        ("<-", {"type": "prompt", "text": question}), ("->", {"type": "input", "value": answer}), *say()
    )
    assert answer not in asked


def test_a_password_is_no_id() -> None:
    """Though it stands where the ids of other lines stand."""
    lines: list[Turn] = [
        turn
        for at in range(12, 18)
        for turn in (("->", f"SAY {at} hello there {at}"), ("<-", f"OK {at} hello there {at}"))
    ]
    conversion = converted(("->", "AUTH hunter2horse"), ("<-", "WELCOME"), *lines)
    assert "hunter2horse" not in conversion.source
    assert 'line(["AUTH", session.' in conversion.source
    assert conversion.replay.said.wrong == 0


@pytest.mark.parametrize(
    "text",
    [
        "3f0c8e0c-7d1e-4c52-9a0b-27a1f4f4c0de",
        "room:lobby",
        "a sentence of several words, with 12 and 345 in it",
        "getUserNotificationSettings2",
        "2026-11-29T21:15:03.123456Z",
        "graphql-transport-ws",
        "1700000000000",
        "https://example.org/a/long/path/of/words",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    """Ids of rooms, names, texts, times and addresses are needed as they are."""
    assert text in written(("->", {"type": "join", "ch": text}), ("<-", {"type": "joined"}), *say())
