"""Events and actions: everything that passes between a session and the engine around it.

The engine hands a session an event (past tense: Received, Lost), and the session answers with actions
(imperative: Send, Reconnect). A session never touches a socket, a clock or a random number itself, so it can
be tested without any of them (the sans-I/O pattern of h11 and wsproto).

Records are msgspec structs: frozen, slotted, and at 0.1 µs each five times cheaper to make than frozen
dataclasses, which counts on the path of every message. `_ns` fields are integer nanoseconds of the engine's
monotonic clock, `_s` fields float seconds. No behaviour here: `loadtest.session.machine` has the state table.
"""

from msgspec import Struct

Data = str | bytes
"""A whole WebSocket message: text as `str`, binary as `bytes`."""


class Identity(Struct, frozen=True, kw_only=True):
    """Who a session is, on all of its connections.

    Args:
        number: counts the sessions of a run from 0 over all workers; selects the session's part of the plan.
        session_id, thread_id: what the server is told, unique to the run.
    """

    number: int
    session_id: str
    thread_id: str


class Endpoint(Struct, frozen=True, kw_only=True):
    """What one connection attempt asks for; made anew, with a fresh token, for each attempt.

    Args:
        path: with the query, from the first slash on.
        headers: name and value, added to the upgrade request.
        subprotocols: offered in this order.
    """

    path: str
    headers: tuple[tuple[str, str], ...] = ()
    subprotocols: tuple[str, ...] = ()


class Drop(Struct, frozen=True, kw_only=True):
    """One planned drop of a session's connection.

    Args:
        kind: name of the drop kind.
        ordinal: counts the drops of a session from 0.
        after_s: from the moment the session is established until it is dropped.
        detect_s: until its client notices, 0 for kinds without such a time.
        hold_s: how long the condition lasts on the wire, 0 for kinds without such a time.
        storm: number of the storm that it belongs to, None for the session's own drops.
    """

    kind: str
    ordinal: int
    after_s: float
    detect_s: float = 0.0
    hold_s: float = 0.0
    storm: int | None = None


class Phases(Struct, frozen=True, kw_only=True):
    """How long each phase of opening a WebSocket took; 0 for a phase that was not needed."""

    dns_ns: int = 0
    tcp_ns: int = 0
    tls_ns: int = 0
    upgrade_ns: int = 0


# Events: what a session is told.


class Started(Struct, frozen=True):
    """The session starts."""


class Opened(Struct, frozen=True):
    """An attempt succeeded: the WebSocket is open; the session is not yet established."""

    phases: Phases


class Refused(Struct, frozen=True, kw_only=True):
    """An attempt failed before the WebSocket was open.

    Args:
        phase: dns, tcp, tls, upgrade or token.
        cause: short stable word to count by: refused, timeout, http_503, …
        detail: one bounded line for a person, without secrets.
        unreachable: whether nothing answered at all, as while the server is down.
    """

    phase: str
    cause: str
    detail: str
    unreachable: bool = False


class Received(Struct, frozen=True):
    """A complete message arrived."""

    data: Data


class Lost(Struct, frozen=True, kw_only=True):
    """The connection ended without the session asking for it.

    Args:
        code: the WebSocket connection close code, 1006 without a close frame (RFC 6455 section 7.1.5).
        reason: from the close frame, as it came.
        cause: short stable word to count by: the code as text, or reset, eof, ping_timeout, protocol_error.
    """

    code: int
    reason: str
    cause: str


class Due(Struct, frozen=True):
    """A message is due.

    Args:
        planned_ns: when it was due; the event may come later.
    """

    planned_ns: int


class DropDue(Struct, frozen=True):
    """A drop of the plan is due."""

    drop: Drop


class Detected(Struct, frozen=True):
    """The client noticed that its dropped connection is gone."""


class Recovered(Struct, frozen=True):
    """A drop that keeps the connection, such as `slow_reader`, is over."""


class RetryDue(Struct, frozen=True):
    """The backoff is over: the next attempt is due."""


class EstablishTimedOut(Struct, frozen=True):
    """The application did not establish the session in time."""


class Swept(Struct, frozen=True):
    """A regular tick: requests older than the reply timeout are given up."""


class Stopped(Struct, frozen=True):
    """The run is ending: the session closes in good order."""


class Drained(Struct, frozen=True):
    """The time for the last replies of a stopping session is over."""


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


# Actions: what a session asks for.


class Connect(Struct, frozen=True):
    """Open a WebSocket. Answered by Opened or Refused; after Opened, EstablishTimedOut may follow."""


class Send(Struct, frozen=True):
    """Send one message."""

    data: Data


class PerformDrop(Struct, frozen=True):
    """Perform a drop. Answered by Detected, or by Recovered if the connection stays up."""

    drop: Drop


class Settle(Struct, frozen=True):
    """The session is established: count the time to its next drop from now."""


class Reconnect(Struct, frozen=True):
    """Wait `after_s` seconds. Answered by RetryDue."""

    after_s: float


class Close(Struct, frozen=True):
    """Close the connection with this code; its further events are ignored."""

    code: int


class Drain(Struct, frozen=True):
    """Wait for the last replies. Answered by Drained."""


class Finish(Struct, frozen=True):
    """The session has ended; no action follows."""


Action = Connect | Send | PerformDrop | Settle | Reconnect | Close | Drain | Finish
