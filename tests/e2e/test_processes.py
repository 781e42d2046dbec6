"""Child processes: their output, and their end with all that they have started."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import pytest

from loadtest import processes
from loadtest.processes import PIPE, Process, tail
from tests.support.children import is_running, python
from tests.support.serverclient import wait_for

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
"""
LASTING_PARENT = PARENT + "time.sleep(600)"


@contextmanager
def child_of(process: Process, log: Path) -> Iterator[int]:
    """Give the id of the process that another has started and printed; it is gone afterwards."""
    wait_for(lambda: log.read_text().endswith("\n"), what="the child")
    child = int(log.read_text())
    try:
        assert is_running(child)
        yield child
    finally:
        process.kill()
    wait_for(lambda: not is_running(child), what="the child to end")


@pytest.mark.parametrize("grace_s", [0.0, 5.0])
def test_what_a_process_started_ends_with_it(tmp_path: Path, grace_s: float) -> None:
    """Its whole group, at once or after a SIGTERM."""
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = Process(python(LASTING_PARENT), output=output, grace_s=grace_s)
    with process, child_of(process, log) as child:
        assert process.stop() == -(signal.SIGTERM if grace_s else signal.SIGKILL)
        wait_for(lambda: not is_running(child), what="the child to end")


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """After its grace."""
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); "
        "time.sleep(600)"
    )
    log = tmp_path / "log"
    with log.open("wb") as output, Process(python(code), output=output, grace_s=0.2) as process:
        wait_for(lambda: log.stat().st_size > 0, what="it to ignore SIGTERM")
    assert process.exit_status == -signal.SIGKILL


def test_a_group_is_ended_after_its_first_process(tmp_path: Path) -> None:
    """What a launcher left behind when it ended by itself is ended, too; its own status stays."""
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = Process(python(PARENT), output=output)
    assert process.wait(30) == 0
    with child_of(process, log) as child:
        assert process.stop() == 0
        wait_for(lambda: not is_running(child), what="the child to end")


def test_a_group_whose_id_is_another_process_by_now_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An id is given again once its group is gone: a process that has it now is a stranger."""
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = Process(python(PARENT), output=output)
    assert process.wait(30) == 0
    with child_of(process, log) as child:
        with monkeypatch.context() as patched:
            patched.setattr(processes, "_exists", lambda pid: pid == process.pid)
            assert process.stop() == 0
        assert is_running(child)


@pytest.mark.parametrize("pid", ["own", "of another user", "reaped"])
def test_who_has_an_id(pid: str) -> None:
    """A process of another user has its id as well as one's own."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    number = {"own": os.getpid(), "of another user": 1, "reaped": ended.pid}[pid]
    assert processes._exists(number) == (pid != "reaped")


def test_stopping_twice_gives_the_same_status() -> None:
    """As leaving a `with` does after `kill`."""
    with Process(["sleep", "600"], output=subprocess.DEVNULL) as process:
        assert process.exit_status is None
        assert process.wait(0.01) is None
        assert process.kill() == -signal.SIGKILL
    assert process.stop() == process.exit_status == -signal.SIGKILL


def test_output_and_errors_may_be_apart_or_one() -> None:
    """A pipe for both, or a file for the errors."""
    code = "import sys; print('out', flush=True); print('error', file=sys.stderr)"
    with Process(python(code), output=PIPE) as process:
        assert process.output is not None
        with process.output as output:
            assert output.readall() == b"out\nerror\n"  # type: ignore[attr-defined]  # a raw file
    with tempfile.TemporaryFile() as errors:
        with Process(python(code), output=PIPE, errors=errors) as process:
            assert process.output is not None
            with process.output as output:
                assert output.readall() == b"out\n"  # type: ignore[attr-defined]  # a raw file
        assert tail(errors, 100) == "error\n"


def test_a_process_has_a_session_and_an_environment_of_its_own() -> None:
    """A Ctrl-C in this terminal does not reach it; it sees no variable but those given."""
    code = "import os; print(os.getsid(0) == os.getpid(), sorted(os.environ.keys() - {'LC_CTYPE'}))"
    with Process(python(code), output=PIPE, environment={"ONLY": "this"}) as process:
        assert process.output is not None
        with process.output as output:
            assert output.readall() == b"True ['ONLY']\n"  # type: ignore[attr-defined]  # a raw file


