"""Calls beside the loop: bounded, first come first served, and a caller that gives up is let go."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from loadtest.engine.blocking import BlockingCalls

pytestmark = pytest.mark.anyio

LIMIT = 3


class Started:
    """Stands in for what starts functions: each runs when the test lets it."""

    def __init__(self) -> None:
        self.functions: list[Callable[[], None]] = []
        self.told_to_end: list[int] = []
        self.listens = True

    def start(self, function: Callable[[], None], ended: Callable[[], None]) -> Callable[[], None]:
        """Keep what would run."""
        number = len(self.functions)

        def run() -> None:
            if not self.listens or number not in self.told_to_end:
                function()
            ended()

        self.functions.append(run)
        return lambda: self.told_to_end.append(number)


def at_once(function: Callable[[], None], ended: Callable[[], None]) -> Callable[[], None]:
    """Run a function on a thread."""

    def run() -> None:
        function()
        ended()

    threading.Thread(target=run).start()
    return lambda: None


async def turns() -> None:
    """Let everything that is ready run."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_there_are_never_more_calls_than_allowed() -> None:
    """Of ten calls three begin; each that ends makes room for the next in line."""
    started, said = Started(), []
    calls = BlockingCalls(started.start, limit=LIMIT)

    async def call(number: int) -> None:
        said.append(await calls.call(lambda: number))

    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(call, number)
        await turns()
        for ended in range(10):
            assert len(started.functions) == min(ended + LIMIT, 10)
            started.functions[ended]()
            await turns()
    assert said == list(range(10))


async def test_a_call_whose_caller_has_gone_is_told_to_end_and_keeps_its_place_until_then() -> None:
    """A wait for a place can time out too, and leaves it to others."""
    started = Started()
    calls = BlockingCalls(started.start, limit=1)
    given_up = asyncio.ensure_future(calls.call(int))
    await turns()
    assert (len(started.functions), started.told_to_end) == (1, [])
    given_up.cancel()
    await turns()
    assert started.told_to_end == [0]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await calls.call(int)
    last = asyncio.ensure_future(calls.call(lambda: "last"))
    await turns()
    assert len(started.functions) == 1
    started.functions[0]()
    await turns()
    started.functions[1]()
    assert await last == "last"
    assert started.told_to_end == [0]


async def test_what_ends_after_its_caller_has_gone_changes_nothing() -> None:
    """A function that cannot be told to end returns or raises to nobody."""
    started = Started()
    started.listens = False
    calls = BlockingCalls(started.start)
    for function in (int, lambda: 1 / 0):
        task = asyncio.ensure_future(calls.call(function))
        await turns()
        task.cancel()
        await turns()
        started.functions[-1]()
        await turns()
        assert task.cancelled()


@pytest.mark.parametrize("raised", [ValueError("no"), SystemExit(3), StopIteration(1)])
async def test_what_a_function_raises_is_raised(raised: BaseException) -> None:
    """Also what is no Exception, and what a future refuses."""

    def fail() -> Any:
        raise raised

    calls = BlockingCalls(at_once)
    with pytest.raises(RuntimeError if isinstance(raised, StopIteration) else type(raised)):
        await calls.call(fail)


async def test_a_call_that_cannot_be_started_takes_no_place() -> None:
    """The next call has it."""
    failing = [True]

    def start(function: Callable[[], None], ended: Callable[[], None]) -> Callable[[], None]:
        if failing.pop():
            raise RuntimeError("can't start")
        function()
        ended()
        return lambda: None

    calls = BlockingCalls(start, limit=1)
    with pytest.raises(RuntimeError, match="start"):
        await calls.call(int)
    for _ in range(2):
        failing.append(False)
        assert await calls.call(int) == 0
