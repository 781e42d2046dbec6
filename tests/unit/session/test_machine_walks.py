"""Sessions walked at random through whatever the state machine allows: what must hold after every step."""

import pickle
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from loadtest.dialects.echo import Echo
from loadtest.errors import IllegalStep
from loadtest.events import Drained, Due, EstablishTimedOut, Event, Send, Started, Stopped
from loadtest.session.recorder import COUNTS, ROUND_TRIPS, Recorder
from loadtest.session.schedule import NS_PER_S, Backoff, Pace
from loadtest.session.session_config import SessionConfig
from loadtest.session.state import State
from tests.support.effort import effort
from tests.support.fake_link import (
    BEATING,
    STANDARD,
    Beating,
    EchoServer,
    FakeServer,
    HalfAnswerable,
    Link,
    session_config,
)
from tests.support.session_table import EXAMPLES, LEGAL

OUTCOMES = (
    *("answered", "reordered", "corrupted", "foreign", "failed", "late", "recovered"),
    *("lost", "broken_off", "lost_in_outage", "unfinished", "unanswerable"),
)
ENDINGS = ("resumed", "unproven", "silent", "gave_up", "forbidden", "cut_short", "unresolved", "overdue")
FIRST_ENDINGS = ("established", "unproven", "failed", "cut_short", "unresolved")
BLAME = (
    *(f"messaging.{what}" for what in ("lost", "late", "duplicated", "reordered", "corrupted", "unmatched")),
    *(f"messaging.{what}" for what in ("failed", "broken_off", "foreign", "unreadable")),
    *(f"messaging.pushes_{what}" for what in ("missing", "duplicated", "altered", "foreign")),
    *(f"persistence.{what}" for what in ("identity_changed", "history_missing", "missing", "redelivered")),
    *(f"persistence.{what}" for what in ("repeated", "reordered", "altered", "foreign")),
)
"""Counts that no drop, loss or refusal may ever raise."""

ENDED_BY = [1000, 1006, 1012, 1006, 1006, 1008]
KINDS = ["reset", "half_open", "close", "slow_reader"]
_NEXT = {
    State.CONNECTING: ["open", "open", "refuse"],
    State.ESTABLISHING: ["time_out"],
    State.PROVING: ["drop", "last"],
    State.STEADY: ["drop"],
    State.STALLED: ["recover"],
    State.DROPPING: ["detect"],
    State.WAITING: ["retry", "retry"],
    State.DRAINING: ["drained"],
}
"""What leads on from each state; what may always happen is added where it is used."""

WALKS = st.binary(min_size=10, max_size=40)

AWAY = (State.DROPPING, State.WAITING, State.CONNECTING, State.ESTABLISHING)

BEHAVIOURS = [
    STANDARD,
    session_config(in_flight=2, backoff=Backoff(max_attempts=2, jitter="equal")),
    session_config(pace=Pace(rate=0, arrivals="closed"), backoff=Backoff(max_attempts=0)),
    session_config(dialect=Echo()),
    session_config(dialect=HalfAnswerable()),
    session_config(dialect=HalfAnswerable(), pace=Pace(rate=0, arrivals="closed")),
    BEATING,
]


