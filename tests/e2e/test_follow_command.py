"""Commands whose output is followed: read to their end, watched, and stopped with all that they started."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from loadtest.serverlog import follow as module
from loadtest.serverlog.follow import follow_command
from loadtest.serverlog.records import LogRecord

NOW_NS = 1_795_443_815_000_000_000


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log with a line that is older than the run."""
    path = tmp_path / "server.log"
    path.write_bytes(b"INFO:     old\n")
    return path


def messages(records: list[LogRecord]) -> list[str]:
    """What records say."""
    return [record.message for record in records]


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that another process makes true."""
    for _ in range(2_000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError


def test_a_commands_output_on_both_streams() -> None:
    """What a command prints on standard output and error is read to its end."""
    code = "import sys; print('INFO:     a', flush=True); print('INFO:     b', file=sys.stderr)"
    follower = follow_command(f'{sys.executable} -c "{code}"')
    found: list[LogRecord] = []

    def ended() -> bool:
        found.extend(follower.poll(NOW_NS))
        return follower.ended

    until(ended)
    assert messages(found + follower.close(NOW_NS)) == ["a", "b"]
    assert follower.problem == ""


def test_a_command_that_fails_is_told() -> None:
    """The status of a command that ended by itself is a problem to report."""
    follower = follow_command(f'{sys.executable} -c "raise SystemExit(3)"')

    def ended() -> bool:
        follower.poll(NOW_NS)
        return follower.ended

    until(ended)
    follower.close(NOW_NS)
    assert follower.problem == "the command ended with status 3"


@pytest.mark.parametrize("status", [0, 1])
def test_a_failing_commands_last_words_are_its_own(status: int) -> None:
    """An error that a command gives as the reason of its failure is not one of the server's."""
    code = f"echo INFO: a; echo error: no such container >&2; echo error: gone >&2; exit {status}"
    follower = follow_command(f"sh -c '{code}'")
    found: list[LogRecord] = []

    def ended() -> bool:
        found.extend(follower.poll(NOW_NS))
        return follower.ended

    until(ended)
    found += follower.close(NOW_NS)
    if status:
        assert messages(found) == ["a"]
        assert follower.problem == "the command ended with status 1: error: gone"
    else:
        assert sorted(messages(found)) == ["a", "gone", "no such container"]
        assert follower.problem == ""
    assert follower.counts.records == len(found)


def test_errors_of_the_server_before_its_command_failed_count(tmp_path: Path) -> None:
    """What came on standard error before later lines is the server's, however the command ends."""
    go_on = tmp_path / "go on"
    os.mkfifo(go_on)
    follower = follow_command(
        f"sh -c 'echo INFO: a; echo ERROR: b >&2; read x < \"{go_on}\"; echo INFO: c; exit 1'"
    )
    found: list[LogRecord] = []

    def printed() -> bool:
        found.extend(follower.poll(NOW_NS))
        return "a" in messages(found)

    until(printed)
    with go_on.open("w") as pipe:  # waits until the shell has written both lines
        found.extend(follower.poll(NOW_NS))
        pipe.write("\n")

    def ended() -> bool:
        found.extend(follower.poll(NOW_NS))
        return follower.ended

    until(ended)
    assert sorted(messages(found + follower.close(NOW_NS))) == ["a", "b", "c"]
    assert follower.problem == "the command ended with status 1: ERROR: b"


def test_a_command_that_floods_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing does not read for ever what a command prints without end."""
    monkeypatch.setattr(module, "CLOSE_BYTES", 100_000)
    follower = follow_command("yes INFO: flood")
    found: list[LogRecord] = []

    def printed() -> bool:
        found.extend(follower.poll(NOW_NS))
        return bool(found)

    until(printed)
    follower.close(NOW_NS)
    assert follower.ended


def test_a_command_that_never_ends_is_stopped() -> None:
    """A following command is ended on close; what it printed is kept."""
    code = "print('INFO:     a', flush=True); input_never = __import__('time').sleep(600)"
    follower = follow_command(f'{sys.executable} -c "{code}"')
    found: list[LogRecord] = []

    def printed() -> bool:
        found.extend(follower.poll(NOW_NS))
        return bool(found)

    until(printed)
    assert not follower.ended
    assert messages(found + follower.close(NOW_NS)) == ["a"]
    assert follower.ended


def test_all_that_a_command_started_is_stopped() -> None:
    """The end of a pipeline in a shell ends every part of it."""
    follower = follow_command("sh -c 'echo INFO: $$; tail -f /dev/null | cat'")
    found: list[LogRecord] = []

    def printed() -> bool:
        found.extend(follower.poll(NOW_NS))
        return bool(found)

    until(printed)
    group = int(found[0].message)
    follower.close(NOW_NS)

    def gone() -> bool:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        return False

    until(gone)


def test_it_works_from_a_plain_process(log: Path) -> None:
    """Nothing in it needs threads or an event loop: another process may follow."""
    code = (
        "import sys\nfrom loadtest.serverlog.follow import follow\n"
        "f = follow(sys.argv[1]); open(sys.argv[1], 'a').write('INFO:     a\\n')\n"
        "print(len(f.poll(1) + f.close(1)))"
    )
    output = subprocess.run(
        [sys.executable, "-c", code, str(log)], capture_output=True, check=True, text=True
    )
    assert output.stdout == "1\n"
