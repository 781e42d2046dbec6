"""The dialect `socketio`: what it says, and what it makes of the server's packets."""

from __future__ import annotations

import json

import pytest
import socketio.packet  # noqa: F401  # here, as importing it opens a socket

from loadtest.dialects.base import (
    SESSION,
    AuthRequired,
    Established,
    Failed,
    Incoming,
    Push,
    Reply,
    Unreadable,
)
from loadtest.dialects.bundled import dialect_named
from loadtest.dialects.calls import listed
from loadtest.dialects.dialect_options import parsed, with_options
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.socketio import MAX_ATTACHMENTS, SocketIo
from loadtest.errors import InvalidSetting
from loadtest.events import Data, Send
from tests.support.fake_link import dialect_session


def made(*options: str) -> SocketIo:
    """Return the dialect with options."""
    return with_options(dialect_named("socketio"), parsed(options))()  # type: ignore[no-any-return]


def read(dialect: SocketIo, data: Data, session: DialectSession | None = None) -> list[Incoming]:
    """Read one message."""
    return list(listed(dialect, dialect.read(session or dialect_session(), data), data))


class TestTheClient:
    """What the client says."""

    def test_requests(self) -> None:
        """An event with the number of its acknowledgement, in the namespace, with columns of the data."""
        session = dialect_session(data={"room": 'a"b'})
        text = session.text(7)
        assert made().request(session, 7) == f'427["message",{{"text": "{text}"}}]'
        options = ("namespace=/chat", "event=say", 'data={"to": $room, "text": $text}', "reply=said")
        said = made(*options).request(session, 7)
        assert said.startswith("42/chat,[")
        assert json.loads(said[8:]) == ["say", {"to": 'a"b', "text": text}]

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ((), '40{"token":"t"}'),
            (("namespace=/chat",), '40/chat,{"token":"t"}'),
            (("auth-field=key",), '40{"key":"t"}'),
            (("auth-field=",), "40"),
        ],
    )
    def test_connecting(self, options: tuple[str, ...], said: str) -> None:
        """Once the server has opened Engine.IO, the client connects to the namespace with its token."""
        session = dialect_session()
        session.token = "t"
        assert read(made(*options), '0{"sid":"e","pingInterval":25000}', session) == [Send(said)]
        bearer = (("Authorization", "Bearer t"),) if "auth-field=" in options else ()
        assert made(*options).endpoint(session).headers == bearer

    @pytest.mark.parametrize(
        ("path", "asked"),
        [
            (None, "/socket.io/?EIO=4&transport=websocket"),
            ("/chat/socket.io/?room={number}", "/chat/socket.io/?room=3&EIO=4&transport=websocket"),
            ("/socket.io/?EIO=4&transport=polling", "/socket.io/?EIO=4&transport=websocket"),
        ],
    )
    def test_the_path(self, path: str | None, asked: str) -> None:
        """The protocol's own part of the query is added, or set right."""
        assert SocketIo(path=path).endpoint(dialect_session(3)).path == asked

    def test_a_ping_is_answered(self) -> None:
        """The server closes connections without a pong."""
        assert read(made(), "2") == [Send("3")]

    @pytest.mark.parametrize(
        ("said", "missed"),
        [
            ('{"sid":"e","pingInterval":1000,"pingTimeout":500}', "no ping from the server in 1.5 s"),
            ('{"sid":"e","pingInterval":1000,"pingTimeout":-1}', ""),
            ('{"sid":"e","pingInterval":"1000","pingTimeout":500}', ""),
            ('{"pingInterval":1000}', ""),
            ("[7]", ""),
            ("{", ""),
        ],
    )
    def test_a_server_that_does_not_ping(self, said: str, missed: str) -> None:
        """Each ping must come within the interval and the timeout that the server names when it opens."""
        dialect, session = made(), dialect_session()

        def after_s(seconds: float) -> str:
            return session.missed_ping(int(seconds * 1e9), excused=False)

        dialect.read(session, f"0{said}")
        assert [after_s(10), after_s(11.4), after_s(11.6)] == ["", "", missed]
        dialect.read(session, "2")
        assert [after_s(20), after_s(21), after_s(22)] == ["", "", missed]
        assert session.missed_ping(10**11, excused=True) == ""
        assert [after_s(100), after_s(101), after_s(102)] == ["", "", missed]
        dialect.greeting(session)
        assert [after_s(200), after_s(202)] == ["", ""]

    def test_an_upgrade(self) -> None:
        """What came over HTTP counts once the server has answered the probe; binary data is text there."""
        dialect, session = made("transport=polling"), dialect_session()
        session.memory |= {
            "engine": "e1",
            "open": '{"sid":"e1","pingInterval":1000,"pingTimeout":500}',
            "polled": ['40{"sid":"s"}', '451-["x",{"_placeholder":true,"num":0}]', "bAQID"],
        }
        assert dialect.endpoint(session).path == "/socket.io/?EIO=4&transport=websocket&sid=e1"
        assert list(dialect.greeting(session)) == ["2probe"]
        assert read(dialect, "3probe", session) == [Send("5"), Established(), Push()]
        assert [session.missed_ping(at * 10**9, excused=False) for at in (10, 12)][1]

    @pytest.mark.parametrize("data", ['{"text": $text', '{"text": "$"}', "nothing"])
    def test_data_that_is_no_template(self, data: str) -> None:
        """The option is named, and what is wrong with it."""
        with pytest.raises(InvalidSetting, match=r"^--ws-dialect-option data must "):
            made(f"data={data}")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("namespace=chat",), "namespace must begin with a slash"),
        (("event=",), "event must not be empty"),
        (("reply=",), "reply must not be empty"),
        (("reply=said", 'data={"a":1}'), r"data must have \$text"),
        (("text=saved", 'data={"a":1}'), r"data must have \$text"),
    ],
)
def test_options_that_cannot_work(options: tuple[str, ...], problem: str) -> None:
    """They are refused instead of failing each message; without a text to check none need be sent."""
    with pytest.raises(InvalidSetting, match=f"^--ws-dialect-option {problem}"):
        made(*options)
    assert made('data={"a":1}').request(dialect_session(), 7) == '427["message",{"a":1}]'


