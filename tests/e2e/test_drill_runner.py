"""Commands of drills: started at their moments, followed to their end, stopped with the run."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import gevent
import pytest

from loadtest.drops.drills import Drill
from loadtest.errors import ResultsUnwritable
from loadtest.locust_plugin import drill_runner
from loadtest.locust_plugin.drill_runner import DrillRunner
from loadtest.processes import Process
from loadtest.results.drill_windows import Windows
from loadtest.results.manifest import DrillRun
from loadtest.scrubber import Secrets
from loadtest.session.schedule import NS_PER_S
from tests.support.children import is_running

LEFT_OUT = "[output truncated]\n"


class Drills:
    """A runner of these commands, all at the run's start, and what it reports."""

    def __init__(self, folder: Path, *commands: str, at_s: float = 0.0) -> None:
        self.folder = folder
        self.written: list[tuple[DrillRun, ...]] = []
        self.told: list[Windows] = []
        self.failures: list[BaseException] = []
        self.write_fails: Exception | None = None
        self.runner = DrillRunner(
            [Drill(at_s=at_s, command=command) for command in commands],
            folder,
            began_ns=time.monotonic_ns(),
            window_s=5.0,
            secrets=lambda: Secrets(["s3cret"]),
            write=self._write,
            tell=self.told.append,
            failed=self.failures.append,
        )
        assert not self.runner.active()
        self.runner.start()

    def _write(self, runs: tuple[DrillRun, ...]) -> None:
        if self.write_fails is not None:
            raise self.write_fails
        self.written.append(runs)

    @property
    def latest(self) -> tuple[DrillRun, ...]:
        """The newest records."""
        return self.written[-1] if self.written else ()

    def ended(self) -> bool:
        """Whether all commands have ended."""
        return bool(self.latest) and all(one.exit_status is not None for one in self.latest)

    def log(self, number: int = 1) -> str:
        """What a command is said to have printed."""
        return (self.folder / f"drill-{number}.log").read_text()


