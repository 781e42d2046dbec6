"""The base class of dialects, and the kinds of incoming messages.

A dialect logs in (`login`), returns the endpoint of an attempt (`endpoint`), creates the client's messages
(`greeting`, `request`, `heartbeat`, `probe`), and interprets the server's messages (`read`). One instance
serves all sessions of a run: the state of a session is in `DialectSession.memory`. The server's messages are
untrusted: excerpts of them are bounded.
"""

import re
from collections.abc import Iterable
from typing import Any, ClassVar, Final
from urllib.parse import quote

import msgspec
from msgspec import UNSET, Struct, UnsetType

from loadtest.dialects.dialect_options import DialectOption
from loadtest.dialects.dialect_session import DialectSession
from loadtest.errors import Flooded
from loadtest.events import Data, Endpoint, Send
from loadtest.text import one_line

Sequence = int | str | None
"""Names a request: its sequence number, the same as decimal text, or None for the oldest outstanding one."""


SESSION: Final = "the session"
"""In place of a request, in a `Failed`: the error is the session's, and answers no request."""


class Established(Struct, frozen=True, kw_only=True):
    """The server has established the session. Ids that it does not send are None.

    Args:
        session_id: id of the session, unique within the run.
        thread_id: second id of the session, which must also stay the same.

        asked_id: the session id that the client requested, if the server says that it assigned another one.
    """

    session_id: str | None = None
    thread_id: str | None = None
    asked_id: str | None = None

    def __str__(self) -> str:
        """Return the ids, for people."""
        ids = [one_line(said) for said in (self.session_id, self.thread_id) if said is not None]
        return " / ".join(ids) or "a session without an id"


class Restored(Struct, frozen=True, kw_only=True):
    """The server restores the session's history, or a part of it, oldest message first.

    Args:
        texts: texts of this session's requests; texts without a mark of this run are ignored.
        sequences: sequence numbers of this session's requests, where the server restores no texts.
        count: number of messages that the server restores, if `texts` or `sequences` list only some of them
            (those of one role, for example). Required with `history_window`.
        complete: whether this is the last part. If none is, the history ends with the first reply.
    """

    texts: tuple[str, ...] | list[str] = ()
    sequences: tuple[int, ...] | list[int] = ()
    count: int | None = None
    complete: bool = True


class Reply(Struct, frozen=True):
    """A reply, or the end of a streamed one.

    Args:
        sequence: of the request.
        text: text that must contain the request's text once. Omit it if replies do not repeat the text; None
            means that this reply should repeat it and does not.
        whole: whether the text must equal the request's text, with nothing before or after it.
    """

    sequence: Sequence
    text: str | UnsetType | None = UNSET
    whole: bool = False


class Failed(Struct, frozen=True):
    """The server answers a request with an error.

    Args:
        sequence: of the request.
        detail: the server's error message.
    """

    sequence: Sequence
    detail: str


class StreamPart(Struct, frozen=True):
    """The start or a part of a streamed reply to this request; its end is a Reply."""

    sequence: Sequence = None


class Push(Struct, frozen=True, kw_only=True):
    """A message that the server sent on its own.

    Args:
        text: checked if given: a marked text must be this session's own, and intact.
        number: counts the pushes of a connection, None if the server does not count.
        sent_at_ms: the server's clock at sending in milliseconds, None if unknown.
    """

    text: str | None = None
    number: int | None = None
    sent_at_ms: float | None = None


class AuthRequired(Struct, frozen=True):
    """The server rejects the token."""

    detail: str


class Unreadable(Struct, frozen=True):
    """A message that the dialect cannot read, with a bounded excerpt."""

    excerpt: str


Incoming = Established | Restored | Reply | Failed | StreamPart | Push | Send | AuthRequired | Unreadable

Read = Incoming | Iterable[Incoming] | None
"""What `Dialect.read` makes of one message; None if it is of no interest."""


