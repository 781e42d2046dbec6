"""The I/O around one session: a link passes events to the session and carries out its actions.

A link has at most one connection at a time. A dropped connection may stay open longer: its `Dropping` keeps
it (a half-open socket, for example) after the session has moved on to the next connection.

The epoch identifies stale timers: it changes whenever the session begins something new, and timers of another
epoch are ignored. Links see only their `LinkContext`, never the engine.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, cast

from loadtest.dialects.dialect_session import DialectSession
from loadtest.drops.kinds import DropKind
from loadtest.drops.plan import DropPlan
from loadtest.engine.dropping import Dropping
from loadtest.engine.timers import Timers
from loadtest.errors import ConnectFailed, DialectMistake, Flooded
from loadtest.events import (
    Action,
    Close,
    Connect,
    Data,
    Detected,
    Drain,
    Drained,
    Drop,
    DropDue,
    Due,
    EstablishTimedOut,
    Event,
    Finish,
    Hasten,
    HeartbeatDue,
    Lost,
    Opened,
    PerformDrop,
    Phases,
    Received,
    Reconnect,
    Recovered,
    RetryDue,
    Send,
    Settle,
    Started,
    Stopped,
    Swept,
    TokenAwaited,
)
from loadtest.session.machine import Session
from loadtest.session.recorder import Recorder
from loadtest.session.schedule import NS_PER_S
from loadtest.session.session_config import SessionConfig
from loadtest.session.state import State
from loadtest.transport.connection import Connection

# On the hot path, where an enum's attribute costs as much as a call.
_DRAINING, _ENDED = State.DRAINING, State.ENDED


class What(IntEnum):
    """Reasons to wake a link."""

    DROP = 1
    RETRY = 2
    ESTABLISH = 3
    GIVE_UP = 4
    DRAIN = 5


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Wakes a link for the dialect's heartbeats on one connection; heartbeats continue during drops."""

    connection: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkContext:
    """Shared by all links of an engine.

    Args:
        config: how sessions behave.
        drops: the plan of drops.
        open_timeout_s: time allowed from the open WebSocket to the established session.
        ping_interval_ns: time between keepalive pings, 0 for none.
        ping_timeout_ns: time allowed for their pongs.
        clock: returns nanoseconds since the run's start.
        timers: the queue that wakes links and droppings.
        recorder: records what sessions measure.
        droppings: drops in progress; each adds and removes itself.
        connect: queues a link; its `open` is called with this epoch when its turn comes.
        open: opens a WebSocket for a session; calls the function passed to it once the wait for the shared
            token is over, if there is one; raises ConnectFailed.
        token_rejected: called when the server has rejected a session's token.
        ended: called when a link's session has ended and its connection is closed.
        fail: called with a defect, which ends the engine.
    """

    config: SessionConfig
    drops: DropPlan
    open_timeout_s: float
    ping_interval_ns: int
    ping_timeout_ns: int
    clock: Callable[[], int]
    timers: Timers
    recorder: Recorder
    droppings: set[Dropping]
    connect: Callable[[Link, int], None]
    open: Callable[[DialectSession, Callable[[], None]], Awaitable[tuple[Connection, Phases]]]
    token_rejected: Callable[[DialectSession], None]
    ended: Callable[[Link], None]
    fail: Callable[[Exception], None]


