"""The messages of a session that runs a script: sent by its tasks and reported to them. Pure.

A script's requests are in the same ledger as planned requests, with the same outcomes, histograms and checks.
Two things differ. First, a script may send a body without the marked text of its request. Its reply is then
not compared with a text, and no history need contain it. Second, a script waits: for a reply, for its parts,
for a push. A `Waiter` learns the outcome in the same step that records it in the ledger.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from msgspec import UNSET

from loadtest.dialects.base import Failed, Incoming, Push, Reply, Request, StreamPart
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.mistakes import mistake
from loadtest.errors import Dropped, IllegalStep, ReplyTimeout, RequestFailed, ScriptInterrupted
from loadtest.events import Data, Send
from loadtest.session.ledger import Ledger, Outcome, Ranges
from loadtest.session.ledger import Request as Sent
from loadtest.session.machine import Session
from loadtest.session.recorder import Recorder
from loadtest.session.returned_texts import numbered
from loadtest.session.schedule import NS_PER_S
from loadtest.session.script import Message
from loadtest.session.session_config import SessionConfig
from loadtest.session.state import State
from loadtest.session.traffic import Traffic


class Waiter(Protocol):
    """A script's call that waits for a reply."""

    timeout_ns: int | None
    """How long a reply may take without a sign of life, in nanoseconds; None for the run's timeout."""

    def part(self, message: Message) -> None:
        """Take a part of the reply."""

    def replied(self, message: Message) -> None:
        """Take the reply, or the end of a streamed one."""

    def interrupted(self, error: ScriptInterrupted) -> None:
        """Handle the interruption: there will be no reply."""


class Listener(Protocol):
    """The script of a session."""

    def pushed(self, message: Message) -> None:
        """Take a push."""

    def dropped(self) -> None:
        """Handle the end of the connection."""


class ScriptedLedger(Ledger):
    """A ledger that allows requests without a marked text, which nothing on the wire identifies."""

    __slots__ = ("unmarked",)

    def __init__(self) -> None:
        super().__init__()
        self.unmarked = Ranges()

    def answered(self, sequence: int, flaw: Outcome | None = None, *, ordered: bool = True) -> Outcome:
        """Record a reply; a history need not contain a request without a mark."""
        if not self.unmarked or flaw is not None or sequence not in self.unmarked:
            return super().answered(sequence, flaw, ordered=ordered)
        late = sequence < self.highest
        super().answered(sequence, Outcome.ANSWERED, ordered=ordered)  # remembered, but not acknowledged
        self.highest = max(self.highest, sequence)
        return Outcome.REORDERED if late and ordered else Outcome.ANSWERED

    def unexpected(
        self, sequence: int, flaw: Outcome | None = None, *, resumes: bool = True
    ) -> tuple[Outcome, Outcome | None]:
        """Record a reply to a request that is not outstanding."""
        if flaw is not None or sequence not in self.unmarked:
            return super().unexpected(sequence, flaw, resumes=resumes)
        outcome, given_up = super().unexpected(sequence, Outcome.ANSWERED, resumes=resumes)
        if given_up is None:
            return outcome, None
        return (Outcome.RECOVERED if given_up is Outcome.LOST_IN_OUTAGE else Outcome.LATE), given_up


