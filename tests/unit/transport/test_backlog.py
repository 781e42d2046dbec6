"""Connections share a turn's time, and everything else has its turn between."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast

import pytest

from loadtest.transport import backlog as backlog_module
from loadtest.transport.backlog import TURN_NS, Ahead, Backlog
from loadtest.transport.frames import COUNTED_AT_ONCE

LATER_NS = 2**62


class Loop:
    """A loop whose turns a test takes."""

    def __init__(self) -> None:
        self.ready: list[Callable[[], None]] = []

    def call_soon(self, function: Callable[[], None]) -> None:
        """Call this in the next turn."""
        self.ready.append(function)

    def turn(self) -> None:
        """Take a turn."""
        ready, self.ready = self.ready, []
        for function in ready:
            function()


class Clock:
    """Time that passes only by work."""

    now_ns = 1
    steps_ns = 0  # how much a look at it takes

    def monotonic_ns(self) -> int:
        """Return the time."""
        self.now_ns += self.steps_ns
        return self.now_ns


class Work:
    """A connection with endless work, or work for one slice."""

    def __init__(self, clock: Clock, *, endless: bool = True, waiting_bytes: int = 1) -> None:
        self._clock = clock
        self._endless = endless
        self.waiting_bytes = waiting_bytes
        self.slices = 0
        self.reads: list[int] = []  # when it was read ahead
        self.counts = 0

    def catch_up(self, until_ns: int) -> bool:
        """Take the whole slice."""
        assert until_ns > self._clock.now_ns
        self._clock.now_ns = until_ns
        self.slices += 1
        return self._endless

    def read_ahead(self, until_ns: int, *, more: bool) -> None:
        """Take no time."""
        assert until_ns > self._clock.now_ns
        self.counts += 1
        if more:
            self.reads.append(self._clock.now_ns)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The backlog's clock."""
    found = Clock()
    monkeypatch.setattr(backlog_module, "time", cast("Any", found))
    return found


def test_a_turn_ends_although_work_is_left(clock: Clock) -> None:
    """Two connections with endless work have the same share, and a turn is no longer than allowed."""
    loop = Loop()
    backlog = Backlog(cast("Any", loop))
    one, other = Work(clock), Work(clock)
    backlog.put_off(one)
    backlog.put_off(other)
    for _ in range(10):
        began_ns = clock.now_ns
        loop.turn()
        assert clock.now_ns - began_ns <= TURN_NS
        assert len(loop.ready) == 1  # in the next turn, so that all else comes first
    assert one.slices > 20
    assert abs(one.slices - other.slices) <= 1


def test_done_work_is_forgotten(clock: Clock) -> None:
    """Nothing is called any more, and the loop is left alone."""
    loop = Loop()
    backlog = Backlog(cast("Any", loop))
    work = Work(clock, endless=False)
    backlog.put_off(work)
    for _ in range(3):
        loop.turn()
    assert (work.slices, work.counts) == (1, 0)
    assert not loop.ready


def test_a_turn_has_one_end(clock: Clock) -> None:
    """All that is received in a turn shares its time; the next turn has its own."""
    loop = Loop()
    backlog = Backlog(cast("Any", loop))
    ends_ns = backlog.turn_ends_ns()
    assert ends_ns == clock.now_ns + TURN_NS
    clock.now_ns += TURN_NS // 2
    assert backlog.turn_ends_ns() == ends_ns
    loop.turn()
    assert backlog.turn_ends_ns() > ends_ns


def test_one_connection_at_a_time_is_read_ahead(clock: Clock) -> None:
    """Each for longer than the meter's second, and all in turn."""
    loop = Loop()
    backlog = Backlog(cast("Any", loop))
    works = [Work(clock) for _ in range(7)]
    for work in works:
        backlog.put_off(work)
    while clock.now_ns < 60 * 10**9:
        before = [len(work.reads) for work in works]
        loop.turn()
        assert sum(len(work.reads) for work in works) == sum(before) + 1
    for work in works:
        assert work.reads
    order = sorted((read_ns, number) for number, work in enumerate(works) for read_ns in work.reads)
    changes = [now[0] for last, now in pairwise(order) if last[1] != now[1]]
    assert min(later - sooner for sooner, later in pairwise(changes)) > 10**9


def test_a_suspect_that_is_done_makes_room_for_the_next(clock: Clock) -> None:
    """In the same turn."""
    loop = Loop()
    backlog = Backlog(cast("Any", loop))
    short, endless = Work(clock), Work(clock)
    backlog.put_off(short)
    backlog.put_off(endless)
    loop.turn()
    (suspect,) = (work for work in (short, endless) if work.reads)
    other = endless if suspect is short else short
    suspect._endless = False
    loop.turn()
    assert other.reads


@pytest.mark.parametrize("sizes", [(16 * 2**20, 1), (15 * 2**20,) * 5])
def test_what_waits_in_memory_is_bounded(clock: Clock, sizes: tuple[int, ...]) -> None:
    """For the suspect, and for all together: then it is counted, but not read ahead."""
    loop = Loop()
    backlog = Backlog(cast("Any", loop))
    works = [Work(clock, waiting_bytes=size) for size in sizes]
    for work in works:
        backlog.put_off(work)
    loop.turn()
    suspect = next(work for work in works if work.counts)
    if suspect.waiting_bytes > 1:
        assert not suspect.reads


def test_what_waits_is_counted_once() -> None:
    """Frames and whole messages, whether they are handled before they are counted or after."""
    ahead = Ahead(frames=10, messages=5)
    ahead.add(b"\x81\x01x\x89\x00\x81")
    assert ahead.news(10, 5) == (0, 0)
    ahead.count(LATER_NS)
    assert ahead.news(10, 5) == (2, 1)
    assert ahead.news(12, 6) == (0, 0)
    ahead.add(b"\x00\x01\x00")
    assert ahead.news(13, 7) == (1, 1)
    ahead.count(LATER_NS)
    assert ahead.news(13, 7) == (1, 0)


def test_counting_ends_in_time(clock: Clock) -> None:
    """A read of a hundred thousand frames is counted over several turns."""
    ahead = Ahead(0, 0)
    ahead.add(b"\x81\x00" * 100_000)
    clock.steps_ns = 1
    counted = []
    for _ in range(10):
        ahead.count(clock.now_ns + 10)
        counted.append(ahead.news(0, 0)[0])
    assert max(counted) <= 10 * COUNTED_AT_ONCE
    assert sum(counted) == 100_000


def test_how_long_something_has_waited_is_known(clock: Clock) -> None:
    """While it waits and afterwards; idle time between does not count."""
    loop = Loop()
    backlog = Backlog(cast("Any", loop))
    assert backlog.waited_ns == 0
    work = Work(clock)
    backlog.put_off(work)
    began_ns = clock.now_ns
    loop.turn()
    clock.now_ns += 1000
    assert backlog.waited_ns == clock.now_ns - began_ns
    work._endless = False
    loop.turn()
    waited_ns = clock.now_ns - began_ns
    clock.now_ns += 10**9
    assert backlog.waited_ns == waited_ns
    backlog.put_off(work)
    clock.now_ns += 5
    assert backlog.waited_ns == waited_ns + 5
