"""Functions that stop Locust's thread are named; those that wait as greenlets are not."""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent
import greenlet
import pytest
from gevent.monkey import get_original

from loadtest.locust_plugin import held_thread
from loadtest.locust_plugin.held_thread import HeldThread

sleep_natively = get_original("time", "sleep")

LIMIT_S = 0.02


@pytest.fixture(autouse=True)
def low_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second is long for a test."""
    monkeypatch.setattr(held_thread, "HELD_S", LIMIT_S)
    monkeypatch.setattr(held_thread, "MOST_S", LIMIT_S)


def seen(*functions: Callable[[], None]) -> list[str]:
    """Run functions at the same time, watched by their places; return whom the watch named."""
    held: list[str] = []
    watch = HeldThread(lambda name, _: held.append(name))
    greenlets = [gevent.Greenlet(function) for function in functions]
    for number, one in enumerate(greenlets):
        watch.watch(one, str(number))
        one.start()
    gevent.joinall(greenlets)
    gevent.sleep(0)
    return held


def compute() -> None:
    """Compute for longer than allowed."""
    over_s = time.monotonic() + 2 * LIMIT_S
    while time.monotonic() < over_s:
        pass


def test_a_function_that_waits_in_c_or_computes_is_named() -> None:
    """And only it."""
    assert seen(lambda: sleep_natively(2 * LIMIT_S), lambda: gevent.sleep(2 * LIMIT_S), compute) == ["0", "2"]


def test_a_function_is_named_once_its_times_are_too_long_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not again."""
    held: list[str] = []
    watch = HeldThread(lambda name, _: held.append(name))
    monkeypatch.setattr(held_thread, "MOST_S", 2.5 * 2 * LIMIT_S)
    named = []
    for _ in range(5):
        one = gevent.Greenlet(compute)
        watch.watch(one, "compute")
        one.start()
        one.join()
        gevent.sleep(0)
        named.append(len(held))
    assert named[0] == 0
    assert named[-2:] == [1, 1]


def test_a_greenlet_that_is_not_watched_is_not_named() -> None:
    """The thread may be busy with other things, such as a report."""
    other = gevent.spawn(compute)
    assert seen(lambda: gevent.sleep(3 * LIMIT_S)) == []
    other.join()


def test_another_trace_function_goes_on_and_is_put_back() -> None:
    """gevent's own monitor has one, and debuggers."""
    events: list[str] = []

    def trace(event: str, _switch: object) -> None:
        events.append(event)

    before = greenlet.settrace(trace)
    try:
        seen(lambda: gevent.sleep(0))
        assert "switch" in events
        assert greenlet.gettrace() is trace
    finally:
        greenlet.settrace(before)
