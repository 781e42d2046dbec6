"""The dialects: how they address, write and read, against servers that mean well and servers that do not."""

import json
from collections.abc import Iterator
from typing import Any, get_args
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.dialects.base import (
    EXCERPT_LENGTH,
    AuthRequired,
    Dialect,
    Established,
    Failed,
    Incoming,
    Push,
    Read,
    Reply,
    Restored,
    StreamPart,
    Unreadable,
)
from loadtest.dialects.bundled import dialect_named
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.echo import Echo
from loadtest.dialects.emergence import Emergence
from loadtest.dialects.mistakes import described
from loadtest.errors import InvalidSetting
from loadtest.events import Data, Endpoint, Identity
from tests.support.effort import effort
from tests.support.fake_link import FakeServer, ack, dialect_session, frame

DIALECTS = [Echo(), Emergence()]

BOMBS: list[Data] = [
    "",
    "\n",
    "\n\n",
    "null",
    "[]",
    "0",
    "NaN",
    '"text"',
    "{",
    '{"type":',
    "[" * 100_000,
    '{"type":"ws:ack","payload":' * 20_000,
    '{"type":"ws:ack","payload":{"echo":' + "[" * 50_000 + "]" * 50_000 + "}}",
    '{"sequence":' + "9" * 10_000 + "}",
    '{"sequence":1e999}',
    '{"sequence":NaN}',
    '{"sequence":true}',
    '{"sequence":"1"}',
    '{"sequence":null}',
    '{"type":5}',
    '{"type":"ws:ack"}',
    '{"type":"ws:ack","payload":null}',
    '{"type":"ws:ack","payload":{"echo":null}}',
    '{"type":"ws:ack","payload":{"echo":{"payload":{"sequence":1.5}}}}',
    '{"type":"ws:ack","payload":{"echo":{"payload":{"sequence":"1","text":7}}}}',
    '{"type":"ws:chat_stream_end","payload":{"echo":7}}',
    '{"type":"ws:chat_stream_chunk","payload":{"text":null}}',
    '{"type":"ws:chat_stream_chunk","payload":{"text":"' + "x" * 100_000 + '"}}',
    '{"type":"ws:error","payload":{"message":{"a":"' + "x" * 100_000 + '"}}}',
    '{"type":"ws:error"}',
    '{"type":"ws:session_established","payload":{"session_id":7}}',
    '{"type":"ws:session_restored","payload":{"messages":{},"history_count":"all"}}',
    '{"type":"ws:session_restored","payload":{"messages":[1,null,{"role":[]},{"role":"user","content":7}]}}',
    '{"type":"ws:push","payload":{"sent_at_ms":1e400,"push_id":' + "1" * 5_000 + "}}",
    '{"type":"ws:auth_required","payload":{"reason":"' + "x" * 100_000 + '"}}',
    '{"type":"\ud800"}',
    '{"type":"\\ud800"}',
    "\x00\x1b[31m\u2028",
    b"",
    b"\n",
    b"\xff\xfe\x00",
    b"\xc3\x28\n{}",
    b"x" * 100_000,
]
"""Messages that no server should send: nested without end, of the wrong type, out of any range, not text."""


def everything(dialect: Dialect, data: Data, session: DialectSession | None = None) -> list[Incoming]:
    """Read a message to its end."""
    read: Read = dialect.read(session or dialect_session(), data)
    if read is None:
        return []
    return [read] if isinstance(read, get_args(Incoming)) else list(read)  # type: ignore[arg-type]  # narrowed


def texts_in(incoming: Incoming) -> Iterator[str]:
    """Yield the texts that are kept to be shown to a person."""
    for name in ("excerpt", "reason"):
        if hasattr(incoming, name):
            yield getattr(incoming, name)
    if isinstance(incoming, AuthRequired):
        yield incoming.detail


@pytest.mark.parametrize("dialect", DIALECTS, ids=["echo", "emergence"])
class TestForeignInput:
    """`read` never raises, and what it keeps is bounded."""

    @pytest.mark.parametrize("data", BOMBS, ids=lambda data: repr(data[:30]))
    def test_bombs(self, dialect: Dialect, data: Data) -> None:
        """No message breaks the reader."""
        for incoming in everything(dialect, data):
            assert isinstance(incoming, Incoming)
            assert all(len(text) <= EXCERPT_LENGTH for text in texts_in(incoming))

    def test_bombs_in_turn(self, dialect: Dialect) -> None:
        """Nor do all of them, one after the other, in one session."""
        session = dialect_session()
        for data in BOMBS * 2:
            everything(dialect, data, session)

    @given(data=st.text() | st.binary() | st.text('{}[]":,\n0123456789.eE-tfn\u2028', max_size=60))
    @effort(30)
    def test_any_message(self, dialect: Dialect, data: Data) -> None:
        """Whatever the text or bytes, reading says something bounded of it."""
        for incoming in everything(dialect, data):
            assert all(len(text) <= EXCERPT_LENGTH for text in texts_in(incoming))


