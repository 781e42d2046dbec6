"""Logs read: every format from recorded samples, and whatever a hostile log may hold."""

import gzip
import io
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.errors import InvalidSetting
from loadtest.serverlog.log_reader import LogReader, read
from loadtest.serverlog.records import MAX_MESSAGE, Level, LogRecord, excerpt, is_error
from tests.support.places import LOGS

MID_REPLY = "6b0d549b-6f03-475a-9600-a35a099950d8"
BAD_MESSAGE = "8d116ece-1738-47d9-bd9c-172411e20b8f"


def records_of(data: bytes, reader: LogReader | None = None, size: int = 1 << 20) -> list[LogRecord]:
    """All records of some bytes that come in chunks of a size."""
    reader = reader or LogReader()
    found = [record for at in range(0, len(data), size) for record in reader.feed(data[at : at + size])]
    return found + reader.finish()


def sample(name: str, reader: LogReader | None = None) -> list[LogRecord]:
    """All records of a sample file."""
    return list(read(LOGS / name, reader or LogReader()))


@pytest.mark.parametrize(
    ("name", "records", "errors", "timed"),
    [
        ("uvicorn-unhandled.log", 16, 3, False),
        ("uvicorn-wsproto-unhandled.log", 10, 3, False),
        ("uvicorn-before.log", 25, 3, False),
        ("docker-timestamps.log", 16, 3, True),
        ("logging-after.log", 29, 1, True),
        ("python-json-logger-after.jsonl", 29, 1, True),
        ("structlog-after.jsonl", 29, 1, True),
        ("cloud-run-before.jsonl", 16, 3, True),
        ("gcloud-hour-before.json", 80, 9, True),
        ("gcloud-hour-after.json", 80, 0, True),
        ("gcloud-lines.jsonl", 16, 3, True),
    ],
)
def test_samples_are_read_whole(name: str, records: int, errors: int, timed: bool) -> None:
    """Each recorded sample gives its records, with their levels and times, and nothing is broken."""
    reader = LogReader()
    found = sample(name, reader)
    assert len(found) == reader.counts.records == records
    assert sum(is_error(record.level) for record in found) == errors
    assert all((record.at_ns is not None) == timed for record in found)
    assert (reader.counts.broken, reader.counts.undecodable, reader.counts.cut) == (0, 0, 0)


@pytest.mark.parametrize(
    "name", ["logging-after.log", "python-json-logger-after.jsonl", "structlog-after.jsonl"]
)
def test_one_event_reads_alike_from_every_logger(name: str) -> None:
    """A record's logger, session, level, exception and traceback do not depend on the format."""
    found = {(record.session, record.level): record for record in sample(name) if record.session}
    fault = found[BAD_MESSAGE, Level.ERROR]
    assert fault.logger == "emergence.ws"
    assert fault.message.startswith("Unexpected WebSocket error (session=")
    assert fault.exception == "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)"
    assert fault.traceback.startswith("Traceback (most recent call last):")
    assert found[MID_REPLY, Level.INFO].message.startswith("Client disconnected abruptly")


@pytest.mark.parametrize("name", ["uvicorn-unhandled.log", "docker-timestamps.log", "gcloud-lines.jsonl"])
def test_tracebacks_belong_to_their_line(name: str) -> None:
    """Tracebacks through run_asgi in websockets_impl.py belong to the line above, however wrapped."""
    faults = [record for record in sample(name) if record.message == "Exception in ASGI application"]
    assert [record.exception.partition(":")[0] for record in faults] in (
        ["starlette.websockets.WebSocketDisconnect"] * 2 + ["json.decoder.JSONDecodeError"],
        ["json.decoder.JSONDecodeError"] + ["starlette.websockets.WebSocketDisconnect"] * 2,
    )
    assert all(
        "websockets_impl.py" in record.traceback and "in run_asgi" in record.traceback for record in faults
    )


