"""The wire format of the `emergence` application, as text. Nothing here does I/O.

A server's frame has one or more JSON objects, one per line; a client's frame is exactly one object. An
acknowledgement echoes the client's JSON as received: the text is spliced into the reply without encoding it
again. It was decoded once to check that it is JSON (RFC 8259), so the result is JSON too. Only line breaks
between tokens are removed, because readers split the server's frames at line breaks.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

Frame = str | bytes
Reply = tuple[Frame, ...]
"""The frames that answer one message."""

CHAT_TYPES = ("chat.message", "chat_message")
"""The type of a chat request, and its older form."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class BadMessage(ValueError):
    """A frame from a client that the application cannot parse."""


class BadRequest(ValueError):
    """A message that the application can parse, but not answer; its text is sent to the client."""


@dataclass(frozen=True, slots=True)
class Message:
    """A client's message: its JSON text on one line, and its decoded content."""

    line: str
    content: dict[str, Any]

    @property
    def payload(self) -> dict[str, Any]:
        """The payload; empty if it is missing or not an object."""
        payload = self.content.get("payload")
        return payload if isinstance(payload, dict) else {}

    @property
    def text(self) -> str:
        """The message's text: that of its payload, or its own if it has no payload."""
        text = (self.payload or self.content).get("text", "")
        return text if isinstance(text, str) else str(text)

    def saying(self, text: str) -> "Message":
        """Return the message with a different text."""
        changed: dict[str, Any] = {"text": text}
        if self.payload:
            changed = {"payload": self.payload | changed}
        content = self.content | changed
        return Message(_json(content), content)


def parse(frame: str) -> Message:
    """Read a client's frame.

    Raises:
        BadMessage: the frame is not a JSON object, or is nested too deeply for the decoder.
    """
    try:
        content = _decode(frame)
    except (ValueError, RecursionError) as error:
        raise BadMessage(f"not a JSON object: {error}") from error
    if "\n" in frame or "\r" in frame:
        frame = msgspec.json.format(frame, indent=-1)
    return Message(frame, content)


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A user's message to an agent."""

    text: str
    agent_id: str


def chat_request(message: Message) -> ChatRequest:
    """Return a message as a chat request.

    Raises:
        BadRequest: the message has another type, or lacks the text or the agent.
    """
    kind = message.content.get("type")
    if kind not in CHAT_TYPES:
        raise BadRequest("type must be chat.message")
    text, agent_id = message.payload.get("text"), message.payload.get("agent_id")
    if not isinstance(text, str) or not text:
        raise BadRequest("text is required")
    if not isinstance(agent_id, str) or not agent_id:
        raise BadRequest("agent_id is required")
    return ChatRequest(text, agent_id)


def answer_to(text: str) -> str:
    """Return the assistant's answer, which repeats the user's text in full, so that clients can check it."""
    return f"You said: {text}"


def stream(answer: str, agent_id: str) -> Reply:
    """Return an assistant's answer as a stream in two frames, so that a send can fail between them."""
    half = (len(answer) + 1) // 2
    start = _object("ws:chat_stream_start", {"agent_id": agent_id})
    return (
        f"{start}\n{_object('ws:chat_stream_chunk', {'text': answer[:half]})}",
        f"{_object('ws:chat_stream_chunk', {'text': answer[half:]})}\n{_STREAM_END}",
    )


def acknowledgement(message: Message) -> Reply:
    """Return the answer of a server without a chat backend."""
    return (f'{{"type":"ws:ack","payload":{{"received":true,"echo":{message.line}}}}}',)


def refusal(problem: str) -> Reply:
    """Return the answer to a message that is not a valid chat request."""
    return (_object("ws:error", {"message": problem}),)


def past_message(role: Literal["user", "assistant"], text: str, agent_id: str) -> str:
    """Return a message in the form of a history entry."""
    return _json(
        {
            "id": uuid.uuid4().hex,
            "role": role,
            "content": text,
            "agent_id": agent_id,
            "created_at": datetime.now(UTC),
            "meta": {},
        }
    )


def corrupted(past: str) -> str:
    """Return a history entry with altered content that begins like the original."""
    content = msgspec.json.decode(past)
    return _json(content | {"content": f"{content['content'][:-1]} (corrupted)"})


def established(session_id: str, thread_id: str, asked_id: str) -> str:
    """Return the first object sent on a connection, for a new or a resumed session.

    Args:
        session_id: the session's id.
        thread_id: its thread's id.
        asked_id: the session id in the path; it differs if the token named the session.
    """
    ids = {"session_id": session_id, "thread_id": thread_id}
    return _object(
        "ws:session_established", ids if asked_id == session_id else ids | {"client_session_id": asked_id}
    )


def restored(session_id: str, thread_id: str, messages: Sequence[str]) -> str:
    """Return the object that carries a resumed session's history."""
    return (
        f'{{"type":"ws:session_restored","payload":{{"session_id":{_json(session_id)},'
        f'"thread_id":{_json(thread_id)},"messages":[{",".join(messages)}],'
        f'"history_count":{len(messages)}}}}}'
    )


def login_required(reason: str) -> str:
    """Return the object sent to a client with a bad token, before the close with 4401."""
    return _object("ws:auth_required", {"reason": reason})


def notification(push_id: int, *, sent_at_ms: float, text: str = "") -> str:
    """Return a server push; `sent_at_ms` is Unix time in milliseconds, an empty text is left out."""
    said = {"text": text} if text else {}
    return _object("ws:notification", {"push_id": push_id, "sent_at_ms": sent_at_ms, **said})


def _object(kind: str, payload: dict[str, Any]) -> str:
    return _json({"type": kind, "payload": payload})


def _json(value: object) -> str:
    return _encode(value).decode()


_STREAM_END = _object("ws:chat_stream_end", {})
