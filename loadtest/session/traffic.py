"""A session's messages: requests out, replies and pushes in, across its connections. Pure, and the hot path.

`Traffic` keeps the ledger and the queue of waiting messages, decides which round trips count as latency of an
undisturbed session, and compares restored history with acknowledged requests. It never sees a connection.

A message that falls due in an outage is sent afterwards if the dialect queues. Its response time would
measure the outage, so it goes into `waited`. The first round trip after a resume goes into `after_resume`,
round trips in progress when a drop stopped reading into `stalled`.
"""

from collections import deque
from collections.abc import Iterable, Sequence

from msgspec import UNSET

from loadtest.dialects import calls
from loadtest.dialects.base import (
    EXCERPT_LENGTH,
    AuthRequired,
    Established,
    Failed,
    Incoming,
    Push,
    Reply,
    Restored,
    StreamPart,
    Unreadable,
)
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.mistakes import mistake, wrong_result
from loadtest.errors import DialectMistake
from loadtest.events import Send
from loadtest.session.arrears import Arrears
from loadtest.session.history import History
from loadtest.session.ledger import ERRORS, REPLIES, Ledger, Outcome
from loadtest.session.ledger import Request as Sent
from loadtest.session.pushes import Pushes
from loadtest.session.recorder import HANGING_NS, Recorder
from loadtest.session.returned_texts import flaw_of_reply, flawed, numbered, out_of_order
from loadtest.session.session_config import SessionConfig
from loadtest.text import one_line

_ALTERED, _ANSWERED = (Outcome.CORRUPTED, Outcome.FOREIGN), Outcome.ANSWERED  # attributes of enums are slow


