"""What is inferred from conversations, seen in the locustfile and in the replay."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from loadtest.capture.inferred import Meaning, Speech
from loadtest.errors import UsageError
from tests.support.conversations import BEGAN_S, Turn, connection, converted


def asked(count: int, ask: Any, reply: Any) -> list[Turn]:
    """Return so many requests and replies; both are functions of their number."""
    return [turn for at in range(count) for turn in (("->", ask(at)), ("<-", reply(at)))]


def meanings(conversion: Any) -> dict[str, Meaning]:
    """Return what the server's kinds of messages mean, by their labels."""
    return {kind.label: heard.meaning for kind, heard in conversion.inferred.heard.items()}


@pytest.mark.parametrize(
    ("path", "make"),
    [
        ("field id ", lambda at: at),
        ("field id ", lambda at: at + 1),
        ("field id ", lambda at: str(at)),
        ("field id ", lambda at: f"msg-{at}"),
        ("field id ", lambda at: str(uuid.UUID(int=at * 7919, version=4))),
        ("field id ", lambda at: f"x{at * 7919:x}k{at}"),
    ],
)
def test_ids_of_every_style(path: str, make: Any) -> None:
    """Numbers from any first one, as text, after a prefix, UUIDs and random texts."""
    turns = asked(
        6,
        lambda at: {"id": make(at), "text": f"hello {at}"},
        lambda at: {"re": make(at), "said": f"hello {at}"},
    )
    conversion = converted(*turns)
    assert f"guess: {path}matches replies to requests (6 of 6)" in conversion.source
    assert str(conversion.replay) == "6 of 6 messages from the server explained"


def test_ids_that_overtake_each_other_in_an_envelope() -> None:
    """Nested ids, replies out of order; the text is checked."""
    turns: list[Turn] = [("->", {"meta": {"ref": at}, "body": {"text": f"line {at}"}}) for at in range(4)]
    turns += [("<-", {"meta": {"ref": at}, "body": {"text": f"line {at}"}}) for at in (1, 0, 3, 2)]
    conversion = converted(*turns)
    assert "field meta.ref matches replies to requests (4 of 4)" in conversion.source
    assert "overtook each other in the recording" in conversion.source
    assert "lt.Reply(number, text)" in conversion.source
    assert conversion.replay.wrong == 0


def test_an_id_by_position() -> None:
    """JSON arrays, as Phoenix's and OCPP's."""
    turns = asked(
        5,
        lambda at: [2, f"r{at}", "Ask", {"text": f"hello {at}"}],
        lambda at: [3, f"r{at}", {"text": f"hello {at}"}],
    )
    conversion = converted(*turns)
    assert "field [1] matches replies to requests (5 of 5)" in conversion.source
    assert conversion.replay.wrong == 0


def test_a_count_of_the_server_is_no_id() -> None:
    """Small numbers agree by chance; a field of another name must repeat them."""
    turns: list[Turn] = []
    for at in range(1, 6):
        turns += [
            ("->", {"id": at, "q": "what"}),
            ("<-", {"id": at, "ok": True}),
            ("<-", {"event": "news", "total": at}),
        ]
    found = meanings(converted(*turns))
    assert found["news"] is Meaning.PUSH


def test_replies_without_ids_come_in_order() -> None:
    """The kind that follows each request, and next to nothing else."""
    turns = asked(5, lambda at: {"cmd": "roll", "dice": 2}, lambda at: {"event": "rolled", "sum": 7 + at % 2})
    conversion = converted(("<-", {"event": "welcome"}), *turns)
    assert meanings(conversion) == {"welcome": Meaning.ESTABLISHED, "rolled": Meaning.REPLY}
    assert "it follows roll (5 of 5)" in conversion.source
    assert conversion.replay.wrong == 0


def test_plain_texts_that_come_back() -> None:
    """An echo server: the text itself carries its number."""
    conversion = converted(
        *asked(4, lambda at: f"hello there {at}!", lambda at: f"you said: hello there {at}!")
    )
    assert "session.sequence_of(data)" in conversion.source
    assert conversion.replay.wrong == 0


@pytest.mark.parametrize("end", [{"type": "done"}, {"type": "delta", "final": True}])
def test_streams(end: dict[str, Any]) -> None:
    """Parts and an end: a kind of its own, or a field that only the last part has."""
    turns: list[Turn] = []
    for at in range(3):
        turns.append(("->", {"type": "ask", "id": at, "prompt": f"why {at}"}))
        turns += [
            ("<-", {"type": "delta", "id": at, "text": word, "final": False}) for word in ("a", "b", "c")
        ]
        turns.append(("<-", {**end, "id": at}))
    conversion = converted(*turns)
    assert [said.speech for said in conversion.inferred.said.values()] == [Speech.STREAM]
    assert "async for _part in session.stream(ask" in conversion.source
    assert conversion.replay.wrong == 0


