"""`emergence`: the chat application that this tool was first written for.

    GET /ws/{session_id}?thread_id=…       subprotocols ["jwt", TOKEN]; the server echoes "jwt"
    <- {"type":"ws:session_established","payload":{"session_id","thread_id"}}
    <- {"type":"ws:session_restored","payload":{"messages":[…],"history_count":N}}  when there is history
    -> {"type":"chat.message","payload":{"sequence":N,"text":…,"agent_id":…}}
    <- ws:chat_stream_start, ws:chat_stream_chunk…, ws:chat_stream_end               with a chat backend
    <- {"type":"ws:ack","payload":{"received":true,"echo":MESSAGE}}   without one; then there is no history
    <- {"type":"ws:error","payload":{"message":…}}

One message may hold several objects, one per line. A history holds the newest 200 messages of both roles.
With a bad token the upgrade succeeds, then the server sends `ws:auth_required` and closes with 4401. After
inactivity it closes with 4408.
"""

from collections.abc import Iterable

import msgspec

from loadtest.dialects.base import (
    EXCERPT_LENGTH,
    MALFORMED,
    AuthRequired,
    Dialect,
    Established,
    Failed,
    Incoming,
    Push,
    Read,
    Reply,
    Restored,
    StreamPart,
    filled,
    lines,
    unreadable,
)
from loadtest.dialects.dialect_session import DialectSession
from loadtest.events import Data, Endpoint
from loadtest.text import one_line


class _ChatMessage(msgspec.Struct):
    """A message of a restored history."""

    role: str = ""
    content: str = ""


class _Chat(msgspec.Struct):
    """The payload of a request."""

    text: str | None = None
    sequence: int | None = None


class _Request(msgspec.Struct):
    payload: _Chat = msgspec.field(default_factory=_Chat)


class _Payload(msgspec.Struct):
    """The fields used here, of all server messages; other fields are ignored."""

    session_id: str | None = None
    client_session_id: str | None = None
    thread_id: str | None = None
    messages: list[_ChatMessage] = []
    history_count: int | None = None
    echo: _Request | None = None
    text: str = ""
    message: str = ""
    push_id: int | None = None
    sent_at_ms: float | None = None
    reason: str | None = None


class _Message(msgspec.Struct):
    type: str
    payload: _Payload = msgspec.field(default_factory=_Payload)


class _Typed(msgspec.Struct):
    type: str


_KNOWN = {
    "ws:ack",
    "ws:auth_required",
    "ws:chat_stream_chunk",
    "ws:chat_stream_end",
    "ws:chat_stream_start",
    "ws:error",
    "ws:session_established",
    "ws:session_restored",
}

_decode_type = msgspec.json.Decoder(_Typed).decode
_decode = msgspec.json.Decoder(_Message).decode


class Emergence(Dialect):
    """The chat application that this tool was first written for, and the reference server.

    A session's token is its value in the column `token` of `--ws-data`, else that of `--ws-token`. With
    `--ws-token-cmd` all sessions use the command's token, and the data must not have such a column.
    """

    name = "emergence"
    default_path = "/ws/{session_id}?thread_id={thread_id}"
    health_path = "/api/health"
    establishes = True
    identifies = True
    keeps_history = True
    history_window = 200
    shares_history = False
    queues = True
    pushes = True
    forbidding_close_codes = frozenset({1008, 4401, 4408})

    message_type = "chat.message"
    agent_id = "assistant"

    LONGEST_ANSWER = 4 * 2**20
    """Characters of a streamed answer that are kept until its end."""

    def __init__(self, *, path: str | None = None) -> None:
        super().__init__(path=path)
        self._head = f'{{"type":"{self.message_type}","payload":{{"agent_id":"{self.agent_id}","sequence":'

    def endpoint(self, session: DialectSession) -> Endpoint:
        token = session.data.get("token") or session.token
        subprotocols = ("jwt", token) if token else ()
        return Endpoint(path=filled(self.path, session), subprotocols=subprotocols)

    def request(self, session: DialectSession, sequence: int) -> str:
        return f'{self._head}{sequence},"text":"{session.text(sequence)}"}}}}'

    def probe(self, session: DialectSession) -> str:
        """Return a request without text: the server answers it with an error, and stores nothing."""
        return f'{{"type":"{self.message_type}","payload":{{}}}}'

    def greeting(self, session: DialectSession) -> Iterable[Data]:
        session.memory.pop("answer", None)  # an answer that the last connection did not finish
        return ()

    def read(self, session: DialectSession, data: Data) -> Read:
        found = lines(data)
        if len(found) == 1:
            return self._meaning(session, data)
        return [self._meaning(session, line) for line in found if line.strip()]

    def _meaning(self, session: DialectSession, line: Data) -> Incoming:
        try:
            message = _decode(line)
        except MALFORMED:
            return _unfamiliar(line)
        if message.type == "ws:ack":
            chat = message.payload.echo.payload if message.payload.echo else _Chat()
            return Reply(chat.sequence, chat.text, whole=True)
        return self._rarer_meaning(session, message, line)

    def _rarer_meaning(self, session: DialectSession, message: _Message, line: Data) -> Incoming:
        payload = message.payload
        match message.type:
            case "ws:chat_stream_start":
                session.memory["answer"] = payload.text
                return StreamPart()
            case "ws:chat_stream_chunk":
                answer = session.memory.get("answer", "") + payload.text
                session.memory["answer"] = answer[: self.LONGEST_ANSWER]
                return StreamPart()
            case "ws:chat_stream_end":
                return _answered(session, session.memory.pop("answer", ""))
            case "ws:session_established":
                return Established(
                    session_id=payload.session_id,
                    thread_id=payload.thread_id,
                    asked_id=payload.client_session_id,
                )
            case "ws:session_restored":
                texts = [said.content for said in payload.messages if said.role == "user"]
                return Restored(texts=texts, count=len(payload.messages))
            case "ws:error":
                return Failed(None, payload.message or "ws:error without a message")
            case "ws:auth_required":
                return AuthRequired(
                    one_line(payload.reason or "the server rejected the token", EXCERPT_LENGTH)
                )
            case kind if kind.startswith("ws:"):
                return Push(text=payload.text or None, number=payload.push_id, sent_at_ms=payload.sent_at_ms)
            case _:
                return unreadable(line)


def _answered(session: DialectSession, answer: str) -> Reply:
    """Return the end of a streamed answer; an assistant need not repeat the request's text."""
    if session.marker.marked(answer):
        return Reply(session.sequence_of(answer), answer)
    return Reply(None)


def _unfamiliar(line: Data) -> Incoming:
    """Interpret an unexpected payload: a Push if its `ws:` type is unknown, else Unreadable."""
    try:
        kind = _decode_type(line).type
    except MALFORMED:
        return unreadable(line)
    return Push() if kind.startswith("ws:") and kind not in _KNOWN else unreadable(line)
