"""Workers that join late, stall, die or cannot be understood: the run goes on, and says what is missing."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from loadtest.server.server_process import ServerProcess
from tests.support.books import assert_all_received, final_counters
from tests.support.locusts import BRISK, LocustProcess, written_intervals
from tests.support.ports import free_port
from tests.support.serverclient import wait_for

LOCUSTFILE = """
import os, signal
from locust import events, runners
import loadtest
from loadtest.locust_plugin import worker_messages
from loadtest.session.traffic import Traffic

runners.HEARTBEAT_LIVENESS = 20  # six that start at once on a busy machine are silent for longer than 3 s
trouble = os.environ.get("TROUBLE")
if trouble == "another version":
    worker_messages.VERSION = "0.0"
if trouble == "garbage":
    worker_messages.encode = lambda packed: b"no interval"

def break_down(*arguments, **keywords):
    raise ZeroDivisionError("a defect of this worker's")

if trouble == "breaks":
    Traffic.due = break_down

class User(loadtest.WebSocketUser):
    pass

@events.test_start.add_listener
def on_test_start(environment, **kwargs):
    if trouble in ("killed", "stalls"):
        os.kill(os.getpid(), signal.SIGKILL if trouble == "killed" else signal.SIGSTOP)
"""
"""Does harm to the worker that has TROUBLE in its environment."""


def _intervals(results: Path, worker: int) -> list[dict[str, Any]]:
    """Return the intervals of a worker that are written."""
    return [interval for interval in written_intervals(results) if interval["worker"] == worker]


def _wait_for_intervals(results: Path, worker: int, count: int) -> list[dict[str, Any]]:
    """Wait until a worker has delivered more than so many intervals, and return them."""
    found: list[dict[str, Any]] = []

    def delivered() -> bool:
        found[:] = _intervals(results, worker)
        return len(found) > count

    wait_for(delivered, what=f"more than {count} intervals of worker {worker}")
    return found


def test_workers_that_cannot_be_counted_on_are_missing(tmp_path: Path) -> None:
    """Of six workers one is sound; the run ends as planned, has what that one saw, and passes nothing."""
    troubles = ("", "another version", "garbage", "breaks", "killed", "stalls")
    locustfile = tmp_path / "troubled.py"
    locustfile.write_text(LOCUSTFILE)
    port, results = str(free_port()), tmp_path / "results"
    with ServerProcess() as server, ExitStack() as workers:
        master = ("--master", "--expect-workers", str(len(troubles)), "--master-bind-port", port)
        arguments = ("--ws-sessions", "2", "--ws-drop-every", "0", "--host", server.url)
        with LocustProcess(results, *arguments, *master, seconds=6, users=6, locustfile=locustfile) as locust:
            for trouble in troubles:
                worker = LocustProcess(
                    results,
                    *("--worker", "--master-port", port),
                    seconds=None,
                    locustfile=locustfile,
                    environment={"TROUBLE": trouble},
                )
                workers.enter_context(worker)
            finished = locust.wait(180)
    assert finished.manifest["complete"] is True, finished.output
    assert len(finished.manifest["missing_workers"]) == 5, finished.output
    (sound,) = {0, 1, 2, 3, 4, 5} - set(finished.manifest["missing_workers"])
    assert len(_intervals(results, sound)) >= 5
    assert finished.output.count("it runs loadtest 0.0") == 1
    assert finished.output.count("an interval that cannot be read") == 1
    assert "load generator failed: ZeroDivisionError: a defect of this worker's" in finished.output
    assert set(finished.rulings.values()) <= {"INCONCLUSIVE", "NOT_JUDGED"}
    assert finished.exit_code == 4


def test_a_worker_may_join_late_and_stall_for_a_while(tmp_path: Path) -> None:
    """Whatever Locust moves from worker to worker, the run's totals are the server's own counters."""
    port = str(free_port())
    master = ("--master", "--expect-workers", "1", "--master-bind-port", port)
    with ServerProcess() as server, ExitStack() as workers:
        arguments = (*BRISK, "--ws-drop-every", "0", "--host", server.url, *master)
        with LocustProcess(tmp_path, *arguments, seconds=None, users=4) as locust:
            worker = ("--worker", "--master-port", port)
            workers.enter_context(LocustProcess(tmp_path, *worker, seconds=None))
            before = _wait_for_intervals(tmp_path, 0, 1)
            late = workers.enter_context(LocustProcess(tmp_path, *worker, seconds=None))
            joined = _wait_for_intervals(tmp_path, 1, 1)
            late.interrupt(signal.SIGSTOP)
            _wait_for_intervals(tmp_path, 0, len(_intervals(tmp_path, 0)) + 6)
            late.interrupt(signal.SIGCONT)
            _wait_for_intervals(tmp_path, 1, len(_intervals(tmp_path, 1)) + 2)
            locust.interrupt()
            finished = locust.wait()
        counted = final_counters(server.url)
    assert joined[0]["start_ns"] >= before[-1]["stop_ns"], "its clock is not that of the run"
    assert finished.manifest["missing_workers"] == [], finished.output
    assert [share["worker"] for share in finished.manifest["workers"]] == [0, 1]
    connected = [event["session"] for event in finished.events if event["event"] == "connected"]
    assert len(connected) == len(set(connected)) == finished.counts["connect.established"]
    assert_all_received(finished.counts, counted)
    assert finished.rulings["messaging"] == "PASS", finished.output
    assert finished.verdict["generator"]["valid"] is False
