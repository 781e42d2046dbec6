"""The ledger of one session: the outcome of every request, across all its connections.

A request has a sequence number; its outcome is one of

    answered        its own intact reply arrived once, in order and in time
    failed          the server answered with an error
    lost            no reply arrived in time on a healthy connection
    broken_off      a streamed reply began, but did not go on in time
    late            the reply arrived after the timeout; replaces lost and broken_off
    lost_in_outage  the connection ended before the reply; a drop or loss explains it
    recovered       the reply arrived on a later connection; replaces lost_in_outage
    duplicated      the reply arrived again on the same connection
    redelivered     the reply arrived again after a resume; `duplicated` if sessions have no identity
    reordered       the reply arrived after the reply to a later request
    corrupted       the reply's text is altered
    foreign         the reply contains the text of another session
    unmatched       the reply matches no known request

Outcomes that a drop explains do not count against `messaging`. A reply that arrives again after a resume, or
an acknowledged request missing from the restored state, counts against `persistence`. Memory is bounded: the
ledger keeps outstanding requests, a limited number of given-up ones, and acknowledged numbers as ranges.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence, Set
from enum import StrEnum

from msgspec import Struct


class Outcome(StrEnum):
    """Outcome of a request; the value is its name in files."""

    ANSWERED = "answered"
    FAILED = "failed"
    LOST = "lost"
    BROKEN_OFF = "broken_off"
    LATE = "late"
    LOST_IN_OUTAGE = "lost_in_outage"
    RECOVERED = "recovered"
    DUPLICATED = "duplicated"
    REDELIVERED = "redelivered"
    REORDERED = "reordered"
    CORRUPTED = "corrupted"
    FOREIGN = "foreign"
    UNMATCHED = "unmatched"


ERRORS = {
    Outcome.LOST: "no reply in time",
    Outcome.BROKEN_OFF: "streamed reply broke off",
    Outcome.FAILED: "the server answered with an error",
    Outcome.CORRUPTED: "reply altered",
    Outcome.FOREIGN: "reply holds another session's text",
}
"""Errors by outcome. For other outcomes, the error is "reply" and the outcome."""

REPLIES = (
    Outcome.ANSWERED,
    Outcome.FAILED,
    Outcome.LATE,
    Outcome.RECOVERED,
    Outcome.REORDERED,
    Outcome.CORRUPTED,
    Outcome.FOREIGN,
)
"""The outcomes of requests that were answered, well or badly."""

_ANSWERED = Outcome.ANSWERED  # on the hot path, where an enum's attribute costs as much as a call


class Request(Struct, frozen=True):
    """An outstanding request. Times in nanoseconds of the run's clock."""

    planned_ns: int
    sent_ns: int
    name: str = ""


class Restoration(Struct, frozen=True, kw_only=True):
    """Comparison of the restored history with the acknowledged requests.

    Args:
        full: whether it filled the server's window.
        acknowledged: requests that should have been in the history.
        missing: of these, requests that are not in it.
        repeated: requests that appear in it more than once.
        reordered: requests that appear after a later one.
        first_missing: the first missing request.
        first_repeated: the first repeated request.
        first_reordered: the first request that appears after a later one, and that later one.
    """

    full: bool
    acknowledged: int
    missing: int
    repeated: int
    reordered: int
    first_missing: int | None
    first_repeated: int | None
    first_reordered: tuple[int, int] | None


class Ranges:
    """A set of mostly increasing integers, stored as half-open ranges.

    Above `LIMIT` ranges, the lowest one is forgotten; `total` still counts its members.

    Attributes:
        stop: the end of the highest range, -1 if there is none. Incrementing it adds that number.
    """

    LIMIT = 1024
    __slots__ = ("_forgotten", "_starts", "_stops", "stop")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []  # the last one is out of date whenever `stop` was counted up
        self._forgotten = 0
        self.stop = -1

    def __bool__(self) -> bool:
        return self.stop >= 0

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._starts, number) - 1
        return at >= 0 and number < self._updated_stops()[at]

    @property
    def total(self) -> int:
        """Count of numbers added."""
        return self._forgotten + sum(self._updated_stops()) - sum(self._starts)

    def _updated_stops(self) -> list[int]:
        if self._stops:
            self._stops[-1] = self.stop
        return self._stops

    def add(self, number: int) -> None:
        """Add a number that is not in the set."""
        if number == self.stop:
            self.stop += 1
            return
        self._updated_stops()
        at = bisect_right(self._starts, number)
        joins_left = at > 0 and self._stops[at - 1] == number
        joins_right = at < len(self._starts) and self._starts[at] == number + 1
        if joins_left and joins_right:
            self._stops[at - 1] = self._stops.pop(at)
            del self._starts[at]
        elif joins_left:
            self._stops[at - 1] = number + 1
        elif joins_right:
            self._starts[at] = number
        else:
            self._starts.insert(at, number)
            self._stops.insert(at, number + 1)
            if len(self._starts) > self.LIMIT:
                self._forgotten += self._stops[0] - self._starts[0]
                del self._starts[0], self._stops[0]
        self.stop = self._stops[-1]

    def within(self, first: int, stop: int) -> Iterable[int]:
        """Yield the members from `first` up to, but not including, `stop`, in order."""
        for start, end in zip(self._starts, self._updated_stops(), strict=True):
            yield from range(max(start, first), min(end, stop))