def open_files(folder: Path) -> list[str]:
    """Return the files that this process has open in a folder."""
    found = (os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd"))
    return [path for path in found if path.startswith(f"{folder}{os.sep}")]


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition that another process makes true."""
    deadline_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline_s
        gevent.sleep(0.01)


def ended_command(folder: Path, code: str, *secrets: str) -> drill_runner._Command:
    """Return a command that has ended, and of whose output nothing was copied yet."""
    command = drill_runner._Command([sys.executable, "-c", code], folder / "log", lambda: Secrets(secrets))
    until(lambda: command.exit_status == 0)
    return command


def python(code: str) -> str:
    """Return a command that runs this code."""
    return shlex.join([sys.executable, "-c", code])


def test_a_command_is_followed_to_its_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its start is written before it begins, then its end and what it printed, without secrets."""
    caplog.set_level("INFO", "loadtest")
    code = "import sys; print('one'); print('two s3cret token=abcdef', file=sys.stderr); sys.exit(3)"
    drills = Drills(tmp_path, python(code))
    until(drills.ended)
    started, ended = (runs[0] for runs in drills.written)
    assert started.started_s is not None
    assert (started.ended_s, started.exit_status) == (None, None)
    assert ended.ended_s is not None
    assert ended.ended_s > started.started_s
    assert (ended.exit_status, ended.stopped) == (3, False)
    assert ended.last_words == "two *** [secret removed]"
    assert sorted(drills.log().splitlines()) == ["one", "two *** [secret removed]"]
    (window,) = drills.runner.windows.spans.values()
    assert window[1] == int((ended.ended_s + 5) * NS_PER_S)
    assert drills.told[-1] == drills.runner.windows
    assert drills.runner.active()
    assert "s3cret" not in caplog.text
    assert "drill 1 of 1: ended with exit status 3" in caplog.text
    assert drills.failures == []


def test_drills_begin_at_their_moments(tmp_path: Path) -> None:
    """Not before, and two at one moment together; the records keep their order."""
    drills = Drills(tmp_path, python("print('a')"), python("print('b')"), at_s=0.3)
    assert not drills.runner.active()
    until(drills.ended)
    assert [one.last_words for one in drills.latest] == ["a", "b"]
    assert all(one.started_s is not None and one.started_s >= 0.3 for one in drills.latest)


def test_a_command_that_still_runs_is_stopped_with_the_run(tmp_path: Path) -> None:
    """And all that it started with it; the record says so."""
    drills = Drills(tmp_path, "sh -c 'sleep 60 & echo $!; wait'")
    until(lambda: (tmp_path / "drill-1.log").exists() and drills.log().endswith("\n"))
    drills.runner.finish()
    (run,) = drills.latest
    assert run.stopped
    assert run.exit_status is not None
    assert run.exit_status < 0
    until(lambda: not is_running(int(drills.log())))


def test_a_drill_whose_moment_has_not_come_is_not_started(tmp_path: Path) -> None:
    """The run has ended before it: nothing is written, so that the record says that it was not started."""
    drills = Drills(tmp_path, python("print('never')"), at_s=3600)
    gevent.sleep(0)
    drills.runner.finish()
    assert drills.written == []
    assert list(tmp_path.iterdir()) == []


def test_what_a_command_leaves_running_goes_on(tmp_path: Path) -> None:
    """A deploy may start a server: it lives on when the run ends, and can print whatever it wants."""
    proof = tmp_path / "proof"
    code = (
        "import os, sys, time\n"
        "if os.fork(): print('deployed', flush=True); os._exit(0)\n"
        "for _ in range(6000):\n"
        f"    if os.path.exists({str(tmp_path / 'ended')!r}): break\n"
        "    time.sleep(0.01)\n"
        "print('still here', flush=True)\n"
        f"open({str(proof)!r}, 'w').close()"
    )
    drills = Drills(tmp_path, python(code))
    until(drills.ended)
    assert drills.latest[0].last_words == "deployed"
    drills.runner.finish()
    (tmp_path / "ended").touch()
    until(proof.exists)


def test_a_command_that_cannot_be_started_has_no_window(tmp_path: Path) -> None:
    """Its program may have gone since the check: nothing then explains a loss."""
    drills = Drills(tmp_path, "/nonexistent/deploy --now")
    until(lambda: drills.latest and drills.latest[0].last_words)
    (run,) = drills.latest
    assert (run.started_s, run.exit_status, run.last_words) == (
        None,
        None,
        "cannot be started: program not found",
    )
    assert drills.runner.windows.spans == {}
    assert drills.told[-1].spans == {}


def test_a_flood_of_output_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log is bounded; the last line is still known."""
    monkeypatch.setattr(drill_runner, "LOG_LIMIT", 20_000)
    code = "for n in range(200_000): print('line', n)\nprint('the end')"
    drills = Drills(tmp_path, python(code))
    until(drills.ended)
    assert drills.latest[0].last_words == "the end"
    assert len(drills.log()) < 20_000 + len(f"line 199999\n{LEFT_OUT}")
    assert drills.log().endswith(LEFT_OUT)


def test_a_flood_of_output_does_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file behind the output is emptied again and again while the command writes."""
    monkeypatch.setattr(drill_runner, "LOG_LIMIT", 20_000)
    monkeypatch.setattr(drill_runner, "FILE_LIMIT", 100_000)
    lengths: list[int] = []
    empty = os.ftruncate

    def emptied(file: int, length: int) -> None:
        lengths.append(length)
        empty(file, length)

    monkeypatch.setattr(os, "ftruncate", emptied)
    drills = Drills(tmp_path, "yes")
    until(lambda: len(lengths) > 1)
    drills.runner.finish()
    assert drills.latest[0].last_words == "y"
    assert len(drills.log()) < 20_000 + len(f"y\n{LEFT_OUT}")


def test_the_last_line_is_known_where_the_log_becomes_full_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept may be longer than what was printed: the log is then full before all is read."""
    monkeypatch.setattr(drill_runner, "LOG_LIMIT", 100_000)
    command = ended_command(tmp_path, "print(('\\1' * 300 + '\\n') * 300 + 'the end')")
    assert command.close() == "the end"
    assert 100_000 < len((tmp_path / "log").read_bytes()) < 101_001 + len(LEFT_OUT)


def test_no_half_of_a_secret_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of a line is left out if its beginning was: it is too long, or the output was skipped."""
    secret = "0123456789abcdef" * 100
    too_long = f"print('x' * {2 * drill_runner.CHUNK - 800} + {secret!r} + '\\nthe end')"
    command = ended_command(tmp_path, too_long, secret)
    assert command.close() == "the end"
    assert (tmp_path / "log").read_text() == f"{'x' * 997}...\nthe end\n"
    monkeypatch.setattr(drill_runner, "LOG_LIMIT", 100_000)
    skipped = f"print('x' * 100_000 + {secret!r} + 'x' * {drill_runner.CHUNK - 800})"
    other = tmp_path / "other"
    other.mkdir()
    command = ended_command(other, skipped, secret)
    assert command.close() == ""
    assert (other / "log").read_text() == LEFT_OUT


def test_a_known_secret_is_hidden_whole(tmp_path: Path) -> None:
    """It may hold characters that end what only looks like a secret."""
    command = ended_command(tmp_path, "print('token=ab cd&ef gh')", "ab cd&ef gh")
    assert command.close() == "[secret removed]"


def test_an_error_of_the_tool_is_not_swallowed(tmp_path: Path) -> None:
    """A record that cannot be written ends the run."""
    drills = Drills(tmp_path, "true")
    drills.write_fails = ResultsUnwritable(tmp_path, "No space left")
    until(lambda: drills.failures)
    assert drills.failures == [drills.write_fails]


def test_a_command_whose_output_cannot_be_written_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error ends the run; the command does not outlive it, and its window has an end."""
    full = ResultsUnwritable(tmp_path, "No space left")

    def write(_self: object, _line: str) -> None:
        raise full

    monkeypatch.setattr(drill_runner._Command, "_write", write)
    (tmp_path / "own").mkdir()
    pid = tmp_path / "pid"
    drills = Drills(tmp_path / "own", f"sh -c 'echo $$ > {pid}; echo hello; sleep 60'")
    until(lambda: drills.failures)
    assert drills.failures == [full]
    assert not is_running(int(pid.read_text()))
    (run,) = drills.latest
    assert run.started_s is not None
    assert run.ended_s is not None
    assert (run.exit_status, run.stopped) == (-signal.SIGTERM, True)
    assert drills.told[-1].at(2**61) is None
    assert open_files(tmp_path / "own") == []


def test_a_command_that_has_ended_before_an_error_keeps_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last words cannot be written: what it left running is left alone all the same."""
    command = drill_runner._Command(
        shlex.split("sh -c 'sleep 60 & echo $!'"), tmp_path / "log", lambda: Secrets([])
    )
    until(lambda: command.exit_status == 0)
    left = int(os.pread(command._raw.fileno(), 100, 0))
    signalled: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "killpg", lambda *given: signalled.append(given))
    assert command.abandon() == 0
    assert signalled == []
    os.kill(left, signal.SIGKILL)


