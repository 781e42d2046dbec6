"""What is said on a connection: requests out and replies in, without the session around it."""

import unicodedata
from typing import Any

import pytest
from msgspec import UNSET, UnsetType

from loadtest.dialects.base import SESSION, Dialect, Failed, Push, Reply, Request, StreamPart, Unreadable
from loadtest.dialects.calls import MOST_UNANSWERABLE
from loadtest.dialects.emergence import Emergence
from loadtest.errors import DialectMistake
from loadtest.events import Data, Send
from loadtest.session.recorder import Recorder
from loadtest.session.schedule import NS_PER_S, Pace
from loadtest.session.traffic import Traffic
from tests.support.fake_link import MS, dialect_session, session_config


class Unqueued(Emergence):
    """An application whose clients forget what they could not send."""

    queues = False


class Unordered(Emergence):
    """An application whose replies may overtake each other."""

    ordered = False


class Talk:
    """Traffic with the counts of its recorder at hand."""

    def __init__(self, **changes: Any) -> None:
        self.recorder = Recorder()
        self.dialect = changes.setdefault("dialect", Emergence())
        self.about = dialect_session()
        self.traffic = Traffic(self.about, session_config(**changes), self.recorder)
        self.sent: list[Data] = []

    @property
    def counts(self) -> dict[str, int]:
        """The counts of `messaging` that are not zero."""
        counts = self.recorder.counts.items()
        return {name.removeprefix("messaging."): count for name, count in counts if count}

    def told(self) -> dict[str, int]:
        """Return how often each error occurred, less how often it was taken back."""
        return {error: tally.count for (_, error), tally in self.recorder.swap(0).errors.items()}

    def due(self, planned_ns: int, now_ns: int) -> int:
        """Let a message fall due; return how many are sent."""
        return self._take(self.traffic.due(planned_ns, now_ns))

    def in_turn(self, now_ns: int) -> int:
        """Let the messages go whose turn it is; return how many."""
        return self._take(self.traffic.in_turn(now_ns))

    def reply(
        self,
        sequence: Any,
        now_ns: int,
        *,
        steady: bool = True,
        text: str | UnsetType | None = UNSET,
        whole: bool = False,
    ) -> int:
        """Let a reply come; return how many messages are sent in turn."""
        return self._take(self.traffic.replied(Reply(sequence, text, whole), now_ns, steady=steady))

    def fail(self, sequence: Any, now_ns: int, detail: str = "overloaded", *, steady: bool = True) -> int:
        """Let an error reply come; return how many messages are sent in turn."""
        return self._take(self.traffic.failed(Failed(sequence, detail), now_ns, steady=steady))

    def part(self, now_ns: int, sequence: Any = None) -> None:
        """Let a part of a streamed reply come."""
        self.traffic.heard(StreamPart(sequence), now_ns)

    def swept(self, now_ns: int, *, steady: bool = True) -> int:
        """Look for overdue replies; return how many messages are sent in turn."""
        return self._take(self.traffic.swept(now_ns, steady=steady))

    def push(self, now_ns: int, **fields: Any) -> None:
        """Let a push come."""
        self.traffic.heard(Push(**fields), now_ns)

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

    def test_early_send(self) -> None:
        """A message sent before its time slips by the same; its response time begins when it was sent."""
        talk = Talk()
        talk.due(12 * MS, 10 * MS)
        talk.reply(0, 11 * MS)
        assert talk.samples("service") == talk.samples("response") == [MS]
        assert talk.samples("send_slip") == [2 * MS]
        assert talk.counts["early"] == 1

    def test_held_back_early(self) -> None:
        """A message that others hold back waits from the moment it was taken up, even before its time."""
        talk = Talk(in_flight=1)
        talk.due(1 * MS, 1 * MS)
        talk.due(4 * MS, 2 * MS)
        assert talk.reply(0, 3 * MS) == 1
        talk.reply(1, 5 * MS)
        assert talk.samples("service") == [2 * MS, 2 * MS]
        assert talk.samples("response") == [2 * MS, 3 * MS]
        assert "early" not in talk.counts

    def test_a_wrong_reply_tells_no_latency(self) -> None:
        """Only an intact reply in order tells the latency."""
        talk = Talk()
        for planned_ns in (1, 2, 3):
            talk.due(planned_ns, planned_ns)
        talk.reply(1, 10)
        talk.reply(0, 11)
        talk.reply(2, 12, text="altered")
        talk.reply(2, 13)
        assert talk.samples("service") == [8]
        assert talk.counts == {
            "planned": 3,
            "sent": 3,
            "unchecked": 2,
            "answered": 1,
            "reordered": 1,
            "corrupted": 1,
            "duplicated": 1,
        }

    def test_what_waited_tells_no_latency(self) -> None:
        """A message planned before a disturbance was over tells the disturbance, and is told apart."""
        talk = Talk()
        talk.traffic.due_disconnected(5)
        talk.traffic.disturbed(10, resumed=False)
        talk.in_turn(10)
        talk.due(10, 11)
        talk.reply(0, 20)
        talk.reply(1, 21)
        assert talk.samples("service") == [10]
        assert talk.samples("waited") == [10]
        assert talk.samples("response") == [11]
        assert talk.samples("send_slip") == [1]

    def test_what_a_drop_kept_from_being_read_tells_no_latency(self) -> None:
        """A request sent before its client stopped reading: its round trip is the drop's."""
        talk = Talk()
        talk.due(1, 2)
        talk.traffic.due_disconnected(5)
        talk.traffic.disturbed(10, resumed=False)
        talk.in_turn(10)
        talk.reply(0, 11)
        talk.reply(1, 12)
        assert talk.samples("stalled") == [9]
        assert talk.samples("waited") == [2]
        assert talk.samples("service") == talk.samples("response") == []

    def test_the_first_round_trip_after_a_resume_is_that_also_if_it_waited(self) -> None:
        """Each answer is in one histogram; the others that waited are in theirs."""
        talk = Talk()
        for planned_ns in (1, 2):
            talk.traffic.due_disconnected(planned_ns)
        talk.traffic.disturbed(10, resumed=True)
        talk.in_turn(10)
        talk.reply(0, 13)
        talk.reply(1, 14)
        assert talk.samples("after_resume") == [3]
        assert talk.samples("waited") == [4]
        assert talk.samples("service") == []

    def test_first_round_trip_after_a_resume(self) -> None:
        """The first intact answer after a resume has its own histogram, even if another reply came first."""
        talk = Talk()
        talk.traffic.disturbed(0, resumed=True)
        for planned_ns in (1, 2, 3):
            talk.due(planned_ns, planned_ns)
        talk.reply(0, 4, text="altered")
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
        assert talk.counts == {"planned": 3, "sent": 3, "unchecked": 2, "answered": 2, "duplicated": 1}

    def test_goes_on_after_a_loss(self) -> None:
        """A request that is given up is followed by the next, and its late reply by none."""
        talk = Talk(pace=Pace(rate=0, arrivals="closed"))
        talk.in_turn(0)
        assert talk.swept(6 * NS_PER_S) == 1
        assert talk.reply(0, 6 * NS_PER_S) == 0
        assert talk.counts == {"planned": 2, "sent": 2, "late": 1}

    def test_a_late_reply_is_one_error(self) -> None:
        """That it was lost is taken back with its count: a reader would take the two for two messages."""
        talk = Talk(pace=Pace(rate=0, arrivals="closed"))
        talk.in_turn(0)
        talk.swept(6 * NS_PER_S)
        talk.reply(0, 7 * NS_PER_S)
        assert talk.told() == {"no reply in time": 0, "reply late": 1}

    def test_what_an_outage_explains_is_no_error_to_take_back(self) -> None:
        """It never was one."""
        talk = Talk()
        talk.due(1, 1)
        talk.traffic.disconnected(2)
        talk.traffic.opened()
        talk.reply(0, 3, text=talk.about.text(0))
        assert talk.counts["recovered"] == 1
        assert talk.told() == {}

    def test_goes_on_after_requests_without_replies(self) -> None:
        """A request that gets no reply is followed by the next at once, up to one that gets one."""

        class Chat(Emergence):
            def request(self, session: Any, sequence: int) -> Any:
                return Request("x", replies=sequence % 4 == 3)

        talk = Talk(dialect=Chat(), pace=Pace(rate=0, arrivals="closed"))
        assert [talk.in_turn(1), talk.in_turn(2)] == [4, 0]
        assert talk.reply(3, 3) == 4
        assert (talk.counts["planned"], talk.counts["sent"], talk.counts["unanswerable"]) == (8, 8, 6)

    def test_without_any_reply(self) -> None:
        """A closed loop of requests that get no reply would never wait: the run ends, and says what to do."""

        class Chat(Emergence):
            def request(self, session: Any, sequence: int) -> Any:
                return Request("x", replies=sequence > MOST_UNANSWERABLE)

        talk = Talk(dialect=Chat(), pace=Pace(rate=0, arrivals="closed"))
        with pytest.raises(DialectMistake, match=r"^mistake .*Chat\.request .*Use --ws-arrivals constant"):
            talk.in_turn(1)

    def test_a_disturbance_starts_no_second_loop(self) -> None:
        """A slow reader whose request is still under way goes on with that one."""
        talk = Talk(pace=Pace(rate=0, arrivals="closed"))
        talk.in_turn(0)
        talk.traffic.disturbed(1, resumed=False)
        assert talk.in_turn(1) == 0
        assert talk.reply(0, 2) == 1


