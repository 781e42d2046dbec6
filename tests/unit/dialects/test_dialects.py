"""The dialects: how they address, write and read, against servers that mean well and servers that do not."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadtest.dialects.base import (
    EXCERPT_LENGTH,
    UNNUMBERED,
    AuthRequired,
    Dialect,
    Established,
    Incoming,
    Push,
    Reply,
    Restored,
    StreamPart,
    Unreadable,
    dialect_named,
)
from loadtest.dialects.echo import Echo
from loadtest.dialects.emergence import Emergence
from loadtest.errors import InvalidSetting
from loadtest.events import Data, Identity
from tests.support.effort import effort
from tests.support.fake_link import ack, frame, identity

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
    '{"type":"ws:chat_stream_end","payload":{"echo":7}}',
    '{"type":"ws:session_established","payload":{"session_id":7}}',
    '{"type":"ws:session_restored","payload":{"messages":{},"history_count":"all"}}',
    '{"type":"ws:session_restored","payload":{"messages":[1,null,{"payload":[]},{"payload":{"sequence":"x"}}]}}',
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


def everything(dialect: Dialect, data: Data) -> list[Incoming]:
    """Read a message to its end."""
    return list(dialect.read(data))


def texts_in(incoming: Incoming) -> Iterator[str]:
    """Yield the texts that are kept to be shown to a person."""
    for name in ("excerpt", "detail"):
        if hasattr(incoming, name):
            yield getattr(incoming, name)


@pytest.mark.parametrize("dialect", DIALECTS, ids=["echo", "emergence"])
class TestForeignInput:
    """`read` never raises, and what it keeps is bounded."""

    @pytest.mark.parametrize("data", BOMBS, ids=lambda data: repr(data[:30]))
    def test_bombs(self, dialect: Dialect, data: Data) -> None:
        """No message breaks the reader."""
        for incoming in everything(dialect, data):
            assert isinstance(incoming, Incoming)
            assert all(len(text) <= EXCERPT_LENGTH for text in texts_in(incoming))

    @given(data=st.text() | st.binary() | st.text('{}[]":,\n0123456789.eE-tfn\u2028', max_size=60))
    @effort(30)
    def test_any_message(self, dialect: Dialect, data: Data) -> None:
        """Whatever the text or bytes, reading says something bounded of it."""
        for incoming in everything(dialect, data):
            assert all(len(text) <= EXCERPT_LENGTH for text in texts_in(incoming))

    @given(
        content=st.none()
        | st.binary()
        | st.builds(msgspec.Raw, st.binary())
        | st.builds(msgspec.Raw, st.just(b"[1]")),
        sequence=st.integers(),
    )
    @effort(30)
    def test_any_content(self, dialect: Dialect, content: object, sequence: int) -> None:
        """Whatever a reply holds, it can be compared with what was asked."""
        assert dialect.intact(dialect.request(identity(), sequence), content) in (True, False)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


class TestEmergence:
    """The chat application."""

    dialect = Emergence()

    def read(self, *frames: str) -> list[Incoming]:
        """Read frames sent as one."""
        return everything(self.dialect, "\n".join(frames))

    @pytest.mark.parametrize(
        "hostile",
        ["a/../b", "a?b=c&d", "a#b", "a b", "{thread_id}", "%2e%2e", "ä\u2028", "a\r\nHost: evil", "a;b", ""],
    )
    def test_endpoint_quotes_ids(self, hostile: str) -> None:
        """An id is one segment of the path and one value of the query, whatever stands in it."""
        who = Identity(number=0, session_id=hostile, thread_id=hostile)
        path = self.dialect.endpoint(who, None).path
        assert path.startswith("/ws/")
        assert path.count("/") == 2
        assert path.count("?") == path.count("=") == 1
        assert path.isascii()
        assert path.isprintable()
        assert not set(path) & set(" #&;{}")

    def test_endpoint_carries_the_token(self) -> None:
        """The token goes as a subprotocol beside `jwt`, and into nothing else."""
        endpoint = self.dialect.endpoint(identity(3), "TOKEN")
        assert endpoint.path == "/ws/session-3?thread_id=thread-3"
        assert (endpoint.subprotocols, endpoint.headers) == (("jwt", "TOKEN"), ())
        assert self.dialect.endpoint(identity(3), None).subprotocols == ()

    def test_own_path(self) -> None:
        """Another path may use the ids or not."""
        assert Emergence(path="/chat/{session_id}").endpoint(identity(), None).path == "/chat/session-0"
        assert Emergence(path="").endpoint(identity(), None).path == ""

    @pytest.mark.parametrize(("size", "length"), [(0, 62), (62, 62), (64, 64), (1000, 1000)])
    def test_request(self, size: int, length: int) -> None:
        """A request is a JSON message with its number, about as long as asked."""
        text = Emergence(message_bytes=size).request(identity(), 12345)
        message = json.loads(text)
        assert (message["type"], message["payload"]["sequence"]) == ("chat_message", 12345)
        assert len(text) == length

    def test_sample_is_unnumbered(self) -> None:
        """The request for drops is written like any other, with a number that no request has."""
        assert json.loads(self.dialect.request(identity(), UNNUMBERED))["payload"]["sequence"] == -1

    def test_established(self) -> None:
        """The server says that the session is up and who it is."""
        said = frame("ws:session_established", session_id="s", thread_id="t", other={"x": 1})
        assert self.read(said) == [Established(session_id="s", thread_id="t")]

    def test_restored_with_foreign_messages(self) -> None:
        """Of a restored history the session's own requests count, in order; others have no number."""
        messages: list[Any] = [
            {"type": "chat_message", "payload": {"sequence": 4}},
            {"type": "ws:ack", "payload": {"received": True}},
            {"role": "assistant", "content": "hello"},
            "text",
            None,
            {"payload": {"sequence": UNNUMBERED}},
            {"payload": {"sequence": "6"}},
            {"payload": {"sequence": 5.5}},
            {"payload": {"sequence": 2}},
        ]
        assert self.read(frame("ws:session_restored", messages=messages, history_count=9)) == [
            Restored(sequences=[4, 2], count=9)
        ]
        assert self.read(frame("ws:session_restored")) == [Restored(sequences=[])]

    def test_ack(self) -> None:
        """An ack belongs to the request that it echoes."""
        request = self.dialect.request(identity(), 7)
        (reply,) = self.read(ack(json.loads(request)))
        assert isinstance(reply, Reply)
        assert reply.sequence == 7
        assert self.dialect.intact(request, reply.content)

    def test_stream(self) -> None:
        """A streamed answer is one reply, at its end; without an echo it is the oldest request's."""
        request = json.loads(self.dialect.request(identity(), 7))
        start, chunk, end, bare_end = self.read(
            frame("ws:chat_stream_start", id=1),
            frame("ws:chat_stream_chunk", content="hel"),
            frame("ws:chat_stream_end", echo=request),
            frame("ws:chat_stream_end"),
        )
        assert isinstance(start, StreamPart)
        assert isinstance(chunk, StreamPart)
        assert isinstance(end, Reply)
        assert end.sequence == 7
        assert bare_end == Reply(None)
        assert self.dialect.intact("any", None)

    def test_auth_required(self) -> None:
        """A refused token comes with the server's reason, or with ours."""
        assert self.read(frame("ws:auth_required", reason="expired")) == [AuthRequired("expired")]
        assert self.read(frame("ws:auth_required")) == [AuthRequired("the server requires another token")]

    def test_pushes(self) -> None:
        """What else the server says on its own is a push, with number and time if it says them."""
        assert self.read(frame("ws:presence")) == [Push()]
        assert self.read(frame("ws:push", push_id=3, sent_at_ms=17)) == [Push(number=3, sent_at_ms=17.0)]

    def test_other_messages_are_unreadable(self) -> None:
        """What is not of the application is unreadable, with an excerpt."""
        assert self.read(frame("chat_message")) == [Unreadable(frame("chat_message"))]

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
        assert self.read(text, text) == [Push(), Push()]

    def test_bytes(self) -> None:
        """A binary message is read like a text."""
        assert everything(self.dialect, frame("ws:push", push_id=1).encode()) == [Push(number=1)]

    @given(message=st.dictionaries(st.text(max_size=5), json_values, max_size=4))
    @example(message={"a": 1, "b": "ä"})
    @effort(30)
    def test_intact_compares_objects(self, message: dict[str, Any]) -> None:
        """An echo is intact if it is the same object, whatever its blanks, escapes and order of keys."""
        sent = json.dumps(message)
        turned = dict(reversed(message.items()))
        assert self.dialect.intact(
            sent, msgspec.Raw(json.dumps(turned, indent=1, ensure_ascii=False).encode())
        )
        assert not self.dialect.intact(sent, msgspec.Raw(json.dumps(message | {"too much": 1}).encode()))

    def test_corrupted_echo(self) -> None:
        """An echo with another text, cut short, or of the wrong kind is not intact."""
        request = self.dialect.request(identity(), 1)
        for echo in (request.replace("xx", "xy", 1), request[:-1], request.replace("1", "2"), "[]", ""):
            assert not self.dialect.intact(request, msgspec.Raw(echo.encode()))
        assert self.dialect.intact(request, msgspec.Raw(request.encode()))
        assert self.dialect.intact(request.encode(), msgspec.Raw(request.encode()))

    def test_forbidding_close_codes(self) -> None:
        """A client must not come back after a refused token, a policy violation, or inactivity."""
        assert self.dialect.forbidding_close_codes == {4401, 1008, 4408}