class ScriptedTraffic(Traffic):
    """One session's messages, including those of a script.

    Attributes:
        received: the message being read.
        received_at_s: when it arrived, in seconds of Unix time.
        listener: the session's script.
    """

    __slots__ = (
        "_bodies",
        "_newest",
        "_size_of",
        "_taken",
        "_waited",
        "_waiters",
        "listener",
        "received",
        "received_at_s",
    )

    _ledger: ScriptedLedger

    def __init__(self, about: DialectSession, config: SessionConfig, recorder: Recorder) -> None:
        super().__init__(about, config, recorder, ScriptedLedger())
        self.received: Data = ""
        self.received_at_s = 0.0
        self.listener: Listener
        self._waiters: dict[int, Waiter] = {}  # by sequence
        self._bodies: dict[int, str] = {}  # of these, the bodies that say more than their marked text
        self._taken: set[int] = set()  # sequences whose text the script has taken and not yet sent
        self._waited: set[int] = set()  # of these, those taken before the session was last established
        self._newest = -1  # the last sequence sent
        self._size_of = None if isinstance(config.size_of, int) else config.size_of  # if sizes vary

    @property
    def steady_since_ns(self) -> int:
        """When the session last began to read undisturbed, in nanoseconds of the run's clock."""
        return self._steady_since_ns

    # Out.

    def take_text(self, *, talking: bool = True) -> str:
        """Return the marked text of a request that the script will send, at once only if `talking`."""
        sequence = self._ledger.next_sequence
        self._ledger.next_sequence += 1
        self._taken.add(sequence)
        if not talking:
            self._waited.add(sequence)
        return self._about.text(sequence)

    def ask(self, body: Any, name: str, waiter: Waiter | None, now_ns: int, *, fixed: bool) -> Data:
        """Record a message of the script as sent, and return it.

        Args:
            body: str or bytes, a function of session and sequence number that returns one or a
                `loadtest.Request`, or None for the request of the dialect.
            name: name of this type of message.
            waiter: the call that waits for the reply; None if no reply is expected.
            now_ns: time on the run's clock.
            fixed: whether the message may contain a text taken earlier; False if it may be repeated.

        Raises:
            TypeError: the body is something else.
            ValueError: its text was already sent, or must not be sent now.
            Dropped: planned messages have overtaken its text, which waited for the session to be established.
        """
        ledger, recorder = self._ledger, self._recorder
        if body.__class__ is str or body.__class__ is bytes:
            data, sequence, marked = body, *self._mark_in(body, fixed=fixed)
        else:
            sequence = ledger.next_sequence
            data = self._of_dialect(sequence) if body is None else _function(body)(self._about, sequence)
            if data.__class__ is not str and data.__class__ is not bytes:
                data, name = _opened(data, name, answered=waiter is not None)
            marked = body is None or self._marks(data, sequence)
        recorder.planned += 1
        recorder.sent += 1
        self._newest = sequence
        if sequence == ledger.next_sequence:
            ledger.next_sequence += 1
        else:
            self._taken.discard(sequence)
            self._waited.discard(sequence)
        if not marked:
            ledger.unmarked.add(sequence)
            self.history.pushed += 2  # the server may keep it and its reply, and nothing shows whose they are
        if waiter is None:
            recorder.counts["messaging.unanswerable"] += 1
        else:
            ledger.pending[sequence] = Sent(now_ns, now_ns, name)
            self._waiters[sequence] = waiter
            if marked and body is not None and data.__class__ is str:
                self._bodies[sequence] = data
        return data

    def _of_dialect(self, sequence: int) -> Any:
        try:
            return self._dialect.request(self._about, sequence)
        except BaseException as error:  # SystemExit, for example: it would end the thread
            raise mistake(self._dialect, "request", error, f"sequence {sequence}") from error

    def _marks(self, data: Data, sequence: int) -> bool:
        head = f"{self._about.marker.head}{sequence}."
        return head in data if isinstance(data, str) else head.encode() in data

    def _mark_in(self, data: Data, *, fixed: bool) -> tuple[int, bool]:
        """Return a message's sequence number, and whether the message contains its marked text."""
        marker = self._about.marker
        if isinstance(data, str):
            own = marker.sequence_of(data)
        else:
            own = marker.sequence_of(data.decode(errors="replace")) if marker.head.encode() in data else None
        if own is None:
            return self._ledger.next_sequence, False
        if not fixed:
            raise ValueError(
                "with again=True, the body must not contain a text of session.text(), which may be sent only "
                "once: pass a loadtest.Template, or a function of session and sequence"
            )
        if own not in self._taken:
            raise ValueError(
                f"the text of request {own} was already sent: call session.text() for each message"
            )
        if own < self._newest and own in self._waited:
            raise Dropped
        if own < self._newest:
            raise ValueError(
                f"the text of request {own} must not be sent after that of request {self._newest}: call "
                "session.text() right before sending"
            )
        return own, True

    def _forget(self, sequence: int) -> Waiter | None:
        """Remove and return the call that waits for a reply, if there is one."""
        if self._bodies:
            self._bodies.pop(sequence, None)
        return self._waiters.pop(sequence, None)

    def _send(self, planned_ns: int, now_ns: int) -> Send:
        self._newest = self._ledger.next_sequence
        return super()._send(planned_ns, now_ns)

    # In.

    def replied(self, reply: Reply, now_ns: int, *, steady: bool) -> Sequence[Send]:
        """Record a reply, and pass it to the call that waits for it; see `Traffic.replied`."""
        sequence = reply.sequence if reply.sequence.__class__ is int else self._number(reply.sequence)
        given, unmarked = reply, self._ledger.unmarked
        if reply.text is not UNSET and unmarked and sequence in unmarked:
            reply = Reply(reply.sequence)  # there is no text to compare with
        elif reply.whole and self._bodies and reply.text == self._bodies.get(sequence, UNSET):
            reply = Reply(reply.sequence, self._about.text(sequence))  # the whole body came back
        service = self._recorder.service
        before = len(service)
        sends = super().replied(reply, now_ns, steady=steady)
        if self._size_of is not None and len(service) > before and sequence not in unmarked:
            self._recorder.sized(self._size_of(self._about.number, sequence)).append(service[-1])
        if self._bodies:
            self._bodies.pop(sequence, None)
        waiter = self._waiters.pop(sequence, None)
        if waiter is not None:
            waiter.replied(Message(given, self.received, self.received_at_s))
        return sends

    def failed(self, failed: Failed, now_ns: int, *, steady: bool) -> Sequence[Send]:
        """Record an error reply, and pass it to the call that waits for it; see `Traffic.failed`."""
        sequence = self._number(failed.sequence)
        sends = super().failed(failed, now_ns, steady=steady)
        waiter = self._forget(sequence)
        if waiter is not None:
            waiter.interrupted(RequestFailed(failed.detail))
        return sends

    def _part(self, part: StreamPart, now_ns: int) -> None:
        in_order = part.sequence is None and self._ordered
        sequence = self._ledger.next_in_order() if in_order else self._number(part.sequence)
        super()._part(part, now_ns)
        waiter = self._waiters.get(sequence)
        if waiter is not None:
            waiter.part(Message(part, self.received, self.received_at_s))

    def heard(self, incoming: Incoming, now_ns: int) -> None:
        """Record a message that requires no answer; a push goes to the script."""
        super().heard(incoming, now_ns)
        if isinstance(incoming, Push):
            self.listener.pushed(Message(incoming, self.received, self.received_at_s))

    # What does not come.

    def _expired(self, now_ns: int) -> list[tuple[int, Sent, Outcome]]:
        """Give up overdue requests, by their own timeouts where given."""
        usual_ns, since_ns = self._config.reply_timeout_ns, self._steady_since_ns
        overdue = [
            sequence
            for sequence, request in self._ledger.pending.items()
            if now_ns - max(self._ledger.streams.get(sequence, request.sent_ns), since_ns)
            > self._timeout_ns(sequence, usual_ns)
        ]
        given_up = self._ledger.give_up(overdue)
        for sequence, request, _ in given_up:
            waiter = self._forget(sequence)
            if waiter is not None:
                waiter.interrupted(
                    ReplyTimeout(
                        f"the reply to {self.named(sequence, request.name)[:80]}",
                        (usual_ns if waiter.timeout_ns is None else waiter.timeout_ns) / NS_PER_S,
                    )
                )
        return given_up

    def _timeout_ns(self, sequence: int, usual_ns: int) -> int:
        waiter = self._waiters.get(sequence)
        return usual_ns if waiter is None or waiter.timeout_ns is None else waiter.timeout_ns

    def named(self, sequence: int, name: str = "") -> str:
        """Return a request as text to search for in a server's log, if it has a marked text."""
        if sequence in self._ledger.unmarked:
            return numbered(sequence, name)
        return super().named(sequence, name)

    def disconnected(self, now_ns: int) -> None:
        """Give up the outstanding requests, and notify the script."""
        super().disconnected(now_ns)
        self._waited.update(self._taken)
        waiters = [*self._waiters.values()]
        self._waiters.clear()
        self._bodies.clear()
        for waiter in waiters:
            waiter.interrupted(Dropped())
        self.listener.dropped()


