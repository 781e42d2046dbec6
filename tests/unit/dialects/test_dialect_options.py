"""Options of dialects: names, values, errors, and the command that repeats a run."""

from __future__ import annotations

import pytest

from loadtest.dialects.base import Dialect
from loadtest.dialects.dialect_options import DialectOption, parsed, with_options
from loadtest.errors import InvalidSetting
from loadtest.options import command_options
from loadtest.values import Text, Whole
from tests.support.runs import PLAN


class Rooms(Dialect):
    """A dialect with options; it has no name, so that nothing registers it."""

    room = "lobby"
    seats = 3
    options = (
        DialectOption("room", Text("NAME"), "The room."),
        DialectOption("seats", Whole(1, 9), "Seats."),
    )


Rooms.name = "rooms"


def test_options_set_attributes() -> None:
    """The class made has the values, read as their kinds; the dialect itself keeps its defaults."""
    made = with_options(Rooms, parsed(["room=a=b, c", "seats=4"]))
    assert (made.room, made.seats, made(path="/x").path) == ("a=b, c", 4, "/x")
    assert (Rooms.room, Rooms.seats) == ("lobby", 3)
    assert issubclass(made, Rooms)
    assert made.__name__ == "Rooms"


def test_without_options_the_class_is_the_same() -> None:
    """Nothing is made where nothing is set."""
    assert with_options(Rooms, parsed([])) is Rooms


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (["room"], "--ws-dialect-option must be NAME=VALUE (got 'room')"),
        (["=x"], "--ws-dialect-option must be NAME=VALUE (got '=x')"),
        (["room=a", "room=b"], "--ws-dialect-option must set room only once (got 'room=b')"),
        (["seat=1"], "--ws-dialect-option is unknown: the dialect rooms has room, seats (got 'seat=1')"),
        (["seats=0"], "--ws-dialect-option seats must be a whole number, 1–9 (got '0')"),
    ],
)
def test_errors_say_what_is_allowed(given: list[str], problem: str) -> None:
    """What is wrong, and what is allowed."""
    with pytest.raises(InvalidSetting) as raised:
        with_options(Rooms, parsed(given))
    assert str(raised.value) == problem


def test_a_dialect_without_options_says_so() -> None:
    """An option that nobody reads is refused."""
    with pytest.raises(InvalidSetting, match="the dialect echo has no options"):
        with_options(Dialect.dialects["echo"], {"room": "x"})


def test_the_repeat_command_has_an_option_for_each() -> None:
    """Values may hold commas, so that each option stands by itself."""
    shown = command_options({"dialect_options": {"room": "a,b", "seats": "4"}})
    assert shown == ["--ws-dialect-option room=a,b", "--ws-dialect-option seats=4"]
    assert not any("dialect-option" in option for option in command_options({"dialect_options": {}}))
    assert PLAN.dialect_options == {}