class TestReplies:
    """Replies that are not what was asked for."""

    def test_reply_timeout(self) -> None:
        """A request is given up once it is older than the reply timeout, and not before."""
        talk = Talk(reply_timeout_ns=100)
        talk.due(0, 0)
        talk.swept(100)
        assert talk.counts == {"planned": 1, "sent": 1}
        talk.swept(101)
        talk.swept(102)
        assert talk.counts == {"planned": 1, "sent": 1, "lost": 1}
        assert talk.errors() == {"no reply in time": f"request 0: {talk.about.text(0)}"}

    def test_unfinished(self) -> None:
        """What is outstanding when the session ends is neither answered nor lost."""
        talk = Talk()
        talk.due(1, 1)
        talk.traffic.unfinished(2)
        assert talk.traffic.outstanding == 0
        assert talk.counts == {"planned": 1, "sent": 1, "unfinished": 1}

    def test_unreadable(self) -> None:
        """What the dialect does not know is counted, with the bounded excerpt of the first."""
        talk = Talk()
        for excerpt in ("x" * 1000, "y"):
            talk.traffic.heard(Unreadable(excerpt), 1)
        assert talk.counts == {"unreadable": 2}
        assert talk.errors() == {"unreadable message": "x" * 200}

    def test_unordered(self) -> None:
        """Where replies may overtake each other, the one that comes after a later one is answered."""
        for dialect, outcome in ((Emergence(), "reordered"), (Unordered(), "answered")):
            talk = Talk(dialect=dialect)
            talk.due(1, 1)
            talk.due(2, 2)
            talk.reply(1, 3)
            before = talk.counts.get(outcome, 0)
            talk.reply(0, 4)
            assert talk.counts[outcome] == before + 1

    def test_out_of_order_is_shown_side_by_side(self) -> None:
        """The example names the request whose reply came too late, and the one that it came after."""
        talk = Talk()
        talk.due(1, 1)
        talk.due(2, 2)
        talk.reply(1, 3)
        talk.reply(0, 4)
        first, second = (talk.about.text(number) for number in range(2))
        assert talk.errors() == {"reply reordered": f'request 0 after request 1: "{first}" after "{second}"'}


