"""Runs before each attempt to connect: gets the token, logs in with the dialect, returns the request to send.

The token source and the login are the user's code and run on the loop that all sessions share. A refused
login is a failed attempt; a mistake in the code ends the run. Blocking code must run outside the loop
(`loadtest.engine.blocking`); the report names a login that blocks the loop.
"""

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable

import msgspec

from loadtest.dialects.base import Dialect
from loadtest.dialects.calls import BLOCKED_S, called, timed
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.mistakes import described, mistake, wrong_result
from loadtest.engine.shared_token import ASK_EVERY_S, Issued, SharedToken
from loadtest.errors import ConnectFailed, DialectMistake, LoginFailed
from loadtest.events import Endpoint, Refused
from loadtest.scrubber import Secrets, public_line, secrets_in
from loadtest.transport.cookies import header, updated
from loadtest.transport.opening import fail_after

TokenSource = Callable[[], str | Awaitable[str | None] | None]

CREDENTIALS_KEPT = 3
"""Attempts whose credentials are remembered: a server may quote those of an earlier one."""

_TOKENLESS = ", and no token is given: --ws-token, --ws-token-cmd or LOCUST_WS_TOKEN"
"""Why a login that puts the session's token into a header has put None there."""

SHARED_MARGIN_S = ASK_EVERY_S + 5.0
"""Added to the time limit of the shared token, because the request for it may be delayed."""


class Login:
    """Logs sessions in before each attempt.

    Args:
        dialect: whose `login` and `endpoint` are called.
        token: returns a token, or an awaitable of one; or the token that all sessions share.
        timeout_s: time allowed for each of: getting a token, the dialect's login.
        blocked: called with an error, an example and the session's id when a login has blocked the loop.
    """

    def __init__(
        self,
        dialect: Dialect,
        token: TokenSource | SharedToken,
        timeout_s: float,
        blocked: Callable[[str, str, str], None],
    ) -> None:
        self._dialect = dialect
        self._token_source = token
        self._shared: dict[int, Issued] = {}  # the shared token of the latest attempt, by session number
        self._timeout_s = timeout_s
        self._blocked = blocked
        self._has_login = type(dialect).overrides("login")
        self._credentials: dict[int, deque[tuple[str, ...]]] = {}  # of the latest attempts, by session number

    async def endpoint(self, about: DialectSession, token_awaited: Callable[[], None]) -> Endpoint:
        """Get a token, log in, and return the endpoint to request, with the session's headers and cookies.

        Args:
            about: the session.
            token_awaited: called when the wait for the token that sessions share is over.

        Raises:
            ConnectFailed: no token was available, or the login failed.
            DialectMistake: `login` or `endpoint` of the dialect raised.
        """
        about.token = await self._token(about, token_awaited)
        if self._has_login:
            await self._log_in(about)
        self._check_credentials(about)  # any method of the dialect may have set them
        self.remember(about)
        given = f"session {about.number}"
        endpoint: Endpoint = called(self._dialect, "endpoint", about)
        if not _is_sound(endpoint):
            allowed = "loadtest.Endpoint with an ASCII path, headers as pairs of str, and subprotocols as str"
            raise wrong_result(self._dialect, "endpoint", endpoint, allowed, given)
        cookie = header(about.cookies)
        own = (*about.headers.items(), *((("Cookie", cookie),) if cookie else ()))
        return msgspec.structs.replace(endpoint, headers=(*endpoint.headers, *own)) if own else endpoint

    def _check_credentials(self, about: DialectSession) -> None:
        where, given = type(self._dialect).__name__, f"session {about.number}"
        if about.token is not None and not isinstance(about.token, str):
            problem = f"must set session.token to a str or None (got {type(about.token).__name__})"
            raise DialectMistake(where, problem, given)
        for name in ("headers", "cookies"):
            left = getattr(about, name)
            pairs = left.items() if isinstance(left, dict) else ((left, left),)
            if not all(isinstance(text, str) for pair in pairs for text in pair):
                which = ", ".join(key for key, value in pairs if value is None and isinstance(key, str))
                none = f" ({which} is None{'' if about.token else _TOKENLESS})" if which else ""
                raise DialectMistake(where, f"must set session.{name} to a dict of str to str{none}", given)

    def remember(self, about: DialectSession) -> None:
        """Remember a session's credentials, which stay secret as long as a server may quote them."""
        now = credentials(about)
        if now:
            known = self._credentials.setdefault(about.number, deque(maxlen=CREDENTIALS_KEPT))
            if now not in known:
                known.append(now)

    def keep_cookies(self, about: DialectSession, set_cookies: tuple[str, ...]) -> None:
        """Store the cookies of a response, including one that refused the upgrade, as browsers do."""
        if set_cookies:
            about.cookies = updated(about.cookies, set_cookies)
        self.remember(about)

    def token_rejected(self, about: DialectSession) -> None:
        """Handle the server's rejection of the token of a session's latest attempt."""
        if isinstance(self._token_source, SharedToken) and about.number in self._shared:
            self._token_source.reject(self._shared[about.number])

    async def _token(self, about: DialectSession, awaited: Callable[[], None]) -> str | None:
        source = self._token_source
        if isinstance(source, SharedToken):
            try:
                return await self._shared_token(source, about)
            finally:
                awaited()
        try:
            token = source()
            if not inspect.isawaitable(token):
                return token
            with fail_after(self._timeout_s):
                return await token
        except BaseException as error:
            if is_cancelled(error):
                raise
            # The token source is the user's code and may raise anything: count a failed attempt.
            detail = f"the token source raised {type(error).__name__}"
            raise ConnectFailed(Refused(phase="token", cause="token_error", detail=detail)) from error

    async def _shared_token(self, source: SharedToken, about: DialectSession) -> str:
        try:
            with fail_after(longest_s := self._timeout_s + SHARED_MARGIN_S):
                issued = self._shared[about.number] = await source.get()
        except TimeoutError:
            raise _no_token(f"no answer within {longest_s:g} s") from None
        except LoginFailed as failed:
            raise _no_token(public_line(failed.detail, Secrets(self.secrets))) from failed
        return issued.token

    async def _log_in(self, about: DialectSession) -> None:
        try:
            with fail_after(self._timeout_s):
                longest_s = await timed(self._dialect.login(about))
        except TimeoutError:
            raise self._refused("timeout", f"no answer within {self._timeout_s:g} s", about) from None
        except LoginFailed as failed:
            raise self._refused("login_failed", failed.detail, about) from failed
        except BaseException as error:
            if is_cancelled(error):
                raise
            if _is_mistake(error):
                raise mistake(self._dialect, "login", error, f"session {about.number}") from error
            raise self._refused("login_error", described(error), about) from error
        if longest_s > BLOCKED_S:
            what = f"{type(self._dialect).__name__}.login blocked the event loop"
            took = f"for {longest_s * 1000:.0f} ms: run blocking code with `await session.blocking(…)`"
            self._blocked(what, took, about.session_id)

    def _refused(self, cause: str, detail: str, about: DialectSession) -> ConnectFailed:
        self._check_credentials(about)
        shown = public_line(detail, Secrets(credentials(about)))
        return ConnectFailed(Refused(phase="login", cause=cause, detail=shown))

    @property
    def secrets(self) -> frozenset[str]:
        """The sessions' credentials, to redact in all output."""
        sessions, source = tuple(self._credentials.values()), self._token_source
        shared = source.tokens if isinstance(source, SharedToken) else ()
        return frozenset((*shared, *(secret for known in sessions for one in tuple(known) for secret in one)))


