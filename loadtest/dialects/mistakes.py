"""Mistakes in a user's dialect, named as its author's: class, method, exception, message."""

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


def _where(dialect: Dialect, method: str) -> str:
    return f"{type(dialect).__name__}.{method}"
