"""What a duel can be asked for, and what is refused before anything is started."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadtest.duel.settings import DuelSettings, Side, parse_duration
from loadtest.errors import InvalidSetting, UsageError

A = Side(role="a", revision="v41", url="ws://127.0.0.1:1")
B = Side(role="b", revision="v42", url="ws://127.0.0.1:2")


@pytest.mark.parametrize(
    ("text", "seconds"), [("30", 30), ("30s", 30), ("5m", 300), ("1h30m", 5400), (" 1h1m1s ", 3661)]
)
def test_durations_are_locusts(text: str, seconds: int) -> None:
    """As `locust -t` takes them."""
    assert parse_duration(text) == seconds


@given(st.text(max_size=20))
@example("")
@example("s")
@example("1.5m")
@example("-3s")
@example("٣s")
@example("9" * 400)
def test_any_other_duration_is_refused(text: str) -> None:
    """Whatever is written there is a number of seconds or refused."""
    with suppress(InvalidSetting):
        assert parse_duration(text) >= 0


def test_a_side_is_a_url_or_a_command() -> None:
    """Its name is the side's, unless it has one; a command is words, for no shell."""
    given_url = Side.given("a", url="wss://old.example.org", command=None, revision=None)
    assert (given_url.revision, given_url.url, given_url.command) == ("a", "wss://old.example.org", ())
    given_command = Side.given("b", url=None, command="serve 'my file' {port} ; rm", revision="v42")
    assert list(given_command.command) == ["serve", "my file", "{port}", ";", "rm"]


@pytest.mark.parametrize(
    ("given_side", "says"),
    [
        ({}, "are both missing"),
        ({"url": "ws://h", "command": "x"}, "are both given"),
        ({"url": "ftp://h"}, "is no WebSocket URL"),
        ({"url": "ws://user:pw@h"}, "holds credentials"),
        ({"command": "serve 'unclosed"}, "cannot be read"),
        ({"command": "''"}, "is empty"),
        ({"command": " "}, "is empty"),
        ({"url": "ws://h", "revision": " "}, "is empty"),
    ],
)
def test_a_side_that_cannot_be_is_refused(given_side: dict[str, str], says: str) -> None:
    """With the option that is wrong."""
    values: dict[str, str | None] = {"url": None, "command": None, "revision": None} | given_side
    with pytest.raises(InvalidSetting, match=says):
        Side.given("a", **values)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"b": Side(role="b", revision="v41", url="ws://h")}, "is that of a, too"),
        ({"pairs": 0}, "--pairs: 0 is out of range"),
        ({"users": 0}, "--users: 0 is out of range"),
        ({"duration_s": 0}, "--duration: 0 is out of range"),
        ({"duration_s": 12}, "--duration: '12s' leaves 9 s after the warm-up of 3 s"),
        ({"start_timeout_s": math.nan}, "--start-timeout: nan is out of range"),
        ({"locustfile": Path("nowhere.py")}, "is no file"),
        ({"arguments": ("--ws-rate", "5", "--host=ws://h")}, "Use --a and --b"),
        ({"arguments": ("--ws-margin=p50=8%",)}, "Use --margin"),
        ({"arguments": ("-t", "5s")}, "Use --duration"),
        ({"arguments": ("--ws-revision", "x")}, "Use --a-revision"),
    ],
)
def test_a_duel_that_cannot_be_is_refused(changes: dict[str, Any], says: str) -> None:
    """Numbers out of range, sides that could not be told apart, options that the duel itself sets."""
    with pytest.raises(UsageError, match=says):
        DuelSettings(**{"a": A, "b": B} | changes)


def test_the_default_user_comes_with_the_package() -> None:
    """No repository is needed."""
    settings = DuelSettings(a=A, b=B, arguments=("--ws-sessions", "30"))
    assert settings.locustfile.is_file()
    assert [path.name for path in settings.locustfile.parent.glob("*.py")] == ["locustfile.py"]
    assert settings.looks == (4, 8, 12)
