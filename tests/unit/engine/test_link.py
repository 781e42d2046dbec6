"""A link between its session and its context: what it asks for, and what is too late to count."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import pytest

from loadtest.dialects.base import AuthRequired, Dialect
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.echo import Echo
from loadtest.dialects.emergence import Emergence
from loadtest.drops.plan import DEFAULT_WEIGHTS, DropPlan
from loadtest.engine.dropping import Dropping
from loadtest.engine.link import Link, LinkContext
from loadtest.errors import ConnectFailed
from loadtest.events import Data, Lost, Phases, Refused
from loadtest.session.machine import Session
from loadtest.session.recorder import Recorder
from loadtest.session.schedule import NS_PER_S, Pace
from loadtest.session.state import State
from tests.support.fake_link import dialect_session, frame, session_config
from tests.support.fake_timers import FakeTimers


class Silent(Dialect):
    """A dialect without a message for drops."""

    def read(self, session: DialectSession, data: Data) -> None:
        return None


LOST = Lost(code=1006, reason="", cause="eof")
PHASES = msgspec.convert({field.name: 1 for field in msgspec.structs.fields(Phases)}, Phases)


class Connection:
    """A double: it keeps what is sent, and how it ended."""

    probe: Data | None = None

    def __init__(self) -> None:
        self.sent: list[Data] = []
        self.calls: list[str] = []

    def send(self, data: Data) -> None:
        """Keep it."""
        self.sent.append(data)

    def flooded(self, reason: str) -> None:
        """Keep why."""
        self.calls.append(f"flooded: {reason}")

    def __getattr__(self, name: str) -> Any:
        return lambda *_arguments, **_options: self.calls.append(name)


class World(FakeTimers):
    """A context of doubles: a clock and timers that a test turns, connections that it gives."""

    def __init__(self, **changes: Any) -> None:
        super().__init__()
        self.waiting: list[tuple[Link, int]] = []
        self.connection: Any = Connection()
        self.refusal: ConnectFailed | None = None
        self.token_s: float | None = None
        self.rejected: list[DialectSession] = []
        self.ended: list[Link] = []
        self.failures: list[Exception] = []
        usual: dict[str, Any] = {
            "config": session_config(dialect=Echo()),
            "drops": DropPlan(0.0, DEFAULT_WEIGHTS, seed=1),
            "open_timeout_s": 10.0,
            "ping_interval_ns": 20 * NS_PER_S,
            "ping_timeout_ns": 20 * NS_PER_S,
            "clock": lambda: self.now_ns,
            "timers": self,
            "recorder": Recorder(),
            "droppings": set[Dropping](),
            "connect": lambda link, epoch: self.waiting.append((link, epoch)),
            "open": self.open,
            "token_rejected": self.rejected.append,
            "ended": self.ended.append,
            "fail": self.failures.append,
        }
        self.link = Link(dialect_session(), LinkContext(**{**usual, **changes}))

    async def open(self, _about: DialectSession, token_awaited: Callable[[], None]) -> tuple[Any, Phases]:
        """Give the connection, or refuse, after the wait for a token if there is one."""
        if self.token_s is not None:
            self.pass_s(self.token_s)
            token_awaited()
        if self.refusal is not None:
            raise self.refusal
        return self.connection, PHASES

    def start(self) -> World:
        """Start the session, and open its connection."""
        self.link.start()
        self.open_next()
        return self

    def open_next(self) -> None:
        """Have the attempt that waits made."""
        link, epoch = self.waiting.pop(0)
        at_once(link.open(epoch))


def at_once(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that waits for nothing."""
    with pytest.raises(StopIteration):
        coroutine.send(None)


def test_a_session_is_opened_in_its_turn_and_sends() -> None:
    """The context is asked to connect; from then on messages are sent when they are due."""
    world = World()
    world.link.start()
    assert [link for link, _ in world.waiting] == [world.link]
    world.open_next()
    assert world.link.session.state is State.PROVING
    assert world.connection.calls == ["attach"]
    world.pass_s(3.5)
    assert len(world.connection.sent) in (3, 4)
    assert world.failures == []


