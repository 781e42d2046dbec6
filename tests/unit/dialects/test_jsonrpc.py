"""The dialect `jsonrpc`: what it says, and what it makes of the server's messages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from loadtest.dialects.base import (
    MAX_RECORDS,
    AuthRequired,
    Established,
    Failed,
    Incoming,
    Push,
    Reply,
    Unreadable,
)
from loadtest.dialects.calls import listed
from loadtest.dialects.dialect_options import parsed, with_options
from loadtest.dialects.jsonrpc import JsonRpc
from loadtest.errors import Flooded, InvalidSetting
from loadtest.events import Send
from tests.support.fake_link import dialect_session


def made(*options: str) -> JsonRpc:
    """Return the dialect with options."""
    return with_options(JsonRpc, parsed(options))()  # type: ignore[no-any-return]


def read(dialect: JsonRpc, message: Any) -> list[Incoming]:
    """Read one message; its version is added where it says none."""
    several = isinstance(message, list)
    full = [VERSION | one if isinstance(one, dict) else one for one in (message if several else [message])]
    data = json.dumps(full if several else full[0])
    return list(listed(dialect, dialect.read(dialect_session(), data), data))


TEXT = dialect_session().text(7)

VERSION = {"jsonrpc": "2.0"}


class TestTheClient:
    """What the client says."""

    def test_a_call(self) -> None:
        """Its id is the number of the request, of either type."""
        call = {"jsonrpc": "2.0", "id": 7, "method": "echo", "params": {"text": TEXT}}
        assert json.loads(made().request(dialect_session(), 7)) == call
        options = ("ids=string", "method=say", "params=[$text, $number]")
        call |= {"id": "7", "method": "say", "params": [TEXT, 3]}
        assert json.loads(made(*options).request(dialect_session(3), 7))["params"][1] == 3
        assert json.loads(made(*options).request(dialect_session(3), 7))["id"] == "7"

    def test_a_batch(self) -> None:
        """All calls have ids of their own and the same text."""
        calls = json.loads(made("batch=3").request(dialect_session(), 7))
        assert [call["id"] for call in calls] == [21, 22, 23]
        assert {call["params"]["text"] for call in calls} == {TEXT}

    def test_a_login(self) -> None:
        """It is called first, if there is one, and establishes the session."""
        assert (list(made().greeting(dialect_session())), made().establishes) == ([], False)
        dialect = made("login-method=login", 'login-params={"user": "$session_id"}')
        (call,) = dialect.greeting(dialect_session())
        said = json.loads(str(call))
        assert (said["id"], said["method"], dialect.establishes) == ("login", "login", True)
        assert said["params"] == {"user": dialect_session().session_id}
        assert read(dialect, {"id": "login", "result": None}) == [Established()]
        refused = {"id": "login", "error": {"code": -32001, "message": "no such user"}}
        assert read(dialect, refused) == [AuthRequired("no such user (-32001)")]

    def test_an_answer_that_is_not_json(self) -> None:
        """The option is named."""
        with pytest.raises(InvalidSetting, match=r"^--ws-dialect-option answer must be JSON \("):
            made("answer={")


class TestResponses:
    """Responses to single calls."""

    @pytest.mark.parametrize(
        ("options", "reply"),
        [((), Reply(7, TEXT)), (("text=said",), Reply(7, None)), (("text=",), Reply(7))],
    )
    def test_a_result(self, options: tuple[str, ...], reply: Reply) -> None:
        """The text may stand anywhere; a field that is named must hold it."""
        assert read(made(*options), {"id": 7, "result": {"text": TEXT}}) == [reply]

    def test_an_error(self) -> None:
        """The server's words and code; without an id it is that of the oldest call."""
        error = {"code": -32603, "message": "database is locked"}
        assert read(made(), {"id": 7, "error": error}) == [Failed(7, "database is locked (-32603)")]
        assert read(made(), {"id": None, "error": {}}) == [Failed(None, "an error without a message")]

    @pytest.mark.parametrize(("ids", "number"), [("int", "7"), ("string", 7), ("int", 7.0)])
    def test_an_id_of_another_type(self, ids: str, number: Any) -> None:
        """The server must return the id as it got it."""
        assert read(made(f"ids={ids}"), {"id": number, "result": None}) == [Reply(f"id {number!r}")]

    @pytest.mark.parametrize("message", [{"id": None, "result": {"text": TEXT}}, [{"id": None, "result": 1}]])
    @pytest.mark.parametrize("batch", [1, 3])
    def test_a_result_without_an_id(self, message: Any, batch: int) -> None:
        """Only an error may have none: a result answers no call then."""
        (said,) = read(made(f"batch={batch}"), message)
        assert isinstance(said, Reply | Failed)
        assert said.sequence == "id None"

    def test_in_an_array(self) -> None:
        """Only the responses to a batch are in one; the server's own messages may be."""
        failed = Failed(7, "the response to a single call is in an array")
        response = {"id": 7, "result": {"text": TEXT}}
        assert read(made(), [response, {"method": "news"}]) == [failed, Push()]
        assert read(made(), [{"id": 7, "error": {}}]) == [failed]
        login = [{"id": "login", "result": None}]
        for options in (("ids=string",), ("ids=string", "batch=3")):
            (said,) = read(made("login-method=login", *options), login)
            assert said == Failed("login", failed.detail)

    @pytest.mark.parametrize("version", ["1.0", None, 2.0, {}])
    def test_another_version(self, version: Any) -> None:
        """Clients drop such messages, responses and the server's own."""
        said = {"jsonrpc": version}
        words = '"jsonrpc" is not "2.0"'
        response = {"id": 7, "result": {"text": TEXT}} | said
        assert read(made(), response) == [Failed(7, words)]
        batch = [{"id": 21, "result": 1}, {"id": 22, "result": 1} | said, {"id": 23, "result": 1}]
        assert read(made("batch=3"), batch) == [Failed(7, words)]
        for message in ({"method": "news"}, {"method": "ask", "id": 7}):
            assert read(made(), message | said) == [Failed("no request", words)]

    @pytest.mark.parametrize("message", [{}, [], {"result": 1}, {"id": 7}, {"id": {}, "result": 1}, 7])
    def test_unreadable_messages(self, message: Any) -> None:
        """What has no place in the protocol."""
        assert isinstance(read(made(), message)[0], Unreadable)

    def test_long_words(self) -> None:
        """What is quoted of the server is bounded, and so are its ids."""
        (failed,) = read(made(), {"id": "x" * 9_999, "error": {"message": "y" * 9_999, "code": 10**4_000}})
        assert isinstance(failed, Failed)
        assert len(failed.detail) < 200 > len(str(failed.sequence))

    def test_too_many(self) -> None:
        """An array of more messages than one may hold ends the connection."""
        with pytest.raises(Flooded):
            read(made(), [{"id": 1, "result": 1}] * (MAX_RECORDS + 1))


