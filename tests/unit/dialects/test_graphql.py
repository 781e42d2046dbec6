"""The dialect `graphql`: what it says, and what it makes of the server's messages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from loadtest.dialects.base import Established, Failed, Incoming, Push, Reply, StreamPart, Unreadable
from loadtest.dialects.calls import listed
from loadtest.dialects.dialect_options import parsed, with_options
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.graphql import MAX_ANSWERS, GraphQl
from loadtest.errors import InvalidSetting
from loadtest.events import Send
from tests.support.fake_link import Link, SilentServer, dialect_session, session_config

STREAM = "query=subscription ($text: String!) { answer(text: $text) }"
LISTEN = "listen=subscription { news { number } }"


def made(*options: str) -> GraphQl:
    """Return the dialect with options."""
    return with_options(GraphQl, parsed(options))()  # type: ignore[no-any-return]


def read(dialect: GraphQl, message: Any, session: DialectSession) -> list[Incoming]:
    """Read one message."""
    data = json.dumps(message)
    return list(listed(dialect, dialect.read(session, data), data))


def result(data: Any, number: str = "7", **more: Any) -> dict[str, Any]:
    """Return a result of an operation."""
    return {"type": "next", "id": number, "payload": {"data": data, **more}}


COMPLETE = {"type": "complete", "id": "7"}


class TestTheClient:
    """What the client says."""

    def test_requests(self) -> None:
        """An operation with the session's text in its variables, named by its kind."""
        session = dialect_session(data={"room": 'a"b'})
        request = made('variables={"room": $room, "text": $text}').request(session, 7)
        assert request.name == "query"
        payload = {"query": GraphQl.query, "variables": {"room": 'a"b', "text": session.text(7)}}
        assert json.loads(str(request.data)) == {"id": "7", "type": "subscribe", "payload": payload}
        assert made(STREAM).request(session, 7).name == "subscription"

    @pytest.mark.parametrize(
        ("options", "payload"),
        [((), {"Authorization": "Bearer t"}), (("auth-field=key",), {"key": "t"}), (("auth-field=",), None)],
    )
    def test_the_token(self, options: tuple[str, ...], payload: dict[str, str] | None) -> None:
        """It is in the payload of the first message, or in a header, never in both."""
        session = dialect_session()
        session.token = "t"
        dialect = made(*options)
        (first,) = dialect.greeting(session)
        assert json.loads(str(first)).get("payload") == payload
        bearer = (("Authorization", "Bearer t"),) if payload is None else ()
        assert dialect.endpoint(session).headers == bearer

    def test_pings(self) -> None:
        """They are answered, and sent if wanted."""
        assert read(made(), {"type": "ping"}, dialect_session()) == [Send('{"type":"pong"}')]
        assert read(made(), {"type": "pong"}, dialect_session()) == []
        assert (made().heartbeat_s, made("ping-s=5").heartbeat_s) == (None, 5)

    @pytest.mark.parametrize(
        "option", ["query=fragment F on X { y }", "query=", "listen=query { x }", "ping-s=0.01"]
    )
    def test_options_that_are_refused(self, option: str) -> None:
        """The option is named, and what is allowed."""
        with pytest.raises(InvalidSetting, match=r"^--ws-dialect-option (query|listen|ping-s) must be "):
            made(option)

    @pytest.mark.parametrize("document", ["{ x }", "# why\n mutation M { x }", "  query{x}"])
    def test_documents(self, document: str) -> None:
        """Each form of an operation."""
        assert made(f"query={document}").query == document


