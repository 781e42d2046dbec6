"""A process listing shows the arguments of a duel's runs without what may be a secret."""

import json
import sys

import pytest

from loadtest.locust_plugin.hidden_arguments import shown, started_with


def test_values_that_may_be_secret_are_not_shown() -> None:
    """Whole options and shortened ones, with = or without; other words stay as they are."""
    given = [
        *("--ws-token", "T0K", "--ws-header=A: T0K", "--ws-hea", "B: T0K", "--ws-path", "/ws?key=T0K"),
        *("--ws-token-cmd", "print T0K", "--ws-at=5:deploy T0K", "--ws-server-log-cmd", "logs T0K"),
        *("--host", "wss://h/ws?key=T0K&a={user}", "-u", "5", "--ws-rate", "2", "--ws-tls-insecure"),
    ]
    words = shown(given)
    assert "T0K" not in " ".join(words)
    assert len(words) == len(given)
    assert (
        words[-7:]
        == [*("--host", "wss://h/ws?key=***&a={user}", "-u", "5", "--ws-rate", "2", "--ws-tls-insecure")][-7:]
    )
    assert words[:3] == ["--ws-token", "***", "--ws-header=***"]


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        (["-Hwss://h?token=T0K"], ["-Hwss://h?token=***"]),
        (["-H=wss://h?T0K"], ["-H=wss://h?***"]),
        (["-H", "wss://h?token=T0K"], ["-H", "wss://h?token=***"]),
        (["--hos", "wss://h?token=T0K"], ["--hos", "wss://h?token=***"]),
        (["--ho=wss://h?token=T0K"], ["--ho=wss://h?token=***"]),
        (["--html", "a?b=c", "--headless"], ["--html", "a?b=c", "--headless"]),
    ],
)
def test_the_url_may_be_joined_to_its_option_or_the_option_shortened(
    given: list[str], seen: list[str]
) -> None:
    """As argparse allows; the query's values are not shown, and other options stay as they are."""
    assert shown(given) == seen


def test_the_process_gets_them_in_its_environment() -> None:
    """The environment, which only the process's user may read, has the arguments as they were given."""
    command, environment = started_with(["-f", "x.py", "--ws-token", "T0K"])
    assert command[0] == sys.executable
    assert command[-4:] == ["-f", "x.py", "--ws-token", "***"]
    assert [json.loads(value) for value in environment.values()] == [["-f", "x.py", "--ws-token", "T0K"]]
