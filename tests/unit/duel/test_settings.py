"""What a duel can be asked for; what is refused is in tests/unit/test_option_errors.py, too."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadtest.duel.settings import DuelSettings, Side, parse_duration
from loadtest.errors import InvalidSetting, UsageError
from tests.support.duels import A, B
from tests.support.locusts import LOCUSTFILE


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


def test_the_default_user_comes_with_the_package() -> None:
    """No repository is needed."""
    settings = DuelSettings(a=A, b=B, arguments=("--ws-sessions", "30"))
    assert settings.locustfile.is_file()
    assert [path.name for path in settings.locustfile.parent.glob("*.py")] == ["locustfile.py"]
    assert settings.looks == (4, 8, 12)


@pytest.mark.parametrize(
    ("arguments", "warmup_s"),
    [
        ((), 3.0),
        (("--ws-warmup", "8"), 8.0),
        (("--ws-warmup=8",), 8.0),
        (("--ws-warm", "8"), 8.0),
        (("--ws-warmup", "9", "--ws-drops", "fin=1", "--ws-warmup", "8"), 8.0),
        (("--tags", "x", "--ws-seed", "8"), 3.0),
    ],
)
def test_the_warm_up_is_known(arguments: tuple[str, ...], warmup_s: float) -> None:
    """In every form that Locust takes; else it is that of the default user."""
    settings = DuelSettings(a=A, b=B, arguments=arguments)
    assert settings.warmup_s == warmup_s
    assert DuelSettings(a=A, b=B, arguments=arguments, duration_s=int(10 + warmup_s))
    with pytest.raises(InvalidSetting, match=f"--duration must be at least {10 + warmup_s:g}s"):
        DuelSettings(a=A, b=B, arguments=arguments, duration_s=int(9 + warmup_s))


def test_a_locustfile_of_ones_own_may_have_another_warm_up() -> None:
    """Only what is given besides is known then."""
    assert DuelSettings(a=A, b=B, duration_s=10, locustfile=LOCUSTFILE).warmup_s == 0.0
    with pytest.raises(InvalidSetting, match="must be at least 13s"):
        DuelSettings(a=A, b=B, duration_s=10, locustfile=LOCUSTFILE, arguments=("--ws-warmup", "3"))


def test_the_environment_may_set_the_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of any locustfile; an argument wins."""
    monkeypatch.setenv("LOCUST_WS_WARMUP", "0")
    assert DuelSettings(a=A, b=B, duration_s=12).warmup_s == 0.0
    assert DuelSettings(a=A, b=B, arguments=("--ws-warmup", "4")).warmup_s == 4.0
    monkeypatch.setenv("LOCUST_WS_WARMUP", "5")
    with pytest.raises(InvalidSetting, match="must be at least 15s"):
        DuelSettings(a=A, b=B, duration_s=12, locustfile=LOCUSTFILE)
    monkeypatch.setenv("LOCUST_WS_WARMUP", "")
    assert DuelSettings(a=A, b=B).warmup_s == 3.0


@pytest.mark.parametrize(
    ("name", "text", "warmup_s"),
    [
        ("locust.conf", "ws-rate = 2\nws-warmup = 0\n", 0.0),
        ("locust.conf", "  --ws-warm=0\n", 0.0),
        ("pyproject.toml", '[tool.locust]\n"ws-warmup" = 0\n', 0.0),
        ("other.conf", "ws-warmup = 0\n", 0.0),
        ("locust.conf", "ws-rate = 2\n# ws-warmup = 0\n", 3.0),
        ("unread.conf", "ws-warmup = 0\n", 3.0),
        (".locust.conf", "ws-warmup = 0\n", 0.0),
    ],
)
def test_a_configuration_file_may_set_the_warm_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, text: str, warmup_s: float
) -> None:
    """Locust reads it; the duel then leaves the length of its runs to the user."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    tmp_path.joinpath(name).write_text(text, encoding="utf-8")
    arguments = ("--config", "other.conf")
    assert DuelSettings(a=A, b=B, arguments=arguments, duration_s=13).warmup_s == warmup_s


STARTED = {
    "a": Side(role="a", revision="v41", command=("serve", "{port}")),
    "b": Side(role="b", revision="v42", command=("serve", "{port}")),
}


def followed(*arguments: str, **changes: Any) -> tuple[str, ...]:
    """Return the roles whose server's output is followed in a duel that starts both servers."""
    return DuelSettings(**STARTED | {"arguments": arguments} | changes).followed


@pytest.mark.parametrize(
    ("changes", "restarted", "pairs_per_unit", "looks"),
    [
        ({}, ("a", "b"), 1, (4, 8, 12)),
        ({"restart_every": 3}, ("a", "b"), 3, (4,)),
        ({"restart_every": 3, "pairs": 37}, ("a", "b"), 3, (4, 8, 12, 13)),
        ({"restart_every": 0}, (), 1, (4, 8, 12)),
        ({"restart_every": 50}, ("a", "b"), 50, (1,)),
        ({"a": A}, ("b",), 1, (4, 8, 12)),
        ({"a": A, "restart_every": 2}, ("b",), 2, (4, 6)),
        ({"a": A, "b": B, "restart_every": 2}, (), 1, (4, 8, 12)),
    ],
)
def test_pairs_between_two_restarts_are_one_unit(
    changes: dict[str, Any], restarted: tuple[str, ...], pairs_per_unit: int, looks: tuple[int, ...]
) -> None:
    """Only commands restart; where nothing does, each pair is a unit, and the duel says what that means."""
    settings = DuelSettings(**STARTED | changes)
    assert (settings.restarted, settings.pairs_per_unit, settings.looks) == (restarted, pairs_per_unit, looks)