class TestAnswers:
    """Operations end with `complete`, or with `error`."""

    def test_a_query(self) -> None:
        """The text may stand anywhere; a field that is named must hold it."""
        session = dialect_session()
        text = session.text(7)
        for options, answered in [
            ((), Reply("7", text)),
            (("text=echo",), Reply("7", None)),
            (("text=",), Reply("7")),
        ]:
            dialect = made(*options)
            assert read(dialect, result({"said": [{"text": text}]}), session) == [StreamPart("7")]
            assert read(dialect, COMPLETE, session) == [answered]

    def test_a_second_result(self) -> None:
        """A query has one, unless the first said that more of it follows; then they are not compared."""
        for first, answered in [
            (result({"echo": "the first"}), Failed("7", "more than one result for a query")),
            (result({"echo": "the first"}, hasNext=True), Reply("7", "the first")),
        ]:
            dialect, session = made("text=echo"), dialect_session()
            dialect.request(session, 7)
            read(dialect, first, session)
            assert read(dialect, result({"echo": "the second"}), session) == [StreamPart("7")]
            assert read(dialect, COMPLETE, session) == [answered]

    def test_errors_of_a_later_part(self) -> None:
        """They count like those of the first; after the last part nothing may follow."""
        end = {"type": "next", "id": "7", "payload": {"hasNext": False}}
        for more, words in [
            ((result(None, errors=[{"message": "no"}]),), "no"),
            ((end, result({"echo": "x"})), "more than one result for a query"),
        ]:
            dialect, session = made(), dialect_session()
            for one in (result({"echo": "x"}, hasNext=True), *more, COMPLETE):
                found = read(dialect, one, session)
            assert found == [Failed("7", words)]

    def test_results_that_are_not_awaited(self) -> None:
        """The numbers of all results are told; those of earlier times are not taken for a request's own."""
        dialect, session = made("text=echo"), dialect_session()
        assert read(dialect, result({"echo": "x"}), session) == [StreamPart("7")]
        dialect.request(session, 7)
        read(dialect, result({"echo": "y"}), session)
        assert read(dialect, COMPLETE, session) == [Reply("7", "y")]
        assert read(dialect, result({"echo": "y"}), session) == [StreamPart("7")]

    @pytest.mark.parametrize("payload", [{}, {"data": None}, {"data": None, "errors": []}])
    @pytest.mark.parametrize("options", [(), (STREAM,)])
    def test_a_result_without_data(self, payload: Any, options: tuple[str, ...]) -> None:
        """It needs errors."""
        dialect, session = made(*options), dialect_session()
        read(dialect, {"type": "next", "id": "7", "payload": payload}, session)
        assert read(dialect, COMPLETE, session) == [Failed("7", "a result with neither data nor errors")]

    def test_a_stream(self) -> None:
        """The pieces of a text are joined, whatever else stands beside them."""
        for option in ("text=answer.piece", "text=auto"):
            dialect, session = made(STREAM, option), dialect_session()
            text = session.text(7)
            for piece in (text[:20], text[20:]):
                part = result({"answer": {"__typename": "Piece", "piece": piece}})
                assert read(dialect, part, session) == [StreamPart("7")]
            assert read(dialect, COMPLETE, session) == [Reply("7", text)]

    def test_a_stream_without_texts(self) -> None:
        """Nothing is checked, unless a field was named."""
        for option, answered in [("text=auto", Reply("7")), ("text=answer", Reply("7", None))]:
            dialect, session = made(STREAM, option), dialect_session()
            read(dialect, result({"count": 1}), session)
            assert read(dialect, COMPLETE, session) == [answered]

    def test_errors(self) -> None:
        """Errors of a result, of an operation that was refused, and an operation without a result."""
        dialect, session = made(), dialect_session()
        read(dialect, result(None, errors=[{"message": "pool exhausted"}, {"message": "more"}]), session)
        assert read(dialect, COMPLETE, session) == [Failed("7", "pool exhausted")]
        read(dialect, result({"x": 1}, errors={"message": "no list"}), session)
        assert read(dialect, COMPLETE, session) == [Failed("7", "no list")]
        refused = {"type": "error", "id": "7", "payload": [{"message": "unknown field"}]}
        assert read(dialect, refused, session) == [Failed("7", "unknown field")]
        (failed,) = read(dialect, COMPLETE, session)
        assert failed == Failed("7", "the server completed the operation without a result")

    def test_what_the_last_connection_left_is_forgotten(self) -> None:
        """Results of an operation that ended with its connection belong to no later one."""
        dialect, session = made(), dialect_session()
        read(dialect, result({"text": session.text(7)}), session)
        list(dialect.greeting(session))
        assert isinstance(read(dialect, COMPLETE, session)[0], Failed)

    def test_memory_is_bounded(self) -> None:
        """A server that invents ids fills no memory."""
        dialect, session = made(), dialect_session()
        for number in range(MAX_ANSWERS + 10):
            read(dialect, result({}, str(number)), session)
        assert len(session.memory["answers"]) == MAX_ANSWERS

    @pytest.mark.parametrize("depth", [100, 900, 100_000])
    def test_nested_errors(self, depth: int) -> None:
        """However deep, they break nothing, and are quoted within bounds."""
        data = f'{{"type":"error","id":"7","payload":[{"[" * depth}{"]" * depth}]}}'
        (said,) = listed(made(), made().read(dialect_session(), data), data)
        assert isinstance(said, Failed | Unreadable)
        assert len(said.detail if isinstance(said, Failed) else said.excerpt) <= 240

    @pytest.mark.parametrize(
        "message", [{"type": "next"}, result({}) | {"payload": 7}, {"type": "connected"}]
    )
    def test_unreadable_messages(self, message: Any) -> None:
        """What has no place in the protocol."""
        assert isinstance(read(made(), message, dialect_session())[0], Unreadable)