class Ledger:
    """One session's ledger. Sequence numbers count from 0 and are never reused."""

    __slots__ = (
        "_answered_before",
        "_flawed",
        "_overdue",
        "acknowledged",
        "highest",
        "next_sequence",
        "pending",
        "streams",
    )

    OVERDUE_LIMIT = 256
    """Given-up requests remembered, to tell a late reply from an unmatched one."""

    def __init__(self) -> None:
        self.next_sequence = 0
        self.pending: dict[int, Request] = {}
        self.streams: dict[int, int] = {}  # when the last part came, of requests whose reply has begun
        self.acknowledged = Ranges()
        self._overdue: dict[int, Outcome] = {}
        self._flawed: Ranges | None = None  # requests whose reply had a flaw; most sessions never have one
        self.highest = -1  # the highest sequence answered on this connection
        self._answered_before = 0  # sequences below this were sent on earlier connections

    def sent(self, planned_ns: int, now_ns: int, name: str = "") -> None:
        """Record a sent request under the next sequence number."""
        self.pending[self.next_sequence] = Request(planned_ns, now_ns, name)
        self.next_sequence += 1

    def sent_unanswerable(self) -> None:
        """Record a sent request that expects no reply, under the next sequence number."""
        self.next_sequence += 1

    def oldest(self) -> int:
        """Return the sequence number of the oldest outstanding request, -1 if there is none."""
        return next(iter(self.pending), -1)

    def next_in_order(self) -> int:
        """Return the oldest outstanding request after the last answered one, -1 if there is none.

        The reply to an older one was lost: where replies come in order, parts received now do not belong to
        it.
        """
        return next((sequence for sequence in self.pending if sequence > self.highest), -1)

    def answered(self, sequence: int, flaw: Outcome | None = None, *, ordered: bool = True) -> Outcome:
        """Record the reply to an outstanding request, which the caller has removed from `pending`.

        Args:
            sequence: of the request.
            flaw: what is wrong with the reply; FAILED if it is an error.
            ordered: whether replies must come in the order of their requests.
        """
        if self.streams:
            self._stream_ended(sequence, ordered=ordered)
        if flaw is not None:
            return self._answered_badly(sequence, flaw)
        acknowledged = self.acknowledged
        if sequence == acknowledged.stop:  # the usual case, without a call
            acknowledged.stop = sequence + 1
        else:
            acknowledged.add(sequence)
        if sequence < self.highest:
            return Outcome.REORDERED if ordered else _ANSWERED
        self.highest = sequence
        return _ANSWERED

    def unexpected(
        self, sequence: int, flaw: Outcome | None = None, *, resumes: bool = True
    ) -> tuple[Outcome, Outcome | None]:
        """Record a reply to a request that is not outstanding.

        Args:
            sequence: of the request.
            flaw: what is wrong with the reply; FAILED if it is an error.
            resumes: whether sessions have an identity, so that a later connection may resume one.

        Returns:
            Its outcome, and the outcome that it replaces, if any.
        """
        given_up = self._overdue.pop(sequence, None)
        if given_up is not None:
            if flaw is not None:
                return self._answered_badly(sequence, flaw), given_up
            self.acknowledged.add(sequence)
            recovered = given_up is Outcome.LOST_IN_OUTAGE
            return (Outcome.RECOVERED if recovered else Outcome.LATE), given_up
        if sequence in self.acknowledged or (self._flawed is not None and sequence in self._flawed):
            redelivered = resumes and sequence < self._answered_before
            return (Outcome.REDELIVERED if redelivered else Outcome.DUPLICATED), None
        return Outcome.UNMATCHED, None

    def _answered_badly(self, sequence: int, flaw: Outcome) -> Outcome:
        """Record that a request was answered with a flaw, so it is not acknowledged."""
        if self._flawed is None:
            self._flawed = Ranges()
        self._flawed.add(sequence)
        return flaw

    def _stream_ended(self, sequence: int, *, ordered: bool) -> None:
        """Forget the stream whose reply has come; if replies are ordered, older requests' streams too."""
        for begun in tuple(self.streams):
            if begun == sequence or (ordered and begun < sequence):
                del self.streams[begun]

    def part(self, sequence: int, now_ns: int) -> int | None:
        """Record a part of an outstanding request's reply; return when the previous part came, if any."""
        last_ns = self.streams.get(sequence)
        self.streams[sequence] = now_ns
        return last_ns

    def gave_up(self, sequence: int) -> bool:
        """Return whether this request was given up and has not been answered since."""
        return sequence in self._overdue

    def unheard(self, before_ns: int) -> list[tuple[int, Request]]:
        """Return the outstanding requests sent before this time, with no part of a reply since then."""
        found = []
        for sequence, request in self.pending.items():
            if request.sent_ns >= before_ns:
                break  # a dict keeps insertion order, which is the order of sending
            if self.streams.get(sequence, request.sent_ns) < before_ns:
                found.append((sequence, request))
        return found

    def expired(self, before_ns: int) -> list[tuple[int, Request, Outcome]]:
        """Give up the requests that `unheard` returns, and return them with their outcomes."""
        return self.give_up([sequence for sequence, _ in self.unheard(before_ns)])

    def give_up(self, sequences: Iterable[int]) -> list[tuple[int, Request, Outcome]]:
        """Give up these outstanding requests, and return them with their outcomes."""
        given_up = []
        for sequence in sequences:
            request = self.pending.pop(sequence)
            began = self.streams.pop(sequence, None) is not None
            outcome = Outcome.BROKEN_OFF if began else Outcome.LOST
            self._remember(sequence, outcome)
            given_up.append((sequence, request, outcome))
        return given_up

    def disconnected(self) -> int:
        """Give up all outstanding requests because the connection ended; return how many."""
        count = len(self.pending)
        for sequence in self.pending:
            self._remember(sequence, Outcome.LOST_IN_OUTAGE)
        self.pending.clear()
        self.streams.clear()
        self.highest = -1
        self._answered_before = self.next_sequence
        return count

    def excused(self, sequences: Iterable[int]) -> None:
        """Record that an outage explains why these given-up requests have no reply."""
        for sequence in sequences:
            if sequence in self._overdue:
                self._overdue[sequence] = Outcome.LOST_IN_OUTAGE

    def _remember(self, sequence: int, outcome: Outcome) -> None:
        self._overdue[sequence] = outcome
        if len(self._overdue) > self.OVERDUE_LIMIT:
            del self._overdue[next(iter(self._overdue))]

    def _oldest_of_newest(self, number: int, present: Set[int]) -> int:
        """Return the oldest of the newest `number` requests that are acknowledged or present.

        It looks back only as far as needed if nearly all are, because it runs at each resume.
        """
        before = self._answered_before
        known = {*self.acknowledged.within(max(0, before - 4 * number), before), *present}
        return min(sorted(known)[-number:], default=0) if number else before

    def restored(
        self, sequences: Sequence[int], count: int | None, window: int | None, *, others: int | None = 0
    ) -> Restoration | None:
        """Compare a restored history with the acknowledged requests of earlier connections.

        A full window excuses requests older than the oldest one in it, unless it had room for them. A request
        takes two places, for itself and its reply, or one where only requests are restored. If sessions
        share a history, the room is unknown: messages of others may have come while this one was away.

        Args:
            sequences: requests in the restored history, in its order.
            count: number of messages in the history, None if it has only these requests.
            window: maximum number of messages restored, which are the newest ones; None if all are.
            others: number of other messages that the server may have kept, besides requests and replies;
                None if those of other sessions are among them, however many.

        Returns:
            The comparison; None if messages of other sessions fill the window.
        """
        present = set(sequences)
        length = len(sequences) if count is None else count
        first, full = 0, False
        if window is not None and length >= window:
            full = True
            if others is None:
                first = min((one for one in present if one < self._answered_before), default=-1)
                if first < 0:
                    return None
            else:
                room_for = max(0, window - others) // (1 if count is None else 2)
                first = min(min(present, default=0), self._oldest_of_newest(room_for, present))
        expected = list(self.acknowledged.within(first, self._answered_before))
        missing = [sequence for sequence in expected if sequence not in present]
        behind = _behind(dict.fromkeys(sequences))
        return Restoration(
            full=full,
            acknowledged=len(expected),
            missing=len(missing),
            repeated=len(sequences) - len(present),
            reordered=len(behind),
            first_missing=missing[0] if missing else None,
            first_repeated=_first_repeated(sequences) if len(sequences) > len(present) else None,
            first_reordered=behind[0] if behind else None,
        )


def _behind(sequences: Iterable[int]) -> list[tuple[int, int]]:
    """Return the numbers that follow a greater one, each with the greatest number before it."""
    highest, found = -1, []
    for sequence in sequences:
        if sequence < highest:
            found.append((sequence, highest))
        highest = max(highest, sequence)
    return found


def _first_repeated(sequences: Iterable[int]) -> int | None:
    seen: set[int] = set()
    for sequence in sequences:
        if sequence in seen:
            return sequence
        seen.add(sequence)
    return None
