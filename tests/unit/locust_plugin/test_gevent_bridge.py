"""Functions that run in greenlets for another thread: they end when told to, and somebody hears of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent.event import Event
from gevent.monkey import get_original

from loadtest.locust_plugin import held_thread
from loadtest.locust_plugin.gevent_bridge import GeventCalls, start_native_thread

get_ident = get_original("_thread", "get_ident")
sleep_natively = get_original("time", "sleep")


class Function:
    """Waits for ever, and keeps what happens to it."""

    def __init__(self) -> None:
        self.begun = Event()
        self.ended = Event()
        self.happened: list[str] = []

    def __call__(self) -> None:
        """Wait."""
        self.begun.set()
        try:
            Event().wait()
        except gevent.GreenletExit:
            self.happened.append("told to end")
            raise

    def has_ended(self) -> None:
        """Take note."""
        self.happened.append("ended")
        self.ended.set()


def raises(error: BaseException) -> None:
    """Fail the test: nothing should."""
    raise error


@pytest.fixture
def calls() -> Iterator[GeventCalls]:
    """Calls into this thread."""
    made = GeventCalls(raises)
    yield made
    made.close()


def start(calls: GeventCalls, function: Function) -> Callable[[], None]:
    """Start a function."""
    return calls.start(function, function.has_ended)


def test_a_function_can_be_ended_where_it_waits(calls: GeventCalls) -> None:
    """Also twice."""
    function = Function()
    end = start(calls, function)
    assert function.begun.wait(5)
    end()
    end()
    assert function.ended.wait(5)
    gevent.sleep(0)
    assert function.happened == ["told to end", "ended"]


def test_a_function_that_is_ended_before_it_begins_never_begins(calls: GeventCalls) -> None:
    """Its end is told nevertheless: it had a place."""
    function = Function()
    start(calls, function)()
    assert function.ended.wait(5)
    assert (function.begun.is_set(), function.happened) == (False, ["ended"])


def test_the_end_of_the_calls_ends_the_functions() -> None:
    """Nothing of a run goes on after it."""
    calls, function = GeventCalls(raises), Function()
    start(calls, function)
    assert function.begun.wait(5)
    calls.close()
    assert function.ended.wait(5)
    assert function.happened == ["told to end", "ended"]


@pytest.mark.parametrize(
    ("sleep", "named"), [(sleep_natively, 1), (gevent.sleep, 0)], ids=["in C", "greenlet"]
)
def test_a_function_that_stops_the_thread_is_named_once(
    sleep: Callable[[float], None],
    named: int,
    calls: GeventCalls,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its user has to do something about it."""
    monkeypatch.setattr(held_thread, "HELD_S", 0.02)
    monkeypatch.setattr(held_thread, "MOST_S", 0.02)

    def fetch_token() -> None:
        sleep(0.05)

    with caplog.at_level(logging.WARNING, "loadtest"):
        for _ in range(2):
            ended = Event()
            calls.start(fetch_token, ended.set)
            assert ended.wait(5)
        told = Event()
        calls.call(told.set)  # after what was to be told
        assert told.wait(5)
    messages = [record.getMessage() for record in caplog.records if "fetch_token" in record.getMessage()]
    assert len(messages) == named
    assert all("blocked Locust for 0." in message and "thread pool" in message for message in messages)


def test_records_of_the_engines_thread_are_handled_in_this_one(calls: GeventCalls) -> None:
    """A handler's lock works among greenlets only; after the end nothing is kept."""
    logger, threads, said = logging.getLogger("websockets.client"), set(), []
    arrived = Event()

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            threads.add(get_ident())
            said.append(record.getMessage())
            arrived.set()

    handler = Keeping()
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.DEBUG)
    try:
        start_native_thread(lambda: logger.debug("> TEXT %s", "there"), ())
        assert arrived.wait(10)
        logger.debug("> TEXT %s", "here")
        assert said == ["> TEXT there", "> TEXT here"]
        assert threads == {get_ident()}
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
    calls.close()
    assert logger.filters == []
