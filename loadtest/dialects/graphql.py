"""`graphql`: GraphQL over WebSocket, in the protocol graphql-transport-ws.

    -> {"type":"connection_init","payload":{"Authorization":"Bearer …"}}    with the token of --ws-token
    <- {"type":"connection_ack"}
    -> {"type":"subscribe","id":"7","payload":{"query":…,"variables":{…}}}

    <- {"type":"next","id":"7","payload":{"data":{…},"errors":[…]}}      once or repeatedly
    <- {"type":"error","id":"7","payload":[{"message":…}]}                  refused before it ran
    <- {"type":"complete","id":"7"}

    <- {"type":"ping"}    -> {"type":"pong"}                                in both directions

Source: https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md, and for the close codes after which a
client must not reconnect its `src/client.ts`.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import msgspec

from loadtest.dialects.base import (
    MALFORMED,
    Dialect,
    Established,
    Failed,
    Incoming,
    Read,
    Reply,
    Request,
    StreamPart,
    text_only,
    unreadable,
)
from loadtest.dialects.checked_fields import (
    AUTO,
    StreamedTexts,
    checked_text,
    push_options,
    pushed,
    text_option,
)
from loadtest.dialects.dialect_options import DialectOption
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.dotted_paths import MAX_DEPTH, path_of, value_at, words_of
from loadtest.dialects.templates import option_template
from loadtest.errors import InvalidSetting
from loadtest.events import Data, Endpoint, Send
from loadtest.values import Number, Text

LISTEN: Final = "listen"
"""Id of the subscription that each connection opens."""

MAX_ANSWERS: Final = 1_000
"""Unfinished answers of a session that are kept; the oldest is forgotten first."""

LONGEST_ANSWER: Final = 4 * 2**20
"""Characters of a streamed answer that are kept until its end."""

NO_WORDS: Final = "an error without a message"

_PING, _PONG = '{"type":"ping"}', '{"type":"pong"}'

_KEYWORD = re.compile(r"(?:\s|,|#[^\n]*)*(?:(query|mutation|subscription)\b|(\{))")


def kind_of(document: str) -> str | None:
    """Return the kind of the operation that a document begins with; None if it begins with something else."""
    found = _KEYWORD.match(document)
    return None if found is None else found[1] or "query"


@dataclass(frozen=True, slots=True)
class Operation:
    """The kind of an option that holds a GraphQL document.

    Args:
        kinds: kinds of operations that are allowed.
        optional: whether it may be empty.
    """

    kinds: tuple[str, ...]
    optional: bool = False
    metavar: str = "DOCUMENT"

    def read(self, given: Any, option: str) -> str:
        """Return the document."""
        if given == "" and self.optional:
            return ""
        if not isinstance(given, str) or kind_of(given) not in self.kinds:
            raise InvalidSetting(option, given, f"must be {self}")
        return given

    def __str__(self) -> str:
        empty = ", or empty" if self.optional else ""
        return f"a GraphQL document that begins with {' or '.join(self.kinds)}{empty}"


class _Message(msgspec.Struct):
    """A message from the server."""

    type: str
    id: str | None = None
    payload: Any = None


_decode = msgspec.json.Decoder(_Message).decode


class _Answer:
    """The unfinished answer to a request.

    Attributes:
        text: its text, as for `Reply.text`; for a stream, the pieces so far.
        error: the server's error message, if a result has errors, or another problem with it.
        results: number of results received; further parts of one do not count.
        goes_on: whether the last result announced further parts (`hasNext`).
    """

    __slots__ = ("error", "goes_on", "results", "text")

    def __init__(self) -> None:
        self.text: str | msgspec.UnsetType | None = msgspec.UNSET
        self.error: str | None = None
        self.results = 0
        self.goes_on = False


class GraphQl(Dialect):
    """GraphQL over WebSocket: a request is an operation, answered once it is complete."""

    name = "graphql"
    default_path = "/graphql"
    subprotocols = ("graphql-transport-ws",)
    establishes = True
    ordered = False
    forbidding_close_codes = frozenset({1008, 4400, 4401, 4406, 4409, 4429, 4500})

    query: ClassVar[str] = "query ($text: String!) { echo(text: $text) }"
    variables: ClassVar[str] = '{"text": "$text"}'
    text: ClassVar[str] = AUTO
    listen: ClassVar[str] = ""
    listen_variables: ClassVar[str] = "{}"
    push_text: ClassVar[str] = ""
    push_number: ClassVar[str] = ""
    auth_field: ClassVar[str] = "Authorization"
    ping_s: ClassVar[float] = 0

    options = (
        DialectOption(
            "query",
            Operation(("query", "mutation", "subscription")),
            "Operation of each request. The results of a subscription are the parts of a streamed answer.",
        ),
        DialectOption(
            "variables", Text("JSON"), "Variables of this operation, with the fields of a Template."
        ),
        text_option("the data"),
        DialectOption(
            "listen",
            Operation(("subscription",), optional=True),
            "Subscription that each connection opens; its results are pushes.",
        ),
        DialectOption(
            "listen-variables", Text("JSON"), "Variables of this operation, with the fields of a Template."
        ),
        *push_options("the data of pushes"),
        DialectOption(
            "auth-field",
            Text("NAME"),
            "Field of the connection_init payload that carries the token of --ws-token, as `Bearer TOKEN` "
            "if it is Authorization. Empty: the token is sent in the header Authorization.",
        ),
        DialectOption(
            "ping-s", Number(0.1, 3_600, "seconds", metavar="SECONDS", or_zero=True), "Seconds between pings."
        ),
    )

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.pushes = bool(cls.listen)
        cls.heartbeat_s = cls.ping_s or None

    def __init__(self, *, path: str | None = None) -> None:
        super().__init__(path=path)
        self._kind = kind_of(self.query) or "query"
        self._head = f'"type":"subscribe","payload":{{"query":{json.dumps(self.query)},"variables":'
        self._variables = option_template("variables", self.variables, self.variables)
        self._listening = option_template("listen-variables", self.listen_variables, self.listen_variables)
        self._in_parts = self._kind == "subscription"
        self._streamed = StreamedTexts(self.text)

    # What the client says.

    def endpoint(self, session: DialectSession) -> Endpoint:
        endpoint = super().endpoint(session)
        return msgspec.structs.replace(endpoint, headers=()) if self.auth_field else endpoint

    def greeting(self, session: DialectSession) -> Iterable[Data]:
        session.memory["answers"] = {}  # what the last connection did not finish never ends
        if not (self.auth_field and session.token):
            return ('{"type":"connection_init"}',)
        bearer = "Bearer " if self.auth_field.lower() == "authorization" else ""
        payload = {self.auth_field: f"{bearer}{session.token}"}
        return (json.dumps({"type": "connection_init", "payload": payload}),)

    def request(self, session: DialectSession, sequence: int) -> Request:
        variables = self._variables(session, sequence)
        session.memory.get("answers", {}).pop(str(sequence), None)  # of results that came unasked
        return Request(f'{{"id":"{sequence}",{self._head}{variables}}}}}', name=self._kind)

    def heartbeat(self, session: DialectSession) -> str:
        return _PING

    def probe(self, session: DialectSession) -> str:
        return _PING

    # What the server says.

    def read(self, session: DialectSession, data: Data) -> Read:
        try:
            message = _decode(text_only(data))
        except MALFORMED:
            return unreadable(data)
        match message.type:
            case "next" | "error" | "complete" if message.id is not None:
                if message.id == LISTEN:
                    return self._heard(session, message, data)
                return self._answered(session, message.id, message, data)
            case "connection_ack":
                return [Established(), *self._listen(session)]
            case "ping":
                return Send(_PONG)
            case "pong":
                return None
        return unreadable(data)

    def _listen(self, session: DialectSession) -> Iterable[Send]:
        """Return the message that opens the subscription of `listen`; it must follow the server's ack."""
        if self.listen:
            variables = json.loads(self._listening(session, 0))
            payload = {"query": self.listen, "variables": variables}
            yield Send(json.dumps({"id": LISTEN, "type": "subscribe", "payload": payload}))

    def _heard(self, session: DialectSession, message: _Message, data: Data) -> Incoming:
        if message.type == "complete":
            return Failed(LISTEN, "the server completed the subscription of listen")
        error = error_of(message)
        if message.type == "error":
            return Failed(LISTEN, f"subscription of listen: {error or NO_WORDS}")
        if not isinstance(message.payload, Mapping):
            return unreadable(data)
        error = error or _flaw_of(message.payload)
        if error is not None:
            return Failed(LISTEN, f"subscription of listen: {error}")
        return pushed(message.payload.get("data"), self.push_text, self.push_number)

    def _answered(self, session: DialectSession, number: str, message: _Message, data: Data) -> Read:
        answers: dict[str, _Answer] = session.memory.setdefault("answers", {})
        if message.type == "complete":
            return self._completed(session, number, answers.pop(number, None))
        error = error_of(message)
        if message.type == "error":
            answers.pop(number, None)
            return Failed(number, error or NO_WORDS)
        if not isinstance(message.payload, Mapping):
            return unreadable(data)
        if number not in answers and len(answers) >= MAX_ANSWERS:
            answers.pop(next(iter(answers)))
        answer = answers.setdefault(number, _Answer())
        goes_on, answer.goes_on = answer.goes_on, message.payload.get("hasNext") is True
        answer.error = answer.error or error
        if not goes_on:
            answer.error = answer.error or _flaw_of(message.payload)
            self._result(session, answer, message.payload.get("data"))
        return StreamPart(number)

    def _result(self, session: DialectSession, answer: _Answer, data: Any) -> None:
        """Add a result to an answer; a query has one, which may come in several parts."""
        answer.results += 1
        if not self._in_parts:
            if answer.results > 1:
                answer.error = answer.error or f"more than one result for a {self._kind}"
            answer.text = checked_text(session, data, self.text)
            return
        piece = self._piece(data)
        if piece is not None:
            answer.text = f"{answer.text or ''}{piece}"[:LONGEST_ANSWER]

    def _piece(self, data: Any) -> str | None:
        """Return the piece of text in one result of a stream; None if it has none."""
        if self.text == AUTO:
            found = list(_texts(data))
            return found[0] if len(found) == 1 else None
        piece = value_at(data, path_of(self.text)) if self.text else None
        return piece if isinstance(piece, str) else None

    def _completed(self, session: DialectSession, number: str, answer: _Answer | None) -> Reply | Failed:
        if answer is None:
            return Failed(number, "the server completed the operation without a result")
        if answer.error is not None:
            return Failed(number, answer.error)
        if not self._in_parts:
            return Reply(number, answer.text)
        joined = answer.text if isinstance(answer.text, str) else None
        return Reply(number, self._streamed.checked(session, joined))


def error_of(message: _Message) -> str | None:
    """Return the text of a message's first error, None if it has none."""
    errors = message.payload.get("errors") if isinstance(message.payload, Mapping) else message.payload
    if errors is None or errors == []:
        return None
    return words_of(errors[0] if isinstance(errors, list) else errors)


def _flaw_of(payload: Mapping[str, Any]) -> str | None:
    """Return the problem of a result without errors, None if there is none."""
    return "a result with neither data nor errors" if payload.get("data") is None else None


def _texts(data: Any, depth: int = 0) -> Iterator[str]:
    """Yield the texts in the data of a result, except for type names (`__typename`)."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict | list) and depth < MAX_DEPTH:
        inside = data.items() if isinstance(data, dict) else enumerate(data)
        for name, value in inside:
            if name != "__typename":
                yield from _texts(value, depth + 1)
