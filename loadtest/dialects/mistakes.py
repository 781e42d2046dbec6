"""Mistakes in a user's dialect, named as its author's: class, method, exception, message.

`check_form` finds those that show before the first connection: a missing method, or one of another signature.
"""

import inspect
from typing import Final

from loadtest.dialects.base import Dialect
from loadtest.errors import DialectMistake
from loadtest.text import one_line

_LENGTH = 200


def mistake(dialect: Dialect, method: str, error: Exception, given: str) -> DialectMistake:
    """Return the mistake for an exception that a method raised.

    Args:
        dialect: whose method it is.
        method: its name.
        error: what it raised.
        given: what it was given, for people.
    """
    if isinstance(error, NotImplementedError) and not type(dialect).overrides(method):
        return DialectMistake(_where(dialect, method), "is missing", given)
    return DialectMistake(_where(dialect, method), f"raised {described(error)}", given)


def wrong_result(dialect: Dialect, method: str, result: object, allowed: str, given: str) -> DialectMistake:
    """Return the mistake for a wrong return value.

    Args:
        dialect: whose method it is.
        method: its name.
        result: what it returned.
        allowed: what it must return.
        given: what it was given, for people.
    """
    shown = one_line(repr(result), _LENGTH)
    problem = f"returned {shown} ({type(result).__name__}); it must return {allowed}"
    return DialectMistake(_where(dialect, method), problem, given)


def described(error: BaseException) -> str:
    """Return an exception's name and text on one bounded line; only the name if its `__str__` raises."""
    name = type(error).__name__
    try:
        text = str(error)
    except Exception:
        return name
    return one_line(f"{name}: {text}" if text else name, _LENGTH)


_ARGUMENTS: Final = {
    "login": ("session",),
    "endpoint": ("session",),
    "greeting": ("session",),
    "request": ("session", "sequence"),
    "heartbeat": ("session",),
    "probe": ("session",),
    "read": ("session", "data"),
}
"""What each method of a dialect is given, besides itself."""

_OLD_FORM = "see docs/old-dialects.md if it was written for an earlier version"


def check_form(dialect: Dialect) -> None:
    """Check that a dialect's methods can be called as they will be.

    Raises:
        DialectMistake: the name or a method is missing, or a method takes other arguments or is not async.
    """
    kind = type(dialect)
    if not hasattr(kind, "name"):
        problem = f'is missing: add name = "{kind.__name__.lower()}" to the class'
        raise DialectMistake(f"{kind.__name__}.name", problem)
    for method, arguments in _ARGUMENTS.items():
        try:
            inspect.signature(getattr(dialect, method)).bind(*arguments)
        except TypeError:
            wanted = ", ".join(("self", *arguments))
            raise DialectMistake(_where(dialect, method), f"must take ({wanted}); {_OLD_FORM}") from None
    if not kind.overrides("read"):
        raise DialectMistake(_where(dialect, "read"), "is missing: it says what the server's messages mean")
    if not inspect.iscoroutinefunction(kind.login):
        raise DialectMistake(_where(dialect, "login"), "must be async")
    if dialect.heartbeat_s is not None and not kind.overrides("heartbeat"):
        raise DialectMistake(_where(dialect, "heartbeat"), "is missing, but heartbeat_s is set")
    if dialect.identifies and not dialect.establishes:
        problem = "needs establishes = True: a session's identity is what Established says"
        raise DialectMistake(f"{kind.__name__}.identifies", problem)
    for attribute in ("heartbeat_s", "cleanup_s", "history_window"):
        value = getattr(dialect, attribute)
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, int | float) or value <= 0
        ):
            raise DialectMistake(f"{kind.__name__}.{attribute}", f"must be None or above 0, not {value!r}")


def _where(dialect: Dialect, method: str) -> str:
    return f"{type(dialect).__name__}.{method}"
