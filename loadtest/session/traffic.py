"""A session's messages: requests out, replies and pushes in, across its connections. Pure, and the hot path.

`Traffic` keeps the ledger and the queue of messages that wait, decides which round trips tell the latency
of an undisturbed session, and compares what a server restores after a resume with what it acknowledged.
The session around it knows whether there is a connection; this module only knows what is said on it.

A message that fell due in an outage is sent after it, if clients of this application queue. Its round trip
then tells the outage, not the server's latency, so neither `service` nor `response` gets it; nor the first
round trip after a resume, which has a histogram of its own.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.dialects.base import (
    UNNUMBERED,
    AuthRequired,
    Dialect,
    Established,
    Incoming,
    Push,
    Reply,
    Restored,
    StreamPart,
    Unreadable,
)
from loadtest.events import Data, Identity, Send
from loadtest.session.ledger import Ledger, Outcome, Request
from loadtest.session.recorder import HANGING_NS, Recorder
from loadtest.session.schedule import Backoff, Pace


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """How all sessions of a run behave.

    Args:
        dialect: what they speak.
        pace: when their messages are due.
        backoff: when they try to come back.
        reply_timeout_ns: after which a request without reply is lost.
        in_flight: requests a session may have under way, 0 for any number; more wait their turn.
    """

    dialect: Dialect
    pace: Pace
    backoff: Backoff
    reply_timeout_ns: int
    in_flight: int = 0


_ANSWERED = Outcome.ANSWERED  # on the hot path, where an enum's attribute costs as much as a call


class Traffic:
    """The messages of one session. Methods return the messages to send now."""

    QUEUE_LIMIT = 1000
    """Messages that may wait; beyond it they are missed."""

    __slots__ = (
        "_closed",
        "_conduct",
        "_dialect",
        "_first_after_resume",
        "_identity",
        "_last_push",
        "_least_push_ms",
        "_ledger",
        "_owed",
        "_queue",
        "_queued",
        "_recorder",
        "_steady_since_ns",
        "refusal",
    )

    def __init__(self, identity: Identity, conduct: SessionConfig, recorder: Recorder) -> None:
        self._identity = identity
        self._conduct = conduct
        self._dialect = conduct.dialect
        self._recorder = recorder
        self._ledger = Ledger()
        self._closed = conduct.pace.closed
        self._queue: deque[int] | None = None  # planned times; most sessions never have one
        self._queued = 0  # messages that fell due in the present disturbance and wait
        self._steady_since_ns = 0  # messages planned before tell no latency
        self._first_after_resume = False
        self._owed = 0  # acknowledged requests that the server has yet to restore after a resume
        self._last_push: int | None = None
        self._least_push_ms: float | None = None
        self.refusal = ""  # why the server turned the session away, if it said so

    @property
    def outstanding(self) -> int:
        """Requests under way."""
        return len(self._ledger.pending)

    @property
    def sample(self) -> Data:
        """A request that no ledger knows (`loadtest.drops.kinds.Wire.sample`)."""
        return self._dialect.request(self._identity, UNNUMBERED)

    def error(self, item: str, error: str, now_ns: int, example: str = "") -> None:
        """Count an error of this session."""
        self._recorder.error(item, error, session=self._identity.session_id, at_ns=now_ns, example=example)

    # Out.

    def due(self, planned_ns: int, now_ns: int) -> Sequence[Send]:
        """A message is due and the session is connected."""
        self._recorder.counts["messaging.planned"] += 1
        in_flight = self._conduct.in_flight
        if in_flight and len(self._ledger.pending) >= in_flight:
            if not self._hold(planned_ns):
                self._recorder.counts["messaging.missed"] += 1
            return ()
        self._recorder.send_slip.append(now_ns - planned_ns)
        return (self._send(planned_ns, now_ns),)

    def due_disconnected(self, planned_ns: int) -> None:
        """A message is due and there is no connection to send it on."""
        counts = self._recorder.counts
        counts["messaging.planned"] += 1
        held = self._dialect.queues and self._hold(planned_ns)
        self._queued += held
        counts["messaging.queued" if held else "messaging.missed"] += 1

    def _hold(self, planned_ns: int) -> bool:
        """Let a message wait, if there is room."""
        if self._queue is None:
            self._queue = deque()
        if len(self._queue) >= self.QUEUE_LIMIT:
            return False
        self._queue.append(planned_ns)
        return True

    def _send(self, planned_ns: int, now_ns: int) -> Send:
        ledger = self._ledger
        data = self._dialect.request(self._identity, ledger.next_sequence)
        ledger.sent(planned_ns, now_ns, data)
        self._recorder.counts["messaging.sent"] += 1
        return Send(data)

    def in_turn(self, now_ns: int) -> Sequence[Send]:
        """Send the messages whose turn it is: those that waited, or the next of a closed loop."""
        if self._closed:
            if self._ledger.pending:
                return ()
            self._recorder.counts["messaging.planned"] += 1
            return (self._send(now_ns, now_ns),)
        if not self._queue:
            return ()
        sends = []
        while self._queue and not (self._conduct.in_flight and self.outstanding >= self._conduct.in_flight):
            sends.append(self._send(self._queue.popleft(), now_ns))
        self._queue = self._queue or None
        return sends

    # In.

    def replied(self, reply: Reply, now_ns: int, *, steady: bool) -> Sequence[Send]:
        """Take a reply; a session in steady state answers it with the message whose turn it now is."""
        outcome, request = self._ledger.answered(reply.sequence, reply.content, self._dialect.intact)
        if request is None:
            self._misanswered(outcome, reply, now_ns)
            return ()
        if self._owed:
            self._history_missing(now_ns)  # what is answered now was asked after the resume
        if outcome is _ANSWERED:
            self._round_trip(request, now_ns, steady=steady)
        else:
            self._misanswered(outcome, reply, now_ns)
        return self.in_turn(now_ns) if steady else ()

    def _round_trip(self, request: Request, now_ns: int, *, steady: bool) -> None:
        recorder = self._recorder
        recorder.counts["messaging.answered"] += 1
        service_ns = now_ns - request.sent_ns
        if self._first_after_resume:
            self._first_after_resume = False
            recorder.samples("after_resume").append(service_ns)
        elif request.planned_ns >= self._steady_since_ns:
            recorder.service.append(service_ns)
            recorder.response.append(now_ns - request.planned_ns)
            if steady and recorder.outages_open:
                recorder.collateral.append(service_ns)

    def _misanswered(self, outcome: Outcome, reply: Reply, now_ns: int) -> None:
        if reply.sequence == UNNUMBERED:
            return  # the answer to what a drop sent
        counts = self._recorder.counts
        given_up_as = _CORRECTED.get(outcome)
        if given_up_as is not None:
            counts[f"messaging.{given_up_as}"] -= 1
        item = "persistence" if outcome is Outcome.REDELIVERED else "messaging"
        counts[f"{item}.{outcome}"] += 1
        if outcome is not Outcome.RECOVERED:
            self.error(item, f"reply {outcome}", now_ns, f"request {reply.sequence}")

    def swept(self, now_ns: int, *, steady: bool) -> Sequence[Send]:
        """Give up the requests that are older than the reply timeout."""
        sent_before_ns = now_ns - self._conduct.reply_timeout_ns
        if sent_before_ns < self._steady_since_ns:
            return ()  # while a slow reader did not read, no reply could come in time
        given_up = self._ledger.expired(sent_before_ns)
        for sequence, request in given_up:
            self._recorder.counts["messaging.lost"] += 1
            self.error("messaging", "no reply in time", request.sent_ns, f"request {sequence}")
        return self.in_turn(now_ns) if steady and given_up else ()

    def heard(self, incoming: Incoming, now_ns: int) -> None:
        """Take what is neither a reply nor the word that the session is established."""
        match incoming:
            case Push():
                self._pushed(incoming, now_ns)
            case Restored():
                self._compare_history(incoming, now_ns)
            case AuthRequired(detail):
                self.refusal = detail
            case Unreadable(excerpt):
                self._recorder.counts["messaging.unreadable"] += 1
                self.error("messaging", "unreadable message", now_ns, excerpt)
            case StreamPart() | Established() | Reply():
                pass  # replies go to `replied`; a session that is told again that it is up is what it was

    def _pushed(self, push: Push, now_ns: int) -> None:
        self._recorder.counts["messaging.pushes"] += 1
        if push.number is not None:
            self._follow_pushes(push.number, now_ns)
        if push.sent_at_ms is not None and math.isfinite(push.sent_at_ms):
            # RFC 3393: of clocks that do not agree, the delay above the smallest one can be known.
            apart_ms = now_ns / 1e6 - push.sent_at_ms
            least_ms = apart_ms if self._least_push_ms is None else min(apart_ms, self._least_push_ms)
            self._least_push_ms = least_ms
            delay_ns = min((apart_ms - least_ms) * 1e6, MAX_PUSH_NS)
            self._recorder.samples("push").append(int(delay_ns))

    def _follow_pushes(self, number: int, now_ns: int) -> None:
        last, self._last_push = self._last_push, number
        if last is None or number == last + 1:
            return
        if number > last:
            self._recorder.counts["messaging.pushes_missing"] += min(number - last - 1, MAX_PUSH_GAP)
            self.error("messaging", "push missing", now_ns, f"push {number} came after push {last}")
        else:
            self._recorder.counts["messaging.pushes_duplicated"] += 1
            self.error(
                "messaging", "push again or out of order", now_ns, f"push {number} came after push {last}"
            )

    # Across connections.

    def interrupted(self, now_ns: int) -> None:
        """The connection ends here, or the session: what was asked long ago should have been answered.

        It is not lost yet, since the reply timeout is not over; but it must not look as if only the end had
        kept the reply away.
        """
        before_ns = now_ns - HANGING_NS
        if before_ns < self._steady_since_ns:
            return  # while a slow reader did not read, no reply could come
        hanging = sum(request.sent_ns < before_ns for request in self._ledger.pending.values())
        if hanging:
            self._recorder.counts["messaging.hanging"] += hanging
            self.error("messaging", "no reply before the connection ended", now_ns, f"{hanging} requests")

    def disconnected(self) -> None:
        """The connection went; what was under way is lost, and the outage explains it."""
        self._recorder.counts["messaging.lost_in_outage"] += self._ledger.disconnected()

    def opened(self) -> None:
        """A new connection: its pushes count anew, and the server owes what it acknowledged before."""
        self._last_push = self._least_push_ms = None
        self._owed = self._ledger.acknowledged.total if self._dialect.keeps_history else 0
        self.refusal = ""

    def disturbed(self, now_ns: int, *, resumed: bool) -> None:
        """A disturbance is over: messages planned before now tell no latency."""
        self._steady_since_ns = now_ns
        if self._queued:
            self._recorder.counts["messaging.released"] += self._queued
            self._queued = 0
        if resumed:
            self._first_after_resume = True

    def _compare_history(self, restored: Restored, now_ns: int) -> None:
        if not self._owed:
            return
        self._owed = 0
        counts = self._recorder.counts
        found = self._ledger.restored(restored.sequences, restored.count)
        counts["persistence.histories"] += 1
        counts["persistence.acknowledged"] += found.acknowledged
        if found.missing:
            counts["persistence.missing"] += found.missing
            first = "" if found.first_missing is None else f", first {found.first_missing}"
            example = f"{found.missing} of {found.acknowledged}{first}"
            self.error("persistence", "acknowledged requests are not restored", now_ns, example)
        if found.repeated:
            counts["persistence.repeated"] += found.repeated
            self.error("persistence", "requests restored twice", now_ns, f"{found.repeated} of them")

    def _history_missing(self, now_ns: int) -> None:
        self._recorder.counts["persistence.history_missing"] += 1
        example = f"{self._owed} requests were acknowledged"
        self.error("persistence", "no history was restored", now_ns, example)
        self._owed = 0

    def unfinished(self) -> None:
        """The session ends: what is under way is neither answered nor lost."""
        self._recorder.counts["messaging.unfinished"] += len(self._ledger.pending)
        self._ledger.pending.clear()


MAX_PUSH_NS = 2.0**62
"""A server's clock may say anything; this fits an array, and the histogram counts it as clamped."""

MAX_PUSH_GAP = 1_000_000
"""A server's push number may be anything; a larger gap counts as this many."""

_CORRECTED = {Outcome.LATE: Outcome.LOST, Outcome.RECOVERED: Outcome.LOST_IN_OUTAGE}
"""What was counted when the request was given up, and is taken back now that its reply came."""
