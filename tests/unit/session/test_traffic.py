"""What is said on a connection: requests out and replies in, without the session around it."""

import math
from typing import Any

import pytest

from loadtest.dialects.base import UNNUMBERED, Push, Reply, Restored, Unreadable
from loadtest.dialects.emergence import Emergence
from loadtest.events import Data, Send
from loadtest.session.recorder import Recorder
from loadtest.session.schedule import NS_PER_S, Pace
from loadtest.session.traffic import MAX_PUSH_GAP, MAX_PUSH_NS, Traffic
from tests.support.fake_link import MS, identity, session_config


class Unqueued(Emergence):
    """An application whose clients forget what they could not send."""

    queues = False


class Talk:
    """Traffic with the counts of its recorder at hand."""

    def __init__(self, **changes: Any) -> None:
        self.recorder = Recorder()
        self.dialect = changes.setdefault("dialect", Emergence())
        self.traffic = Traffic(identity(), session_config(**changes), self.recorder)
        self.sent: list[Data] = []

    @property
    def counts(self) -> dict[str, int]:
        """The counts of `messaging` that are not zero."""
        counts = self.recorder.counts.items()
        return {name.removeprefix("messaging."): count for name, count in counts if count}

    def due(self, planned_ns: int, now_ns: int) -> int:
        """Let a message fall due; return how many are sent."""
        return self._take(self.traffic.due(planned_ns, now_ns))

    def in_turn(self, now_ns: int) -> int:
        """Let the messages go whose turn it is; return how many."""
        return self._take(self.traffic.in_turn(now_ns))

    def reply(self, sequence: int | None, now_ns: int, *, steady: bool = True, content: object = None) -> int:
        """Let a reply come; return how many messages are sent in turn."""
        return self._take(self.traffic.replied(Reply(sequence, content), now_ns, steady=steady))

    def swept(self, now_ns: int, *, steady: bool = True) -> int:
        """Look for overdue replies; return how many messages are sent in turn."""
        return self._take(self.traffic.swept(now_ns, steady=steady))

    def push(self, now_ns: int, *, number: int | None = None, sent_at_ms: float | None = None) -> None:
        """Let a push come."""
        self.traffic.heard(Push(number=number, sent_at_ms=sent_at_ms), now_ns)

    def _take(self, sends: Any) -> int:
        assert all(isinstance(send, Send) for send in sends)
        self.sent += [send.data for send in sends]
        return len(sends)

    def samples(self, tag: str) -> list[int]:
        """The samples of a histogram."""
        return list(self.recorder.samples(tag))

    def errors(self) -> dict[str, str]:
        """The errors with the example of each."""
        return {error: tally.example for (_, error), tally in self.recorder.swap(0).errors.items()}


class TestTimes:
    """Which round trips tell which latency."""

    def test_service_response_and_slip(self) -> None:
        """Service time starts at the actual send, response time at the planned one; the slip lies between."""
        talk = Talk()
        talk.due(10 * MS, 12 * MS)
        talk.reply(0, 15 * MS)
        assert talk.samples("service") == [3 * MS]
        assert talk.samples("response") == [5 * MS]
        assert talk.samples("send_slip") == [2 * MS]

    def test_a_wrong_reply_tells_no_latency(self) -> None:
        """Only an intact reply in order tells the latency."""
        talk = Talk()
        for planned_ns in (1, 2, 3):
            talk.due(planned_ns, planned_ns)
        talk.reply(1, 10)
        talk.reply(0, 11)
        talk.reply(2, 12, content=b"{}")
        talk.reply(2, 13)
        assert talk.samples("service") == [8]
        assert talk.counts == {
            "planned": 3,
            "sent": 3,
            "answered": 1,
            "reordered": 1,
            "corrupted": 1,
            "duplicated": 1,
        }

    def test_what_waited_tells_no_latency(self) -> None:
        """A message planned before a disturbance was over tells the disturbance, not the latency."""
        talk = Talk()
        talk.traffic.due_disconnected(5)
        talk.traffic.disturbed(10, resumed=False)
        talk.in_turn(10)
        talk.due(10, 11)
        talk.reply(0, 20)
        talk.reply(1, 21)
        assert talk.samples("service") == [10]
        assert talk.samples("send_slip") == [1]

    def test_first_round_trip_after_a_resume(self) -> None:
        """The first intact answer after a resume has its own histogram, even if another reply came first."""
        talk = Talk()
        talk.traffic.disturbed(0, resumed=True)
        for planned_ns in (1, 2, 3):
            talk.due(planned_ns, planned_ns)
        talk.reply(0, 4, content=b"{}")
        talk.reply(1, 5)
        talk.reply(2, 6)
        assert (talk.samples("after_resume"), talk.samples("service")) == ([3], [3])

    def test_collateral_is_of_steady_sessions(self) -> None:
        """Collateral latency is that of a session in steady state while some other is in an outage."""
        talk = Talk()
        talk.recorder.outages_open = 1
        talk.due(1, 1)
        talk.due(2, 2)
        talk.reply(0, 3)
        talk.reply(1, 5, steady=False)
        assert (talk.samples("collateral"), talk.samples("service")) == ([2], [2, 3])