class TestEcho:
    """A server that returns what it gets."""

    @given(sequence=st.integers(UNNUMBERED, 2**53), size=st.integers(0, 200))
    @effort(30)
    def test_round_trip(self, sequence: int, size: int) -> None:
        """What is sent is, when it comes back, the reply to itself."""
        dialect = Echo(message_bytes=size)
        request = dialect.request(identity(), sequence)
        (reply,) = dialect.read(request)
        assert isinstance(reply, Reply)
        assert reply.sequence == sequence == json.loads(request)["sequence"]
        assert dialect.intact(request, reply.content)

    def test_byte_for_byte(self) -> None:
        """A reply that is another text is not intact, even if it is the same object."""
        request = Echo().request(identity(), 1)
        (reply,) = Echo().read(request.replace(":", ": "))
        assert isinstance(reply, Reply)
        assert not Echo().intact(request, reply.content)

    @pytest.mark.parametrize(("size", "length"), [(0, 28), (28, 28), (64, 64), (1000, 1000)])
    def test_size(self, size: int, length: int) -> None:
        """A request is about as long as asked."""
        assert len(Echo(message_bytes=size).request(identity(), 12345)) == length

    def test_has_no_identity(self) -> None:
        """There is nothing to establish, to restore, or to be."""
        assert not any([Echo.establishes, Echo.identifies, Echo.keeps_history, Echo.pushes])


