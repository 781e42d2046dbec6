"""One token for all sessions of a process, renewed when it is rejected or too old.

`ask` gets a token from outside the engine, a command say. At most one request is under way and at most one
begins per second, so that a server that rejects every token does not make the command run all the time. All
sessions that need a token meanwhile wait for the one answer. Everything here runs on the engine's loop.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from loadtest.errors import LoginFailed

Answer = str | LoginFailed
"""A token, or why there is none."""

Ask = Callable[[Callable[[Answer], None]], None]
"""Begins to get a token; the function it is given takes the answer, once, in any thread."""

ASK_EVERY_S = 1.0
"""Shortest time between the beginnings of two requests."""

TOKENS_KEPT = 100
"""Tokens remembered as secrets: a server may quote an earlier one."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A token, and how many were issued before it: two may have the same text."""

    number: int
    token: str


class SharedToken:
    """The token that sessions share.

    Args:
        ask: gets a token.
        ttl_s: age in seconds from which a token is not used for new attempts; None for any age.
        clock: returns seconds.
    """

    def __init__(self, ask: Ask, ttl_s: float | None = None, clock: Callable[[], float] = time.monotonic):
        self._ask = ask
        self._ttl_s = ttl_s
        self._clock = clock
        self._newest: Issued | None = None  # None if it was rejected
        self._asked_s = -ASK_EVERY_S  # when the last request began
        self._asking: asyncio.Future[Issued | LoginFailed] | None = None
        self._issued: deque[str] = deque(maxlen=TOKENS_KEPT)
        self._count = 0

    @property
    def tokens(self) -> tuple[str, ...]:
        """The latest tokens, to be kept secret."""
        return tuple(self._issued)

    async def get(self) -> Issued:
        """Return the token to use now.

        Raises:
            LoginFailed: there was none.
        """
        if self._newest is not None and not self._too_old:
            return self._newest
        if self._asking is None:
            self._asking = self._begin()
        answer = await asyncio.shield(self._asking)  # an attempt that gives up does not end the others' wait
        if isinstance(answer, LoginFailed):
            raise LoginFailed(answer.detail)  # a new one: each has its own traceback
        return answer

    def reject(self, issued: Issued) -> None:
        """Ask for another token before the next attempt: the server has rejected this one."""
        if self._newest is not None and self._newest.number == issued.number:
            self._newest = None

    @property
    def _too_old(self) -> bool:
        return self._ttl_s is not None and self._clock() - self._asked_s >= self._ttl_s

    def _begin(self) -> "asyncio.Future[Issued | LoginFailed]":
        loop = asyncio.get_running_loop()
        loop.call_later(max(0.0, self._asked_s + ASK_EVERY_S - self._clock()), self._request, loop)
        return loop.create_future()

    def _request(self, loop: asyncio.AbstractEventLoop) -> None:
        def answered(answer: Answer) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has closed meanwhile
                loop.call_soon_threadsafe(self._settle, answer)

        self._asked_s = self._clock()
        self._ask(answered)

    def _settle(self, answer: Answer) -> None:
        asking, self._asking = self._asking, None
        assert asking is not None  # each request is answered once
        if isinstance(answer, str):
            self._newest = Issued(self._count, answer)
            self._count += 1
            self._issued.append(answer)
            asking.set_result(self._newest)
        else:
            asking.set_result(answer)
