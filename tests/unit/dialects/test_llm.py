"""The dialect `llm`: what it says, and what it makes of the server's events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from loadtest.dialects.base import AuthRequired, Established, Failed, Incoming, Reply, StreamPart, Unreadable
from loadtest.dialects.calls import listed
from loadtest.dialects.dialect_options import parsed, with_options
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.llm import MAX_PARTS, MAX_RESPONSES, Llm
from loadtest.errors import InvalidSetting
from loadtest.events import Send
from tests.support.fake_link import dialect_session


def made(*options: str) -> Llm:
    """Return the dialect with options."""
    return with_options(Llm, parsed(options))()  # type: ignore[no-any-return]


def read(dialect: Llm, session: DialectSession, kind: str, /, **fields: Any) -> list[Incoming]:
    """Read one event."""
    data = json.dumps({"type": kind, "event_id": "event_1", **fields})
    return list(listed(dialect, dialect.read(session, data), data))


def delta(text: str, response_id: str = "r1", **where: int) -> dict[str, Any]:
    """Return the fields of a delta."""
    return {"response_id": response_id, "delta": text, **where}


def message(text: str) -> list[dict[str, Any]]:
    """Return the output of a response with one text."""
    return [{"type": "message", "content": [{"type": "output_text", "text": text}]}]


def said(incoming: Incoming) -> Any:
    """Return a message that the client sends."""
    assert isinstance(incoming, Send)
    return json.loads(incoming.data)


TEXT, DONE = "response.output_text.delta", "response.output_text.done"


class Conversation:
    """A dialect and its established session, with a response under way to request 7."""

    def __init__(self, *options: str) -> None:
        self.dialect, self.session = made(*options), dialect_session()
        list(self.dialect.greeting(self.session))
        self.read("session.created", session={})
        self.read("conversation.item.added", item={"id": "item-7"})
        self.read("response.created", response={"id": "r1"})

    def read(self, kind: str, **fields: Any) -> list[Incoming]:
        """Read one event."""
        return read(self.dialect, self.session, kind, **fields)

    def done(self, status: str = "completed", **fields: Any) -> Incoming:
        """Read the end of the response, and return its outcome."""
        return self.read("response.done", response={"id": "r1", "status": status, **fields})[0]


class TestTheClient:
    """What the client says."""

    def test_a_message(self) -> None:
        """The prompt is filled, and its item has an id by which its response is asked for."""
        session = dialect_session()
        message = json.loads(made('prompt=Say "it": $text').request(session, 7))
        assert (message["type"], message["item"]["id"]) == ("conversation.item.create", "item-7")
        assert message["item"]["content"] == [{"type": "input_text", "text": f'Say "it": {session.text(7)}'}]

    def test_outside_the_conversation(self) -> None:
        """One event asks for the response, with the message in it."""
        message = json.loads(made("conversation=none").request(dialect_session(), 7))
        assert (message["type"], message["event_id"]) == ("response.create", "response-7")
        response = message["response"]
        assert (response["conversation"], response["metadata"]) == ("none", {"sequence": "7"})
        assert response["input"][0]["content"][0]["text"] == dialect_session().text(7)

    def test_the_token(self) -> None:
        """In the header, or in a subprotocol as browsers send it."""
        session = dialect_session()
        session.token = "t"
        assert made().endpoint(session).headers == (("Authorization", "Bearer t"),)
        assert made().endpoint(session).subprotocols == ()
        endpoint = made("login-by=subprotocol").endpoint(session)
        assert (endpoint.headers, endpoint.subprotocols) == ((), ("realtime", "openai-insecure-api-key.t"))

    def test_a_session(self) -> None:
        """It is established once the server has taken over its settings, if there are any."""
        dialect, session = made('session={"type": "realtime"}'), dialect_session()
        (update,) = read(dialect, session, "session.created", session={})
        assert said(update) == {"type": "session.update", "session": {"type": "realtime"}}
        assert read(dialect, session, "session.updated", session={}) == [Established()]
        assert read(dialect, session, "session.updated", session={}) == []
        assert read(made(), dialect_session(), "session.created", session={}) == [Established()]

    @pytest.mark.parametrize("option", ["session={", "conversation=other", "login-by=cookie", "prompt=$"])
    def test_options_that_are_refused(self, option: str) -> None:
        """The option is named."""
        name = option.partition("=")[0]
        with pytest.raises(InvalidSetting, match=f"^--ws-dialect-option {name} must "):
            made(option)


class TestTurns:
    """A conversation has one response at a time."""

    def test_the_next_message_waits(self) -> None:
        """Its response is asked for once the one before is done, or was refused."""
        talk = Conversation()
        talk.dialect.request(talk.session, 8)
        assert talk.read("conversation.item.added", item={"id": "item-8"}) == []
        talk.dialect.request(talk.session, 9)
        talk.read(TEXT, **delta("yes"))
        reply, create = talk.read("response.done", response={"id": "r1", "status": "completed"})
        assert reply == Reply(7)
        named = [{"type": "item_reference", "id": "item-8"}]
        assert said(create)["response"] == {"metadata": {"sequence": "8"}, "input": named}
        talk.read("conversation.item.added", item={"id": "item-9"})
        failed, create = talk.read("error", error={"message": "busy", "event_id": "response-8"})
        assert failed == Failed(8, "busy")
        assert (said(create)["event_id"], said(create)["response"]) == (
            "response-9",
            {"metadata": {"sequence": "9"}},
        )

    def test_items_of_the_model_are_of_no_interest(self) -> None:
        """Only the client's own messages want a response, each one."""
        talk = Conversation()
        talk.read("conversation.item.added", item={"id": "item_of_the_model"})
        talk.read("conversation.item.added", item={"id": "item-8"})
        talk.read("conversation.item.created", item={"id": "item-8"})
        assert list(talk.session.memory["conversation"].waiting) == [8]

    def test_a_new_connection_is_a_new_conversation(self) -> None:
        """Nothing of the old one goes on."""
        talk = Conversation()
        list(talk.dialect.greeting(talk.session))
        talk.read("session.created", session={})
        (create,) = talk.read("conversation.item.added", item={"id": "item-8"})
        assert said(create)["event_id"] == "response-8"


