"""A session's state machine, across all its connections. Pure: no socket, no clock, no randomness.

    NEW ──> CONNECTING ──> ESTABLISHING ──> PROVING ──> STEADY <──> STALLED
                ^  │             │             │         │   │
                │  v             v             v         │   └──> DRAINING ──> ENDED
              WAITING <──────────┴─────────────┴ DROPPING <┘

A session is PROVING until it has worked on its new connection. A connection lost before that is a failed
attempt. One lost later is a loss, for the item `stability`, unless a drop is the cause.

`handle` is the only entry point. It looks up the step for an event in the table at the end, and returns
actions for the engine. An event without a step in the current state raises IllegalStep and changes nothing.

`loadtest.session.reconnecting` handles connecting and reconnecting, `loadtest.session.proof` decides whether
the session works, and `loadtest.session.traffic` handles the messages on a connection.
"""

from collections.abc import Callable, Sequence
from typing import Any

from loadtest import events
from loadtest.dialects import calls
from loadtest.dialects.base import Established, Failed, Incoming, Reply, excerpt
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.mistakes import mistake
from loadtest.drops.kinds import disconnects
from loadtest.errors import DialectMistake, FieldMistake, Flooded, IllegalStep, LoadtestError
from loadtest.events import Action, Data, Event
from loadtest.session.proof import Proof
from loadtest.session.reconnecting import REFUSED_S, WORKING, Attempts
from loadtest.session.recorder import Recorder
from loadtest.session.schedule import NS_PER_S
from loadtest.session.session_config import SessionConfig
from loadtest.session.size_classes import new_traffic
from loadtest.session.state import TALKING, State

Actions = Sequence[Action]

AFTERMATH_NS = 2 * NS_PER_S
"""How long a connection's end still belongs to a drop that was to keep it: it may be read only afterwards."""