def test_cloud_runs_names_are_kept() -> None:
    """Revision and service come from the resource's labels, times to the nanosecond."""
    found = sample("gcloud-hour-before.json")
    assert {record.revision for record in found} == {"emergence-00041-ruq"}
    assert {record.service for record in found} == {"emergence"}
    assert all(record.at_ns is not None and record.at_ns % 1_000 == 23 for record in found if record.logger)


def test_a_grouped_traceback_finds_its_head_above_it() -> None:
    """gcloud prints the newest first: the traceback, an entry of its own, comes before its line."""
    (fault,) = [r for r in sample("gcloud-hour-before.json") if r.message == "Exception in ASGI application"]
    assert fault.level == Level.ERROR
    assert fault.exception == "starlette.websockets.WebSocketDisconnect"
    assert "ClientDisconnected" in fault.traceback


@pytest.mark.parametrize("size", [1, 7, 1_000])
@pytest.mark.parametrize("name", ["logging-after.log", "structlog-after.jsonl", "gcloud-hour-after.json"])
def test_chunks_do_not_matter(name: str, size: int) -> None:
    """The same records come out however the bytes are cut."""
    assert records_of((LOGS / name).read_bytes(), size=size) == sample(name)


def test_gzip_is_read_as_what_it_holds(tmp_path: Path) -> None:
    """A gzipped log, whatever its name, reads like the plain one."""
    path = tmp_path / "server.log"
    path.write_bytes(gzip.compress((LOGS / "logging-after.log").read_bytes()))
    assert list(read(path, LogReader())) == sample("logging-after.log")


