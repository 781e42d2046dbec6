"""The records that pass between a session and the engine around it.

A session is told what happened (past tense) and answers with what it asks for (imperative); it never
touches a socket, a clock or a random number of its own. The records are msgspec structs: frozen, slotted,
and at 0.1 µs apiece five times cheaper to make than frozen dataclasses, which counts on the way of every
message. Times are integer nanoseconds of the engine's monotonic clock. Nothing here has behaviour.
"""

from msgspec import Struct

Data = str | bytes
"""A whole WebSocket message: text as `str`, binary as `bytes`."""


class Identity(Struct, frozen=True, kw_only=True):
    """Who a session is; the same on every connection of it.

    `number` counts the sessions of a run from 0 over all workers and selects the session's part of the
    plan; `session_id` and `thread_id` are what a server is told, unique to the run.
    """

    number: int
    session_id: str
    thread_id: str


class Endpoint(Struct, frozen=True, kw_only=True):
    """What one connection attempt asks of the server; made anew, with a new token, at each attempt."""

    path: str
    headers: tuple[tuple[str, str], ...] = ()
    subprotocols: tuple[str, ...] = ()


class Drop(Struct, frozen=True, kw_only=True):
    """One drop of the plan: what is done to a session's connection, and when.

    `ordinal` counts the drops of a session from 0; `after_s` is how long the session has been established
    when it is dropped; `detect_s` how long its client takes to notice, and `hold_s` how long the condition
    lasts on the wire, where the kind has such a time. Seconds. `storm` is the number of the storm that it
    belongs to, None for a session's own.
    """

    kind: str
    ordinal: int
    after_s: float
    detect_s: float = 0.0
    hold_s: float = 0.0
    storm: int | None = None


class Phases(Struct, frozen=True, kw_only=True):
    """How long each step of opening a WebSocket took, in nanoseconds; 0 for a step that was not needed."""

    dns_ns: int = 0
    tcp_ns: int = 0
    tls_ns: int = 0
    upgrade_ns: int = 0


# What a session is told.


class Started(Struct, frozen=True):
    """The session shall begin."""


class Opened(Struct, frozen=True):
    """An attempt succeeded: the WebSocket is open, the application has yet to say so."""

    phases: Phases


class Refused(Struct, frozen=True, kw_only=True):
    """An attempt failed before the WebSocket was open.

    `phase` is one of dns, tcp, tls, upgrade, token; `cause` a short stable word to count by (refused,
    timeout, http_503, …), `detail` one bounded line for a person; `unreachable` says that nothing was there
    to answer, which an outage of the server explains.
    """

    phase: str
    cause: str
    detail: str
    unreachable: bool = False


class Received(Struct, frozen=True):
    """A whole message arrived."""

    data: Data


class Lost(Struct, frozen=True, kw_only=True):
    """The connection ended and the session did not ask for it.

    `code` is the close code as RFC 6455 section 7.1.5 defines it (1006 without a close frame), `cause` a
    short stable word to count by: the code as text, or reset, eof, ping_timeout, protocol_error.
    """

    code: int
    reason: str
    cause: str


class Due(Struct, frozen=True):
    """The pace says that a message is due; `planned_ns` is when it was due."""

    planned_ns: int


class DropDue(Struct, frozen=True):
    """The plan says that the session is to be dropped now."""

    drop: Drop


class Detected(Struct, frozen=True):
    """The session's client has noticed that its dropped connection is gone."""


class Recovered(Struct, frozen=True):
    """A disturbance that does not disconnect is over."""


class RetryDue(Struct, frozen=True):
    """The backoff is over: the next attempt is due."""


class EstablishTimedOut(Struct, frozen=True):
    """The application did not say in time that the session is established."""


class Swept(Struct, frozen=True):
    """Time passed: requests older than the reply timeout are to be given up."""


class Stopped(Struct, frozen=True):
    """The session shall end in good order."""


class Drained(Struct, frozen=True):
    """The time that a stopping session had for its last replies is over."""


Event = (
    Started
    | Opened
    | Refused
    | Received
    | Lost
    | Due
    | DropDue
    | Detected
    | Recovered
    | RetryDue
    | EstablishTimedOut
    | Swept
    | Stopped
    | Drained
)


# What a session asks for.


class Connect(Struct, frozen=True):
    """Open a WebSocket; answered by Opened or Refused, and after Opened by EstablishTimedOut if due."""


class Send(Struct, frozen=True):
    """Send one message."""

    data: Data


class PerformDrop(Struct, frozen=True):
    """Drop the connection as the plan says; answered by Detected, or Recovered if it stays connected."""

    drop: Drop


class Settle(Struct, frozen=True):
    """The session is established: plan its next drop from now on."""


class Reconnect(Struct, frozen=True):
    """Let `after_s` seconds pass, then say RetryDue."""

    after_s: float


class Close(Struct, frozen=True):
    """Close the connection with this code; the session expects nothing more of it."""

    code: int


class Drain(Struct, frozen=True):
    """Let the last replies arrive, then say Drained."""


class Finish(Struct, frozen=True):
    """The session has ended; nothing more will be asked."""


Action = Connect | Send | PerformDrop | Settle | Reconnect | Close | Drain | Finish