def test_heartbeats_of_both_sides() -> None:
    """The client's become heartbeat_s; the server's are answered at once, with what they held."""
    turns: list[Turn] = [("->", {"type": "hello"}), ("<-", {"type": "ready"})]
    for at in range(4):
        turns += [("->", {"type": "ping"}), ("<-", {"type": "pong"})]
        turns += [
            ("<-", {"type": "heartbeat", "nonce": f"n{at}"}),
            ("->", {"type": "heartbeat_ack", "nonce": f"n{at}"}),
        ]
    conversion = converted(*turns, every_s=0.5)
    assert "heartbeat_s = 2" in conversion.source
    assert 'case {"type": "heartbeat", "nonce": nonce}:' in conversion.source
    assert 'lt.Send(json.dumps({"type": "heartbeat_ack", "nonce": nonce}))' in conversion.source
    assert conversion.replay.wrong == 0


def test_plain_pings_among_json() -> None:
    """Such messages are in no form, and keep their own case."""
    turns = asked(
        4, lambda at: {"id": at, "text": f"hello {at}"}, lambda at: {"id": at, "text": f"hello {at}"}
    )
    pings: list[Turn] = [("->", "ping"), ("<-", "pong")] * 2
    conversion = converted(*pings, *turns)
    assert 'if data == "pong":' in conversion.source
    assert conversion.replay.wrong == 0


def test_a_login_in_steps() -> None:
    """The server asks for it; the token of the recording is not in the file."""
    turns: list[Turn] = [
        ("<-", {"type": "auth_required"}),
        ("->", {"type": "auth", "access_token": "llt-0123456789abcdef"}),
        ("<-", {"type": "auth_ok"}),
        *asked(
            3,
            lambda at: {"id": at + 1, "type": "get", "text": f"a b {at}"},
            lambda at: {"id": at + 1, "type": "result", "success": True},
        ),
    ]
    conversion = converted(*turns)
    assert 'lt.Send(json.dumps({"type": "auth", "access_token": session.token}))' in conversion.source
    assert "llt-0123456789abcdef" not in conversion.source
    assert "if success is not True:" in conversion.source
    assert "establishes = True" in conversion.source
    assert conversion.replay.wrong == 0


def test_what_the_server_told_is_said_again() -> None:
    """The id of a conversation is taken from the session's memory, not from the recording."""
    room = "3f0c8e0c-7d1e-4c52-9a0b-27a1f4f4c0de"
    turns: list[Turn] = [
        ("<-", {"type": "welcome"}),
        ("->", {"type": "open", "id": 1}),
        ("<-", {"type": "opened", "id": 1, "conversation": {"id": room}}),
        *asked(
            3,
            lambda at: {"type": "say", "id": 2 + at, "conversation_id": room, "text": f"a b {at}"},
            lambda at: {"type": "ok", "id": 2 + at},
        ),
    ]
    conversion = converted(*turns)
    assert room not in conversion.source
    assert 'session.memory["conversation_id"] =' in conversion.source
    assert 'session.memory.get("conversation_id")' in conversion.source


def test_a_later_connection_shows_resume_identity_and_history() -> None:
    """What a second connection says first, and what the server tells it again."""
    first: list[Turn] = [
        ("->", {"type": "hello", "resume": None}),
        ("<-", {"type": "welcome", "session_id": "session-81f2", "resume": "r-4711-abc", "messages": []}),
        *asked(
            3,
            lambda at: {"type": "say", "id": at, "text": f"good day {at}"},
            lambda at: {"type": "ok", "id": at},
        ),
    ]
    again: list[Turn] = [
        ("->", {"type": "hello", "resume": "r-4711-abc"}),
        (
            "<-",
            {
                "type": "welcome",
                "session_id": "session-81f2",
                "resume": "r-4712-abd",
                "messages": [{"from": "me", "text": f"good day {at}"} for at in range(3)]
                + [{"from": "bot", "text": "hi"}],
            },
        ),
    ]
    source = converted(*first, later=[connection(*again, number=2)]).source
    assert "identifies = True" in source
    assert "keeps_history = True" in source
    assert '"resume": session.memory.get("resume")' in source
    assert 'item["text"] for item in messages if item["from"] == "me"' in source


def test_credentials_become_columns() -> None:
    """A password and an address are data of each session; the same value has the same column."""
    turns: list[Turn] = [
        (
            "->",
            {"type": "login", "email": "anna@example.com", "password": "pass-word-1", "again": "pass-word-1"},
        ),
        ("<-", {"type": "login_ok"}),
    ]
    conversion = converted(*turns)
    assert conversion.to_json()["columns"] == ["email", "password"]
    assert conversion.source.count('session.data["password"]') == 2
    assert "anna@example.com" not in conversion.source
    assert "pass-word-1" not in conversion.source


