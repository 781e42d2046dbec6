"""A forked Locust is in all that a test sees like one that was started."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from tests.support.locusts import FreshLocust, LocustProcess

TELLS = """
import json, os, signal, sys

print(json.dumps({
    "arguments": sys.argv, "folder": os.getcwd(), "path": sys.path, "variables": dict(os.environ),
    "leads a session": os.getsid(0) == os.getpid(),
    "heeds": str(signal.getsignal(signal.SIGINT)), "seekable": sys.stdout.seekable(),
}), flush=True)
if "TELLS" in os.environ:
    signal.pause()
sys.exit(7)
"""


def told(kind: type[LocustProcess], folder: Path) -> dict[str, object]:
    """Return what a process tells of itself before it exits."""
    locustfile = folder / "tells.py"
    locustfile.write_text(TELLS)
    with kind(folder, "--ws-rate", "3", locustfile=locustfile, environment={"LOCUST_WS_SEED": "5"}) as locust:
        finished = locust.wait(30)
    assert finished.exit_code == 7, finished.output
    answer: dict[str, object] = json.loads(finished.output.splitlines()[-1])
    return answer


def test_a_forked_process_is_like_one_that_was_started(tmp_path: Path) -> None:
    """Arguments, environment, folder, import path, session, output and exit code are the same."""
    assert told(LocustProcess, tmp_path) == told(FreshLocust, tmp_path)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_signals_reach_it(tmp_path: Path, number: signal.Signals) -> None:
    """And how it ended is told like that of any child."""
    locustfile = tmp_path / "tells.py"
    locustfile.write_text(TELLS)
    with LocustProcess(tmp_path, locustfile=locustfile, environment={"TELLS": "wait"}) as locust:
        while "arguments" not in locust.output:
            assert locust.process.poll() is None
            time.sleep(0.02)
        locust.interrupt(number)
        assert locust.wait(30).exit_code == -number
