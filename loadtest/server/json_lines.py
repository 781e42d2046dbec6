"""The wire format of the `emergence` application, as text; nothing here does I/O.

A server's frame has one or more JSON objects, one per line; a client's frame is exactly one object. A
client's message is kept as received and spliced into replies as text: it was decoded once to check that it is
JSON (RFC 8259), so the result is JSON too. The only change is that line breaks between tokens are removed,
because readers of the server's frames split them at line breaks.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

Frame = str | bytes
Reply = tuple[Frame, ...]
"""The frames that answer one message: usually one, several for a stream."""

STREAM_CHUNKS = 4

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class BadMessage(ValueError):
    """A frame from a client that the application cannot read."""


@dataclass(frozen=True, slots=True)
class History:
    """A session's messages: how many there are, and the newest of them as stored, oldest first."""

    count: int
    newest_messages: list[str]


@dataclass(frozen=True, slots=True)
class Message:
    """A client's message: its JSON text on one line, and its decoded content."""

    text: str
    content: dict[str, Any]

    @property
    def payload(self) -> dict[str, Any]:
        """The payload; empty if it is missing or not an object."""
        payload = self.content.get("payload")
        return payload if isinstance(payload, dict) else {}


def parse(text: str) -> Message:
    """Read a client's frame.

    Raises:
        BadMessage: the frame is not a JSON object, or is nested too deeply for the decoder.
    """
    try:
        content = _decode(text)
    except (ValueError, RecursionError) as error:
        raise BadMessage(f"not a JSON object: {error}") from error
    if "\n" in text or "\r" in text:
        text = msgspec.json.format(text, indent=-1)
    return Message(text, content)


def answer(message: Message) -> Reply:
    """Return the reply to a message: a stream for `chat_stream`, an acknowledgement for any other type."""
    if message.content.get("type") == "chat_stream":
        return _stream(message)
    return (f'{{"type":"ws:ack","payload":{{"received":true,"echo":{message.text}}}}}',)


def _stream(message: Message) -> Reply:
    text = f"You said: {message.payload.get('text', '')}"
    length = -(-len(text) // STREAM_CHUNKS)
    chunks = (text[start : start + length] for start in range(0, len(text), length))
    return (
        _object("ws:chat_stream_start", {}),
        *(_object("ws:chat_stream_chunk", {"text": chunk}) for chunk in chunks),
        '{"type":"ws:chat_stream_end","payload":{"text":%s,"echo":%s}}' % (_json(text), message.text),  # noqa: UP031
    )


def established(session_id: str, thread_id: str) -> str:
    """Return the first object sent on a connection, for a new or a resumed session."""
    return _object("ws:session_established", {"session_id": session_id, "thread_id": thread_id})


def restored(session_id: str, thread_id: str, history: History) -> str:
    """Return the object that carries a resumed session's history."""
    return (
        f'{{"type":"ws:session_restored","payload":{{"session_id":{_json(session_id)},'
        f'"thread_id":{_json(thread_id)},"messages":[{",".join(history.newest_messages)}],'
        f'"history_count":{history.count}}}}}'
    )


def login_required(reason: str) -> str:
    """Return the object sent to a client with a bad token, before the close with 4401."""
    return _object("ws:auth_required", {"reason": reason})


def notification(push_id: int, *, sent_at_ms: float) -> str:
    """Return a server push; `sent_at_ms` is Unix time in milliseconds."""
    return _object("ws:notification", {"push_id": push_id, "sent_at_ms": sent_at_ms})


def corrupted(message: Message) -> Message:
    """Return the message with its text changed, for the fault `corrupt_reply`."""
    content = dict(message.content)
    if message.payload:
        content["payload"] = {**message.payload, "text": _spoiled(message.payload.get("text", ""))}
    else:
        content["text"] = _spoiled(content.get("text", ""))
    return Message(_json(content), content)


def corrupted_frame(frame: Frame) -> Frame:
    """Return the frame changed: a JSON object stays a JSON object, anything else gets a different end."""
    if isinstance(frame, bytes):
        return frame[:-1] + bytes([frame[-1] ^ 1]) if frame else b"\0"
    try:
        return corrupted(parse(frame)).text
    except BadMessage:
        return _spoiled(frame)


def _spoiled(text: object) -> str:
    return f"{text} (corrupted)"


def _object(kind: str, payload: dict[str, Any]) -> str:
    return _json({"type": kind, "payload": payload})


def _json(value: object) -> str:
    return _encode(value).decode()
