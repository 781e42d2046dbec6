"""The main job as a person runs it: headless Locust, its run directory, its verdict, its ends."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from loadtest.ruling import Ruling
from loadtest.runs.publish import publish
from loadtest.server.server_process import ServerProcess
from tests.support.books import final_counters
from tests.support.locusts import BRISK, Finished, FreshLocust, two_workers
from tests.support.serverclient import wait_for

FILES = {
    "run.json",
    "latency.hlog",
    "events.jsonl",
    "intervals.jsonl",
    "verdict.json",
    "junit.xml",
    "series.csv",
    "summary.json",
    "summary.md",
    "report.html",
}


def _wait_for(path: Path, pattern: str, text: str, count: int = 1) -> None:
    """Wait until a file of the run holds a text so many times."""
    wait_for(
        lambda: any(found.read_text().count(text) >= count for found in path.glob(pattern)),
        what=f"{count} of {text!r} in {pattern}",
    )


def test_without_host_the_reference_server_is_started_and_stopped(tmp_path: Path) -> None:
    """No --host: the run says where its own server is, judges its log, and leaves no process behind."""
    with FreshLocust(tmp_path, *BRISK, seconds=8) as locust:
        finished = locust.wait()
    assert "started the reference server at ws://127.0.0.1:" in finished.output
    assert finished.rulings["messaging"] == "PASS", finished.output
    assert finished.rulings["server_log"] == "PASS", finished.output
    assert {path.name for path in finished.run.iterdir()} == FILES | {"server.log", "server_log.jsonl"}
    assert finished.manifest["complete"] is True
    listening = subprocess.run(["pgrep", "-f", finished.manifest["target"]], check=False).returncode
    assert listening == 1


def test_a_server_without_a_history_passes(tmp_path: Path) -> None:
    """Like the application without a chat backend: what it has is judged, and nothing else is missed."""
    with (
        ServerProcess(mode="ack") as server,
        FreshLocust(tmp_path, *BRISK, "--host", server.url, seconds=10) as locust,
    ):
        finished = locust.wait()
    assert finished.exit_code == 0, finished.output
    judged = {item for item, ruling in finished.rulings.items() if ruling == "PASS"}
    assert judged == {"connect", "stability", "messaging", "reconnect", "cleanup"}
    assert finished.rulings["persistence"] == "NOT_JUDGED"
    assert finished.counts["persistence.checked"] > 0


@pytest.mark.alone
def test_histories_of_large_messages_pass(tmp_path: Path) -> None:
    """Texts of 200 kB, of which a history soon needs more than 16 MiB: they take much of two cores."""
    plan = ("--ws-message-bytes", "200000", "--ws-sessions", "2", "--ws-rate", "8")
    drops = ("--ws-drop-every", "0", "--ws-storm", "100%@11:fin")
    with (
        ServerProcess() as server,
        FreshLocust(tmp_path, *BRISK, *plan, *drops, "--host", server.url, users=1, seconds=18) as locust,
    ):
        finished = locust.wait()
    assert "FAIL" not in finished.rulings.values(), finished.output
    assert finished.counts["reconnect.resumed"] == finished.counts["persistence.histories"] == 2
    assert finished.counts["persistence.acknowledged"] / finished.counts["persistence.histories"] > 42


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_with_a_complete_run_and_a_verdict(
    tmp_path: Path, number: signal.Signals, processes: int
) -> None:
    """Ctrl-C and SIGTERM close the sessions, complete the run directory and print the verdict table.

    A run of ten minutes that is ended so after seconds is INCONCLUSIVE, its twin without -t passes. Both are
    made at the same time.
    """
    arguments = (*BRISK, "--ws-drops", "close")

    def ended(seconds: int | None) -> Finished:
        results = tmp_path / str(seconds)
        workers = two_workers() if processes == 2 else ()
        with FreshLocust(results, *arguments, *workers, seconds=seconds) as locust:
            _wait_for(results, "*/*/events.jsonl", '"resumed"', 12)
            locust.interrupt(number)
            return locust.wait(60)

    with ThreadPoolExecutor() as threads:
        for seconds, finished in zip((600, None), threads.map(ended, (600, None)), strict=True):
            assert finished.manifest["complete"] is True, finished.output
            assert {path.name for path in finished.run.iterdir()} >= FILES
            assert finished.manifest["missing_workers"] == []
            assert "persistence" in finished.output
            items = finished.verdict["items"]
            passed = "PASS" in finished.rulings.values()
            cut = any(one["summary"].startswith("the run was cut short") for one in items)
            assert (passed, cut) == ((True, False) if seconds is None else (False, True))
            assert (f" s of {seconds} s" in finished.output) == bool(seconds)
            assert finished.exit_code == (4 if seconds else 0), finished.output


def test_killed_run_can_still_be_read(tmp_path: Path) -> None:
    """What was written before a SIGKILL is there, marked as not complete, and can be reported."""
    with FreshLocust(tmp_path, *BRISK, seconds=None) as locust:
        _wait_for(tmp_path, "*/*/events.jsonl", '"resumed"')
        locust.interrupt(signal.SIGKILL)
        finished = locust.wait(30)
    assert finished.manifest["complete"] is False
    assert finished.counts["messaging.answered"] > 0


def test_sessions_close_with_1000_within_the_stop_timeout(tmp_path: Path) -> None:
    """Stopping users closes their sessions in good order: the server sees 1000 for every one of them."""
    with ServerProcess() as server:
        arguments = ("--ws-sessions", "10", "--ws-drop-every", "0", "--host", server.url)
        with FreshLocust(tmp_path, *arguments, "--stop-timeout", "3", seconds=4) as locust:
            finished = locust.wait()
        counted = final_counters(server.url)
    assert finished.counts["connect.established"] == 20
    assert counted["disconnects"] == {"1000": 20}


def test_server_killed_and_started_again(tmp_path: Path) -> None:
    """A SIGKILL of the server and 3 s without one fail `stability` only: every session is back as it was."""
    database = tmp_path / "sessions.db"
    results = tmp_path / "results"
    with ServerProcess(database=database) as server:
        arguments = (*BRISK, "--ws-drop-every", "0", "--host", server.url)
        with FreshLocust(results, *arguments, seconds=None) as locust:
            _wait_for(results, "*/*/intervals.jsonl", '"start_ns":3')
            server.kill()
            time.sleep(3)
            with ServerProcess(database=database, port=server.port):
                _wait_for(results, "*/*/events.jsonl", '"resumed"', 20)
                locust.interrupt()
                finished = locust.wait()
    assert finished.exit_code == 1, finished.output
    assert {item for item, ruling in finished.rulings.items() if ruling == "FAIL"} == {"stability"}
    assert "INCONCLUSIVE" not in finished.rulings.values()
    stability = finished.evidence("stability")
    assert (stability["lost"], len(stability["away"])) == (20, 1)
    assert stability["away"][0]["until_s"] - stability["away"][0]["from_s"] > 3
    assert "20 connections lost: " in finished.output
    assert finished.counts["reconnect.outages"] == finished.counts["reconnect.resumed"] == 20
    assert finished.counts["reconnect.unreachable"] > 0
    assert finished.rulings["persistence"] == "PASS"
    assert finished.counts["persistence.histories"] == 20
    assert finished.counts["messaging.lost"] == 0
    outages_ns = [event["outage_ns"] for event in finished.events if event["event"] == "resumed"]
    assert min(outages_ns) > 3e9
    run_json = finished.run / "run.json"
    run_json.write_text(json.dumps(finished.manifest | {"allowed_losses": ["1006=any"]}))
    assert publish(finished.run, results=results).verdict.verdict is Ruling.PASS


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--host", "ws://127.0.0.1:9"), "--host cannot be reached: Connection refused"),
        (("--ws-source-ip", "203.0.113.9"), "--ws-source-ip must be an address of this machine"),
        (("--ws-baseline", "no-such-run"), "no-such-run"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_usage_errors_are_one_clear_line(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    """What only a look at the machine tells ends at once, too, with exit code 2 and one line; the rest is in
    tests/unit/test_option_errors.py."""
    with FreshLocust(tmp_path, *arguments, seconds=5) as locust:
        finished = locust.wait(30)
    assert finished.exit_code == 2, finished.output
    errors = [line for line in finished.output.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, finished.output
    assert says in errors[0]
    assert "Traceback" not in finished.output


def test_unwritable_results_folder_is_a_usage_error(tmp_path: Path) -> None:
    """A results folder that cannot be made is told in one line, before any connection."""
    (tmp_path / "file").write_text("")
    with FreshLocust(tmp_path / "file" / "results", seconds=5) as locust:
        finished = locust.wait(30)
    assert finished.exit_code == 2, finished.output
    assert "--ws-results" in finished.output
    assert "Traceback" not in finished.output


def test_locusts_own_statistics_tell_the_same(tmp_path: Path) -> None:
    """Locust's --json has the run's true counts and sub-millisecond times, and no drop is a failure.

    Against a server that pushes at every half second: by default only the few connections that live for five
    seconds see a push, and on a busy machine none may.
    """
    with ServerProcess(push_every_s=0.5) as server:
        arguments = (*BRISK, "--json", "--host", server.url)
        with FreshLocust(tmp_path, *arguments, seconds=6) as locust:
            finished = locust.wait()
    start = finished.output.index("[\n")
    entries = {entry["name"]: entry for entry in json.JSONDecoder().raw_decode(finished.output[start:])[0]}
    assert entries["round trip"]["num_requests"] == finished.counts["messaging.answered"]
    assert entries["connect"]["num_requests"] == finished.counts["connect.established"]
    assert finished.counts["connect.established"] + finished.counts["connect.unproven"] == 20
    assert entries["reconnect"]["num_requests"] == finished.counts["reconnect.resumed"] > 0
    assert entries["push"]["num_requests"] == finished.counts["messaging.pushes"] > 0
    assert sum(entry["num_failures"] for entry in entries.values()) == 0
    fastest_ms = entries["round trip"]["min_response_time"]
    assert fastest_ms > 0
    assert fastest_ms != int(fastest_ms)


DEFECT = """
from loadtest import WebSocketUser
from loadtest.dialects.emergence import Emergence

