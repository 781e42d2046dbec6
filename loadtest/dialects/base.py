"""The base class of dialects, and the kinds of incoming messages.

A dialect does four things: it addresses an attempt (`endpoint`), writes the first messages of a connection
(`greeting`), writes requests (`request`), and interprets the server's messages (`read`). A server's message
is untrusted input: `read` returns `Unreadable` instead of raising, with a bounded excerpt of the text.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar

import msgspec
from msgspec import Struct

from loadtest.errors import InvalidSetting
from loadtest.events import Data, Endpoint, Identity
from loadtest.text import one_line

UNNUMBERED = -1
"""The sequence number of requests outside the ledger (see `loadtest.drops.kinds.Wire.sample`)."""


class Established(Struct, frozen=True, kw_only=True):
    """The server says that the session is established, and under which ids; None if it does not say."""

    session_id: str | None = None
    thread_id: str | None = None


class Restored(Struct, frozen=True, kw_only=True):
    """The server restores the session's history.

    Args:
        sequences: sequence numbers of the session's requests, oldest first; may be only the newest ones.
        count: number of messages in the whole history, None if the server does not say.
    """

    sequences: list[int]
    count: int | None = None


class Reply(Struct, frozen=True):
    """A reply, or the end of a streamed one.

    Args:
        sequence: of the request; None for the oldest outstanding one.
        content: what `Dialect.intact` compares with the request, None if there is nothing to compare.
    """

    sequence: int | None
    content: object = None


class StreamPart(Struct, frozen=True):
    """The start or a part of a streamed reply; its end is a Reply."""


class Push(Struct, frozen=True, kw_only=True):
    """A message that the server sent on its own.

    Args:
        number: counts the pushes of a connection, None if the server does not count.
        sent_at_ms: the server's clock at sending in milliseconds, None if it does not say.
    """

    number: int | None = None
    sent_at_ms: float | None = None


class AuthRequired(Struct, frozen=True):
    """The server rejects the token."""

    detail: str


class Unreadable(Struct, frozen=True):
    """A message that the dialect cannot read, with a bounded excerpt."""

    excerpt: str


Incoming = Established | Restored | Reply | StreamPart | Push | AuthRequired | Unreadable

EXCERPT_LENGTH = 120

MALFORMED = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What msgspec raises for untrusted JSON: wrong types, bad encoding, too deep nesting."""


def unreadable(data: Data) -> Unreadable:
    """Return an Unreadable with an excerpt of the message."""
    text = data if isinstance(data, str) else repr(bytes(data[:EXCERPT_LENGTH]))
    return Unreadable(one_line(text, EXCERPT_LENGTH))


class Dialect(ABC):
    """An application's protocol over WebSocket.

    Attributes:
        name: its name for `--ws-dialect`.
        default_path: path of the WebSocket endpoint unless `--ws-path` is given.
        health_path: path of the HTTP health endpoint, None if there is none.
        establishes: whether the server announces an established session (`read` then returns Established);
            otherwise a session is established once its WebSocket is open.
        identifies: whether sessions have an identity that outlives connections; without one,
            `persistence` is not judged.
        keeps_history: whether the server restores a session's messages after a reconnect.
        queues: whether clients of this application send messages that fall due in an outage afterwards;
            otherwise those are missed.
        pushes: whether the server sends messages on its own.
        forbidding_close_codes: close codes after which a client must not reconnect.
    """

    name: ClassVar[str]
    default_path: ClassVar[str] = "/"
    health_path: ClassVar[str | None] = None
    establishes: ClassVar[bool] = False
    identifies: ClassVar[bool] = False
    keeps_history: ClassVar[bool] = False
    queues: ClassVar[bool] = True
    pushes: ClassVar[bool] = False
    forbidding_close_codes: ClassVar[frozenset[int]] = frozenset({1008})

    dialects: ClassVar[dict[str, type["Dialect"]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "name" in cls.__dict__:
            Dialect.dialects[cls.name] = cls

    def __init__(self, *, path: str | None = None, message_bytes: int = 64) -> None:
        """Create the dialect; a run has one instance, shared by its sessions.

        Args:
            path: path of the endpoint, with query; None for `default_path`.
            message_bytes: approximate size of a request.
        """
        self.path = self.default_path if path is None else path
        self.message_bytes = message_bytes

    def endpoint(self, identity: Identity, token: str | None) -> Endpoint:
        """Return path, headers and subprotocols of one attempt; called before each."""
        headers = (("Authorization", f"Bearer {token}"),) if token else ()
        return Endpoint(path=self.path, headers=headers)

    def greeting(self, identity: Identity) -> tuple[Data, ...]:
        """Return the messages that the client sends first on each connection."""
        return ()

    @abstractmethod
    def request(self, identity: Identity, sequence: int) -> Data:
        """Return the request with this sequence number, which may be UNNUMBERED."""

    @abstractmethod
    def read(self, data: Data) -> Iterable[Incoming]:
        """Interpret a message from the server: return its parts in order; never raise."""

    def intact(self, sent: Data, content: object) -> bool:
        """Return whether a reply's content is the right answer to this request."""
        return True


def dialect_named(name: str) -> type[Dialect]:
    """Return the dialect's class.

    Raises:
        InvalidSetting: the name is unknown.
    """
    try:
        return Dialect.dialects[name]
    except KeyError:
        known = ", ".join(sorted(Dialect.dialects))
        problem = f"must be {known}, or the name of your own subclass of loadtest.Dialect in the locustfile"
        raise InvalidSetting("--ws-dialect", name, problem) from None
