"""The queue of what is due: in order on both alarms, whatever is scheduled meanwhile, and closed for good."""

import asyncio
import errno
import os
import time
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.engine import timers as timers_module
from loadtest.engine.timers import LoopAlarm, TimerfdAlarm, Timers, best_alarm
from tests.support.effort import effort
from tests.support.peers import open_sockets, until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nothing_left")]

MS = 1_000_000


class Bell:
    """Something to be woken, which notes when and may do something about it."""

    def __init__(self, timers: Timers) -> None:
        self.timers = timers
        self.rung: list[tuple[object, int]] = []
        self.early = 0
        self.then: Callable[[object], None] = lambda what: None

    def fire(self, what: object, due_ns: int) -> None:
        """Note the call."""
        self.rung.append((what, due_ns))
        self.early += time.monotonic_ns() < due_ns
        self.then(what)

    async def hear(self, count: int) -> list[object]:
        """Return what it was woken for, once it was so often."""
        await until(lambda: len(self.rung) >= count, f"{count} calls, there were {self.rung}")
        return [what for what, _ in self.rung]


@pytest.fixture(params=[TimerfdAlarm, LoopAlarm])
async def bell(
    request: pytest.FixtureRequest, anyio_backend: object, nothing_left: None
) -> AsyncIterator[Bell]:
    """A bell on a queue, once with each alarm."""
    bell = Bell(Timers(asyncio.get_running_loop(), 0, request.param))
    yield bell
    bell.timers.close()


async def test_fires_in_order_of_time(bell: Bell) -> None:
    """However it was scheduled, the earliest comes first, at its time and never before it."""
    now_ns = time.monotonic_ns()
    for delay_ms in (5, 1, 9, 3, 7, 0, 2):
        bell.timers.schedule(now_ns + delay_ms * MS, bell, delay_ms)
    assert await bell.hear(7) == [0, 1, 2, 3, 5, 7, 9]
    assert [due_ns for _, due_ns in bell.rung] == [now_ns + ms * MS for ms in (0, 1, 2, 3, 5, 7, 9)]
    assert bell.early == 0


async def test_equal_times_keep_their_order(bell: Bell) -> None:
    """What is due at the same time fires in the order of scheduling, and need not be comparable."""
    due_ns = time.monotonic_ns() + MS
    things = [object() for _ in range(50)]
    for thing in things:
        bell.timers.schedule(due_ns, bell, thing)
    assert await bell.hear(50) == things


async def test_earlier_entry_arms_the_alarm_anew(bell: Bell) -> None:
    """An entry that is due before what the alarm is set to does not wait for it."""
    now_ns = time.monotonic_ns()
    bell.timers.schedule(now_ns + 3600_000 * MS, bell, "in an hour")
    bell.timers.schedule(now_ns + 3 * MS, bell, "soon")
    bell.timers.schedule(now_ns + 1 * MS, bell, "sooner")
    assert await bell.hear(2) == ["sooner", "soon"]


async def test_long_past_is_due_at_once(bell: Bell) -> None:
    """What was due long ago, even before the clock began, fires in order."""
    for due_ns in (0, -5 * MS, 10 * MS):
        bell.timers.schedule(due_ns, bell, due_ns)
    assert set(await bell.hear(3)) == {0, -5 * MS, 10 * MS}