HOSTILE = [
    "a/../b",
    "a?b=c&d",
    "a#b",
    "a b",
    "{thread_id}",
    "%2e%2e",
    "ä\u2028",
    "a\r\nHost: evil",
    "a;b",
    "",
]


class TestPath:
    """The path of the endpoint."""

    @pytest.mark.parametrize("hostile", HOSTILE)
    @pytest.mark.parametrize("of", ["session_id", "thread_id", "email"])
    def test_hostile_values(self, of: str, hostile: str) -> None:
        """An id or a value is one segment of the path, and one of the query, whatever stands in it."""
        values = {"session_id": "s", "thread_id": "t", "email": "e", of: hostile}
        who = Identity(number=0, session_id=values["session_id"], thread_id=values["thread_id"])
        session = DialectSession(who, data={"email": values["email"]})
        path = Echo(path=f"/ws/{{{of}}}?x={{{of}}}").endpoint(session).path
        assert path.startswith("/ws/")
        assert path.isascii()
        assert path.isprintable()
        assert not set(path) & set(" #;{}")
        parts = urlsplit(path)
        assert [unquote(part) for part in parts.path.split("/")] == ["", "ws", hostile]
        assert parse_qs(parts.query, keep_blank_values=True) == {"x": [hostile]}

    def test_all_placeholders(self) -> None:
        """Ids, numbers and the columns of the session's row may stand in a path."""
        who = Identity(number=7, session_id="s", thread_id="t", user=3)
        session = DialectSession(who, data={"email": "a@b", "room name": "x y"})
        path = "/{number}/{user}/{session_id}/{thread_id}/{email}/{room name}/{number}"
        assert Echo(path=path).endpoint(session).path == "/7/3/s/t/a%40b/x%20y/7"

    def test_unknown_placeholders_stay(self) -> None:
        """What is no placeholder stays as it is."""
        for path in ("/{unknown}", "/{}", "/{", "/}", "/{{number}", "/%7Bnumber%7D"):
            assert Echo(path=path).endpoint(dialect_session(5)).path == path.replace("{number}", "5")

    def test_ids_go_before_columns(self) -> None:
        """A column cannot take the place of an id."""
        session = dialect_session(5, data={"number": "99", "session_id": "another"})
        assert Echo(path="/{number}/{session_id}").endpoint(session).path == "/5/session-5"

    def test_default_path(self) -> None:
        """Without a path, the dialect's own is used; an empty one is a path."""
        assert Emergence().endpoint(dialect_session(3)).path == "/ws/session-3?thread_id=thread-3"
        assert Emergence(path="/chat/{session_id}").endpoint(dialect_session()).path == "/chat/session-0"
        assert Emergence(path="").endpoint(dialect_session()).path == ""


