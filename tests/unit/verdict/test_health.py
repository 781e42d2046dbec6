"""The item health: what probes alone have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from loadtest.report.html import html
from loadtest.report.judged_run import JudgedRun
from loadtest.report.junit import junit
from loadtest.report.markdown import summary
from loadtest.report.terminal import print_verdict
from loadtest.results.data import RunData
from loadtest.results.manifest import Manifest
from loadtest.ruling import Ruling
from loadtest.transport.http_health import Health
from loadtest.verdict.items import ITEMS
from loadtest.verdict.run import judge
from tests.support.runs import manifest, sound

URL = "https://staging.example.org/health"


def probe(health: Health | None, **changes: Any) -> Manifest:
    """Return the manifest of a probe to which the health endpoint answered this."""
    return manifest(made_by="probe", health=health, **changes)


def answered(status: int | None, problem: str = "") -> Health:
    """Return the response of a health endpoint."""
    return Health(url=URL, path="/health", status=status, took_ms=3.0, problem=problem)


def probed(health: Health | None) -> RunData:
    """Return a sound run that was a probe."""
    return sound(of=probe(health))


@pytest.mark.parametrize(
    ("health", "ruling", "said"),
    [
        (answered(200), Ruling.PASS, "GET /health: HTTP 200 after 3 ms"),
        (answered(204), Ruling.PASS, "GET /health: HTTP 204 after 3 ms"),
        (
            answered(302),
            Ruling.FAIL,
            "GET /health: HTTP 302 after 3 ms; the status must be 200 to 299",
        ),
        (
            answered(404),
            Ruling.FAIL,
            "GET /health: HTTP 404 after 3 ms; the status must be 200 to 299",
        ),
        (
            answered(503),
            Ruling.FAIL,
            "GET /health: HTTP 503 after 3 ms; the status must be 200 to 299",
        ),
        (
            answered(None, "ConnectionRefusedError: refused"),
            Ruling.FAIL,
            "GET /health: ConnectionRefusedError: refused after 3 ms",
        ),
        (None, Ruling.NOT_JUDGED, "the dialect has no health endpoint: set one with --health-path"),
    ],
)
def test_health_is_its_response(health: Health | None, ruling: Ruling, said: str) -> None:
    """A status of success passes; any other, or none, fails this item and no other."""
    verdict = judge(probed(health))
    item = verdict.item("health")
    assert (item.verdict, item.summary) == (ruling, said)
    assert verdict.items[-1] is item
    assert verdict.verdict is (Ruling.FAIL if ruling is Ruling.FAIL else Ruling.PASS)
    assert [one.item for one in verdict.items if one.verdict is Ruling.FAIL] == (
        ["health"] if ruling is Ruling.FAIL else []
    )
    if health is not None:
        assert (item.evidence.url, item.evidence.status) == (URL, health.status)


def test_other_runs_have_no_such_item() -> None:
    """A run of Locust's asks no health endpoint."""
    verdict = judge(sound())
    assert [item.item for item in verdict.items] == list(ITEMS)
    assert "health" not in ITEMS
    assert verdict.item("health").verdict is Ruling.NOT_JUDGED


def test_every_report_shows_it(capsys: pytest.CaptureFixture[str]) -> None:
    """The item, its verdict and its next step stand in each, though connect failed too."""
    run = sound({"connect.attempts": 100, "connect.failed": 100}, of=probe(answered(404)))
    judged = JudgedRun(path=Path("run"), results=Path("results"), run=run, verdict=judge(run))
    print_verdict(judged)
    for form in (capsys.readouterr().out, summary(judged), html(judged), junit(judged).decode()):
        words = " ".join(re.sub(r"</?(code|span)[^>]*>|`", "", form).split())
        assert "HTTP 404 after 3 ms" in words
        assert "set another path with --health-path" in words


def test_a_probe_is_repeated_by_a_probe() -> None:
    """Its command names what the probe was given, quoted for a shell."""
    run = sound(of=probe(answered(200), locustfile="my files/chat.py"))
    command = " ".join(
        JudgedRun(path=Path("run"), results=Path("results"), run=run, verdict=judge(run)).command
    ).replace("\\ ", "")
    assert command.startswith("loadtest probe ")
    for given in ("-f 'my files/chat.py'", "--sessions 100", "--health-path /health", "--revision v1.0"):
        assert given in command


def test_a_run_is_repeated_with_its_own_locustfile() -> None:
    """The usual one stands for a run whose locustfile is not known."""
    for given, shown in (("users/chat.py", "users/chat.py"), (None, "locustfiles/ws.py")):
        run = sound(of=manifest(locustfile=given))
        judged = JudgedRun(path=Path("run"), results=Path("results"), run=run, verdict=judge(run))
        assert judged.command[0].startswith(f"locust -f {shown} --headless ")
