"""Logs followed while they grow; every growth here is made by the test, so nothing is waited for blindly."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.errors import InvalidSetting
from loadtest.serverlog import follow as module
from loadtest.serverlog import growing_file
from loadtest.serverlog.follow import Follower, StandardInput, follow, follow_command
from loadtest.serverlog.growing_file import FileSource
from loadtest.serverlog.records import LogRecord

NOW_NS = 1_795_443_815_000_000_000


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log with a line that is older than the run."""
    path = tmp_path / "server.log"
    path.write_bytes(b"INFO:     old\n")
    return path


@pytest.fixture
def followed(log: Path) -> Iterator[Follower]:
    """A follower of the log."""
    follower = follow(str(log))
    yield follower
    follower.close(NOW_NS)


def add(path: Path, text: str) -> None:
    """Append to a log as a server does."""
    with path.open("a") as file:
        file.write(text)


def messages(records: list[LogRecord]) -> list[str]:
    """What records say."""
    return [record.message for record in records]


def polled(follower: Follower) -> list[str]:
    """What is there, until a poll finds nothing new; twice, as a rotated file must be quiet twice."""
    found: list[str] = []
    quiet = 0
    while quiet < 3:
        new = messages(follower.poll(NOW_NS))
        found += new
        quiet = 0 if new else quiet + 1
    return found


def test_only_what_is_new_is_read(log: Path, followed: Follower) -> None:
    """A log is read from its end on, and lines without a time get the time of reading."""
    assert polled(followed) == []
    add(log, "INFO:     new\n")
    (record,) = followed.poll(NOW_NS) + followed.poll(NOW_NS)
    assert (record.message, record.at_ns, record.arrival) == ("new", NOW_NS, True)


def test_half_a_line_waits_for_its_end(log: Path, followed: Follower) -> None:
    """A line that is being written is not a record yet."""
    add(log, "ERROR:    ha")
    assert polled(followed) == []
    add(log, "lf\n")
    assert polled(followed) == ["half"]


def test_a_traceback_in_two_writes_stays_with_its_line(log: Path, followed: Follower) -> None:
    """A record is given only when a poll finds nothing that continues it."""
    add(log, "ERROR:    boom\nTraceback (most recent call last):\n")
    assert followed.poll(NOW_NS) == []
    add(log, "KeyError: 1\n")
    assert followed.poll(NOW_NS) == []
    (record,) = followed.poll(NOW_NS)
    assert record.exception == "KeyError: 1"


def test_rotation_loses_nothing(log: Path, followed: Follower) -> None:
    """What a server still writes into the renamed file is read, then the new file from its start."""
    add(log, "INFO:     a\n")
    old = log.rename(log.with_suffix(".1"))
    log.write_text("INFO:     c\n")
    with old.open("a") as file:
        file.write("INFO:     b\n")
    assert polled(followed) == ["a", "b", "c"]
    add(log, "INFO:     d\n")
    assert polled(followed) == ["d"]


def test_a_line_cut_by_rotation_does_not_join_the_next(log: Path, followed: Follower) -> None:
    """The old file's last line without newline and the new file's first are two."""
    add(log, "INFO:     a")
    log.rename(log.with_suffix(".1"))
    log.write_text("INFO:     b\n")
    assert polled(followed) == ["a", "b"]


def test_truncation_begins_anew(log: Path, followed: Follower) -> None:
    """A log that is emptied in place is read from its start, NULs left by its writer and all."""
    add(log, "INFO:     a long line before it is emptied\n")
    assert polled(followed) == ["a long line before it is emptied"]
    os.truncate(log, 0)
    add(log, "\0\0\0INFO:     b\n")
    assert polled(followed) == ["b"]


def test_a_file_may_come_later_and_go(tmp_path: Path) -> None:
    """A log that does not exist yet is read from its start once it does; that it vanishes harms nothing."""
    path = tmp_path / "later.log"
    follower = follow(str(path))
    assert polled(follower) == []
    path.write_text("INFO:     a\n")
    assert polled(follower) == ["a"]
    path.unlink()
    assert polled(follower) == []
    follower.close(NOW_NS)
    assert follower.ended


def test_closing_reads_the_rest(log: Path, followed: Follower) -> None:
    """What was written before the end is given, a line without newline too."""
    add(log, "INFO:     a\nINFO:     b")
    assert messages(followed.close(NOW_NS)) == ["a", "b"]


def test_only_regular_files_are_followed(tmp_path: Path) -> None:
    """A directory or a named pipe, on which opening would wait, is refused at once."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(InvalidSetting, match="must be a regular file"):
            FileSource(path)


def test_what_takes_the_logs_place_is_told(log: Path, followed: Follower) -> None:
    """If something unreadable takes the name while the run goes, that is a problem to report, not a crash."""
    add(log, "INFO:     a\n")
    log.rename(log.with_suffix(".1"))
    log.mkdir()
    (log / "x").touch()
    assert polled(followed) == ["a"]
    assert followed.problem == f"{log} can no longer be read: must be a regular file"


def test_a_poll_is_bounded(log: Path, followed: Follower, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that grows faster than it is read is read in parts, and the follower says that it is behind."""
    monkeypatch.setattr(module, "POLL_BYTES", 10)
    monkeypatch.setattr(growing_file, "CHUNK", 10)
    add(log, "INFO:     a\nINFO:     b\n")
    followed.poll(NOW_NS)
    assert followed.behind
    assert polled(followed) == ["a", "b"]
    assert not followed.behind


def test_standard_input_does_not_wait() -> None:
    """A pipe without data gives nothing; one whose writer is gone has ended."""
    reading, writing = os.pipe()
    follower = Follower(StandardInput(reading))
    assert follower.poll(NOW_NS) == []
    os.write(writing, b"INFO:     a\n")
    assert polled(follower) == ["a"]
    assert not follower.ended
    os.close(writing)
    assert polled(follower) == []
    assert follower.ended
    follower.close(NOW_NS)
    os.close(reading)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A file may come later, its folder must be there: it is more likely a typing error."""
    with pytest.raises(InvalidSetting, match="must be in a folder that exists"):
        follow(str(tmp_path / "no" / "server.log"))


def test_a_terminal_is_no_log() -> None:
    """Standard input that nothing is piped into would wait for a person to type."""
    leader, terminal = os.openpty()
    try:
        with pytest.raises(InvalidSetting, match="not a terminal"):
            StandardInput(terminal)
    finally:
        os.close(leader)
        os.close(terminal)


@pytest.mark.parametrize("command", ["no-such-program-anywhere --x", "'unbalanced", ""])
def test_a_command_that_cannot_start_is_refused(command: str) -> None:
    """A program that is not there, or words that cannot be split, are usage errors."""
    with pytest.raises(InvalidSetting, match=r"--ws-server-log-cmd (program not found|must be quoted)"):
        follow_command(command)
