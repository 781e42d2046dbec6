"""A session's state machine, across all its connections. Pure: no socket, no clock, no randomness.

    NEW ──> CONNECTING ──> ESTABLISHING ──> STEADY <──> STALLED
                ^  │             │           │   │
                │  v             v           │   └──> DRAINING ──> ENDED
              WAITING <──────────┴─ DROPPING <┘

`handle` is the only entry point: it takes an event and the time, looks the step up in the table at the end
(state x event), and returns actions for the engine to carry out. An event without a step in the current
state raises IllegalStep and changes nothing. Measurements go to the recorder.

`loadtest.session.reconnecting` handles connecting and reconnecting; `loadtest.session.traffic` handles the
messages on a connection.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import StrEnum
from typing import Any

from loadtest.dialects import calls
from loadtest.dialects.base import Established, Failed, Incoming, Reply, StreamPart, Unreadable, excerpt
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.mistakes import mistake
from loadtest.drops.kinds import DropKind
from loadtest.errors import DialectMistake, FieldMistake, IllegalStep, LoadtestError
from loadtest.events import (
    Action,
    Close,
    Connect,
    Data,
    Detected,
    Drain,
    Drained,
    DropDue,
    Due,
    EstablishTimedOut,
    Event,
    Finish,
    HeartbeatDue,
    Lost,
    Opened,
    PerformDrop,
    Received,
    Reconnect,
    Recovered,
    Refused,
    RetryDue,
    Send,
    Settle,
    Started,
    Stopped,
    Swept,
)
from loadtest.session.reconnecting import Attempts
from loadtest.session.recorder import Recorder
from loadtest.session.traffic import SessionConfig, Traffic

Actions = Sequence[Action]

HOPELESS_READS = 20
"""Messages at which a dialect may raise before any that it reads; then the run ends."""

NORMAL_CLOSURE = 1000
"""RFC 6455 section 7.4.1."""


class State(StrEnum):
    """State of a session; the value is its name in the recorder's population."""

    NEW = "new"
    CONNECTING = "connecting"
    ESTABLISHING = "establishing"
    STEADY = "steady"
    STALLED = "stalled"
    DROPPING = "dropping"
    WAITING = "waiting"
    DRAINING = "draining"
    ENDED = "ended"


_STEADY = State.STEADY  # on the hot path, where an enum's attribute costs as much as a call


