"""What comes before each attempt to connect: the token, the dialect's login, and the request to make.

All of it is the user's code, on the loop that the sessions share. What refuses a session there is a failed
attempt; what shows a mistake in the code ends the run. Code that blocks belongs on a thread of its own,
through `call_blocking`; a login that blocks the loop instead is named in the report.
"""

import asyncio
import contextlib
import inspect
import time
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

import msgspec

from loadtest.dialects.base import Dialect
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.mistakes import described, mistake, wrong_result
from loadtest.errors import ConnectFailed, LoginFailed
from loadtest.events import Endpoint, Refused
from loadtest.text import Secrets, public_line
from loadtest.transport.cookies import header
from loadtest.transport.opening import fail_after

TokenSource = Callable[[], str | Awaitable[str | None] | None]

BLOCKED_S = 0.1
"""A step of a login that takes longer than this holds up every session."""

SHORTEST_SECRET = 8
"""Shorter headers and cookies are not treated as secrets: to hide them would garble other text."""


class Login:
    """Logs sessions in, before each of their attempts.

    Args:
        dialect: whose `login` and `endpoint` are called.
        token: returns a token, or an awaitable of one.
        timeout_s: time allowed for each of: getting a token, the dialect's login.
        blocked: called with an error and an example when a login has blocked the event loop.
    """

    def __init__(
        self,
        dialect: Dialect,
        token: TokenSource,
        timeout_s: float,
        blocked: Callable[[str, str, DialectSession], None],
    ) -> None:
        self._dialect = dialect
        self._token_source = token
        self._timeout_s = timeout_s
        self._blocked = blocked
        self._has_login = type(dialect).overrides("login")
        self._with_credentials: dict[int, DialectSession] = {}  # by session number

    async def endpoint(self, about: DialectSession) -> Endpoint:
        """Get a token, log in, and return what to request, with the session's headers and cookies.

        Raises:
            ConnectFailed: there was no token, or the login failed.
            DialectMistake: `login` or `endpoint` of the dialect raised.
        """
        about.token = await self._token()
        if self._has_login:
            await self._log_in(about)
        if about.token or about.headers or about.cookies:
            self._with_credentials[about.number] = about
        given = f"session {about.number}"
        try:
            endpoint = self._dialect.endpoint(about)
        except Exception as error:
            raise mistake(self._dialect, "endpoint", error, given) from error
        if not isinstance(endpoint, Endpoint):
            raise wrong_result(self._dialect, "endpoint", endpoint, "loadtest.Endpoint", given)
        cookie = header(about.cookies)
        own = (*about.headers.items(), *((("Cookie", cookie),) if cookie else ()))
        return msgspec.structs.replace(endpoint, headers=(*endpoint.headers, *own)) if own else endpoint

    async def _token(self) -> str | None:
        try:
            with fail_after(self._timeout_s):
                token = self._token_source()
                return await token if inspect.isawaitable(token) else token
        except Exception as error:
            # The token source is the user's code and may raise anything: count a failed attempt.
            detail = f"the token source raised {type(error).__name__}"
            raise ConnectFailed(Refused(phase="token", cause="token_error", detail=detail)) from error

    async def _log_in(self, about: DialectSession) -> None:
        try:
            with fail_after(self._timeout_s):
                longest_s = await _timed(self._dialect.login(about))
        except TimeoutError:
            raise _refused("timeout", f"no answer within {self._timeout_s:g} s", about) from None
        except LoginFailed as failed:
            raise _refused("login_failed", failed.detail, about) from failed
        except Exception as error:
            if _is_mistake(error):
                raise mistake(self._dialect, "login", error, f"session {about.number}") from error
            raise _refused("login_error", described(error), about) from error
        if longest_s > BLOCKED_S:
            what = f"{type(self._dialect).__name__}.login blocked the event loop"
            took = f"for {longest_s * 1000:.0f} ms: call what blocks with `await session.blocking(…)`"
            self._blocked(what, took, about)

    @property
    def secrets(self) -> frozenset[str]:
        """The sessions' credentials, to be removed from everything written."""
        sessions = tuple(self._with_credentials.values())
        return frozenset(secret for about in sessions for secret in credentials(about))


def credentials(about: DialectSession) -> tuple[str, ...]:
    """Return a session's token, and the values of its headers and cookies; short ones are not secrets."""
    values = (*about.headers.values(), *about.cookies.values())
    long = tuple(value for value in values if len(value) >= SHORTEST_SECRET)
    return (about.token, *long) if about.token else long


def _refused(cause: str, detail: str, about: DialectSession) -> ConnectFailed:
    shown = public_line(detail, Secrets(credentials(about)))
    return ConnectFailed(Refused(phase="login", cause=cause, detail=shown))


def _is_mistake(error: Exception) -> bool:
    """Return whether an exception shows a mistake in the code that raised it, rather than a refused login.

    Python's own ones do, except for those of the system and the network; a library's own report its service.
    """
    return type(error).__module__ == "builtins" and not isinstance(error, OSError)


@types.coroutine
def _timed(coroutine: Coroutine[Any, Any, Any]) -> Generator[Any, Any, float]:
    """Run a coroutine; return its longest step without a switch to others, in seconds."""
    longest_s = 0.0
    resume, value = coroutine.send, None
    while True:
        began_s = time.monotonic()
        try:
            awaited = resume(value)
        except StopIteration:
            return max(longest_s, time.monotonic() - began_s)
        longest_s = max(longest_s, time.monotonic() - began_s)
        try:
            value = yield awaited
            resume = coroutine.send
        except BaseException as error:  # a timeout, or what the awaited future raised
            resume, value = coroutine.throw, error


async def call_blocking(
    loop: asyncio.AbstractEventLoop,
    start_thread: Callable[[Callable[[], None], tuple[()]], Any],
    function: Callable[..., Any],
    *arguments: Any,
) -> Any:
    """Call a function on a thread of its own; return its result or raise its exception.

    Args:
        loop: the running event loop.
        start_thread: starts a native thread.
        function: what to call.
        arguments: to call it with.
    """
    result: asyncio.Future[Any] = loop.create_future()

    def settle(setter: Callable[[Any], None], value: Any) -> None:
        if not result.done():  # a login that timed out has cancelled it
            setter(value)

    def work() -> None:
        try:
            done: tuple[Callable[[Any], None], Any] = (result.set_result, function(*arguments))
        except BaseException as error:
            done = (result.set_exception, error)
        with contextlib.suppress(RuntimeError):  # the loop has closed meanwhile
            loop.call_soon_threadsafe(settle, *done)

    start_thread(work, ())
    return await result
