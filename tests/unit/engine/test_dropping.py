"""A drop in progress: when the server's time is over, and what a pause of this process changes."""

from __future__ import annotations

import heapq
from typing import Any, cast

import pytest

from loadtest.drops.kinds import BEYOND_S, CLOSE_S
from loadtest.engine.dropping import Dropping
from loadtest.events import Drop
from loadtest.session.recorder import Recorder
from loadtest.session.schedule import NS_PER_S
from tests.support.fake_timers import FakeTimers
from tests.unit.engine.test_link import Connection


class World(FakeTimers):
    """A drop with doubles: a clock and timers that a test turns."""

    def __init__(self, kind: str, *, hold_s: float = 50.0, cleanup_s: float | None = None) -> None:
        super().__init__()
        self.noticed: list[str] = []
        self.recorder = Recorder()
        self.droppings: set[Dropping] = set()
        self.connection = cast("Any", Connection())
        self.connection.tcp_ended = None
        timers: Any = self
        self.dropping = Dropping(
            Drop(kind=kind, ordinal=0, after_s=0.0, detect_s=1.0, hold_s=hold_s),
            self.connection,
            session="s-1",
            detected=lambda: self.noticed.append("detected"),
            recovered=lambda: self.noticed.append("recovered"),
            cleanup_s=cleanup_s,
            clock=lambda: self.now_ns,
            timers=timers,
            recorder=self.recorder,
            droppings=self.droppings,
        )
        self.dropping.go_on()

    def errors(self) -> list[str]:
        """Return the errors so far."""
        return [error for _, error in self.recorder.swap(0).errors]

    def outcome(self) -> str:
        """Return the one outcome so far, empty if there is none."""
        names = [name for name in self.recorder.counts if not name.endswith(("_watched", "_full_time"))]
        assert len(names) <= 1
        return names[0] if names else ""


def test_a_server_has_ten_seconds_after_a_close_frame() -> None:
    """The session goes on after 2 s without an answer; TCP may end until 10 s after the close frame."""
    world = World("close")
    world.pass_s(2.0)
    assert world.noticed == ["detected"]
    world.pass_s(CLOSE_S - 2.1)
    assert (world.outcome(), world.connection.calls) == ("", ["send_close"])
    world.pass_s(0.2)
    assert (world.outcome(), world.connection.calls) == ("cleanup.close_not_closed", ["send_close", "fin"])
    assert not world.droppings
    assert world.errors() == ["the server never closed TCP (close)"]


def test_the_server_ends_the_watch() -> None:
    """TCP that ends in time is counted at once, and the steps go on to their end."""
    world = World("half_open", cleanup_s=3.0)
    world.pass_s(2.0)
    world.connection.tcp_ended()
    assert world.outcome() == "cleanup.half_open_closed"
    world.pass_s(60.0)
    assert (world.outcome(), world.droppings) == ("cleanup.half_open_closed", set())


@pytest.mark.parametrize(("cleanup_s", "held_s"), [(None, 50.0), (3.0, 3.0 + BEYOND_S)])
def test_how_long_a_half_open_connection_is_held(cleanup_s: float | None, held_s: float) -> None:
    """As long as the drop says, or until a little after the time in which the server should close it."""
    world = World("half_open", cleanup_s=cleanup_s)
    world.pass_s(held_s - 1.0)
    assert world.droppings
    world.pass_s(2.0)
    assert not world.droppings


def test_after_a_pause_the_end_of_tcp_is_read_first() -> None:
    """A step that comes late waits once more, so that FIN which arrived in time is not held to be missing."""
    world = World("close")
    world.pass_s(2.0)
    world.now_ns = 60 * NS_PER_S  # the process was stopped
    _, _, whom, what = heapq.heappop(world.heap)
    whom.fire(what, int(CLOSE_S * NS_PER_S))
    assert world.outcome() == ""
    world.pass_s(1.0)
    assert world.outcome() == "cleanup.close_not_closed"


def test_what_is_only_reported_is_no_error() -> None:
    """Without a cleanup time a half-open connection that stays open is counted, and that is all."""
    for cleanup_s, errors in ((None, []), (3.0, ["the server never closed TCP (half_open)"])):
        world = World("half_open", cleanup_s=cleanup_s)
        world.pass_s(60.0)
        assert world.outcome() == "cleanup.half_open_not_closed"
        assert world.errors() == errors


@pytest.mark.parametrize("end", ["cut_short", "cancel", "abandon"])
def test_what_ends_early_is_cut_short(end: str) -> None:
    """The run's end, and the session's, leave a watch without a judgement."""
    world = World("half_open", cleanup_s=3.0)
    getattr(world.dropping, end)()
    world.pass_s(60.0)
    assert world.outcome() == "cleanup.half_open_cut_short"


@pytest.mark.parametrize("kind", ["tab_close", "fin", "reset", "mid_message", "slow_reader", "bad_message"])
def test_other_kinds_are_not_watched(kind: str) -> None:
    """Where the client ends TCP itself, nothing is left to the server."""
    world = World(kind)
    world.pass_s(60.0)
    assert not world.recorder.counts
    assert world.noticed == ["recovered" if kind == "slow_reader" else "detected"]