def test_the_order_is_drawn_from_the_seed_of_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as it is known; a locustfile of one's own may set another, which changes nothing here."""
    assert DuelSettings(a=A, b=B).order_seed == 1
    assert DuelSettings(a=A, b=B, arguments=("--ws-seed", "7")).order_seed == 7
    assert DuelSettings(a=A, b=B, locustfile=LOCUSTFILE).order_seed == 1
    monkeypatch.setenv("LOCUST_WS_SEED", "9")
    assert DuelSettings(a=A, b=B, locustfile=LOCUSTFILE).order_seed == 9


def test_the_output_of_servers_that_it_starts_is_followed() -> None:
    """Of both or none: one log alone shows faults that the other may have; how to read it may be given."""
    assert followed() == ("a", "b")
    assert followed(a=A) == followed(b=B) == ()
    assert followed(a=A, b=B) == ()
    how = ("--ws-server-log-format", "json", "--ws-server-log-errors=3", "--ws-server-log-r", "rules.toml")
    assert followed(*how, "--ws-seed", "8") == ("a", "b")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--ws-server-log", "server.log"),
        ("--ws-server-log=server.log",),
        ("--ws-server-log", "-"),
        ("--ws-server-log-cmd", "docker logs -f server"),
        ("--ws-server-log-c=docker logs",),
    ],
)
def test_a_log_that_the_user_names_is_followed_in_its_place(arguments: tuple[str, ...]) -> None:
    """In every form that Locust takes."""
    assert followed(*arguments) == ()


def test_a_log_may_be_named_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In the environment, a configuration file or the locustfile, if these set one."""
    monkeypatch.chdir(tmp_path)
    for variable in ("LOCUST_WS_SERVER_LOG", "LOCUST_WS_SERVER_LOG_CMD"):
        with monkeypatch.context() as patched:
            patched.setenv(variable, "server.log")
            assert followed() == ()
    for text, roles in (
        ("ws-server-log = server.log\n", ()),
        ("ws-server-log-cmd = docker logs\n", ()),
        ("ws-server-log-format = json\n# ws-server-log = server.log\n", ("a", "b")),
    ):
        Path("locust.conf").write_text(text)
        assert followed() == roles
    Path("locust.conf").unlink()
    mine = Path("mine.py")
    for text, roles in (
        ("class Mine(WebSocketUser):\n    server_logs = 'server.log'\n", ()),
        ("class Mine(WebSocketUser):\n    server_log_cmd = 'docker logs'\n", ()),
        ("class Mine(WebSocketUser):\n    server_log_format = 'json'\n", ("a", "b")),
    ):
        mine.write_text(text)
        assert followed(locustfile=mine) == roles


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--ws-warmup", "soon"], "--ws-warmup must be 0–3600 seconds"),
        (["--ws-warmup"], "--ws-warmup: expected one argument"),
    ],
)
def test_a_bad_warm_up_is_refused_at_once(arguments: list[str], says: str) -> None:
    """Locust would refuse it only when the servers are up."""
    with pytest.raises(UsageError, match=says):
        DuelSettings(a=A, b=B, arguments=arguments)


@given(st.lists(st.one_of(st.sampled_from(["--ws-warmup", "--ws-warmup=", "--", "-", "--ws-"]), st.text())))
def test_whatever_follows_is_taken_or_refused(arguments: list[str]) -> None:
    """No text makes it fail in another way."""
    with suppress(UsageError):
        assert DuelSettings(a=A, b=B, arguments=arguments).warmup_s >= 0


def test_the_load_of_the_runs_is_known_as_far_as_the_duel_sets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """By arguments, the environment and the default user; a locustfile of your own may set anything else."""
    monkeypatch.setenv("LOCUST_WS_RATE", "3")
    arguments = ("--ws-sessions", "7", "--ws-drops", "fin=1", "--ws-storm", "0.5@9", "--ws-storm=1@4:fin")
    load = DuelSettings(a=A, b=B, users=2, arguments=arguments).load
    assert load is not None
    assert (load.sessions, load.rate, load.warmup_s, load.duration_s) == (14, 3.0, 3.0, 30)
    assert load.drops.weights == {"fin": 1.0}
    assert [str(storm) for storm in load.drops.storms] == ["1@4:fin", "0.5@9:reset"]
    assert DuelSettings(a=A, b=B, arguments=arguments, locustfile=LOCUSTFILE).load is None
    assert DuelSettings(a=A, b=B, arguments=(*arguments, "--ws-arrivals", "closed")).load is None
    assert DuelSettings(a=A, b=B, arguments=(*arguments, "--ws-rate", "0")).load is None