def test_a_command_that_cannot_be_started_leaves_no_log(tmp_path: Path) -> None:
    """Neither a file without a line, nor an open one."""
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF of another machine")
    program.chmod(0o755)
    (tmp_path / "own").mkdir()
    drills = Drills(tmp_path / "own", str(program))
    until(lambda: drills.latest and drills.latest[0].last_words)
    assert drills.latest[0].last_words == "cannot be started: Exec format error"
    assert list((tmp_path / "own").iterdir()) == []
    assert open_files(tmp_path / "own") == []


def test_a_log_that_cannot_be_opened_ends_the_run(tmp_path: Path) -> None:
    """The command is not started, so it has no window."""
    drills = Drills(tmp_path / "gone", "true")
    until(lambda: drills.failures)
    assert isinstance(drills.failures[0], ResultsUnwritable)
    assert drills.latest[0].started_s is None
    assert drills.told[-1].spans == {}


def test_no_command_outlives_a_runner_that_ends_while_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of the run comes in the middle of a start: the command is stopped all the same."""
    pids: list[int] = []
    begin = Process.__init__

    def slow(self: Process, *arguments: object, **options: object) -> None:
        gevent.sleep(0.2)
        begin(self, *arguments, **options)  # type: ignore[arg-type]  # as given
        pids.append(self.pid)

    monkeypatch.setattr(Process, "__init__", slow)
    drills = Drills(tmp_path, "sleep 60")
    until(lambda: drills.written)
    drills.runner.finish()
    assert drills.latest[0].stopped
    assert not any(map(is_running, pids))
    assert len(pids) == 1
    assert os.path.exists(tmp_path / "drill-1.log")
