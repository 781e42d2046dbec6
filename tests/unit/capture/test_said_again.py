"""The replay compares both sides: what the server said is explained, what the client said is said again."""

from __future__ import annotations

from typing import Any

import pytest

from loadtest.capture.inferred import Speech
from tests.support.conversations import Turn, connection, converted

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm5hIn0.c2lnbmF0dXJl"


def says(count: int, first: int = 0) -> list[Turn]:
    """Return so many texts with their replies, by ids."""
    return [
        turn
        for at in range(first, first + count)
        for turn in (
            ("->", {"kind": "say", "mid": f"m-{at}", "text": f"hello there {at}"}),
            ("<-", {"kind": "said", "re": f"m-{at}", "text": f"hello there {at}"}),
        )
    ]


def test_a_login_with_an_id_that_the_ready_names() -> None:
    """The server speaks first; the login's reply, by its id, establishes the session."""
    conversion = converted(
        ("<-", {"kind": "hello", "conn": "ab12cd34"}),
        ("->", {"kind": "auth", "mid": "m-0", "token": JWT}),
        ("<-", {"kind": "ready", "re": "m-0"}),
        *says(5, 1),
    )
    assert not conversion.replay.unestablished
    assert conversion.exit_code == 0
    assert str(conversion.replay) == "7 of 7 messages from the server explained"


def test_a_dialect_that_never_establishes_is_no_success() -> None:
    """The replay says so, the command exits with 1."""
    conversion = converted(("<-", {"kind": "welcome"}), *says(5))
    assert conversion.exit_code == 0
    conversion.replay.unestablished = True
    assert conversion.exit_code == 1
    assert "none of them establishes the session" in conversion.lines("a.py")[1]


def test_what_the_client_would_say_is_compared() -> None:
    """All as recorded, with other ids, texts and secrets: no line about it."""
    conversion = converted(("->", {"kind": "auth", "token": JWT}), ("<-", {"kind": "welcome"}), *says(4))
    assert (conversion.replay.said.messages, conversion.replay.said.wrong) == (5, 0)
    assert len(conversion.lines("a.py")) == 3


def test_a_value_that_no_longer_differs_is_named() -> None:
    """A second token from elsewhere: the dialect has one for all."""
    one, two = f"{JWT}1", f"{JWT}2"
    turns: list[Turn] = [
        ("->", {"op": "say", "id": at, "auth": one if at < 3 else two, "text": f"hello there {at}"})
        for at in range(6)
    ]
    turns = [
        turn for said in turns for turn in (said, ("<-", {"id": said[1]["id"], "result": said[1]["text"]}))
    ]
    conversion = converted(*turns)
    assert str(conversion.replay.said).startswith(
        "3 of 6 messages from the client as recorded; different: say.auth ("
    )
    assert JWT not in conversion.lines("a.py")[2]
    assert conversion.to_json()["as_recorded"] == 3


def test_the_first_of_several_joins_is_a_request() -> None:
    """Each has its answer; none is said before the script and answered there."""
    turns: list[Turn] = [
        turn
        for at in range(3)
        for turn in (("->", {"op": "join", "ch": f"room-{at}"}), ("<-", {"op": "joined", "ch": f"room-{at}"}))
    ]
    conversion = converted(*turns, *says(4))
    assert conversion.replay.wrong == 0
    assert "def greeting" not in conversion.source


@pytest.mark.parametrize(
    ("ping", "pong"),
    [
        (lambda at: {"t": "ping", "n": at}, lambda at: {"t": "pong", "n": at}),
        (lambda at: {"ping": 1_700_000_000_000 + at}, lambda at: {"pong": 1_700_000_000_000 + at}),
        (
            lambda at: {"op": "ping", "ts": 17 * 10**8 + at},
            lambda at: {"op": "pong", "ts": 17 * 10**8 + at},
        ),
        (
            lambda at: {"op": "ping", "id": f"q{at}", "a": {"b": at}},
            lambda at: {"op": "pong", "id": f"q{at}", "c": at},
        ),
    ],
)
def test_pongs_repeat_what_the_ping_said(ping: Any, pong: Any) -> None:
    """Not the number of the first one, nor the client's own clock."""
    turns = [turn for at in range(1, 4) for turn in (("<-", ping(at)), ("->", pong(at)), *says(2, 2 * at))]
    conversion = converted(*turns)
    assert conversion.replay.wrong == 0
    assert conversion.replay.said.wrong == 0
    assert "time.time()" not in conversion.source
    assert "with its" in conversion.source


