"""The runs of a duel: real Locust at once, and what is said when one of them comes to nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import psutil
import pytest

from loadtest.duel.locust_runs import run_at_once
from loadtest.duel.settings import DuelSettings, Side
from loadtest.errors import LoadtestError, UsageError
from loadtest.server.server_process import ServerProcess
from loadtest.transport.target import free_port
from tests.support.children import python
from tests.support.places import ROOT

TERMINATED = """
import os, signal, sys
from pathlib import Path
from loadtest.duel.duel import run_duel
from loadtest.duel.settings import DuelSettings
from tests.support.duels import A, B

def terminated(*_arguments, **_options):
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pause()
    raise AssertionError("the signal was not taken")

before = signal.getsignal(signal.SIGTERM)
duel = run_duel(DuelSettings(a=A, b=B, results=Path(sys.argv[1])), print, make_runs=terminated)
assert duel.record.end == "it was interrupted", duel.record.end
assert signal.getsignal(signal.SIGTERM) is before
"""
"""A duel whose first run is ended with SIGTERM."""


def fail(folder: Path, *roles: str, urls: dict[str, str] | None = None, **changes: Any) -> LoadtestError:
    """Make runs that fail, and return what was said; afterwards no process is there that was not before."""
    a, b = (Side(role=role, revision=role, url="ws://127.0.0.1:1") for role in "ab")
    settings = DuelSettings(a=a, b=b, results=folder / "results", **changes)
    before = psutil.Process().children(recursive=True)
    with pytest.raises(LoadtestError) as failed:
        run_at_once(
            settings,
            roles,
            urls=urls or {side.role: side.url for side in settings.sides},
            logs={role: folder / f"{role}.log" for role in roles},
            server_logs={},
        )
    assert psutil.Process().children(recursive=True) == before
    return failed.value


def test_one_that_fails_ends_the_other(tmp_path: Path) -> None:
    """A run of an hour is broken off when the other's server is not there."""
    with ServerProcess() as server:
        urls = {"a": server.url, "b": f"ws://127.0.0.1:{free_port()}"}
        failure = fail(tmp_path, "a", "b", urls=urls, duration_s=3600)
    assert isinstance(failure, UsageError)
    assert "cannot be reached" in str(failure)
    assert "(the run of b; its output is in " in str(failure)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module' (the run of a; its"),
        ("from locust import User\nclass Mine(User):\n    pass", "the locustfile has no WebSocketUser"),
        ("from loadtest import WebSocketUser", "No User class found!"),
    ],
)
def test_a_locustfile_that_makes_no_run_is_told(tmp_path: Path, source: str, says: str) -> None:
    """In one line, with what to change."""
    locustfile = tmp_path / "mine.py"
    locustfile.write_text(source)
    failure = fail(tmp_path, "a", locustfile=locustfile)
    assert isinstance(failure, UsageError)
    assert says in str(failure)
    assert "\n" not in str(failure)


def test_sigterm_is_taken_as_ctrl_c(tmp_path: Path) -> None:
    """A CI job that is cancelled keeps what it has; afterwards SIGTERM is what it was."""
    done = subprocess.run(
        python(TERMINATED, str(tmp_path)), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
