"""The ledger: every outcome, the set of acknowledged numbers, and the comparison of restored histories."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from loadtest.session.ledger import Ledger, Outcome, Ranges, Restoration
from tests.support.effort import effort

FLAWS = [Outcome.FAILED, Outcome.CORRUPTED, Outcome.FOREIGN]


def ledger_with(sent: int, *, answered: tuple[int, ...] = ()) -> Ledger:
    """Return a ledger with requests sent at times 0, 1, 2, … of which some are answered."""
    ledger = Ledger()
    for at_ns in range(sent):
        ledger.sent(at_ns, at_ns, f"request {at_ns}")
    for sequence in answered:
        outcome(ledger, sequence)
    return ledger


def outcome(ledger: Ledger, sequence: int, flaw: Outcome | None = None, *, ordered: bool = True) -> Outcome:
    """Return the outcome of a reply, recorded as `Traffic` records it."""
    if ledger.pending.pop(sequence, None) is not None:
        return ledger.answered(sequence, flaw, ordered=ordered)
    return ledger.unexpected(sequence, flaw)[0]


def gave_up(ledger: Ledger, before_ns: int) -> list[tuple[int, Outcome]]:
    """Return the requests given up, with their outcomes."""
    return [(sequence, outcome) for sequence, _, outcome in ledger.expired(before_ns)]


class TestRanges:
    """A set of integers that mostly grow."""

    @given(st.lists(st.integers(0, 80), unique=True))
    @effort(50)
    def test_is_a_set(self, numbers: list[int]) -> None:
        """Whatever the order of adding, the members are those of a set, and they come in order."""
        ranges = Ranges()
        for number in numbers:
            ranges.add(number)
        assert list(ranges.within(0, 81)) == sorted(numbers)
        assert [number for number in range(-1, 82) if number in ranges] == sorted(numbers)
        assert list(ranges.within(40, 60)) == sorted(number for number in numbers if 40 <= number < 60)
        assert ranges.total == len(numbers)

    @given(st.permutations(range(40)))
    @effort(20)
    def test_neighbours_join(self, numbers: list[int]) -> None:
        """When the last gap is filled one range is left, whichever way it was filled."""
        ranges = Ranges()
        for number in numbers:
            ranges.add(number)
        assert (ranges._starts, ranges.stop) == ([0], 40)

    @given(st.lists(st.integers(0, 80), unique=True))
    @effort(50)
    def test_its_end_may_be_counted_up(self, numbers: list[int]) -> None:
        """Counting up the end adds that number, as the hot path does; it never lowers or skips one."""
        counted, added = Ranges(), Ranges()
        for number in numbers:
            added.add(number)
            if number == counted.stop:
                counted.stop += 1
            else:
                counted.add(number)
        assert bool(counted) == bool(numbers)
        assert counted.total == added.total
        assert list(counted.within(0, 81)) == list(added.within(0, 81))
        assert [number in counted for number in range(82)] == [number in added for number in range(82)]

    def test_forgets_the_oldest(self) -> None:
        """Of more ranges than it keeps, the lowest are forgotten; the total goes on counting them."""
        ranges = Ranges()
        stop = 3 * Ranges.LIMIT
        for number in range(0, stop, 2):
            ranges.add(number)
        assert list(ranges.within(0, stop)) == list(range(stop - 2 * Ranges.LIMIT, stop, 2))
        assert 0 not in ranges
        assert ranges.total == stop // 2


class TestOutcomes:
    """What a reply is."""

    def test_answered(self) -> None:
        """A reply in order is an answer, and what it answers is acknowledged."""
        ledger = ledger_with(2)
        assert outcome(ledger, 0) is Outcome.ANSWERED
        assert 0 in ledger.acknowledged
        assert 1 not in ledger.acknowledged

    def test_request_is_kept_as_sent(self) -> None:
        """An outstanding request is kept with its times and its name."""
        ledger = Ledger()
        ledger.sent(3, 5, "query")
        request = ledger.pending[0]
        assert (request.planned_ns, request.sent_ns, request.name) == (3, 5, "query")

    def test_duplicated(self) -> None:
        """The same reply again on the same connection is a duplicate."""
        assert outcome(ledger_with(1, answered=(0,)), 0) is Outcome.DUPLICATED

    def test_redelivered(self) -> None:
        """The same reply again on a later connection is redelivered."""
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

    def test_unordered(self) -> None:
        """Where replies may overtake each other, none is out of order; duplicates are still found."""
        ledger = ledger_with(3)
        found = [outcome(ledger, sequence, ordered=False) for sequence in (2, 0, 1, 1)]
        assert found == [Outcome.ANSWERED] * 3 + [Outcome.DUPLICATED]

    def test_order_is_of_a_connection(self) -> None:
        """A new connection has an order of its own."""
        ledger = ledger_with(2, answered=(1,))
        ledger.disconnected()
        ledger.sent(2, 2)
        assert outcome(ledger, 2) is Outcome.ANSWERED

    @pytest.mark.parametrize("flaw", FLAWS)
    def test_flawed(self, flaw: Outcome) -> None:
        """A reply with a flaw has that outcome; its request is not acknowledged, yet not outstanding."""
        ledger = ledger_with(1)
        assert outcome(ledger, 0, flaw) is flaw
        assert 0 not in ledger.acknowledged
        assert ledger.acknowledged.total == 0
        assert not ledger.pending

    @pytest.mark.parametrize("again", [None, *FLAWS])
    @pytest.mark.parametrize("flaw", FLAWS)
    def test_duplicated_after_a_flaw(self, flaw: Outcome, again: Outcome | None) -> None:
        """A reply after one with a flaw came twice, and acknowledges nothing; after a resume too."""
        ledger = ledger_with(2)
        outcome(ledger, 0, flaw)
        assert outcome(ledger, 0, again) is Outcome.DUPLICATED
        assert ledger.acknowledged.total == 0
        ledger.disconnected()
        assert outcome(ledger, 0, again) is Outcome.REDELIVERED

    @pytest.mark.parametrize("flaw", FLAWS)
    def test_flaws_do_not_count_for_the_order(self, flaw: Outcome) -> None:
        """The reply before a flawed reply to a later request is in order."""
        ledger = ledger_with(2)
        outcome(ledger, 1, flaw)
        assert outcome(ledger, 0) is Outcome.ANSWERED

    def test_late(self) -> None:
        """A reply to a request that was given up is late, once, and acknowledges it."""
        ledger = ledger_with(1)
        assert gave_up(ledger, 1) == [(0, Outcome.LOST)]
        assert ledger.gave_up(0)
        assert ledger.unexpected(0) == (Outcome.LATE, Outcome.LOST)
        assert not ledger.gave_up(0)
        assert 0 in ledger.acknowledged
        assert ledger.unexpected(0) == (Outcome.DUPLICATED, None)

    def test_recovered(self) -> None:
        """A reply to a request whose connection ended is recovered, once."""
        ledger = ledger_with(1)
        assert ledger.disconnected() == 1
        assert ledger.unexpected(0) == (Outcome.RECOVERED, Outcome.LOST_IN_OUTAGE)
        assert ledger.unexpected(0) == (Outcome.REDELIVERED, None)

    @pytest.mark.parametrize("flaw", FLAWS)
    def test_recovered_with_a_flaw(self, flaw: Outcome) -> None:
        """A flawed reply to a given-up request has the flaw as its outcome, and acknowledges nothing."""
        ledger = ledger_with(1)
        ledger.disconnected()
        assert ledger.unexpected(0, flaw) == (flaw, Outcome.LOST_IN_OUTAGE)
        assert ledger.acknowledged.total == 0
        assert ledger.unexpected(0) == (Outcome.REDELIVERED, None)

    @pytest.mark.parametrize("sequence", [-1, 5, 10**30])
    def test_unmatched(self, sequence: int) -> None:
        """A reply to nothing that was asked is unmatched, whether it has a flaw or not."""
        ledger = ledger_with(1, answered=(0,))
        assert [outcome(ledger, sequence, flaw) for flaw in (None, *FLAWS)] == [Outcome.UNMATCHED] * 4
        assert ledger.acknowledged.total == 1

    def test_oldest(self) -> None:
        """The oldest outstanding request is that sent first; there may be none."""
        ledger = ledger_with(3, answered=(0,))
        assert ledger.oldest() == 1
        ledger.disconnected()
        assert ledger.oldest() == -1

    def test_unanswerable(self) -> None:
        """A request that gets no reply takes a number and is not outstanding; a reply to it is unmatched."""
        ledger = ledger_with(1)
        ledger.sent_unanswerable()
        ledger.sent(9, 9)
        assert list(ledger.pending) == [0, 2]
        assert outcome(ledger, 1) is Outcome.UNMATCHED

    def test_expired_are_the_oldest(self) -> None:
        """Requests sent before a time are given up, those sent at it are not."""
        ledger = ledger_with(4)
        assert gave_up(ledger, 2) == [(0, Outcome.LOST), (1, Outcome.LOST)]
        assert list(ledger.pending) == [2, 3]

    def test_given_up_requests_are_bounded(self) -> None:
        """Of many requests given up the oldest are forgotten; their replies are unmatched."""
        ledger = ledger_with(Ledger.OVERDUE_LIMIT + 1)
        ledger.disconnected()
        assert outcome(ledger, 0) is Outcome.UNMATCHED
        assert outcome(ledger, 1) is Outcome.RECOVERED


class TestStreams:
    """Replies that come in parts."""

    def test_gap(self) -> None:
        """A part tells when the one before came; the first has none before it."""
        ledger = ledger_with(2)
        assert [ledger.part(0, 10), ledger.part(1, 11), ledger.part(0, 14)] == [None, None, 10]

    def test_broken_off(self) -> None:
        """A stream is given up when its last part is too old, not when its request is."""
        ledger = ledger_with(2)
        ledger.part(0, 10)
        assert gave_up(ledger, 10) == [(1, Outcome.LOST)]
        assert gave_up(ledger, 11) == [(0, Outcome.BROKEN_OFF)]
        assert not ledger.streams

    def test_late_after_broken_off(self) -> None:
        """The end of a stream that was given up is late."""
        ledger = ledger_with(1)
        ledger.part(0, 1)
        ledger.expired(2)
        assert ledger.unexpected(0) == (Outcome.LATE, Outcome.BROKEN_OFF)

    @pytest.mark.parametrize("flaw", [None, *FLAWS])
    def test_answered(self, flaw: Outcome | None) -> None:
        """A stream whose reply has come is over."""
        ledger = ledger_with(1)
        ledger.part(0, 1)
        outcome(ledger, 0, flaw)
        assert not ledger.streams

    def test_disconnected(self) -> None:
        """A stream ends with its connection, and is lost in the outage like any other reply."""
        ledger = ledger_with(1)
        ledger.part(0, 1)
        ledger.disconnected()
        assert not ledger.streams
        assert ledger.unexpected(0) == (Outcome.RECOVERED, Outcome.LOST_IN_OUTAGE)

    def test_next_in_order(self) -> None:
        """The request that is answered next is the oldest after the last answered one."""
        ledger = ledger_with(5)
        assert ledger.next_in_order() == 0
        outcome(ledger, 2)
        assert (ledger.oldest(), ledger.next_in_order()) == (0, 3)
        outcome(ledger, 4)
        assert ledger.next_in_order() == -1
        ledger.disconnected()
        ledger.sent(5, 5)
        assert ledger.next_in_order() == 5

    @pytest.mark.parametrize(("ordered", "left"), [(True, {2: 10}), (False, {0: 10, 2: 10})])
    def test_parts_taken_for_an_older_requests(self, ordered: bool, left: dict[int, int]) -> None:
        """In order, a reply shows that the parts before it were its own, not those of an older request."""
        ledger = ledger_with(3)
        for sequence in (0, 1, 2):
            ledger.part(sequence, 10)
        outcome(ledger, 1, ordered=ordered)
        assert ledger.streams == left

    def test_behind_a_stream(self) -> None:
        """Requests behind one whose stream goes on are given up by their own age."""
        ledger = ledger_with(4)
        ledger.part(1, 50)
        assert [sequence for sequence, _ in ledger.unheard(3)] == [0, 2]
        assert list(ledger.pending) == [0, 1, 2, 3], "asking gives nothing up"


class TestRestored:
    """A restored history, compared with requests 0 to 4, acknowledged on a connection that ended."""

    @pytest.mark.parametrize(
        ("sequences", "count", "window", "missing", "repeated", "reordered", "first_missing"),
        [
            ([0, 1, 2, 3, 4], None, None, 0, 0, 0, None),
            ([0, 1, 2, 3, 4], 10, None, 0, 0, 0, None),
            ([3, 4], None, None, 3, 0, 0, 0),
            ([3, 4], 4, None, 3, 0, 0, 0),  # without a window all is owed
            ([3, 4], 4, 4, 0, 0, 0, None),  # a full window of both roles
            ([3, 4], 3, 4, 3, 0, 0, 0),  # not full: the rest is missing
            ([3, 4], None, 2, 0, 0, 0, None),  # a full window of requests only
            ([3, 4], None, 4, 3, 0, 0, 0),
            ([2, 4], 4, 4, 1, 0, 0, 3),  # a hole within the window
            ([4], 4, 4, 1, 0, 0, 3),  # the window is full of something else: it had room for the one before
            ([4], 10, 10, 4, 0, 0, 0),
            ([4], None, 1, 0, 0, 0, None),
            ([0, 2, 4], None, None, 2, 0, 0, 1),  # every second one
            ([0, 1, 2, 3], None, None, 1, 0, 0, 4),
            ([0, 1, 2, 3, 4, 5, 6], None, None, 0, 0, 0, None),  # stored though never acknowledged
            ([4, 3, 2, 1, 0], None, None, 0, 0, 4, None),
            ([0, 2, 1, 3, 4], None, None, 0, 0, 1, None),
            ([0, 0, 1, 2, 2, 3, 4], None, None, 0, 2, 0, None),
            ([0, 1, 2, 3, 4, 0, 1, 2, 3, 4], None, None, 0, 5, 0, None),
            ([], None, None, 5, 0, 0, 0),
            ([], 0, 200, 5, 0, 0, 0),
            ([], 200, 200, 5, 0, 0, 0),  # a full window without any of ours: no newest request is in it
            ([0, 1, 2, 3, 4], -(10**30), 4, 0, 0, 0, None),
            ([10**30], None, None, 5, 0, 0, 0),
        ],
    )
    def test_compared(
        self,
        sequences: list[int],
        count: int | None,
        window: int | None,
        missing: int,
        repeated: int,
        reordered: int,
        first_missing: int | None,
    ) -> None:
        """What is missing, twice or out of order is found; a full window excuses what is older than it."""
        ledger = ledger_with(7, answered=(0, 1, 2, 3, 4))
        ledger.disconnected()
        found = ledger.restored(sequences, count, window)
        assert found is not None
        assert (found.missing, found.repeated, found.reordered) == (missing, repeated, reordered)
        assert found.first_missing == first_missing

    @pytest.mark.parametrize(
        ("sequences", "count", "missing"),
        [
            ([3, 4], 10, 0),  # the older ones may have had no room
            ([2, 4], 10, 1),  # a hole
            ([1, 2], 10, 2),  # the newest ones did have room
            ([3, 4], 9, 3),  # not full: all had room
            ([], 9, 5),
            ([], 0, 5),
            ([3, 4], None, 3),  # no count: there are only these
            ([], 10, None),
            ([5, 6], 10, 0),  # stored though never acknowledged: newer than all that were
            ([7], 10, None),  # only of this connection
            ([-3], 10, None),
        ],
    )
    def test_shared(self, sequences: list[int], count: int | None, missing: int | None) -> None:
        """A full window that sessions share excuses what is older than the oldest own one in it."""
        ledger = ledger_with(7, answered=(0, 1, 2, 3, 4))
        ledger.disconnected()
        found = ledger.restored(sequences, count, 10, others=None)
        assert (found and found.missing) == missing

    def test_whole(self) -> None:
        """A whole history has nothing to find."""
        ledger = ledger_with(3, answered=(0, 1, 2))
        ledger.disconnected()
        assert ledger.restored([0, 1, 2], None, None) == Restoration(
            full=False,
            acknowledged=3,
            missing=0,
            repeated=0,
            reordered=0,
            first_missing=None,
            first_repeated=None,
            first_reordered=None,
        )

    def test_first_reordered(self) -> None:
        """The first request that stands after a later one is named with that."""
        ledger = ledger_with(5, answered=(0, 1, 2, 3, 4))
        ledger.disconnected()
        found = ledger.restored([0, 3, 1, 2, 4], None, None)
        assert found is not None
        assert found.first_reordered == (1, 3)

    def test_first_repeated(self) -> None:
        """The first request that stands there again is named."""
        ledger = ledger_with(3, answered=(0, 1, 2))
        ledger.disconnected()
        found = ledger.restored([0, 1, 2, 2, 1], None, None)
        assert found is not None
        assert found.first_repeated == 2

    def test_acknowledged_on_this_connection(self) -> None:
        """A history that comes late need not hold what was acknowledged after the resume."""
        ledger = ledger_with(2, answered=(0, 1))
        ledger.disconnected()
        for at_ns in (2, 3):
            ledger.sent(at_ns, at_ns)
            outcome(ledger, at_ns)
        found = ledger.restored([0, 1], None, None)
        assert found is not None
        assert (found.acknowledged, found.missing) == (2, 0)

    @given(
        st.lists(st.integers(-2, 12)),
        st.none() | st.integers(-2, 12),
        st.none() | st.integers(1, 12),
        st.sets(st.integers(0, 9)),
    )
    @effort(50)
    def test_never_more_missing_than_acknowledged(
        self, sequences: list[int], count: int | None, window: int | None, answered: set[int]
    ) -> None:
        """Whatever a server says, no more is missing than it acknowledged, and a whole history is whole."""
        ledger = ledger_with(10, answered=tuple(answered))
        ledger.disconnected()
        found = ledger.restored(sequences, count, window)
        assert found is not None
        assert 0 <= found.missing <= found.acknowledged <= len(answered)
        assert found.repeated + len(set(sequences)) == len(sequences)
        whole = ledger.restored(sorted(answered), len(answered), window)
        assert whole is not None
        assert (whole.missing, whole.repeated, whole.reordered) == (0, 0, 0)


class Books(RuleBasedStateMachine):
    """The ledger against a model that remembers everything."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.now_ns = 0
        self.books: dict[int, str] = {}  # sequence: what the model says of it
        self.sent_on: dict[int, int] = {}  # sequence: connection
        self.parts: dict[int, int] = {}  # sequence: when its last part came
        self.connection = 0
        self.highest = -1

    @rule(count=st.integers(1, 5), replies=st.booleans())
    def send(self, count: int, replies: bool) -> None:
        """Send requests."""
        for _ in range(count):
            self.now_ns += 1
            sequence = self.ledger.next_sequence
            self.sent_on[sequence] = self.connection
            if replies:
                self.books[sequence] = "pending"
                self.ledger.sent(self.now_ns, self.now_ns)
            else:
                self.ledger.sent_unanswerable()

    @rule(sequence=st.integers(-1, 12), flaw=st.none() | st.sampled_from(FLAWS))
    def reply(self, sequence: int, flaw: Outcome | None) -> None:
        """Take any reply, to what was asked or not."""
        before = self.books.get(sequence)
        expected = self.expected(sequence, before, flaw)
        assert outcome(self.ledger, sequence, flaw) == expected
        if before == "pending":
            self.parts = {begun: at_ns for begun, at_ns in self.parts.items() if begun > sequence}
        if before in ("pending", "lost", "broken_off", "lost_in_outage"):
            self.books[sequence] = "acknowledged" if flaw is None else "flawed"
        if expected is Outcome.ANSWERED:
            self.highest = sequence

    def expected(self, sequence: int, before: str | None, flaw: Outcome | None) -> Outcome:
        """Say what this reply is, by the module's own table of outcomes."""
        match before:
            case "pending":
                if flaw is not None:
                    return flaw
                return Outcome.REORDERED if sequence < self.highest else Outcome.ANSWERED
            case "lost" | "broken_off":
                return flaw or Outcome.LATE
            case "lost_in_outage":
                return flaw or Outcome.RECOVERED
            case "acknowledged" | "flawed":
                again = self.sent_on[sequence] == self.connection
                return Outcome.DUPLICATED if again else Outcome.REDELIVERED
            case _:
                return Outcome.UNMATCHED

    @rule(sequence=st.integers(0, 12))
    def part(self, sequence: int) -> None:
        """Take a part of an outstanding request's reply."""
        if self.books.get(sequence) == "pending":
            self.now_ns += 1
            assert self.ledger.part(sequence, self.now_ns) == self.parts.get(sequence)
            self.parts[sequence] = self.now_ns

    @rule(age_ns=st.integers(0, 6))
    def expire(self, age_ns: int) -> None:
        """Give up what has been without a sign of life for so long."""
        for sequence, request, found in self.ledger.expired(self.now_ns - age_ns):
            assert self.books[sequence] == "pending"
            assert self.parts.get(sequence, request.sent_ns) < self.now_ns - age_ns
            assert found == ("broken_off" if sequence in self.parts else "lost")
            self.books[sequence] = found
            self.parts.pop(sequence, None)

    @rule()
    def disconnect(self) -> None:
        """Lose the connection."""
        pending = [sequence for sequence, state in self.books.items() if state == "pending"]
        assert self.ledger.disconnected() == len(pending)
        for sequence in pending:
            self.books[sequence] = "lost_in_outage"
        self.parts.clear()
        self.connection += 1
        self.highest = -1

    @invariant()
    def agree(self) -> None:
        """The ledger holds what the model holds."""
        pending = [sequence for sequence, state in self.books.items() if state == "pending"]
        acknowledged = [sequence for sequence, state in self.books.items() if state == "acknowledged"]
        assert list(self.ledger.pending) == pending
        assert list(self.ledger.acknowledged.within(0, 10**9)) == acknowledged
        assert self.ledger.acknowledged.total == len(acknowledged)
        assert self.ledger.streams == self.parts


TestBooks = Books.TestCase
TestBooks.settings = effort(20, steps=30)