class TestBatches:
    """The responses to a batch are one reply."""

    @staticmethod
    def _response(number: int, text: str = TEXT) -> dict[str, Any]:
        return {"id": number, "result": {"text": text}}

    def test_all(self) -> None:
        """In any order, and beside a notification."""
        messages = [self._response(23), {"method": "news"}, self._response(21), self._response(22)]
        assert read(made("batch=3"), messages) == [Push(), Reply(7, TEXT)]

    def test_a_wrong_text(self) -> None:
        """One of them is enough."""
        messages = [self._response(21), self._response(22, f"{TEXT[:-2]}]"), self._response(23)]
        assert read(made("batch=3"), messages) == [Reply(7, f"{TEXT[:-2]}]")]

    def test_an_error(self) -> None:
        """One of them is enough."""
        messages = [self._response(21), {"id": 22, "error": {"message": "no"}}, self._response(23)]
        assert read(made("batch=3"), messages) == [Failed(7, "no")]

    @pytest.mark.parametrize(
        ("numbers", "words"),
        [
            ((21, 23), "2 responses to 2 of 3 calls of a batch"),
            ((21, 21, 23), "3 responses to 2 of 3 calls of a batch"),
            ((21, 22, 23, 23), "4 responses to 3 of 3 calls of a batch"),
        ],
    )
    def test_not_one_each(self, numbers: tuple[int, ...], words: str) -> None:
        """Each call has one response."""
        assert read(made("batch=3"), [self._response(one) for one in numbers]) == [Failed(7, words)]

    def test_one_by_one(self) -> None:
        """The responses to an array are an array."""
        failed = Failed(7, "the response to a batch is not an array")
        assert read(made("batch=3"), self._response(22)) == [failed]


class TestTheServerSpeaks:
    """Notifications and calls of the server."""

    def test_notifications(self) -> None:
        """Pushes, whose fields may be checked."""
        news = {"method": "news", "params": {"number": 3, "text": "x"}}
        assert read(made(), news) == [Push()]
        assert read(made("push-text=text", "push-number=number"), news) == [Push(text="x", number=3)]

    @pytest.mark.parametrize(
        ("answer", "member"),
        [
            ("null", {"result": None}),
            ("{}", {"result": {}}),
            ("", {"error": {"code": -32601, "message": "Method not found"}}),
        ],
    )
    def test_calls(self, answer: str, member: dict[str, Any]) -> None:
        """They get an answer, under their id."""
        said, push = read(made(f"answer={answer}"), {"id": "é", "method": "ask"})
        assert isinstance(said, Send)
        assert json.loads(said.data) == {"jsonrpc": "2.0", "id": "é", **member}
        assert push == Push()