def test_a_refused_attempt_is_made_again() -> None:
    """After the backoff, with another turn."""
    world = World()
    world.refusal = ConnectFailed(Refused(phase="tcp", cause="refused", detail="refused", unreachable=True))
    world.start()
    assert world.waiting == []
    world.pass_s(60)
    assert len(world.waiting) == 1
    world.refusal = None
    world.open_next()
    assert world.link.session.state is State.PROVING


def test_the_wait_for_a_token_is_told() -> None:
    """From the attempt's turn on, so that it counts as a wait of the outage."""
    world = World(config=session_config(dialect=Echo(), pace=Pace(0))).start()
    world.pass_s(2)
    world.link.sweep()
    world.link.lost(LOST)
    world.pass_s(5)
    outage = world.link.session._attempts.outage
    assert outage is not None
    before_ns, world.token_s = outage.wait_ns, 3.0
    world.open_next()
    assert outage.wait_ns - before_ns == 3 * NS_PER_S


def test_a_token_that_comes_too_late_is_not_told() -> None:
    """The session has ended meanwhile: it takes no more events."""

    async def stopped(_about: DialectSession, token_awaited: Callable[[], None]) -> tuple[Any, Phases]:
        world.link.stop(0.0)
        token_awaited()
        return world.connection, PHASES

    world = World(open=stopped)
    world.start()
    assert world.failures == []
    assert world.connection.calls == ["abort"]


def test_an_attempt_of_the_past_is_not_made() -> None:
    """A session that was stopped while it waited for its turn opens nothing."""
    world = World()
    world.link.start()
    world.link.stop(1.0)
    world.open_next()
    assert world.connection.calls == []
    assert world.link.ended


def test_a_connection_that_comes_too_late_is_aborted() -> None:
    """The session was stopped while it was opened."""
    world = World()

    async def opened_late(_about: DialectSession, _awaited: object) -> tuple[Any, Phases]:
        world.link.stop(1.0)
        return world.connection, PHASES

    world = World(open=opened_late)
    world.start()
    assert world.connection.calls == ["abort"]
    assert world.link.ended


@pytest.mark.parametrize("drain_s", [0.5, 2.0])
def test_last_replies_have_the_time_they_are_given(drain_s: float) -> None:
    """With a request under way the session drains for so long, then closes; its end is told once."""
    world = World().start()
    world.pass_s(1.5)
    assert world.connection.sent
    world.link.stop(drain_s)
    world.link.stop(9.0)  # is draining already
    world.pass_s(drain_s - 0.1)
    assert "close" not in world.connection.calls
    world.pass_s(0.2)
    assert "close" in world.connection.calls
    assert not world.link.ended
    world.link.lost(LOST)
    assert world.link.ended
    assert world.ended == [world.link]


def test_timers_of_a_lost_connection_do_not_count() -> None:
    """The time to be established is up for a connection that was lost before; the next one has its own."""
    world = World(config=session_config(dialect=Emergence())).start()
    world.pass_s(8)
    world.link.lost(LOST)
    world.pass_s(1.5)
    world.open_next()
    world.pass_s(9)
    assert world.link.session.state is State.ESTABLISHING
    world.pass_s(2)
    assert world.link.session.state is not State.ESTABLISHING
    assert world.failures == []


def test_a_mistake_of_the_dialect_is_told_to_the_context() -> None:
    """A mistake in a user's dialect ends the run; the link itself raises nothing."""

    class Broken(Echo):
        def request(self, session: DialectSession, sequence: int) -> str:
            raise ZeroDivisionError

    world = World(config=session_config(dialect=Broken())).start()
    world.pass_s(2)
    assert [str(failure) for failure in world.failures[:1]] == [
        "mistake in the dialect: Broken.request raised ZeroDivisionError (given sequence 0)"
    ]


