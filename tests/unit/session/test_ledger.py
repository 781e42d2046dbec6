"""The ledger: every outcome, the set of acknowledged numbers, and the comparison of restored histories."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from loadtest.session.ledger import Ledger, Outcome, Ranges, Restoration
from tests.support.effort import effort


def ledger_with(sent: int, *, answered: tuple[int, ...] = ()) -> Ledger:
    """Return a ledger with requests sent at times 0, 1, 2, … of which some are answered."""
    ledger = Ledger()
    for at_ns in range(sent):
        ledger.sent(at_ns, at_ns, f"request {at_ns}")
    for sequence in answered:
        outcome(ledger, sequence)
    return ledger


def outcome(ledger: Ledger, sequence: int | None, *, intact: bool = True) -> Outcome:
    """Return what a reply is."""
    return ledger.answered(sequence, intact, _as_told)[0]


def _as_told(_sent: object, content: object) -> bool:
    """Take the content for the word of the test whether it is intact."""
    return content is True


class TestRanges:
    """A set of integers that mostly grow."""

    @given(st.lists(st.integers(0, 80), unique=True))
    @effort(50)
    def test_is_a_set(self, numbers: list[int]) -> None:
        """Whatever the order of adding, the members are those of a set, and they come in order."""
        ranges = Ranges()
        for number in numbers:
            ranges.add(number)
        assert list(ranges.since(0)) == sorted(numbers)
        assert [number for number in range(-1, 82) if number in ranges] == sorted(numbers)
        assert list(ranges.since(40)) == sorted(number for number in numbers if number >= 40)
        assert ranges.total == len(numbers)

    @given(st.permutations(range(40)))
    @effort(20)
    def test_neighbours_join(self, numbers: list[int]) -> None:
        """When the last gap is filled one range is left, whichever way it was filled."""
        ranges = Ranges()
        for number in numbers:
            ranges.add(number)
        assert (ranges._starts, ranges._stops) == ([0], [40])

    def test_forgets_the_oldest(self) -> None:
        """Of more ranges than it keeps, the lowest are forgotten; the total goes on counting them."""
        ranges = Ranges()
        for number in range(0, 400, 2):
            ranges.add(number)
        assert list(ranges.since(0)) == list(range(400 - 2 * Ranges.LIMIT, 400, 2))
        assert 0 not in ranges
        assert ranges.total == 200


class TestOutcomes:
    """What a reply is."""

    def test_answered(self) -> None:
        """A reply in order gives its request back, as it was sent."""
        found, request = ledger_with(2).answered(0, True, _as_told)
        assert found is Outcome.ANSWERED
        assert request is not None
        assert (request.planned_ns, request.sent_ns, request.data) == (0, 0, "request 0")

    def test_duplicated(self) -> None:
        """The same reply again on the same connection is a duplicate."""
        assert outcome(ledger_with(1, answered=(0,)), 0) is Outcome.DUPLICATED

    def test_redelivered(self) -> None:
        """The same reply again on a later connection is delivered again."""
        ledger = ledger_with(2, answered=(0,))
        ledger.disconnected()
        assert outcome(ledger, 0) is Outcome.REDELIVERED

    def test_reordered(self) -> None:
        """A reply after that of a later request is out of order; the one that came early is not."""
        ledger = ledger_with(3)
        assert [outcome(ledger, sequence) for sequence in (1, 0, 2)] == [
            Outcome.ANSWERED,
            Outcome.REORDERED,
            Outcome.ANSWERED,
        ]

    def test_order_is_of_a_connection(self) -> None:
        """A new connection has an order of its own."""
        ledger = ledger_with(2, answered=(1,))
        ledger.disconnected()
        ledger.sent(2, 2, "")
        assert outcome(ledger, 2) is Outcome.ANSWERED

    def test_corrupted(self) -> None:
        """A reply that is not what was asked for is corrupted, and answers its request all the same."""
        ledger = ledger_with(1)
        assert outcome(ledger, 0, intact=False) is Outcome.CORRUPTED
        assert outcome(ledger, 0) is Outcome.DUPLICATED

    def test_late(self) -> None:
        """A reply to a request that was given up is late, once."""
        ledger = ledger_with(1)
        assert [sequence for sequence, _ in ledger.expired(1)] == [0]
        assert [outcome(ledger, 0), outcome(ledger, 0)] == [Outcome.LATE, Outcome.DUPLICATED]

    def test_recovered(self) -> None:
        """A reply to a request whose connection went is recovered, once."""
        ledger = ledger_with(1)
        assert ledger.disconnected() == 1
        assert [outcome(ledger, 0), outcome(ledger, 0)] == [Outcome.RECOVERED, Outcome.REDELIVERED]

    @pytest.mark.parametrize("sequence", [-1, 5, 10**30, None])
    def test_unmatched(self, sequence: int | None) -> None:
        """A reply to nothing that was asked is unmatched."""
        assert outcome(ledger_with(1, answered=(0,)), sequence) is Outcome.UNMATCHED

    def test_without_a_number(self) -> None:
        """A reply without a number belongs to the oldest request."""
        ledger = ledger_with(2)
        found, request = ledger.answered(None, True, _as_told)
        assert found is Outcome.ANSWERED
        assert request is not None
        assert request.data == "request 0"
        assert list(ledger.pending) == [1]

    def test_expired_are_the_oldest(self) -> None:
        """Requests sent before a time are given up, those sent at it are not."""
        ledger = ledger_with(4)
        assert [sequence for sequence, _ in ledger.expired(2)] == [0, 1]
        assert list(ledger.pending) == [2, 3]

    def test_given_up_requests_are_bounded(self) -> None:
        """Of many requests given up the oldest are forgotten; their replies are unmatched."""
        ledger = ledger_with(Ledger.OVERDUE_LIMIT + 1)
        ledger.disconnected()
        assert outcome(ledger, 0) is Outcome.UNMATCHED
        assert outcome(ledger, 1) is Outcome.RECOVERED


class TestRestored:
    """A restored history against what was acknowledged: 0 to 4, on a connection that went."""

    @pytest.mark.parametrize(
        ("sequences", "count", "missing", "repeated", "first_missing"),
        [
            ([0, 1, 2, 3, 4], 5, 0, 0, None),
            ([0, 1, 2, 3, 4], None, 0, 0, None),
            ([3, 4], 5, 0, 0, None),  # the tail only, and the count says that the rest is there
            ([3, 4], None, 0, 0, None),  # the tail only; of the rest nothing is said
            ([3, 4], 2, 3, 0, None),  # the count says that the rest is gone
            ([0, 1, 3, 4], 5, 1, 0, 2),
            ([1, 4], 3, 2, 0, 2),
            ([0, 1, 2, 3], 4, 1, 0, 4),
            ([0, 1, 2, 3, 4, 5, 6], 7, 0, 0, None),  # stored though never acknowledged
            ([4, 3, 2, 2, 1, 0, 0], 7, 0, 2, None),
            ([], 0, 5, 0, None),
            ([], None, 5, 0, None),
            ([], 5, 0, 0, None),  # the messages are not told, but all of them are there
            ([0, 1, 2, 3, 4], -(10**30), 5, 0, None),
            ([10**30], None, 0, 0, None),
        ],
    )
    def test_compared(
        self, sequences: list[int], count: int | None, missing: int, repeated: int, first_missing: int | None
    ) -> None:
        """What is missing is found in the history itself, and in the server's own count."""
        ledger = ledger_with(7, answered=(0, 1, 2, 3, 4))
        ledger.disconnected()
        assert ledger.restored(sequences, count) == Restoration(
            acknowledged=5, missing=missing, repeated=repeated, first_missing=first_missing
        )

    @given(st.lists(st.integers(-2, 12)), st.none() | st.integers(-2, 12), st.sets(st.integers(0, 9)))
    @effort(50)
    def test_never_more_missing_than_acknowledged(
        self, sequences: list[int], count: int | None, answered: set[int]
    ) -> None:
        """Whatever a server says, no more is missing than it acknowledged, and a whole history is whole."""
        ledger = ledger_with(10, answered=tuple(answered))
        found = ledger.restored(sequences, count)
        assert 0 <= found.missing <= found.acknowledged == len(answered)
        assert ledger.restored(sorted(answered), len(answered)).missing == 0


