"""What a run directory keeps of a server's log: written, read back, bounded, without secrets."""

import json
import os
import random
import string
from pathlib import Path
from typing import Any

import msgspec
import pytest

from loadtest.errors import ResultsUnwritable, RunUnreadable
from loadtest.results import log_file as module
from loadtest.results.log_file import (
    LogWriter,
    ServerLog,
    errors_per_s,
    read_drops,
    read_known_sessions,
    read_server_log,
)
from loadtest.results.reader import read_manifest
from loadtest.scrubber import Secrets
from loadtest.serverlog.extract import KeptRecord, ReadStats, extract
from loadtest.serverlog.log_reader import LogReader
from loadtest.serverlog.records import Counts, Level
from loadtest.serverlog.rules import LogClass, load_rules
from loadtest.session.schedule import NS_PER_S
from tests.support.rundirs import KINDS, SESSIONS, write_run

WRONG = KeptRecord(
    level=Level.ERROR,
    log_class=LogClass.ABRUPT,
    at_ns=1_795_443_815_000_000_000,
    session="s-1",
    also=("anna",),
    file="a.log",
    line=17,
    text="Send error (session s-1) token=abc",
)
OTHERS = KeptRecord(level=Level.INFO, log_class=LogClass.OTHER, at_ns=1, arrival=True, count=40)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Records, numbers of others, and how the reading went come back as they were."""
    reading = ReadStats(
        files=["a.log", "b.log"], counts=Counts(lines=41, records=41), problems=["gone"], allowed_errors=2
    )
    with LogWriter(tmp_path) as writer:
        writer.append([WRONG])
        writer.append([OTHERS])
        writer.finish(reading)
    log = read_server_log(tmp_path)
    assert log is not None
    assert log.records == [WRONG, OTHERS]
    assert log.reading == reading


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device to write to")
def test_a_full_disk_is_told_once(tmp_path: Path) -> None:
    """What cannot be written is an error of one line; closing the file does not raise it again."""
    with LogWriter(tmp_path) as writer, open("/dev/full", "wb") as full:
        os.dup2(full.fileno(), writer._file.fileno())
        with pytest.raises(ResultsUnwritable, match="No space left"):
            writer.append([WRONG])
        with pytest.raises(ResultsUnwritable, match="No space left"):
            writer.finish(ReadStats())
        writer.close()
        assert writer._file.closed


def test_a_run_without_a_log_has_none(tmp_path: Path) -> None:
    """Nothing was given, nothing is read."""
    assert read_server_log(tmp_path) is None


def test_a_killed_run_keeps_what_had_come(tmp_path: Path) -> None:
    """Every append is on the disk at once; a line that was cut short is passed over."""
    with LogWriter(tmp_path) as writer:
        writer.append([WRONG, OTHERS])
        cut = writer.path.read_bytes()[:-5]
    writer.path.write_bytes(cut)
    log = read_server_log(tmp_path)
    assert log is not None
    assert (log.records, log.reading) == ([WRONG], None)


def test_secrets_are_taken_out_of_every_text(tmp_path: Path) -> None:
    """The run's own tokens are hidden wherever a log has them, also those that were asked for later."""
    tokens = ["first-token"]
    with LogWriter(tmp_path, lambda: Secrets(tokens)) as writer:
        tokens.append("second-token")
        for token in tokens:
            secret = msgspec.structs.replace(
                WRONG, text=f"refused {token}", session=token, also=(token,), file=token
            )
            writer.append([secret])
        writer.finish(ReadStats(files=["first-token.log"], problems=["second-token"]))
    written = writer.path.read_text()
    assert "token" not in written.replace("***", "")
    assert written.count("***") == 10


def test_too_many_records_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is bounded; what did not fit is told."""
    monkeypatch.setattr(module, "RECORDS_LIMIT", 3)
    with LogWriter(tmp_path) as writer:
        writer.append([WRONG, WRONG, OTHERS])
        writer.append([WRONG, OTHERS])
        writer.finish(ReadStats())
    log = read_server_log(tmp_path)
    assert log is not None
    assert len(log.records) == 3
    assert log.reading is not None
    assert log.reading.left_out == 41


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A folder that is gone is an error that names the file."""
    with pytest.raises(ResultsUnwritable, match=r"server_log\.jsonl"):
        LogWriter(tmp_path / "gone")


