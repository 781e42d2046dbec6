"""What the faults do to texts and histories, without a server."""

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.server import json_lines
from loadtest.server.alterations import Alterations
from loadtest.server.faults import Faults
from tests.support.server_messages import MESSAGES, OBJECTS

FRAMES = st.text() | st.binary() | MESSAGES.map(json.dumps) | OBJECTS.map(json.dumps)


def altering(*faults: str) -> Alterations:
    return Alterations(Faults(faults))


@given(FRAMES)
def test_without_faults_nothing_is_altered(frame: json_lines.Frame) -> None:
    """A sound server returns what it gets, also after another session has spoken."""
    alterations = altering()
    alterations.text("other", "something else")
    if isinstance(frame, str) and "\n" not in frame and "\r" not in frame:
        assert alterations.frame("own", frame) == frame
        assert alterations.text("own", frame) == frame
    assert alterations.history("own", ["1", "2"]) == ["1", "2"]


@given(st.text().map("[{}]".format))
def test_a_corrupted_text_does_not_hold_what_it_was(text: str) -> None:
    """A client that looks for its text, which ends with a bracket, finds only how it began."""
    altered = altering("corrupt_reply=1").text("own", text)
    assert altered.startswith(text[:-1])
    assert text not in altered


@given(FRAMES)
def test_a_corrupted_frame_differs_and_stays_what_it_was(frame: json_lines.Frame) -> None:
    """Text stays text, a JSON object stays one, and neither is the same."""
    corrupted = altering("corrupt_reply=1").frame("own", frame)
    assert type(corrupted) is type(frame)
    try:
        content: Any = json_lines.parse(frame).content if isinstance(frame, str) else None
    except json_lines.BadMessage:
        content = None
    if content is None:
        assert corrupted != frame
    else:
        assert json.loads(corrupted) != content


def test_a_decomposed_text_is_the_same_to_the_eye() -> None:
    """Its composed characters are two code points each, in an answer and in an echo."""
    alterations = altering("decompose=1")
    assert alterations.text("own", "[é🙂]") == "[e\u0301🙂]"
    assert alterations.frame("own", "[é🙂]") == unicodedata.normalize("NFD", "[é🙂]")


def test_a_foreign_text_is_the_latest_of_another_session() -> None:
    """The fault strikes once another session has said something, and bears that session's text."""
    faults = Faults(("foreign_reply=1",))
    alterations = Alterations(faults)
    assert [alterations.text("a", text) for text in ("a1", "a2")] == ["a1", "a2"]
    assert faults.struck == {}
    assert alterations.text("a", "") == ""  # nothing that a client could recognise
    assert alterations.text("b", "b1") == "a2"
    assert alterations.text("a", "a3") == "b1"
    assert alterations.text("c", "c1") == "a3"
    assert alterations.message("b", json_lines.parse('{"payload":{"text":"b2"}}')).text == "c1"
    assert faults.struck == {"foreign_reply": 4}


@pytest.mark.parametrize(
    ("fault", "restored"),
    [
        ("cut_history", ["1", "2"]),
        ("reverse_history", ["4", "3", "2", "1"]),
    ],
)
def test_a_history_is_altered_as_the_fault_says(fault: str, restored: list[str]) -> None:
    """Cut, the newer half is missing; reversed, the newest message is the first."""
    assert altering(fault).history("own", ["1", "2", "3", "4"]) == restored
    assert altering(fault).history("own", []) == []


def test_a_foreign_history_has_a_message_of_another_session() -> None:
    """It is a user's message like any other, and stands behind the session's own."""
    alterations = altering("foreign_history=1")
    assert alterations.history("own", ["1"]) == ["1"]
    alterations.text("other", "the other's text")
    own, foreign = alterations.history("own", ["1"])
    assert own == "1"
    assert json.loads(foreign) | {"role": "user", "content": "the other's text"} == json.loads(foreign)
