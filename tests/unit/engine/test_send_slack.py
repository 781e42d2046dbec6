"""How far from its time a message may be sent: under load, messages only, and never past another entry."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.engine.send_slack import MOST_NS, SendSlack, slack_ns
from loadtest.engine.timers import Timers
from loadtest.session.schedule import NS_PER_S
from tests.support.effort import effort

MS = 1_000_000
US = 1_000
START_NS = 77 * NS_PER_S  # of the monotonic clock; the run's clock begins then


class World:
    """A clock, the only alarm, and a note of all that fires; entries take no time unless told so."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.alarm_ns = 2**62
        self.rings = self.settings = 0  # of the alarm
        self.fired: list[tuple[int, object]] = []  # (now, what) of all else
        self.sent: list[tuple[int, int, int]] = []  # (now, due, session) of messages
        self.order: list[int] = []  # due times of all, as they fired
        self.then: Callable[[object], None] = lambda what: None
        self.timers = Timers(
            None,  # type: ignore[arg-type]  # for the alarm only
            START_NS,
            lambda _loop, wake: self._take(wake),
            lambda: START_NS + self.now_ns,
        )

    def _take(self, wake: Callable[[], None]) -> Any:
        self.wake = wake
        return self

    # loadtest.engine.timers.Alarm

    def set(self, due_ns: int) -> None:
        """Note the time."""
        self.settings += 1
        self.alarm_ns = due_ns - START_NS

    def close(self) -> None:
        """Ring no more."""
        self.alarm_ns = 2**62

    # loadtest.engine.timers.Timed

    def fire(self, what: object, due_ns: int) -> None:
        """Note it."""
        assert due_ns <= self.now_ns, "early"
        self.fired.append((self.now_ns, what))
        self.order.append(due_ns)
        self.then(what)

    def pass_until(self, until_ns: int) -> None:
        """Let time pass and the alarm ring."""
        while self.alarm_ns <= until_ns:
            self.now_ns = max(self.now_ns, self.alarm_ns)
            self.rings += 1
            assert self.rings < 20_000, "the alarm is set for now, and nothing fires"
            self.wake()
        self.now_ns = max(self.now_ns, until_ns)

    def replied(self, at_ns: int) -> None:
        """Let a reply wake the process at this time."""
        self.pass_until(at_ns)
        self.timers.awake()

    def slips_ns(self, after_ns: int = 0) -> list[int]:
        """How far from their times the messages were sent that were due after this time."""
        return [now_ns - due_ns for now_ns, due_ns, _ in self.sent if due_ns > after_ns]


class Messages:
    """The planned messages of one session."""

    def __init__(self, world: World, number: int, times_ns: list[int]) -> None:
        self.world, self.number = world, number
        self.times_ns = sorted(times_ns)
        if self.times_ns:
            world.timers.plan(self.times_ns.pop(0), self)

    def next_due_ns(self, due_ns: int) -> int | None:
        """Return the time of the next one; the last one is far away and never comes."""
        assert not self.times_ns or self.times_ns[0] >= due_ns
        return self.times_ns.pop(0) if self.times_ns else 3600 * NS_PER_S

    def send_due(self, due_ns: int) -> None:
        """Note the message."""
        self.world.sent.append((self.world.now_ns, due_ns, self.number))
        self.world.order.append(due_ns)
        self.world.then(self)


