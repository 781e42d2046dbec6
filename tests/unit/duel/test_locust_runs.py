"""Locust's arguments for a run of a duel."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from loadtest.duel import locust_runs
from loadtest.duel.locust_runs import arguments_of, run_at_once
from loadtest.duel.logged_process import LoggedProcess
from loadtest.duel.settings import DuelSettings
from loadtest.errors import LoadtestError
from loadtest.options import SETTINGS
from tests.support.duels import A, B


@pytest.mark.parametrize(
    ("given", "spawn_rate"),
    [((), 8.0), (("-r", "2"), 2.0), (("--spawn-rate", "2"), 2.0), (("--spawn-rate=0.5",), 0.5)],
)
def test_the_spawn_rate_of_the_users_arguments_holds(given: tuple[str, ...], spawn_rate: float) -> None:
    """A suggested duel names that of its run; else all users start at once."""
    settings = DuelSettings(a=A, b=B, users=8, arguments=(*given, "--user=3"))
    parser = argparse.ArgumentParser()
    parser.add_argument("-r", "--spawn-rate", type=float)
    parser.add_argument("-u", "--users", type=int)
    found, _ = parser.parse_known_args(arguments_of(settings, A, A.url, None))
    assert (found.spawn_rate, found.users) == (spawn_rate, 8)


def test_a_run_has_nothing_that_is_the_duels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what is left for CI nor a port, which two runs at once cannot have: variables are inherited."""
    begun: list[Mapping[str, str]] = []

    def begin(_command: Sequence[str], *, log: Path, environment: Mapping[str, str]) -> LoggedProcess:
        begun.append(environment)
        raise LoadtestError(str(log))

    monkeypatch.setattr(locust_runs, "LoggedProcess", begin)
    for attribute in ("prometheus_port", "summary_file", "junit_file", "github"):
        monkeypatch.setenv(SETTINGS[attribute].variable, "9646")
    settings = DuelSettings(a=A, b=B, users=8, results=tmp_path)
    with pytest.raises(LoadtestError, match=r"a\.log"):
        run_at_once(
            settings, [A.role], urls={A.role: A.url}, logs={A.role: tmp_path / "a.log"}, server_logs={}
        )
    (environment,) = begun
    assert {name: environment[name] for name in environment if environment[name] == "9646"} == {}
    assert environment["LOCUST_WS_PROMETHEUS"] == ""
