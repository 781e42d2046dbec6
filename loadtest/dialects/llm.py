"""`llm`: streamed answers of a language model, by OpenAI's Realtime API and compatible servers.

    <- {"type":"session.created","session":{…}}
    -> {"type":"session.update","session":{…}}                   with the option `session`
    <- {"type":"session.updated","session":{…}}
    -> {"type":"conversation.item.create","event_id":"item-7","item":{"id":"item-7","role":"user",…}}
    <- {"type":"conversation.item.added","item":{"id":"item-7",…}}
    -> {"type":"response.create","event_id":"response-7","response":{"metadata":{"sequence":"7"}}}
    <- {"type":"response.created","response":{"id":"resp_1","metadata":{…}}}

    <- {"type":"response.output_text.delta","response_id":"resp_1","delta":"…"}     repeatedly
    <- {"type":"response.output_text.done","response_id":"resp_1","text":"…"}
    <- {"type":"response.done","response":{"id":"resp_1","status":"completed",…}}
    <- {"type":"error","error":{"message":…,"code":…,"event_id":"response-7"}}

A conversation has one response at a time, so a message that falls due during a response waits. A model would
answer the newest message, so the response to an older one refers to it:
`"input":[{"type":"item_reference","id":"item-7"}]`. With `conversation=none` each request is a separate
`response.create`, outside the conversation.

Source: https://platform.openai.com/docs/api-reference/realtime, and the types of the package `openai`.
"""

import json
from collections import deque
from collections.abc import Iterable, Iterator
from typing import ClassVar, Final

import msgspec
from msgspec import UNSET

from loadtest.dialects.base import (
    EXCERPT_LENGTH,
    MALFORMED,
    AuthRequired,
    Dialect,
    Established,
    Failed,
    Incoming,
    Read,
    Reply,
    StreamPart,
    unreadable,
)
from loadtest.dialects.dialect_options import DialectOption
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.templates import option_template
from loadtest.events import Data, Endpoint, Send
from loadtest.text import one_line
from loadtest.values import Choice, Flag, Text

MAX_RESPONSES: Final = 1_000
"""Unfinished responses of a session that are kept; the oldest is forgotten first."""

LONGEST_ANSWER: Final = 4 * 2**20
"""Characters of an answer that are kept until its end."""

KEY: Final = "openai-insecure-api-key."
"""Begins the subprotocol that holds a token, for browsers."""

MAX_PARTS: Final = 1_000
"""Parts of an answer that are kept."""

_TEXTS = frozenset({"output_text", "text", "output_audio_transcript", "audio_transcript"})
"""Kinds of content whose deltas are text: of today's interface, and of its beta."""


class _Content(msgspec.Struct):
    type: str = ""
    text: str | None = None
    transcript: str | None = None

    @property
    def words(self) -> str:
        """The text, empty if there is none."""
        return (self.transcript if self.text is None else self.text) or ""


class _Item(msgspec.Struct):
    id: str | None = None
    type: str = ""
    content: list[_Content] | str | None = None

    @property
    def contents(self) -> list[_Content]:
        """Its content; some servers send a text instead of a list."""
        said = self.content or []
        return [_Content(text=said)] if isinstance(said, str) else said

    @property
    def is_empty(self) -> bool:
        """Whether it is a message without a text, or audio."""
        return self.type == "message" and not any(
            content.words or "audio" in content.type for content in self.contents
        )


class _Error(msgspec.Struct):
    message: str | None = None
    code: str | None = None
    event_id: str | None = None

    def __str__(self) -> str:
        code = f" ({one_line(self.code, EXCERPT_LENGTH // 2)})" if self.code else ""
        return f"{one_line(self.message or 'an error without a message', EXCERPT_LENGTH)}{code}"


class _Status(msgspec.Struct):
    reason: str | None = None
    error: _Error | None = None


class _Response(msgspec.Struct):
    id: str | None = None
    status: str | None = None
    status_details: _Status | None = None
    metadata: dict[str, str] | None = None
    output: list[_Item] | None = None

    @property
    def texts(self) -> list[str]:
        """The texts of its output that are not empty."""
        items = self.output or ()
        return [content.words for item in items for content in item.contents if content.words]


class _Event(msgspec.Struct):
    """The fields used here, of all events of the server; other fields are ignored."""

    type: str
    item: _Item | None = None
    response: _Response | None = None
    response_id: str | None = None
    delta: str | None = None
    text: str | None = None
    transcript: str | None = None
    output_index: int = 0
    content_index: int = 0
    error: _Error | None = None


_decode = msgspec.json.Decoder(_Event).decode