def even_times_ns(per_s: int, seconds: float) -> list[int]:
    """Times of messages at an even pace."""
    return [number * NS_PER_S // per_s for number in range(int(seconds * per_s))]


def even(per_s: int, seconds: float, sessions: int = 100) -> World:
    """A world in which sessions send in turn, at an even pace."""
    world, times_ns = World(), even_times_ns(per_s, seconds)
    for number in range(sessions):
        Messages(world, number, times_ns[number::sessions])
    return world


@pytest.mark.parametrize(
    ("per_s", "slack_us"), [(0, 0), (100, 0), (2000, 0), (5000, 75), (8000, 150), (10_000, 150), (1e9, 150)]
)
def test_slack_grows_with_the_rate(per_s: float, slack_us: int) -> None:
    """There is none up to 2,000 messages a second, and half of it at 5,000; it never exceeds 0.15 ms."""
    assert slack_ns(per_s) == slack_us * US


@effort(200)
@given(st.floats(0, 1e12), st.floats(0, 1e12))
def test_slack_never_falls_as_the_rate_rises(one: float, other: float) -> None:
    """And it stays within its bounds."""
    low, high = sorted((one, other))
    assert 0 <= slack_ns(low) <= slack_ns(high) <= MOST_NS == 150 * US


def test_rate_is_that_of_the_plan() -> None:
    """A window's messages by its planned time; the first window has no beginning, so no rate."""
    slack = SendSlack()
    slack.next_window(0, 1000)
    assert slack.ns == 0
    slack.next_window(50 * MS, 250)
    assert slack.ns == slack_ns(5000) == 75 * US
    slack.next_window(1050 * MS, 250)
    assert slack.ns == 0


@pytest.mark.parametrize("per_s", [100, 1000, 2000])
def test_no_slack_at_low_rates(per_s: int) -> None:
    """Each message has its own wake at its own time, though replies wake the process in between."""
    world = even(per_s, 1)
    for at_us in range(0, 1_000_000, 170):
        world.replied(at_us * US)
    assert len(world.sent) == per_s
    assert set(world.slips_ns()) == {0}
    assert world.rings >= per_s


def test_few_wakes_under_load() -> None:
    """At 10,000 messages a second, a wake serves four; all are within 0.15 ms of their times."""
    world = even(10_000, 1)
    world.pass_until(NS_PER_S)
    assert len(world.sent) == 10_000
    assert world.rings < 3000
    slips_ns = world.slips_ns(after_ns=100 * MS)
    assert min(slips_ns) == -MOST_NS
    assert max(slips_ns) == MOST_NS


def test_a_reply_sends_but_seldom_sets_the_alarm() -> None:
    """Wakes of replies send messages too; the alarm is set anew only if it would ring too early or late."""
    world = even(10_000, 1)
    world.pass_until(100 * MS)
    by_replies, before = 0, world.settings
    for at_us in range(100_000, 1_000_000, 90):
        world.pass_until(at_us * US)
        sent = len(world.sent)
        world.timers.awake()
        by_replies += len(world.sent) - sent
    assert by_replies > 4000
    assert world.settings - before < 3000
    assert max(map(abs, world.slips_ns(after_ns=100 * MS))) <= MOST_NS


def test_slack_ends_with_the_load() -> None:
    """The first message after a pause of the plan measures the pause."""
    world = even(10_000, 0.3)
    late = Messages(world, 100, [NS_PER_S + n * 10 * MS for n in range(5)])
    world.pass_until(2 * NS_PER_S)
    slips_ns = [now_ns - due_ns for now_ns, due_ns, number in world.sent if number == late.number]
    assert slips_ns == [MOST_NS, 0, 0, 0, 0]


SECOND_AT_LOAD = st.lists(st.integers(0, 200 * MS), min_size=0, max_size=60)


@effort(150)
@given(
    per_s=st.sampled_from([100, 2000, 5000, 10_000, 20_000]),
    messages=st.lists(SECOND_AT_LOAD, max_size=4),
    others=st.lists(st.integers(0, 200 * MS), max_size=40),
    replies=st.lists(st.integers(0, 250 * MS), max_size=200).map(sorted),
)
def test_any_plan_is_kept(
    per_s: int, messages: list[list[int]], others: list[int], replies: list[int]
) -> None:
    """All fires once, in the order of its times; messages within the slack, all else at its time exactly."""
    world = even(per_s, 0.2)
    planned = [*even_times_ns(per_s, 0.2), *itertools.chain(*messages)]
    for number, times_ns in enumerate(messages, start=1000):
        Messages(world, number, times_ns)
    for due_ns in others:
        world.timers.schedule(due_ns, world, due_ns)
    for at_ns in replies:
        world.replied(at_ns)
    world.pass_until(300 * MS)
    assert world.order == sorted(planned + others)
    assert world.fired == [(due_ns, due_ns) for due_ns in sorted(others)]
    assert all(abs(slip_ns) <= MOST_NS for slip_ns in world.slips_ns())
    if per_s <= 2000 and not any(messages):
        assert set(world.slips_ns()) <= {0}


def test_no_message_overtakes_what_is_due_before_it() -> None:
    """A message due just after a drop is not sent early before it, though one just before it is."""
    world = even(10_000, 0.2)
    drop_ns = 150 * MS + 1
    world.timers.schedule(drop_ns, world, "drop")
    world.pass_until(149 * MS)
    for at_us in range(149_000, 151_000, 7):
        world.replied(at_us * US)
    (fired_ns,) = [now_ns for now_ns, what in world.fired]
    assert fired_ns == drop_ns
    assert any(now_ns < due_ns for now_ns, due_ns, _ in world.sent)
    assert all(
        (now_ns < drop_ns) == (due_ns < drop_ns) for now_ns, due_ns, _ in world.sent if now_ns != drop_ns
    )


def test_only_messages_have_a_slack() -> None:
    """All else fires exactly at its time, though wakes for messages come just before it."""
    world = even(10_000, 0.2)
    times_ns = [100 * MS + number * 37 * US for number in range(1000)]
    for due_ns in times_ns:
        world.timers.schedule(due_ns, world, "drop")
    world.pass_until(NS_PER_S)
    assert [now_ns for now_ns, _ in world.fired] == times_ns


@pytest.mark.parametrize("after_us", range(5, 300, 20))
def test_what_is_scheduled_while_a_reply_sends_is_in_time(after_us: int) -> None:
    """The alarm is set anew for it, though the time that it was set to did for the messages."""
    world = even(10_000, 0.2)
    due_ns: list[int] = []

    def schedule(_what: object) -> None:
        if not due_ns:
            due_ns.append(world.now_ns + after_us * US)
            world.timers.schedule(due_ns[0], world, "retry")

    world.pass_until(100 * MS)
    while not due_ns:
        world.pass_until(world.now_ns + 10 * US)
        world.then = schedule
        world.timers.awake()
        world.then = lambda what: None
    world.pass_until(NS_PER_S)
    assert [now_ns for now_ns, _ in world.fired] == due_ns


def test_a_reply_fires_no_sweep() -> None:
    """What is no message waits for the alarm, even if overdue: it may end the connection that is read."""
    world = even(10_000, 0.2)
    world.pass_until(100 * MS)
    due_ns = 100 * MS + 350 * US
    world.timers.schedule(due_ns, world, "sweep")
    world.now_ns = 102 * MS  # the process was busy
    before = len(world.sent)
    world.timers.awake()
    assert world.fired == []
    assert 0 < len(world.sent) - before < Timers.AWAKE_AT_ONCE
    assert world.order[-1] <= due_ns
    world.pass_until(103 * MS)
    assert world.fired == [(102 * MS, "sweep")]


def test_backlog_is_sent_in_parts_between_replies() -> None:
    """After a pause, a reply is not held up by all that has fallen due; the rest follows by the alarm."""
    world = even(10_000, 0.2)
    world.pass_until(100 * MS)
    before = len(world.sent)
    world.now_ns = 150 * MS
    world.timers.awake()
    assert len(world.sent) - before == Timers.AWAKE_AT_ONCE
    world.pass_until(150 * MS)
    assert len(world.sent) - before == bisect.bisect_right(range(before, 2001), 1501)


def test_sending_may_be_answered_at_once() -> None:
    """A reply that comes while messages are sent starts no second round of sending within the first."""
    world = even(10_000, 0.2)
    depth, deepest = 0, 0

    def answered(_what: object) -> None:
        nonlocal depth, deepest
        depth, deepest = depth + 1, max(deepest, depth + 1)
        world.timers.awake()
        depth -= 1

    world.then = answered
    world.pass_until(NS_PER_S)
    assert len(world.sent) == 2000
    assert deepest == 1


def test_earlier_message_arms_the_alarm_anew() -> None:
    """A session that is established later may send sooner."""
    world = World()
    for number, due_ns in enumerate([NS_PER_S, MS]):
        Messages(world, number, [due_ns])
    world.pass_until(2 * MS)
    assert world.sent == [(MS, MS, 1)]


def test_a_sender_without_a_next_message_sends_no_more() -> None:
    """A stopping session sends neither the message that is due nor another one."""
    world = World()
    messages = Messages(world, 0, [MS, 2 * MS])
    messages.next_due_ns = lambda due_ns: None  # type: ignore[method-assign]
    world.pass_until(NS_PER_S)
    assert world.sent == []
