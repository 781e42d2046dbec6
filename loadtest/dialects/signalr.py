"""`signalr`: the JSON hub protocol of ASP.NET Core SignalR. Each record ends with U+001E.

    POST …/negotiate                                    a connection token, unless negotiate=off
    -> {"protocol":"json","version":1}                  <- {} or {"error":…}
    -> {"type":1,"invocationId":"7","target":"Send","arguments":[…]}       an invocation
    -> {"type":4,…}                                     the same, with a streamed answer
    <- {"type":2,"invocationId":"7","item":…}           an item of a stream
    <- {"type":3,"invocationId":"7","result":…}         a completion, with a result or an error
    <- {"type":1,"target":"ReceiveMessage","arguments":[…]}                the server calls the client

    <> {"type":6}                                       pings, in both directions; they have no answer
    <- {"type":7,"error":…,"allowReconnect":…}          the server closes the connection

Source: HubProtocol.md and TransportProtocols.md in the repository of ASP.NET Core (src/SignalR/docs/specs).
"""

import json
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote

import msgspec
from msgspec import UNSET

from loadtest.dialects import login_http
from loadtest.dialects.base import (
    MALFORMED,
    MAX_RECORDS,
    SESSION,
    AuthRequired,
    Dialect,
    Established,
    Failed,
    Incoming,
    Read,
    Reply,
    Request,
    StreamPart,
    filled,
    listed_meanings,
    too_many,
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
from loadtest.dialects.dialect_options import OPTION, DialectOption, refuse_option
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.dotted_paths import marked_text, path_of, value_at, words_of
from loadtest.dialects.templates import names_of, option_template
from loadtest.errors import LoginFailed
from loadtest.events import Data, Endpoint, Send
from loadtest.values import Choice, Flag, Text, seconds

END: Final = "\x1e"
"""Ends each record."""

LONGEST_ANSWER: Final = 4 * 2**20
"""Characters of a streamed answer that are kept until its end."""


class _Message(msgspec.Struct):
    """The fields used here, of all messages; other fields are ignored."""

    type: int | None = None
    invocationId: str | None = None  # noqa: N815  # the protocol's
    target: str = ""
    arguments: list[Any] = []
    item: Any = None
    result: Any = None
    error: str | None = None


class _Negotiated(msgspec.Struct):
    """The response to a negotiation."""

    connectionToken: str | None = None  # noqa: N815  # the protocol's
    connectionId: str | None = None  # noqa: N815  # the protocol's
    error: str | None = None
    url: str | None = None


_decode = msgspec.json.Decoder(_Message).decode
_decode_negotiated = msgspec.json.Decoder(_Negotiated).decode


class SignalR(Dialect):
    """ASP.NET Core SignalR: a request invokes a method of the hub, its reply is the completion."""

    name = "signalr"
    default_path = "/hub"
    establishes = pushes = True
    ordered = False
    heartbeat_s: float | None = 15.0  # type: ignore[misc]  # of a class with this option

    target = "Send"
    arguments = '["$text"]'
    stream = False
    reply = "completion"
    text = AUTO
    push_text = push_number = ""
    negotiate = True
    login_by = "header"

    options = (
        DialectOption("target", Text("METHOD"), "Method of the hub that each request invokes."),
        DialectOption(
            "arguments", Text("JSON"), "Arguments of this method: an array with the fields of a Template."
        ),
        DialectOption("stream", Flag(), "Whether the method streams its answer."),
        DialectOption(
            "reply",
            Text("completion|METHOD"),
            "What counts as the reply to a request: its completion, or the server's call to this client "
            "method with its text.",
        ),
        text_option("the result, or of each item of a stream,"),
        *push_options("the first argument of other calls"),
        DialectOption("ordered", Flag(), "Whether replies arrive in the order of their requests."),
        DialectOption(
            "negotiate", Flag(), "Whether sessions begin with POST PATH/negotiate, as clients do by default."
        ),
        DialectOption(
            "login-by",
            Choice(("header", "query"), "header|query"),
            "Where to send the token of --ws-token. query: in access_token, as browsers do.",
        ),
        DialectOption("heartbeat-s", seconds(0.1, 3600), "Seconds between the client's pings."),
    )

    def __init__(self, *, path: str | None = None) -> None:
        super().__init__(path=path)
        self._check_options()
        self._arguments = option_template("arguments", self.arguments, self.arguments)
        self._head = f'{{"type":{4 if self.stream else 1},"target":{json.dumps(self.target)},"arguments":'
        self._completes = self.reply == "completion"
        self._text = path_of(self.text)
        self._streamed = StreamedTexts(self.text)

    def _check_options(self) -> None:
        """Refuse options that cannot work with any server."""
        given, reply = self.arguments, self.reply
        refuse_option("target", self.target, "must not be empty", unless=self.target)
        refuse_option("reply", reply, "must not be empty", unless=reply)
        completes = reply == "completion"
        refuse_option("stream", "on", f"must be off with reply={reply}", unless=completes or not self.stream)
        refuse_option("arguments", given, "must be an array", unless=given.lstrip()[:1] == "[")
        is_checked = not completes or self.text not in ("", AUTO)
        problem = "must have $text: it is needed to recognise and check replies"
        refuse_option("arguments", given, problem, unless=not is_checked or "text" in names_of(given))

    def message_templates(self) -> Iterable[tuple[str, Any]]:
        return [(f"{OPTION} arguments", self._arguments)]

    # What the client says.

    async def login(self, session: DialectSession) -> None:
        if self.negotiate:
            session.memory["connection"] = await session.blocking(self._negotiate, session)

    def endpoint(self, session: DialectSession) -> Endpoint:
        query = [f"id={quote(session.memory['connection'], safe='')}"] if self.negotiate else []
        if session.token and self.login_by == "query":
            query.append(f"access_token={quote(session.token, safe='')}")
        headers = () if self.login_by == "query" else super().endpoint(session).headers
        return Endpoint(path=_with_query(filled(self.path, session), query), headers=headers)

    def greeting(self, session: DialectSession) -> Iterable[Data]:
        session.memory["shaken"], session.memory["answers"] = False, {}
        return (f'{{"protocol":"json","version":1}}{END}',)

    def request(self, session: DialectSession, sequence: int) -> Data | Request:
        number = f',"invocationId":"{sequence}"' if self._completes else ""
        return f"{self._head}{self._arguments(session, sequence)}{number}}}{END}"

    def heartbeat(self, session: DialectSession) -> Data:
        return f'{{"type":6}}{END}'

    def _negotiate(self, session: DialectSession) -> str:
        path, question, query = filled(self.path, session).partition("?")
        address = _with_query(f"{path.rstrip('/')}/negotiate{question}{query}", ["negotiateVersion=1"])
        bearer = {"Authorization": f"Bearer {session.token}"} if session.token else {}
        answer = login_http.ask(session, "POST", address, body="", headers=bearer)
        try:
            said = _decode_negotiated(answer.text)
        except MALFORMED:
            said = _Negotiated()
        if answer.status != login_http.OK or said.error:
            raise LoginFailed(f"negotiate: {said.error or answer}")
        if said.url:
            raise LoginFailed(
                "negotiate redirects to another server, such as Azure SignalR: this is not supported"
            )
        if not (token := said.connectionToken or said.connectionId):
            raise LoginFailed(f"negotiate returned no connection token: {answer}")
        return token

    # What the server says.

    def read(self, session: DialectSession, data: Data) -> Read:
        if isinstance(data, bytes):  # clients of the JSON protocol expect text
            return unreadable(data)
        if data.count(END) > MAX_RECORDS:
            raise too_many(f"{data.count(END):,}")
        *records, rest = data.split(END)
        if rest:  # a record without its end
            return unreadable(data)
        if len(records) == 1:
            return self._meaning(session, records[0])
        return [one for record in records for one in listed_meanings(self._meaning(session, record))]

    def _meaning(self, session: DialectSession, record: str) -> Read:
        try:
            message = _decode(record)
        except MALFORMED:
            return unreadable(record)
        if not session.memory.get("shaken"):
            return self._shaken(session, message, record)
        match message.type:
            case 3 if message.invocationId is not None:
                return self._completed(session, message.invocationId, message)
            case 2 if message.invocationId is not None:
                return self._item(session, message.invocationId, message.item)
            case 1:
                return self._called(session, message)
            case 6:
                return None
            case 7:
                said = f"the server closed the connection: {words_of(message.error)}"
                return Failed(SESSION, said) if message.error else None
        return unreadable(record)

    def _shaken(self, session: DialectSession, message: _Message, record: str) -> Incoming:
        """Read the response to the handshake, which has no type."""
        if message.type == 7 or message.error:
            return AuthRequired(
                f"handshake: {words_of(message.error or 'the server closed the connection', 100)}"
            )
        if message.type is not None:
            return unreadable(record)
        session.memory["shaken"] = True
        return Established()

    def _item(self, session: DialectSession, number: str, item: Any) -> StreamPart | None:
        answers: dict[str, str] = session.memory.setdefault("answers", {})
        value = item if self.text == AUTO else value_at(item, self._text)
        piece = value if isinstance(value, str) else marked_text(session, value)
        if piece and (number in answers or len(answers) < MAX_RECORDS):
            answers[number] = (answers.get(number, "") + piece)[:LONGEST_ANSWER]
        return StreamPart(number) if self._completes else None

    def _completed(self, session: DialectSession, number: str, message: _Message) -> Incoming | None:
        streamed = session.memory.setdefault("answers", {}).pop(number, None)
        if message.error is not None:
            return Failed(number, words_of(message.error))
        if not self._completes:
            return None
        if self.stream or streamed is not None:  # its items were taken from their field
            return Reply(number, self._streamed.checked(session, streamed))
        return Reply(number, checked_text(session, message.result, self.text))

    def _called(self, session: DialectSession, message: _Message) -> Read:
        answer = []
        if message.invocationId is not None:  # the server waits for a result
            identity = json.dumps(message.invocationId)
            answer.append(Send(f'{{"type":3,"invocationId":{identity},"result":null}}{END}'))
        text = None
        if not self._completes and message.target == self.reply:
            text = marked_text(session, message.arguments)
        sequence = None if text is None else session.sequence_of(text)
        if sequence is not None:
            return [*answer, Reply(sequence, text or UNSET)]
        first = message.arguments[0] if message.arguments else None
        return [*answer, pushed(first, self.push_text, self.push_number)]


def _with_query(path: str, parts: list[str]) -> str:
    if not parts:
        return path
    return f"{path}{'&' if '?' in path else '?'}{'&'.join(parts)}"