class TestReplies:
    """What counts as a reply, and which text is checked."""

    def test_an_acknowledgement(self) -> None:
        """The text may stand anywhere; without one the reply is not checked."""
        text = dialect_session().text(7)
        assert read(made(), f'437[{{"saved":{{"text":"{text}"}}}}]') == [Reply(7, text)]
        assert read(made(), "437[]") == [Reply(7)]
        assert read(made("text="), f'437[{{"text":"{text}"}}]') == [Reply(7)]

    def test_a_field(self) -> None:
        """A named field of the first argument must hold the text."""
        text = dialect_session().text(7)
        assert read(made("text=saved.text"), f'437[{{"saved":{{"text":"{text}"}}}}]') == [Reply(7, text)]
        assert read(made("text=text"), f'437[{{"saved":"{text}"}}]') == [Reply(7, None)]

    def test_an_error(self) -> None:
        """An acknowledgement with an error fails its request, in the server's words."""
        assert read(made(), '437[{"error":"no room"}]') == [Failed(7, "no room")]
        assert read(made("error=err.why"), '437[{"err":{"why":"no room"}}]') == [Failed(7, "no room")]
        assert read(made("error="), '437[{"error":"x"}]') == [Reply(7)]

    def test_an_event(self) -> None:
        """An event of the name replies to the session's own text; those of others are pushes."""
        dialect, mine, theirs = made("reply=said"), dialect_session().text(7), dialect_session(1).text(7)
        assert read(dialect, f'42["said",{{"text":"{mine}"}}]') == [Reply(7, mine)]
        assert read(dialect, f'42["said",{{"text":"{theirs}"}}]') == [Push()]
        assert read(dialect, '42["news","x"]') == [Push()]
        numbered = made("push-number=n", "push-text=text")
        assert read(numbered, '42["news",{"n":3,"text":"x"}]') == [Push(text="x", number=3)]

    def test_binary_data(self) -> None:
        """A packet with attachments is complete with the last of them; its text may be one."""
        dialect, session = made(), dialect_session()
        text = session.text(7)
        assert (
            read(
                dialect,
                '462-7[{"a":{"_placeholder":true,"num":0},"b":{"_placeholder":true,"num":1}}]',
                session,
            )
            == []
        )
        assert read(dialect, b"\x01", session) == []
        assert read(dialect, text.encode(), session) == [Reply(7, text)]
        assert isinstance(read(dialect, b"\x01", session)[0], Unreadable)
        assert isinstance(read(dialect, f'45{MAX_ATTACHMENTS + 1}-["x"]', session)[0], Unreadable)

    def test_attachments_that_never_come(self) -> None:
        """Another packet in their place is a defect, and is read; a ping is none."""
        dialect, session = made(), dialect_session()
        begun = '451-["x",{"_placeholder":true,"num":0}]'
        assert read(dialect, begun, session) == []
        assert read(dialect, "2", session) == [Send("3")]
        missing = Unreadable("expected binary data of the previous packet, got another packet: 437[]")
        assert read(dialect, "437[]", session) == [missing, Reply(7)]
        read(dialect, begun, session)
        assert len(read(dialect, begun, session)) == 1
        assert read(dialect, b"x", session) == [Push()]

    def test_an_acknowledgement_that_is_no_array(self) -> None:
        """No client reads it."""
        for said in ('437{"text":"x"}', "437"):
            assert isinstance(read(made(), said)[0], Unreadable), said

    def test_a_text_of_another_session(self) -> None:
        """Wherever it stands beside the session's own."""
        mine, theirs = dialect_session().text(7), dialect_session(1).text(7)
        for options in ((), ("text=text",)):
            said = json.dumps([{"text": mine, "also": [{"a": theirs}]}])
            assert read(made(*options), f"437{said}") == [Reply(7, theirs)]
            assert read(made(*options), f"437{json.dumps([{'text': mine}, theirs])}") == [Reply(7, theirs)]
        assert read(made("text="), f"437{said}") == [Reply(7)]

    def test_half_a_packet_is_forgotten(self) -> None:
        """Attachments that the last connection did not bring do not come on the next."""
        dialect, session = made(), dialect_session()
        read(dialect, '451-["x",{"_placeholder":true,"num":0}]', session)
        assert list(dialect.greeting(session)) == []
        assert isinstance(read(dialect, b"\x01", session)[0], Unreadable)

    def test_calls_of_the_server_are_acknowledged(self) -> None:
        """An event with a number wants an acknowledgement."""
        assert read(made("namespace=/chat"), '42/chat,12["news"]') == [Send("43/chat,12[]"), Push()]