class TestAnswers:
    """Deltas are parts of a streamed reply."""

    def test_parts(self) -> None:
        """Text, transcripts of audio, audio itself."""
        talk = Conversation("repeats=on")
        assert talk.read(TEXT, **delta("He")) == [StreamPart(7)]
        assert talk.read(TEXT, **delta("llo")) == [StreamPart(7)]
        assert talk.read("response.output_audio.delta", **delta("UklGRg==")) == [StreamPart(7)]
        assert talk.read(DONE, response_id="r1", text="Hello") == []
        assert talk.done() == Reply(7, "Hello")

    def test_metadata_names_the_request(self) -> None:
        """Responses outside the conversation run at a time."""
        dialect, session = made("conversation=none"), dialect_session()
        for name, sequence in (("a", "3"), ("b", "4")):
            response = {"id": name, "metadata": {"sequence": sequence}}
            assert read(dialect, session, "response.created", response=response) == []
        assert read(dialect, session, TEXT, **delta("x", "b")) == [StreamPart("4")]
        assert read(dialect, session, TEXT, **delta("x", "a")) == [StreamPart("3")]

    def test_lost_deltas(self) -> None:
        """Each text is compared with its own deltas."""
        talk = Conversation()
        talk.read(TEXT, **delta("one", output_index=0))
        talk.read(TEXT, **delta("tw", output_index=1))
        talk.read(DONE, response_id="r1", output_index=0, text="one")
        talk.read(DONE, response_id="r1", output_index=1, text="two")
        flaw = "the deltas do not match the text of response.output_text.done: 2 of 3 characters"
        assert talk.done() == Failed(7, flaw)

    @pytest.mark.parametrize(
        ("status", "details", "words"),
        [
            ("failed", {"error": {"message": "busy", "code": "b"}}, "response failed: busy (b)"),
            ("incomplete", {"reason": "max_output_tokens"}, "response incomplete: max_output_tokens"),
            ("cancelled", None, "response cancelled: no reason given"),
        ],
    )
    def test_responses_that_fail(self, status: str, details: Any, words: str) -> None:
        """In the server's words."""
        assert Conversation().done(status, status_details=details) == Failed(7, words)

    def test_an_empty_response(self) -> None:
        """Without a text or another output it is no answer; a tool's call is one, and so is audio."""
        empty = Failed(7, "response completed without any output")
        assert Conversation().done() == empty
        for content in ([], [{"type": "output_text", "text": ""}], [{"type": "output_text"}]):
            assert Conversation().done(output=[{"type": "message", "content": content}]) == empty
        talk = Conversation()
        talk.read(TEXT, **delta(""))
        assert talk.done(output=message("")) == empty
        assert Conversation().done(output=[{"type": "function_call"}]) == Reply(7)
        audio = [{"type": "message", "content": [{"type": "output_audio"}]}]
        assert Conversation().done(output=audio) == Reply(7)

    def test_what_another_session_said(self) -> None:
        """It is checked even if answers repeat nothing."""
        theirs = dialect_session(1).text(3)
        talk = Conversation()
        talk.read(TEXT, **delta(theirs))
        assert talk.done() == Reply(7, theirs)
        assert Conversation().done(output=message(theirs)) == Reply(7, theirs)

    @pytest.mark.parametrize("came", [("He", "o"), ("llo", "He"), ()])
    def test_the_whole_text_at_the_end(self, came: tuple[str, ...]) -> None:
        """Deltas are compared with it where no event said a text whole before."""
        talk = Conversation()
        for piece in came:
            talk.read(TEXT, **delta(piece))
        length = sum(map(len, came))
        flaw = f"the deltas do not match the text of response.done: {length} of 5 characters"
        assert talk.done(output=message("Hello")) == Failed(7, flaw)

    def test_content_that_is_a_text(self) -> None:
        """As some servers send it: it is one text."""
        talk = Conversation("repeats=on")
        talk.read("conversation.item.added", item={"id": "item-8", "type": "message", "content": "Hi"})
        talk.read(TEXT, **delta("Hello"))
        assert list(talk.session.memory["conversation"].waiting) == [8]
        assert talk.done(output=[{"type": "message", "content": "Hello"}]) == Reply(7, "Hello")

    def test_several_texts_at_the_end(self) -> None:
        """They are compared in their order; a tool's call between them has none."""
        talk = Conversation("repeats=on")
        for at, piece in [(2, "Bye"), (0, "Hel"), (0, "lo")]:
            talk.read(TEXT, **delta(piece, output_index=at))
        reply = talk.done(output=[*message("Hello"), {"type": "function_call"}, *message("Bye")])
        assert reply == Reply(7, "Hello\nBye")

    def test_parts_and_ends_of_another_response(self) -> None:
        """What was not created here belongs to no request, and the response under way goes on."""
        talk = Conversation()
        assert talk.read(TEXT, **delta("x", "r2")) == [StreamPart("response r2")]
        assert talk.read(DONE, response_id="r2", text="x") == []
        unknown = Failed(
            "response r2", "response.done for a response that was not created on this connection"
        )
        assert talk.read("response.done", response={"id": "r2", "status": "completed"}) == [unknown]
        talk.read(TEXT, **delta("yes"))
        assert talk.done() == Reply(7)
        assert talk.read(TEXT, **delta("more")) == [StreamPart("response r1")]


