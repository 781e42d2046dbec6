"""The file of --ws-data: which files are read, when they are read again, and which secrets they hold."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loadtest.errors import InvalidSetting
from loadtest.locust_plugin import data_file
from loadtest.locust_plugin.data_file import SessionData, read_data
from loadtest.scrubber import without_secrets


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with two rows."""
    path = tmp_path / "accounts.csv"
    path.write_text("user,password\nanna,s3cret-1\nben,s3cret-2\n")
    return path


def test_no_file_is_no_rows() -> None:
    """And no secrets."""
    assert read_data(None) == SessionData()


def test_all_values_are_secrets(file: Path) -> None:
    """Those of every row and column; those under four characters are too short to be hidden."""
    data = read_data(file)
    assert data.rows == ({"user": "anna", "password": "s3cret-1"}, {"user": "ben", "password": "s3cret-2"})
    text = "anna with s3cret-1, ben with s3cret-2"
    assert without_secrets(text, data.secrets) == "*** with ***, ben with ***"


def test_a_file_is_read_once_until_it_changes(file: Path) -> None:
    """To split it and to index its secrets takes seconds, and settings are made several times for a run."""
    first = read_data(file)
    assert read_data(file) is first
    other = file.with_name("other.csv")
    other.write_bytes(file.read_bytes().replace(b"anna", b"carl"))  # of the same size, and the same time
    at_ns = file.stat().st_mtime_ns
    os.utime(other, ns=(at_ns, at_ns))
    assert read_data(other).rows[0]["user"] == "carl"
    assert read_data(file).rows[0]["user"] == "anna"
    file.write_bytes(file.read_bytes().replace(b"anna", b"dora"))
    os.utime(file, ns=(at_ns, at_ns + 1))
    assert read_data(file).rows[0]["user"] == "dora"


def refused(path: Path) -> str:
    """Return the error of a file that is not read."""
    with pytest.raises(InvalidSetting) as error:
        read_data(path)
    assert str(path) not in f"{error.value}{error.value!r}"
    return error.value.problem


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    """A FIFO without a writer would block, a device need not end; the path is not quoted."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (fifo, Path("/dev/zero"), Path("/dev/null")):
        assert refused(path) == "must be a regular file"


def test_what_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    """With the system's reason."""
    assert refused(tmp_path / "none.csv") == "must be a file that can be read (No such file or directory)"
    assert refused(tmp_path) == "must be a file that can be read (Is a directory)"


def test_a_file_that_is_too_large_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of that size is read."""
    monkeypatch.setattr(data_file, "MAX_BYTES", file.stat().st_size)
    assert len(read_data(file).rows) == 2
    with file.open("a") as end:
        end.write("\n")
    assert refused(file) == "must be at most 0 MiB"


def test_a_malformed_file_is_refused_each_time(file: Path) -> None:
    """An error is not kept, nor is the content before it taken for that of the file."""
    assert len(read_data(file).rows) == 2
    file.write_text("user,password\nanna\n")
    for _ in range(2):
        assert refused(file) == "line 2 must have 2 values, one for each column (got 1)"