class TestEmergence:
    """The chat application."""

    dialect = Emergence()

    def read(self, *frames: str, session: DialectSession | None = None) -> list[Incoming]:
        """Read frames sent as one."""
        return everything(self.dialect, "\n".join(frames), session)

    def test_endpoint_carries_the_token(self) -> None:
        """The token goes as a subprotocol beside `jwt`, and into nothing else."""
        session = dialect_session(3)
        assert self.dialect.endpoint(session).subprotocols == ()
        session.token = "TOKEN"
        endpoint = self.dialect.endpoint(session)
        assert endpoint.path == "/ws/session-3?thread_id=thread-3"
        assert (endpoint.subprotocols, endpoint.headers) == (("jwt", "TOKEN"), ())

    @pytest.mark.parametrize("size", [48, 64, 1000])
    def test_request(self, size: int) -> None:
        """A request is a JSON message with its number, an agent, and a marked text as long as asked."""
        session = dialect_session(size_of=size)
        message = json.loads(self.dialect.request(session, 12345))
        assert message["type"] == "chat.message"
        assert message["payload"] == {
            "agent_id": "assistant",
            "sequence": 12345,
            "text": session.text(12345),
        }
        assert len(message["payload"]["text"].encode()) == size

    def test_other_names(self) -> None:
        """A subclass may use another type of message and another agent."""

        class Older(Emergence):
            message_type = "chat_message"
            agent_id = "researcher"

        message = json.loads(Older().request(dialect_session(), 0))
        assert (message["type"], message["payload"]["agent_id"]) == ("chat_message", "researcher")

    def test_probe_asks_for_nothing(self) -> None:
        """The message for drops has no text: the server answers with an error, and stores nothing."""
        message = json.loads(self.dialect.probe(dialect_session()))
        assert message == {"type": "chat.message", "payload": {}}
        server = FakeServer()
        (answer,) = server.answer(dialect_session().identity, json.dumps(message))
        assert isinstance(self.read(answer)[0], Failed)
        assert not server.histories["session-0"]

    def test_established(self) -> None:
        """The server says that the session is established, and its ids."""
        said = frame("ws:session_established", session_id="s", thread_id="t", other={"x": 1})
        assert self.read(said) == [Established(session_id="s", thread_id="t")]
        assert self.read(frame("ws:session_established")) == [Established()]

    def test_restored(self) -> None:
        """Of a restored history the texts of users count, in order; its length is that of both roles."""
        messages: list[Any] = [
            {"id": 1, "role": "user", "content": "b", "agent_id": None, "created_at": "now", "meta": {}},
            {"role": "assistant", "content": "hello"},
            {"role": "system", "content": "x"},
            {"role": "user", "content": "a"},
            {},
        ]
        assert self.read(frame("ws:session_restored", messages=messages, history_count=99)) == [
            Restored(texts=["b", "a"], count=5)
        ]
        assert self.read(frame("ws:session_restored")) == [Restored(texts=[], count=0)]

    @pytest.mark.parametrize("messages", [["text"], [None], [{"role": "user", "content": 5}], {"a": 1}, 5])
    def test_restored_with_something_else(self, messages: Any) -> None:
        """A history that holds something else is unreadable as a whole."""
        (incoming,) = self.read(frame("ws:session_restored", messages=messages))
        assert isinstance(incoming, Unreadable)

    def test_ack(self) -> None:
        """An ack belongs to the request that it echoes, and its text is the request's and nothing else."""
        session = dialect_session()
        request = self.dialect.request(session, 7)
        assert self.read(ack(json.loads(request))) == [Reply(7, session.text(7), whole=True)]

    @pytest.mark.parametrize("echo", [None, {}, {"payload": {}}])
    def test_ack_without_an_echo(self, echo: Any) -> None:
        """An ack that echoes nothing is the oldest request's, and has no text to check."""
        assert self.read(ack(echo)) == [Reply(None, None, whole=True)]

    def test_stream(self) -> None:
        """A streamed answer is one reply at its end, with all that was streamed."""
        session = dialect_session()
        text = session.text(7)
        parts = [frame("ws:chat_stream_chunk", text=part) for part in ("You said: ", text[:9], text[9:])]
        read = self.read(frame("ws:chat_stream_start"), *parts, frame("ws:chat_stream_end"), session=session)
        assert read == [StreamPart()] * 4 + [Reply(7, f"You said: {text}")]
        assert session.memory == {}

    def test_stream_over_frames(self) -> None:
        """The parts may come one by one, with other messages between them."""
        session = dialect_session()
        text = session.text(3)
        for part in text:
            assert self.read(frame("ws:chat_stream_chunk", text=part), session=session) == [StreamPart()]
            assert self.read(frame("ws:presence"), session=session) == [Push()]
        assert self.read(frame("ws:chat_stream_end"), session=session) == [Reply(3, text)]

    def test_streams_of_two_sessions(self) -> None:
        """One dialect serves all sessions: their answers are not mixed up."""
        sessions = [dialect_session(number) for number in (0, 1)]
        for session in sessions:
            self.read(frame("ws:chat_stream_chunk", text=session.text(5)), session=session)
        for session in sessions:
            assert self.read(frame("ws:chat_stream_end"), session=session) == [Reply(5, session.text(5))]

    def test_stream_without_a_mark(self) -> None:
        """An assistant need not repeat the question: such an answer is the oldest request's, unchecked."""
        assert self.read(frame("ws:chat_stream_chunk", text="Hello!"), frame("ws:chat_stream_end"))[-1] == (
            Reply(None)
        )
        assert self.read(frame("ws:chat_stream_end")) == [Reply(None)]

    def test_stream_of_another_session(self) -> None:
        """An answer with another session's text is kept, so that it is found to be foreign."""
        other = dialect_session(1).text(5)
        read = self.read(frame("ws:chat_stream_chunk", text=other), frame("ws:chat_stream_end"))
        assert read[-1] == Reply(None, other)

    def test_a_new_stream_begins_anew(self) -> None:
        """A start forgets an answer that was not finished; so does a new connection."""
        session = dialect_session()
        self.read(frame("ws:chat_stream_chunk", text="half an"), session=session)
        read = self.read(frame("ws:chat_stream_start"), frame("ws:chat_stream_end"), session=session)
        assert read[-1] == Reply(None)
        self.read(frame("ws:chat_stream_chunk", text=session.text(1)), session=session)
        assert list(self.dialect.greeting(session)) == []
        assert self.read(frame("ws:chat_stream_end"), session=session) == [Reply(None)]

    def test_endless_stream(self) -> None:
        """Of an answer without end a bounded part is kept."""
        session = dialect_session()
        chunk = frame("ws:chat_stream_chunk", text="x" * 2**20)
        for _ in range(8):
            self.read(chunk, session=session)
        assert len(session.memory["answer"]) == Emergence.LONGEST_ANSWER

    def test_error(self) -> None:
        """An error is the oldest request's, in the server's words."""
        assert self.read(frame("ws:error", message="overloaded", code=503)) == [Failed(None, "overloaded")]
        assert self.read(frame("ws:error")) == [Failed(None, "ws:error without a message")]

    def test_auth_required(self) -> None:
        """A refused token comes with the server's reason, or with ours."""
        assert self.read(frame("ws:auth_required", reason="expired")) == [AuthRequired("expired")]
        assert self.read(frame("ws:auth_required")) == [AuthRequired("the server rejected the token")]

    def test_pushes(self) -> None:
        """What else the server says on its own is a push, with number and time if it says them."""
        assert self.read(frame("ws:presence")) == [Push()]
        assert self.read(frame("ws:push", push_id=3, sent_at_ms=17)) == [Push(number=3, sent_at_ms=17.0)]
        assert self.read(frame("ws:presence", text=5)) == [Push()], "its payload may be of any form"

    def test_other_messages_are_unreadable(self) -> None:
        """What is not of the application is unreadable, with an excerpt."""
        assert self.read(frame("chat.message")) == [Unreadable(frame("chat.message"))]

    def test_a_session_that_the_server_gave_another_id(self) -> None:
        """The id that was asked for comes back as `client_session_id`."""
        said = frame("ws:session_established", session_id="s", thread_id="t", client_session_id="asked")
        assert self.read(said) == [Established(session_id="s", thread_id="t", asked_id="asked")]
        said = frame("ws:session_established", session_id="s", thread_id="t")
        assert self.read(said) == [Established(session_id="s", thread_id="t")]

    def test_a_token_of_its_own(self) -> None:
        """The column `token` of a session's row comes before --ws-token."""
        for data, token in (({"token": "own"}, "own"), ({"user": "anna"}, "common"), ({}, "common")):
            session = dialect_session(data=data)
            session.token = "common"
            assert self.dialect.endpoint(session).subprotocols == ("jwt", token)

    def test_known_messages_of_another_form_are_unreadable(self) -> None:
        """A message of a known type whose payload has another form is no push."""
        for kind in ("ws:ack", "ws:error", "ws:chat_stream_chunk", "ws:session_established"):
            said = f'{{"type":"{kind}","payload":[]}}'
            assert self.read(said) == [Unreadable(said)]

    def test_several_objects_in_a_frame(self) -> None:
        """Each line of a frame is a message; empty lines are none, and a broken one breaks no other."""
        lines = [frame("ws:a"), "", "broken", "  \r", frame("ws:b") + "\r", ""]
        assert self.read(*lines) == [Push(), Unreadable("broken"), Push()]
        binary = everything(self.dialect, "\n".join(lines).encode())
        assert binary == [Push(), Unreadable("b'broken'"), Push()]

    @pytest.mark.parametrize("character", ["\u2028", "\u2029", "\u0085", "\x7f"])
    def test_lines_end_with_newlines_only(self, character: str) -> None:
        """Other line ends may stand in JSON text as they are."""
        text = json.dumps({"type": "ws:push", "payload": {"text": character}}, ensure_ascii=False)
        assert self.read(text, text) == 2 * [Push(text=character)]

    def test_bytes(self) -> None:
        """A binary message is read like a text."""
        assert everything(self.dialect, frame("ws:push", push_id=1).encode()) == [Push(number=1)]

    def test_forbidding_close_codes(self) -> None:
        """A client must not come back after a refused token, a policy violation, or inactivity."""
        assert self.dialect.forbidding_close_codes == {4401, 1008, 4408}

    def test_promises(self) -> None:
        """The server establishes sessions, restores the newest 200 messages, and pushes."""
        kind = Emergence
        assert kind.establishes
        assert kind.identifies
        assert kind.keeps_history
        assert kind.pushes
        assert kind.history_window == 200


