"""The messages of a script: what its calls are told, and that the books are those of planned traffic."""

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, field

from loadtest import Template
from loadtest.dialects.base import Dialect, Failed, Push, Reply, Restored, StreamPart
from loadtest.errors import Dropped, IllegalStep, ReplyTimeout, RequestFailed, ScriptInterrupted
from loadtest.events import (
    Detected,
    Drained,
    DropDue,
    Due,
    Lost,
    Opened,
    Phases,
    Received,
    Recovered,
    RetryDue,
    Started,
    Stopped,
    Swept,
)
from loadtest.session.recorder import Recorder
from loadtest.session.schedule import NS_PER_S
from loadtest.session.script import Message
from loadtest.session.scripted_traffic import ScriptedMachine
from loadtest.session.state import TALKING, State
from loadtest.verdict.messaging import OUTCOMES
from tests.support.fake_link import MS, STANDARD, dialect_session, drop
from tests.support.scripts import script

BODY = Template('{"re": $sequence, "text": "$text"}')


class Plain(Dialect):
    """Says what it reads in JSON: {"re", "text"}, {"part"}, {"error"}, {"push"}, {"restored"}."""

    name = "plain-script"
    keeps_history = True
    ordered = True

    def request(self, session: Any, sequence: int) -> str:
        """Ask."""
        return str(BODY(session, sequence))

    def read(self, session: Any, data: Any) -> Any:
        """Read."""
        said = json.loads(data)
        match said:
            case {"re": sequence, "error": detail}:
                return Failed(sequence, detail)
            case {"re": sequence, "text": text}:
                return Reply(sequence, text)
            case {"re": sequence}:
                return Reply(sequence)
            case {"part": sequence}:
                return StreamPart(sequence)
            case {"restored": texts}:
                return Restored(texts=texts, count=len(texts))
        return Push()


class Call(Struct):
    """A call that remembers what it is told."""

    told: list[Any] = field(default_factory=list)
    timeout_ns: int | None = None

    def part(self, message: Message) -> None:
        """Take a part."""
        self.told.append("part")

    def replied(self, message: Message) -> None:
        """Take the reply."""
        self.told.append(message.json())

    def interrupted(self, error: ScriptInterrupted) -> None:
        """Take what came instead."""
        self.told.append(type(error))


class Ears:
    """A script that remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pushed(self, message: Message) -> None:
        """Take a push."""
        self.told.append("push")

    def dropped(self) -> None:
        """Take note of a drop."""
        self.told.append("dropped")


class Held:
    """A session that is up, without a network."""

    def __init__(self, **changes: Any) -> None:
        self.recorder = Recorder()
        self.ears = Ears()
        config = replace(STANDARD, dialect=Plain(), script=script(), **changes)
        self.session = ScriptedMachine(dialect_session(), config, self.recorder)
        self.session.traffic.listener = self.ears
        self.now_ns = 0
        self.feed(Started()).feed(Opened(Phases()))

    def feed(self, event: Any, after_ns: int = MS) -> "Held":
        """Let something happen."""
        self.now_ns += after_ns
        self.session.handle(event, self.now_ns)
        return self

    def hear(self, after_ns: int = MS, **said: Any) -> "Held":
        """Receive a message."""
        data = json.dumps(said)
        self.session.traffic.received = data
        return self.feed(Received(data), after_ns)

    def ask(self, body: Any = BODY, timeout_s: float | None = None) -> tuple[Call, Any]:
        """Send a request; return the call and the message."""
        call = Call(timeout_ns=None if timeout_s is None else int(timeout_s * NS_PER_S))
        data = self.session.ask(body, "ask", call, self.now_ns, fixed=True)
        return call, json.loads(data)

    @property
    def counts(self) -> Counter[str]:
        """The counts of messaging so far, without the prefix."""
        return Counter(
            {
                name[10:]: count
                for name, count in self.recorder.counts.items()
                if name.startswith("messaging.")
            }
        )


def test_a_reply_goes_to_its_call() -> None:
    """Parts and the end come in order; the books have an answer, and its times as a planned one's."""
    held = Held()
    call, said = held.ask()
    held.hear(part=0).hear(part=0).hear(**said)
    assert call.told == ["part", "part", said]
    assert held.counts["answered"] == held.counts["planned"] == held.counts["sent"] == 1
    samples = held.recorder.swap(0).samples
    assert list(samples["service"]) == list(samples["response"]) == [3 * MS]
    assert list(samples["first_part"]) == [MS]


@pytest.mark.parametrize(
    ("text", "outcome"), [("nothing", "corrupted"), ("[run.1.abcd.0.x]", "foreign"), (None, "unchecked")]
)
def test_flaws_are_found(text: str | None, outcome: str) -> None:
    """A marked request's reply is checked as a planned one's is; the call has it all the same."""
    held = Held()
    call, _ = held.ask()
    held.hear(**({"re": 0} if text is None else {"re": 0, "text": text}))
    assert held.counts[outcome] == 1
    assert len(call.told) == 1