class TestErrors:
    """The event `error`."""

    def test_before_the_session_is_established(self) -> None:
        """The login was refused."""
        error = {"message": "Incorrect API key", "code": "invalid_api_key"}
        (refused,) = read(made(), dialect_session(), "error", error=error)
        assert refused == AuthRequired("Incorrect API key (invalid_api_key)")

    def test_of_a_message_and_of_nothing(self) -> None:
        """It fails the request whose event it names."""
        talk = Conversation()
        assert talk.read("error", error={"message": "no", "event_id": "item-8"}) == [Failed(8, "no")]
        assert talk.read("error", error={"message": "no"}) == [Failed("no request", "no")]


class TestHostileServers:
    """Whatever they say, memory is bounded."""

    def test_many_responses(self) -> None:
        """The oldest is forgotten."""
        talk = Conversation()
        for number in range(MAX_RESPONSES + 10):
            talk.read("response.created", response={"id": f"r{number}"})
            talk.read("conversation.item.added", item={"id": f"item-{number + 10}"})
        now = talk.session.memory["conversation"]
        assert len(now.answers) == MAX_RESPONSES
        assert len(now.waiting) == MAX_RESPONSES

    def test_many_parts(self) -> None:
        """No more are kept."""
        talk = Conversation()
        for number in range(MAX_PARTS + 10):
            talk.read(TEXT, **delta("x", output_index=number))
        assert len(talk.session.memory["conversation"].answers["r1"].parts) == MAX_PARTS

    @pytest.mark.parametrize("data", ["7", "[]", '{"type":7}', '{"type":"error","error":7}', b"\xff"])
    def test_unreadable_messages(self, data: str | bytes) -> None:
        """What has no place in the interface."""
        assert isinstance(made().read(dialect_session(), data), Unreadable)
