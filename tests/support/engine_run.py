"""Runs an engine without Locust: starts it, calls it from the test's thread, and always ends it.

Nothing here waits on a lock: another test may have imported locust, which patches threads and locks to use
greenlets. The engine's thread is a native one regardless, so its results are polled.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic_ns
from typing import Any

from gevent.monkey import get_original

from loadtest.dialects.base import Dialect
from loadtest.dialects.echo import Echo
from loadtest.drops.plan import DropPlan
from loadtest.engine.engine import Engine, EngineSettings
from loadtest.errors import LoadtestError
from loadtest.events import Drop, Identity
from loadtest.session.recorder import ErrorTally, Interval, Lifecycle
from loadtest.session.schedule import Backoff, Pace
from loadtest.session.session_config import SessionConfig
from loadtest.session.state import State
from loadtest.transport.target import Target
from tests.support.serverclient import wait_for

start_native_thread: Callable[..., int] = get_original("_thread", "start_new_thread")

NO_DROPS = DropPlan(every_s=0)

QUICK = Backoff(base_s=0.02, factor=2, cap_s=0.1, max_attempts=1000)


@dataclass(frozen=True, slots=True)
class Planned(DropPlan):
    """A plan with explicit drops: the first few of each session."""

    drops: tuple[tuple[Drop, ...], ...] = ()

    def drop(self, session: int, ordinal: int) -> Drop | None:
        """Return the explicit drop; None if there is none."""
        drops = self.drops[session] if session < len(self.drops) else ()
        return drops[ordinal] if ordinal < len(drops) else None


def settings(
    port: int,
    *,
    dialect: Dialect | None = None,
    pace: Pace = Pace(20.0),  # noqa: B008  # frozen
    backoff: Backoff = QUICK,
    reply_timeout_s: float = 20.0,
    drops: DropPlan = NO_DROPS,
    **others: Any,
) -> EngineSettings:
    """Return settings for a server on a port of this machine."""
    config = SessionConfig(dialect or Echo(path="/echo"), pace, backoff, int(reply_timeout_s * 1e9))
    others.setdefault("target", Target("127.0.0.1", port))
    return EngineSettings(config=config, drops=drops, **others)


def on_thread(function: Callable[[], None], ended: Callable[[], None]) -> Callable[[], None]:
    """Start a function that blocks on a native thread, which nothing can end."""

    def run() -> None:
        function()
        ended()

    start_native_thread(run, ())
    return lambda: None


class EngineRun:
    """A running engine, with the intervals and failures it has reported."""

    def __init__(self, settings: EngineSettings, on_interval: Callable[[Interval], None]) -> None:
        self.intervals: list[Interval] = []
        self.failures = 0
        self.ended = self._started = False
        self._ready: list[bool] = []

        def take(interval: Interval) -> None:
            self.intervals.append(interval)
            on_interval(interval)

        self.engine = Engine(
            settings,
            start_ns=monotonic_ns(),
            on_interval=take,
            on_failure=self._failed,
            start_thread=self._start_thread,
            start_blocking=on_thread,
        )
        self.engine.start(lambda: self._ready.append(True))
        wait_for(lambda: self._ready, what="the engine to be ready")

    def _failed(self) -> None:
        self.failures += 1

    def _start_thread(self, function: Callable[[], None], arguments: tuple[()]) -> None:
        """Start the loop's thread, whose end is noted, or one that watches it."""
        is_loop, self._started = not self._started, True

        def run() -> None:
            try:
                function(*arguments)
            finally:
                self.ended = self.ended or is_loop

        start_native_thread(run, ())

    def ask(self, method: Callable[..., None], *arguments: object) -> None:
        """Call a method that takes a done-callback, and wait until it is called."""
        done: list[bool] = []
        self.engine.call(method, *arguments, lambda: done.append(True))
        wait_for(lambda: done, what=f"the engine to answer {method.__name__}")
        assert len(done) == 1

    def add(self, sessions: Iterable[int] | int) -> list[int]:
        """Start sessions, given by their numbers or their count; return the numbers."""
        numbers = list(range(sessions) if isinstance(sessions, int) else sessions)
        named = [Identity(number=n, session_id=f"session-{n}", thread_id=f"thread-{n}") for n in numbers]
        self.engine.call(self.engine.add, named)
        return numbers

    def stop(self, sessions: Iterable[int], drain_s: float = 5.0) -> None:
        """Stop sessions and wait until they have ended."""
        self.ask(self.engine.stop, list(sessions), drain_s)

    def count(self, name: str) -> int:
        """Return one count so far."""
        return self.counts[name]

    @property
    def counts(self) -> Counter[str]:
        """All counts so far."""
        self.ask(self.engine.flush)
        total: Counter[str] = Counter()
        for interval in tuple(self.intervals):
            total.update(interval.counts)
        return total

    def await_count(self, name: str, least: int) -> None:
        """Wait until a count is at least this."""
        wait_for(lambda: self.count(name) >= least, what=f"{name} >= {least}")

    def await_up(self, sessions: int) -> None:
        """Wait until exactly this many sessions are in steady state."""
        population = self.engine.recorder.population
        wait_for(lambda: population[State.STEADY] == sessions, what=f"{sessions} steady of {population}")

    @property
    def errors(self) -> dict[tuple[str, str], ErrorTally]:
        """The first tally of each error so far."""
        self.ask(self.engine.flush)
        return {key: tally for interval in reversed(self.intervals) for key, tally in interval.errors.items()}

    def lived(self, event: str) -> list[Lifecycle]:
        """Return the lifecycle records of one event so far."""
        self.ask(self.engine.flush)
        return [
            record for interval in self.intervals for record in interval.lifecycle if record.event == event
        ]

    def close(self) -> None:
        """End the engine's thread and wait for it."""
        if not self.ended:
            try:
                self.engine.call(self.engine.close)
            except LoadtestError:
                assert self.engine.failure is not None  # the thread is ending by itself
        wait_for(lambda: self.ended, what="the engine's thread to end")


@contextmanager
def running(
    settings: EngineSettings, on_interval: Callable[[Interval], None] = lambda _: None
) -> Iterator[EngineRun]:
    """Run an engine; raise its failure, if any, at the end."""
    run = EngineRun(settings, on_interval)
    try:
        yield run
    finally:
        run.close()
    if run.engine.failure is not None:
        raise run.engine.failure
