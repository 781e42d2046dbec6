"""Reports of a run of several user classes: a section or suite for each, and what only the run shows."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from loadtest.report.html import html
from loadtest.report.judged_run import JudgedRun
from loadtest.report.junit import junit
from loadtest.report.markdown import summary
from loadtest.report.terminal import print_verdict
from loadtest.results.interval import pack
from loadtest.results.manifest import ServerGauge, UserClass
from loadtest.results.user_classes import fields_of
from loadtest.ruling import Ruling
from loadtest.verdict.run import judge
from tests.support.runs import SOUND_COUNTS, SOUND_GAUGES, gathered, interval, manifest, plan

LEAKING = ServerGauge(source="http://h/metrics#open", before=0, peak=200, after=90, waited_s=30)


def judged(*, corrupted: int = 0, gauge: ServerGauge | None = None) -> JudgedRun:
    """Return a run of two classes; replies of the second may be altered."""
    classes = [
        UserClass(name="Chat", plan=plan()),
        UserClass(name="Market", plan=plan(dialect="echo", rate=9.0)),
    ]
    fields = fields_of(classes, several=True)
    made = manifest(run_plan=fields.pop("plan"), server_gauge=gauge, **fields)
    recorded = []
    for second in range(12):
        for name in ("Chat", "Market"):
            bad = corrupted if name == "Market" else 0
            altered = {
                "messaging.answered": SOUND_COUNTS["messaging.answered"] - bad,
                "messaging.corrupted": bad,
            }
            counts = {**SOUND_COUNTS, **altered} if second == 8 else {}
            samples = {"service": [1000] * 50, "send_slip": [50], "loop_lag": [100]}
            one = interval(second, counts=counts, gauges=SOUND_GAUGES, samples_us=samples)
            recorded.append(pack(one, user=name))
    run = gathered(recorded, made)
    return JudgedRun(path=Path("results/v1/run"), results=Path("results"), run=run, verdict=judge(run))


def suites(of: JudgedRun) -> dict[str, dict[str, int]]:
    """Return the numbers of failures and of tests by suite."""
    root = ElementTree.fromstring(junit(of))
    return {
        suite.get("name", ""): {name: int(suite.get(name, 0)) for name in ("failures", "tests")}
        for suite in root
    }


def test_junit_has_a_suite_for_each_class() -> None:
    """A class that fails has the failure; the run's own suite has what is judged for the run."""
    assert suites(judged(corrupted=40)) == {
        "loadtest": {"failures": 0, "tests": 1},
        "loadtest.Chat": {"failures": 0, "tests": 7},
        "loadtest.Market": {"failures": 1, "tests": 7},
    }


def test_what_only_the_run_shows_is_not_lost() -> None:
    """The server's gauge fails the run and no class: reports that count failures must not pass."""
    failing = judged(gauge=LEAKING)
    assert failing.verdict.verdict is Ruling.FAIL
    assert suites(failing)["loadtest"] == {"failures": 1, "tests": 2}
    assert "- ❌ FAIL **cleanup**: " in summary(failing)


@pytest.mark.parametrize("corrupted", [0, 40])
def test_people_see_each_class(corrupted: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Markdown has a row for each, HTML and the terminal a part, with its own verdict."""
    of = judged(corrupted=corrupted)
    text = summary(of)
    assert "| `Chat` | PASS | - | - |" in text
    assert f"| `Market` | {'FAIL | messaging' if corrupted else 'PASS | -'} | - |" in text
    assert ("- ❌ FAIL **messaging** of `Market`: " in text) == bool(corrupted)
    page = html(of)
    assert page.count('<h2 id="class-1">Chat ') == page.count('<h2 id="class-2">Market ') == 1
    assert 'id="class-1-latency-over-time"' in page
    assert 'id="class-2-percentiles"' in page
    assert "Plan of Market" in page
    print_verdict(of)
    shown = capsys.readouterr().out
    assert "\nChat: PASS" in shown
    assert f"\nMarket: {'FAIL' if corrupted else 'PASS'}" in shown


def test_the_command_repeats_what_classes_have_alike() -> None:
    """What differs is in the locustfile: an option would give it to all."""
    command = " ".join(judged().command)
    assert "--ws-backoff" in command
    assert "-u 10 " in command
    assert "--ws-rate" not in command
    assert "--ws-dialect" not in command