class TestSequences:
    """How a reply names its request."""

    @pytest.mark.parametrize("named", [1, "1", "001"])
    def test_by_number_or_text(self, named: Any) -> None:
        """A sequence number may come as a number or as its decimal text."""
        talk = Talk()
        talk.due(1, 1)
        talk.due(2, 2)
        talk.reply(named, 3, text=talk.about.text(1))
        talk.reply(0, 4)
        assert (talk.counts["answered"], talk.counts["reordered"]) == (1, 1)

    def test_by_order(self) -> None:
        """A reply that names no request belongs to the oldest outstanding one, and must fit it."""
        talk = Talk()
        for at_ns in (1, 2):
            talk.due(at_ns, at_ns)
        talk.reply(None, 3, text=talk.about.text(0))
        talk.reply(None, 4, text=talk.about.text(0))
        talk.reply(None, 5)
        assert talk.counts == {"planned": 2, "sent": 2, "answered": 1, "corrupted": 1, "unmatched": 1}
        errors = talk.errors()
        assert errors["reply unmatched"] == "reply to None"
        assert errors["reply altered"].startswith("request 1: sent")

    @pytest.mark.parametrize(
        ("named", "example"),
        [
            (7, "request 7"),
            ("7", "request '7'"),
            (-1, "reply to -1"),
            ("-1", "reply to '-1'"),
            ("abc", "reply to 'abc'"),
            ("", "reply to ''"),
            ("1.0", "reply to '1.0'"),
            ("²", "reply to '²'"),
            (10**30, f"request {10**30}"),
            ("9" * 5000, "reply to '" + "9" * 190),
        ],
    )
    @pytest.mark.parametrize("refused", [False, True])
    def test_of_nothing(self, named: Any, example: str, refused: bool) -> None:
        """A reply or an error to nothing that was asked is unmatched, and shown as the server named it."""
        talk = Talk()
        talk.due(1, 1)
        if refused:
            talk.fail(named, 2, "no")
        else:
            talk.reply(named, 2)
        assert talk.counts == {"planned": 1, "sent": 1, "unmatched": 1}
        (shown,) = talk.errors().values()
        assert shown == (f"{example}: no"[:200] if refused else example)

    def test_an_error_of_the_session(self) -> None:
        """It names no request, and the one that is outstanding still gets its reply."""
        talk = Talk()
        talk.due(1, 1)
        talk.fail(SESSION, 2, "shutting down")
        talk.reply(0, 3)
        assert talk.counts == {"planned": 1, "sent": 1, "unmatched": 1, "answered": 1, "unchecked": 1}
        assert talk.errors() == {"error reply that matches no request": "the session: shutting down"}

    def test_number_and_text_are_told_apart(self) -> None:
        """An error shows whether the server named a request by a number or by text."""
        shown = []
        for named in (0, "0"):
            talk = Talk()
            talk.due(1, 1)
            talk.reply(named, 2)
            talk.reply(named, 3)
            shown.append(talk.errors()["reply duplicated"])
        assert shown == ["request 0", "request '0'"]

    @pytest.mark.parametrize("named", [1.5, 0.0, True, b"0", (0,)])
    @pytest.mark.parametrize("incoming", ["reply", "fail", "part"])
    def test_of_another_type(self, named: Any, incoming: str) -> None:
        """A sequence that is not a number, text or None is a mistake of the dialect, and changes nothing."""
        talk = Talk()
        talk.due(1, 1)
        talk.due(2, 2)
        with pytest.raises(DialectMistake, match=r"Emergence\.read returned .*int, str or None"):
            talk.part(3, named) if incoming == "part" else getattr(talk, incoming)(named, 3)
        assert talk.traffic.outstanding == 2
        assert talk.counts == {"planned": 2, "sent": 2}

    def test_a_number_of_another_kind(self) -> None:
        """A subclass of int is an int."""

        class Number(int):
            pass

        talk = Talk()
        talk.due(1, 1)
        talk.reply(Number(0), 2)
        assert talk.counts["answered"] == 1


