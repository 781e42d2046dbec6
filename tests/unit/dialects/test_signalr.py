"""The dialect `signalr`: what it says, and what it makes of the server's records."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import UNSET

from loadtest.dialects.base import (
    MAX_RECORDS,
    SESSION,
    AuthRequired,
    Established,
    Failed,
    Incoming,
    Push,
    Reply,
    StreamPart,
    Unreadable,
)
from loadtest.dialects.bundled import dialect_named
from loadtest.dialects.calls import listed
from loadtest.dialects.dialect_options import parsed, with_options
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.login_http import Answer
from loadtest.dialects.signalr import LONGEST_ANSWER, SignalR
from loadtest.errors import Flooded, InvalidSetting, LoginFailed
from loadtest.events import Send
from tests.support.fake_link import dialect_session


def made(*options: str) -> SignalR:
    """Return the dialect with options."""
    return with_options(dialect_named("signalr"), parsed(options))()  # type: ignore[no-any-return]


def established(number: int = 0) -> DialectSession:
    """Return a session whose handshake is over."""
    session = dialect_session(number)
    session.memory["shaken"] = True
    return session


def read(
    dialect: SignalR, *messages: dict[str, Any], session: DialectSession | None = None
) -> list[Incoming]:
    """Read records that come in one message."""
    data = "".join(f"{json.dumps(message)}\x1e" for message in messages)
    return list(listed(dialect, dialect.read(session or established(), data), data))


class TestTheClient:
    """What the client says."""

    def test_invocations(self) -> None:
        """A method with its arguments, under the number of the request."""
        session = dialect_session(data={"room": 'a"b'})
        said = str(made("target=Say", 'arguments=[$room, {"text": "$text"}]').request(session, 7))
        assert said.endswith("\x1e")
        assert json.loads(said[:-1]) == {
            "type": 1,
            "target": "Say",
            "arguments": ['a"b', {"text": session.text(7)}],
            "invocationId": "7",
        }
        assert json.loads(str(made("stream=on").request(session, 7))[:-1])["type"] == 4
        assert "invocationId" not in str(made("reply=Said").request(session, 7))

    def test_the_handshake_comes_first_and_pings_follow(self) -> None:
        """Both end with the separator."""
        assert list(made().greeting(dialect_session())) == ['{"protocol":"json","version":1}\x1e']
        assert made().heartbeat(dialect_session()) == '{"type":6}\x1e'
        assert made("heartbeat-s=2").heartbeat_s == 2

    @pytest.mark.parametrize(
        ("options", "path", "asked", "bearer"),
        [
            ((), None, "/hub?id=c%2F1", True),
            (("login-by=query",), "/chat?x=1", "/chat?x=1&id=c%2F1&access_token=t%20", False),
            (("negotiate=off",), None, "/hub", True),
        ],
    )
    def test_the_endpoint(self, options: tuple[str, ...], path: str | None, asked: str, bearer: bool) -> None:
        """The connection's token in the path, the session's in the header or in the path."""
        session = dialect_session()
        session.token, session.memory["connection"] = "t ", "c/1"
        endpoint = with_options(SignalR, parsed(options))(path=path).endpoint(session)
        assert (endpoint.path, bool(endpoint.headers)) == (asked, bearer)

    def test_arguments_that_are_no_template(self) -> None:
        """The option is named."""
        with pytest.raises(InvalidSetting, match=r"^--ws-dialect-option arguments must "):
            made("arguments=[$text")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (('arguments={"a":1}',), "arguments must be an array"),
        (('arguments="$text"',), "arguments must be an array"),
        (("target=",), "target must not be empty"),
        (("reply=",), "reply must not be empty"),
        (("stream=on", "reply=Said"), "stream must be off with reply=Said"),
        (("reply=Said", "arguments=[1]"), r"arguments must have \$text"),
        (("text=saved", "arguments=[1]"), r"arguments must have \$text"),
    ],
)
def test_options_that_cannot_work(options: tuple[str, ...], problem: str) -> None:
    """They are refused instead of failing each message."""
    with pytest.raises(InvalidSetting, match=f"^--ws-dialect-option {problem}"):
        made(*options)


NEGOTIATED = '{"negotiateVersion":1,"connectionId":"i","connectionToken":"c"}'


@pytest.mark.parametrize(
    ("status", "text", "outcome"),
    [
        (200, NEGOTIATED, "c"),
        (200, '{"connectionId":"i"}', "i"),
        (401, "", "negotiate: HTTP 401"),
        (200, '{"error":"not allowed"}', "negotiate: not allowed"),
        (
            200,
            '{"url":"https://x.service.signalr.net","accessToken":"t"}',
            "negotiate redirects to another",
        ),
        (200, "<html>", "negotiate returned no connection token: HTTP 200: <html>"),
        (200, '{"connectionToken":7}', "negotiate returned no connection token"),
    ],
)
def test_negotiating(monkeypatch: pytest.MonkeyPatch, status: int, text: str, outcome: str) -> None:
    """A connection token, or why there is none; the query stays."""
    asked = []

    def ask(_session: object, method: str, path: str, **rest: Any) -> Answer:
        asked.append((method, path, rest["headers"]))
        return Answer(status, text)

    monkeypatch.setattr("loadtest.dialects.login_http.ask", ask)
    session = dialect_session()
    session.token = "t"
    dialect = SignalR(path="/hub?x=1")
    if len(outcome) == 1:
        assert dialect._negotiate(session) == outcome
    else:
        with pytest.raises(LoginFailed, match=outcome):
            dialect._negotiate(session)
    assert asked == [("POST", "/hub/negotiate?x=1&negotiateVersion=1", {"Authorization": "Bearer t"})]


class TestTheServer:
    """What the server says."""

    def test_the_handshake(self) -> None:
        """Without an error the session is established; the next record may come with it."""
        welcome = {"type": 1, "target": "Welcome", "arguments": []}
        assert read(made(), {}, welcome, session=dialect_session()) == [Established(), Push()]
        refused = read(made(), {"error": "The protocol is not supported"}, session=dialect_session())
        assert refused == [AuthRequired("handshake: The protocol is not supported")]
        assert isinstance(read(made(), {"type": 3}, session=dialect_session())[0], Unreadable)

    def test_completions(self) -> None:
        """A result with the text, without one, or an error."""
        text = dialect_session().text(7)
        done = {"type": 3, "invocationId": "7"}
        assert read(made(), done | {"result": {"saved": text}}) == [Reply("7", text)]
        assert read(made(), done) == [Reply("7")]
        assert read(made("text=saved"), done | {"result": {"saved": text}}) == [Reply("7", text)]
        assert read(made("text=saved"), done | {"result": {}}) == [Reply("7", None)]
        assert read(made("text="), done | {"result": text}) == [Reply("7")]
        assert read(made(), done | {"error": "no room"}) == [Failed("7", "no room")]

    @pytest.mark.parametrize("options", [("stream=on",), ("stream=on", "text=part")])
    def test_streams(self, options: tuple[str, ...]) -> None:
        """The items of a stream are one text; those of two streams are kept apart."""
        dialect, session = made(*options), established()
        texts = {number: session.text(int(number)) for number in ("7", "8")}
        for at in range(0, len(texts["7"]), 10):
            for number, text in texts.items():
                piece: Any = text[at : at + 10] if len(options) == 1 else {"part": text[at : at + 10]}
                item = {"type": 2, "invocationId": number, "item": piece}
                assert read(dialect, item, session=session) == [StreamPart(number)]
        for number, text in texts.items():
            done = {"type": 3, "invocationId": number}
            assert read(dialect, done, session=session) == [Reply(number, text)]

    def test_streams_without_the_text(self) -> None:
        """An assistant need not repeat the question, unless its field is named."""
        for options, text in ((("stream=on",), UNSET), (("stream=on", "text=part"), "Hello!")):
            dialect, session = made(*options), established()
            item = {"type": 2, "invocationId": "7", "item": "Hello!" if text is UNSET else {"part": "Hello!"}}
            read(dialect, item, session=session)
            done = {"type": 3, "invocationId": "7"}
            assert read(dialect, done, session=session) == [Reply("7", text)]

    def test_an_endless_stream_is_bounded(self) -> None:
        """Of an answer without end a bounded part is kept; a new connection begins without it."""
        dialect, session = made("stream=on"), established()
        for _ in range(6):
            read(dialect, {"type": 2, "invocationId": "7", "item": "x" * 2**20}, session=session)
        assert len(session.memory["answers"]["7"]) == LONGEST_ANSWER
        assert list(dialect.greeting(session))
        assert session.memory["answers"] == {}

    def test_calls(self) -> None:
        """A call of the client is a push, or a reply; one that wants a result gets one."""
        session = established()
        called = {"type": 1, "target": "Said", "arguments": [session.text(7)]}
        assert read(made(), called) == [Push()]
        assert read(made("reply=Said"), called) == [Reply(7, session.text(7))]
        assert read(made("reply=Said"), called, session=established(1)) == [Push()]
        numbered = made("push-number=n", "push-text=text")
        news = {"type": 1, "target": "News", "arguments": [{"n": 3, "text": "x"}]}
        assert read(numbered, news) == [Push(text="x", number=3)]
        result = Send('{"type":3,"invocationId":"s1","result":null}\x1e')
        assert read(made(), called | {"invocationId": "s1"}) == [result, Push()]

    def test_streams_whose_text_is_gone(self) -> None:
        """With text=auto, streams must have a text once another stream of the run had one."""
        dialect, session = made("stream=on"), established()

        def stream(number: int, *items: str) -> Incoming:
            said = [{"type": 2, "invocationId": str(number), "item": item} for item in items]
            return read(dialect, *said, {"type": 3, "invocationId": str(number)}, session=session)[-1]

        text = session.text(3)
        assert stream(1) == Reply("1")
        assert stream(2, "no", "mark") == Reply("2")
        assert stream(3, text[:4], text[4:]) == Reply("3", text)
        assert stream(4) == Reply("4", None)
        assert stream(5, "no", "mark") == Reply("5", "nomark")
        assert read(made("stream=on", "text="), {"type": 3, "invocationId": "1"}) == [Reply("1")]

    def test_binary_frames(self) -> None:
        """Clients of the JSON protocol cannot read them."""
        assert isinstance(made().read(established(), b'{"type":6}\x1e'), Unreadable)

    def test_pings_and_closing(self) -> None:
        """A ping is not answered; an error with which the server closes is shown."""
        assert read(made(), {"type": 6}, {"type": 7}) == []
        assert read(made(), {"type": 7, "error": "shutting down"}) == [
            Failed(SESSION, "the server closed the connection: shutting down")
        ]

    def test_a_record_has_an_end(self) -> None:
        """A record without it is none; too many are a flood."""
        assert isinstance(made().read(established(), '{"type":6}'), Unreadable)
        with pytest.raises(Flooded):
            made().read(established(), "{}\x1e" * (MAX_RECORDS + 1))