class Session:
    """One client's session. Pass events to `handle` and carry out the returned actions in order."""

    __slots__ = (
        "_attempts",
        "_dialect",
        "_recorder",
        "_steps",
        "_traffic",
        "_was_open",
        "about",
        "state",
    )

    def __init__(self, about: DialectSession, config: SessionConfig, recorder: Recorder) -> None:
        self.about = about
        self.state = State.NEW
        self._dialect = config.dialect
        self._recorder = recorder
        self._attempts = Attempts(about.identity, config.backoff, recorder)
        self._traffic = Traffic(about, config, recorder)
        self._steps = _TABLE[State.NEW]
        self._was_open = False  # whether the last attempt opened a WebSocket
        recorder.population[State.NEW] += 1

    def handle(self, event: Event, now_ns: int) -> Actions:
        """Handle an event and return the actions to carry out, in order.

        Args:
            event: what happened.
            now_ns: when, in nanoseconds of the run's clock.

        Raises:
            IllegalStep: the current state does not allow this event; nothing was changed.
        """
        step = self._steps.get(event.__class__)
        if step is None:
            raise IllegalStep(self.state, type(event).__name__)
        return step(self, event, now_ns)

    @property
    def outstanding(self) -> int:
        """Number of outstanding requests."""
        return self._traffic.outstanding

    @property
    def probe(self) -> Data | None:
        """A message outside the ledger for drops to send (`loadtest.drops.kinds.Wire`); None for none."""
        return calls.probe(self._dialect, self.about)

    def _enter(self, state: State) -> None:
        population = self._recorder.population
        population[self.state] -= 1
        population[state] += 1
        self.state = state
        self._steps = _TABLE[state]

    def _count(self, name: str) -> None:
        self._recorder.counts[name] += 1

    # Connecting.

    def _on_attempt(self, _event: Started | RetryDue, now_ns: int) -> Actions:
        self.about.connection += self._was_open
        self._was_open = False
        self._attempts.begin(now_ns)
        self._enter(State.CONNECTING)
        return (Connect(),)

    def _on_opened(self, event: Opened, now_ns: int) -> Actions:
        self._attempts.opened(event.phases, now_ns)
        self._traffic.opened()
        self._was_open = True
        self._enter(State.ESTABLISHING)
        greeting = [self._say(data) for data in calls.greeting(self._dialect, self.about)]
        if self._dialect.establishes:
            return greeting
        return [*greeting, *self._establish(Established(), now_ns)]

    def _say(self, data: Data) -> Send:
        """Send a message outside the ledger."""
        self._count("messaging.other_sent")
        return Send(data)

    def _on_refused(self, event: Refused, now_ns: int) -> Actions:
        if event.unreachable:
            self._attempts.unreachable()
        return self._wait_or_end(self._attempts.failed(event.cause, event.phase, event.detail, now_ns))

    def _on_establish_timed_out(self, _event: EstablishTimedOut, now_ns: int) -> Actions:
        detail = "the WebSocket opened, but the application did not say that the session is established"
        delay_s = self._failed("establish_timeout", detail, now_ns)
        return (Close(NORMAL_CLOSURE), *self._wait_or_end(delay_s))

    def _on_lost_establishing(self, event: Lost, now_ns: int) -> Actions:
        forbidden = event.code in self._dialect.forbidding_close_codes
        cause = f"closed_{event.cause}"
        return self._wait_or_end(self._failed(cause, event.reason, now_ns, forbidden=forbidden))

    def _failed(self, cause: str, detail: str, now_ns: int, *, forbidden: bool = False) -> float | None:
        """Record a failed attempt; if the server has refused the login, this is the cause."""
        if refusal := self._traffic.refusal:
            cause, detail = "auth_required", refusal
        return self._attempts.failed(cause, "established", detail, now_ns, forbidden=forbidden)

    def _wait_or_end(self, delay_s: float | None) -> Actions:
        if delay_s is None:
            self._enter(State.ENDED)
            return (Finish(),)
        self._enter(State.WAITING)
        return (Reconnect(delay_s),)

    # Established.

    def _establish(self, said: Established, now_ns: int) -> Actions:
        self._enter(State.STEADY)
        self._traffic.established(said, now_ns, resumed=self._attempts.established(now_ns))
        return (Settle(), *self._traffic.in_turn(now_ns))

    # Messages: the hot path.

    def _on_due(self, event: Due, now_ns: int) -> Actions:
        return self._traffic.due(event.planned_ns, now_ns)

    def _on_due_disconnected(self, event: Due, _now_ns: int) -> Actions:
        self._traffic.due_disconnected(event.planned_ns)
        return ()

    def _on_received(self, event: Received, now_ns: int) -> Actions:
        try:
            read: Any = self._dialect.read(self.about, event.data)
            if read.__class__ is not Reply:
                read = calls.listed(self._dialect, read, event.data)
        except DialectMistake:
            raise
        except Exception as error:
            raised = mistake(self._dialect, "read", error, excerpt(event.data))
            raised.__cause__ = error
            return self._misread(raised, f"{raised.where} raised {type(error).__name__}", now_ns)
        actions: Actions
        try:
            if read.__class__ is Reply:
                actions = self._traffic.replied(read, now_ns, steady=self.state is _STEADY)
            else:
                actions = [action for incoming in read for action in self._take(incoming, now_ns)]
        except FieldMistake as wrong:
            return self._misread(wrong, "a field of the wrong type", now_ns)
        except LoadtestError:
            raise
        except Exception:
            found = calls.wrong_field(self._dialect, read, event.data)
            if found is None:  # then it is a defect of the tool
                raise
            return self._misread(found, "a field of the wrong type", now_ns)
        self._recorder.has_read = True
        return actions

    def _misread(self, wrong: DialectMistake, error: str, now_ns: int) -> Actions:
        """Count a message that the dialect could not read as unreadable.

        Raises:
            DialectMistake: so it was with every one of the first messages.
        """
        self._recorder.reads_raised += 1
        if not self._recorder.has_read and self._recorder.reads_raised >= HOPELESS_READS:
            raise wrong
        self._traffic.unreadable(str(wrong), now_ns, error)
        return ()

    def _take(self, incoming: Incoming, now_ns: int) -> Actions:
        match incoming:
            case Reply():
                return self._traffic.replied(incoming, now_ns, steady=self.state is _STEADY)
            case Failed():
                return self._traffic.failed(incoming, now_ns, steady=self.state is _STEADY)
            case Send(data):
                return (self._say(calls.sendable(self._dialect, "read", data, "a message of the server")),)
            case Established() if self.state is State.ESTABLISHING:
                return self._establish(incoming, now_ns)
            case Established():
                self._traffic.history.said_again(incoming, now_ns)
            case _:
                self._traffic.heard(incoming, now_ns)
        return ()

    def _on_received_draining(self, event: Received, now_ns: int) -> Actions:
        return self._on_received(event, now_ns) or self._look_if_drained(now_ns)

    def _on_received_dropping(self, event: Received, now_ns: int) -> Actions:
        """Count messages that still arrive, except those that may answer what the drop sent."""
        try:
            said = calls.listed(self._dialect, self._dialect.read(self.about, event.data), event.data)
        except Exception:
            return ()
        if calls.wrong_field(self._dialect, said, event.data) is not None:
            return ()
        with suppress(FieldMistake):  # of a sequence
            for incoming in said:
                if not _may_answer_a_drop(incoming):
                    self._take(incoming, now_ns)
        return ()

    def _on_heartbeat_due(self, _event: HeartbeatDue, _now_ns: int) -> Actions:
        return (self._say(calls.heartbeat(self._dialect, self.about)),)

    def _on_swept(self, _event: Swept, now_ns: int) -> Actions:
        return self._traffic.swept(now_ns, steady=self.state is _STEADY)

    def _on_swept_draining(self, event: Swept, now_ns: int) -> Actions:
        return self._on_swept(event, now_ns) or self._look_if_drained(now_ns)

    def _look_if_drained(self, now_ns: int) -> Actions:
        return () if self._traffic.outstanding else self._finish_stopping(now_ns)

    # Drops and losses.

    def _on_drop_due(self, event: DropDue, now_ns: int) -> Actions:
        drop = event.drop
        self._attempts.log("dropped", now_ns, kind=drop.kind, ordinal=drop.ordinal, storm=drop.storm)
        self._count(f"drops.{drop.kind}")
        if DropKind.kinds[drop.kind].disconnects:
            self._traffic.interrupted(now_ns)
            self._attempts.interrupted(now_ns)
            self._enter(State.DROPPING)
        else:
            self._traffic.pushes.ended(now_ns)
            self._enter(State.STALLED)
        return (PerformDrop(drop),)

    def _on_recovered(self, _event: Recovered, now_ns: int) -> Actions:
        self._traffic.disturbed(now_ns, resumed=False)
        self._enter(State.STEADY)
        return (Settle(), *self._traffic.in_turn(now_ns))

    def _on_detected(self, _event: Detected | Lost, now_ns: int) -> Actions:
        self._traffic.disconnected(now_ns)
        return self._wait_or_end(self._attempts.detected(now_ns))

    def _on_lost(self, event: Lost, now_ns: int) -> Actions:
        self._attempts.log("lost", now_ns, cause=event.cause, code=event.code, detail=event.reason or None)
        self._count(f"losses.{event.cause}")
        self._traffic.pushes.lost()
        if self.state is _STEADY:
            self._traffic.interrupted(now_ns)
        self._attempts.interrupted(now_ns)
        if event.code not in self._dialect.forbidding_close_codes:
            return self._on_detected(event, now_ns)
        self._traffic.disconnected(now_ns)
        self._attempts.forbidden(event.code, event.reason, now_ns)
        return self._wait_or_end(None)

    # Stopping.

    def _on_stopped(self, _event: Stopped | Lost, now_ns: int) -> Actions:
        self._attempts.cut_off(now_ns, trying=self.state in (State.CONNECTING, State.ESTABLISHING))
        self._traffic.unfinished(now_ns)
        self._enter(State.ENDED)
        return (Finish(),)

    def _on_stopped_open(self, event: Stopped, now_ns: int) -> Actions:
        return (Close(NORMAL_CLOSURE), *self._on_stopped(event, now_ns))

    def _on_stopped_establishing(self, event: Stopped, now_ns: int) -> Actions:
        if self._traffic.refusal:  # a server may leave the connection open after that
            self._failed("", "", now_ns)
            self._enter(State.WAITING)
        return self._on_stopped_open(event, now_ns)

    def _on_stopped_steady(self, _event: Stopped, now_ns: int) -> Actions:
        self._traffic.pushes.ended(now_ns)
        if not self._traffic.outstanding:
            return self._finish_stopping(now_ns)
        self._enter(State.DRAINING)
        return (Drain(),)

    def _on_drained(self, _event: Drained, now_ns: int) -> Actions:
        self._traffic.interrupted(now_ns)
        return self._finish_stopping(now_ns)

    def _finish_stopping(self, now_ns: int) -> Actions:
        self._traffic.unfinished(now_ns)
        self._enter(State.ENDED)
        return (Close(NORMAL_CLOSURE), Finish())

    def _ignore(self, _event: Event, _now_ns: int) -> Actions:
        return ()


