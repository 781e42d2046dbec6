"""Calls to a user's dialect: exceptions and wrong return values become mistakes that name the method.

On the hot path the session calls `Dialect.read` directly and uses this module for any result but a Reply.
"""

import itertools
import time
import types
from collections.abc import Coroutine, Generator, Iterable, Mapping, Sequence
from types import UnionType
from typing import Any, Final

import msgspec
from msgspec import Struct

from loadtest.dialects.base import (
    MAX_RECORDS,
    Dialect,
    Failed,
    Incoming,
    Reply,
    Request,
    StreamPart,
    Unreadable,
    excerpt,
    too_many,
)
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.mistakes import mistake, wrong_result
from loadtest.errors import DialectMistake, FieldMistake
from loadtest.events import Data, Send

ALLOWED: Final = (
    "a Reply, Failed, StreamPart, Push, Established, Restored, Send, AuthRequired or Unreadable, several of "
    "these in a list, or None"
)
"""What `read` must return."""

LONGEST_NUMBER = 16
"""Decimal digits that are too many for a sequence number."""

HOPELESS_READS: Final = 20
"""Messages at which a dialect may raise before any that it reads; then the run ends."""

MOST_UNANSWERABLE: Final = 100
"""Requests without replies that a closed loop sends in a row."""

_SCALARS: Final[dict[str, type | UnionType]] = {
    "count": int | None,
    "data": str | bytes,
    "detail": str,
    "excerpt": str,
    "number": int | None,
    "sent_at_ms": int | float | None,
    "session_id": str | None,
    "text": str | msgspec.UnsetType | None,
    "thread_id": str | None,
}
"""Types of the fields of incoming messages by name. `sequence` is checked where it is used."""

_LISTS: Final[dict[str, type]] = {"sequences": int, "texts": str}
"""Types of the items in those fields that are sequences."""


def greeting(dialect: Dialect, session: DialectSession) -> list[Data]:
    """Return the messages that the dialect sends first.

    Raises:
        DialectMistake: the method raised, or returned a wrong value.
    """
    given = _given(session)
    try:
        returned = dialect.greeting(session)
        messages = _listed(returned)
    except BaseException as error:  # SystemExit, for example: it would end the thread
        raise mistake(dialect, "greeting", error, given) from error
    if messages is None:
        raise wrong_result(dialect, "greeting", returned, "an iterable of str or bytes", given)
    return [sendable(dialect, "greeting", message, given) for message in messages]


def heartbeat(dialect: Dialect, session: DialectSession) -> Data:
    """Return the dialect's next heartbeat.

    Raises:
        DialectMistake: the method raised, or returned a wrong value.
    """
    return sendable(dialect, "heartbeat", called(dialect, "heartbeat", session), _given(session))


def probe(dialect: Dialect, session: DialectSession) -> Data | None:
    """Return the dialect's message for drops, None if it has none.

    Raises:
        DialectMistake: the method raised, or returned a wrong value.
    """
    message = called(dialect, "probe", session)
    return None if message is None else sendable(dialect, "probe", message, _given(session))


BLOCKED_S = 0.1
"""A step of the dialect's code that takes longer than this holds up every session."""


def called(dialect: Dialect, method: str, session: DialectSession) -> Any:
    """Return what a method of the dialect returns for a session.

    Raises:
        DialectMistake: it raised.
    """
    try:
        return getattr(dialect, method)(session)
    except BaseException as error:  # SystemExit, for example: it would end the thread
        raise mistake(dialect, method, error, _given(session)) from error


def sendable(dialect: Dialect, method: str, data: Any, given: str) -> Data:
    """Return data that a method of the dialect returned for sending.

    Raises:
        DialectMistake: it is neither text nor bytes.
    """
    if isinstance(data, str | bytes):
        return data
    raise wrong_result(dialect, method, data, "str or bytes", given)


def checked_request(dialect: Dialect, request: object, sequence: int) -> Request:
    """Return a request that is neither text nor bytes.

    Raises:
        DialectMistake: it is not a `Request`.
    """
    if isinstance(request, Request) and isinstance(request.data, str | bytes):
        return request
    allowed = "str, bytes or loadtest.Request"
    raise wrong_result(dialect, "request", request, allowed, f"sequence {sequence}")


