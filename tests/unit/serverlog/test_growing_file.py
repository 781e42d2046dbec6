"""Logs that are rotated while they are followed: every line comes once, or a loss is told."""

import gzip
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loadtest.serverlog.growing_file import FileSource


class Log:
    """A log that numbers its lines, and who follows it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "server.log"
        self.written = 0
        self.found: list[str] = []
        self.path.write_text("old line\n")
        self.source = FileSource(self.path)

    def write(self, lines: int = 3, path: Path | None = None) -> None:
        """Append lines."""
        with (path or self.path).open("a") as file:
            for _ in range(lines):
                self.written += 1
                file.write(f"line {self.written:05}\n")

    def look(self, times: int = 3) -> None:
        """Read what is there."""
        for _ in range(times):
            while chunk := self.source.read():
                self.found += [line for line in chunk.decode().replace("\0", "").split("\n") if line]

    def rename(self) -> None:
        """Rotate as logrotate does with `create`: 1 becomes 2, the log becomes 1."""
        for number in range(8, 0, -1):
            old = self.path.with_name(f"server.log.{number}")
            if old.exists():
                old.rename(self.path.with_name(f"server.log.{number + 1}"))
        self.path.rename(self.path.with_name("server.log.1"))
        self.path.touch()

    def copytruncate(self) -> None:
        """Rotate as logrotate does with `copytruncate`."""
        for number in range(8, 0, -1):
            old = self.path.with_name(f"server.log.{number}")
            if old.exists():
                old.rename(self.path.with_name(f"server.log.{number + 1}"))
        shutil.copy(self.path, self.path.with_name("server.log.1"))
        os.truncate(self.path, 0)

    @property
    def all_lines(self) -> list[str]:
        """What was written."""
        return [f"line {number:05}" for number in range(1, self.written + 1)]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    """A log that is followed."""
    log = Log(tmp_path)
    yield log
    log.source.close()


ROTATIONS: list[Callable[[Log], None]] = [Log.rename, Log.copytruncate]


@pytest.mark.parametrize("rotate", ROTATIONS)
@pytest.mark.parametrize("between", [1, 2, 5])
def test_rotations_between_two_reads_lose_nothing(
    log: Log, rotate: Callable[[Log], None], between: int
) -> None:
    """However often the log was rotated since the last read, each line comes once and in order."""
    for size in range(6):
        log.write(size + 1)
        log.look()
        for _ in range(between):
            log.write(size + 2)
            rotate(log)
        log.write(4 * size)
    log.look()
    assert log.found == log.all_lines
    assert log.source.problem == ""


@pytest.mark.parametrize("rotate", ROTATIONS)
def test_compressed_rotations_lose_nothing(log: Log, rotate: Callable[[Log], None]) -> None:
    """A file that was compressed at once is read if it was not before, and not again if it was."""
    for _ in range(5):
        log.write(3)
        log.look()
        for _ in range(2):
            log.write(4)
            rotate(log)
            first = log.path.with_name("server.log.1")
            number = log.written
            zipped = log.path.with_name(f"server.log-{number}.gz")
            zipped.write_bytes(gzip.compress(first.read_bytes()))
            first.unlink()
        log.write(2)
        log.look()
    assert log.found == log.all_lines
    assert log.source.problem == ""


@pytest.mark.parametrize("looks", [1, 3])
def test_a_log_that_was_just_emptied_is_copied_and_emptied_again(log: Log, looks: int) -> None:
    """What came between is read from the copy, before what is there now."""
    log.write(3)
    log.look()
    log.copytruncate()
    log.look(looks)
    log.write(3)
    log.copytruncate()
    log.write(3)
    log.look()
    assert log.found == log.all_lines
    assert log.source.problem == ""


def test_a_copy_that_is_not_followed_by_emptying_yet_is_not_read_twice(log: Log) -> None:
    """Between copying and emptying, the copy and the log have the same lines."""
    log.write(3)
    log.copytruncate()
    log.look()
    log.write(3)
    shutil.copy(log.path, log.path.with_name("server.log.0"))
    log.look(1)
    os.truncate(log.path, 0)
    log.write(3)
    log.look()
    assert log.found == log.all_lines
    assert log.source.problem == ""


def test_a_log_that_came_and_was_rotated_before_the_first_look(tmp_path: Path) -> None:
    """A log that did not exist at the start is read from its first line, which rotation has set aside."""
    log = Log(tmp_path)
    log.source.close()
    log.path.unlink()
    log.source = FileSource(log.path)
    log.write(2)
    log.rename()
    log.write(2)
    log.look()
    log.source.close()
    assert log.found == log.all_lines


@pytest.mark.parametrize("times", [1, 2])
def test_a_log_that_is_deleted_and_created_anew_is_told(log: Log, times: int) -> None:
    """Of several files that came and went between two looks, only the last is left: some may be missing."""
    log.write(3)
    log.look()
    for _ in range(times):
        log.path.unlink()
        log.write(3)
    log.look()
    assert log.found[-3:] == log.all_lines[-3:]
    assert "server.log was deleted and created again at least once: " in log.source.problem


@pytest.mark.parametrize("lines", [0, 1, 2, 30, 3_000])
def test_a_log_that_is_emptied_without_a_copy_is_told(log: Log, lines: int) -> None:
    """What it has now is read, also if it is longer than before or as long; some may be missing."""
    log.write(30)
    log.look()
    os.truncate(log.path, 0)
    log.write(lines)
    log.look()
    log.write(1)
    log.look()
    assert log.found == log.all_lines
    assert "server.log was emptied at least once without a copy" in log.source.problem


def test_a_hole_that_a_writer_leaves_is_skipped(log: Log) -> None:
    """A writer without O_APPEND goes on at its old position: gigabytes of nothing come first."""
    log.write(2)
    log.look()
    os.truncate(log.path, 0)
    with log.path.open("r+b") as file:
        file.seek(8 * 1024**3)
        file.write(b"line 00003\n")
    log.written = 3
    log.look()
    assert log.found == log.all_lines


def test_a_renamed_file_is_still_read_after_the_new_one_began(log: Log) -> None:
    """A server of several processes moves to the new file one process after another."""
    log.write(2)
    log.rename()
    log.write(2)
    log.look()
    log.write(2, log.path.with_name("server.log.1"))
    log.look()
    log.write(2)
    log.look()
    assert log.found == log.all_lines


def test_a_new_file_with_the_old_ones_inode_is_another(log: Log) -> None:
    """File systems use an inode again at once; a file that was deleted unseen beside the log hides none."""
    for _ in range(12):
        log.write(2)
        log.look()
        for _ in range(3):
            log.write(2)
            log.rename()
            log.path.with_name("server.log.3").unlink(missing_ok=True)
            log.look(1)
    log.look()
    assert log.found == log.all_lines


def test_a_link_that_is_switched(tmp_path: Path) -> None:
    """As /var/log/containers: the link shows the newest of a container's numbered logs."""
    pods = tmp_path / "pods"
    pods.mkdir()
    (pods / "0.log").write_text("old\n")
    link = tmp_path / "chat_default_chat-1.log"
    link.symlink_to(pods / "0.log")
    source = FileSource(link)
    found = b""
    for number in range(1, 4):
        with (pods / f"{number - 1}.log").open("a") as file:
            file.write(f"last of {number - 1}\n")
        (pods / f"{number}.log").write_text(f"first of {number}\n")
        if number == 2:
            continue  # two switches between two reads
        link.unlink()
        link.symlink_to(pods / f"{number}.log")
        for _ in range(6):
            found += source.read()
    source.close()
    assert [line for line in found.decode().split("\n") if line] == [
        "last of 0",
        "first of 1",
        "last of 1",
        "first of 2",
        "last of 2",
        "first of 3",
    ]
    assert source.problem == ""