@pytest.mark.parametrize(
    "line",
    [
        b"[1]",
        b'{"type":"logged","level":20,"log_class":"other","count":0}',
        b'{"type":"logged","level":20,"log_class":"other","at_ns":-1}',
        b'{"type":"logged","level":20,"log_class":"other","text":"%s"}' % (b"x" * 201),
        b'{"type":"reading","left_out":"many"}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, line: bytes) -> None:
    """What no writer of ours has written is an error with file and line, never a crash."""
    (tmp_path / "server_log.jsonl").write_bytes(line + b"\n")
    with pytest.raises(RunUnreadable, match="line 1"):
        read_server_log(tmp_path)


def test_whatever_a_log_holds_can_be_kept(tmp_path: Path) -> None:
    """Hostile records of every level are written and read again."""
    rng = random.Random(5)
    hostile = [
        b"ERROR:    \x1b[2J\x00 \xff\xfe Send error (session \xed\xa0\x80) -> cleanup: ",
        b'{"severity":"ERROR","message":"\\ud800 boom","timestamp":1e300}',
        b'{"severity":"CRITICAL","message":"late","time":99999999999999999999}',
        b'{"severity":"ERROR","message":"x","timestamp":"0001-01-01T00:00:00Z"}',
        b"ERROR:    " + b"x" * 100_000,
        *(bytes(rng.choices(string.printable.encode() + bytes(range(128, 256)), k=200)) for _ in range(50)),
    ]
    reader, rules = LogReader(), load_rules()
    records = reader.feed(b"\n".join(hostile) + b"\n") + reader.finish()
    kept = extract((record, rules.classify(record)) for record in records)
    with LogWriter(tmp_path) as writer:
        writer.append(kept)
        writer.finish(ReadStats(counts=reader.counts))
    log = read_server_log(tmp_path)
    assert log is not None
    assert log.records == kept
    assert any(one.level is Level.ERROR for one in kept)


def test_errors_by_second_are_at_the_tools_clock() -> None:
    """The server's clock is 3 s ahead, arrivals are by ours. What has no time in the run is left out."""

    def record(at_s: float | None, level: Level = Level.ERROR, **of: Any) -> KeptRecord:
        at_ns = None if at_s is None else int((1000 + at_s) * NS_PER_S)
        return KeptRecord(level=level, log_class=LogClass.REAL_ERROR, at_ns=at_ns, **of)

    log = ServerLog(
        [
            *(record(5.2), record(5.9, Level.CRITICAL), record(4.9), record(12.99)),
            *(record(2.5, arrival=True), record(5.2, Level.WARNING), record(None), record(2.9), record(13.0)),
        ],
        None,
    )
    found = errors_per_s(log, started_unix_ns=1000 * NS_PER_S, length_s=10, clock_offset_s=3)
    assert found == {1: 1, 2: 3, 9: 1}


def test_drops_and_ends_are_those_of_the_run(tmp_path: Path) -> None:
    """Each drop has its time, session and kind, and each connected session ends with the run."""
    run = write_run(tmp_path, seconds=5)
    start_ns = read_manifest(run).started_unix_ns
    events = run / "events.jsonl"
    events.write_bytes(events.read_bytes() + b'{"at_ns":1,"event":"connected","session":"s-9"}\n')
    *drops, end = read_drops(run, started_unix_ns=start_ns, ended_unix_ns=start_ns + 5)
    assert len(drops) == 15
    assert {drop.kind for drop in drops} <= set(KINDS)
    assert all(start_ns <= drop.at_ns < start_ns + 5 * 10**9 for drop in drops)
    assert {drop.session for drop in drops} <= {f"s-{number}" for number in range(SESSIONS)}
    assert (end.session, end.kind, end.at_ns) == ("s-9", "end of the run", start_ns + 5)


@pytest.mark.parametrize(
    ("last", "ends"),
    [
        ([], True),
        ([{"event": "dropped", "kind": "close"}], False),
        ([{"event": "dropped", "kind": "slow_reader"}], True),
        ([{"event": "lost", "cause": "fin"}], False),
        ([{"event": "lost", "cause": "fin"}, {"event": "attempt"}], True),
        ([{"event": "dropped", "kind": "close"}, {"event": "attempt"}, {"event": "failed"}], False),
        ([{"event": "dropped", "kind": "close"}, {"event": "attempt"}, {"event": "resumed"}], True),
    ],
)
def test_only_a_session_that_may_be_connected_ends_with_the_run(
    tmp_path: Path, last: list[dict[str, str]], ends: bool
) -> None:
    """One that is away has nothing to end, so its last record is of the drop."""
    events = [{"event": "attempt"}, {"event": "connected"}, *last]
    lines = [json.dumps({"at_ns": number, "session": "s-1"} | event) for number, event in enumerate(events)]
    (tmp_path / "events.jsonl").write_text("".join(f"{line}\n" for line in lines))
    made = read_drops(tmp_path, started_unix_ns=0, ended_unix_ns=99)
    assert ("end of the run" in {drop.kind for drop in made}) is ends


def test_a_session_has_the_ids_of_both_sides(tmp_path: Path) -> None:
    """The tool's own id and each that the server has given, with whichever event that came."""
    lines = [
        b'{"at_ns":1,"event":"attempt","session":"run-000001"}',
        b'{"at_ns":2,"event":"connected","session":"run-000001","known_as":"server-7"}',
        b'{"at_ns":3,"event":"resumed","session":"run-000001","known_as":"server-8"}',
    ]
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    known = read_known_sessions(tmp_path)
    named = ("run-000001", "server-7", "server-8", "server-9")
    assert [known.session_of([one]) for one in named] == [*["run-000001"] * 3, "server-9"]
