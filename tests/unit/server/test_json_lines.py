"""The words on the wire, without a server."""

import json
from typing import Any

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
    assert "\n" not in message.text
    assert json.loads(message.text) == json.loads(text) == message.content


@given(MESSAGES | OBJECTS)
def test_every_message_has_an_answer_that_echoes_it(content: dict[str, Any]) -> None:
    """Each frame of the answer is one JSON object on one line, and the last one has the echo."""
    answers = [json.loads(frame) for frame in json_lines.answer(json_lines.parse(json.dumps(content)))]
    assert answers[-1]["payload"]["echo"] == content


@given(st.text(max_size=50))
def test_the_chunks_of_a_stream_make_up_its_text(text: str) -> None:
    """However short the text, no chunk is lost or empty."""
    asked = {"type": "chat_stream", "payload": {"text": text}}
    start, *chunks, end = (
        json.loads(frame) for frame in json_lines.answer(json_lines.parse(json.dumps(asked)))
    )
    assert start["type"] == "ws:chat_stream_start"
    assert all(chunk["payload"]["text"] for chunk in chunks)
    assert "".join(chunk["payload"]["text"] for chunk in chunks) == end["payload"]["text"]


@given(st.text() | st.binary() | MESSAGES.map(json.dumps) | OBJECTS.map(json.dumps))
def test_a_corrupted_frame_differs_and_stays_what_it_was(frame: json_lines.Frame) -> None:
    """Text stays text, a JSON object stays one, and neither is the same."""
    corrupted = json_lines.corrupted_frame(frame)
    assert type(corrupted) is type(frame)
    try:
        content = json_lines.parse(frame).content if isinstance(frame, str) else None
    except json_lines.BadMessage:
        content = None
    if content is None:
        assert corrupted != frame
    else:
        assert isinstance(corrupted, str)
        assert json.loads(corrupted) != content
