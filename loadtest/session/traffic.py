"""A session's messages: requests out, replies and pushes in, across its connections. Pure, and the hot path.

`Traffic` keeps the ledger and the queue of waiting messages, decides which round trips count as latency of an
undisturbed session, and compares what a server restores after a resume with what it had acknowledged. The
session around it tracks the connection; this module sees only the messages.

A message that falls due in an outage is sent afterwards if the dialect queues. Its round trip measures the
outage rather than the server, so it goes into neither `service` nor `response`. Nor does the first round trip
after a resume, which has its own histogram.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence
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
        dialect: protocol of the application.
        pace: when messages are due.
        backoff: when clients reconnect.
        reply_timeout_ns: time after which a request without a reply is lost.
        in_flight: outstanding requests allowed per session, 0 for any number; further messages wait.
        data: rows for the sessions, by session number; empty if there are none.
    """

    dialect: Dialect
    pace: Pace
    backoff: Backoff
    reply_timeout_ns: int
    in_flight: int = 0
    data: Sequence[Mapping[str, str]] = ()


_ANSWERED = Outcome.ANSWERED  # on the hot path, where an enum's attribute costs as much as a call


class Traffic:
    """One session's messages. Methods return the messages to send now."""

    QUEUE_LIMIT = 1000
    """Messages that may wait; further ones are missed."""

    __slots__ = (
        "_closed",
        "_config",
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

    def __init__(self, identity: Identity, config: SessionConfig, recorder: Recorder) -> None:
        self._identity = identity
        self._config = config
        self._dialect = config.dialect
        self._recorder = recorder
        self._ledger = Ledger()
        self._closed = config.pace.closed
        self._queue: deque[int] | None = None  # planned times; most sessions never have one
        self._queued = 0  # messages that fell due in the current disturbance and wait
        self._steady_since_ns = 0  # messages planned earlier do not count as latency
        self._first_after_resume = False
        self._owed = 0  # acknowledged requests that the server should restore after a resume, until it does
        self._last_push: int | None = None
        self._least_push_ms: float | None = None
        self.refusal = ""  # why the server refused the session, if it gave a reason

    @property
    def outstanding(self) -> int:
        """Number of outstanding requests."""
        return len(self._ledger.pending)

    @property
    def sample(self) -> Data:
        """A request outside the ledger, for drops to send (`loadtest.drops.kinds.Wire.sample`)."""
        return self._dialect.request(self._identity, UNNUMBERED)

    def error(self, item: str, error: str, now_ns: int, example: str = "") -> None:
        """Count an error of this session."""
        self._recorder.error(item, error, session=self._identity.session_id, at_ns=now_ns, example=example)

    # Out.

    def due(self, planned_ns: int, now_ns: int) -> Sequence[Send]:
        """Send a message that is due on an open connection, or let it wait for its turn."""
        self._recorder.counts["messaging.planned"] += 1
        in_flight = self._config.in_flight
        if in_flight and len(self._ledger.pending) >= in_flight:
            if not self._hold(planned_ns):
                self._recorder.counts["messaging.missed"] += 1
            return ()
        self._recorder.send_slip.append(now_ns - planned_ns)
        return (self._send(planned_ns, now_ns),)

    def due_disconnected(self, planned_ns: int) -> None:
        """Queue or miss a message that is due without a usable connection."""
        counts = self._recorder.counts
        counts["messaging.planned"] += 1
        held = self._dialect.queues and self._hold(planned_ns)
        self._queued += held
        counts["messaging.queued" if held else "messaging.missed"] += 1

    def _hold(self, planned_ns: int) -> bool:
        """Queue a message; return whether there was room."""
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
        """Return the messages that can be sent now: waiting ones, or the next of a closed loop."""
        if self._closed:
            if self._ledger.pending:
                return ()
            self._recorder.counts["messaging.planned"] += 1
            return (self._send(now_ns, now_ns),)
        if not self._queue:
            return ()
        sends = []
        while self._queue and not (self._config.in_flight and self.outstanding >= self._config.in_flight):
            sends.append(self._send(self._queue.popleft(), now_ns))
        self._queue = self._queue or None
        return sends

    # In.

    def replied(self, reply: Reply, now_ns: int, *, steady: bool) -> Sequence[Send]:
        """Record a reply; in steady state, return the messages that can be sent now."""
        outcome, request = self._ledger.answered(reply.sequence, reply.content, self._dialect.intact)
        if request is None:
            self._misanswered(outcome, reply, now_ns)
            return ()
        if self._owed:
            self._history_missing(now_ns)  # this request was sent after the resume
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
            return  # the reply to a drop's sample
        counts = self._recorder.counts
        given_up_as = _CORRECTED.get(outcome)
        if given_up_as is not None:
            counts[f"messaging.{given_up_as}"] -= 1
        item = "persistence" if outcome is Outcome.REDELIVERED else "messaging"
        counts[f"{item}.{outcome}"] += 1
        if outcome is not Outcome.RECOVERED:
            self.error(item, f"reply {outcome}", now_ns, f"request {reply.sequence}")

    def swept(self, now_ns: int, *, steady: bool) -> Sequence[Send]:
        """Give up requests older than the reply timeout; return the messages that can be sent now."""
        sent_before_ns = now_ns - self._config.reply_timeout_ns
        if sent_before_ns < self._steady_since_ns:
            return ()  # a stalled session was not reading, so replies could not arrive in time
        given_up = self._ledger.expired(sent_before_ns)
        for sequence, request in given_up:
            self._recorder.counts["messaging.lost"] += 1
            self.error("messaging", "no reply in time", request.sent_ns, f"request {sequence}")
        return self.in_turn(now_ns) if steady and given_up else ()

    def heard(self, incoming: Incoming, now_ns: int) -> None:
        """Record a message other than a reply; Established is ignored here."""
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
                pass  # replies go to `replied`; a repeated Established changes nothing

    def _pushed(self, push: Push, now_ns: int) -> None:
        self._recorder.counts["messaging.pushes"] += 1
        if push.number is not None:
            self._follow_pushes(push.number, now_ns)
        if push.sent_at_ms is not None and math.isfinite(push.sent_at_ms):
            # RFC 3393: with unsynchronised clocks, only the delay above the smallest one is known.
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
        """Count requests that have been outstanding for long when the connection or the session ends.

        They are not lost, since the reply timeout is not over. But the end of the connection does not explain
        their missing replies either.
        """
        before_ns = now_ns - HANGING_NS
        if before_ns < self._steady_since_ns:
            return  # a stalled session was not reading, so replies could not arrive
        hanging = sum(request.sent_ns < before_ns for request in self._ledger.pending.values())
        if hanging:
            self._recorder.counts["messaging.hanging"] += hanging
            self.error("messaging", "no reply before the connection ended", now_ns, f"{hanging} requests")

    def disconnected(self) -> None:
        """Give up the outstanding requests: the outage explains them."""
        self._recorder.counts["messaging.lost_in_outage"] += self._ledger.disconnected()

    def opened(self) -> None:
        """Begin a new connection: pushes are numbered anew, and the server should restore the history."""
        self._last_push = self._least_push_ms = None
        self._owed = self._ledger.acknowledged.total if self._dialect.keeps_history else 0
        self.refusal = ""

    def disturbed(self, now_ns: int, *, resumed: bool) -> None:
        """End a disturbance: messages planned before now do not count as latency."""
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
        """End the session: outstanding requests are neither answered nor lost."""
        self._recorder.counts["messaging.unfinished"] += len(self._ledger.pending)
        self._ledger.pending.clear()


MAX_PUSH_NS = 2.0**62
"""Cap on a push's delay, as a server's clock may show any time: it fits the array and counts as clamped."""

MAX_PUSH_GAP = 1_000_000
"""Cap on the missing pushes counted for one gap, as a server may send any number."""

_CORRECTED = {Outcome.LATE: Outcome.LOST, Outcome.RECOVERED: Outcome.LOST_IN_OUTAGE}
"""The count from when the request was given up, which is taken back when its reply arrives."""