def test_another_logs_files_are_not_read(log: Log) -> None:
    """A file beside the log whose name only begins alike is another's."""
    log.write(2)
    for name in ("server2.log", "serverless.log", "other.log.1"):
        log.path.with_name(name).write_text("not this one\n")
    log.rename()
    log.write(2)
    log.look()
    assert log.found == log.all_lines


def test_a_log_that_never_came_is_told(tmp_path: Path) -> None:
    """A run without the log it was promised says so."""
    source = FileSource(tmp_path / "server.log")
    assert source.read() == b""
    source.close()
    assert source.problem == "the file did not exist during the run"


def test_what_was_not_read_is_told(log: Log) -> None:
    """A follower that is closed before the end of the log says how much it left."""
    log.write(100)
    log.source.close()
    assert log.source.problem.startswith("1,100 bytes of server.log were not read")


def damaged_copy(log: Log, cut: slice, name: str) -> None:
    """Rotate the log with `create` into a gzip file with an error in it."""
    content = log.path.read_bytes() + os.urandom(50_000).hex().encode() + b"\n"
    log.path.unlink()
    zipped = bytearray(gzip.compress(content))
    if cut == slice(-8, -4):
        zipped[cut] = b"\0\0\0\0"
    else:
        del zipped[cut]
    log.path.with_name(name).write_bytes(zipped)


@pytest.mark.parametrize("cut", [slice(20_000, -8), slice(-8, -4)], ids=["shortened", "checksum"])
def test_a_damaged_rotation_stays_a_problem(log: Log, cut: slice) -> None:
    """What is missing of a rotated file is still reported after the next, undamaged rotation."""
    log.look()
    log.write()
    log.look()
    log.path.rename(log.path.with_name("server.log.1"))
    log.path.write_text("between\n")
    damaged_copy(log, cut, "server.log.2.gz")
    log.path.touch()
    log.write()
    log.look(8)
    assert "1 rotated file of server.log could not be read to the end" in log.source.problem
    log.rename()
    log.write()
    log.look(8)
    assert "1 rotated file of server.log could not be read to the end" in log.source.problem
