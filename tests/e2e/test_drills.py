"""Drills in real runs: a command restarts the server while sessions are connected."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.deployments import Deployment, How
from tests.support.locusts import BRISK, Finished, LocustProcess, two_workers
from tests.support.terminals import TABLES

AT_S = 2.0
SESSIONS = 20


def drill_run(folder: Path, how: How, *options: str) -> Finished:
    """Make a run in whose middle the server is restarted, and nothing else happens."""
    folder.mkdir()
    with Deployment(folder, sessions=SESSIONS) as deployment:
        drill = ("--ws-drop-every", "0", "--ws-at", f"{AT_S:g}:{deployment.command(how)}")
        arguments = (*BRISK, *drill, "--host", deployment.url, *options)
        with LocustProcess(folder / "results", *arguments, "--print-stats", seconds=14, users=2) as locust:
            return locust.wait()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Finished, Finished]]:
    """A drained restart under a run in one process, and a kill under one of two workers, side by side."""
    folder = tmp_path_factory.mktemp("drills")
    with ThreadPoolExecutor() as threads:
        drained = threads.submit(drill_run, folder / "drained", "drained")
        killed = threads.submit(drill_run, folder / "killed", "killed", *two_workers())
        yield drained.result(), killed.result()


def loss_codes(finished: Finished) -> Counter[int | None]:
    """Return how many connections were lost, by the server's close code."""
    return Counter(event.get("code") for event in finished.events if event["event"] == "lost")


def lines_with(finished: Finished, part: str) -> Sequence[str]:
    """Return the lines of the output that contain a text."""
    return [line for line in finished.output.splitlines() if part in line]


def test_a_drill_is_recorded(runs: tuple[Finished, Finished]) -> None:
    """In run.json with its times and its exit status, in a log of its own, and in two lines of the output."""
    for finished, how in zip(runs, ("drained", "killed"), strict=True):
        (drill,) = finished.manifest["drills"]
        assert AT_S <= drill["started_s"] < drill["ended_s"]
        assert (drill["at_s"], drill["exit_status"], drill["stopped"]) == (AT_S, 0, False)
        assert drill["command"].endswith(f" {how}")
        assert drill["last_words"] == "restart done"
        assert (finished.run / "drill-1.log").read_text() == f"restarting ({how})\nrestart done\n"
        assert finished.manifest["plan"]["drills_at_s"] == [AT_S]
        assert finished.manifest["drill_window_s"] == 120
        (started,) = lines_with(finished, "drill 1 of 1: started ")
        (ended,) = lines_with(finished, "drill 1 of 1: ended ")
        assert started.endswith(f" {how}")
        assert re.search(r"INFO/loadtest: drill 1 of 1: ended with exit status 0 after \d+\.\d s$", ended)


def test_tables_come_on_request(runs: tuple[Finished, Finished]) -> None:
    """Locust's own, during the run and at its end, with `--print-stats`."""
    for finished in runs:
        assert all(words in finished.output for words in TABLES)


def test_a_restart_ends_every_connection_in_the_drill(runs: tuple[Finished, Finished]) -> None:
    """A drained server says 1012, a killed one nothing; the next one has the sessions back."""
    drained, killed = runs
    assert loss_codes(drained) == {1012: SESSIONS}
    assert loss_codes(killed) == {1006: SESSIONS}
    for finished in runs:
        (drill,) = finished.manifest["drills"]
        assert all(
            drill["started_s"] <= event["at_ns"] / 1e9 <= drill["ended_s"]
            for event in finished.events
            if event["event"] == "lost"
        )
        assert finished.counts["reconnect.resumed"] == SESSIONS, finished.output


def test_its_losses_are_no_failures_of_locusts(runs: tuple[Finished, Finished]) -> None:
    """Neither in the table, nor as warnings: one line says what the drill does. Workers know it too."""
    for finished in runs:
        (row,) = re.findall(r"^WS +loss +(\d+) +(\d+)\(", finished.output, re.MULTILINE)
        assert row == ("0", "0")
        assert len(lines_with(finished, "drill 1 ended connections: ")) == 1
        assert not [line for line in lines_with(finished, " lost: ") if "WARNING" in line]
        assert sum(count for name, count in finished.counts.items() if name.startswith("losses.")) == SESSIONS


def test_a_drained_restart_passes(runs: tuple[Finished, Finished]) -> None:
    """The next process takes over: nobody is turned away, and each session has its history back."""
    drained, _ = runs
    assert drained.exit_code == 0, drained.output
    assert {name for name, verdict in drained.rulings.items() if verdict == "PASS"} == {
        *("connect", "stability", "messaging", "reconnect", "persistence")
    }
    (drill,) = drained.evidence("reconnect")["drills"]
    assert [(group["code"], group["count"]) for group in drill["losses"]] == [(1012, SESSIONS)]
    assert (drill["back"], drill["refused"]) == (SESSIONS, 0)
    assert 0 < drill["back_p50_s"] <= drill["back_p95_s"] <= drill["back_p100_s"]
    assert drill["attempts_peak_per_s"] > 0
    assert drill["counts"]["persistence.histories"] == SESSIONS
    assert drained.evidence("stability")["in_drills"] == SESSIONS


def test_a_kill_fails_reconnect_only(runs: tuple[Finished, Finished]) -> None:
    """Nobody listens until the next process does."""
    _, killed = runs
    assert killed.exit_code == 1, killed.output
    assert [name for name, verdict in killed.rulings.items() if verdict != "PASS"] == [
        *("reconnect", "cleanup", "latency", "server_log")
    ]
    assert "attempts failed during the drill at 2 s" in " ".join(killed.output.split())
    (drill,) = killed.evidence("reconnect")["drills"]
    assert {group["code"] for group in drill["losses"]} == {1006}
    assert drill["refused"] > 0


def test_a_drill_stands_in_every_report(runs: tuple[Finished, Finished]) -> None:
    """With its command, what it ended, and the herd."""
    for finished, how in zip(runs, ("drained", "killed"), strict=True):
        assert "drill at" in (finished.run / "summary.md").read_text()
        for report in (finished.output, finished.page):
            assert "drill at" in report
            assert f" {how}." in " ".join(report.split())
