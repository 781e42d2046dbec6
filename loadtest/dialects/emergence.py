"""`emergence`: the chat application that this tool was first written for.

    GET /ws/{session_id}?thread_id=…       subprotocols ["jwt", TOKEN]; the server echoes "jwt"
    <- {"type":"ws:session_established","payload":{"session_id","thread_id"}}
    <- {"type":"ws:session_restored","payload":{"messages":[…],"history_count":N}}   when there is history
    -> {"type":"chat_message","payload":{"sequence":N,"text":…}}
    <- {"type":"ws:ack","payload":{"received":true,"echo":MESSAGE}}                  without a chat backend
    <- ws:chat_stream_start, ws:chat_stream_chunk…, ws:chat_stream_end               with one

One message may hold several objects, one per line. With a bad token the upgrade succeeds, then the server
sends `ws:auth_required` and closes with 4401. After inactivity it closes with 4408.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import msgspec

from loadtest.dialects.base import (
    EXCERPT_LENGTH,
    MALFORMED,
    AuthRequired,
    Dialect,
    Established,
    Incoming,
    Push,
    Reply,
    Restored,
    StreamPart,
    unreadable,
)
from loadtest.events import Data, Endpoint, Identity
from loadtest.text import one_line


class _Payload(msgspec.Struct):
    """The fields used here, of all server messages; other fields are ignored."""

    session_id: str | None = None
    thread_id: str | None = None
    messages: list[Any] = []
    history_count: int | None = None
    echo: msgspec.Raw = msgspec.Raw(b"")
    push_id: int | None = None
    sent_at_ms: float | None = None
    reason: str | None = None


class _Message(msgspec.Struct):
    type: str
    payload: _Payload = msgspec.field(default_factory=_Payload)


class _Numbered(msgspec.Struct):
    sequence: int | None = None


class _Request(msgspec.Struct):
    payload: _Numbered = msgspec.field(default_factory=_Numbered)


class _Typed(msgspec.Struct):
    type: str


_KNOWN = {
    "ws:ack",
    "ws:auth_required",
    "ws:chat_stream_chunk",
    "ws:chat_stream_end",
    "ws:chat_stream_start",
    "ws:session_established",
    "ws:session_restored",
}

_decode_type = msgspec.json.Decoder(_Typed).decode
_decode = msgspec.json.Decoder(_Message).decode
_decode_request = msgspec.json.Decoder(_Request).decode


class Emergence(Dialect):
    """The chat application that this tool was first written for, and the reference server."""

    name = "emergence"
    default_path = "/ws/{session_id}?thread_id={thread_id}"
    health_path = "/api/health"
    establishes = True
    identifies = True
    keeps_history = True
    queues = True
    pushes = True
    forbidding_close_codes = frozenset({1008, 4401, 4408})

    message_type = "chat_message"
    """The type of a request; with a chat backend its reply is a stream."""

    def __init__(self, *, path: str | None = None, message_bytes: int = 64) -> None:
        super().__init__(path=path, message_bytes=message_bytes)
        self._head = f'{{"type":"{self.message_type}","payload":{{"sequence":'
        bare = len(self._head) + len('00000,"text":""}}')
        self._tail = ',"text":"' + "x" * max(0, message_bytes - bare) + '"}}'

    def endpoint(self, identity: Identity, token: str | None) -> Endpoint:
        path = self.path.replace("{session_id}", quote(identity.session_id, safe=""))
        path = path.replace("{thread_id}", quote(identity.thread_id, safe=""))
        return Endpoint(path=path, subprotocols=("jwt", token) if token else ())

    def request(self, identity: Identity, sequence: int) -> str:
        return f"{self._head}{sequence}{self._tail}"

    def read(self, data: Data) -> list[Incoming]:
        # Not splitlines: JSON strings may hold U+2028 and other line separators unescaped.
        lines = data.split("\n") if isinstance(data, str) else data.split(b"\n")
        if len(lines) == 1:
            return [self._meaning(data)]
        return [self._meaning(line) for line in lines if line.strip()]

    def _meaning(self, line: Data) -> Incoming:
        try:
            message = _decode(line)
            if message.type == "ws:ack":
                echo = message.payload.echo
                return Reply(_decode_request(echo).payload.sequence, echo)
            return self._rarer_meaning(message, line)
        except MALFORMED:
            return _unfamiliar(line)

    def _rarer_meaning(self, message: _Message, line: Data) -> Incoming:
        payload = message.payload
        match message.type:
            case "ws:chat_stream_end":
                if not payload.echo:
                    return Reply(None)
                return Reply(_decode_request(payload.echo).payload.sequence, payload.echo)
            case "ws:chat_stream_start" | "ws:chat_stream_chunk":
                return StreamPart()
            case "ws:session_established":
                return Established(session_id=payload.session_id, thread_id=payload.thread_id)
            case "ws:session_restored":
                return Restored(sequences=list(_sequences(payload.messages)), count=payload.history_count)
            case "ws:auth_required":
                return AuthRequired(
                    one_line(payload.reason or "the server requires another token", EXCERPT_LENGTH)
                )
            case kind if kind.startswith("ws:"):
                return Push(number=payload.push_id, sent_at_ms=payload.sent_at_ms)
            case _:
                return unreadable(line)

    def intact(self, sent: Data, content: object) -> bool:
        if content is None:
            return True
        echo = bytes(content)  # type: ignore[call-overload]  # a msgspec.Raw
        if echo == (sent.encode() if isinstance(sent, str) else sent):
            return True
        try:  # a server may format the same object differently
            return bool(msgspec.json.decode(echo) == msgspec.json.decode(sent))
        except MALFORMED:
            return False


def _unfamiliar(line: Data) -> Incoming:
    """Interpret an unexpected payload: a Push if its `ws:` type is unknown, else Unreadable."""
    try:
        kind = _decode_type(line).type
    except MALFORMED:
        return unreadable(line)
    return Push() if kind.startswith("ws:") and kind not in _KNOWN else unreadable(line)


def _sequences(messages: list[Any]) -> Iterator[int]:
    """Yield the sequence numbers of restored messages; others' and unnumbered ones have none."""
    for message in messages:
        payload = message.get("payload") if isinstance(message, dict) else None
        sequence = payload.get("sequence") if isinstance(payload, dict) else None
        if isinstance(sequence, int) and sequence >= 0:
            yield sequence
