"""Mistakes in a user's dialect, reported to its author with class, method, exception and message.

`check_form` finds mistakes before the first connection: a missing method, or a wrong signature.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Final

from loadtest.dialects.base import Dialect
from loadtest.errors import DialectMistake, InvalidSetting
from loadtest.text import one_line

_LENGTH = 200


def mistake(dialect: Dialect, method: str, error: BaseException, given: str) -> DialectMistake:
    """Return the mistake for an exception that a method raised.

    Args:
        dialect: whose method it is.
        method: its name.
        error: what it raised.
        given: its argument, for people.
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
        given: its argument, for people.
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


def _is_amount(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value is None or (is_number and 0 < value < math.inf)  # type: ignore[operator]  # a number


def _is_answer(value: object) -> bool:
    return value is None or isinstance(value, bool)


def _are_codes(value: object) -> bool:
    return isinstance(value, set | frozenset) and all(isinstance(code, int) for code in value)


def _are_names(value: object) -> bool:
    return isinstance(value, set | frozenset) and all(isinstance(name, str) for name in value)


def _are_texts(value: object) -> bool:
    return isinstance(value, tuple | list) and all(isinstance(text, str) for text in value)


def _is_path(value: object) -> bool:
    return isinstance(value, str) and value.startswith("/")


_ATTRIBUTES: Final[Mapping[str, tuple[Callable[[object], bool], str]]] = {
    "heartbeat_s": (_is_amount, "None or a number above 0"),
    "cleanup_s": (_is_amount, "None or a number above 0"),
    "history_window": (_is_amount, "None or a number above 0"),
    "shares_history": (_is_answer, "True, False or None"),
    "pushes_per_s": (_is_amount, "None or a number above 0"),
    "forbidding_close_codes": (_are_codes, "a set of numbers, such as frozenset({1008})"),
    "unresumable_drops": (_are_names, 'a set of kinds of drops, such as frozenset({"half_open"})'),
    "subprotocols": (_are_texts, 'a tuple of strings, such as ("chat",)'),
    "path": (_is_path, "a path that begins with a slash"),
}
"""Attributes that a run first uses long after its start: the check of the value, and what it must be."""

_GUIDE = "see docs/dialects.md"


def new_dialect(kind: type[Dialect], path: str | None) -> Dialect:
    """Return a dialect for this path.

    Raises:
        InvalidSetting: an option of the dialect has a bad value.
        DialectMistake: the class cannot be instantiated.
    """
    try:
        return kind(path=path)
    except InvalidSetting:
        raise
    except (Exception, SystemExit) as error:
        problem = f"must take (self, *, path=None); it raised {described(error)}; {_GUIDE}"
        raise DialectMistake(f"{kind.__name__}.__init__", problem) from error


def check_form(dialect: Dialect) -> None:
    """Check that a dialect's attributes and the signatures of its methods are right.

    Raises:
        DialectMistake: the name or a method is missing, or a method takes other arguments or is not async.
    """
    kind = type(dialect)
    if not hasattr(kind, "name"):
        problem = f'is missing: add name = "{kind.__name__.lower()}" to the class'
        raise DialectMistake(f"{kind.__name__}.name", problem)
    for method in _ARGUMENTS:
        _check_method(dialect, method)
    if not kind.overrides("read"):
        raise DialectMistake(_where(dialect, "read"), "is missing: it must interpret the server's messages")
    if dialect.heartbeat_s is not None and not kind.overrides("heartbeat"):
        raise DialectMistake(_where(dialect, "heartbeat"), "is missing, but heartbeat_s is set")
    if dialect.identifies and not dialect.establishes:
        problem = "needs establishes = True: a session's identity comes from Established"
        raise DialectMistake(f"{kind.__name__}.identifies", problem)
    for attribute, (is_sound, allowed) in _ATTRIBUTES.items():
        value = getattr(dialect, attribute)
        if not is_sound(value):
            raise DialectMistake(f"{kind.__name__}.{attribute}", f"must be {allowed}, not {value!r}")


def _check_method(dialect: Dialect, method: str) -> None:
    arguments = _ARGUMENTS[method]
    try:
        inspect.signature(getattr(dialect, method)).bind(*arguments)
    except TypeError:
        wanted = ", ".join(("self", *arguments))
        raise DialectMistake(_where(dialect, method), f"must take ({wanted}); {_GUIDE}") from None
    waits = method == "login"
    if inspect.iscoroutinefunction(getattr(type(dialect), method)) is not waits:
        raise DialectMistake(_where(dialect, method), "must be async" if waits else "must not be async")


def _where(dialect: Dialect, method: str) -> str:
    return f"{type(dialect).__name__}.{method}"