def _function(body: Any) -> Any:
    if callable(body):
        return body
    problem = f"str, bytes, a loadtest.Template or a function of session and sequence, not {body!r:.100}"
    raise TypeError(f"a body must be {problem}")


def _opened(made: object, name: str, *, answered: bool) -> tuple[Data, str]:
    """Return the message that a function of the script returned, and its name."""
    if isinstance(made, Request):
        if answered and not made.replies:
            raise ValueError("the body is a loadtest.Request with replies=False: use session.send()")
        name, made = name or made.name, made.data
    if not isinstance(made, str | bytes):
        raise TypeError(f"a body must be, or return, str or bytes, not {made!r:.100}")
    return made, name


class ScriptedMachine(Session):
    """A session's state machine with a second entry point: a script sends while the session is up."""

    __slots__ = ()

    _new_traffic = ScriptedTraffic
    _traffic: ScriptedTraffic

    @property
    def traffic(self) -> ScriptedTraffic:
        """The session's messages."""
        return self._traffic

    def ask(self, body: Any, name: str, waiter: Waiter | None, now_ns: int, *, fixed: bool) -> Data:
        """Return the message that the script sends; see `ScriptedTraffic.ask`.

        Raises:
            IllegalStep: the session may not send.
        """
        if not self.talking:
            raise IllegalStep(self.state, "a script's message")
        if self.state is State.PROVING:
            self._has_worked(now_ns)
        return self._traffic.ask(body, name, waiter, now_ns, fixed=fixed)
