"""Settings, from option, environment, web form and user class to the engine's plan and run.json."""

from __future__ import annotations

import argparse
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loadtest.drops.plan import DropPlan, OnceInTurn, Storm
from loadtest.errors import InvalidSetting
from loadtest.locust_plugin.load_settings import LoadSettings, load_settings
from loadtest.locust_plugin.parser import given_values
from loadtest.results.manifest import comparability_hash
from loadtest.statistics.margins import GATES, parse_margins
from tests.support.locusts import LocustProcess
from tests.support.places import ROOT

EARLY, LATE = Storm(at_s=10.0, share_ratio=0.2, kind="fin"), Storm(at_s=30.0, share_ratio=0.5)


SettingsOf = Callable[..., LoadSettings]


@pytest.fixture(scope="module")
def settings_of() -> SettingsOf:
    """Return what gives the settings of a user class; attributes not told are those of `WebSocketUser`.

    Its attributes are asked for in a process of its own: importing Locust patches the standard library.
    """
    script = (
        "import pickle, sys\n"
        "from loadtest import WebSocketUser\n"
        "sys.stdout.buffer.write(pickle.dumps(WebSocketUser.values()))"
    )
    told = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True, cwd=ROOT)
    usual: dict[str, Any] = pickle.loads(told.stdout)
    return lambda **values: load_settings(usual | {"revision": "v1"} | values, "ws://127.0.0.1:9")


def given(*texts: str) -> dict[str, Any]:
    """Return what the options say where --ws-storm was given so many times."""
    return given_values(argparse.Namespace(ws_storm=list(texts) or None))


def test_by_default_there_is_no_storm(settings_of: SettingsOf) -> None:
    """Neither in the plan of the engine nor in the manifest."""
    settings = settings_of()
    assert settings.engine.drops == DropPlan()
    assert settings.plan.storms == ()
    assert given() == {}


@pytest.mark.parametrize(
    "storms",
    ["50%@30,0.2@10:fin", ("0.5@30", "0.2@10:fin"), given("0.5@30", "0.2@10:fin")["storms"]],
    ids=["text", "texts", "options"],
)
def test_storms_are_in_the_engines_plan_and_in_run_json(storms: Any, settings_of: SettingsOf) -> None:
    """However they are given, engine and manifest hold the same storms, in the order of time."""
    settings = settings_of(storms=storms, seed=7)
    assert settings.engine.drops == DropPlan(seed=7, storms=(EARLY, LATE))
    assert settings.plan.storms == (EARLY, LATE)
    assert settings.plan.drops_planned


def test_storms_make_runs_incomparable_and_their_order_does_not(settings_of: SettingsOf) -> None:
    """Who compares runs compares the same storms."""
    hashes = [comparability_hash(settings_of(storms=storms).plan) for storms in ("", "1@5,1@6", "1@6,1@5")]
    assert hashes[0] != hashes[1] == hashes[2]


def test_storms_without_any_other_drops_are_drops(settings_of: SettingsOf) -> None:
    """A plan of a storm alone drops sessions on purpose."""
    assert settings_of(storms="0.5@30", drop_every_s=0.0).plan.drops_planned
    assert not settings_of(drop_every_s=0.0).plan.drops_planned


def test_a_plan_of_ones_own_keeps_its_storms_until_others_are_asked_for(settings_of: SettingsOf) -> None:
    """Storms are added to a user's own plan; a cleared field of the web form takes them away."""
    own = OnceInTurn(4.0, storms=(EARLY,))
    assert settings_of(drops=own).engine.drops is own
    assert settings_of(drops=own, storms="0.5@30").engine.drops == OnceInTurn(4.0, storms=(LATE,))
    assert settings_of(drops=own, **given("")).engine.drops == OnceInTurn(4.0)


@pytest.mark.parametrize("storms", ["half@30", ("0.5@30", "0.5@30:hail"), "2@30"])
def test_storms_that_cannot_be_are_refused_by_the_options_name(storms: Any, settings_of: SettingsOf) -> None:
    """The error names the option as it is typed."""
    with pytest.raises(InvalidSetting, match=r"^--ws-storm: '.*\. "):
        settings_of(storms=storms)


@pytest.mark.parametrize(
    "margins",
    ["p50=8%,outage=50ms", ("p50=8%", "outage=50ms")],
    ids=["text", "texts"],
)
def test_margins_are_settings_and_no_part_of_the_plan(margins: Any, settings_of: SettingsOf) -> None:
    """However they are given; runs that are judged by others stay comparable."""
    settings, usual = settings_of(margins=margins), settings_of()
    assert settings.gates == parse_margins(["p50=8%,outage=50ms"])
    assert usual.gates == GATES
    assert settings.plan == usual.plan


def test_a_margin_that_cannot_be_is_refused_by_the_options_name(settings_of: SettingsOf) -> None:
    """The error names the option as it is typed."""
    with pytest.raises(InvalidSetting, match=r"^--ws-margin: 'p50=8' is no margin\. "):
        settings_of(margins="p50=8")


def test_a_bad_storm_in_the_environment_is_one_clear_line(tmp_path: Path) -> None:
    """The option has its name in the environment, and what is wrong there is a usage error, too."""
    with LocustProcess(tmp_path, seconds=5, environment={"LOCUST_WS_STORM": "200%@30"}) as locust:
        finished = locust.wait(30)
    assert finished.exit_code == 2, finished.output
    (error,) = [line for line in finished.output.splitlines() if line.startswith("Error: ")]
    assert error.startswith("Error: --ws-storm: '2@30:reset' has no share of the sessions")
