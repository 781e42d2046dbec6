"""Report the calls to a dialect's methods, for `loadtest dialect check`.

Functions that report each call shadow the methods of one instance, so that the dialect keeps its class, name
and state. A call from within another method is part of that method's call and not reported.
"""

import inspect
import time
import traceback
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any, Protocol

from loadtest.dialects.base import Dialect
from loadtest.dialects.calls import timed
from loadtest.dialects.dialect_session import DialectSession

METHODS = ("endpoint", "greeting", "request", "heartbeat", "probe", "read")
"""The methods that are not asynchronous."""

_MAY_YIELD = ("greeting", "read")


class Observer(Protocol):
    """Receives reports of the calls to a dialect's methods.

    Attributes:
        running: the method that is running now, None between calls.
    """

    running: str | None

    def began(self, method: str, session: DialectSession) -> None:
        """Record the begin of a call."""

    def returned(self, method: str, session: DialectSession, given: Any, result: Any) -> None:
        """Record a result; `given` is the method's argument after the session, None if it has none."""

    def raised(self, method: str, session: DialectSession, given: Any, error: BaseException) -> None:
        """Record an exception, which is then raised to the caller."""

    def blocked(self, method: str, took_ns: int) -> None:
        """Record the duration of a call, also if it raised; for `login`, that of its longest step."""


def observe(dialect: Dialect, observer: Observer) -> None:
    """Report the calls of this dialect from now on."""
    for method in METHODS:
        setattr(dialect, method, _observed(method, getattr(dialect, method), observer))
    if type(dialect).overrides("login"):
        setattr(dialect, "login", _observed_login(dialect.login, observer))  # noqa: B010  # shadows a method


def _observed(method: str, call: Callable[..., Any], observer: Observer) -> Callable[..., Any]:
    def observed(session: DialectSession, *given: Any) -> Any:
        if observer.running is not None:
            return call(session, *given)
        first = given[0] if given else None
        observer.running = method
        observer.began(method, session)
        began_ns = time.monotonic_ns()
        try:
            result = call(session, *given)
            if isinstance(result, Iterator) and method in _MAY_YIELD:
                result = list(result)  # its steps are the method's code too
        except BaseException as error:
            observer.raised(method, session, first, error)
            raise
        finally:
            observer.blocked(method, time.monotonic_ns() - began_ns)
            observer.running = None
        observer.returned(method, session, first, result)
        return result

    return observed


def _observed_login(call: Callable[..., Coroutine[Any, Any, None]], observer: Observer) -> Callable[..., Any]:
    def login(session: DialectSession) -> Any:
        observer.began("login", session)
        coroutine = call(session)
        return observed(session, coroutine) if inspect.iscoroutine(coroutine) else coroutine

    async def observed(session: DialectSession, coroutine: Coroutine[Any, Any, None]) -> None:
        observer.running = "login"
        try:
            longest_s = await timed(coroutine)
        except BaseException as error:
            observer.raised("login", session, None, error)
            raise
        finally:
            observer.running = None
        observer.blocked("login", int(longest_s * 1e9))
        observer.returned("login", session, None, None)

    return login


def place_of(dialect: Dialect, method: str, stack: Iterable[traceback.FrameSummary] = ()) -> str:
    """Return the innermost line of the dialect's code in a stack.

    Args:
        dialect: whose method it is.
        method: its name; its first line is returned if no line of the dialect is in the stack.
        stack: frames of an exception or a thread, the innermost one last.

    Returns:
        File, line number, and the line's text if known; empty if the code is not found.
    """
    own = {code.co_filename for code in _codes(type(dialect))}
    for frame in reversed(list(stack)):
        if frame.filename in own:
            place = f"{_short(frame.filename)}, line {frame.lineno}"
            return f"{place}: {frame.line}" if frame.line else place
    code: Any = getattr(getattr(type(dialect), method, None), "__code__", None)
    if code not in _codes(type(dialect)):
        return ""
    return f"{_short(code.co_filename)}, line {code.co_firstlineno}"


def _codes(kind: type[Dialect]) -> set[Any]:
    """Return the code of all functions in a dialect's class and its bases, up to Dialect."""
    bases = kind.__mro__[: kind.__mro__.index(Dialect)]
    return {value.__code__ for base in bases for value in vars(base).values() if inspect.isfunction(value)}


def _short(path: str) -> str:
    return path.rpartition("/")[2]