class TestTexts:
    """Replies whose text is checked."""

    @pytest.fixture
    def talk(self) -> Talk:
        """Two requests under way."""
        talk = Talk()
        for at_ns in (1, 2):
            talk.due(at_ns, at_ns)
        return talk

    def test_whole_or_within(self, talk: Talk) -> None:
        """A reply may say more than the request did, unless it must be that and nothing else."""
        talk.reply(0, 3, text=f"You said: {talk.about.text(0)}. Well.")
        talk.reply(1, 4, text=talk.about.text(1), whole=True)
        assert talk.counts == {"planned": 2, "sent": 2, "answered": 2}

    @pytest.mark.parametrize("more", [" ", "\n", "!", "\0", "]"])
    @pytest.mark.parametrize("before", [False, True])
    def test_more_than_the_whole(self, talk: Talk, more: str, before: bool) -> None:
        """Where a reply must be the text itself, anything before or after it is an alteration."""
        text = talk.about.text(0)
        talk.reply(0, 3, text=more + text if before else text + more, whole=True)
        assert talk.counts["corrupted"] == 1
        assert "answered" not in talk.counts

    @pytest.mark.parametrize("whole", [False, True])
    def test_doubled(self, talk: Talk, whole: bool) -> None:
        """A reply that holds the request's text twice is altered."""
        talk.reply(0, 3, text=talk.about.text(0) * 2, whole=whole)
        assert talk.counts == {"planned": 2, "sent": 2, "corrupted": 1}

    @pytest.mark.parametrize("whole", [False, True])
    @pytest.mark.parametrize(
        "alter",
        [
            lambda text: unicodedata.normalize("NFD", text),
            lambda text: text[:-1],
            lambda text: text[:20],
            lambda text: text.upper(),
            lambda text: text.replace("🙂", "?"),
            lambda text: text.encode("cp1252", "replace").decode("cp1252"),
            lambda text: "",
            lambda text: "something else",
        ],
    )
    def test_altered(self, talk: Talk, alter: Any, whole: bool) -> None:
        """A reply whose text is altered is corrupted: no answer, no latency, and not acknowledged."""
        talk.reply(0, 3, text=alter(talk.about.text(0)), whole=whole)
        assert talk.counts == {"planned": 2, "sent": 2, "corrupted": 1}
        assert talk.samples("service") == []
        assert talk.errors()["reply altered"].startswith("request 0: sent")
        talk.traffic.disconnected(4)
        talk.traffic.opened()
        talk.traffic.unfinished(5)
        assert not any(name.startswith("persistence") for name in talk.counts), "nothing is owed"

    @pytest.mark.parametrize("whole", [False, True])
    def test_text_of_another_session(self, talk: Talk, whole: bool) -> None:
        """A reply with another session's text is foreign, and shows it."""
        other = dialect_session(1).text(0)
        talk.reply(0, 3, text=other, whole=whole)
        assert talk.counts == {"planned": 2, "sent": 2, "foreign": 1}
        assert "[run.1." in talk.errors()["reply holds another session's text"]

    def test_text_of_another_run(self, talk: Talk) -> None:
        """A text of another run is no session's of this one: the reply is altered."""
        talk.reply(0, 3, text=dialect_session(1, run_id="older").text(0))
        assert talk.counts["corrupted"] == 1

    def test_swapped(self, talk: Talk) -> None:
        """A reply with the text of another request of the same session is altered."""
        talk.reply(0, 3, text=talk.about.text(1))
        talk.reply(1, 3, text=talk.about.text(0))
        assert talk.counts["corrupted"] == 2

    def test_without_a_text(self, talk: Talk) -> None:
        """A reply that gives no text is answered, and counted as unchecked."""
        talk.reply(0, 3)
        talk.reply(1, 4, text=talk.about.text(1))
        assert (talk.counts["answered"], talk.counts["unchecked"]) == (2, 1)

    def test_late_with_an_altered_text(self) -> None:
        """A late reply with an altered text is corrupted, and no longer lost."""
        talk = Talk(reply_timeout_ns=100)
        talk.due(0, 0)
        talk.swept(200)
        talk.reply(0, 300, text=talk.about.text(0)[:-1])
        assert talk.counts == {"planned": 1, "sent": 1, "corrupted": 1}

    @pytest.mark.parametrize(
        ("session", "outcome"), [(0, "recovered"), (1, "foreign")], ids=["own", "another session's"]
    )
    def test_recovered(self, talk: Talk, session: int, outcome: str) -> None:
        """A reply on the next connection is recovered, or what its text says it is."""
        talk.traffic.disconnected(3)
        talk.traffic.opened()
        talk.reply(0, 4, text=dialect_session(session).text(0))
        assert talk.counts == {"planned": 2, "sent": 2, "lost_in_outage": 1, outcome: 1}

    def test_recovered_with_an_altered_text(self, talk: Talk) -> None:
        """A reply on the next connection whose text is altered is corrupted, and no longer lost."""
        talk.traffic.disconnected(3)
        talk.traffic.opened()
        talk.reply(0, 4, text=talk.about.text(0)[:-1], whole=True)
        assert talk.counts == {"planned": 2, "sent": 2, "lost_in_outage": 1, "corrupted": 1}
        assert talk.errors()["reply altered"].startswith("request 0: sent")

    def test_a_text_that_is_given_twice(self, talk: Talk) -> None:
        """A duplicate is one whatever its text."""
        for text in (talk.about.text(0), talk.about.text(0), "altered"):
            talk.reply(0, 3, text=text)
        assert talk.counts == {"planned": 2, "sent": 2, "answered": 1, "duplicated": 2}