class Request(Struct, frozen=True):
    """A request with a name, or one that gets no reply.

    Args:
        data: the message.
        name: name of this type of message, shown in errors.
        replies: whether the server replies to it.
    """

    data: Data
    name: str = ""
    replies: bool = True


def listed_meanings(read: Read) -> list[Incoming]:
    """Return the result of `read` as a list, for messages that hold several records."""
    if read is None:
        return []
    return [*read] if isinstance(read, Iterable) else [read]


EXCERPT_LENGTH = 120

_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")

MALFORMED = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What msgspec raises for untrusted JSON: wrong types, bad encoding, too deep nesting."""


def unreadable(data: Data) -> Unreadable:
    """Return an Unreadable with an excerpt of the message."""
    return Unreadable(excerpt(data))


def text_only(data: Data) -> str:
    """Return a message of a text protocol.

    Raises:
        UnicodeError: it is binary, which clients of such a protocol cannot read.
    """
    if isinstance(data, str):
        return data
    raise UnicodeError("a binary message")


def excerpt(data: Data) -> str:
    """Return the beginning of a message on one line, binary data as Python writes bytes."""
    text = data if isinstance(data, str) else repr(bytes(data[:EXCERPT_LENGTH]))
    return one_line(text, EXCERPT_LENGTH)


MAX_RECORDS = 5_000
"""Records that one message may hold. They are handled together, which takes up to 0.1 s: no other session,
and no timer, has its turn meanwhile."""


def too_many(records: int | str) -> Flooded:
    """Return the error of a message with too many records."""
    return Flooded(f"one message holds {records} records, limit {MAX_RECORDS:,}")


def lines(data: Data) -> list[str] | list[bytes]:
    """Split a message with one record per line; only line feeds end a line.

    Not with `splitlines`: JSON strings may hold U+2028 and other line separators unescaped.

    Raises:
        Flooded: there are more than `MAX_RECORDS`.
    """
    count = data.count("\n") if isinstance(data, str) else data.count(b"\n")
    if count > MAX_RECORDS:
        raise too_many(f"{count:,}")
    return data.split("\n") if isinstance(data, str) else data.split(b"\n")


class Dialect:
    """An application's protocol over WebSocket. A run has one instance, shared by its sessions.

    Attributes:
        name: its name for `--ws-dialect`.
        default_path: path of the WebSocket endpoint unless `--ws-path` is given. It may hold `{session_id}`,
            `{thread_id}`, `{number}`, `{user}`, `{token}`, and the columns of `--ws-data`.
        health_path: path of the HTTP health endpoint, None if there is none.
        subprotocols: to offer, in this order.
        ordered: whether replies, and pushes with texts, arrive in the order of their requests.
        establishes: whether the server announces an established session (`read` then returns Established);
            otherwise a session is established once its WebSocket is open.
        identifies: whether sessions have an identity that outlives connections; without one,
            `persistence` is not judged.
        unresumable_drops: kinds of drops after which a sound server gives a session another identity, as the
            application is made: the resume that follows is not judged.
        keeps_history: whether the server restores a session's messages after a reconnect.
        history_window: maximum number of messages that the server restores, the newest ones, including
            replies; None if it restores all.
        shares_history: whether the history also holds messages of other sessions, as a room's does: then a
            full window may have no room for the session's own. None: true if pushes of others were received.
        queues: whether clients of this application send messages that fall due in an outage after it;
            otherwise these messages are skipped.
        pushes: whether the server sends messages on its own.
        pushes_per_s: minimum number of pushes per second and session; None if the server guarantees none.
        heartbeat_s: seconds between heartbeats, None for none.
        cleanup_s: seconds within which the server closes connections of clients that are gone; None if it
            guarantees none.
        forbidding_close_codes: close codes after which a client must not reconnect.
        options: attributes that `--ws-dialect-option NAME=VALUE` may set.
    """

    name: ClassVar[str]
    default_path: ClassVar[str] = "/"
    health_path: ClassVar[str | None] = None
    subprotocols: ClassVar[tuple[str, ...]] = ()
    ordered: ClassVar[bool] = True
    establishes: ClassVar[bool] = False
    identifies: ClassVar[bool] = False
    unresumable_drops: ClassVar[frozenset[str]] = frozenset()
    keeps_history: ClassVar[bool] = False
    history_window: ClassVar[int | None] = None
    shares_history: ClassVar[bool | None] = None
    queues: ClassVar[bool] = True
    pushes: ClassVar[bool] = False
    pushes_per_s: ClassVar[float | None] = None
    heartbeat_s: ClassVar[float | None] = None
    cleanup_s: ClassVar[float | None] = None
    forbidding_close_codes: ClassVar[frozenset[int]] = frozenset({1008})
    options: ClassVar[tuple[DialectOption, ...]] = ()

    dialects: ClassVar[dict[str, type["Dialect"]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "name" in cls.__dict__:
            Dialect.dialects[cls.name] = cls

    def __init__(self, *, path: str | None = None) -> None:
        """Create the dialect.

        Args:
            path: path of the endpoint, with query; None for `default_path`.
        """
        self.path = self.default_path if path is None else path

    async def login(self, session: DialectSession) -> None:
        """Prepare an attempt; called before each. May set the session's token, headers and cookies.

        Raises:
            LoginFailed: the login was refused; the attempt fails. OSError and the exceptions of libraries
                have the same effect; Python's other exceptions count as mistakes in the dialect.
        """

    def endpoint(self, session: DialectSession) -> Endpoint:
        """Return path, headers and subprotocols of one attempt; called before each.

        A token is sent in the header `Authorization`, unless the path contains `{token}`.
        """
        bearer = session.token and "{token}" not in self.path
        headers = (("Authorization", f"Bearer {session.token}"),) if bearer else ()
        return Endpoint(path=filled(self.path, session), headers=headers, subprotocols=self.subprotocols)

    def greeting(self, session: DialectSession) -> Iterable[Data]:
        """Return the messages that the client sends first on each connection."""
        return ()

    def request(self, session: DialectSession, sequence: int) -> Data | Request:
        """Return the request with this sequence number. Without this method, sessions send no requests."""
        raise NotImplementedError

    def heartbeat(self, session: DialectSession) -> Data:
        """Return the message to send each `heartbeat_s` seconds."""
        raise NotImplementedError

    def probe(self, session: DialectSession) -> Data | None:
        """Return a message that makes the server answer, for drops that need a busy server; None for none.

        It is not in the ledger. It should be cheap for the server and leave nothing in a history.
        """
        return None

    def read(self, session: DialectSession, data: Data) -> Read:
        """Interpret a message from the server: return its meaning, or several in order; None to ignore it."""
        raise NotImplementedError

    def message_templates(self) -> Iterable[tuple[str, Any]]:
        """Return the templates of messages that settings give, each with the setting's name.

        Their columns of `--ws-data` are checked before the first connection.
        """
        return ()

    @classmethod
    def overrides(cls, method: str) -> bool:
        """Return whether the class overrides a method of the base class."""
        return getattr(cls, method) is not getattr(Dialect, method)


PLACEHOLDERS = ("session_id", "thread_id", "number", "user", "token")
"""What `filled` knows besides the columns of `--ws-data`."""


def placeholders(path: str) -> list[str]:
    """Return the names in braces in a path."""
    return _PLACEHOLDER.findall(path)


def filled(path: str, session: DialectSession) -> str:
    """Return a path with `{session_id}` and other placeholders replaced by the session's ids and data."""
    if "{" not in path:
        return path
    values = {
        **session.data,
        "session_id": session.session_id,
        "thread_id": session.thread_id,
        "number": str(session.number),
        "user": str(session.user),
        "token": session.token or "",
    }

    def value(found: re.Match[str]) -> str:
        return quote(values[found[1]], safe="") if found[1] in values else found[0]

    return _PLACEHOLDER.sub(value, path)