class Session:
    """One client's session. Pass events to `handle` and carry out the returned actions in order."""

    __slots__ = (
        "_aftermath_ns",
        "_attempts",
        "_dialect",
        "_proof",
        "_recorder",
        "_steps",
        "_traffic",
        "_was_open",
        "about",
        "state",
        "talking",
    )
    _new_traffic = staticmethod(new_traffic)

    def __init__(self, about: DialectSession, config: SessionConfig, recorder: Recorder) -> None:
        self.about = about
        self.state = State.NEW
        self._dialect = config.dialect
        self._recorder = recorder
        self._attempts = Attempts(about, config, recorder)
        self._traffic = self._new_traffic(about, config, recorder)
        self._proof = Proof(self._attempts, self._traffic)
        self._steps = _TABLE[State.NEW]
        self.talking = False
        self._aftermath_ns = 0  # until when the end of the connection belongs to a drop that kept it
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
        try:
            step = self._steps[event.__class__]
        except KeyError:
            raise IllegalStep(self.state, type(event).__name__) from None
        return step(self, event, now_ns)

    @property
    def outstanding(self) -> int:
        """Number of outstanding requests."""
        return self._traffic.outstanding

    @property
    def quiet(self) -> bool:
        """Whether a sweep would change nothing: the session has worked and has no outstanding requests."""
        return self.talking and not self._proof.pending and not self._traffic.outstanding

    @property
    def probe(self) -> Data | None:
        """A message for drops to send, outside the ledger (`loadtest.drops.kinds.Wire`); None for none."""
        return calls.probe(self._dialect, self.about)

    def _enter(self, state: State) -> None:
        self._recorder.population[self.state] -= 1
        self._recorder.population[state] += 1
        self.state = state
        self._steps = _TABLE[state]
        self.talking = state in TALKING

    # Connecting.

    def _on_attempt(self, _event: events.Started | events.RetryDue, now_ns: int) -> Actions:
        self.about.connection, self._was_open = self.about.connection + self._was_open, False
        self._attempts.begin(now_ns)
        self._enter(State.CONNECTING)
        return (events.Connect(),)

    def _on_token_awaited(self, event: events.TokenAwaited, _now_ns: int) -> Actions:
        self._attempts.token_awaited(event.waited_ns)
        return ()

    def _on_opened(self, event: events.Opened, now_ns: int) -> Actions:
        self._attempts.opened(event.phases, now_ns)
        self._traffic.opened()
        self._aftermath_ns = 0
        self._was_open = True
        self._enter(State.ESTABLISHING)
        greeting = [self._say(data) for data in calls.greeting(self._dialect, self.about)]
        return greeting if self._dialect.establishes else [*greeting, *self._establish(Established(), now_ns)]

    def _say(self, data: Data) -> events.Send:
        """Send a message outside the ledger."""
        self._recorder.counts["messaging.other_sent"] += 1
        return events.Send(data)

    def _on_refused(self, event: events.Refused, now_ns: int) -> Actions:
        return self._wait_or_end(self._attempts.refused(event, now_ns))

    def _on_establish_timed_out(self, _event: events.EstablishTimedOut, now_ns: int) -> Actions:
        detail = "the WebSocket opened, but the application did not establish the session"
        delay_s = self._failed("establish_timeout", detail, now_ns)
        return (events.Close(events.NORMAL_CLOSURE), *self._wait_or_end(delay_s))

    def _on_received_establishing(self, event: events.Received, now_ns: int) -> Actions:
        known, actions = self._traffic.refusal, self._on_received(event, now_ns)
        final = self.state is State.ESTABLISHING and not actions  # else it is a challenge, and was answered
        return (events.Hasten(REFUSED_S),) if self._traffic.refusal and not known and final else actions

    def _on_lost_establishing(self, event: events.Lost, now_ns: int) -> Actions:
        return self._wait_or_end(self._failed(f"closed_{event.cause}", event.reason, now_ns, code=event.code))

    def _failed(
        self, cause: str, detail: str, now_ns: int, *, phase: str = "established", code: int | None = None
    ) -> float | None:
        """Record a failed attempt; if the server refused the login, that is the cause."""
        if refusal := self._traffic.refusal:
            cause, detail = "auth_required", refusal
        return self._attempts.failed(cause, phase, detail, now_ns, code=code)

    def _wait_or_end(self, delay_s: float | None) -> Actions:
        if delay_s is None:
            self._enter(State.ENDED)
            return (events.Finish(),)
        self._enter(State.WAITING)
        return (events.Reconnect(delay_s, token_rejected=self._attempts.token_rejected),)

    # Established, but not yet known to work.

    def _establish(self, said: Established, now_ns: int) -> Actions:
        self._enter(State.PROVING)
        self._proof.begin(now_ns)
        self._traffic.established(said, now_ns, resumed=self._attempts.established(now_ns, said))
        return (events.Settle(), *self._traffic.in_turn(now_ns))

    def _has_worked(self, now_ns: int, before: tuple[int, int] | None = None) -> bool:
        worked = self._proof.settle(now_ns, before)
        if worked and self.state is State.PROVING:
            self._traffic.pushes.began(now_ns)
            self._enter(State.STEADY)
        return worked

    def _on_received_proving(self, event: events.Received, now_ns: int) -> Actions:
        before = self._proof.signs()
        actions = self._on_received(event, now_ns)
        self._has_worked(now_ns, before)
        return actions

    def _on_due_proving(self, event: events.Due, now_ns: int) -> Actions:
        self._has_worked(now_ns)
        return self._on_due(event, now_ns)

    def _on_lost_proving(self, event: events.Lost, now_ns: int) -> Actions:
        if self._has_worked(now_ns):
            return self._on_lost(event, now_ns)
        if self._proof.mute:  # that requests timed out is the fault, not that the server then hung up
            return self._on_lost_in_drop(event, now_ns)
        self._proof.failed()
        self._traffic.disconnected(now_ns)
        cause = f"closed_{event.cause}"
        return self._wait_or_end(self._failed(cause, event.reason, now_ns, phase=WORKING, code=event.code))

    # Messages: the hot path.

    def _on_due(self, event: events.Due, now_ns: int) -> Actions:
        return self._traffic.due(event.planned_ns, now_ns)

    def _on_due_disconnected(self, event: events.Due, now_ns: int) -> Actions:
        self._traffic.due_disconnected(min(event.planned_ns, now_ns))
        return ()

    def _on_received(self, event: events.Received, now_ns: int) -> Actions:
        try:
            read: Any = self._dialect.read(self.about, event.data)
            if read.__class__ is not Reply:
                read = calls.listed(self._dialect, read, event.data)
        except (DialectMistake, Flooded):
            raise
        except BaseException as error:
            self._traffic.misread(mistake(self._dialect, "read", error, excerpt(event.data)), now_ns, error)
            return ()
        actions: Actions = ()  # where a later part of a message is wrong, those of its earlier ones stand
        try:
            if read.__class__ is Reply:
                actions = self._traffic.replied(read, now_ns, steady=self.talking)
            else:
                for incoming in read:
                    actions = (*actions, *self._take(incoming, now_ns))
            self._recorder.has_read = True
        except FieldMistake as wrong:
            self._traffic.misread(wrong, now_ns)
        except LoadtestError:
            raise
        except Exception:
            found = calls.wrong_field(self._dialect, read, event.data)
            if found is None:  # then it is a defect of the tool
                raise
            self._traffic.misread(found, now_ns)
        return actions

    def _take(self, incoming: Incoming, now_ns: int) -> Actions:
        match incoming:
            case Reply():
                return self._traffic.replied(incoming, now_ns, steady=self.talking)
            case Failed():
                return self._traffic.failed(incoming, now_ns, steady=self.talking)
            case events.Send(data):
                return (self._say(calls.sendable(self._dialect, "read", data, "a message of the server")),)
            case Established() if self.state is State.ESTABLISHING:
                return self._establish(incoming, now_ns)
            case Established():
                self._attempts.said_again(incoming, now_ns)
                self._traffic.history.said_again(incoming, now_ns)
            case _:
                self._traffic.heard(incoming, now_ns)
        return ()

    def _on_received_stalled(self, event: events.Received, now_ns: int) -> Actions:
        return (self._on_received_proving if self._proof.pending else self._on_received)(event, now_ns)

    def _on_received_draining(self, event: events.Received, now_ns: int) -> Actions:
        return self._on_received_stalled(event, now_ns) or self._look_if_drained(now_ns)

    def _on_received_dropping(self, event: events.Received, now_ns: int) -> Actions:
        """Handle messages that still arrive; possible replies to the drop are only counted."""
        said = calls.unasked(self._dialect, self.about, event.data)
        try:
            for incoming in said:
                self._take(incoming, now_ns)
        except FieldMistake:  # of a sequence
            said = []
        self._recorder.counts["messaging.drop_answers"] += not said
        return ()

    def _on_heartbeat_due(self, _event: events.HeartbeatDue, _now_ns: int) -> Actions:
        return (self._say(calls.heartbeat(self._dialect, self.about)),)

    def _on_swept(self, _event: events.Swept, now_ns: int) -> Actions:
        if self._proof.pending and not self._has_worked(now_ns):
            return self._proof.swept(now_ns, steady=self.talking)
        return self._traffic.swept(now_ns, steady=self.talking)

    def _on_swept_draining(self, event: events.Swept, now_ns: int) -> Actions:
        return self._on_swept(event, now_ns) or self._look_if_drained(now_ns)

    def _look_if_drained(self, now_ns: int) -> Actions:
        return () if self._traffic.outstanding else self._finish_stopping(now_ns)

    # Drops and losses.

    def _on_drop_due(self, event: events.DropDue, now_ns: int) -> Actions:
        self._traffic.pushes.ended(now_ns)
        if disconnects(event.drop.kind):
            self._traffic.interrupted(now_ns, self._proof.blamed)
            self._decide(now_ns)
            self._enter(State.DROPPING)
        else:
            self._enter(State.STALLED)
        self._attempts.dropped(event.drop, now_ns)
        return (events.PerformDrop(event.drop),)

    def _on_recovered(self, _event: events.Recovered, now_ns: int) -> Actions:
        self._traffic.disturbed(now_ns, resumed=False)
        self._aftermath_ns = now_ns + AFTERMATH_NS
        if self._proof.pending:
            self._enter(State.PROVING)
        else:
            self._traffic.pushes.began(now_ns)
            self._enter(State.STEADY)
        return (events.Settle(), *self._traffic.in_turn(now_ns))

    def _on_detected(self, _event: events.Detected | events.Lost, now_ns: int) -> Actions:
        self._traffic.disconnected(now_ns)
        return self._wait_or_end(self._attempts.detected(now_ns))

    def _on_lost_in_drop(self, event: events.Lost, now_ns: int) -> Actions:
        """End a connection with a known cause: a drop that should have kept it open, or its silence."""
        self._decide(now_ns)
        return self._on_gone(event, now_ns, explained=True)

    def _on_lost(self, event: events.Lost, now_ns: int) -> Actions:
        return self._on_gone(event, now_ns, explained=now_ns < self._aftermath_ns)

    def _on_gone(self, lost: events.Lost, now_ns: int, *, explained: bool) -> Actions:
        refusal = self._traffic.refusal
        if not self._attempts.lost(lost, now_ns, explained=explained, refusal=refusal):
            return self._on_detected(lost, now_ns)
        self._traffic.disconnected(now_ns)
        return self._wait_or_end(None)

    def _decide(self, now_ns: int) -> None:
        """Decide whether the session worked on the connection that ends."""
        if self._proof.pending and not self._has_worked(now_ns):
            self._proof.end(now_ns)

    # Stopping.

    def _on_stopped(self, _event: events.Stopped | events.Lost, now_ns: int) -> Actions:
        self._decide(now_ns)
        self._attempts.cut_off(now_ns, trying=self.state in (State.CONNECTING, State.ESTABLISHING))
        self._traffic.unfinished(now_ns)
        self._enter(State.ENDED)
        return (events.Finish(),)

    def _on_stopped_open(self, event: events.Stopped, now_ns: int) -> Actions:
        return (events.Close(events.NORMAL_CLOSURE), *self._on_stopped(event, now_ns))

    def _on_stopped_establishing(self, event: events.Stopped, now_ns: int) -> Actions:
        if self._traffic.refusal:  # a server may leave the connection open after that
            self._failed("", "", now_ns)
            self._enter(State.WAITING)
        return self._on_stopped_open(event, now_ns)

    def _on_stopped_steady(self, _event: events.Stopped, now_ns: int) -> Actions:
        self._traffic.pushes.ended(now_ns)
        if not self._traffic.outstanding:
            return self._finish_stopping(now_ns)
        self._enter(State.DRAINING)
        return (events.Drain(),)

    def _on_drained(self, _event: events.Drained, now_ns: int) -> Actions:
        self._traffic.interrupted(now_ns, self._proof.blamed)
        return self._finish_stopping(now_ns)

    def _finish_stopping(self, now_ns: int) -> Actions:
        self._decide(now_ns)
        self._traffic.unfinished(now_ns)
        self._enter(State.ENDED)
        return (events.Close(events.NORMAL_CLOSURE), events.Finish())

    def _ignore(self, _event: Event, _now_ns: int) -> Actions:
        return ()