class Link:
    """One session, its connection and its timers."""

    __slots__ = (
        "_clock",
        "_connection",
        "_context",
        "_drain_s",
        "_dropping",
        "_drops",
        "_epoch",
        "_heart",
        "_messages",
        "session",
    )
    session_type: ClassVar = Session

    def __init__(self, about: DialectSession, context: LinkContext) -> None:
        self.session = self.session_type(about, context.config, context.recorder)
        self._context = context
        self._clock = context.clock
        self._drain_s = 0.0
        self._connection: Connection | None = None
        self._dropping: Dropping | None = None
        self._epoch = 0
        self._messages = 0  # messages planned so far
        self._drops = 0  # drops performed so far
        self._heart = -1  # the connection that heartbeats are planned for

    @property
    def ended(self) -> bool:
        """Whether the session has ended and its connection is closed."""
        return self.session.state is State.ENDED and self._connection is None

    def start(self) -> None:
        """Begin the session."""
        self._feed(Started())

    def stop(self, drain_s: float) -> None:
        """Stop the session, waiting at most `drain_s` for its last replies."""
        self._drain_s = drain_s
        if self.session.state not in (State.DRAINING, State.ENDED):
            self._feed(Stopped())

    def abort(self) -> None:
        """Detach from the connection and abort it."""
        if self._connection is not None:
            self._connection.detach()
            self._connection.abort()
            self._connection = None

    def sweep(self) -> None:
        """Check for overdue replies and pongs, and for a server that does not read.

        Most sessions wait for nothing most of the time, so the cost of an idle session is the cost of this
        call.
        """
        session, connection = self.session, self._connection
        if session.state is _ENDED:
            return
        if not session.quiet:
            self._feed(Swept())
            connection = self._connection
        context = self._context
        if connection is not None and connection.unsent is not None:
            excused = self._dropping is not None
            connection.check_unsent(context.config.reply_timeout_ns, excused=excused)
        if session.about.expects_ping:
            missed = session.about.missed_ping(context.clock(), excused=self._dropping is not None)
            if missed and self._connection is not None:
                self._connection.ping_missed(missed)
        if context.ping_interval_ns and self._connection is not None and self._dropping is None:
            self._connection.keep_alive(
                interval_ns=context.ping_interval_ns, timeout_ns=context.ping_timeout_ns
            )

    def _feed(self, event: Event) -> None:
        clock = self._clock  # called as a method, a slot is looked up the slow way
        try:
            for action in self.session.handle(event, clock()):
                if action.__class__ is Send:
                    connection = self._connection
                    if connection is not None:
                        connection.send(action.data)
                else:
                    _PERFORM[action.__class__](self, action)
        except Flooded as flood:
            if self._connection is not None:
                self._connection.flooded(flood.reason)
        except UnicodeEncodeError as error:  # raised by sending what the dialect wants to say
            dialect = type(self._context.config.dialect).__name__
            problem = f"sent a text that cannot be encoded as UTF-8: {error.reason}"
            self._context.fail(DialectMistake(dialect, problem))
        except Exception as error:  # a defect in the tool or a user's dialect: the run is no longer valid
            self._context.fail(error)

    # loadtest.transport.listener.Listener

    def received(self, data: Data) -> None:
        """Pass on a message from this link's connection."""
        if self.session.state is not _ENDED:
            self._feed(Received(data))
            self._context.timers.awake()

    def ponged(self, took_ns: int) -> None:
        """Record the round trip of a keepalive ping."""
        self._context.recorder.samples("ping").append(took_ns)

    def lost(self, lost: Lost) -> None:
        """Handle the end of this link's connection."""
        self._connection = None
        self._epoch += 1
        if self._dropping is not None:
            self._dropping.noticed = True
            self._dropping = None
        if self.session.state is State.ENDED:
            self._context.ended(self)
            return
        if self._context.recorder.ending:
            self.stop(0.0)
        if not self.ended:
            self._feed(lost)

    # loadtest.engine.timers.Timed

    def fire(self, what: object, due_ns: int) -> None:
        """Handle a timer: heartbeats of a connection, or an event that belongs to an epoch."""
        if what.__class__ is Heartbeat:
            self._heartbeat_due(what)
            return
        kind, epoch, detail = cast("tuple[What, int, Drop]", what)  # scheduled by `_later`
        if epoch != self._epoch:
            return
        match kind:
            case What.DROP:
                self._feed(DropDue(detail))
            case What.RETRY:
                self._feed(RetryDue())
            case What.ESTABLISH:
                # After a pause of the whole process, read first what arrived meanwhile (see `fail_after`).
                late_s = (self._context.clock() - due_ns) / NS_PER_S
                self._later(min(late_s, self._context.open_timeout_s), What.GIVE_UP)
            case What.GIVE_UP:
                if self.session.state is State.ESTABLISHING:
                    self._feed(EstablishTimedOut())
            case What.DRAIN:
                self._feed(Drained())

    def _later(self, after_s: float, what: What, detail: Drop | None = None) -> None:
        due_ns = self._context.clock() + int(after_s * NS_PER_S)
        self._context.timers.schedule(due_ns, self, (what, self._epoch, detail))

    # loadtest.engine.timers.Sender

    def next_due_ns(self, due_ns: int) -> int | None:
        """Plan the message after the one that is due; a stopping session sends no more messages."""
        state = self.session.state
        if state is _DRAINING or state is _ENDED:
            return None
        gap_ns = self._next_gap_ns()
        return None if gap_ns is None else due_ns + gap_ns

    def send_due(self, due_ns: int) -> None:
        """Send a message that is due, if the session can."""
        self._feed(Due(due_ns))

    def _next_gap_ns(self) -> int | None:
        gap_ns = self._context.config.pace.gap_ns(self.session.about.number, self._messages)
        self._messages += gap_ns is not None
        return gap_ns

    def _heartbeat_due(self, heartbeat: Heartbeat) -> None:
        if heartbeat.connection == self.session.about.connection and self.session.state is not State.ENDED:
            self._plan_heartbeat(heartbeat)
            self._feed(HeartbeatDue())

    def _plan_heartbeat(self, heartbeat: Heartbeat) -> None:
        every_s = self._context.config.dialect.heartbeat_s
        if every_s is not None:
            due_ns = self._context.clock() + int(every_s * NS_PER_S)
            self._context.timers.schedule(due_ns, self, heartbeat)

    # The session's actions.

    def _connect(self, _action: Connect) -> None:
        self._epoch += 1
        self._context.connect(self, self._epoch)

    async def open(self, epoch: int) -> None:
        """Open a WebSocket, unless the session has moved on since the request."""
        context = self._context
        if epoch != self._epoch:
            return
        began_ns = context.clock()

        def token_awaited() -> None:
            if epoch == self._epoch and self.session.state is State.CONNECTING:
                self._feed(TokenAwaited(context.clock() - began_ns))

        try:
            connection, phases = await context.open(self.session.about, token_awaited)
        except ConnectFailed as failure:
            if epoch == self._epoch and self.session.state is State.CONNECTING:
                if context.recorder.ending:
                    self.stop(0.0)
                else:
                    self._feed(failure.refused)
            return
        if epoch != self._epoch or self.session.state is not State.CONNECTING:
            connection.abort()
            return
        self._connection = connection
        self._later(context.open_timeout_s, What.ESTABLISH)
        self._feed(Opened(phases))
        connection.attach(self)

    def _settle(self, _action: Settle) -> None:
        if self._messages == 0 and (gap_ns := self._next_gap_ns()) is not None:
            self._context.timers.plan(self._context.clock() + gap_ns, self)
        if self._heart != self.session.about.connection:
            self._heart = self.session.about.connection
            self._plan_heartbeat(Heartbeat(self._heart))
        self._epoch += 1
        now_s = self._context.clock() / NS_PER_S
        drop = self._context.drops.next_drop(self.session.about.number, self._drops, now_s)
        if drop is not None:
            self._later(drop.after_s, What.DROP, drop)

    def _hasten(self, action: Hasten) -> None:
        self._later(action.after_s, What.GIVE_UP)

    def _perform_drop(self, action: PerformDrop) -> None:
        assert self._connection is not None  # only a connected session is dropped
        self._drops += 1
        self._epoch += 1
        if DropKind.kinds[action.drop.kind].probes:  # making one may cost a user's dialect time
            self._connection.probe = self.session.probe
        self._dropping = Dropping(
            action.drop,
            self._connection,
            session=self.session.about.session_id,
            detected=self.drop_detected,
            recovered=self.drop_recovered,
            cleanup_s=self._context.config.cleanup_s,
            clock=self._context.clock,
            timers=self._context.timers,
            recorder=self._context.recorder,
            droppings=self._context.droppings,
        )
        self._dropping.go_on()

    def drop_detected(self) -> None:
        """Tell the session that its client has noticed the drop."""
        self._release()
        self._feed(Detected())

    def drop_recovered(self) -> None:
        """Tell the session that the disturbance is over."""
        self._dropping = None
        if self._connection is not None:
            self._connection.check_unsent(self._context.config.reply_timeout_ns, excused=True)
        self._feed(Recovered())

    def _release(self) -> None:
        """Detach from the connection without closing it: a dropping or a closing handshake still uses it."""
        self._dropping = None
        if self._connection is not None:
            self._connection.detach()
            self._connection = None

    def _reconnect(self, action: Reconnect) -> None:
        self._epoch += 1
        if action.token_rejected:
            self._context.token_rejected(self.session.about)
        self._later(action.after_s, What.RETRY)

    def _close(self, action: Close) -> None:
        connection = self._connection
        if connection is None:
            return
        if self._dropping is not None:
            self._dropping.cancel()
            self._dropping = None
        if self.session.state is not State.ENDED:
            self._release()  # the link of an ended session keeps its connection until it has closed
        connection.close(action.code)

    def _drain(self, _action: Drain) -> None:
        self._epoch += 1
        self._later(self._drain_s, What.DRAIN)

    def _finish(self, _action: Finish) -> None:
        self._epoch += 1
        if self._dropping is not None:
            self._dropping.abandon()
            self._release()
        if self.ended:
            self._context.ended(self)


_PERFORM: dict[type[Action], Callable[[Link, Any], None]] = {
    Connect: Link._connect,
    Settle: Link._settle,
    Hasten: Link._hasten,
    PerformDrop: Link._perform_drop,
    Reconnect: Link._reconnect,
    Close: Link._close,
    Drain: Link._drain,
    Finish: Link._finish,
}
