"""Every carrier with every logger: what was said is read back."""

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.serverlog.log_reader import LogReader
from loadtest.serverlog.records import Level, LogRecord
from tests.support.log_writers import CARRIERS, LOGGERS, Said

START_MS = 1_795_530_035_107
TEXTS = (
    "Client disconnected (session=s-1, code=1001)",
    "websocket: close 1006 (abnormal closure): unexpected EOF",
    "Connection reset by peer",
    "KeyError 'thread' while handling a message",
)
COARSER = {"tomcat": Level.ERROR, "tracing json": Level.ERROR, "slog json": Level.ERROR}
"""Loggers that have no name for CRITICAL."""

levels = st.lists(st.sampled_from(Level), min_size=1, max_size=12)
words = st.text(st.characters(codec="utf-8", categories=["L"]), min_size=1, max_size=12)
sentences = st.lists(words, min_size=1, max_size=6).map(lambda found: "client x " + " ".join(found))


def read_back(carrier: str, logger: str, said: Sequence[Said]) -> list[LogRecord]:
    """The records of a log that a logger wrote and a carrier wrapped, oldest first."""
    lines = [(line, one) for one in said for line in LOGGERS[logger].line(one).split("\n")]
    reader = LogReader()
    found = reader.feed(CARRIERS[carrier].wrap(lines).encode()) + reader.finish()
    assert reader.counts.broken == reader.counts.stray == 0
    return sorted(found, key=lambda record: record.at_ns or 0)


def check(carrier: str, logger: str, said: Sequence[Said]) -> None:
    """Level, time and text of each record are what was said."""
    found = read_back(carrier, logger, said)
    assert len(found) == len(said)
    unit_ms = LOGGERS[logger].unit_ms or CARRIERS[carrier].unit_ms
    for record, one in zip(found, said, strict=True):
        coarser = COARSER.get(logger, Level.CRITICAL)
        assert record.level == min(one.level, coarser)
        assert record.message.endswith(one.text)
        if unit_ms:
            assert record.at_ns is not None
            assert abs(record.at_ns // 10**6 - one.at_ms) < unit_ms
        else:
            assert record.at_ns is None


@pytest.mark.parametrize("carrier", CARRIERS)
def test_what_was_said_is_read_back(carrier: str) -> None:
    """Each logger through each carrier, at each level."""
    said = [
        Said(level, START_MS + number * 61_000, "app.ws", TEXTS[number % len(TEXTS)])
        for number, level in enumerate([*Level, *Level])
    ]
    for logger in LOGGERS:
        check(carrier, logger, said)


@given(st.sampled_from(sorted(CARRIERS)), st.sampled_from(sorted(LOGGERS)), levels, sentences)
def test_any_text_is_read_back(carrier: str, logger: str, found: list[Level], text: str) -> None:
    """Whatever the text and the order of levels."""
    check(
        carrier,
        logger,
        [Said(level, START_MS + at * 61_000, "app.ws", text) for at, level in enumerate(found)],
    )


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(CARRIERS)), st.sampled_from(sorted(LOGGERS))), min_size=2, max_size=5
    )
)
def test_one_log_may_mix_carriers_and_loggers(kinds: list[tuple[str, str]]) -> None:
    """Each line finds its own carrier and format; what is one array or table as a whole is no line."""
    whole = ("aws logs get", "gcloud --format", "gcloud gke", "gcloud yaml", "gcloud csv")
    kinds = [
        (carrier, logger) for carrier, logger in kinds if not carrier.startswith(whole) and logger != "dotnet"
    ]
    log, said = "", []
    for number, (carrier, logger) in enumerate(kinds):
        one = Said(Level.WARNING, START_MS + number * 61_000, "app.ws", f"client number {number} waits")
        said.append(one)
        log += CARRIERS[carrier].wrap([(LOGGERS[logger].line(one), one)])
    reader = LogReader()
    found = reader.feed(log.encode()) + reader.finish()
    assert sorted(
        (record.level, record.message.endswith(one.text))
        for record, one in zip(sorted(found, key=lambda r: r.line), said, strict=True)
    ) == [(Level.WARNING, True)] * len(said)


def test_partial_lines_of_containerd_are_joined() -> None:
    """A long line comes in parts, those of standard error between those of standard output."""
    log = (
        "2026-11-24T14:20:35.1Z stdout P ERROR: a\n2026-11-24T14:20:35.1Z stderr F INFO: b\n"
        "2026-11-24T14:20:35.2Z stdout F bc\n"
    )
    reader = LogReader()
    found = reader.feed(log.encode()) + reader.finish()
    assert {(record.level, record.message) for record in found} == {(Level.ERROR, "abc"), (Level.INFO, "b")}


def test_pods_may_alternate() -> None:
    """A traceback of one pod between the lines of another stays its own."""
    log = (
        "[pod/a/chat] ERROR: failed\n[pod/b/chat] INFO: fine\n"
        "[pod/a/chat] Traceback (most recent call last):\n[pod/b/chat] INFO: fine\n[pod/a/chat] KeyError: 1\n"
    )
    reader = LogReader()
    found = reader.feed(log.encode()) + reader.finish()
    assert sorted((record.level, record.exception) for record in found) == [
        (Level.INFO, ""),
        (Level.INFO, ""),
        (Level.ERROR, "KeyError: 1"),
    ]


def test_a_severity_by_stream_is_no_level() -> None:
    """GKE gives ERROR to all of standard error, systemd INFO to all of standard output."""
    entries = [
        {"textPayload": "client left", "severity": "ERROR", "logName": "projects/p/logs/stderr"},
        {"MESSAGE": "client left", "PRIORITY": "6", "_TRANSPORT": "stdout"},
    ]
    for entry in entries:
        reader = LogReader()
        (record,) = reader.feed(json.dumps(entry).encode() + b"\n") + reader.finish()
        assert record.level is None
        assert reader.counts.unlevelled == 1
        assert "client left" in reader.counts.examples[0]


MORE = {
    "stern": "chat-7d9f8b6c5-abcde \u203a chat {}",
    "kubetail": "[chat-7d9f8b6c5-abcde] {}",
    "pm2": "0|chat     | {}",
    "pm2 --timestamp": "0|chat     | 2026-11-24T14:20:35: {}",
    "foreman": "14:20:35 web.1  | {}",
    "cf": "   2026-11-24T14:20:35.10+0000 [APP/PROC/WEB/0] OUT {}",
    "journalctl -o short-monotonic": "[ 1234.107123] host chat[7]: {}",
}


@pytest.mark.parametrize("carrier", MORE)
def test_what_stands_before_a_line_hides_no_level(carrier: str) -> None:
    """The server's levels are read, and its traceback is one record's."""
    lines = [
        "INFO:     connection closed",
        "ERROR:    boom",
        "Traceback (most recent call last):",
        '  File "/app/ws.py", line 3, in f',
        "KeyError: 'x'",
        "2026-11-24 14:20:36,107 - chat - WARNING - slow",
    ]
    reader = LogReader()
    found = (
        reader.feed("".join(MORE[carrier].format(line) + "\n" for line in lines).encode()) + reader.finish()
    )
    assert [(str(record.level), record.message, record.exception) for record in found] == [
        ("20", "connection closed", ""),
        ("40", "boom", "KeyError: 'x'"),
        ("30", "slow", ""),
    ]