class _Answer:
    """An unfinished response.

    Attributes:
        sequence: number of its request; None for the oldest outstanding one.
        parts: its texts so far, by output and content.
        length: of them all.
        flaw: the problem with it, for people.
    """

    __slots__ = ("flaw", "length", "parts", "sequence")

    def __init__(self, sequence: int | str | None) -> None:
        self.sequence = sequence
        self.parts: dict[tuple[int, int], str] = {}
        self.length = 0
        self.flaw = ""

    def add(self, event: _Event) -> None:
        """Add the text of a delta, as long as there is room."""
        piece = event.delta or ""
        self.length += len(piece)
        at = event.output_index, event.content_index
        if self.length <= LONGEST_ANSWER and (at in self.parts or len(self.parts) < MAX_PARTS):
            self.parts[at] = self.parts.get(at, "") + piece

    def finish(self, event: _Event, whole: str) -> None:
        """Compare a text with its deltas."""
        self._compare(self.parts.get((event.output_index, event.content_index), ""), whole, event.type)

    def end(self, response: _Response) -> None:
        """Compare the texts of `response.done`, if there are any, with all deltas."""
        if response.texts and not self.flaw:
            self._compare("".join(self.texts), "".join(response.texts), "response.done")

    def _compare(self, joined: str, whole: str, kind: str) -> None:
        if self.length <= LONGEST_ANSWER and joined != whole:
            self.flaw = (
                f"the deltas do not match the text of {one_line(kind, 60)}: "
                f"{len(joined):,} of {len(whole):,} characters"
            )

    @property
    def texts(self) -> list[str]:
        """Its texts, in the order of the output."""
        return [self.parts[at] for at in sorted(self.parts)]


class _Conversation:
    """The state of the conversation on a connection.

    Attributes:
        established: whether the session is.
        newest: number of the newest message.
        waiting: requests whose item is in the conversation, but whose response has not been requested.
        active: the request that is being answered in the conversation; None if there is none.
        answers: unfinished responses by id.
    """

    __slots__ = ("active", "answers", "established", "newest", "waiting")

    def __init__(self) -> None:
        self.established = False
        self.newest = -1
        self.waiting: deque[int] = deque(maxlen=MAX_RESPONSES)
        self.active: int | None = None
        self.answers: dict[str, _Answer] = {}

    def created(self, response_id: str, metadata: dict[str, str] | None) -> None:
        """Record a response that begins."""
        if len(self.answers) >= MAX_RESPONSES:
            self.answers.pop(next(iter(self.answers)))
        self.answers[response_id] = _Answer((metadata or {}).get("sequence", self.active))