class TestFailed:
    """Requests that the server answers with an error."""

    def test_failed(self) -> None:
        """An error reply is an outcome, with the server's words; it is no answer and no latency."""
        talk = Talk()
        talk.due(1, 1)
        talk.fail(0, 2, "the model\nis overloaded " + "x" * 500)
        assert talk.counts == {"planned": 1, "sent": 1, "failed": 1}
        assert talk.samples("service") == []
        (example,) = talk.errors().values()
        assert example.startswith("request 0: the model is overloaded xxx")
        assert len(example) <= 200

    def test_failed_by_order(self) -> None:
        """An error that names no request belongs to the oldest outstanding one."""
        talk = Talk()
        talk.due(1, 1)
        talk.due(2, 2)
        talk.fail(None, 3)
        talk.reply(1, 4)
        assert talk.counts == {"planned": 2, "sent": 2, "failed": 1, "answered": 1, "unchecked": 1}

    def test_the_next_goes_in_its_turn(self) -> None:
        """An error ends a request as a reply does: in steady state the next one is sent."""
        for steady in (True, False):
            talk = Talk(in_flight=1)
            talk.due(1, 1)
            talk.due(2, 2)
            assert talk.fail(0, 3, steady=steady) == steady

    def test_answered_after_it_failed(self) -> None:
        """A reply after an error, or an error after a reply, is a duplicate."""
        talk = Talk()
        for at_ns in (1, 2):
            talk.due(at_ns, at_ns)
        talk.fail(0, 3)
        talk.reply(0, 4, text=talk.about.text(0))
        talk.reply(1, 5)
        talk.fail(1, 6)
        assert talk.counts["duplicated"] == 2
        assert talk.errors()["reply duplicated"] == "request 0"
        assert "unmatched" not in talk.counts

    def test_failed_after_it_was_given_up(self) -> None:
        """An error that comes late, or on the next connection, replaces the loss."""
        talk = Talk(reply_timeout_ns=100)
        talk.due(0, 0)
        talk.swept(200)
        talk.fail(0, 300)
        assert talk.counts == {"planned": 1, "sent": 1, "failed": 1}
        talk.due(300, 300)
        talk.traffic.disconnected(301)
        talk.traffic.opened()
        talk.fail(1, 302)
        assert talk.counts == {"planned": 2, "sent": 2, "failed": 2}

    def test_not_acknowledged(self) -> None:
        """A failed request is not owed in a restored history."""
        talk = Talk()
        talk.due(1, 1)
        talk.fail(0, 2)
        talk.traffic.disconnected(3)
        talk.traffic.opened()
        talk.due(4, 4)
        talk.reply(1, 5)
        talk.traffic.disconnected(6)
        assert not any(name.startswith("persistence") for name in talk.counts)