def test_a_message_of_too_many_records_ends_the_connection() -> None:
    """The connection is told why; it reports its end as any other."""
    world = World(config=session_config(dialect=Emergence())).start()
    world.link.received("\n" * 10**6)
    assert world.connection.calls[-1] == "flooded: one message holds 1,000,000 records, limit 5,000"
    assert world.failures == []


def test_a_defect_is_told_to_the_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect of the tool does so, too, as it was raised."""

    def fail(*_arguments: object) -> None:
        raise ZeroDivisionError

    world = World().start()
    monkeypatch.setattr(Session, "handle", fail)
    world.link.received("anything")
    assert [type(failure) for failure in world.failures] == [ZeroDivisionError]


class Beating(Emergence):
    """The chat application, with a heartbeat every five seconds."""

    heartbeat_s = 5.0

    def heartbeat(self, session: DialectSession) -> Data:
        return f"beat {session.connection}"


def beating(**changes: Any) -> World:
    """Return a world whose idle session has opened a WebSocket at 0 s, and is not established yet."""
    return World(config=session_config(dialect=Beating(), pace=Pace(0)), **changes).start()


ESTABLISHED = frame("ws:session_established", session_id="session-0", thread_id="thread-0")


def test_heartbeats_are_sent_while_idle() -> None:
    """Every so many seconds from when the session is established, without any other message."""
    world = beating()
    world.pass_s(3)
    assert world.connection.sent == []
    world.link.received(ESTABLISHED)
    for seconds, beats in ((4.9, 0), (0.2, 1), (4.8, 1), (0.2, 2), (50, 12)):
        world.pass_s(seconds)
        assert world.connection.sent == ["beat 0"] * beats


def test_heartbeats_begin_anew_with_each_connection() -> None:
    """Those of a lost connection end; the next has its own, counted from when it was established."""
    world = beating()
    world.link.received(ESTABLISHED)
    world.pass_s(7)
    world.link.lost(LOST)
    world.connection = Connection()
    world.pass_s(2)
    world.open_next()
    world.pass_s(1)
    world.link.received(ESTABLISHED)
    world.pass_s(4.9)
    assert world.connection.sent == []
    world.pass_s(0.2)
    assert world.connection.sent == ["beat 1"]
    world.pass_s(10)
    assert world.connection.sent == ["beat 1"] * 3
    assert not world.failures


def test_heartbeats_go_on_over_a_slow_reader() -> None:
    """A disturbance that keeps the connection neither stops nor doubles them."""
    plan = DropPlan(1.0, {"slow_reader": 1.0}, seed=1)
    world = beating(drops=plan)
    world.link.received(ESTABLISHED)
    world.pass_s(60)
    assert world.connection.calls.count("pause_reading") > 5
    assert world.connection.sent == ["beat 0"] * 12


def test_heartbeats_end_with_the_session() -> None:
    """A stopped session sends none; a draining one still does."""
    world = World(config=session_config(dialect=Beating(), pace=Pace(1.0))).start()
    world.link.received(ESTABLISHED)
    world.pass_s(3)
    world.link.stop(10.0)
    world.pass_s(3)
    assert world.connection.sent[-1] == "beat 0"
    before = len(world.connection.sent)
    world.pass_s(8)
    world.pass_s(60)
    assert world.connection.sent[before:] == ["beat 0"]
    assert world.failures == []


def test_no_heartbeats_without_an_interval() -> None:
    """A dialect that says no interval is never asked for one."""
    world = World(config=session_config(dialect=Echo(), pace=Pace(0))).start()
    world.pass_s(100)
    assert world.connection.sent == []
    assert world.failures == []


@pytest.mark.parametrize(("dialect", "probe"), [(Echo(), "probe"), (Silent(), None)], ids=["echo", "none"])
def test_a_drop_gets_the_dialects_probe(dialect: Dialect, probe: Data | None) -> None:
    """`mid_reply` sends the dialect's message for drops; where there is none, it sends nothing."""
    plan = DropPlan(1.0, {"mid_reply": 1.0}, seed=1)
    world = World(config=session_config(dialect=dialect, pace=Pace(0)), drops=plan)
    world.connection.probe = "stale"
    world.connection.send_message = world.connection.sent.append
    world.start()
    world.pass_s(3)
    assert "reset" in world.connection.calls
    assert set(world.connection.sent) == (set() if probe is None else {probe})
    assert world.failures == []