class Llm(Dialect):
    """A language model that streams its answers: a request is a message of the user."""

    name = "llm"
    default_path = "/v1/realtime"
    establishes = True
    ordered = False

    prompt: ClassVar[str] = "$text"
    session: ClassVar[str] = ""
    conversation: ClassVar[str] = "auto"
    repeats: ClassVar[bool] = False
    login_by: ClassVar[str] = "header"

    options = (
        DialectOption("prompt", Text(), "The user's message, with the fields of a Template."),
        DialectOption(
            "session",
            Text("JSON"),
            "Session to configure first with session.update, with the fields of a Template. Empty: none.",
        ),
        DialectOption(
            "conversation",
            Choice(("auto", "none")),
            "auto: requests are messages of one conversation, and each waits for the response to the last. "
            "none: each request is a response.create outside the conversation, and several may run at a "
            "time.",
        ),
        DialectOption(
            "repeats",
            Flag(),
            "Whether each answer repeats the text of its request, as a mock model does. Otherwise only "
            "texts of other sessions are errors.",
        ),
        DialectOption(
            "login-by",
            Choice(("header", "subprotocol")),
            f"Where to send the token of --ws-token: in the header Authorization, or as browsers do in a "
            f"subprotocol, {KEY}TOKEN.",
        ),
    )

    def __init__(self, *, path: str | None = None) -> None:
        super().__init__(path=path)
        written = json.dumps(self.prompt, ensure_ascii=False)
        self._prompt = option_template("prompt", written, self.prompt)
        self._session = option_template("session", self.session or "{}", self.session)

    # What the client says.

    def endpoint(self, session: DialectSession) -> Endpoint:
        endpoint = super().endpoint(session)
        if self.login_by == "header" or not session.token:
            return endpoint
        offered = ("realtime", f"{KEY}{session.token}")
        return msgspec.structs.replace(endpoint, headers=(), subprotocols=offered)

    def greeting(self, session: DialectSession) -> Iterable[Data]:
        session.memory["conversation"] = _Conversation()
        return ()

    def request(self, session: DialectSession, sequence: int) -> str:
        content = f'[{{"type":"input_text","text":{self._prompt(session, sequence)}}}]'
        item = f'{{"type":"message","role":"user","content":{content}}}'
        if self.conversation == "auto":
            _now(session).newest = sequence
            return (
                f'{{"type":"conversation.item.create","event_id":"item-{sequence}",'
                f'"item":{{"id":"item-{sequence}",{item[1:]}}}'
            )
        return _response_create(sequence, f',"conversation":"none","input":[{item}]')

    # What the server says.

    def read(self, session: DialectSession, data: Data) -> Read:
        try:
            event = _decode(data)
        except MALFORMED:
            return unreadable(data)
        return list(self._meaning(session, _now(session), event))

    def _meaning(self, session: DialectSession, now: _Conversation, event: _Event) -> Iterator[Incoming]:
        match event.type:
            case "session.created" if self.session:
                yield Send(f'{{"type":"session.update","session":{self._session(session, 0)}}}')
            case "session.created" | "session.updated":
                if not now.established:
                    now.established = True
                    yield Established()
            case "conversation.item.added" | "conversation.item.created" if event.item is not None:
                sequence = _sequence_of(event.item.id, "item-")
                if sequence is not None and sequence not in now.waiting:
                    now.waiting.append(sequence)
                    yield from self._next(now)
            case "error":
                yield from self._error(now, event.error or _Error())
            case "response.created" if event.response is not None and event.response.id is not None:
                now.created(event.response.id, event.response.metadata)
            case "response.done":
                yield from self._done(session, now, event.response or _Response())
            case _ if event.response_id is not None:
                yield from self._content(now.answers.get(event.response_id), event)

    def _next(self, now: _Conversation) -> Iterator[Send]:
        """Request the response to the next message of the conversation, if none is in progress."""
        if now.active is None and now.waiting:
            now.active = now.waiting.popleft()
            item = f'{{"type":"item_reference","id":"item-{now.active}"}}'
            yield Send(_response_create(now.active, f',"input":[{item}]' if now.active < now.newest else ""))

    def _content(self, answer: _Answer | None, event: _Event) -> Iterator[StreamPart]:
        _, _, kind = event.type.partition(".")
        kind, _, what = kind.rpartition(".")
        if answer is None:
            if what == "delta":
                yield StreamPart(_unknown(event.response_id))
            return
        if what == "delta":
            if kind in _TEXTS:
                answer.add(event)
            yield StreamPart(answer.sequence)
        whole = event.transcript if event.text is None else event.text
        if what == "done" and kind in _TEXTS and whole is not None:
            answer.finish(event, whole)

    def _done(self, session: DialectSession, now: _Conversation, response: _Response) -> Iterator[Incoming]:
        answer = now.answers.pop(response.id or "", None)
        if answer is None:
            yield Failed(
                _unknown(response.id), "response.done for a response that was not created on this connection"
            )
            return
        yield self._outcome(session, answer, response)
        if now.active is not None and str(answer.sequence) == str(now.active):
            now.active = None
        yield from self._next(now)

    def _outcome(self, session: DialectSession, answer: _Answer, response: _Response) -> Reply | Failed:
        if response.status not in ("completed", None):
            details = response.status_details or _Status()
            why = details.error or one_line(details.reason or "no reason given", EXCERPT_LENGTH)
            return Failed(answer.sequence, f"response {one_line(response.status, 20)}: {why}")
        said = "\n".join(answer.texts)
        for text in (said, "\n".join(response.texts)):
            if session.marker.is_foreign(text):
                return Reply(answer.sequence, text)
        answer.end(response)
        if answer.flaw:
            return Failed(answer.sequence, answer.flaw)
        if not answer.length and all(item.is_empty for item in response.output or ()):
            return Failed(answer.sequence, "response completed without any output")
        return Reply(answer.sequence, said if self.repeats else UNSET)

    def _error(self, now: _Conversation, error: _Error) -> Iterator[Incoming]:
        if not now.established:
            yield AuthRequired(str(error))
            return
        created = _sequence_of(error.event_id, "response-")
        sequence = _sequence_of(error.event_id, "item-") if created is None else created
        yield Failed("no request" if sequence is None else sequence, str(error))
        if created is not None and created == now.active:
            now.active = None
            yield from self._next(now)


def _now(session: DialectSession) -> _Conversation:
    """Return the state of the conversation on the session's connection."""
    now: _Conversation = session.memory.setdefault("conversation", _Conversation())
    return now


def _unknown(response_id: str | None) -> str:
    """Return a name for a response that was not created on this connection; it matches no request."""
    return f"response {one_line(response_id or 'without an id', 40)}"


def _response_create(sequence: int, more: str = "") -> str:
    metadata = f'"metadata":{{"sequence":"{sequence}"}}'
    return f'{{"type":"response.create","event_id":"response-{sequence}","response":{{{metadata}{more}}}}}'


def _sequence_of(said: str | None, prefix: str) -> int | None:
    """Return the request's number in an id assigned by the client; None for other ids."""
    digits = said.removeprefix(prefix) if said is not None and said.startswith(prefix) else ""
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < len(str(2**53)) else None
