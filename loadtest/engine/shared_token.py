"""One token for all sessions of a process, renewed when it is rejected or too old.

A server is right to reject an expired token, but the refusal still counts as a failed attempt. So a JWT is
renewed before the time in its claim `exp` (RFC 7519, section 4.1.4), and any token at the configured age, if
that comes first.

`ask` gets a token from outside the engine, for example from a command. At most one request is in progress and
at most one starts per second, so a server that rejects every token does not keep the command running. All
sessions that need a token meanwhile wait for the same answer. Everything here runs on the engine's loop.
"""

import asyncio
import base64
import contextlib
import json
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from loadtest.errors import LoginFailed

Answer = str | LoginFailed
"""A token, or the reason why there is none."""

Ask = Callable[[Callable[[Answer], None]], None]
"""Starts a request for a token. The function passed to it takes the answer, once, in any thread."""

ASK_EVERY_S = 1.0
"""Shortest time between the starts of two requests."""

TOKENS_KEPT = 100
"""Tokens remembered as secrets: a server may quote an earlier one."""

EXPIRY_MARGIN_S = 60.0
"""How long before its expiry a JWT is renewed, as clocks differ; half of its lifetime if that is shorter."""


@dataclass(frozen=True, slots=True)
class Issued:
    """An issued token.

    Args:
        number: number of tokens issued before it; two tokens may have the same text.
        token: its text.
        until_s: when it becomes too old for new attempts, on the clock of the SharedToken.
    """

    number: int
    token: str
    until_s: float = math.inf


class SharedToken:
    """The token that sessions share.

    Args:
        ask: gets a token.
        ttl_s: age in seconds at which a token is too old for new attempts; None for no limit.
        clock: returns seconds.
        wall_clock: returns Unix time in seconds.
    """

    def __init__(
        self,
        ask: Ask,
        ttl_s: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._ask = ask
        self._ttl_s = math.inf if ttl_s is None else ttl_s
        self._clock = clock
        self._wall_clock = wall_clock
        self._newest: Issued | None = None  # None if it was rejected
        self._asked_s = -ASK_EVERY_S  # when the last request began
        self._asking: asyncio.Future[Issued | LoginFailed] | None = None
        self._issued: deque[str] = deque(maxlen=TOKENS_KEPT)
        self._count = 0

    @property
    def tokens(self) -> tuple[str, ...]:
        """The latest tokens, which are secrets."""
        return tuple(self._issued)

    async def get(self) -> Issued:
        """Return the token to use now.

        Raises:
            LoginFailed: no token was available.
        """
        if self._newest is not None and self._clock() < self._newest.until_s:
            return self._newest
        if self._asking is None:
            self._asking = self._begin()
        answer = await asyncio.shield(self._asking)  # an attempt that gives up does not end the others' wait
        if isinstance(answer, LoginFailed):
            raise LoginFailed(answer.detail)  # a new one: each has its own traceback
        return answer

    def reject(self, issued: Issued) -> None:
        """Mark a token as rejected, so that the next attempt requests a new one."""
        if self._newest is not None and self._newest.number == issued.number:
            self._newest = None

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
            self._newest = Issued(self._count, answer, self._until_s(answer))
            self._count += 1
            self._issued.append(answer)
            asking.set_result(self._newest)
        else:
            asking.set_result(answer)

    def _until_s(self, token: str) -> float:
        by_age_s, left_s = self._asked_s + self._ttl_s, expiry_s(token) - self._wall_clock()
        if left_s <= 0:  # one of the clocks is wrong: the server decides
            return by_age_s
        return min(by_age_s, self._clock() + left_s - min(EXPIRY_MARGIN_S, left_s / 2))


def expiry_s(token: str) -> float:
    """Return the Unix time at which a JWT expires; infinity for other tokens and a JWT without expiry.

    Python's JSON also reads NaN and Infinity.
    """
    try:
        _, claims, _ = token.split(".")
        said = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        expires_s = float(said["exp"]) if type(said["exp"]) in (int, float) else math.inf
        return expires_s if math.isfinite(expires_s) else math.inf
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError):
        return math.inf