def test_a_body_without_a_mark_is_not_compared() -> None:
    """There is nothing to compare its reply with, also when it comes late, and no history need hold it."""
    held = Held()
    held.ask('{"q": 1}')
    held.hear(re=0, text="anything")
    call, _ = held.ask('{"q": 2}')
    held.feed(Swept(), 6 * NS_PER_S).hear(re=1, text="late")
    assert call.told == [ReplyTimeout]
    assert held.counts["late"] == held.counts["unchecked"] == 1
    assert held.counts["corrupted"] == held.counts["lost"] == 0
    _, said = held.ask()
    held.hear(**said).feed(DropDue(drop("close"))).feed(Detected())
    held.feed(RetryDue()).feed(Opened(Phases())).hear(restored=[said["text"]])
    counts = held.recorder.counts
    assert counts["persistence.histories"] == counts["persistence.acknowledged"] == 1
    assert counts["persistence.missing"] == 0


def test_a_marked_request_must_be_in_the_history() -> None:
    """The other way round: what a script's marked request had acknowledged is missed."""
    held = Held()
    _, said = held.ask()
    held.hear(**said).feed(DropDue(drop("close"))).feed(Detected())
    held.feed(RetryDue()).feed(Opened(Phases())).hear(restored=[])
    assert held.recorder.counts["persistence.missing"] == 1


def test_the_texts_of_json_dumps_are_marked() -> None:
    """A text that was taken keeps its number, escaped or not, and requests may overtake it in the book."""
    held = Held()
    text = held.session.traffic.take_text()
    later = held.session.traffic.take_text()
    first, said = held.ask(json.dumps({"re": 0, "text": text}))
    second, _ = held.ask(json.dumps({"re": 1, "text": later}))
    held.hear(re=0, text=said["text"]).hear(re=1, text=later)
    assert held.counts["answered"] == 2
    assert held.counts["unchecked"] == 0
    assert first.told[0]["text"] == text
    assert second.told[0]["text"] == later


def test_a_text_that_planned_messages_overtook_while_it_waited() -> None:
    """A text taken in an outage, or before it, cannot be sent after planned messages: no mistake, a drop."""
    held = Held()
    before = held.session.traffic.take_text()
    held.feed(DropDue(drop("close"))).feed(Detected())
    within = held.session.traffic.take_text(talking=False)
    held.feed(RetryDue()).feed(Opened(Phases())).hear(restored=[])
    held.feed(Due(held.now_ns))
    for text in (before, within):
        with pytest.raises(Dropped):
            held.ask(text)
    assert held.counts["planned"] == held.counts["sent"] == 1
    fresh, late = held.session.traffic.take_text(), held.session.traffic.take_text()
    held.ask(json.dumps({"text": late}))
    with pytest.raises(ValueError, match="must not be sent after"):
        held.ask(json.dumps({"text": fresh}))


def test_a_text_that_nothing_overtook_is_sent_after_the_outage() -> None:
    """What waited for the session to be established keeps its number."""
    held = Held()
    held.feed(DropDue(drop("close"))).feed(Detected())
    text = held.session.traffic.take_text(talking=False)
    held.feed(RetryDue()).feed(Opened(Phases())).hear(restored=[])
    call, said = held.ask(json.dumps({"re": 0, "text": text}))
    held.hear(**said)
    assert call.told == [said]
    assert held.counts["answered"] == 1


def test_errors_and_pushes() -> None:
    """An error is told to its call; pushes go to the script."""
    held = Held()
    call, _ = held.ask()
    held.hear(re=0, error="no").hear(push=1)
    assert call.told == [RequestFailed]
    assert held.counts["failed"] == held.counts["pushes"] == 1
    assert held.ears.told == ["push"]