class Traffic:
    """One session's messages. Methods return the messages to send now."""

    QUEUE_LIMIT = 1000
    """Maximum number of queued messages; further ones are missed."""

    __slots__ = (
        "_about",
        "_arrears",
        "_closed",
        "_config",
        "_dialect",
        "_established",
        "_first_after_resume",
        "_first_part_ns",
        "_ledger",
        "_ordered",
        "_queue",
        "_queued",
        "_recorder",
        "_steady_since_ns",
        "history",
        "pushes",
        "refusal",
    )

    def __init__(
        self, about: DialectSession, config: SessionConfig, recorder: Recorder, ledger: Ledger | None = None
    ) -> None:
        self._about = about
        self._config = config
        self._dialect = config.dialect
        self._ordered = config.dialect.ordered
        self._recorder = recorder
        self._ledger = Ledger() if ledger is None else ledger
        self.history = History(about, config.dialect, self._ledger, recorder)
        self.pushes = Pushes(about, config.dialect, recorder, config.pushes_per_s)
        self._arrears = Arrears(recorder)
        self._closed = config.pace.closed
        self._queue: deque[int] | None = None  # planned times; most sessions never have one
        self._queued = 0  # messages that fell due in the current disturbance and wait
        self._steady_since_ns = 0  # messages planned earlier do not count as latency
        self._first_part_ns = -1  # of a stream whose request only its reply names
        self._first_after_resume = False
        self.refusal = ""  # why the server refused the session on this connection, if it gave a reason
        self._established = False  # whether the session was established on this connection

    @property
    def outstanding(self) -> int:
        """Number of outstanding requests."""
        return len(self._ledger.pending)

    def signs(self) -> tuple[int, int]:
        """Return the counts of replies (including partial ones) and pushes, to compare before and after."""
        counts = self._recorder.counts
        replies = sum(counts.get(f"messaging.{outcome}", 0) for outcome in REPLIES)
        return replies + len(self._ledger.streams), counts.get("messaging.pushes", 0)

    def error(self, item: str, error: str, now_ns: int, example: str = "") -> None:
        """Count an error of this session."""
        self._recorder.error(item, error, session=self._about.session_id, at_ns=now_ns, example=example)

    # Out.

    def due(self, planned_ns: int, now_ns: int) -> Sequence[Send]:
        """Send a message that is due on an open connection, or queue it."""
        slip_ns, planned_ns = now_ns - planned_ns, min(planned_ns, now_ns)  # response: not below service
        self._recorder.planned += 1
        if (in_flight := self._config.in_flight) and len(self._ledger.pending) >= in_flight:
            self._recorder.counts["messaging.missed"] += not self._hold(planned_ns)
            return ()
        self._recorder.slipped(slip_ns)
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
        queue = self._queue = self._queue or deque()
        if room := len(queue) < self.QUEUE_LIMIT:
            queue.append(planned_ns)
        return room

    def _send(self, planned_ns: int, now_ns: int) -> Send:
        ledger = self._ledger
        sequence = ledger.next_sequence
        try:
            request = self._dialect.request(self._about, sequence)
        except BaseException as error:  # SystemExit, for example: it would end the thread
            raise mistake(self._dialect, "request", error, f"sequence {sequence}") from error
        self._recorder.sent += 1
        if request.__class__ is str or request.__class__ is bytes:
            ledger.pending[sequence] = Sent(planned_ns, now_ns)
            ledger.next_sequence = sequence + 1
            return Send(request)
        return self._send_request(request, planned_ns, now_ns)

    def _send_request(self, request: object, planned_ns: int, now_ns: int) -> Send:
        """Send a request that is not plain str or bytes."""
        request = calls.checked_request(self._dialect, request, self._ledger.next_sequence)
        if request.replies:
            self._ledger.sent(planned_ns, now_ns, request.name)
        else:
            self._ledger.sent_unanswerable()
            self._recorder.counts["messaging.unanswerable"] += 1
        return Send(request.data)

    def in_turn(self, now_ns: int) -> Sequence[Send]:
        """Return the messages that can be sent now: waiting ones, or the next of a closed loop."""
        if self._closed:
            pending = self._ledger.pending
            if pending:
                return ()
            self._recorder.planned += 1
            send = self._send(now_ns, now_ns)
            return (send,) if pending else self._further_of_loop(send, now_ns)
        if not self._queue:
            return ()
        sends = []
        while self._queue and not (self._config.in_flight and self.outstanding >= self._config.in_flight):
            sends.append(self._send(self._queue.popleft(), now_ns))
        self._queue = self._queue or None
        return sends

    def _further_of_loop(self, unanswerable: Send, now_ns: int) -> Sequence[Send]:
        """Send further requests of a closed loop, up to the first one that expects a reply."""
        sends = [unanswerable]
        while not self._ledger.pending:
            if len(sends) == calls.MOST_UNANSWERABLE:
                raise calls.waits_for_nothing(self._dialect, self._ledger.next_sequence - 1)
            self._recorder.planned += 1
            sends.append(self._send(now_ns, now_ns))
        return sends

    # In.

    def replied(self, reply: Reply, now_ns: int, *, steady: bool) -> Sequence[Send]:
        """Record a reply; in steady state, return the messages that can be sent now."""
        sequence, about = reply.sequence, self._about
        if sequence.__class__ is not int:
            sequence = self._number(sequence)
        text, flaw = reply.text, None  # below, the session's cache: most replies hold the text made last
        if (text != about._last_text or sequence != about._last_sequence) and text is not UNSET:
            flaw = flaw_of_reply(reply, sequence, about)  # raises before the ledger changes
        request = self._ledger.pending.pop(sequence, None)
        if request is None:
            self._answered_nothing(reply, sequence, flaw, now_ns)
            return ()
        if text is UNSET:
            self._unchecked(reply)
        outcome = self._ledger.answered(sequence, flaw, ordered=self._ordered)
        if self.history.expected:
            self.history.replied()
        if outcome is _ANSWERED:
            self._round_trip(request, now_ns, steady)
        else:
            self._misanswered(outcome, reply, sequence, now_ns, request.name)
        return self.in_turn(now_ns) if steady else ()

    def _number(self, sequence: object) -> int:
        return calls.number(self._dialect, sequence, self._ledger.oldest())

    def _unchecked(self, reply: Reply) -> None:
        """Count a reply without a text; if it names no request either, replies can only be counted."""
        self._recorder.counts["messaging.unchecked"] += 1
        if reply.sequence is None:
            self._arrears.replied(len(self._ledger.pending))

    def _round_trip(self, request: Sent, now_ns: int, steady: bool) -> None:
        recorder, planned_ns, sent_ns = self._recorder, request.planned_ns, request.sent_ns
        recorder.answered += 1
        if self._first_after_resume or planned_ns < self._steady_since_ns:
            self._disturbed_round_trip(request, now_ns)
            return
        recorder.service.append(now_ns - sent_ns)
        recorder.response.append(now_ns - planned_ns)
        if self._first_part_ns >= sent_ns:
            recorder.samples("first_part").append(self._first_part_ns - sent_ns)
        self._first_part_ns = -1
        if recorder.outages_open and steady:
            recorder.collateral.append(now_ns - sent_ns)
        if request.name:
            recorder.named(request.name).append(now_ns - sent_ns)

    def _disturbed_round_trip(self, request: Sent, now_ns: int) -> None:
        """Record a round trip that a disturbance lengthened, or the first one after a resume."""
        self._first_part_ns = -1
        tag = "waited" if request.sent_ns >= self._steady_since_ns else "stalled"
        if self._first_after_resume:
            self._first_after_resume, tag = False, "after_resume"
        self._recorder.samples(tag).append(now_ns - request.sent_ns)

    def _answered_nothing(
        self, reply: Reply | Failed, sequence: int, flaw: Outcome | None, now_ns: int, detail: str = ""
    ) -> None:
        """Record a reply to a request that is not outstanding."""
        outcome, given_up = self._ledger.unexpected(sequence, flaw, resumes=self._dialect.identifies)
        if given_up is not None:
            self._recorder.take_back(given_up, ERRORS.get(given_up, ""), self._about.session_id, now_ns)
        self._misanswered(outcome, reply, sequence, now_ns, detail=detail)

    def _misanswered(
        self,
        outcome: Outcome,
        reply: Reply | Failed,
        sequence: int,
        now_ns: int,
        name: str = "",
        detail: str = "",
    ) -> None:
        self._first_part_ns = -1
        item = "persistence" if outcome is Outcome.REDELIVERED else "messaging"
        self._recorder.counts[f"{item}.{outcome}"] += 1
        if outcome is Outcome.RECOVERED:
            return
        example = (
            out_of_order(sequence, self._ledger.highest, self._about)
            if outcome is Outcome.REORDERED
            else flawed(reply, sequence, name, detail, self._about if outcome in _ALTERED else None)
        )
        error = ERRORS.get(outcome, f"reply {outcome}")
        if isinstance(reply, Failed) and outcome is Outcome.UNMATCHED:
            error = "error reply that matches no request"
        self.error(item, error, now_ns, example)

    def failed(self, failed: Failed, now_ns: int, *, steady: bool) -> Sequence[Send]:
        """Record an error reply; in steady state, return the messages that can be sent now."""
        sequence = self._number(failed.sequence)
        detail = one_line(failed.detail, EXCERPT_LENGTH)  # raises, before the ledger changes, if no text
        request = self._ledger.pending.pop(sequence, None)
        if request is None:
            self._answered_nothing(failed, sequence, Outcome.FAILED, now_ns, detail)
            return ()
        outcome = self._ledger.answered(sequence, Outcome.FAILED)
        if self.history.expected:
            self.history.replied()
        self._misanswered(outcome, failed, sequence, now_ns, request.name, detail)
        return self.in_turn(now_ns) if steady else ()

    def _part(self, part: StreamPart, now_ns: int) -> None:
        in_order = part.sequence is None and self._ordered
        sequence = self._ledger.next_in_order() if in_order else self._number(part.sequence)
        request = self._ledger.pending.get(sequence)
        if request is None:
            self._part_of_nothing(part, sequence, now_ns)
            return
        last_ns = self._ledger.part(sequence, now_ns)
        if last_ns is not None:
            self._recorder.samples("part_gap").append(now_ns - last_ns)
        elif in_order:
            self._first_part_ns = now_ns
        elif request.planned_ns >= self._steady_since_ns and not self._first_after_resume:
            self._recorder.samples("first_part").append(now_ns - request.sent_ns)

    def _part_of_nothing(self, part: StreamPart, sequence: int, now_ns: int) -> None:
        """Record a part of a reply to a request that is not outstanding; given-up streams may continue."""
        if part.sequence is not None and not self._ledger.gave_up(sequence):
            self._recorder.counts["messaging.unmatched"] += 1
            self.error("messaging", "part of a reply to no known request", now_ns, f"{part.sequence!r}")

    def swept(self, now_ns: int, *, steady: bool) -> Sequence[Send]:
        """Give up requests whose reply timeout is over; return the messages that can be sent now."""
        given_up = self._expired(now_ns)
        for sequence, request, outcome in given_up:
            self._recorder.counts[f"messaging.{outcome}"] += 1
            self.error("messaging", ERRORS[outcome], request.sent_ns, self.named(sequence, request.name))
        return self.in_turn(now_ns) if steady and given_up else ()

    def overdue(self, now_ns: int) -> list[int]:
        """Take back the requests that `swept` would give up; `give_up` or `excuse` decides their outcome."""
        return [sequence for sequence, *_ in self._expired(now_ns)]

    def _expired(self, now_ns: int) -> list[tuple[int, Sent, Outcome]]:
        before_ns = now_ns - self._config.reply_timeout_ns
        if before_ns < self._steady_since_ns:
            return []  # a stalled session was not reading, so replies could not arrive in time
        return self._ledger.expired(before_ns)

    def give_up(self, count: int, sequences: Iterable[int], now_ns: int) -> None:
        """Count overdue requests as lost; `sequences` are the latest of them."""
        self._recorder.counts["messaging.lost"] += count
        for sequence in sequences:
            self.error("messaging", ERRORS[Outcome.LOST], now_ns, self.named(sequence))

    def excuse(self, count: int, sequences: Iterable[int]) -> None:
        """Count overdue requests as explained by an outage; `sequences` are the latest of them."""
        self._recorder.counts["messaging.lost_in_outage"] += count
        self._ledger.excused(sequences)

    def named(self, sequence: int, name: str = "") -> str:
        """Return a request as text to search for in a server's log."""
        return f"{numbered(sequence, name)}: {self._about.text(sequence)[:80]}"

    def heard(self, incoming: Incoming, now_ns: int) -> None:
        """Record a message that requires no answer, except Established, which the session handles."""
        match incoming:
            case StreamPart():
                self._part(incoming, now_ns)
            case Push():
                self.history.received(incoming)
                self.pushes.received(incoming, now_ns)
            case Restored():
                self.history.restored(incoming, now_ns)
            case AuthRequired(detail):
                self._rejected(str(detail), now_ns)
            case Unreadable(excerpt):
                self.unreadable(str(excerpt), now_ns)
            case _:
                raise wrong_result(self._dialect, "read", incoming, calls.ALLOWED, "a message of the server")

    def _rejected(self, detail: str, now_ns: int) -> None:
        """Record that the server rejects the token, which is an error for an established session."""
        self.refusal = detail
        if self._established:
            self._recorder.counts["messaging.rejections"] += 1
            self.error("messaging", "token rejected after the session was established", now_ns, detail)

    def unreadable(self, excerpt: str, now_ns: int, error: str = "unreadable message") -> None:
        """Record a message that the dialect cannot read."""
        self._recorder.counts["messaging.unreadable"] += 1
        self.error("messaging", error, now_ns, excerpt)

    def misread(self, wrong: DialectMistake, now_ns: int, raised: BaseException | None = None) -> None:
        """Count a message that the dialect could not read as unreadable.

        Args:
            wrong: the mistake; `raised` is the exception raised by `read`, if any.

        Raises:
            DialectMistake: all of the first messages were unreadable, or `raised` is not an Exception.
        """
        recorder = self._recorder
        recorder.reads_raised += 1
        hopeless = not recorder.has_read and recorder.reads_raised >= calls.HOPELESS_READS
        if hopeless or not (raised is None or isinstance(raised, Exception)):
            raise wrong from raised
        what = f"{wrong.where} raised {type(raised).__name__}" if raised else "a field of the wrong type"
        self.unreadable(str(wrong), now_ns, what)

    # Across connections.

    def interrupted(self, now_ns: int, item: str) -> None:
        """Count requests that have been outstanding for long when the connection or the session ends.

        They count for `item`: they are not lost, because the reply timeout is not over, but the end of the
        connection does not explain their missing replies either.
        """
        self._arrears.ended(self.outstanding)
        before_ns = now_ns - HANGING_NS
        if before_ns < self._steady_since_ns:
            return  # a stalled session was not reading, so replies could not arrive
        unheard = self._ledger.unheard(before_ns)
        if unheard:
            since_ns = max(unheard[0][1].sent_ns, self._steady_since_ns)
            self._recorder.samples("unanswered").append(now_ns - since_ns)
        for sequence, request in unheard:
            self._recorder.counts[f"{item}.hanging"] += 1
            what = numbered(sequence, request.name)
            self.error(item, "no reply before the connection ended", request.sent_ns, what)

    def disconnected(self, now_ns: int) -> None:
        """Give up the outstanding requests: the outage explains them."""
        self._first_part_ns = -1
        self.pushes.lost()
        self.history.ended(now_ns)
        self._recorder.counts["messaging.lost_in_outage"] += self._ledger.disconnected()

    def opened(self) -> None:
        """Begin a new connection: pushes are numbered anew, and the server should restore the history."""
        self.pushes.opened()
        self.history.opened()
        self._arrears.opened()
        self.refusal, self._established = "", False

    def established(self, said: Established, now_ns: int, *, resumed: bool) -> None:
        """Begin with the messages of an established session."""
        self.refusal, self._established = "", True
        if resumed:
            self.history.resumed_as(said, now_ns)
        else:
            self.history.known_as(said)
        self.disturbed(now_ns, resumed=resumed)

    def disturbed(self, now_ns: int, *, resumed: bool) -> None:
        """End a disturbance: messages planned before now do not count towards latency."""
        self._steady_since_ns = now_ns
        if self._queued:
            self._recorder.counts["messaging.released"] += self._queued
            self._queued = 0
        self._first_after_resume |= resumed

    def unfinished(self, now_ns: int) -> None:
        """End the session: outstanding requests are neither answered nor lost."""
        self.history.ended(now_ns)
        self._arrears.ended(self.outstanding)
        self._recorder.counts["messaging.unfinished"] += len(self._ledger.pending)
        self._ledger.pending.clear()
