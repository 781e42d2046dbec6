"""The run's clock is monotonic: whatever the wall clock does, no time that a run records is wrong."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

from tests.support.locusts import BRISK, LocustProcess, written_intervals
from tests.support.serverclient import wait_for

JUMPING = """
import time
from loadtest import WebSocketUser

began_s, wall_s, wall_ns = time.monotonic(), time.time, time.time_ns

def away_s():
    seconds = int(time.monotonic() - began_s)
    return 0 if seconds < 3 else 3600 if seconds % 2 else -3600

time.time = lambda: wall_s() + away_s()
time.time_ns = lambda: wall_ns() + away_s() * 10**9

class User(WebSocketUser):
    pass
"""
"""From its third second on, the wall clock jumps by two hours each second, back and forth."""


def _events(results: Path) -> str:
    return "".join(path.read_text() for path in results.glob("*/*/events.jsonl"))


def test_a_jumping_wall_clock_changes_nothing(tmp_path: Path) -> None:
    """Intervals follow each other without a gap, every time lies within the run, and the verdict stands."""
    locustfile = tmp_path / "jumping.py"
    locustfile.write_text(JUMPING)
    results = tmp_path / "results"
    # Without --run-time: Locust's own clock is that of the wall, so that the first jump would end the run.
    with LocustProcess(results, *BRISK, seconds=None, locustfile=locustfile) as locust:
        wait_for(lambda: len(written_intervals(results)) > 6, what="intervals of some seconds")
        wait_for(lambda: _events(results).count('"resumed"') > 12, what="a dozen resumes")
        locust.interrupt()
        finished = locust.wait()
    assert finished.exit_code == 0, finished.output
    lines = (finished.run / "intervals.jsonl").read_bytes().splitlines()
    intervals = [json.loads(line) for line in lines]
    for earlier, later in itertools.pairwise(intervals):
        assert later["start_ns"] == earlier["stop_ns"]
    length_ns = intervals[-1]["stop_ns"]
    assert all(0 <= event["at_ns"] <= length_ns for event in finished.events)
    outages_ns = [event["outage_ns"] for event in finished.events if event["event"] == "resumed"]
    assert outages_ns
    assert max(outages_ns) < length_ns
    assert finished.counts["latency.clamped"] == 0


SLOW_TO_LOAD = """
import time
from loadtest import WebSocketUser

until_s = time.monotonic() + 5
while time.monotonic() < until_s:
    pass

class User(WebSocketUser):
    pass
"""
"""Computes for 5 s while Locust loads it, as the imports do on a busy machine."""


def test_a_slow_start_takes_nothing_from_the_run_time(tmp_path: Path) -> None:
    """--run-time counts from its own start, not from when gevent's loop last ran: before the imports."""
    locustfile = tmp_path / "slow_to_load.py"
    locustfile.write_text(SLOW_TO_LOAD)
    with LocustProcess(tmp_path / "results", *BRISK, seconds=6, locustfile=locustfile) as locust:
        finished = locust.wait()
    lines = (finished.run / "intervals.jsonl").read_bytes().splitlines()
    assert json.loads(lines[-1])["stop_ns"] > 2e9, finished.output
