"""Watches over dropped connections: each has one outcome, and what is late is told from what never comes."""

from __future__ import annotations

from typing import Any, cast

import pytest

from loadtest.engine.watch import LATE_S, Watch
from loadtest.session.recorder import Recorder
from loadtest.session.schedule import NS_PER_S


class Connection:
    """A double: it keeps who is to be told of the end of TCP."""

    tcp_ended: Any = None

    def end(self) -> None:
        """End TCP, as the transport does."""
        ended, self.tcp_ended = self.tcp_ended, None
        if ended is not None:
            ended()


class World:
    """A watch with its doubles."""

    def __init__(self, kind: str = "half_open", within_s: float | None = 3.0, *, judged: bool = True) -> None:
        self.now_ns = 0
        self.recorder = Recorder()
        self.connection = cast("Any", Connection())
        self.watch = Watch(
            kind,
            self.connection,
            within_s,
            judged=judged,
            session="s-1",
            clock=lambda: self.now_ns,
            recorder=self.recorder,
        )

    @property
    def counts(self) -> dict[str, int]:
        """The counts other than zero."""
        return {name: count for name, count in self.recorder.counts.items() if count}


@pytest.mark.parametrize(
    ("kind", "within_s", "after_s", "outcome"),
    [
        ("half_open", 3.0, 0.0, "closed"),
        ("half_open", 3.0, 3.0 + LATE_S, "closed"),
        ("half_open", 3.0, 3.01 + LATE_S, "late"),
        ("half_open", None, 1000.0, "closed"),
        ("close", None, 9.9, "closed"),
    ],
)
def test_the_end_of_tcp_is_an_outcome(
    kind: str, within_s: float | None, after_s: float, outcome: str
) -> None:
    """TCP that ends is counted by its time, which is a sample; what happens afterwards counts no more."""
    world = World(kind, within_s)
    world.now_ns = int(after_s * NS_PER_S)
    world.connection.end()
    world.connection.end()
    counted = dict(world.counts)
    world.watch.over()
    world.watch.cut_short()
    assert counted == {f"cleanup.{kind}_watched": 1, f"cleanup.{kind}_{outcome}": 1}
    assert world.counts.items() - counted.items() <= {(f"cleanup.{kind}_full_time", 1)}
    assert list(world.recorder.samples(f"cleanup_{kind}")) == [world.now_ns]


def test_a_close_long_without_an_end_is_unresolved() -> None:
    """A server must end TCP at once: what it left open for 2 s is not merely cut short by the run's end."""
    for after_s, outcome in ((1.9, "cut_short"), (2.0, "unresolved")):
        world = World("close", None)
        world.now_ns = int(after_s * NS_PER_S)
        world.watch.cut_short()
        assert world.counts == {"cleanup.close_watched": 1, f"cleanup.close_{outcome}": 1}


def test_a_watch_that_lasted_its_full_time_is_counted() -> None:
    """Whatever its outcome, but only where a time is allowed, and not after the run's end."""
    closed, _, cut, _ = worlds = World(), World(), World(), World(within_s=None, judged=False)
    closed.connection.end()
    cut.connection.end()
    cut.watch.cut_short()
    for world in worlds:
        world.now_ns = 9 * NS_PER_S
        world.watch.over()
        world.watch.cut_short()
    counted = [world.counts.get("cleanup.half_open_full_time", 0) for world in worlds]
    assert counted == [1, 1, 0, 0]


def test_what_is_open_after_its_time_is_late_at_the_runs_end() -> None:
    """The run's end cuts only those short that still had time."""
    for after_s, outcome in ((3.0 + LATE_S, "cut_short"), (3.1 + LATE_S, "late")):
        world = World()
        world.now_ns = int(after_s * NS_PER_S)
        world.watch.cut_short()
        assert world.counts[f"cleanup.half_open_{outcome}"] == 1
        assert bool(world.counts.get("cleanup.half_open_full_time")) is (outcome == "late")


@pytest.mark.parametrize("outcome", ["not_closed", "cut_short"])
def test_tcp_that_does_not_end_is_an_outcome(outcome: str) -> None:
    """What is open at the drop's last step, or at the run's end, has no time; its own end comes too late."""
    world = World()
    end = world.watch.over if outcome == "not_closed" else world.watch.cut_short
    end()
    world.connection.end()
    assert world.counts == {"cleanup.half_open_watched": 1, f"cleanup.half_open_{outcome}": 1}
    assert not world.recorder.samples("cleanup_half_open")


def test_errors_name_the_session() -> None:
    """What is late or never comes is an error of `cleanup`, where it is judged."""
    late, never, unknown = World(), World(), World(within_s=None, judged=False)
    late.now_ns = 60 * NS_PER_S
    late.connection.end()
    never.watch.over()
    unknown.watch.over()
    found = [list(world.recorder.swap(0).errors.values()) for world in (late, never, unknown)]
    assert [[(tally.error, tally.session) for tally in errors] for errors in found] == [
        [("the server did not close TCP in time (half_open)", "s-1")],
        [("the server never closed TCP (half_open)", "s-1")],
        [],
    ]
