"""Run directories read back, whatever happened to them."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.errors import RunUnreadable
from loadtest.histograms import new_histogram
from loadtest.results import gathering
from loadtest.results.directory import EVENTS, HISTOGRAMS, INTERVALS, MANIFEST
from loadtest.results.hlog import line
from loadtest.results.origin import WorkerShare
from loadtest.results.reader import FILE_LIMIT, LINE_LIMIT, read_run
from loadtest.verdict.run import judge
from tests.support.effort import effort
from tests.support.runs import gathered
from tests.support.stories import ENDED_AT, assert_same, story, written

# Writing.


def test_a_run_is_read_as_it_was_recorded(tmp_path: Path) -> None:
    """What comes out of the files is what the process recorded."""
    found = read_run(written(tmp_path))
    assert_same(found, gathered(story()))
    assert found.warnings == ()
    assert found.manifest.complete
    assert found.manifest.ended_at == ENDED_AT
    assert found.manifest.workers == [WorkerShare(worker=None, intervals=8, sent=24, answered=24)]


# Reading what is damaged.


@pytest.mark.parametrize("name", [EVENTS, INTERVALS, HISTOGRAMS])
def test_a_last_line_without_its_end_is_a_warning(tmp_path: Path, name: str) -> None:
    """That is what a killed run leaves."""
    file = written(tmp_path, finished=False) / name
    file.write_bytes(file.read_bytes()[:-20])
    found = read_run(file.parent)
    assert list(found.warnings) == [f"{name}: the last line is incomplete and was skipped"]
    assert found.warnings[0] in judge(found).notes


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (EVENTS, b"{}"),
        (EVENTS, b"not json"),
        (EVENTS, b'{"at_ns": "1", "event": "lost", "session": "s"}'),
        (INTERVALS, b'{"start_ns": -1, "stop_ns": 0}'),
        (INTERVALS, b'{"start_ns": 5, "stop_ns": 1}'),
        (INTERVALS, b'{"start_ns": 0, "stop_ns": 4611686018427387904}'),
        (INTERVALS, b'{"start_ns": 0, "stop_ns": 1, "counts": {"a": 1.5}}'),
        (INTERVALS, b'{"start_ns": 0, "stop_ns": 1, "gauges": {"a": NaN}}'),
        (INTERVALS, b"[" * 100_000),
        (HISTOGRAMS, b"Tag=service,0.000,1.000,1.000,HISTFAAAA"),
        (HISTOGRAMS, b"1.000,1.000,HISTFAAAA"),
        (HISTOGRAMS, b"Tag=service,nan,1.000,1.000,AAAA"),
        (HISTOGRAMS, b"\xff\xfe"),
        (EVENTS, b" " * (LINE_LIMIT + 1)),
    ],
)
def test_a_damaged_line_is_told_with_file_and_line(tmp_path: Path, name: str, line: bytes) -> None:
    """Of a line in the middle, the error says where it is."""
    file = written(tmp_path) / name
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:6], line + b"\n", *lines[6:]]))
    with pytest.raises(RunUnreadable, match=rf"{name}: line 7: "):
        read_run(file.parent)


def test_histograms_of_more_values_than_a_run_has_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few bytes of a line can stand for 23,552 values, and a small file for more than the memory holds."""
    monkeypatch.setattr(gathering, "CELLS_LIMIT", 50)
    file = written(tmp_path) / HISTOGRAMS
    assert read_run(file.parent).manifest.complete  # its own few values are within the limit
    full = new_histogram()
    for value_us in range(1, 100):
        full.record_value(value_us)
    with file.open("a") as lines:
        lines.write(line("service", start_ns=0, stop_ns=10**9, histogram=full))
    with pytest.raises(RunUnreadable, match=rf"{HISTOGRAMS}: line \d+: it has more than 50 different times"):
        read_run(file.parent)


@pytest.mark.parametrize("name", [MANIFEST, EVENTS, INTERVALS, HISTOGRAMS])
def test_a_missing_file_is_told(tmp_path: Path, name: str) -> None:
    """A run without one of its files is not read as one where nothing happened."""
    path = written(tmp_path)
    (path / name).unlink()
    with pytest.raises(RunUnreadable, match="No such file"):
        read_run(path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"schema": 2}', "its schema is 2, this version reads 1"),
        ('{"schema": "\\u001b[31m"}', r"cannot be read: [^(\x1b]*$"),
        ("{}", r"missing required field `\w+`$"),
        (" " * (FILE_LIMIT + 1), "bytes"),
    ],
)
def test_a_manifest_of_another_kind_is_told(tmp_path: Path, text: str, problem: str) -> None:
    """Empty, of another schema, or far too large."""
    path = written(tmp_path)
    (path / MANIFEST).write_text(text)
    with pytest.raises(RunUnreadable, match=problem):
        read_run(path)


def test_what_a_later_version_adds_is_passed_over(tmp_path: Path) -> None:
    """Unknown fields of the same schema and unknown tags do not make a run unreadable."""
    path = written(tmp_path)
    plain = msgspec.json.decode((path / MANIFEST).read_bytes())
    (path / MANIFEST).write_bytes(msgspec.json.encode(plain | {"added": 1}))
    text = (path / HISTOGRAMS).read_text()
    (path / HISTOGRAMS).write_text(text + text.splitlines()[-1].replace("Tag=service", "Tag=added") + "\n")
    assert_same(read_run(path), gathered(story()))


@effort(60)
@given(st.sampled_from([MANIFEST, EVENTS, INTERVALS, HISTOGRAMS]), st.data())
def test_a_file_cut_short_anywhere_is_read_or_told(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    """No cut raises anything but RunUnreadable, and a cut within the last line is only a warning."""
    path = written(tmp_path_factory.mktemp("results"))
    whole = (path / name).read_bytes()
    kept = data.draw(st.integers(0, len(whole)))
    (path / name).write_bytes(whole[:kept])
    if name == MANIFEST:
        with contextlib.suppress(RunUnreadable):
            read_run(path)
    else:
        judge(read_run(path))


@effort(150)
@given(st.sampled_from([MANIFEST, EVENTS, INTERVALS, HISTOGRAMS]), st.data())
def test_a_file_with_random_damage_is_read_or_told(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    """Whatever bytes stand in a file: evidence that can be judged, or RunUnreadable, and nothing else."""
    path = written(tmp_path_factory.mktemp("results"))
    damaged = bytearray((path / name).read_bytes())
    at = data.draw(st.integers(0, len(damaged) - 1))
    damaged[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    (path / name).write_bytes(damaged)
    with contextlib.suppress(RunUnreadable):
        judge(read_run(path))