def _may_answer_a_drop(incoming: Incoming) -> bool:
    """Return whether a message may answer what a drop sent: errors, and what names no request."""
    match incoming:
        case Failed() | Unreadable() | Send():
            return True
        case Reply(sequence=sequence) | StreamPart(sequence=sequence):
            return sequence is None
    return False


_Step = Callable[[Session, Any, int], Actions]

_TABLE: dict[State, dict[type, _Step]] = {
    State.NEW: {
        Started: Session._on_attempt,
        Stopped: Session._on_stopped,
    },
    State.CONNECTING: {
        Opened: Session._on_opened,
        Refused: Session._on_refused,
        Due: Session._on_due_disconnected,
        HeartbeatDue: Session._ignore,
        Swept: Session._ignore,
        Stopped: Session._on_stopped,
    },
    State.ESTABLISHING: {
        Received: Session._on_received,
        Lost: Session._on_lost_establishing,
        EstablishTimedOut: Session._on_establish_timed_out,
        Due: Session._on_due_disconnected,
        HeartbeatDue: Session._ignore,
        Swept: Session._ignore,
        Stopped: Session._on_stopped_establishing,
    },
    State.STEADY: {
        Received: Session._on_received,
        Due: Session._on_due,
        DropDue: Session._on_drop_due,
        Lost: Session._on_lost,
        HeartbeatDue: Session._on_heartbeat_due,
        Swept: Session._on_swept,
        Stopped: Session._on_stopped_steady,
    },
    State.STALLED: {
        Received: Session._on_received,
        Due: Session._on_due_disconnected,
        Recovered: Session._on_recovered,
        Lost: Session._on_lost,
        HeartbeatDue: Session._on_heartbeat_due,
        Swept: Session._ignore,
        Stopped: Session._on_stopped_open,
    },
    State.DROPPING: {
        Received: Session._on_received_dropping,
        Due: Session._on_due_disconnected,
        Detected: Session._on_detected,
        Lost: Session._on_detected,
        HeartbeatDue: Session._ignore,
        Swept: Session._ignore,
        Stopped: Session._on_stopped,
    },
    State.WAITING: {
        RetryDue: Session._on_attempt,
        Due: Session._on_due_disconnected,
        HeartbeatDue: Session._ignore,
        Swept: Session._ignore,
        Stopped: Session._on_stopped,
    },
    State.DRAINING: {
        Received: Session._on_received_draining,
        Drained: Session._on_drained,
        Lost: Session._on_stopped,
        HeartbeatDue: Session._on_heartbeat_due,
        Swept: Session._on_swept_draining,
    },
    State.ENDED: {},
}
