"""Compressed log files, within bounds."""

import bz2
import gzip
import io
import lzma
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.errors import InvalidSetting
from loadtest.serverlog import compressed
from loadtest.serverlog.compressed import MAX_RATIO, Damaged, Unsupported, plain_bytes
from loadtest.serverlog.log_reader import LogReader, read

LINE = b"INFO:     connection closed\n"


def plain(data: bytes) -> bytes:
    """What a file of these bytes holds."""
    return b"".join(plain_bytes(io.BufferedReader(io.BytesIO(data))))


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5), st.integers(0, 40))
def test_any_members_are_read_in_a_row(parts: list[bytes], zeros: int) -> None:
    """A file of several gzip members, as `cat a.gz b.gz` makes it, holds them all; zeros may follow."""
    parts[0] = b"x" + parts[0]
    assert plain(b"".join(map(gzip.compress, parts)) + bytes(zeros)) == b"".join(parts)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_any_damage_is_noticed(position: int, change: int) -> None:
    """A changed byte gives the same bytes, or fewer and an error: never others without one."""
    content = b"".join(b"INFO: line %d\n" % number for number in range(500))
    zipped = bytearray(gzip.compress(content))
    zipped[position % len(zipped)] ^= change
    if not zipped.startswith(compressed.GZIP):
        return
    with suppress(Damaged, Unsupported):
        assert plain(bytes(zipped)) == content


@given(st.integers(1, 10_000))
def test_a_file_cut_anywhere_is_damaged(position: int) -> None:
    """A gzip file that was cut off at any byte says so."""
    zipped = gzip.compress(b"".join(b"INFO: line %d\n" % number for number in range(500)))
    with pytest.raises(Damaged, match="end early"):
        plain(zipped[: 2 + position % (len(zipped) - 3)])


@pytest.mark.parametrize("garbage", [b"garbage", b"\x1f", b"\0\0garbage", LINE])
def test_other_data_after_the_end_are_damage(garbage: bytes) -> None:
    """What follows the gzip data and is none may be a lost part of the log."""
    with pytest.raises(Damaged, match="other data follow"):
        plain(gzip.compress(LINE) + garbage)


@pytest.mark.parametrize(
    ("data", "command"),
    [
        (bz2.compress(LINE), "bzcat FILE"),
        (lzma.compress(LINE), "xzcat FILE"),
        (b"\x28\xb5\x2f\xfd" + LINE, "zstdcat FILE"),
        (b"PK\x03\x04" + LINE, "unzip -p FILE"),
        (gzip.compress(gzip.compress(LINE)), "zcat FILE"),
        (gzip.compress(bz2.compress(LINE)), "bzcat FILE"),
    ],
    ids=["bzip2", "xz", "zstd", "zip", "gzip twice", "bzip2 in gzip"],
)
def test_other_compression_is_refused_with_the_command_that_undoes_it(
    tmp_path: Path, data: bytes, command: str
) -> None:
    """What is not read is named, with what to do."""
    path = tmp_path / "server.log"
    path.write_bytes(data)
    with pytest.raises(InvalidSetting) as caught:
        list(read(path, LogReader()))
    assert f"{command} | loadtest check-log -" in str(caught.value)


def test_a_log_of_one_line_many_times_is_read() -> None:
    """A log that compresses uncommonly well is none that was made to harm."""
    content = LINE * 200_000
    assert plain(gzip.compress(content)) == content


def test_what_grows_beyond_bounds_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the free bytes, the ratio decides."""
    monkeypatch.setattr(compressed, "FREE_BYTES", 1_000_000)
    with pytest.raises(Damaged, match=f"more than {MAX_RATIO} times"):
        plain(gzip.compress(bytes(5_000_000)))