class TestQueue:
    """Messages that wait."""

    def test_sent_after_the_outage(self) -> None:
        """Where clients queue, what fell due in an outage is sent after it, in order."""
        talk = Talk()
        for planned_ns in (1, 2, 3):
            talk.traffic.due_disconnected(planned_ns)
        assert talk.in_turn(10) == 3
        assert talk.in_turn(11) == 0
        assert talk.counts == {"planned": 3, "queued": 3, "sent": 3}

    def test_missed(self) -> None:
        """Where clients do not queue, what fell due in an outage is missed."""
        talk = Talk(dialect=Unqueued())
        talk.traffic.due_disconnected(1)
        assert talk.in_turn(10) == 0
        assert talk.counts == {"planned": 1, "missed": 1}

    def test_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What finds the queue full is missed, and not also counted as waiting."""
        monkeypatch.setattr(Traffic, "QUEUE_LIMIT", 2)
        talk = Talk(in_flight=1)
        for planned_ns in (1, 2, 3):
            talk.traffic.due_disconnected(planned_ns)
        talk.in_turn(10)
        talk.due(11, 11)
        talk.due(12, 12)
        assert talk.counts == {"planned": 5, "queued": 2, "missed": 2, "sent": 1}

    def test_in_flight(self) -> None:
        """With a limit, a message waits for a reply, and then goes with the time it was planned for."""
        talk = Talk(in_flight=2)
        assert [talk.due(at_ns, at_ns) for at_ns in (1, 2, 3, 4)] == [1, 1, 0, 0]
        assert talk.reply(0, 10) == 1
        assert talk.reply(2, 12) == 1
        assert talk.samples("response") == [9, 9]
        assert talk.samples("service") == [9, 2]

    def test_nothing_overtakes(self) -> None:
        """When several requests are given up at once, as many that waited take their place."""
        talk = Talk(in_flight=2)
        for at_ns in (1, 2, 3, 4):
            talk.due(at_ns, at_ns)
        assert talk.swept(6 * NS_PER_S) == 2
        assert talk.due(6 * NS_PER_S, 6 * NS_PER_S) == 0

    def test_waits_while_not_steady(self) -> None:
        """A reply to a session that is not in steady state makes it send nothing until it is again."""
        talk = Talk(in_flight=1)
        talk.due(1, 1)
        talk.due(2, 2)
        assert talk.reply(0, 3, steady=False) == 0
        assert talk.in_turn(4) == 1


class TestClosedLoop:
    """The next message as soon as the last is answered."""

    def test_one_at_a_time(self) -> None:
        """A reply sends the next message; a reply that comes again does not."""
        talk = Talk(pace=Pace(rate=0, arrivals="closed"))
        assert talk.in_turn(1) == 1
        assert [talk.reply(sequence, 10) for sequence in (0, 0, 1)] == [1, 0, 1]
        assert talk.counts == {"planned": 3, "sent": 3, "answered": 2, "duplicated": 1}

    def test_goes_on_after_a_loss(self) -> None:
        """A request that is given up is followed by the next, and its late reply by none."""
        talk = Talk(pace=Pace(rate=0, arrivals="closed"))
        talk.in_turn(0)
        assert talk.swept(6 * NS_PER_S) == 1
        assert talk.reply(0, 6 * NS_PER_S) == 0
        assert talk.counts == {"planned": 2, "sent": 2, "late": 1}

    def test_a_disturbance_starts_no_second_loop(self) -> None:
        """A slow reader whose request is still under way goes on with that one."""
        talk = Talk(pace=Pace(rate=0, arrivals="closed"))
        talk.in_turn(0)
        talk.traffic.disturbed(1, resumed=False)
        assert talk.in_turn(1) == 0
        assert talk.reply(0, 2) == 1


class TestReplies:
    """Replies that are not what was asked for."""

    def test_errors_name_the_request(self) -> None:
        """What is wrong with a reply is told with the number of its request."""
        talk = Talk()
        talk.due(1, 1)
        talk.reply(0, 2, content=b"{}")
        talk.reply(7, 3)
        assert talk.errors() == {"reply corrupted": "request 0", "reply unmatched": "request 7"}

    def test_reply_without_a_number(self) -> None:
        """A reply that does not say whose it is belongs to the oldest request, and must fit it."""
        talk = Talk()
        for at_ns in (1, 2):
            talk.due(at_ns, at_ns)
        talk.reply(None, 3, content=talk.sent[0].encode())  # type: ignore[union-attr]
        talk.reply(None, 4, content=b'{"payload":{}}')
        talk.reply(None, 5)
        assert talk.counts == {"planned": 2, "sent": 2, "answered": 1, "corrupted": 1, "unmatched": 1}

    def test_reply_to_a_drop(self) -> None:
        """A reply to a request that only a drop knows is nothing."""
        talk = Talk()
        talk.reply(UNNUMBERED, 1)
        assert not talk.counts
        assert not talk.errors()

    def test_unreadable(self) -> None:
        """What the dialect does not know is counted, with the bounded excerpt of the first."""
        talk = Talk()
        for excerpt in ("x" * 1000, "y"):
            talk.traffic.heard(Unreadable(excerpt), 1)
        assert talk.counts == {"unreadable": 2}
        assert talk.errors() == {"unreadable message": "x" * 200}

    def test_no_reply_in_time(self) -> None:
        """A request is given up once it is older than the reply timeout, and not before."""
        talk = Talk(reply_timeout_ns=100)
        talk.due(0, 0)
        talk.swept(100)
        assert talk.counts == {"planned": 1, "sent": 1}
        talk.swept(101)
        talk.swept(102)
        assert talk.counts == {"planned": 1, "sent": 1, "lost": 1}
        assert talk.errors() == {"no reply in time": "request 0"}

    def test_unfinished(self) -> None:
        """What is under way when the session ends is neither answered nor lost."""
        talk = Talk()
        talk.due(1, 1)
        talk.traffic.unfinished()
        assert talk.traffic.outstanding == 0
        assert talk.counts == {"planned": 1, "sent": 1, "unfinished": 1}


class TestPushes:
    """What the server sends on its own."""

    def test_numbers(self) -> None:
        """A skipped number is a missing push, an old one came again; each connection counts anew."""
        talk = Talk()
        for number in (4, 5, 8, 8, 9):
            talk.push(1, number=number)
        talk.traffic.opened()
        talk.push(2, number=1)
        assert talk.counts == {"pushes": 6, "pushes_missing": 2, "pushes_duplicated": 1}
        assert talk.errors() == {
            "push missing": "push 8 came after push 5",
            "push again or out of order": "push 8 came after push 8",
        }

    def test_delay_above_the_smallest(self) -> None:
        """Of two clocks that do not agree, the delay above the smallest of the connection is recorded."""
        talk = Talk()
        for now_ms, sent_at_ms in ((10, 5000.0), (23, 5010.0), (31, 5022.0)):
            talk.push(now_ms * MS, sent_at_ms=sent_at_ms)
        talk.traffic.opened()
        talk.push(99 * MS, sent_at_ms=0.0)
        assert talk.samples("push") == [0, 3 * MS, 0, 0]

    @pytest.mark.parametrize("clock_ms", [-1e308, 1e308, 1e18, math.inf, -math.inf, math.nan])
    def test_hostile_clock(self, clock_ms: float) -> None:
        """A server's clock may say anything: no sample is negative, and each fits the recording."""
        talk = Talk()
        for sent_at_ms in (clock_ms, 0.0, -clock_ms, clock_ms):
            talk.push(1, sent_at_ms=sent_at_ms)
        assert all(0 <= sample <= MAX_PUSH_NS for sample in talk.samples("push"))
        assert talk.counts == {"pushes": 4}

    def test_hostile_number(self) -> None:
        """A push number may be anything: no gap counts for more than a bounded number of pushes."""
        talk = Talk()
        for number in (0, 10**4000, -(10**4000), 2**64):
            talk.push(1, number=number)
        assert talk.counts["pushes_missing"] == 2 * MAX_PUSH_GAP
        assert all(len(example) <= 200 for example in talk.errors().values())


