"""Records are assembled of what belongs together; a record without a level is no part of another."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.serverlog.log_reader import LogReader
from loadtest.serverlog.records import Counts, Level, LogRecord

SAID = "Client disconnected gracefully (session=s-1, code=1000)"
LOST = "could not save the message"
READ_NS = 1_795_530_035_107_000_000


def read(text: str, read_at_ns: int | None = None) -> tuple[list[LogRecord], Counts]:
    """The records of a log, and the reader's counts."""
    reader = LogReader()
    return reader.feed(text.encode(), read_at_ns=read_at_ns) + reader.finish(), reader.counts


def _json(at_ms: int, level: str, text: str) -> str:
    fields = {"timestamp": f"2026-11-24T14:00:35.{at_ms:03d}Z", "level": level, "message": text}
    return json.dumps({name: value for name, value in fields.items() if value})


def _untimed(_at_ms: int, level: str, text: str) -> str:
    return json.dumps({"level": level, "message": text} if level else {"message": text})


def _go(_at_ms: int, level: str, text: str) -> str:
    return " ".join(filter(None, ("2026/11/24 14:00:35", level.upper(), text)))


def _docker_go(at_ms: int, level: str, text: str) -> str:
    return f"2026-11-24T14:00:35.{at_ms:03d}Z {_go(at_ms, level, text)}"


def _python(at_ms: int, level: str, text: str) -> str:
    return " ".join(filter(None, (f"2026-11-24 14:00:35,{at_ms:03d}", level.upper(), text)))


WRITERS = (_json, _untimed, _go, _docker_go, _python)


@pytest.mark.parametrize("write", WRITERS)
@given(gap_ms=st.integers(0, 100), followed=st.booleans())
def test_a_record_without_a_level_is_one(
    write: Callable[[int, str, str], str], gap_ms: int, followed: bool
) -> None:
    """However soon it comes after a record with a level, it stands by itself and is counted."""
    lines = [write(0, "info", SAID), write(gap_ms, "", LOST), write(gap_ms, "info", SAID)]
    found, counts = read("\n".join(lines) + "\n", READ_NS if followed else None)
    assert [(record.level, record.message) for record in found] == [
        (Level.INFO, SAID),
        (None, LOST),
        (Level.INFO, SAID),
    ]
    assert counts.unlevelled == 1


def _docker(at_ms: int, level: str, text: str) -> str:
    return f"2026-11-24T14:00:35.{at_ms:03d}Z {f'{level.upper()}: ' if level else ''}{text}"


def _docker_json(at_ms: int, level: str, text: str) -> str:
    log = f"{level.upper()}: {text}\n" if level else f"{text}\n"
    return json.dumps({"log": log, "stream": "stdout", "time": f"2026-11-24T14:00:35.{at_ms:03d}Z"})


@pytest.mark.parametrize("write", [_docker, _docker_json])
@given(gap_ms=st.integers(0, 100))
def test_a_line_under_a_carriers_time_is_counted(write: Callable[[int, str, str], str], gap_ms: int) -> None:
    """It may be the rest of the record above it, so it is read as such, but never silently."""
    _, counts = read("\n".join((write(0, "info", SAID), write(gap_ms, "", LOST))) + "\n")
    assert counts.stray + counts.unlevelled == 1


def test_a_go_panic_in_the_same_second_is_an_error() -> None:
    """net/http writes a handler's panic with a time but no level, then the goroutine's stack."""
    panic = "http: panic serving 10.0.0.1:5000: runtime error: index out of range [3] with length 3"
    stack = "goroutine 20 [running]:\nmain.chat()\n\t/app/main.go:33 +0x1d"
    found, _ = read(f"{_go(0, 'info', SAID)}\n{_go(0, '', panic)}\n{stack}\n{_go(0, 'info', SAID)}\n")
    assert [record.level for record in found] == [Level.INFO, Level.ERROR, Level.INFO]
    assert found[1].exception == panic


def _part(kind: str, text: str, source: str = "stderr") -> str:
    return f"2026-11-24T14:20:35.100000000Z {source} {kind} {text}"


@pytest.mark.parametrize("end", ["finish", "pause"])
def test_the_last_part_of_a_line_is_not_lost(end: str) -> None:
    """Kubernetes cuts long lines; a container that dies leaves one without its last part."""
    reader = LogReader()
    text = _part("F", "INFO:     connection open") + "\n" + _part("P", "ERROR:    could not sa") + "\n"
    found = reader.feed(text.encode()) + (reader.finish() if end == "finish" else reader.pause())
    assert [(record.level, record.message) for record in found] == [
        (Level.INFO, "connection open"),
        (Level.ERROR, "could not sa"),
    ]


def test_parts_take_bounded_memory() -> None:
    """Parts of many sources that never end are read as they are."""
    reader = LogReader()
    size, pods = 16_000, 250
    for _ in range(2):
        for pod in range(pods):
            line = f"pod-{pod}  | " + _part("P", "x" * size) + "\n"
            reader.feed(line.encode())
    assert reader.held_parts <= 4 * 1024 * 1024
    assert reader.counts.cut > 0