async def test_firing_may_schedule(bell: Bell) -> None:
    """What is scheduled while firing is fired in its turn: past, now, soon."""
    start_ns = time.monotonic_ns()

    def again(what: object) -> None:
        if isinstance(what, int) and what < 20:
            bell.timers.schedule(start_ns + (what + 1) * MS // 4, bell, what + 1)

    bell.then = again
    bell.timers.schedule(start_ns, bell, 0)
    assert await bell.hear(21) == list(range(21))


async def test_endless_backlog_lets_the_loop_live(bell: Bell) -> None:
    """What always schedules itself for at once does not keep the loop from anything else."""
    bell.then = lambda what: bell.timers.schedule(0, bell, what)
    bell.timers.schedule(0, bell, "again")
    turns = 0
    for _ in range(10):
        await asyncio.sleep(0.001)
        turns += 1
    bell.then = lambda what: None
    assert turns == 10
    assert len(bell.rung) > Timers.AT_ONCE


async def test_more_than_fire_at_once_all_fire(bell: Bell) -> None:
    """A backlog of more entries than fire at once is worked off in order."""
    count = 3 * Timers.AT_ONCE
    for number in range(count):
        bell.timers.schedule(number, bell, number)
    assert await bell.hear(count) == list(range(count))


async def test_error_in_one_does_not_stop_the_others(bell: Bell) -> None:
    """The loop is told of an error, and what else is due fires all the same."""
    told: list[object] = []
    loop = asyncio.get_running_loop()
    handler = loop.get_exception_handler()
    loop.set_exception_handler(lambda _loop, context: told.append(context["exception"]))

    def fail(what: object) -> None:
        if what == "faulty":
            raise ZeroDivisionError

    bell.then = fail
    for what in ("before", "faulty", "after"):
        bell.timers.schedule(0, bell, what)
    assert await bell.hear(3) == ["before", "faulty", "after"]
    await until(lambda: told, "the error")
    loop.set_exception_handler(handler)
    assert isinstance(told[0], ZeroDivisionError)


async def test_nothing_fires_after_close(bell: Bell) -> None:
    """A closed queue fires nothing, and closes its alarm."""
    bell.timers.schedule(time.monotonic_ns() + MS, bell, "never")
    bell.timers.close()
    await asyncio.sleep(0.01)
    assert bell.rung == []
    bell.timers = Timers(asyncio.get_running_loop(), 0)  # for the fixture to close


@effort(30, same_fixtures=True)
@given(st.lists(st.integers(-3, 12), max_size=30))
async def test_any_schedule_fires_in_the_same_order_on_both_alarms(delays: list[int]) -> None:
    """The fallback fires what the timerfd does, in the same order: by time, then by turn."""
    loop, orders = asyncio.get_running_loop(), []
    for alarm in (TimerfdAlarm, LoopAlarm):
        timers = Timers(loop, time.monotonic_ns(), alarm)
        bell = Bell(timers)
        for number, delay in enumerate(delays):
            timers.schedule(delay * MS // 10, bell, number)
        orders.append(await bell.hear(len(delays)))
        timers.close()
    expected = [number for _, number in sorted((delay, number) for number, delay in enumerate(delays))]
    assert orders == [expected, expected]


# Alarms.


async def test_timerfd_is_one_descriptor_and_closed() -> None:
    """A timerfd alarm opens one descriptor and gives it back."""
    before = open_sockets()
    alarm = TimerfdAlarm(asyncio.get_running_loop(), lambda: None)
    assert open_sockets() == before + 1
    alarm.close()
    assert open_sockets() == before


@pytest.mark.parametrize("kind", [TimerfdAlarm, LoopAlarm])
async def test_alarm_rings_at_its_last_setting_only(kind: Callable[..., TimerfdAlarm | LoopAlarm]) -> None:
    """Setting an alarm anew takes back what it was set to, earlier or later, and it may ring again."""
    rings: list[int] = []

    def ring() -> None:
        rings.append(time.monotonic_ns())
        alarm.set(time.monotonic_ns() + 3600_000 * MS)  # a timerfd rings until it is set

    alarm = kind(asyncio.get_running_loop(), ring)
    now_ns = time.monotonic_ns()
    alarm.set(now_ns + 3600_000 * MS)
    alarm.set(now_ns + 1 * MS)
    alarm.set(now_ns + 5 * MS)
    await until(lambda: rings, "the ring")
    assert rings[0] >= now_ns + 4 * MS  # the loop's clock is a millisecond coarse
    alarm.set(0)
    await until(lambda: len(rings) == 2, "the second ring")
    await asyncio.sleep(0.005)
    assert len(rings) == 2
    alarm.close()


async def test_without_timerfd_the_loop_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no timerfd, or gives none, the loop's timers take over."""
    loop = asyncio.get_running_loop()
    alarm = best_alarm(loop, lambda: None)
    assert isinstance(alarm, TimerfdAlarm)
    alarm.close()

    def none(*_: object) -> None:
        raise OSError(errno.ENFILE, os.strerror(errno.ENFILE))

    monkeypatch.setattr(timers_module, "TimerfdAlarm", none)
    assert isinstance(best_alarm(loop, lambda: None), LoopAlarm)