class TestListening:
    """A subscription that each connection opens."""

    def test_it_begins_once_the_server_acknowledges(self) -> None:
        """Not before: a server closes with 4401 then."""
        session = dialect_session()
        dialect = made(LISTEN, 'listen-variables={"room": "$session_id"}')
        assert (dialect.pushes, made().pushes) == (True, False)
        established, opened = read(dialect, {"type": "connection_ack"}, session)
        assert established == Established()
        assert isinstance(opened, Send)
        said = json.loads(str(opened.data))
        assert (said["id"], said["payload"]["variables"]) == ("listen", {"room": session.session_id})
        assert read(made(), {"type": "connection_ack"}, session) == [Established()]

    def test_pushes(self) -> None:
        """Their numbers and texts are checked where fields were named."""
        told = result({"news": {"number": 3, "text": "x"}}, "listen")
        fields = ("push-text=news.text", "push-number=news.number")
        assert read(made(LISTEN), told, dialect_session()) == [Push()]
        assert read(made(LISTEN, *fields), told, dialect_session()) == [Push(text="x", number=3)]

    def test_its_end(self) -> None:
        """It must not end while the connection lasts."""
        for message, words in [
            ({"type": "complete", "id": "listen"}, "the server completed the subscription of listen"),
            (result(None, "listen", errors=[{"message": "no"}]), "subscription of listen: no"),
            ({"type": "error", "id": "listen"}, "subscription of listen: an error without a message"),
            (
                {"type": "error", "id": "listen", "payload": []},
                "subscription of listen: an error without a message",
            ),
            (result(None, "listen"), "subscription of listen: a result with neither data nor errors"),
        ]:
            assert read(made(LISTEN), message, dialect_session()) == [Failed("listen", words)]


class TestConnections:
    """What belongs to sessions without an identity."""

    def test_an_answer_again_on_a_later_connection(self) -> None:
        """No identity is judged, so it is no matter of persistence: the operation was answered twice."""
        link = Link(session_config(dialect=made()), server=SilentServer()).start()
        acknowledged = '{"type":"connection_ack"}'
        error = '{"type":"error","id":"0","payload":[{"message":"no"}]}'
        link.hear_these([acknowledged]).send().hear_these([error]).lose().retry().open()
        link.hear_these([acknowledged, error])
        assert link.counted("persistence") == {}
        told = link.counted("messaging")
        assert {name: told.get(name) for name in ("failed", "duplicated")} == {"failed": 1, "duplicated": 1}
