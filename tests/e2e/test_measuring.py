"""Honest latency, through real runs: coordinated omission shows, and a saturated generator voids latency."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loadtest.results.reader import read_run
from loadtest.server.server_process import ServerProcess
from tests.support.locusts import Finished, LocustProcess
from tests.support.serverclient import wait_for

ECHO = ("--ws-dialect", "echo", "--ws-drop-every", "0")


def _wait_for_interval(results: Path, number: int) -> None:
    """Wait until a run has written so many intervals."""
    wait_for(
        lambda: any(path.read_bytes().count(b"\n") >= number for path in results.glob("*/*/intervals.jsonl")),
        what=f"{number} intervals",
    )


@contextmanager
def _frozen(pid: int) -> Iterator[None]:
    """Hold a process still."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.alone
def test_a_frozen_server_shows_in_response_time_only(tmp_path: Path) -> None:
    """A server that freezes for 2 s: one request a session waits, and all that were due meanwhile with it.

    Service time, which counts from the actual send, has a single slow request a session, beyond its p99;
    response time, which counts from the planned send, has all of them. The report says so.
    """
    arguments = (*ECHO, "--ws-sessions", "10", "--ws-rate", "20", "--ws-in-flight", "1")
    with (
        ServerProcess() as server,
        LocustProcess(tmp_path, *arguments, "--host", server.url, seconds=11) as locust,
    ):
        _wait_for_interval(tmp_path, 3)
        with _frozen(server.pid):
            time.sleep(2)
        finished = locust.wait()
    assert finished.rulings["messaging"] == "PASS", finished.output
    evidence = read_run(finished.run)
    assert evidence.percentiles_us("service", (99,))[99] < 500_000
    assert evidence.percentiles_us("response", (99,))[99] > 1_000_000
    assert "coordinated omission" in (finished.run / "report.html").read_text()


def _saturated(results: Path, server: ServerProcess, *arguments: str) -> Finished:
    """Run far more than a core can do: fifty thousand messages a second."""
    load = (*ECHO, "--ws-sessions", "50", "--ws-rate", "500", "--ws-warmup", "1")
    with LocustProcess(results, *load, *arguments, "--host", server.url, seconds=5) as locust:
        return locust.wait()


@pytest.mark.alone
def test_a_saturated_generator_cannot_judge_latency(tmp_path: Path) -> None:
    """A generator that cannot keep up makes latency INCONCLUSIVE, and says what to change."""
    with ServerProcess() as server:
        baseline = _saturated(tmp_path / "one", server)
        finished = _saturated(tmp_path / "two", server, "--ws-baseline", str(baseline.run))
    assert finished.verdict["generator"]["valid"] is False, finished.output
    assert any("more workers" in problem for problem in finished.verdict["generator"]["problems"])
    assert finished.rulings["latency"] == "INCONCLUSIVE"
    assert "more workers" in finished.output
    assert finished.exit_code in (1, 4)