class TestEcho:
    """A server that returns what it receives."""

    @given(sequence=st.integers(0, 10**9), size=st.integers(0, 200))
    @effort(30)
    def test_round_trip(self, sequence: int, size: int) -> None:
        """What is sent is, when it comes back, the reply to itself, and that is all there is to it."""
        session = dialect_session(size_of=size)
        request = Echo().request(session, sequence)
        assert request == session.text(sequence)
        assert Echo().read(session, request) == Reply(sequence, request, whole=True)

    def test_something_else(self) -> None:
        """A text without an own mark is the oldest request's, so that its alteration is found."""
        session = dialect_session()
        for said in ("", "hello", dialect_session(1).text(0)):
            assert Echo().read(session, said) == Reply(None, said, whole=True)

    def test_bytes(self) -> None:
        """A server that returns bytes for text is not an echo."""
        assert Echo().read(dialect_session(), b"\xff") == Unreadable("b'\\xff'")

    def test_has_no_identity(self) -> None:
        """There is nothing to establish, to restore, or to be."""
        assert not any([Echo.establishes, Echo.identifies, Echo.keeps_history, Echo.pushes])


class TestOwnDialect:
    """A dialect of a user's own."""

    @pytest.fixture(autouse=True)
    def built_in_dialects(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Know the built-in dialects only, and forget those that a test defines."""
        monkeypatch.setattr(Dialect, "dialects", {"echo": Echo, "emergence": Emergence})

    def test_known_by_its_name(self) -> None:
        """A subclass with a name is known by it once it is defined; what it leaves out is plain WebSocket."""

        class Shout(Dialect):
            name = "shout"
            default_path = "/shout"
            subprotocols = ("v2", "v1")

            def read(self, session: DialectSession, data: Data) -> None:
                return None

        assert dialect_named("shout") is Shout
        session = dialect_session()
        assert Shout().endpoint(session) == Endpoint(path="/shout", subprotocols=("v2", "v1"))
        assert Shout(path="/other?x=1").endpoint(session).path == "/other?x=1"
        assert list(Shout().greeting(session)) == []
        assert Shout().probe(session) is None
        assert Shout.forbidding_close_codes == {1008}
        assert Shout.ordered
        assert Shout.queues

    def test_token(self) -> None:
        """Where the dialect does not say how, a token goes as a bearer token."""

        class Plain(Dialect):
            pass

        session = dialect_session()
        session.token = "TOKEN"
        assert Plain().endpoint(session).headers == (("Authorization", "Bearer TOKEN"),)
        session.token = ""
        assert Plain().endpoint(session).headers == ()

    def test_nameless_base(self) -> None:
        """A subclass without a name of its own does not take its parent's place."""

        class Between(Echo):
            pass

        assert dialect_named("echo") is Echo

    @pytest.mark.parametrize("method", ["request", "heartbeat", "read"])
    def test_unfinished(self, method: str) -> None:
        """A dialect without a method can be made, and tells that it lacks it."""

        class Unfinished(Dialect):
            pass

        class Finished(Unfinished):
            def request(self, session: DialectSession, sequence: int) -> str:
                return ""

            def heartbeat(self, session: DialectSession) -> str:
                return ""

            def read(self, session: DialectSession, data: Data) -> None:
                return None

        assert not type(Unfinished()).overrides(method)
        assert Finished.overrides(method)
        arguments = [] if method == "heartbeat" else [0]
        with pytest.raises(NotImplementedError):
            getattr(Unfinished(), method)(dialect_session(), *arguments)

    def test_unknown(self) -> None:
        """An unknown dialect is refused; the known ones are named, and how to add one."""
        with pytest.raises(
            InvalidSetting, match=r"--ws-dialect must be echo, emergence, .*.*locustfile .*'chat'"
        ):
            dialect_named("chat")


class TestDescribed:
    """How an exception is shown."""

    @pytest.mark.parametrize(
        ("error", "shown"),
        [
            (KeyError("id"), "KeyError: 'id'"),
            (ValueError(), "ValueError"),
            (ValueError("two\nlines\t\x1b[31m"), "ValueError: two lines"),
            (TimeoutError("no answer"), "TimeoutError: no answer"),
        ],
        ids=str,
    )
    def test_described(self, error: Exception, shown: str) -> None:
        """Its name and its text, on one printable line."""
        assert described(error).startswith(shown)
        assert described(error).isprintable()

    def test_bounded(self) -> None:
        """A long text is cut."""
        assert len(described(ValueError("x" * 10_000))) <= 220
