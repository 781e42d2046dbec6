"""A generator that stands still in the middle of a real run: it goes on, ends, and knows what happened."""

from __future__ import annotations

import itertools
import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from loadtest.results.interval import second_of
from loadtest.results.reader import read_run
from loadtest.server.server_process import ServerProcess
from tests.support.locusts import Finished, LocustProcess
from tests.support.serverclient import wait_for

STOPPED_S = 2.0

PEACE = ("--ws-dialect", "echo", "--ws-drop-every", "0", "--ws-warmup", "2", "--ws-reply-timeout", "8")

OUTCOMES = ("answered", "reordered", "corrupted", "late", "recovered", "lost", "lost_in_outage", "unfinished")


def _intervals(results: Path) -> list[dict[str, Any]]:
    """Return the intervals that a run has written so far."""
    written = b"".join(path.read_bytes() for path in results.glob("*/*/intervals.jsonl"))
    return [json.loads(line) for line in written.splitlines(keepends=True) if line.endswith(b"\n")]


def _stopped(results: Path, *arguments: str) -> Finished:
    """Run for 9 s, of which the process is stopped for 2."""
    with ServerProcess() as server:
        arguments = (*arguments, "--host", server.url)
        with LocustProcess(results, *arguments, seconds=9) as locust:
            wait_for(lambda: len(_intervals(results)) >= 4, what="four intervals")
            locust.interrupt(signal.SIGSTOP)
            time.sleep(STOPPED_S)
            locust.interrupt(signal.SIGCONT)
            return locust.wait(60)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Finished, Finished]:
    """The two runs, made at the same time."""
    peace, drops = tmp_path_factory.mktemp("peace"), tmp_path_factory.mktemp("drops")
    dropping = ("--ws-drop-every", "4", "--ws-backoff", "constant(0.3)", "--ws-sessions", "5")
    with ThreadPoolExecutor() as threads:
        in_peace = threads.submit(_stopped, peace, *PEACE, "--ws-rate", "2")
        with_drops = threads.submit(_stopped, drops, *PEACE, *dropping, "--ws-arrivals", "closed")
    return in_peace.result(), with_drops.result()


@pytest.fixture(scope="module")
def in_peace(both: tuple[Finished, Finished]) -> Finished:
    """A run without drops, with two messages a second and session."""
    return both[0]


@pytest.fixture(scope="module")
def with_drops(both: tuple[Finished, Finished]) -> Finished:
    """A run with drops whose sessions wait for each reply, so that no message is planned and none is late."""
    return both[1]


@pytest.fixture(params=["in_peace", "with_drops"])
def finished(request: pytest.FixtureRequest) -> Iterator[Finished]:
    """Either run."""
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]


def test_the_run_ends_by_itself(finished: Finished) -> None:
    """It is complete, without a gap or an overlap between its intervals, and the server passes."""
    assert finished.manifest["complete"] is True, finished.output
    assert "Traceback" not in finished.output
    assert finished.exit_code == 0, finished.output
    assert finished.rulings["connect"] == finished.rulings["messaging"] == "PASS"
    intervals = _intervals(finished.results)
    for earlier, later in itertools.pairwise(intervals):
        assert later["start_ns"] == earlier["stop_ns"]
    assert max(one["stop_ns"] - one["start_ns"] for one in intervals) > STOPPED_S * 1e9


def test_no_value_is_impossible(finished: Finished) -> None:
    """No sample is negative, none was clamped, and none is longer than the run."""
    evidence = read_run(finished.run)
    assert evidence.count("latency.clamped") == 0
    assert evidence.histograms
    for tag in evidence.histograms:
        assert evidence.percentiles_us(tag, (100,))[100] <= evidence.length_s * 1e6, tag


def test_the_books_balance(finished: Finished) -> None:
    """Every request that was sent has one outcome, and every outage one end."""
    counts = finished.counts
    assert counts["messaging.answered"] > 0
    assert counts["messaging.sent"] == sum(counts[f"messaging.{outcome}"] for outcome in OUTCOMES)
    assert counts["messaging.lost"] == counts["messaging.late"] == 0
    ends = ("resumed", "gave_up", "forbidden", "cut_short", "unresolved", "overdue")
    assert counts["reconnect.outages"] == sum(counts[f"reconnect.{end}"] for end in ends)


@pytest.mark.parametrize("tag", ["service", "response"])
def test_every_answer_is_one_sample(in_peace: Finished, tag: str) -> None:
    """Without disturbances the histograms hold what was answered after the warm-up, not more and not less."""
    warmup_s = in_peace.manifest["plan"]["warmup_s"]
    answered = [
        one.get("counts", {}).get("messaging.answered", 0)
        for one in _intervals(in_peace.results)
        if second_of(one["start_ns"]) >= warmup_s
    ]
    assert read_run(in_peace.run).samples(tag) == sum(answered) > 0


def test_the_generator_knows(finished: Finished) -> None:
    """It is not fit to judge latency, and says why and what to do, whatever the load was."""
    generator = finished.verdict["generator"]
    assert generator["valid"] is False
    (told,) = (problem for problem in generator["problems"] if "stalled for more than 1 s" in problem)
    assert "make sure that nothing suspends the process" in told
    assert generator["figures"]["stall_max_ms"] > 1000 * STOPPED_S - 100  # twenty wakes a second


def test_what_was_due_meanwhile_was_sent_late(in_peace: Finished) -> None:
    """Messages planned for the pause are sent after it, and their slip and response time tell so."""
    evidence = read_run(in_peace.run)
    for tag in ("send_slip", "response"):
        assert evidence.percentiles_us(tag, (100,))[100] > 1e6 * STOPPED_S / 2
    assert in_peace.verdict["generator"]["figures"]["achieved_ratio"] == 1.0
