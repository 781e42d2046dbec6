"""What a dialect must say, and what it reads in the server's messages.

The session asks its dialect four things: how to address an attempt (`endpoint`), what to say first
(`greeting`), how a request is written (`request`), and what a message of the server means (`read`). A
server's message is foreign input: `read` answers `Unreadable` instead of raising, and what it keeps of the
text is bounded.
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
"""The sequence number of a request that no ledger knows (see `loadtest.drops.kinds.Wire.sample`)."""


class Established(Struct, frozen=True, kw_only=True):
    """The server says that the session is up, and who it is as the server knows it, None if it does not."""

    session_id: str | None = None
    thread_id: str | None = None


class Restored(Struct, frozen=True, kw_only=True):
    """The server says what it remembers: sequence numbers of this session's requests, oldest first.

    `sequences` may be the tail only; `count` is how many it has in all, if it says.
    """

    sequences: list[int]
    count: int | None = None


class Reply(Struct, frozen=True):
    """An answer, or the end of a streamed one.

    `sequence` says whose; None stands for the oldest outstanding request. `content` is what `Dialect.intact`
    compares with the request, None where there is nothing to compare.
    """

    sequence: int | None
    content: object = None


class StreamPart(Struct, frozen=True):
    """The start or a piece of a streamed answer; its end is a Reply."""


class Push(Struct, frozen=True, kw_only=True):
    """Something the server sent on its own.

    `number` counts the pushes of a connection if the server counts them, `sent_at_ms` is the server's
    clock at sending (Unix milliseconds) if it says.
    """

    number: int | None = None
    sent_at_ms: float | None = None


class AuthRequired(Struct, frozen=True):
    """The server refuses the token."""

    detail: str


class Unreadable(Struct, frozen=True):
    """A message that this dialect does not know; `excerpt` is bounded."""

    excerpt: str


Incoming = Established | Restored | Reply | StreamPart | Push | AuthRequired | Unreadable

EXCERPT_LENGTH = 120

MALFORMED = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What msgspec raises for foreign JSON: wrong types, bad encoding, nesting without end."""


def unreadable(data: Data) -> Unreadable:
    """Return the Unreadable of a message."""
    text = data if isinstance(data, str) else repr(bytes(data[:EXCERPT_LENGTH]))
    return Unreadable(one_line(text, EXCERPT_LENGTH))


class Dialect(ABC):
    """What an application speaks.

    Attributes:
        name: what `--ws-dialect` calls it.
        default_path: of the WebSocket endpoint when `--ws-path` is not given.
        health_path: of the endpoint that answers HTTP while the server is well, None where there is none.
        establishes: whether the server announces an established session (it sends what `read` answers
            with Established); otherwise an open WebSocket is an established session.
        identifies: whether sessions have an identity that outlives connections; without one,
            `persistence` is not judged.
        keeps_history: whether the server restores a session's messages when it comes back.
        queues: whether clients of this application send messages that fell due in an outage after it;
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
        """Make the one instance of a run.

        Args:
            path: of the endpoint, with query; None for the dialect's own.
            message_bytes: about how long a request shall be.
        """
        self.path = self.default_path if path is None else path
        self.message_bytes = message_bytes

    def endpoint(self, identity: Identity, token: str | None) -> Endpoint:
        """Return path, headers and subprotocols of one attempt; called anew for each."""
        headers = (("Authorization", f"Bearer {token}"),) if token else ()
        return Endpoint(path=self.path, headers=headers)

    def greeting(self, identity: Identity) -> tuple[Data, ...]:
        """Return what the client sends first on each connection."""
        return ()

    @abstractmethod
    def request(self, identity: Identity, sequence: int) -> Data:
        """Write the request with this sequence number, or with UNNUMBERED."""

    @abstractmethod
    def read(self, data: Data) -> Iterable[Incoming]:
        """Say what a message of the server means, in order; never raise."""

    def intact(self, sent: Data, content: object) -> bool:
        """Return whether a reply's content is what this request must be answered with."""
        return True


def dialect_named(name: str) -> type[Dialect]:
    """Return the dialect's class.

    Raises:
        InvalidSetting: it is unknown.
    """
    try:
        return Dialect.dialects[name]
    except KeyError:
        known = ", ".join(sorted(Dialect.dialects))
        problem = f"must be {known}, or the name of your own subclass of loadtest.Dialect in the locustfile"
        raise InvalidSetting("--ws-dialect", name, problem) from None