class TestStreams:
    """Replies that come in parts."""

    def test_first_part_and_gaps(self) -> None:
        """The time to the first part and those between parts are recorded; the reply is timed at its end."""
        talk = Talk()
        talk.due(0, 1)
        for at_ns in (4, 9, 11):
            talk.part(at_ns)
        talk.reply(0, 20)
        assert talk.samples("first_part") == [3]
        assert talk.samples("part_gap") == [5, 2]
        assert talk.samples("service") == [19]

    def test_two_at_a_time(self) -> None:
        """Parts may name their request: each stream has times of its own."""
        talk = Talk()
        talk.due(1, 1)
        talk.due(2, 2)
        for at_ns, sequence in ((5, 0), (6, "1"), (7, 1), (9, "0")):
            talk.part(at_ns, sequence)
        assert talk.samples("first_part") == [4, 4]
        assert talk.samples("part_gap") == [1, 4]

    def test_what_waited_tells_no_first_part(self) -> None:
        """The first part of what waited for a disturbance's end, or of a resume, tells no latency."""
        talk = Talk()
        talk.traffic.due_disconnected(5)
        talk.traffic.disturbed(10, resumed=True)
        talk.in_turn(10)
        talk.part(12)
        talk.reply(0, 13)
        talk.due(20, 20)
        talk.part(24)
        talk.reply(1, 25)
        assert talk.samples("first_part") == [4]

    def test_a_lost_reply_lends_no_first_part(self) -> None:
        """Parts that name no request are those of the reply that ends them, not of the oldest request."""
        talk = Talk()
        talk.due(0, 0)
        talk.due(1000, 1000)
        talk.part(1004)
        talk.part(1006)
        talk.reply(1, 1007)
        assert talk.samples("first_part") == [4]
        assert talk.samples("service") == [7]

    def test_a_stream_that_broke_off_lends_no_first_part(self) -> None:
        """Its part came before the next request was sent; a lost connection ends a stream, too."""
        talk = Talk()
        talk.due(0, 0)
        talk.part(3)
        talk.due(10, 10)
        talk.reply(1, 15)
        talk.due(20, 20)
        talk.part(22)
        talk.traffic.disconnected(23)
        talk.traffic.opened()
        talk.due(20, 30)
        talk.reply(3, 35)
        assert talk.samples("first_part") == []

    def test_timeout_counts_from_the_last_part(self) -> None:
        """A stream that goes on is not given up; one that stops is broken off, once."""
        talk = Talk(reply_timeout_ns=100)
        talk.due(0, 0)
        for at_ns in (90, 180, 270):
            talk.part(at_ns)
            talk.swept(at_ns + 100)
        assert talk.counts == {"planned": 1, "sent": 1}
        talk.swept(371)
        talk.swept(500)
        assert talk.counts == {"planned": 1, "sent": 1, "broken_off": 1}
        assert talk.errors() == {"streamed reply broke off": f"request 0: {talk.about.text(0)}"}

    def test_late_after_it_broke_off(self) -> None:
        """The end of a stream that was given up is late, and no longer broken off."""
        talk = Talk(reply_timeout_ns=100)
        talk.due(0, 0)
        talk.part(1)
        talk.swept(200)
        talk.part(201, 0)
        talk.reply(0, 202)
        assert talk.counts == {"planned": 1, "sent": 1, "late": 1}

    def test_a_lost_reply_among_streams(self) -> None:
        """Later streams, which name no request, do not keep one alive whose reply was lost."""
        talk = Talk(reply_timeout_ns=100)
        talk.due(0, 0)
        for at_ns in range(10, 200, 10):
            talk.due(at_ns, at_ns)
            talk.part(at_ns + 1)
            talk.part(at_ns + 2)
            talk.swept(at_ns + 2)
            talk.reply(at_ns // 10, at_ns + 3, text=talk.about.text(at_ns // 10))
        assert (talk.counts["answered"], talk.counts["lost"]) == (19, 1)
        assert talk.errors() == {"no reply in time": f"request 0: {talk.about.text(0)}"}

    def test_unordered_parts_without_a_name(self) -> None:
        """Where replies may overtake each other, a part that names no request is the oldest one's."""
        talk = Talk(dialect=Unordered())
        for at_ns in (1, 2, 3):
            talk.due(at_ns, at_ns)
        talk.reply(1, 4)
        talk.part(7)
        assert talk.samples("first_part") == [6]

    def test_parts_of_nothing(self) -> None:
        """A part that names a request which is not awaited is unmatched; one that names none is ignored."""
        talk = Talk()
        talk.due(1, 1)
        talk.reply(0, 2)
        for sequence in (0, 7, "abc"):
            talk.part(3, sequence)
        assert talk.counts["unmatched"] == 3
        assert talk.errors() == {"part of a reply to no known request": "0"}
        talk.part(4)
        assert talk.counts == {}
        assert talk.samples("first_part") == []

    def test_part_of_a_given_up_request(self) -> None:
        """A request that was given up may still be answered in parts."""
        talk = Talk()
        talk.due(1, 1)
        talk.traffic.disconnected(2)
        talk.traffic.opened()
        talk.part(3, 0)
        assert "unmatched" not in talk.counts

    def test_a_stream_that_goes_on_does_not_hang(self) -> None:
        """At the end of a connection a request hangs only if its stream has stopped for long."""
        for part_s, hanging in ((1, 1), (9, 0)):
            talk = Talk(reply_timeout_ns=60 * NS_PER_S)
            talk.due(0, 0)
            talk.part(part_s * NS_PER_S)
            talk.traffic.interrupted(10 * NS_PER_S, "messaging")
            assert talk.counts.get("hanging", 0) == hanging

    def test_the_longest_wait_in_vain_is_recorded(self) -> None:
        """When a connection ends, the oldest request that has waited for long; none that is young."""
        for due_ns, waited in ((2 * NS_PER_S, [8 * NS_PER_S]), (9 * NS_PER_S, [])):
            talk = Talk(reply_timeout_ns=60 * NS_PER_S)
            talk.due(due_ns, due_ns)
            talk.due(due_ns + NS_PER_S, due_ns + NS_PER_S)
            talk.traffic.interrupted(10 * NS_PER_S, "messaging")
            assert talk.recorder.samples("unanswered").tolist() == waited

    def test_no_wait_counts_while_nothing_could_arrive(self) -> None:
        """What was sent before a stall has waited since its end: before that, the client did not read."""
        talk = Talk(reply_timeout_ns=60 * NS_PER_S)
        talk.due(0, 0)
        talk.traffic.disturbed(7 * NS_PER_S, resumed=False)
        talk.traffic.interrupted(10 * NS_PER_S, "messaging")
        assert talk.recorder.samples("unanswered").tolist() == [3 * NS_PER_S]


class TestRequests:
    """What a dialect's request may be."""

    def made(self, request: Any) -> Talk:
        """Return a talk of a dialect that makes this request, and two messages that fell due."""

        class Chat(Emergence):
            def request(self, session: Any, sequence: int) -> Any:
                return request

        talk = Talk(dialect=Chat())
        talk.due(1, 1)
        talk.due(2, 2)
        return talk

    @pytest.mark.parametrize("data", ["text", b"bytes", ""])
    def test_data(self, data: Data) -> None:
        """Text or bytes are sent as they are, alone or in a Request."""
        assert self.made(data).sent == self.made(Request(data)).sent == [data, data]

    def test_name(self) -> None:
        """The name of a kind of request is shown in its errors."""
        talk = self.made(Request("x", name="query"))
        talk.reply(0, 2, text="altered")
        talk.fail(1, 3, "no")
        talk.due(3, 3)
        talk.swept(60 * NS_PER_S)
        errors = talk.errors()
        assert errors["reply altered"].startswith("request 0 (query): sent")
        assert errors["the server answered with an error"] == "request 1 (query): no"
        assert errors["no reply in time"] == f"request 2 (query): {talk.about.text(2)}"

    def test_unanswerable(self) -> None:
        """A request that gets no reply is never outstanding, lost or late; a reply to it is unmatched."""
        talk = self.made(Request("x", replies=False))
        assert talk.traffic.outstanding == 0
        talk.swept(60 * NS_PER_S)
        talk.traffic.unfinished(60 * NS_PER_S)
        assert talk.counts == {"planned": 2, "sent": 2, "unanswerable": 2}
        talk.reply(0, 61 * NS_PER_S)
        assert talk.counts["unmatched"] == 1

    @pytest.mark.parametrize("result", [None, 5, ["x"], {"text": "x"}, Request(5)])  # type: ignore[arg-type]  # the point
    def test_something_else(self, result: Any) -> None:
        """Anything else is a mistake of the dialect, which is named with its result."""
        with pytest.raises(DialectMistake) as caught:
            self.made(result)
        assert str(caught.value).startswith("mistake in the dialect: Chat.request returned ")
        assert str(caught.value).endswith(
            f"({type(result).__name__}); it must return str, bytes or loadtest.Request (given sequence 0)"
        )

    def test_exception(self) -> None:
        """An exception is a mistake of the dialect, with class, method, exception and message."""

        class Chat(Emergence):
            def request(self, session: Any, sequence: int) -> Any:
                raise KeyError("thread")

        with pytest.raises(DialectMistake) as caught:
            Talk(dialect=Chat()).due(1, 1)
        assert str(caught.value) == (
            "mistake in the dialect: Chat.request raised KeyError: 'thread' (given sequence 0)"
        )
        assert isinstance(caught.value.__cause__, KeyError)

    def test_missing(self) -> None:
        """A dialect without the method says so."""

        class Silent(Dialect):
            pass

        with pytest.raises(DialectMistake, match=r"Silent\.request is missing"):
            Talk(dialect=Silent()).due(1, 1)


class TestForeignBeside:
    """Replies that hold more than they should."""

    def test_another_sessions_text(self) -> None:
        """Its own text does not make up for that of another session."""
        talk = Talk()
        talk.due(0, 0)
        other = dialect_session(number=99).text(0)
        talk.reply(0, 1, text=f"{talk.about.text(0)} {other}")
        assert talk.counts["foreign"] == 1

    @pytest.mark.parametrize("cut", [None, 30], ids=["whole", "in part"])
    def test_an_earlier_text_is_a_quote(self, cut: int | None) -> None:
        """A chat server quotes: a text of an earlier request may stand beside the reply's own."""
        talk = Talk()
        for number in range(2):
            talk.due(number, number)
        talk.reply(0, 2, text=talk.about.text(0))
        talk.reply(1, 3, text=f"> {talk.about.text(0)[:cut]}\n{talk.about.text(1)}")
        assert talk.counts["answered"] == 2
        assert talk.errors() == {}

    def test_a_later_text_is_no_quote(self) -> None:
        """What answers a later request, too, is the reply of another."""
        talk = Talk()
        for number in range(2):
            talk.due(number, number)
        talk.reply(0, 2, text=f"{talk.about.text(0)} {talk.about.text(1)}")
        assert (talk.counts["corrupted"], talk.traffic.outstanding) == (1, 1)

    def test_an_earlier_text_alone(self) -> None:
        """A quote does not make up for the text of the request itself, and nor does half of that."""
        talk = Talk()
        for number in range(3):
            talk.due(number, number)
        talk.reply(0, 2, text=talk.about.text(0))
        talk.reply(1, 3, text=talk.about.text(0))
        talk.reply(2, 4, text=f"{talk.about.text(2)[:30]} {talk.about.text(2)}")
        assert (talk.counts["answered"], talk.counts["corrupted"]) == (1, 2)

    def test_whole_replies_quote_nothing(self) -> None:
        """A reply that must be its text alone, as an echo must, may hold no other."""
        talk = Talk()
        for number in range(2):
            talk.due(number, number)
        talk.reply(0, 2, text=talk.about.text(0), whole=True)
        talk.reply(1, 3, text=f"{talk.about.text(0)} {talk.about.text(1)}", whole=True)
        assert talk.counts["corrupted"] == 1

    def test_texts_belong_to_no_request(self) -> None:
        """A push answers nothing, even with a request's text."""
        talk = Talk()
        talk.due(1, 1)
        talk.push(2, text=talk.about.text(0))
        assert talk.traffic.outstanding == 1

    def test_a_text_that_is_missing(self) -> None:
        """A reply whose text is None should have had one; a reply without the field is not checked."""
        talk = Talk()
        for number in range(2):
            talk.due(number, number)
        talk.reply(0, 2, text=None)
        talk.reply(1, 3)
        assert (talk.counts["corrupted"], talk.counts["unchecked"], talk.counts["answered"]) == (1, 1, 1)

    def test_digits_of_another_script(self) -> None:
        """Only ASCII digits name a request."""
        talk = Talk()
        talk.due(0, 0)
        talk.reply("\N{ARABIC-INDIC DIGIT ZERO}", 1)
        assert talk.counts["unmatched"] == 1
