"""Watches of an engine that runs a script: forgotten awaits, and tasks that block the event loop."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from loadtest.engine.forgotten_awaits import noticed
from loadtest.engine.loop_watch import STUCK_S, Held, LoopWatch, ThisThread
from loadtest.engine.script_runner import task_of
from loadtest.errors import ScriptMistake
from loadtest.session.script import Script

_REMEDY = "use `await session.sleep(…)`, or run blocking code with `await session.blocking(…)`"


class Watched(Protocol):
    """The part of the engine that watching needs."""

    swept: int
    """Changes while the loop is alive."""

    def fail(self, error: Exception) -> None:
        """End the run with a mistake; call it on the loop's thread."""

    def give_up(self, error: Exception) -> None:
        """End the run with a mistake that blocks the loop for good; call it in any thread."""

    def held_up(self, error: str, example: str, session: str) -> None:
        """Record what has blocked the loop; call it on the loop's thread."""


@contextmanager
def watched(script: Script | None, engine: Watched, start_thread: Callable[..., object]) -> Iterator[None]:
    """Watch the script of an engine whose loop runs in this thread; do nothing without a script.

    Args:
        script: script of the engine.
        engine: the engine.
        start_thread: starts a native thread.
    """
    if script is None:
        yield
        return
    call = asyncio.get_running_loop().call_soon_threadsafe

    def blocked(held: Held) -> None:
        example = f"({held.where}): {_REMEDY}"
        call(engine.held_up, f"{held.task} blocked the event loop for over 100 ms", example, held.session)

    def stuck(held: Held) -> None:
        problem = f"has blocked the event loop for {STUCK_S:g} s: {_REMEDY}"
        engine.give_up(ScriptMistake(held.task, problem, held.where))

    watch = LoopWatch(ThisThread(), task_of, lambda: engine.swept, blocked=blocked, stuck=stuck)
    with noticed(script, engine.fail):
        start_thread(watch.run, ())
        try:
            yield
        finally:
            watch.over = True
