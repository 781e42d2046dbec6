"""The ledger of one session: the outcome of every request, across all its connections.

A request has a sequence number; its outcome is one of

    answered        its own intact reply arrived once, in order and in time
    lost            no reply arrived in time on a healthy connection
    late            the reply arrived after the timeout; replaces lost
    lost_in_outage  the connection ended before the reply; a drop or loss explains it
    recovered       the reply arrived on a later connection; replaces lost_in_outage
    duplicated      the reply arrived again on the same connection
    redelivered     the reply arrived again after a resume
    reordered       the reply arrived after that of a later request
    corrupted       the reply does not match the request
    unmatched       the reply belongs to no known request

Outcomes that a drop explains do not count against `messaging`. A reply that arrives again after a resume, or
an acknowledged request missing from the restored state, counts against `persistence`. Memory is bounded: the
ledger keeps outstanding requests, a limited number of given-up ones, and acknowledged numbers as ranges.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from enum import StrEnum

from msgspec import Struct

from loadtest.events import Data


class Outcome(StrEnum):
    """Outcome of a request; the value is its name in files."""

    ANSWERED = "answered"
    LOST = "lost"
    LATE = "late"
    LOST_IN_OUTAGE = "lost_in_outage"
    RECOVERED = "recovered"
    DUPLICATED = "duplicated"
    REDELIVERED = "redelivered"
    REORDERED = "reordered"
    CORRUPTED = "corrupted"
    UNMATCHED = "unmatched"


_ANSWERED = Outcome.ANSWERED  # on the hot path, where an enum's attribute costs as much as a call


class Request(Struct, frozen=True):
    """An outstanding request. Times in nanoseconds of the run's clock."""

    planned_ns: int
    sent_ns: int
    data: Data


class Restoration(Struct, frozen=True, kw_only=True):
    """Comparison of the restored state with the acknowledged requests."""

    acknowledged: int
    missing: int
    repeated: int
    first_missing: int | None


class Ranges:
    """A set of mostly increasing integers, stored as half-open ranges.

    Beyond `LIMIT` ranges the lowest one is forgotten; `total` still counts its members.
    """

    LIMIT = 64
    __slots__ = ("_starts", "_stops", "total")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []
        self.total = 0

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._starts, number) - 1
        return at >= 0 and number < self._stops[at]

    def add(self, number: int) -> None:
        """Add a number that is not in the set."""
        self.total += 1
        if self._stops and self._stops[-1] == number:  # the usual case: the next number in order
            self._stops[-1] = number + 1
            return
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
                del self._starts[0], self._stops[0]

    def since(self, number: int) -> Iterable[int]:
        """Yield the members that are not below this number, in order."""
        for start, stop in zip(self._starts, self._stops, strict=True):
            yield from range(max(start, number), stop)


class Ledger:
    """One session's ledger. Sequence numbers count from 0 and are never reused."""

    __slots__ = ("_answered_before", "_highest", "_overdue", "acknowledged", "next_sequence", "pending")

    OVERDUE_LIMIT = 256
    """Given-up requests remembered, to tell a late reply from an unmatched one."""

    def __init__(self) -> None:
        self.next_sequence = 0
        self.pending: dict[int, Request] = {}
        self.acknowledged = Ranges()
        self._overdue: dict[int, Outcome] = {}
        self._highest = -1  # the highest sequence answered on this connection
        self._answered_before = 0  # sequences below this were sent on earlier connections

    def sent(self, planned_ns: int, now_ns: int, data: Data) -> None:
        """Record a sent request under the next sequence number."""
        self.pending[self.next_sequence] = Request(planned_ns, now_ns, data)
        self.next_sequence += 1

    def answered(
        self, sequence: int | None, content: object, intact: Callable[[Data, object], bool]
    ) -> tuple[Outcome, Request | None]:
        """Record a reply and return its outcome.

        Args:
            sequence: of the request; None for the oldest outstanding one.
            content: of the reply.
            intact: tells whether this content answers the data that was sent.

        Returns:
            The outcome, and the request if it was outstanding.
        """
        if sequence is None:
            sequence = next(iter(self.pending), -1)
        request = self.pending.pop(sequence, None)
        if request is None:
            return self._unexpected(sequence), None
        self.acknowledged.add(sequence)
        if not intact(request.data, content):
            return Outcome.CORRUPTED, request
        if sequence < self._highest:
            return Outcome.REORDERED, request
        self._highest = sequence
        return _ANSWERED, request

    def _unexpected(self, sequence: int) -> Outcome:
        given_up = self._overdue.pop(sequence, None)
        if given_up is not None:
            self.acknowledged.add(sequence)
            return Outcome.LATE if given_up is Outcome.LOST else Outcome.RECOVERED
        if sequence in self.acknowledged:
            return Outcome.REDELIVERED if sequence < self._answered_before else Outcome.DUPLICATED
        return Outcome.UNMATCHED

    def expired(self, sent_before_ns: int) -> list[tuple[int, Request]]:
        """Give up requests sent before this time, and return them with their sequence numbers."""
        given_up = []
        for sequence, request in self.pending.items():
            if request.sent_ns >= sent_before_ns:
                break  # a dict keeps insertion order, which is the order of sending
            given_up.append((sequence, request))
        for sequence, _ in given_up:
            del self.pending[sequence]
            self._remember(sequence, Outcome.LOST)
        return given_up

    def disconnected(self) -> int:
        """Give up all outstanding requests because the connection ended; return how many."""
        count = len(self.pending)
        for sequence in self.pending:
            self._remember(sequence, Outcome.LOST_IN_OUTAGE)
        self.pending.clear()
        self._highest = -1
        self._answered_before = self.next_sequence
        return count

    def _remember(self, sequence: int, outcome: Outcome) -> None:
        self._overdue[sequence] = outcome
        if len(self._overdue) > self.OVERDUE_LIMIT:
            del self._overdue[next(iter(self._overdue))]

    def restored(self, sequences: list[int], count: int | None) -> Restoration:
        """Compare the server's restored history with the requests it had acknowledged.

        Args:
            sequences: requests in the part of the history that the server sent, which may be only its end.
            count: messages in the whole history, None if the server does not say. They may include requests
                that were never acknowledged, so a shortfall is a lower bound.
        """
        present = set(sequences)
        expected = list(self.acknowledged.since(min(present))) if present else []
        missing = [sequence for sequence in expected if sequence not in present]
        short = max(0, self.acknowledged.total - max(0, count)) if count is not None else 0
        if not present and count is None:
            short = self.acknowledged.total
        return Restoration(
            acknowledged=self.acknowledged.total,
            missing=max(len(missing), short),
            repeated=len(sequences) - len(present),
            first_missing=missing[0] if missing else None,
        )
