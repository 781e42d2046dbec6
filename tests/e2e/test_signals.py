"""Signals, a full disk and deleted results in the middle of a run: there is a verdict, and nothing is left.

The runs go on at the same time; each waits for what it needs to have happened, not for a time.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat
from pathlib import Path

import psutil
import pytest

from tests.support.children import is_running
from tests.support.locusts import Finished, FreshLocust, two_workers, written_intervals
from tests.support.places import ROOT
from tests.support.serverclient import wait_for

PLAN = ("--ws-sessions", "3", "--ws-drop-every", "0")

DRILL = ("--ws-at", "0:sh -c 'sleep 600 & wait'")

FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
from locust.main import main
from loadtest.results import directory
directory._ROOM_BYTES = 1
del sys.argv[1]
main()
"""
"""Locust on a disk where a file can have no more than so many bytes, which had room when the run began."""


@dataclass(frozen=True)
class Ended:
    """A run that was disturbed, and which of its processes still ran after it."""

    finished: Finished
    left: list[int]


def _delivered(results: Path) -> set[int | None]:
    """Return the workers of which there are intervals; None stands for a run without workers."""
    return {one.get("worker") for one in written_intervals(results)}


def disturbed(results: Path, disturb: Callable[[FreshLocust], None], *arguments: str) -> Ended:
    """Make a run that would last a minute, and disturb it once intervals of all its processes are written."""
    workers = {0, 1} if "--processes" in arguments else {None}
    with FreshLocust(results, *PLAN, *arguments, seconds=60) as locust:
        wait_for(lambda: _delivered(results) >= workers, what="intervals of all")
        pids = [child.pid for child in psutil.Process(locust.process.pid).children(recursive=True)]
        assert pids
        disturb(locust)
        finished = locust.wait()
    wait_for(lambda: not any(map(is_running, pids)), what="the children to end")
    return Ended(finished, [pid for pid in pids if is_running(pid)])


ANSWERS = (": shutting down\n", "SIGQUIT (Ctrl-\\) ends it at once")
"""What the first and the second signal are answered with."""


def many(*numbers: signal.Signals, group: bool = False) -> Callable[[FreshLocust], None]:
    """Return what sends these signals until the process has ended, each after the answer to the last."""

    def send(locust: FreshLocust) -> None:
        for number, answer in zip(numbers, chain(ANSWERS, repeat("")), strict=False):
            if locust.process.poll() is None:
                (locust.interrupt_all if group else locust.interrupt)(number)
                wait_for(partial(_has_answered, locust, answer), what=f"the answer {answer!r}")

    return send


def _has_answered(locust: FreshLocust, answer: str) -> bool:
    """Whether the process has said so, or has ended. Signals without an answer are sent at once."""
    return answer in locust.output or locust.process.poll() is not None


DISTURBED = {
    "20 Ctrl-C in a terminal": (many(*[signal.SIGINT] * 20, group=True), two_workers()),
    "all kinds": (many(*[signal.SIGHUP, signal.SIGTERM, signal.SIGINT] * 7), DRILL),
    "deleted": (lambda locust: shutil.rmtree(locust.results), ()),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """The disturbed runs by name."""
    with ThreadPoolExecutor() as threads:
        started = {
            name: threads.submit(disturbed, tmp_path_factory.mktemp("run") / "results", disturb, *arguments)
            for name, (disturb, arguments) in DISTURBED.items()
        }
        return {name: one.result() for name, one in started.items()}


@pytest.mark.parametrize("name", DISTURBED)
def test_the_verdict_is_written_and_printed(runs: dict[str, Ended], name: str) -> None:
    """Once, without a traceback, and the exit code is the verdict's: too little to pass."""
    finished = runs[name].finished
    assert "Traceback" not in finished.output, finished.output
    assert finished.output.count("verdict of test:") == 1, finished.output
    assert finished.manifest["complete"] is (name != "deleted")
    assert finished.verdict["verdict"] == "INCONCLUSIVE"
    assert finished.exit_code == (5 if name == "deleted" else 4), finished.output
    assert runs[name].left == []


def test_more_signals_say_how_to_end_at_once(runs: dict[str, Ended]) -> None:
    """The second one is answered by a line, the others by nothing; no worker counts as missing."""
    for name in ("20 Ctrl-C in a terminal", "all kinds"):
        finished = runs[name].finished
        assert finished.output.count(": shutting down\n") == 1, finished.output
        assert finished.output.count("Shutting down (exit code") == 1, finished.output
        assert finished.output.count("SIGQUIT (Ctrl-\\) ends it at once") == 1, finished.output
        assert finished.manifest["missing_workers"] == []
    (drill,) = runs["all kinds"].finished.manifest["drills"]
    assert drill["stopped"] is True


def test_deleted_results_are_written_again(runs: dict[str, Ended]) -> None:
    """One line says what happened, where and what to do; what had been recorded is still there."""
    finished = runs["deleted"].finished
    said = " ".join(finished.output.split())  # the log has it in one line, the verdict in several
    assert said.count("results: the folder was deleted during the run. Keep a run's folder until") == 2
    assert finished.counts["connect.established"] >= 3
    assert finished.events
    assert "the folder was deleted" in finished.manifest["failure"]


def test_a_full_disk_ends_in_a_verdict(tmp_path: Path) -> None:
    """A report cannot be written: the verdict is printed, the exit code is 5, and what was recorded stays."""
    results = tmp_path / "results"
    done = subprocess.run(
        [
            *(sys.executable, "-c", FULL, "9000", "-f", "locustfiles/ws.py", "--headless", "--only-summary"),
            *("-t", "3s", *PLAN, "--ws-results", str(results), "--ws-revision", "test"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=ROOT,
    )
    finished = Finished(done.returncode, done.stdout + done.stderr, results)
    assert "Traceback" not in finished.output, finished.output
    assert finished.output.count("no longer write results: File too large") == 1, finished.output
    assert finished.output.count("verdict of test:") == 1, finished.output
    assert finished.exit_code == 5
    assert finished.counts["connect.established"] == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_before_the_run_begins_nothing_is_judged(tmp_path: Path, number: signal.Signals) -> None:
    """While the locustfile is loaded: one line, and the exit code of the signal."""
    locustfile = tmp_path / "chat.py"
    locustfile.write_text(
        "import os\nfrom loadtest import WebSocketUser\n"
        f"for _ in range(3): os.kill(os.getpid(), {int(number)})\n"
        "class User(WebSocketUser):\n    pass\n"
    )
    with FreshLocust(tmp_path / "results", seconds=5, locustfile=locustfile) as locust:
        finished = locust.wait()
    said = f"ended by {number.name} before the run began: nothing was judged"
    assert (finished.output.strip(), finished.exit_code) == (said, 128 + number)


def test_a_reader_that_goes_away_changes_nothing(tmp_path: Path) -> None:
    """`locust … | head -1`: the run has its verdict, and the verdict's exit code."""
    command = [
        *(sys.executable, "-m", "locust", "-f", "locustfiles/ws.py", "--headless", "-t", "4s", *PLAN),
        *("--ws-results", str(tmp_path), "--ws-revision", "test"),
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as locust:
        assert locust.stdout is not None
        assert locust.stderr is not None
        locust.stdout.close()
        errors = locust.stderr.read()
    finished = Finished(locust.returncode, errors, tmp_path)
    assert "Traceback" not in errors
    assert "Broken pipe" not in errors
    assert finished.verdict["verdict"] == "INCONCLUSIVE"
    assert finished.exit_code == 4