def test_a_torn_gzip_gives_what_it_has(tmp_path: Path) -> None:
    """A gzip file that was cut off gives the records before the cut and counts the damage."""
    path = tmp_path / "server.log.gz"
    zipped = gzip.compress(b"".join(b"INFO:     line %d\n" % number for number in range(20_000)))
    path.write_bytes(zipped[: len(zipped) // 2])
    reader = LogReader()
    assert len(list(read(path, reader))) > 1_000
    assert reader.counts.broken == 1
    assert reader.counts.damage == "the gzip data end early"


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` is standard input, gzipped or not."""
    data = b"INFO:     hello\n"
    for piped in (data, gzip.compress(data)):
        with io.TextIOWrapper(io.BufferedReader(io.BytesIO(piped))) as pipe:
            monkeypatch.setattr(sys, "stdin", pipe)
            assert [record.message for record in read(Path("-"), LogReader())] == ["hello"]


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    """A file that is not there, or a directory, is refused by name."""
    for path in (tmp_path / "none.log", tmp_path):
        with pytest.raises(InvalidSetting, match="must be a file that can be read"):
            list(read(path, LogReader()))


def test_formats_can_be_forced() -> None:
    """A format by name, or as logging writes it, is the only one that is tried."""
    line = b"2026-11-23 14:23:35,123|ERROR|ws|boom\n"
    (record,) = records_of(line, LogReader(format="%(asctime)s|%(levelname)s|%(name)s|%(message)s"))
    assert (record.level, record.logger, record.message) == (Level.ERROR, "ws", "boom")
    assert records_of(b"INFO:     hello\n", LogReader(format="dashes-short")) == []
    assert records_of(b"INFO:     hello\n", LogReader(format="json")) == []
    with pytest.raises(InvalidSetting, match="--ws-server-log-format must be auto, json, "):
        LogReader(format="apache")


def test_json_and_text_may_be_mixed() -> None:
    """Where the application logs JSON and uvicorn does not, both are read."""
    data = (
        b'INFO:     connection open\n{"severity": "NOTICE", "message": "a"}\n{"level": "warn", "msg": "b"}\n'
    )
    assert [(record.level, record.message) for record in records_of(data)] == [
        (Level.INFO, "connection open"),
        (Level.INFO, "a"),
        (Level.WARNING, "b"),
    ]


@pytest.mark.parametrize(
    ("given", "level"),
    [("DEFAULT", None), ("NOTICE", 20), ("ALERT", 50), ("EMERGENCY", 50), ("debug", 10), (30, 30), (45, 40)],
)
def test_levels_are_normalised(given: object, level: int | None) -> None:
    """Cloud Logging's severities and logging's numbers become Python's five levels."""
    (record,) = records_of(json.dumps({"severity": given, "message": "x"}).encode() + b"\n")
    assert record.level == level


def test_the_level_in_a_wrapped_line_is_the_servers_own() -> None:
    """A carrier that calls all of standard error ERROR does not make an error of uvicorn's INFO."""
    data = b'{"severity": "ERROR", "textPayload": "INFO:     connection open"}\n'
    assert records_of(data)[0].level == Level.INFO


def test_docker_json_files() -> None:
    """docker's own files wrap a line in `log`; a traceback's lines come one by one."""
    lines = [
        "ERROR:    Exception in ASGI application\n",
        "Traceback (most recent call last):\n",
        '  File "x.py"\n',
        "KeyError: 1\n",
        "INFO:     next\n",
    ]
    data = b"".join(
        json.dumps({"log": line, "time": "2026-11-23T14:00:00.5Z"}).encode() + b"\n" for line in lines
    )
    fault, following = records_of(data)
    assert (fault.exception, following.message) == ("KeyError: 1", "next")


def test_structlogs_dict_tracebacks() -> None:
    """A traceback written as a list of objects gives exception and frames."""
    exception = [
        {
            "exc_type": "KeyError",
            "exc_value": "'x'",
            "frames": [{"filename": "ws.py", "lineno": 3, "name": "run"}],
        }
    ]
    (record,) = records_of(
        json.dumps({"event": "boom", "level": "error", "exception": exception}).encode() + b"\n"
    )
    assert record.exception == "KeyError: 'x'"
    assert 'File "ws.py", line 3, in run' in record.traceback


@pytest.mark.parametrize(
    "fields",
    [
        {"timestamp": {"seconds": 1795443815, "nanos": 5}},
        {"timestampSeconds": "1795443815", "timestampNanos": "5"},
        {"time": "2026-11-23T14:23:35.000000005Z"},
    ],
)
def test_times_in_json(fields: dict[str, object]) -> None:
    """Cloud Run's structured ways to write a time are read."""
    (record,) = records_of(json.dumps({"message": "x", **fields}).encode() + b"\n")
    assert record.at_ns == 1795443815 * 10**9 + 5


def test_a_stray_traceback_is_an_error_of_its_own() -> None:
    """What asyncio prints without a format between uvicorn's lines does not belong to the INFO above it."""
    data = (
        b"INFO:     connection open\nTask exception was never retrieved\n"
        b"Traceback (most recent call last):\n  x\nKeyError: 'x'\nINFO:     next\n"
    )
    levels = [(record.level, record.exception) for record in records_of(data)]
    assert levels == [(Level.INFO, ""), (Level.ERROR, "KeyError: 'x'"), (Level.INFO, "")]


def test_followed_records_without_time_get_the_time_of_reading() -> None:
    """A line that carries no time gets that at which it was read, and says so."""
    reader = LogReader()
    (record,) = reader.feed(b"INFO:     a\n", read_at_ns=5) + reader.finish()
    assert (record.at_ns, record.arrival) == (5, True)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
def test_other_encodings(encoding: str) -> None:
    """Byte order marks are understood; UTF-16 without one loses its NULs and reads as well."""
    assert [record.message for record in records_of("INFO:     hé\nINFO:     b\n".encode(encoding))][1] == "b"


def test_invalid_utf8_is_read_and_counted() -> None:
    """A line in another encoding is kept with its bad bytes replaced."""
    reader = LogReader()
    (record,) = records_of(b"ERROR:    caf\xe9 closed\n", reader)
    assert record.message == "caf\ufffd closed"
    assert reader.counts.undecodable == 1


def test_escapes_and_control_characters_are_removed() -> None:
    """uvicorn's colours do not hide the level, and nothing that moves a cursor stays in a message."""
    (record,) = records_of(
        b"\x1b[31mERROR\x1b[0m:    bad\x00 \x1b]0;title\x07\x1b[2Jnews\x07\x08\xc2\x9b \xe2\x80\xae\n"
    )
    assert record.level == Level.ERROR
    assert record.message.isprintable()
    assert record.message.startswith("bad news")


@pytest.mark.parametrize(
    "bomb",
    [
        b"[" * 100_000,
        b'{"message": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b'{"a":' * 3_000 + b"1" + b"}" * 3_000,
        b'{"message": "x", "a": [' + b"0," * 200_000 + b"0]}",
        b'{"message": ' + b"9" * 10_000 + b"}",
        b'{"message": "never ends',
        b'{"level": {"level": {}}, "message": {"a": [1]}, "time": [1], "resource": 3, "jsonPayload": [1]}',
    ],
    ids=["open", "nested-list", "nested-object", "long-list", "digits", "torn", "wrong-types"],
)
def test_json_bombs_are_survived(bomb: bytes) -> None:
    """A line that is meant to exhaust a JSON parser is counted at most, and the next line is read."""
    for data in (b"INFO:     a\n" + bomb + b"\n" + b"INFO:     b\n", bomb + b"\nINFO:     b\n"):
        messages = [record.message for record in records_of(data)]
        assert "b" in messages or bomb.startswith(b'{"a":') or data.startswith(bomb)
    assert all(len(record.message) <= MAX_MESSAGE for record in records_of(bomb + b"\n"))


def test_python_json_that_is_no_json_is_read() -> None:
    """NaN, a lone surrogate and a raw control character, as Python's json may write, do not lose a record."""
    data = b'{"level": "ERROR", "message": "a\\ud800b\tc", "ratio": NaN}\n'
    (record,) = records_of(data)
    assert record.level == Level.ERROR
    record.message.encode()


def test_megabyte_lines_are_cut() -> None:
    """A message of megabytes keeps its beginning; the record after it stands."""
    reader = LogReader()
    first, second = records_of(b"ERROR:    " + b"x" * 3_000_000 + b"\nINFO:     b\n", reader)
    assert (len(first.message), first.level, second.message) == (MAX_MESSAGE, Level.ERROR, "b")
    assert reader.counts.cut == 1


def test_secrets_stay_out_of_reports() -> None:
    """What looks like a token, a password or a JWT is taken out of what a report shows."""
    secrets = ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "hunter2-hunter2", "s3cr3t-value"]
    line = f'ERROR:    GET /ws?token={secrets[2]} Authorization: Bearer {secrets[1]} "jwt", {secrets[0]}\n'
    (record,) = records_of(line.encode())
    assert not any(secret in excerpt(record) for secret in secrets)
    assert "GET /ws" in excerpt(record)


pieces = st.sampled_from(
    [
        b"INFO:     x\n",
        b"2026-11-23 14:00:00,1 - a - ERROR - b\n",
        b"2026-11-23T14:00:00.1Z ",
        b"Traceback (most recent call last):\n",
        b"  + Exception Group Traceback (most recent call last):\n",
        b"  File\n",
        b"KeyError: 1\n",
        b'{"message":"x"}\n',
        b'{"textPayload":"Traceback (most recent call last):","timestamp":"2026-11-23T14:00:00Z"}\n',
        b'{"textPayload":"  x","timestamp":"2026-11-23T13:00:00Z"}\n',
        *(b"[{", b"}]", b'"', b"\\", b"\n", b"\x1b[", b"\xff\xfe", b"\0"),
    ]
)


@given(st.lists(pieces | st.binary(max_size=40), max_size=40), st.integers(1, 64))
def test_any_bytes_are_survived(parts: list[bytes], size: int) -> None:
    """No bytes raise; what comes out is bounded, printable, and can be written as UTF-8."""
    reader = LogReader()
    for record in records_of(b"".join(parts), reader, size):
        assert record.message.isprintable()
        assert len(record.message) <= MAX_MESSAGE
        (record.message + record.exception + record.session + record.traceback).encode()
    assert reader.counts.records >= 0