class TestHistory:
    """What the server restores after a resume. The comparison itself is the ledger's."""

    @pytest.fixture
    def talk(self) -> Talk:
        """Three acknowledged requests, and a new connection."""
        talk = Talk()
        for sequence in range(3):
            talk.due(sequence, sequence)
            talk.reply(sequence, sequence)
        talk.traffic.disconnected()
        talk.recorder.swap(0)
        talk.traffic.opened()
        return talk

    def test_whole(self, talk: Talk) -> None:
        """A whole history is counted with what it had to hold, once a connection."""
        for _ in range(2):
            talk.traffic.heard(Restored(sequences=[0, 1, 2], count=3), 1)
        assert talk.counts == {"persistence.histories": 1, "persistence.acknowledged": 3}

    def test_holes_and_repeats(self, talk: Talk) -> None:
        """What is missing and what stands there twice is counted, and the first of it named."""
        talk.traffic.heard(Restored(sequences=[0, 2, 2], count=3), 1)
        assert talk.counts["persistence.missing"] == talk.counts["persistence.repeated"] == 1
        assert talk.errors() == {
            "acknowledged requests are not restored": "1 of 3, first 1",
            "requests restored twice": "1 of them",
        }

    def test_missing(self, talk: Talk) -> None:
        """A history that has not come by the first answer after the resume is missing, once."""
        for sequence in (3, 4):
            talk.due(10, 10)
            talk.reply(sequence, 11)
        assert talk.counts["persistence.history_missing"] == 1
        assert talk.errors() == {"no history was restored": "3 requests were acknowledged"}

    def test_old_replies_prove_nothing(self, talk: Talk) -> None:
        """A reply to an earlier connection's request may come before the history does."""
        talk.reply(2, 1)
        talk.traffic.heard(Restored(sequences=[0, 1, 2]), 1)
        assert talk.counts["persistence.redelivered"] == talk.counts["persistence.histories"] == 1

    def test_nothing_owed(self) -> None:
        """A server that has acknowledged nothing, or keeps no history, owes none."""

        class Forgetful(Emergence):
            keeps_history = False

        for talk in (Talk(), Talk(dialect=Forgetful())):
            talk.due(0, 0)
            if not talk.dialect.keeps_history:
                talk.reply(0, 1)
            talk.traffic.disconnected()
            talk.traffic.opened()
            talk.traffic.heard(Restored(sequences=[]), 2)
            talk.due(3, 3)
            talk.reply(1, 4)
            assert not [name for name in talk.counts if name.startswith("persistence")]
