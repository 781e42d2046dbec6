"""Calls of a user's dialect, whose mistakes are named as the author's. Pure, as dialects are.

`read` is called by the session itself, on the hot path: an exception there makes one message unreadable,
rather than ending the run.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from loadtest.dialects.base import Dialect, Incoming, Read, Request
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.mistakes import mistake, wrong_result
from loadtest.events import Data

LONGEST_NUMBER = 16
"""Decimal digits that are too many for a sequence number."""


def greeting(dialect: Dialect, about: DialectSession) -> list[Data]:
    """Return what the client says first.

    Raises:
        DialectMistake: the method raised, or returned something that cannot be sent.
    """
    try:
        messages = list(dialect.greeting(about))
    except Exception as error:
        raise mistake(dialect, "greeting", error, _session(about)) from error
    return [_sendable(dialect, "greeting", message, about) for message in messages]


def heartbeat(dialect: Dialect, about: DialectSession) -> Data:
    """Return the dialect's heartbeat.

    Raises:
        DialectMistake: the method raised, or returned something that cannot be sent.
    """
    try:
        message = dialect.heartbeat(about)
    except Exception as error:
        raise mistake(dialect, "heartbeat", error, _session(about)) from error
    return _sendable(dialect, "heartbeat", message, about)


def probe(dialect: Dialect, about: DialectSession) -> Data | None:
    """Return the dialect's probe, None if it has none.

    Raises:
        DialectMistake: the method raised, or returned something that cannot be sent.
    """
    try:
        message = dialect.probe(about)
    except Exception as error:
        raise mistake(dialect, "probe", error, _session(about)) from error
    return None if message is None else _sendable(dialect, "probe", message, about)


def answer(dialect: Dialect, about: DialectSession, data: object) -> Data:
    """Return the data of a Send that `read` has returned.

    Raises:
        DialectMistake: it cannot be sent.
    """
    return _sendable(dialect, "read", data, about)


def _sendable(dialect: Dialect, method: str, message: Any, about: DialectSession) -> Data:
    if isinstance(message, str | bytes):
        return message
    raise wrong_result(dialect, method, message, "str or bytes", _session(about))


def _session(about: DialectSession) -> str:
    return f"session {about.number}"


def request(dialect: Dialect, made: object, sequence: int) -> Request:
    """Return what `request` has returned, which is neither text nor bytes.

    Raises:
        DialectMistake: it is no Request.
    """
    if isinstance(made, Request) and isinstance(made.data, str | bytes):
        return made
    raise wrong_result(dialect, "request", made, "str, bytes or loadtest.Request", f"sequence {sequence}")


def listed(read: Read) -> Iterable[Any]:
    """Return what `read` has returned as a sequence; its members may be anything."""
    if read is None:
        return ()
    return (read,) if isinstance(read, Struct | str | bytes | Mapping) else list(read)


def not_incoming(dialect: Dialect, incoming: Incoming) -> Exception:
    """Return the mistake for a result of `read`, or a part of it, that says nothing."""
    allowed = "a Reply, a Push or the like (see docs/dialects.md), an iterable of these, or None"
    return wrong_result(dialect, "read", incoming, allowed, "a message of the server")


def number(dialect: Dialect, sequence: object, oldest: int) -> int:
    """Return the sequence number that a reply names.

    Args:
        dialect: whose `read` has returned the reply.
        sequence: an int, decimal text, or None for the oldest outstanding request.
        oldest: number of that request.

    Returns:
        The number; -1 for a text that is none.

    Raises:
        DialectMistake: `sequence` is of another type.
    """
    if sequence is None:
        return oldest
    if isinstance(sequence, str):
        return int(sequence) if sequence.isdecimal() and len(sequence) < LONGEST_NUMBER else -1
    if isinstance(sequence, int):
        return int(sequence)
    allowed = "a sequence that is int, str or None"
    raise wrong_result(dialect, "read", sequence, allowed, "a message of the server")
