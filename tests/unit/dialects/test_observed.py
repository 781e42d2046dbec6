"""What a watched dialect reports, and that it stays the dialect it is."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from loadtest.dialects.base import Dialect, Incoming, Push, Reply
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.echo import Echo
from loadtest.dialects.observed import observe, place_of
from loadtest.events import Data
from tests.support.fake_link import dialect_session


class Notes:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.running: str | None = None
        self.told: list[tuple[Any, ...]] = []
        self.timed: list[str] = []

    def began(self, method: str, session: DialectSession) -> None:
        """Keep it."""
        self.told.append(("began", method, self.running))

    def returned(self, method: str, session: DialectSession, given: Any, result: Any) -> None:
        """Keep it."""
        self.told.append(("returned", method, given, result))

    def raised(self, method: str, session: DialectSession, given: Any, error: BaseException) -> None:
        """Keep it."""
        self.told.append(("raised", method, given, str(error)))

    def blocked(self, method: str, took_ns: int) -> None:
        """Keep it."""
        self.timed.append(method)


class Talkative(Dialect):
    """A dialect with a state, calls among its methods, and a mistake."""

    heartbeat_s = 1.0

    def __init__(self) -> None:
        super().__init__(path="/talk")
        self.beats = 0

    async def login(self, session: DialectSession) -> None:
        session.token = "token"
        if session.memory.get("refused"):
            raise OSError("no entry")

    def greeting(self, session: DialectSession) -> Iterator[Data]:
        yield self.heartbeat(session)
        yield "hello"

    def heartbeat(self, session: DialectSession) -> Data:
        self.beats += 1
        return f"beat {self.beats}"

    def read(self, session: DialectSession, data: Data) -> Iterator[Incoming]:
        yield Reply(None)
        if data == "bad":
            raise ValueError("bad data")
        yield Push()


def watched(dialect: Dialect) -> Notes:
    """Watch a dialect."""
    notes = Notes()
    observe(dialect, notes)
    return notes


def finish(coroutine: Any) -> None:
    """Run a coroutine that waits for nothing."""
    with pytest.raises(StopIteration):
        coroutine.send(None)


def test_calls_are_reported_with_what_they_were_given_and_returned() -> None:
    """A request is reported with its sequence, a message with its data; both keep their results."""
    dialect, session = Echo(), dialect_session()
    notes = watched(dialect)
    request = dialect.request(session, 7)
    assert request == session.text(7)
    assert dialect.read(session, request) == Reply(7, request, whole=True)
    assert notes.told == [
        ("began", "request", "request"),
        ("returned", "request", 7, request),
        ("began", "read", "read"),
        ("returned", "read", request, Reply(7, request, whole=True)),
    ]
    assert (notes.running, notes.timed) == (None, ["request", "read"])


def test_a_watched_dialect_keeps_class_name_and_state() -> None:
    """Errors name its class, and what it overrides is known as before."""
    dialect = Talkative()
    watched(dialect)
    assert type(dialect) is Talkative
    assert type(dialect).overrides("login")
    assert not type(dialect).overrides("request")
    assert dialect.heartbeat(dialect_session()) == "beat 1"
    assert dialect.beats == 1


def test_another_instance_is_not_watched() -> None:
    """Only the given instance reports: a class may serve elsewhere."""
    notes = watched(Talkative())
    Talkative().heartbeat(dialect_session())
    assert notes.told == []


def test_a_generator_runs_to_its_end_and_calls_within_are_not_reported() -> None:
    """What a generator yields is reported as a list; the heartbeat in the greeting is no heartbeat."""
    dialect, session = Talkative(), dialect_session()
    notes = watched(dialect)
    assert list(dialect.greeting(session)) == ["beat 1", "hello"]
    assert [told[:2] for told in notes.told] == [("began", "greeting"), ("returned", "greeting")]
    assert list(dialect.read(session, "good")) == [Reply(None), Push()]


def test_exceptions_are_reported_and_go_on() -> None:
    """One that arises halfway through a generator too."""
    dialect, session = Talkative(), dialect_session()
    notes = watched(dialect)
    with pytest.raises(ValueError, match="bad data"):
        dialect.read(session, "bad")
    with pytest.raises(NotImplementedError):
        dialect.request(session, 0)
    assert [told for told in notes.told if told[0] == "raised"] == [
        ("raised", "read", "bad", "bad data"),
        ("raised", "request", 0, ""),
    ]
    assert (notes.running, notes.timed) == (None, ["read", "request"])


def test_a_login_is_reported_when_it_is_over() -> None:
    """It is awaited as before; what it raises is reported and goes on. Of its time, the longest step is."""
    dialect, session = Talkative(), dialect_session()
    notes = watched(dialect)
    finish(dialect.login(session))
    assert session.token == "token"
    session.memory["refused"] = True
    with pytest.raises(OSError, match="no entry"):
        dialect.login(session).send(None)
    assert notes.told == [
        ("began", "login", None),
        ("returned", "login", None, None),
        ("began", "login", None),
        ("raised", "login", None, "no entry"),
    ]
    assert (notes.running, notes.timed) == (None, ["login"])


def test_a_login_that_is_not_a_coroutine_is_returned_as_it_is() -> None:
    """The engine refuses it then, by its name."""

    class Hasty(Dialect):
        def login(self, session: DialectSession) -> Any:
            return "done"

    dialect = Hasty()
    watched(dialect)
    assert dialect.login(dialect_session()) == "done"


def test_a_dialect_without_a_login_is_left_without() -> None:
    """The base's login is not called for nothing."""
    dialect = Echo()
    watched(dialect)
    assert "login" not in vars(dialect)


def test_places_are_those_of_the_dialect() -> None:
    """The innermost line in its own files counts, not the library's below; else the method's first line."""
    dialect = Talkative()
    try:
        list(dialect.read(dialect_session(), "bad"))
    except ValueError as error:
        stack = traceback.extract_tb(error.__traceback__)
    place = place_of(dialect, "read", stack)
    assert place.startswith("test_observed.py, line ")
    assert place.endswith(': raise ValueError("bad data")')
    line = Talkative.read.__code__.co_firstlineno
    assert place_of(dialect, "read") == f"test_observed.py, line {line}"


def test_what_the_base_does_has_no_place() -> None:
    """A missing method stands nowhere in the author's code; foreign frames do not count."""
    dialect = Talkative()
    assert place_of(dialect, "request") == ""
    assert place_of(dialect, "endpoint", traceback.extract_stack()[:1]) == ""
