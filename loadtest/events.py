"""Events and actions: everything that passes between a session and the engine.

The engine passes a session an event (past tense: Received, Lost), and the session returns actions
(imperative: Send, Reconnect). A session uses no socket, clock or random numbers itself, so it can be tested
without them (the sans-I/O pattern of h11 and wsproto).

Records are frozen msgspec structs. Creating one takes 0.1 µs, a fifth of a frozen dataclass, which matters on
the hot path. `_ns` fields are integer nanoseconds of the run's clock or durations, `_s` fields are float
seconds. No behaviour here: `loadtest.session.machine` has the state table.
"""

from msgspec import Struct

NORMAL_CLOSURE = 1000
"""The close code of a connection that is no longer needed (RFC 6455, section 7.4.1)."""

ABNORMAL_CLOSURE = 1006
"""The close code of a connection that ended without a close frame (RFC 6455, section 7.1.5)."""

UNREACHABLE = frozenset({"refused", "reset", "unreachable", "timeout", "eof"})
"""Causes of failed attempts that a server which is down explains, unless it has answered the upgrade."""

Data = str | bytes
"""A whole WebSocket message: text as `str`, binary as `bytes`."""


class Identity(Struct, frozen=True, kw_only=True):
    """Identity of a session, the same on all its connections.

    Args:
        number: number of the session, from 0, unique across workers; selects its part of the plan.
        session_id, thread_id: ids sent to the server, unique across runs.
        user: number of the Locust user that holds the session, from 0.
        row: number of its row of `--ws-data`; None for the row with the session's number.
    """

    number: int
    session_id: str
    thread_id: str
    user: int = 0
    row: int | None = None


class Endpoint(Struct, frozen=True, kw_only=True):
    """The request of one connection attempt; created for each attempt, with a fresh token.

    Args:
        path: path and query, from the first slash on.
        headers: (name, value) pairs, added to the upgrade request.
        subprotocols: subprotocols to offer, in this order.
    """

    path: str
    headers: tuple[tuple[str, str], ...] = ()
    subprotocols: tuple[str, ...] = ()


class Drop(Struct, frozen=True, kw_only=True):
    """One planned drop of a session's connection.

    Args:
        kind: name of the drop kind.
        ordinal: number of the drop within the session, from 0.
        after_s: seconds from when the session is established until it is dropped.
        detect_s: seconds until its client notices, 0 for kinds without this delay.
        hold_s: seconds that the condition lasts on the connection, 0 for kinds without it.
        storm: number of the storm that it belongs to, from 0; None for the session's own drops.
    """

    kind: str
    ordinal: int
    after_s: float
    detect_s: float = 0.0
    hold_s: float = 0.0
    storm: int | None = None


class Phases(Struct, frozen=True, kw_only=True):
    """Duration of each phase of opening a WebSocket; 0 for a phase that was skipped."""

    dns_ns: int = 0
    tcp_ns: int = 0
    proxy_ns: int = 0
    tls_ns: int = 0
    upgrade_ns: int = 0


# Events: from the engine to a session.


class Started(Struct, frozen=True):
    """The session starts."""


class TokenAwaited(Struct, frozen=True):
    """An attempt has waited for the shared token; the server has not been contacted yet."""

    waited_ns: int


class Opened(Struct, frozen=True):
    """An attempt succeeded: the WebSocket is open; the session is not yet established."""

    phases: Phases


class Refused(Struct, frozen=True, kw_only=True):
    """An attempt failed before the WebSocket was open.

    Args:
        phase: dns, tcp, proxy, tls, upgrade, token or login.
        cause: short stable word to count by: refused, timeout, http_503, …
        detail: one bounded line for people, without the token.
        unreachable: whether the server sent no response, for example because it is down.
        retry_after_s: how long the server asks to stay away (Retry-After), 0 if it does not.
    """

    phase: str
    cause: str
    detail: str
    unreachable: bool = False
    retry_after_s: float = 0.0


class Received(Struct, frozen=True):
    """A complete message arrived."""

    data: Data


class Lost(Struct, frozen=True, kw_only=True):
    """The connection ended before the session closed it.

    Args:
        code: the WebSocket connection close code, 1006 without a close frame (RFC 6455 section 7.1.5).
        reason: reason from the close frame, unchanged, or what was wrong with the server's data.
        cause: short stable word to count by: the code as text, or reset, eof, tls, ping_timeout, not_reading,
            protocol_error, message_too_big, invalid_utf8, flooded.
    """

    code: int
    reason: str
    cause: str


class Due(Struct, frozen=True):
    """A message is due.

    Args:
        planned_ns: planned time of sending; the event may come later.
    """

    planned_ns: int


class DropDue(Struct, frozen=True):
    """A drop of the plan is due."""

    drop: Drop


class Detected(Struct, frozen=True):
    """The client noticed the loss of its dropped connection."""


class Recovered(Struct, frozen=True):
    """A drop that keeps the connection, such as `slow_reader`, is over."""


class RetryDue(Struct, frozen=True):
    """The backoff is over: the next attempt is due."""


class EstablishTimedOut(Struct, frozen=True):
    """The application did not establish the session in time."""


class HeartbeatDue(Struct, frozen=True):
    """The dialect's next heartbeat is due."""


class Swept(Struct, frozen=True):
    """A regular tick: requests older than the reply timeout count as lost."""


class Stopped(Struct, frozen=True):
    """The session must end: the run, or its user, is stopping."""


class Drained(Struct, frozen=True):
    """The time for the last replies of a stopping session is over."""


Event = (
    Started
    | TokenAwaited
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
    | HeartbeatDue
    | Swept
    | Stopped
    | Drained
)


# Actions: from a session to the engine.


class Connect(Struct, frozen=True):
    """Open a WebSocket. Followed by Opened or Refused, after TokenAwaited if the token is shared.

    After Opened, EstablishTimedOut may follow.
    """


class Send(Struct, frozen=True):
    """Send one message."""

    data: Data


class PerformDrop(Struct, frozen=True):
    """Perform a drop. Followed by Detected, or by Recovered if the connection survives."""

    drop: Drop


class Settle(Struct, frozen=True):
    """Start the timer of the next drop: the session is established."""


class Hasten(Struct, frozen=True):
    """Give up in `after_s` seconds: EstablishTimedOut follows unless the session is established by then."""

    after_s: float


class Reconnect(Struct, frozen=True):
    """Wait `after_s` seconds. Followed by RetryDue.

    Args:
        after_s: how long.
        token_rejected: whether the server has rejected the token of the last attempt.
    """

    after_s: float
    token_rejected: bool = False


class Close(Struct, frozen=True):
    """Close the connection with this code; its further events are ignored."""

    code: int


class Drain(Struct, frozen=True):
    """Wait for the last replies. Followed by Drained."""


class Finish(Struct, frozen=True):
    """End the session; no further action follows."""


Action = Connect | Send | PerformDrop | Settle | Hasten | Reconnect | Close | Drain | Finish