class Sessions(RuleBasedStateMachine):
    """Two sessions on one recorder, taken through whatever their tables allow."""

    faults: tuple[str, ...] = (
        *("lose", "duplicate", "reorder", "corrupt", "confuse", "refuse", "break_off"),
        *("forget", "again", "junk"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.recorder = Recorder()
        self.links: list[Link] = []
        self.totals: dict[str, int] = {}

    @initialize(behaviour=st.sampled_from(BEHAVIOURS), streams=st.booleans(), walk=WALKS)
    def begin(self, behaviour: SessionConfig, streams: bool, walk: bytes) -> None:
        """Make the sessions: one is established and goes on, the other has just begun."""
        server = EchoServer if isinstance(behaviour.dialect, Echo) else FakeServer
        self.links = [
            Link(behaviour, server=server(streams=streams), recorder=self.recorder) for _ in range(2)
        ]
        self.links[0].start()
        self.links[1].tell(Started())
        self.go_on(which=0, walk=walk)

    @rule(which=st.integers(0, 1), walk=WALKS)
    def go_on(self, which: int, walk: bytes) -> None:
        """Take a session some legal steps further; a byte of the walk chooses each."""
        link = self.links[which]
        for byte in walk:
            if moves := self.moves(link):
                choice, move = divmod(byte, len(moves))
                self.move(link, moves[move], choice)

    def moves(self, link: Link) -> list[str]:
        """Return what may happen to this session now."""
        state = link.session.state
        if state in (State.NEW, State.ENDED):
            return []
        named = [*_NEXT[state], "sweep", "fault"]
        if link.connected:
            named += ["hear"] * 4 + ["lose"]
        if isinstance(link.session._dialect, Beating):
            named.append("beat")
        if (state, Due) in LEGAL and not link.session._traffic._config.pace.closed:
            named += ["send"] * 3
        return named

    def move(self, link: Link, move: str, choice: int) -> None:
        """Let something happen, in the way that the choice says."""
        match move:
            case "refuse":
                link.refuse(unreachable=choice % 2 == 0)
            case "time_out":
                link.tell(EstablishTimedOut())
            case "drop":
                link.drop(KINDS[choice % len(KINDS)])
            case "hear":
                link.hear(at_most=1)
            case "lose":
                link.lose(ENDED_BY[choice % len(ENDED_BY)])
            case "drained":
                link.tell(Drained())
            case "sweep":
                link.sweep(3 * NS_PER_S if self.faults else 0)
            case "fault":
                if self.faults:
                    self.go_wrong(link, choice)
            case _:
                getattr(link, move)()

    def go_wrong(self, link: Link, choice: int) -> None:
        """Let the server do something wrong, now or with one of the next messages."""
        remembered = len(link.server.requests[link.identity.session_id])
        match self.faults[choice % len(self.faults)]:
            case "forget":
                link.server.forget(link.identity)
            case "again" if link.connected and remembered:
                link.inbox.append(link.server.again(link.identity, choice % remembered))
            case "junk" if link.connected:
                link.inbox.append("junk")
            case fault:
                link.server.faults[remembered + choice % 3] = fault

    @rule(which=st.integers(0, 1))
    def stop(self, which: int) -> None:
        """Ask a session to end."""
        link = self.links[which]
        if (link.session.state, Stopped) in LEGAL:
            link.stop()

    @rule()
    def tick(self) -> None:
        """Take the interval away, as the recording does every second."""
        interval = self.recorder.swap(0)
        samples = {f"samples.{tag}": len(found) for tag, found in interval.samples.items()}
        for name, count in (interval.counts | samples).items():
            self.totals[name] = self.totals.get(name, 0) + count

    @rule(which=st.integers(0, 1), event=st.sampled_from(sorted(EXAMPLES.values(), key=repr)))
    def illegal(self, which: int, event: Event) -> None:
        """What the table has no row for is refused and changes nothing."""
        session = self.links[which].session
        if (session.state, type(event)) in LEGAL:
            return
        before = pickle.dumps(session)
        with pytest.raises(IllegalStep):
            session.handle(event, 0)
        assert pickle.dumps(session) == before

    def total(self, *names: str) -> int:
        """Return the sum of these counts over the whole run."""
        return sum(self.totals.get(name, 0) + self.recorder.counts.get(name, 0) for name in names)

    @invariant()
    def books_balance(self) -> None:
        """Every request sent has exactly one outcome or is under way; every message planned went or waits."""
        outcomes = self.total(*(f"messaging.{outcome}" for outcome in OUTCOMES))
        sessions = [link.session for link in self.links]
        outstanding = sum(one._traffic.outstanding + len(one._proof._silenced) for one in sessions)
        assert self.total("messaging.sent") == outcomes + outstanding
        sends = [action for link in self.links for action in link.asked if isinstance(action, Send)]
        assert self.total("messaging.sent", "messaging.other_sent") == len(sends)
        waiting = sum(len(link.session._traffic._queue or ()) for link in self.links)
        assert self.total("messaging.planned") == self.total("messaging.sent", "messaging.missed") + waiting
        kept_back = sum(link.session._traffic._queued for link in self.links)
        assert self.total("messaging.queued") == self.total("messaging.released") + kept_back

    @invariant()
    def every_answer_is_in_one_histogram(self) -> None:
        """The histograms of round trips add up to the answers; response times are those of `service`."""
        samples = {
            tag: len(self.recorder.samples(tag)) + self.totals.get(f"samples.{tag}", 0)
            for tag in (*ROUND_TRIPS, "response")
        }
        assert sum(samples[tag] for tag in ROUND_TRIPS) == self.total("messaging.answered")
        assert samples["response"] == samples["service"]

    @invariant()
    def population_is_the_sessions(self) -> None:
        """The population counts each session once, under its state."""
        population = {state: count for state, count in self.recorder.population.items() if count}
        states = [link.session.state for link in self.links]
        assert population == {state: states.count(state) for state in states}

    @invariant()
    def outages_are_open_or_ended_once(self) -> None:
        """As many outages are open as sessions are in one, and the others ended in exactly one way."""
        outages = [link.session for link in self.links if link.session._attempts.outage is not None]
        away = [session for session in outages if session.state in AWAY]
        assert self.recorder.outages_open == len(away)
        assert all(session._proof.pending for session in outages if session not in away)
        ended = self.total(*(f"reconnect.{ending}" for ending in ENDINGS))
        assert self.total("reconnect.outages") == ended + len(outages)

    @invariant()
    def first_attempts_have_one_ending(self) -> None:
        """Every attempt of a session that was never established is under way, or has ended in one way."""
        attempts = [link.session._attempts for link in self.links]
        trying = [
            link.session.state in (State.CONNECTING, State.ESTABLISHING) or link.session._proof.pending
            for link in self.links
        ]
        first = sum(under_way and one.outage is None for one, under_way in zip(attempts, trying, strict=True))
        endings = self.total(*(f"connect.{ending}" for ending in FIRST_ENDINGS))
        assert self.total("connect.attempts") == endings + first

    @invariant()
    def in_turn(self) -> None:
        """No session has more under way than it may."""
        for link in self.links:
            behaviour = link.session._traffic._config
            limit = 1 if behaviour.pace.closed else behaviour.in_flight
            assert not limit or link.session._traffic.outstanding <= limit

    @invariant()
    def counts_are_known(self) -> None:
        """Every count has a meaning."""
        unknown = self.recorder.counts.keys() - COUNTS.keys()
        assert all(name.startswith(("drops.", "losses.")) for name in unknown)

    def teardown(self) -> None:
        """All sessions end, and nothing is left open."""
        for link in self.links:
            if link.session.state not in (State.DRAINING, State.ENDED):
                link.stop()
            if link.session.state is State.DRAINING:
                link.tell(Drained())
            assert link.finished
            assert not link.connected
            assert not link.session._traffic.outstanding
        self.books_balance()
        self.outages_are_open_or_ended_once()
        assert self.recorder.outages_open == 0


class SoundSessions(Sessions):
    """The same against a server that does nothing wrong: drops, losses and refusals are never its fault."""

    faults = ()

    @invariant()
    def nothing_is_blamed(self) -> None:
        """Nothing counts against messaging or persistence."""
        assert {name: self.total(name) for name in BLAME if self.total(name)} == {}


TestSessions: Any = Sessions.TestCase
TestSessions.settings = effort(20, steps=15)
TestSoundSessions: Any = SoundSessions.TestCase
TestSoundSessions.settings = effort(20, steps=15)