def test_timeouts_of_their_own() -> None:
    """A request is given up after its own timeout, a longer one not before; a part is a sign of life."""
    held = Held()
    short, _ = held.ask(timeout_s=1)
    long, _ = held.ask(timeout_s=60)
    usual, _ = held.ask()
    held.feed(Swept(), NS_PER_S - MS)
    assert short.told == []
    held.hear(part=0).feed(Swept(), NS_PER_S // 2)
    assert short.told == ["part"]
    held.feed(Swept(), NS_PER_S)
    assert short.told == ["part", ReplyTimeout]
    held.feed(Swept(), 4 * NS_PER_S)
    assert usual.told == [ReplyTimeout]
    assert long.told == []
    assert held.counts["broken_off"] == held.counts["lost"] == 1


def test_a_stalled_session_gives_nothing_up() -> None:
    """It was not reading: a timeout counts from when it reads again."""
    held = Held()
    held.ask()
    held.hear(re=0)
    call, _ = held.ask(timeout_s=1)
    held.feed(DropDue(drop("slow_reader"))).feed(Swept(), 5 * NS_PER_S).feed(Recovered(), MS)
    held.feed(Swept(), NS_PER_S // 2)
    assert call.told == []
    held.feed(Swept(), NS_PER_S)
    assert call.told == [ReplyTimeout]


def test_a_drop_ends_all_calls() -> None:
    """What was under way is lost in the outage, and nothing can be asked until the session is up again."""
    held = Held()
    calls = [held.ask()[0] for _ in range(3)]
    held.feed(DropDue(drop("reset")))
    assert held.session.state is State.DROPPING
    assert [call.told for call in calls] == [[], [], []]
    held.feed(Detected())
    assert [call.told for call in calls] == [[Dropped]] * 3
    assert held.ears.told == ["dropped"]
    assert held.counts["lost_in_outage"] == 3
    with pytest.raises(IllegalStep):
        held.ask()


def test_the_end_leaves_requests_unfinished() -> None:
    """A stopping session asks nothing more; what is still under way at its end is unfinished."""
    held = Held()
    call, said = held.ask()
    held.ask()
    held.feed(Stopped()).hear(**said)
    assert held.session.state is State.DRAINING
    with pytest.raises(IllegalStep):
        held.ask()
    held.feed(Drained())
    assert held.counts["answered"] == held.counts["unfinished"] == 1
    assert call.told == [said]


def test_sizes_have_histograms() -> None:
    """Where sizes vary, a script's marked round trips are among those of their size, others are not."""
    held = Held(size_of=lambda number, sequence: 64)
    _, said = held.ask()
    held.hear(**said)
    held.ask('{"q": 1}')
    held.hear(re=1)
    samples = held.recorder.swap(0).samples
    assert len(samples["service/64"]) == 1
    assert len(samples["service"]) == 2


MOVES = (
    "ask",
    "plain",
    "timed",
    "part",
    "reply",
    "wrong",
    "error",
    "again",
    "sweep",
    "drop",
    "lose",
    "stall",
    "push",
)


@given(st.lists(st.tuples(st.sampled_from(MOVES), st.integers(0, 9), st.integers(0, 3)), max_size=60))
def test_whatever_happens_the_books_balance(moves: list[tuple[str, int, int]]) -> None:
    """Each request has one outcome, and each call is told of its end once, unless the session ends first."""
    held, calls = Held(), []
    for move, which, seconds in moves:
        calls += moved(held, move, which, seconds * NS_PER_S)
    held.feed(Stopped())
    if held.session.state is State.DRAINING:
        held.feed(Drained())
    counts = held.counts
    ended = sum(counts[outcome] for outcome in OUTCOMES)
    assert counts["sent"] == len(calls) == ended
    ends = [[told for told in call.told if told != "part"] for call in calls]
    assert sum(map(len, ends)) == ended - counts["unfinished"]
    assert all(len(told) <= 1 for told in ends)


def moved(held: Held, move: str, which: int, after_ns: int) -> list[Call]:
    """Let something happen if it can; return the call that was made, if any."""
    up, pending = held.session.state in TALKING, list(held.session.traffic._ledger.pending)
    if move == "sweep":
        held.feed(Swept(), after_ns)
    elif up and move in ("ask", "plain", "timed"):
        return [held.ask('{"q": 1}' if move == "plain" else BODY, 1.5 if move == "timed" else None)[0]]
    elif up and move in ("drop", "lose", "stall"):
        disturb(held, move, after_ns)
    elif pending or (up and move in ("again", "push")):
        number = pending[which % len(pending)] if pending and move != "again" else which
        text = dialect_session().text(number)
        said: dict[str, dict[str, Any]] = {
            "part": {"part": number},
            "reply": {"re": number, "text": text},
            "again": {"re": number, "text": text},
            "wrong": {"re": number, "text": "nonsense"},
            "error": {"re": number, "error": "no"},
        }
        held.hear(after_ns, **said.get(move, {"push": 1}))
    return []


def disturb(held: Held, move: str, after_ns: int) -> None:
    """Drop or lose the connection and come back, or stall it."""
    if move == "stall":
        held.feed(DropDue(drop("slow_reader")), after_ns).feed(Recovered())
        return
    if move == "drop":
        held.feed(DropDue(drop("reset")), after_ns).feed(Detected())
    else:
        held.feed(Lost(code=1006, reason="", cause="eof"), after_ns)
    if held.session.state is State.WAITING:
        held.feed(RetryDue()).feed(Opened(Phases()))
