"""The words on the wire, without a server."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.server import json_lines
from tests.support.server_messages import JSON, MESSAGES, OBJECTS


@given(st.text() | JSON.map(json.dumps) | OBJECTS.map(lambda content: json.dumps(content, indent=2)))
def test_any_text_is_a_message_on_one_line_or_a_bad_message(text: str) -> None:
    """What is accepted is a JSON object by the standard library's reading too, and has no line break."""
    try:
        message = json_lines.parse(text)
    except json_lines.BadMessage:
        return
    assert "\n" not in message.line
    assert json.loads(message.line) == json.loads(text) == message.content


@given(MESSAGES | OBJECTS)
def test_an_acknowledgement_echoes_its_message(content: dict[str, Any]) -> None:
    """Whatever the message is, the answer is one JSON object on one line that holds it."""
    (frame,) = json_lines.acknowledgement(json_lines.parse(json.dumps(content)))
    assert "\n" not in str(frame)
    assert json.loads(frame) == {"type": "ws:ack", "payload": {"received": True, "echo": content}}


@given(MESSAGES | OBJECTS, st.text())
def test_a_message_saying_something_else_differs_in_nothing_else(content: dict[str, Any], text: str) -> None:
    """The text is changed where it stood, in the payload if there is one, and the line says the same."""
    message = json_lines.parse(json.dumps(content)).saying(text)
    payload = content.get("payload")
    if isinstance(payload, dict) and payload:
        expected = content | {"payload": payload | {"text": text}}
    else:
        expected = content | {"text": text}
    assert message.text == text
    assert json.loads(message.line) == message.content == expected


@given(st.text(min_size=1), st.text(min_size=1), st.sampled_from(json_lines.CHAT_TYPES))
def test_a_message_with_text_and_agent_is_a_chat_request(text: str, agent_id: str, kind: str) -> None:
    """Under both types, whatever stands beside them."""
    payload = {"text": text, "agent_id": agent_id, "more": [1]}
    message = json_lines.parse(json.dumps({"type": kind, "payload": payload}))
    assert json_lines.chat_request(message) == json_lines.ChatRequest(text, agent_id)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({}, "type must be chat.message"),
        ({"type": "typing", "payload": {"text": "x", "agent_id": "a"}}, "type must be chat.message"),
        ({"type": ["chat.message"]}, "type must be chat.message"),
        ({"type": "chat.message"}, "text is required"),
        ({"type": "chat.message", "payload": "text"}, "text is required"),
        ({"type": "chat.message", "payload": {"text": "", "agent_id": "a"}}, "text is required"),
        ({"type": "chat.message", "payload": {"text": 1, "agent_id": "a"}}, "text is required"),
        ({"type": "chat.message", "payload": {"text": "x"}}, "agent_id is required"),
        ({"type": "chat_message", "payload": {"text": "x", "agent_id": ""}}, "agent_id is required"),
        ({"type": "chat_message", "payload": {"text": "x", "agent_id": None}}, "agent_id is required"),
    ],
    ids=json.dumps,
)
def test_any_other_message_is_refused_in_plain_words(content: dict[str, Any], problem: str) -> None:
    """The client learns which part is missing."""
    message = json_lines.parse(json.dumps(content))
    with pytest.raises(json_lines.BadRequest, match=f"^{problem}$"):
        json_lines.chat_request(message)
    (frame,) = json_lines.refusal(problem)
    assert json.loads(frame) == {"type": "ws:error", "payload": {"message": problem}}


@given(st.text(), st.text())
def test_the_chunks_of_a_stream_make_up_its_text(text: str, agent_id: str) -> None:
    """The stream is in two frames, with two objects on a line each: start and end, and the answer between."""
    frames = [str(frame).split("\n") for frame in json_lines.stream(text, agent_id)]
    (start, first), (second, end) = [[json.loads(line) for line in lines] for lines in frames]
    assert start == {"type": "ws:chat_stream_start", "payload": {"agent_id": agent_id}}
    assert {first["type"], second["type"]} == {"ws:chat_stream_chunk"}
    assert first["payload"]["text"] + second["payload"]["text"] == text
    assert end == {"type": "ws:chat_stream_end", "payload": {}}


@given(st.text())
def test_an_answer_holds_the_text_that_it_answers(text: str) -> None:
    """So that a client can check whose answer it is."""
    assert text in json_lines.answer_to(text)


@given(st.text(), st.text())
def test_a_past_message_has_what_the_applications_have(text: str, agent_id: str) -> None:
    """It is one line of JSON with an id of its own and the time."""
    line = json_lines.past_message("assistant", text, agent_id)
    assert "\n" not in line
    past = json.loads(line)
    assert past.pop("id") != json.loads(json_lines.past_message("assistant", text, agent_id))["id"]
    assert abs((datetime.now(UTC) - datetime.fromisoformat(past.pop("created_at"))).total_seconds()) < 60
    assert past == {"role": "assistant", "content": text, "agent_id": agent_id, "meta": {}}


def test_the_id_that_a_client_asked_for_comes_back_when_it_got_another() -> None:
    """`client_session_id` is there only then."""

    def payload(session_id: str, asked_id: str) -> Any:
        return json.loads(json_lines.established(session_id, "thread", asked_id))["payload"]

    assert payload("s", "s") == {"session_id": "s", "thread_id": "thread"}
    assert payload("s", "asked") == {
        "session_id": "s",
        "thread_id": "thread",
        "client_session_id": "asked",
    }