class TestOwnDialect:
    """A dialect of a user's own."""

    @pytest.fixture(autouse=True)
    def forgotten_dialects(self) -> Iterator[None]:
        """Forget the dialects that a test defines."""
        known = dict(Dialect.dialects)
        yield
        Dialect.dialects.clear()
        Dialect.dialects.update(known)

    def test_known_by_its_name(self) -> None:
        """A subclass with a name is known by it once it is defined; what it leaves out is plain WebSocket."""

        class Shout(Dialect):
            name = "shout"
            default_path = "/shout"

            def request(self, identity: Identity, sequence: int) -> str:
                return f"HEY {sequence}"

            def read(self, data: Data) -> Iterable[Incoming]:
                yield Reply(int(str(data).removeprefix("YES ")))

        assert dialect_named("shout") is Shout
        endpoint = Shout().endpoint(identity(), "TOKEN")
        assert (endpoint.path, endpoint.headers) == ("/shout", (("Authorization", "Bearer TOKEN"),))
        assert Shout(path="/other?x=1").endpoint(identity(), None).path == "/other?x=1"
        assert Shout().endpoint(identity(), None).headers == ()
        assert Shout().greeting(identity()) == ()
        assert Shout().intact("HEY 1", None)
        assert Shout.forbidding_close_codes == {1008}

    def test_nameless_base(self) -> None:
        """A subclass without a name of its own does not take its parent's place."""

        class Between(Echo):
            pass

        assert dialect_named("echo") is Echo

    def test_unfinished(self) -> None:
        """A dialect that cannot write or read cannot be made."""

        class Unfinished(Dialect):
            name = "unfinished"

        with pytest.raises(TypeError, match="abstract"):
            Unfinished()  # type: ignore[abstract]

    def test_unknown(self) -> None:
        """An unknown dialect is refused; the known ones are named, and how to add one."""
        with pytest.raises(
            InvalidSetting, match=r"--ws-dialect must be echo, emergence, or .*your own .*'chat'"
        ):
            dialect_named("chat")