def test_only_kinds_that_send_a_probe_ask_for_it() -> None:
    """Making a probe may cost time or money, so that a reset does without."""
    asked: list[int] = []

    class Costly(Echo):
        def probe(self, session: DialectSession) -> str:
            asked.append(session.number)
            return "probe"

    for kind, times in (("reset", 0), ("bad_message", 0), ("mid_reply", 1)):
        world = World(
            config=session_config(dialect=Costly(), pace=Pace(0)), drops=DropPlan(1.0, {kind: 1.0}, seed=1)
        )
        world.connection.send_message = world.connection.sent.append
        world.start().pass_s(2)
        assert len(asked) == times
        assert world.failures == []


def test_a_probe_that_raises_is_told_to_the_context() -> None:
    """A mistake in the message for drops is found at the first drop."""

    class Broken(Echo):
        def probe(self, session: DialectSession) -> str:
            raise KeyError("room")

    plan = DropPlan(1.0, {"mid_reply": 1.0}, seed=1)
    world = World(config=session_config(dialect=Broken()), drops=plan).start()
    world.pass_s(3)
    assert "Broken.probe raised KeyError: 'room' (given session 0)" in str(world.failures[0])


def test_a_sweep_keeps_the_connection_alive() -> None:
    """With the context's ping times; an ended session's is left alone."""
    world = World().start()
    world.link.sweep()
    assert world.connection.calls.count("keep_alive") == 1
    world.link.lost(LOST)
    world.link.stop(0.0)
    world.link.sweep()
    assert world.connection.calls.count("keep_alive") == 1


class Pinged(Echo):
    """A dialect whose server must ping each second."""

    def greeting(self, session: DialectSession) -> list[Data]:
        session.expect_ping(1.0)
        return []


def test_a_server_that_does_not_ping() -> None:
    """The connection is given up; a ping in time, and a drop, put that off."""
    world = World(config=session_config(dialect=Pinged(), pace=Pace(0))).start()

    def missed() -> int:
        world.pass_s(0.7)
        world.link.sweep()
        return int(world.connection.calls.count("ping_missed"))

    assert [missed(), missed()] == [0, 0]
    world.link.session.about.expect_ping(1.0)
    assert [missed(), missed(), missed()] == [0, 0, 1]
    world.link.session.about.expect_ping(None)
    assert [missed(), missed(), missed()] == [1, 1, 1]


def test_the_token_is_rejected_before_the_wait() -> None:
    """A server that refuses the token is told of at once: other sessions need not try the same one."""
    world = World()
    world.refusal = ConnectFailed(Refused(phase="upgrade", cause="http_401", detail=""))
    world.start()
    assert world.rejected == [world.link.session.about]
    world.refusal = ConnectFailed(Refused(phase="upgrade", cause="http_503", detail=""))
    world.pass_s(2)
    world.open_next()
    assert len(world.rejected) == 1


def test_a_refusal_is_not_waited_out() -> None:
    """A second after the words of a server that leaves the socket open, and not after the whole timeout."""
    refuses = {"establishes": True, "read": lambda *_: AuthRequired("who are you?")}
    dialect = type("Refused", (Echo,), refuses)()
    world = World(config=session_config(dialect=dialect)).start()
    world.link.received("no")
    world.pass_s(0.9)
    before = world.link.session.state
    world.pass_s(0.2)
    assert before is State.ESTABLISHING
    assert world.link.session.state is State.WAITING
    assert "close" in world.connection.calls
