"""What a duel can be asked for, what is known of its runs beforehand, and what is refused at once."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadtest.duel.settings import (
    USUAL,
    DuelSettings,
    Foreseen,
    Side,
    check_judgeable,
    foresee,
    parse_duration,
)
from loadtest.errors import InvalidSetting, UsageError
from tests.support.duels import A, B
from tests.support.locusts import LOCUSTFILE
from tests.support.runs import plan


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


@pytest.mark.parametrize(
    ("arguments", "environment", "warmup_s"),
    [
        (["--ws-warmup", "8"], {}, 8.0),
        (["--ws-warmup=8"], {}, 8.0),
        (["--ws-warm", "8"], {}, 8.0),
        (["--ws-warmup", "9", "--ws-drops", "fin=1", "--ws-warmup", "8"], {}, 8.0),
        ([], {"LOCUST_WS_WARMUP": "8"}, 8.0),
        (["--ws-warmup", "8"], {"LOCUST_WS_WARMUP": "9"}, 8.0),
        (["--tags", "x", "--ws-seed", "8"], {"LOCUST_WS_RATE": "2"}, 3.0),
    ],
)
def test_options_and_environment_are_known(
    arguments: list[str], environment: dict[str, str], warmup_s: float
) -> None:
    """In every form that Locust takes; the command line wins."""
    assert foresee(arguments, environment, otherwise=USUAL).warmup_s == warmup_s


CONFIG_FILES = {
    "home/.locust.conf": "users = 5\nws-warmup = 1\n",
    "locust.conf": "--ws-warmup 1\n",
    "pyproject.toml": "[tool.locust]\nws-warmup = 1\n",
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to start duels in, with a home in it, and no configuration file."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", CONFIG_FILES)
def test_what_a_configuration_file_may_say_is_not_known(name: str, here: Path) -> None:
    """A duel that would do with it is let pass; what wins over the file is known as ever."""
    (here / name).write_text(CONFIG_FILES[name])
    assert DuelSettings(a=A, b=B, duration_s=12).foreseen == Foreseen()
    with pytest.raises(InvalidSetting, match="Give at least 13s"):
        DuelSettings(a=A, b=B, duration_s=12, arguments=["--ws-warmup", "3"])


@pytest.mark.parametrize("arguments", [["--config", "mine.conf"], ["--config=mine.conf"]])
def test_nor_is_what_one_of_ones_own_may_say(arguments: list[str], here: Path) -> None:
    """Wherever it is, and whatever is in it."""
    assert DuelSettings(a=A, b=B, arguments=arguments).foreseen == Foreseen()
    assert here.exists()


@pytest.mark.parametrize(
    "text", ["", "users = 5\nheadless\n", "[tool.news-reader]\nos = 'windows-latest'\n", "\xff\0"]
)
def test_other_configuration_says_nothing(text: str, here: Path) -> None:
    """A file without a key of ours leaves the usual as it is, and so does one that cannot be read."""
    for name in CONFIG_FILES:
        (here / name).write_text(text, encoding="latin-1")
    (here / "locust.conf").unlink()
    (here / "locust.conf").mkdir()
    assert DuelSettings(a=A, b=B).foreseen == USUAL


def test_what_is_known_is_found_out_once(here: Path) -> None:
    """It is asked for run by run, and is about the moment at which the duel was asked for."""
    duel = DuelSettings(a=A, b=B)
    (here / "locust.conf").write_text("ws-warmup = 1")
    assert duel.foreseen is duel.foreseen
    assert duel.foreseen == USUAL


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--ws-warmup", "soon"], "--ws-warmup: 'soon' is not seconds"),
        (["--ws-sessions", "2.5"], "--ws-sessions: '2.5' is not a number"),
        (["--ws-rate"], "--ws-rate: expected one argument"),
    ],
)
def test_what_locust_would_refuse_is_refused_at_once(arguments: list[str], says: str) -> None:
    """It would refuse it only when the servers are up."""
    with pytest.raises(UsageError, match=says):
        DuelSettings(a=A, b=B, arguments=arguments)


@given(st.lists(st.one_of(st.sampled_from(["--ws-warmup", "--ws-rate=", "--", "-", "--ws-"]), st.text())))
def test_whatever_follows_is_known_or_refused(arguments: list[str]) -> None:
    """No text makes it fail in another way."""
    with suppress(UsageError):
        check_judgeable(foresee(arguments, {}, otherwise=USUAL), users=1, duration_s=30)


@pytest.mark.parametrize(
    ("foreseen", "users", "duration_s", "says"),
    [
        (
            USUAL,
            5,
            12,
            r"'12s' leaves 9 s after the warm-up of 3 s, 10 s are needed\. Give at least 13s, or a",
        ),
        (Foreseen(warmup_s=2.5), 5, 12, "Give at least 13s"),
        (Foreseen(warmup_s=99.0), 5, 12, "leaves 0 s .* Give at least 109s"),
        (Foreseen(warmup_s=float("inf")), 5, 12, "leaves 0 s"),
        (Foreseen(), 5, 9, r"leaves 9 s after the warm-up of 0 s, 10 s are needed\. Give at least 10s$"),
        (USUAL, 2, 14, r"440 messages at 40 a second, service p99 needs 1000\. Give 31s, or more --users"),
        (Foreseen(warmup_s=0.0, sessions=9, rate=0.0, arrivals="poisson"), 5, 60, "0 messages .* Give more"),
        (Foreseen(sessions=9, rate=1e-320, arrivals="constant"), 5, 60, "0 messages .* Give more"),
    ],
)
def test_runs_that_could_never_be_judged_are_refused(
    foreseen: Foreseen, users: int, duration_s: int, says: str
) -> None:
    """With the limit and what to change."""
    with pytest.raises(InvalidSetting, match=says):
        check_judgeable(foreseen, users=users, duration_s=duration_s)


@pytest.mark.parametrize(
    "foreseen",
    [
        USUAL,
        Foreseen(),
        Foreseen(warmup_s=20.0),
        Foreseen(sessions=1, rate=0.1),
        Foreseen(sessions=1, rate=0.1, arrivals="closed"),
        Foreseen(warmup_s=float("nan"), sessions=1, rate=-1.0, arrivals="constant"),
        Foreseen(sessions=10**400, rate=1.0, arrivals="constant"),
    ],
)
def test_what_is_not_known_to_be_too_little_is_let_pass(foreseen: Foreseen) -> None:
    """A locustfile's class may set it otherwise; what no run can have, Locust refuses in its own words."""
    check_judgeable(foreseen, users=5, duration_s=30)


def test_a_locustfile_of_ones_own_may_have_set_it_otherwise() -> None:
    """Only what is given besides is known then."""
    assert DuelSettings(a=A, b=B, duration_s=10, locustfile=LOCUSTFILE).foreseen == Foreseen()
    with pytest.raises(InvalidSetting, match="Give at least 13s"):
        DuelSettings(a=A, b=B, duration_s=10, locustfile=LOCUSTFILE, environment={"LOCUST_WS_WARMUP": "3"})


def test_a_plan_agrees_as_far_as_is_known() -> None:
    """Anything else is another plan."""
    assert Foreseen().agrees(plan(rate=7.0))
    assert Foreseen(rate=7.0, arrivals="constant").agrees(plan(rate=7.0))
    assert not Foreseen(rate=7.0).agrees(plan(rate=7.5))
    assert not Foreseen(warmup_s=0.5).agrees(plan(warmup_s=0.0))