class Broken(Emergence):
    def request(self, session, sequence):
        if sequence == 3:
            raise ZeroDivisionError(f"the token is {session.token}")
        return super().request(session, sequence)

class User(WebSocketUser):
    dialect = Broken
    token = "s3cret-t0ken"
"""


def test_a_mistake_in_a_dialect_ends_the_run_and_is_told(tmp_path: Path) -> None:
    """Exit code 2, what was measured is kept as incomplete, and run.json says why, without the secret."""
    locustfile = tmp_path / "broken.py"
    locustfile.write_text(DEFECT)
    with FreshLocust(tmp_path / "results", *BRISK, locustfile=locustfile) as locust:
        finished = locust.wait()
    assert finished.exit_code == 2, finished.output
    assert finished.manifest["complete"] is False
    told = (
        "mistake in the dialect: Broken.request raised ZeroDivisionError: the token is *** (given sequence 3)"
    )
    assert finished.manifest["failure"] == told
    assert told in finished.output
    assert finished.counts["messaging.answered"] > 0
    assert "Traceback" not in finished.output
    assert "s3cret-t0ken" not in finished.output
    for file in finished.run.iterdir():
        assert b"s3cret-t0ken" not in file.read_bytes()


INTERRUPTED = """
import os, signal
from loadtest import WebSocketUser
from loadtest.results.writer import RunWriter

append, calls = RunWriter.append, []

def interrupted(self, packed):
    calls.append(packed)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGINT)
    append(self, packed)

RunWriter.append = interrupted

class User(WebSocketUser):
    pass
"""
"""Ctrl-C that comes while an interval is being written."""


def test_ctrl_c_while_an_interval_is_written_loses_nothing(tmp_path: Path) -> None:
    """The interval is written, the run ends in good order, and its record has no gap."""
    locustfile = tmp_path / "interrupted.py"
    locustfile.write_text(INTERRUPTED)
    with FreshLocust(tmp_path / "results", *BRISK, seconds=None, locustfile=locustfile) as locust:
        finished = locust.wait(60)
    assert finished.manifest["complete"] is True, finished.output
    lines = (finished.run / "intervals.jsonl").read_bytes().splitlines()
    intervals = [json.loads(line) for line in lines]
    assert len(intervals) >= 4
    for earlier, later in itertools.pairwise(intervals):
        assert later["start_ns"] == earlier["stop_ns"]
    assert finished.evidence("messaging")["unaccounted"] == 0