def listed(dialect: Dialect, read: Any, data: Data) -> Sequence[Incoming]:
    """Return what `read` returned as a sequence; a generator runs to its end here.

    Raises:
        DialectMistake: it returned something else.
        Flooded: it returned more than `MAX_RECORDS`.
    """
    if read is None:
        return ()
    if isinstance(read, Struct):
        return (read,)  # type: ignore[return-value]  # of another type, it is refused where it is used
    found = _listed(read, MAX_RECORDS + 1)
    if found is None:
        raise wrong_result(dialect, "read", read, ALLOWED, excerpt(data))
    if len(found) > MAX_RECORDS:
        raise too_many(f"over {MAX_RECORDS:,}")
    return found


def unasked(dialect: Dialect, session: DialectSession, data: Data) -> list[Incoming]:
    """Return the meaning of a message, without errors and results that may answer a drop's own data.

    An unreadable message means nothing here: it may answer the data that a broken client sent.
    """
    try:
        said = listed(dialect, dialect.read(session, data), data)
    except BaseException:
        return []
    if wrong_field(dialect, said, data) is not None:
        return []
    return [incoming for incoming in said if not _may_answer_a_drop(incoming)]


def _may_answer_a_drop(incoming: Incoming) -> bool:
    match incoming:
        case Failed() | Unreadable() | Send():
            return True
        case Reply(sequence=sequence) | StreamPart(sequence=sequence):
            return sequence is None
    return False


def number(dialect: Dialect, sequence: object, oldest: int) -> int:
    """Return the sequence number that a reply names.

    Args:
        dialect: whose `read` has returned the reply.
        sequence: an int, decimal text, or None for the oldest outstanding request.
        oldest: number of that request.

    Returns:
        The number; -1 for a text that is not a number.

    Raises:
        DialectMistake: `sequence` is of another type.
    """
    if sequence is None:
        return oldest
    if isinstance(sequence, str):
        return (
            int(sequence)
            if sequence.isascii() and sequence.isdecimal() and len(sequence) < LONGEST_NUMBER
            else -1
        )
    if isinstance(sequence, int) and not isinstance(sequence, bool):
        return int(sequence)
    allowed = "a sequence that is int, str or None"
    raise _wrong_field(dialect, sequence, allowed, "a message from the server")


def waits_for_nothing(dialect: Dialect, sequence: int) -> DialectMistake:
    """Return the mistake of a dialect whose requests get no replies with `--ws-arrivals closed`.

    Args:
        dialect: whose requests they are.
        sequence: number of the last one.
    """
    problem = (
        f"returned {MOST_UNANSWERABLE} requests without replies in a row, but with --ws-arrivals closed "
        "each request waits for the reply to the last. Use --ws-arrivals constant"
    )
    return DialectMistake(f"{type(dialect).__name__}.request", problem, f"sequence {sequence}")


def wrong_field(dialect: Dialect, said: Incoming | Iterable[Incoming], data: Data) -> FieldMistake | None:
    """Return the mistake for the first field whose value has the wrong type, None if there is none."""
    for incoming in said if isinstance(said, Iterable) else (said,):
        for name in incoming.__struct_fields__:
            if not _is_sound(name, getattr(incoming, name)):
                kind = f"{type(incoming).__name__} whose {name} is {_name(name)}"
                return _wrong_field(dialect, incoming, kind, excerpt(data))
    return None


def _wrong_field(dialect: Dialect, found: object, allowed: str, given: str) -> FieldMistake:
    wrong = wrong_result(dialect, "read", found, allowed, given)
    return FieldMistake(wrong.where, wrong.problem, wrong.given)


def _is_sound(name: str, value: Any) -> bool:
    if name in _LISTS:
        return isinstance(value, list | tuple) and all(isinstance(item, _LISTS[name]) for item in value)
    return isinstance(value, _SCALARS.get(name, object))


def _name(name: str) -> str:
    if name in _LISTS:
        return f"a sequence of {_LISTS[name].__name__}"
    if name == "text":
        return "str"  # or left out
    kind = _SCALARS[name]
    return kind.__name__ if isinstance(kind, type) else str(kind)


def _listed(returned: Any, most: int | None = None) -> list[Any] | None:
    """Return the first items of an iterable, or all; None for text, bytes, mappings and non-iterables."""
    if isinstance(returned, str | bytes | Mapping) or not isinstance(returned, Iterable):
        return None
    return list(itertools.islice(returned, most))


def _given(session: DialectSession) -> str:
    return f"session {session.number}"


@types.coroutine
def timed(coroutine: Coroutine[Any, Any, Any]) -> Generator[Any, Any, float]:
    """Run a coroutine; return its longest step between two awaits, in seconds."""
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
