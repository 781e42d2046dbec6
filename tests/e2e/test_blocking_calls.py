"""Functions of a dialect that block, in a process whose locks, queues and sockets Locust has patched."""

import json
import subprocess
import sys
from typing import Any

import pytest

SHARED = (
    "Lock",
    "RLock",
    "Semaphore",
    "Condition",
    "Event",
    "Queue",
    "SimpleQueue",
    "LifoQueue",
    "logging",
    "import",
    "requests",
    "ThreadPool",
)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what a process with many such functions says of them."""
    folder = tmp_path_factory.mktemp("modules")
    for number in range(5):
        (folder / f"lazy_{number}.py").write_text("import time\ntime.sleep(0.01)\n")
    command = [sys.executable, "-m", "tests.support.blocking_users", str(folder)]
    child = subprocess.run(command, capture_output=True, text=True, timeout=170)
    assert (child.returncode, child.stderr) == (0, "")
    said: dict[str, Any] = json.loads(child.stdout)
    return said


def test_what_shares_something_is_all_tested(found: dict[str, Any]) -> None:
    """No case is left out, here or there."""
    assert set(found) == {*SHARED, "all", "before", "after", "after giving up"}


@pytest.mark.parametrize("shared", SHARED)
def test_calls_that_wait_for_each_other_all_end(shared: str, found: dict[str, Any]) -> None:
    """Logins use locks that Locust has patched: a log handler's, a connection pool's, those of imports."""
    assert found[shared] == found["all"]


def test_a_run_leaves_no_files_and_no_threads_behind(found: dict[str, Any]) -> None:
    """Not even if its end comes while functions wait for ever."""
    assert found["after"] == found["before"]


def test_calls_whose_callers_have_given_up_make_room(found: dict[str, Any]) -> None:
    """A server that never answers a login must not take all places for good."""
    assert found["after giving up"] == [found["all"]]
