"""`jsonrpc`: JSON-RPC 2.0, in both directions.

    -> {"jsonrpc":"2.0","id":7,"method":"echo","params":{"text":…}}     a call, or a batch: an array of calls
    <- {"jsonrpc":"2.0","id":7,"result":{"text":…}}                     its response; they overtake each other
    <- {"jsonrpc":"2.0","id":7,"error":{"code":-32603,"message":…}}
    <- {"jsonrpc":"2.0","method":"news","params":{…}}                   a notification
    <- {"jsonrpc":"2.0","id":1,"method":"ask","params":{…}}             a call of the server; it is answered

Source: https://www.jsonrpc.org/specification
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Final

import msgspec
from msgspec import UNSET, UnsetType

from loadtest.dialects.base import (
    EXCERPT_LENGTH,
    MALFORMED,
    MAX_RECORDS,
    AuthRequired,
    Dialect,
    Established,
    Failed,
    Incoming,
    Read,
    Reply,
    text_only,
    too_many,
    unreadable,
)
from loadtest.dialects.checked_fields import AUTO, checked_text, push_options, pushed, text_option
from loadtest.dialects.dialect_options import DialectOption
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.templates import option_template
from loadtest.errors import InvalidSetting
from loadtest.events import Data, Send
from loadtest.text import one_line
from loadtest.values import Choice, Text, Whole

LOGIN: Final = "login"
"""Id of the call that opens a session."""

MAX_BATCH: Final = 100
"""Calls of a batch: they are one request, whose latency is that of the slowest."""

METHOD_NOT_FOUND: Final = -32601

VERSION: Final = "2.0"

UNVERSIONED: Final = '"jsonrpc" is not "2.0"'

Id = int | float | str | None


class _Error(msgspec.Struct):
    message: str = "an error without a message"
    code: int | None = None

    def __str__(self) -> str:
        code = "" if self.code is None else f" ({one_line(str(self.code), EXCERPT_LENGTH // 2)})"
        return f"{one_line(self.message, EXCERPT_LENGTH)}{code}"


class _Message(msgspec.Struct):
    """A response, a notification or a call."""

    jsonrpc: Any = None
    id: Id | UnsetType = UNSET
    method: str | None = None
    params: Any = None
    result: Any = UNSET
    error: _Error | None = None

    @property
    def is_response(self) -> bool:
        """Whether it has an id, and a result or an error."""
        return self.id is not UNSET and (self.error is not None or self.result is not UNSET)


_decode = msgspec.json.Decoder(_Message | list[_Message]).decode


class JsonRpc(Dialect):
    """JSON-RPC 2.0: a request is a call, or a batch of calls."""

    name = "jsonrpc"
    ordered = False
    pushes = True

    method: ClassVar[str] = "echo"
    params: ClassVar[str] = '{"text": "$text"}'
    text: ClassVar[str] = AUTO
    ids: ClassVar[str] = "int"
    batch: ClassVar[int] = 1
    login_method: ClassVar[str] = ""
    login_params: ClassVar[str] = "{}"
    push_text: ClassVar[str] = ""
    push_number: ClassVar[str] = ""
    answer: ClassVar[str] = "null"

    options = (
        DialectOption("method", Text("NAME"), "Method that each request calls."),
        DialectOption("params", Text("JSON"), "Parameters of this method, with the fields of a Template."),
        text_option("the result"),
        DialectOption("ids", Choice(("int", "string")), "Type of the ids of calls."),
        DialectOption(
            "batch", Whole(1, MAX_BATCH, "calls"), "Number of calls in each request, sent as a batch."
        ),
        DialectOption(
            "login-method",
            Text("NAME"),
            "Method to call first on each connection. Its result establishes the session. Empty: none.",
        ),
        DialectOption(
            "login-params", Text("JSON"), "Parameters of this method, with the fields of a Template."
        ),
        *push_options("the parameters of notifications"),
        DialectOption(
            "answer", Text("JSON"), "Result to return for calls from the server. Empty: return an error."
        ),
    )

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.establishes = bool(cls.login_method)

    def __init__(self, *, path: str | None = None) -> None:
        super().__init__(path=path)
        self._params = option_template("params", self.params, self.params)
        self._login_params = option_template("login-params", self.login_params, self.login_params)
        self._call = f'"method":{json.dumps(self.method)},"params":'
        self._quote = '"' if self.ids == "string" else ""
        self._answer = _answer(self.answer)

    # What the client says.

    def greeting(self, session: DialectSession) -> Iterable[Data]:
        if not self.login_method:
            return ()
        params = self._login_params(session, 0)
        method = json.dumps(self.login_method)
        return (f'{{"jsonrpc":"2.0","id":"{LOGIN}","method":{method},"params":{params}}}',)

    def request(self, session: DialectSession, sequence: int) -> str:
        params = self._params(session, sequence)
        first = sequence * self.batch
        calls = [self._written(number, params) for number in range(first, first + self.batch)]
        return calls[0] if self.batch == 1 else f"[{','.join(calls)}]"

    def _written(self, number: int, params: str) -> str:
        return f'{{"jsonrpc":"2.0","id":{self._quote}{number}{self._quote},{self._call}{params}}}'

    # What the server says.

    def read(self, session: DialectSession, data: Data) -> Read:
        try:
            message = _decode(text_only(data))
        except MALFORMED:
            return unreadable(data)
        if isinstance(message, _Message):
            return list(self._meaning(session, message, data))
        if len(message) > MAX_RECORDS:
            raise too_many(f"{len(message):,}")
        return list(self._of_batch(session, message, data)) or unreadable(data)

    def _meaning(self, session: DialectSession, message: _Message, data: Data) -> Iterator[Incoming]:
        if message.method is None and not message.is_response:
            yield unreadable(data)
        elif message.jsonrpc != VERSION:
            yield Failed(self._request_of(message), UNVERSIONED)
        elif message.method is not None:
            yield from self._called(message)
        elif message.id == LOGIN and self.login_method:
            yield AuthRequired(str(message.error)) if message.error else Established()
        elif self.batch > 1 and _whole(message.id) is not None:
            yield Failed(self._request_of(message), "the response to a batch is not an array")
        elif message.error is not None:
            yield Failed(self._request_of(message), str(message.error))
        else:
            yield Reply(self._request_of(message), checked_text(session, message.result, self.text))

    def _request_of(self, message: _Message) -> str | int | None:
        """Return the request that a message answers; an id of another type belongs to none.

        Only an error may have the id null: the answer to a call that the server could not read.
        """
        if message.method is not None:
            return "no request"
        number = message.id
        if number is None and message.error is not None:
            return None
        whole = _whole(number)
        if self.batch > 1 and whole is not None:
            return whole // self.batch
        sent = str if self.ids == "string" else int
        return (
            number
            if isinstance(number, str | int) and type(number) is sent
            else f"id {one_line(repr(number), 40)}"
        )

    def _called(self, message: _Message) -> Iterator[Incoming]:
        if message.id is not UNSET:
            yield Send(f'{{"jsonrpc":"2.0","id":{json.dumps(message.id)},{self._answer}}}')
        yield pushed(message.params, self.push_text, self.push_number)

    def _of_batch(self, session: DialectSession, messages: list[_Message], data: Data) -> Iterator[Incoming]:
        """Yield the meanings of the messages in an array, with one result for the responses to a request."""
        responses: defaultdict[int, list[_Message]] = defaultdict(list)
        for message in messages:
            number = _whole(message.id)
            if self.batch > 1 and message.method is None and number is not None:
                responses[number // self.batch].append(message)
            elif message.method is None and message.is_response and (self.batch == 1 or message.id == LOGIN):
                yield Failed(self._request_of(message), "the response to a single call is in an array")
            else:
                yield from self._meaning(session, message, data)
        for sequence, found in responses.items():
            yield self._whole_batch(session, sequence, found)

    def _whole_batch(self, session: DialectSession, sequence: int, found: list[_Message]) -> Reply | Failed:
        """Return the result of a batch: its first error, else its first wrong text."""
        if any(message.jsonrpc != VERSION for message in found):
            return Failed(sequence, UNVERSIONED)
        error = next((message.error for message in found if message.error is not None), None)
        if error is not None:
            return Failed(sequence, str(error))
        answered = len({_whole(message.id) for message in found})
        if answered < self.batch or len(found) > self.batch:
            return Failed(sequence, f"{len(found)} responses to {answered} of {self.batch} calls of a batch")
        texts = [checked_text(session, message.result, self.text) for message in found]
        sent = session.text(sequence)
        wrong = (text for text in texts if text is not UNSET and (text is None or sent not in str(text)))
        return Reply(sequence, next(wrong, texts[0]))


def _whole(number: Id | UnsetType) -> int | None:
    """Return the id of a call in a batch as a number, None for any other id."""
    text = str(number) if isinstance(number, str | int) else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < len(str(2**63)) else None


def _answer(answer: str) -> str:
    """Return the `result` or `error` member of responses to the server's calls."""
    if not answer:
        return f'"error":{{"code":{METHOD_NOT_FOUND},"message":"Method not found"}}'
    try:
        return f'"result":{json.dumps(json.loads(answer))}'
    except ValueError as error:
        raise InvalidSetting("--ws-dialect-option answer", answer, f"must be JSON ({error})") from None
