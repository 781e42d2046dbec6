"""Runs the blocking functions of a dialect outside the event loop.

The number of concurrent calls is bounded: a thousand sessions that log in at once must not open a thousand
connections. Further calls wait in order; their timeouts include the wait. A cancelled call is asked to end,
and occupies its slot until it has ended.
"""

import asyncio
import contextlib
import functools
from collections.abc import Callable
from typing import Any

MAX_CALLS = 64
"""Maximum number of concurrent calls in one process."""

Start = Callable[[Callable[[], None], Callable[[], None]], Callable[[], None]]
"""Starts a function, and calls another when it has ended or cannot begin. Returns a function that ends it."""


class BlockingCalls:
    """Calls blocking functions outside the loop. Create it on the loop's thread.

    Args:
        start: starts a function outside the loop.
        limit: maximum number of concurrent calls.
    """

    def __init__(self, start: Start, *, limit: int = MAX_CALLS) -> None:
        self._loop = asyncio.get_running_loop()
        self._start = start
        self._free = asyncio.Semaphore(limit)  # first come, first served

    async def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function outside the loop; return its result or raise its exception."""
        await self._free.acquire()
        result: asyncio.Future[Any] = self._loop.create_future()

        def settle(setter: Callable[[Any], None], value: Any) -> None:
            if not result.done():  # a login that timed out has cancelled it
                setter(value)

        @functools.wraps(function)  # for its name
        def work() -> None:
            try:
                done: tuple[Callable[[Any], None], Any] = (result.set_result, function(*arguments))
            except StopIteration as error:  # a future cannot raise it
                done = (result.set_exception, RuntimeError(f"StopIteration: {error}"))
            except BaseException as error:
                done = (result.set_exception, error)
            self._on_loop(settle, *done)

        def ended() -> None:
            self._on_loop(self._free.release)

        try:
            end = self._start(work, ended)
        except BaseException:
            self._free.release()
            raise
        try:
            return await result
        except asyncio.CancelledError:
            end()
            raise

    def _on_loop(self, function: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has closed meanwhile
            self._loop.call_soon_threadsafe(function, *arguments)