def test_the_clock_and_new_ids_of_the_client() -> None:
    """Times of the recording would be old; ids that nobody answers must be new, too."""
    turns: list[Turn] = [
        (
            "->",
            {
                "type": "track",
                "ts": int((BEGAN_S + at / 10) * 1000),
                "event_id": str(uuid.UUID(int=at * 7919, version=4)),
            },
        )
        for at in range(4)
    ]
    source = converted(*turns).source
    assert '"ts": round(time.time() * 1000)' in source
    assert '"event_id": str(uuid.uuid4())' in source
    assert "lt.Request(track(session, sequence), replies=False)" in source


def test_a_push_with_the_servers_clock() -> None:
    """Its delay varies; that is reported."""
    turns: list[Turn] = [
        ("<-", {"type": "tick", "at": round(BEGAN_S + at, 3), "price": at}) for at in range(5)
    ]
    assert "lt.Push(sent_at_ms=at * 1000)" in converted(*turns).source


def test_a_batch_is_read_record_by_record() -> None:
    """JSON-RPC allows arrays of messages."""
    batch = [{"jsonrpc": "2.0", "id": at, "result": f"a b {at}"} for at in (1, 2)]
    turns: list[Turn] = [
        *(("->", {"jsonrpc": "2.0", "id": at, "method": "get", "params": [f"a b {at}"]}) for at in (1, 2)),
        ("<-", batch),
        *asked(
            3,
            lambda at: {"jsonrpc": "2.0", "id": at + 3, "method": "get", "params": [f"a b {at}"]},
            lambda at: {"jsonrpc": "2.0", "id": at + 3, "result": f"a b {at}"},
        ),
    ]
    conversion = converted(*turns)
    assert "for record in records(data)" in conversion.source
    assert str(conversion.replay) == "5 of 5 messages from the server explained"


def test_what_is_not_explained_is_said() -> None:
    """A reply that comes twice."""
    turns = asked(
        5, lambda at: {"id": at, "text": f"hello {at}"}, lambda at: {"id": at, "text": f"hello {at}"}
    )
    conversion = converted(*turns, ("<-", {"id": 4, "text": "hello 4"}))
    assert str(conversion.replay).startswith(
        "5 of 6 messages from the server explained; not explained: message 11 (id text): "
    )


def test_binary_messages_in_an_unknown_format() -> None:
    """A clear error; MessagePack is recognised and asked for."""
    with pytest.raises(UsageError, match="binary and in an unknown format"):
        converted(("->", b"\xff\x00\x01"), ("<-", b"\xff\x00\x02"))
    with pytest.raises(UsageError, match="look like MessagePack: give --format msgpack"):
        converted(("->", b"\x81\xa2id\x01"), ("<-", b"\x81\xa2id\x01"))


def test_socket_io_that_began_with_polling() -> None:
    """The upgrade's probe is left out, and the session is opened over WebSocket."""
    turns: list[Turn] = [
        ("->", "2probe"),
        ("<-", "3probe"),
        ("->", "5"),
        *asked(
            4,
            lambda at: f'42{at}["say",{{"text":"hello {at}"}}]',
            lambda at: f'43{at}[{{"text":"hello {at}"}}]',
        ),
    ]
    url = "ws://a.example/socket.io/?EIO=4&transport=websocket&sid=QaZ1"
    conversion = converted(*turns, url=url)
    assert 'default_path = "/socket.io/?EIO=4&transport=websocket"' in conversion.source
    assert 'lt.Send(packed({"packet": "40"}))' in conversion.source
    assert "This looks like Socket.IO" in conversion.source
    assert conversion.replay.wrong == 0


def test_many_messages_take_seconds() -> None:
    """The inference looks at the first ones only; the script is cut."""
    turns = asked(
        4_000,
        lambda at: {"id": at, "k": f"v{at % 3}", "text": f"hello {at}"},
        lambda at: {"id": at, "text": f"hello {at}"},
    )
    conversion = converted(*turns)
    assert "from the first 2,000 messages; 6,000 more were not analysed" in conversion.source
    assert "# The recording continues: " in conversion.source
    assert conversion.replay.wrong == 0


def test_more_kinds_than_are_told_apart() -> None:
    """The others share a case, which names what it reads."""
    turns = asked(
        230,
        lambda at: {"type": at % 225, "id": at, "n": "x"},
        lambda at: {"type": at % 225, "id": at, "text": "fine"},
    )
    conversion = converted(*turns)
    assert conversion.replay.wrong == 0


def test_what_is_not_looked_at_is_said_beside_the_result() -> None:
    """A long recording is read from its beginning."""
    turns = asked(1_100, lambda at: {"id": at, "q": "x"}, lambda at: {"id": at, "a": "fine"})
    told = str(converted(*turns).replay)
    assert told == "1,000 of 1,000 messages from the server explained (200 messages more were not analysed)"