def test_a_token_that_the_server_renews() -> None:
    """At first the user's, then the last one that the server has issued."""
    token, turns = JWT, list[Turn]()
    for at in range(9):
        if at % 3 == 2:
            new = f"tok-{at * 7919**9:032x}"
            turns += [
                ("->", {"id": at, "op": "refresh", "auth": token}),
                ("<-", {"id": at, "access_token": new}),
            ]
            token = new
        else:
            turns += [
                ("->", {"id": at, "op": "say", "auth": token, "text": f"hello there {at}"}),
                ("<-", {"id": at, "result": f"hello there {at}"}),
            ]
    conversion = converted(*turns)
    assert conversion.source.count('session.memory.get("access_token") or session.token') == 2
    assert (conversion.replay.said.wrong, conversion.replay.wrong) == (0, 0)
    assert 'session.memory.pop("access_token", None)' in conversion.source


@pytest.mark.parametrize(
    ("request_", "answer", "ready"),
    [
        ({"kind": "auth_required"}, JWT, {"kind": "auth_ok"}),
        (
            {"kind": "challenge", "nonce": "4f0c8e0c7d1e4c52"},
            {"kind": "prove", "user": "joe"},
            {"kind": "welcome"},
        ),
        ({"kind": "login_required"}, {"kind": "credentials", "token": JWT}, {"kind": "ready"}),
    ],
)
def test_a_request_for_a_login_establishes_nothing(request_: Any, answer: Any, ready: Any) -> None:
    """The client answers it on each connection; what follows the answer establishes the session."""
    conversion = converted(("<-", request_), ("->", answer), ("<-", ready), *says(4))
    assert conversion.inferred.established is not None
    assert conversion.inferred.established.label == ready["kind"]
    assert next(said.speech for said in conversion.inferred.said.values()) is Speech.LOGIN
    assert not conversion.replay.unestablished
    assert (conversion.replay.wrong, conversion.replay.said.wrong) == (0, 0)


def test_a_proof_cannot_be_computed_by_the_tool() -> None:
    """A random value after a nonce is named: its owner writes how it is made."""
    conversion = converted(
        ("<-", {"kind": "challenge", "nonce": "4f0c8e0c7d1e4c52"}),
        (
            "->",
            {"kind": "prove", "user": "joe", "answer": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72"},
        ),
        ("<-", {"kind": "welcome"}),
        *says(4),
    )
    told = "answer may be computed from nonce"
    assert told in conversion.source.replace("\n#   ", " ")
    assert any(told in line for line in conversion.lines("a.py"))


def test_what_is_hidden_is_said_to_be_missing() -> None:
    """A secret within another text is hidden there, so the client would say stars."""
    conversion = converted(
        ("<-", {"kind": "welcome", "token": "ct/+=9xK2abcdef"}),
        ("->", {"kind": "use", "b": "x ct/+=9xK2abcdef y"}),
        *says(4),
    )
    assert "use.b (it is ***" in str(conversion.replay.said)


def test_a_number_that_resumes() -> None:
    """A later connection begins with the server's last count, where the first one began with 0."""
    numbered = [
        turn if turn[0] == "->" else ("<-", {**turn[1], "seq": 7 + place})
        for place, turn in enumerate(says(4))
    ]
    last = numbered[-1][1]["seq"]
    opening: list[Turn] = [("->", {"kind": "hello", "since": 0}), ("<-", {"kind": "welcome"})]
    later = connection(("->", {"kind": "hello", "since": last}), ("<-", {"kind": "welcome"}), number=2)
    conversion = converted(*opening, *numbered, later=[later])
    assert '"since": session.memory.get("seq", 0)' in conversion.source
    assert 'session.memory["seq"] = seq' in conversion.source
    assert (conversion.replay.wrong, conversion.replay.said.wrong) == (0, 0)