class Books(RuleBasedStateMachine):
    """The ledger against a model that remembers everything."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.now_ns = 0
        self.books: dict[int, str] = {}  # sequence: what the model says of it
        self.sent_on: dict[int, int] = {}  # sequence: connection
        self.connection = 0
        self.highest = -1

    @rule(count=st.integers(1, 5))
    def send(self, count: int) -> None:
        """Send requests."""
        for _ in range(count):
            self.now_ns += 1
            self.books[self.ledger.next_sequence] = "pending"
            self.sent_on[self.ledger.next_sequence] = self.connection
            self.ledger.sent(self.now_ns, self.now_ns, "")

    @rule(sequence=st.integers(-1, 12), intact=st.booleans())
    def reply(self, sequence: int, intact: bool) -> None:
        """Take any reply, to what was asked or not."""
        found, request = self.ledger.answered(sequence, intact, _as_told)
        before = self.books.get(sequence)
        assert found == self.expected(sequence, before, intact)
        assert (request is not None) == (before == "pending")
        if before is not None:
            self.books[sequence] = "acknowledged"
        if found is Outcome.ANSWERED:
            self.highest = sequence

    def expected(self, sequence: int, before: str | None, intact: bool) -> Outcome:
        """Say what this reply is, by the module's own table of outcomes."""
        match before:
            case "pending":
                if not intact:
                    return Outcome.CORRUPTED
                return Outcome.REORDERED if sequence < self.highest else Outcome.ANSWERED
            case "lost":
                return Outcome.LATE
            case "lost_in_outage":
                return Outcome.RECOVERED
            case "acknowledged":
                again = self.sent_on[sequence] == self.connection
                return Outcome.DUPLICATED if again else Outcome.REDELIVERED
            case _:
                return Outcome.UNMATCHED

    @rule(age_ns=st.integers(0, 6))
    def expire(self, age_ns: int) -> None:
        """Give up what is older than this."""
        for sequence, _ in self.ledger.expired(self.now_ns - age_ns):
            assert self.books[sequence] == "pending"
            self.books[sequence] = "lost"

    @rule()
    def disconnect(self) -> None:
        """Lose the connection."""
        pending = [sequence for sequence, state in self.books.items() if state == "pending"]
        assert self.ledger.disconnected() == len(pending)
        for sequence in pending:
            self.books[sequence] = "lost_in_outage"
        self.connection += 1
        self.highest = -1

    @invariant()
    def agree(self) -> None:
        """The ledger holds what the model holds."""
        pending = [sequence for sequence, state in self.books.items() if state == "pending"]
        acknowledged = [sequence for sequence, state in self.books.items() if state == "acknowledged"]
        assert list(self.ledger.pending) == pending
        assert list(self.ledger.acknowledged.since(0)) == acknowledged
        assert self.ledger.acknowledged.total == len(acknowledged)


TestBooks = Books.TestCase
TestBooks.settings = effort(20, steps=30)