class TestTheSession:
    """Connecting, and who the session is."""

    def test_refused(self) -> None:
        """The reason of the server, with the namespace."""
        assert read(made(), '44{"message":"not authorized"}') == [AuthRequired("not authorized")]
        refused = AuthRequired("Invalid namespace (namespace /nope)")
        assert read(made("namespace=/nope"), '44/nope,{"message":"Invalid namespace"}') == [refused]

    def test_disconnected(self) -> None:
        """A server that leaves the namespace but not the connection is named."""
        assert read(made(), "41") == [
            Failed(SESSION, "the server disconnected the session from the namespace /")
        ]

    def test_other_namespaces_are_of_no_interest(self) -> None:
        """Whatever they say."""
        assert read(made("namespace=/chat"), '40{"sid":"s"}') == []

    def test_without_recovery_nobody_has_an_identity(self) -> None:
        """A new connection is a new session, as the protocol has it."""
        assert not made().identifies
        assert read(made(), '40{"sid":"s","pid":"p"}') == [Established()]

    def test_recovery(self) -> None:
        """With an offset the server recovers a session: another id is another session then."""
        dialect, session = made("recovery=on"), dialect_session()
        assert dialect.identifies
        assert read(dialect, '40{"sid":"s1","pid":"p1"}', session) == [Established(session_id="s1")]
        read(dialect, '42["news","welcome","o1"]', session)
        assert read(dialect, "0{}", session) == [Send('40{"pid":"p1","offset":"o1"}')]
        assert read(dialect, '40{"sid":"s1","pid":"p1"}', session) == [Established(session_id="s1")]
        assert read(dialect, '40{"sid":"s2","pid":"p2"}', session) == [Established(session_id="s2")]

    def test_the_pid_of_each_connection(self) -> None:
        """As socket.io-client does: the latest `pid`, the last offset that came, on whatever connection."""
        dialect, session = made("recovery=on"), dialect_session()
        read(dialect, '40{"sid":"s1","pid":"p1"}', session)
        read(dialect, '42["news","o1"]', session)
        read(dialect, '40{"sid":"s2","pid":"p2"}', session)
        assert read(dialect, "0{}", session) == [Send('40{"pid":"p2","offset":"o1"}')]
        read(dialect, '42["news","o2"]', session)
        assert read(dialect, "0{}", session) == [Send('40{"pid":"p2","offset":"o2"}')]

    @pytest.mark.parametrize("kind", ["half_open", "bad_message"])
    def test_a_drop_after_which_nothing_is_recovered(self, kind: str) -> None:
        """The session is another one from then on, by its own id; another drop brings that one back."""
        dialect, session = made("recovery=on"), dialect_session()
        assert kind in dialect.unresumable_drops
        read(dialect, '40{"sid":"s1","pid":"p1"}', session)
        read(dialect, '42["news","o1"]', session)
        session.dropped_by = kind
        assert read(dialect, '40{"sid":"s2","pid":"p2"}', session) == [Established(session_id="s2")]
        session.dropped_by = "close"
        assert read(dialect, '40{"sid":"s2","pid":"p2"}', session) == [Established(session_id="s2")]

    def test_a_server_without_recovery(self) -> None:
        """A resume whose packet has no `pid` is that of another session, and says why."""
        dialect, session = made("recovery=on"), dialect_session()
        assert read(dialect, '40{"sid":"s1"}', session) == [Established(session_id="s1")]
        session.connection = 1
        (resumed,) = read(dialect, '40{"sid":"s2"}', session)
        assert str(resumed) == "s2 (no pid: connection state recovery is off on the server)"

    def test_what_cannot_be_recovered(self) -> None:
        """A session that has received no event is never recovered; once it can be, it must be."""
        dialect, session = made("recovery=on"), dialect_session()
        read(dialect, '40{"sid":"s1","pid":"p1"}', session)
        assert read(dialect, "0{}", session) == [Send('40{"pid":"p1"}')]
        assert read(dialect, '40{"sid":"s2","pid":"p2"}', session) == [Established()]
        read(dialect, '42["news","o1"]', session)
        assert read(dialect, '40{"sid":"s2","pid":"p2"}', session) == [Established(session_id="s1")]
        assert read(dialect, '40{"sid":"s3","pid":"p3"}', session) == [Established(session_id="s3")]