def credentials(about: DialectSession) -> tuple[str, ...]:
    """Return a session's token and the secrets in its headers and cookies; short values are not secrets."""
    if not (about.token or about.headers or about.cookies):
        return ()
    values = (*about.headers.values(), *about.cookies.values())
    found = secrets_in(value for value in values if isinstance(value, str))  # else the dialect is wrong
    return (about.token, *found) if about.token else tuple(found)


def _no_token(detail: str) -> ConnectFailed:
    return ConnectFailed(Refused(phase="token", cause="command_failed", detail=detail))


def _is_sound(endpoint: object) -> bool:
    return (
        isinstance(endpoint, Endpoint)
        and isinstance(endpoint.path, str)
        and endpoint.path.isascii()
        and endpoint.path.startswith("/")
        and isinstance(endpoint.headers, tuple | list)
        and all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in endpoint.headers)
        and all(isinstance(text, str) for pair in endpoint.headers for text in pair)
        and isinstance(endpoint.subprotocols, tuple | list)
        and all(isinstance(text, str) for text in endpoint.subprotocols)
    )


def is_cancelled(error: BaseException) -> bool:
    """Return whether the current task was cancelled; the user's code may raise the same exceptions."""
    task = asyncio.current_task()
    cancelled = task is None or task.cancelling() > 0
    return cancelled and isinstance(error, asyncio.CancelledError | GeneratorExit)


def _is_mistake(error: BaseException) -> bool:
    """Return whether an exception shows a mistake in the code that raised it, rather than a refused login.

    Built-in exceptions show a mistake, except OSError. A library's exceptions report on its service.
    """
    if not isinstance(error, Exception):  # SystemExit, for example
        return True
    return type(error).__module__ == "builtins" and not isinstance(error, OSError)