def test_commands_are_not_for_a_shell(tmp_path: Path) -> None:
    """What a shell would run is a word like any other."""
    log, words = tmp_path / "log", shlex.split("echo 'one; two' $HOME `id`")
    with log.open("wb") as output, Process(words, output=output) as process:
        assert process.wait(30) == 0
    assert log.read_text() == "one; two $HOME `id`\n"


def test_a_command_that_cannot_be_started_is_an_oserror() -> None:
    """Whoever knows what it is for says so to the user."""
    with pytest.raises(FileNotFoundError):
        Process(["/no/such/program"], output=subprocess.DEVNULL)


def test_a_tail_is_bounded_and_leaves_the_position(tmp_path: Path) -> None:
    """Bytes that are no text are marked; a child that writes to the same open file is not disturbed."""
    with (tmp_path / "log").open("wb+", buffering=0) as file:
        file.write(b"x" * 5000 + b"\xffend")
        file.seek(3)
        assert tail(file, 4) == "\N{REPLACEMENT CHARACTER}end"
        assert tail(file, 10_000).startswith("xxx")
        assert file.tell() == 3


@pytest.mark.parametrize(
    ("patch", "call"),
    [
        ("from gevent import monkey; monkey.patch_all()", "import gevent; gevent.spawn(use).join()"),
        ("import threading", "thread = threading.Thread(target=use); thread.start(); thread.join()"),
    ],
    ids=["greenlet", "thread"],
)
def test_it_works_in_greenlets_and_threads(patch: str, call: str) -> None:
    """In a process that Locust has patched, and in a plain one beside its main thread."""
    script = (
        f"{patch}\n"
        "import subprocess\n"
        "from loadtest.processes import Process\n"
        "def use():\n"
        "    with Process(['sleep', '600'], output=subprocess.DEVNULL, grace_s=5) as process:\n"
        "        assert process.wait(0.05) is None\n"
        "    print(process.exit_status, flush=True)\n"
        f"{call}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.returncode) == ("-15\n", 0), done.stderr


KILLED = """
import os, signal, subprocess, sys, time
from loadtest.processes import Process
words = ["sh", "-c", "sleep 600 & echo $! ; wait"]
with open(sys.argv[1], "wb") as output:
    held, let_go = Process(words, output=output), Process(words, output=output)
while open(sys.argv[1]).read().count("\\n") < 2:
    time.sleep(0.01)
let_go.let_go()
print(held.pid, let_go.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_has_started_ends(tmp_path: Path) -> None:
    """Its children's groups get SIGTERM from the guard, but not one that was let go."""
    log = tmp_path / "log"
    killed = subprocess.run(python(KILLED, str(log)), capture_output=True, text=True, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    held, let_go = map(int, killed.stdout.split())
    try:
        wait_for(lambda: not is_running(held), what="the child to end")
        inner = list(map(int, log.read_text().split()))
        wait_for(lambda: sum(map(is_running, inner)) == 1, what="its group to end, which may take longer")
        assert is_running(let_go)
    finally:
        os.killpg(let_go, signal.SIGKILL)


IGNORES = """
import os, signal, sys, time
from loadtest.processes import Process
from loadtest import orphan_guard
with open(sys.argv[1], "wb") as output:
    child = Process(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"], output=output)
while not open(sys.argv[1]).read():
    time.sleep(0.01)
orphan_guard.end({child.pid}, grace_s=0.1)
print(child.wait(30))
"""


def test_the_guard_kills_what_ignores_sigterm(tmp_path: Path) -> None:
    """After its grace."""
    done = subprocess.run(
        python(IGNORES, str(tmp_path / "log")), capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout == "-9\n", done.stderr


def _adds_a_group(guard: processes._Guard) -> None:
    guard.tell("+", 2**22 + 2)
    os._exit(0)


def test_a_forked_process_has_a_guard_of_its_own() -> None:
    """Also if a thread of its parent, which it lacks, was about to start one."""
    guard = processes._Guard()
    with guard._lock:
        child = get_context("fork").Process(target=_adds_a_group, args=(guard,))
        child.start()
    child.join(20)
    child.kill()
    assert child.exitcode == 0
    assert guard._pipe is None