_Step = Callable[[Session, Any, int], Actions]

_IDLE: dict[type, _Step] = {
    events.Due: Session._on_due_disconnected,
    events.Stopped: Session._on_stopped,
    **dict.fromkeys((events.HeartbeatDue, events.Swept), Session._ignore),
}
"""What comes to a session without a working connection, too."""

_TABLE: dict[State, dict[type, _Step]] = {
    State.NEW: {
        events.Started: Session._on_attempt,
        events.Stopped: Session._on_stopped,
    },
    State.CONNECTING: {
        events.TokenAwaited: Session._on_token_awaited,
        events.Opened: Session._on_opened,
        events.Refused: Session._on_refused,
        **_IDLE,
    },
    State.ESTABLISHING: {
        events.Received: Session._on_received_establishing,
        events.Lost: Session._on_lost_establishing,
        events.EstablishTimedOut: Session._on_establish_timed_out,
        **_IDLE,
        events.Stopped: Session._on_stopped_establishing,
    },
    State.PROVING: {
        events.Received: Session._on_received_proving,
        events.Due: Session._on_due_proving,
        events.DropDue: Session._on_drop_due,
        events.Lost: Session._on_lost_proving,
        events.HeartbeatDue: Session._on_heartbeat_due,
        events.Swept: Session._on_swept,
        events.Stopped: Session._on_stopped_steady,
    },
    State.STEADY: {
        events.Received: Session._on_received,
        events.Due: Session._on_due,
        events.DropDue: Session._on_drop_due,
        events.Lost: Session._on_lost,
        events.HeartbeatDue: Session._on_heartbeat_due,
        events.Swept: Session._on_swept,
        events.Stopped: Session._on_stopped_steady,
    },
    State.STALLED: {
        events.Received: Session._on_received_stalled,
        events.Due: Session._on_due_disconnected,
        events.Recovered: Session._on_recovered,
        events.Lost: Session._on_lost_in_drop,
        events.HeartbeatDue: Session._on_heartbeat_due,
        events.Swept: Session._ignore,
        events.Stopped: Session._on_stopped_open,
    },
    State.DROPPING: {
        events.Received: Session._on_received_dropping,
        events.Detected: Session._on_detected,
        events.Lost: Session._on_detected,
        **_IDLE,
    },
    State.WAITING: {
        events.RetryDue: Session._on_attempt,
        **_IDLE,
    },
    State.DRAINING: {
        events.Received: Session._on_received_draining,
        events.Drained: Session._on_drained,
        events.Lost: Session._on_stopped,
        events.HeartbeatDue: Session._on_heartbeat_due,
        events.Swept: Session._on_swept_draining,
    },
    State.ENDED: {},
}
