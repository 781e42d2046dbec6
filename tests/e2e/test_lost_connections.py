"""Connections that a server ends unasked, in whole runs: told at once, judged, allowed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.examples import failed, stranger
from tests.support.locusts import LocustProcess, two_workers

PLAN = (
    *("--ws-dialect", "echo", "--ws-sessions", "10", "--ws-rate", "5", "--ws-drop-every", "4"),
    *("--ws-drops", "close=1,fin=1,slow_reader=1", "--ws-backoff", "constant(0.2)", "--ws-warmup", "1"),
    *("--ws-baseline", "none"),
)


@pytest.mark.parametrize("workers", [1, 2])
def test_losses_fail_stability_and_nothing_else(workers: int, tmp_path: Path) -> None:
    """Beside drops and over all workers; the terminal says so while the run goes on."""
    with stranger("unstable", "1011") as url:
        given = ("--host", url.replace("http://", "ws://"), *PLAN, *(two_workers() if workers == 2 else ()))
        with LocustProcess(tmp_path, *given, seconds=9) as locust:
            finished = locust.wait()
    summary, _ = failed(finished, "stability")
    assert "INCONCLUSIVE" not in finished.rulings.values()
    evidence = finished.evidence("stability")
    lost = [event for event in finished.events if event["event"] == "lost"]
    assert evidence["lost"] == len(lost) == finished.counts["losses.1011"] > 50
    assert f"{len(lost)} x 1011 'enough'" in summary
    assert evidence["away"] == []
    assert 1 <= len(re.findall(r"WARNING.*\d+ connections? lost: 1011 \(\d+\)", finished.output)) <= 10
    assert re.search(r" lost_connections=[1-9]\d* ", finished.output)
    assert "unasked" not in str(finished.verdict["generator"]) + str(finished.verdict["notes"])


def test_allowed_losses_pass(tmp_path: Path) -> None:
    """The same server, with its code allowed: the run passes and says what it allowed."""
    with stranger("unstable", "1011") as url:
        given = ("--host", url.replace("http://", "ws://"), *PLAN, "--ws-allow-losses", "1011=any")
        with LocustProcess(tmp_path, *given, seconds=9) as locust:
            finished = locust.wait()
    assert finished.exit_code == 0, finished.output
    assert finished.rulings["stability"] == "PASS"
    assert "; allowed: 1011=any" in (finished.run / "verdict.json").read_text()
