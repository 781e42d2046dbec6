"""Levels of JSON records: words, numbers of several scales, and those that only name a stream."""

from typing import Any

import pytest

from loadtest.serverlog.payloads import entry_of
from loadtest.serverlog.records import Level


@pytest.mark.parametrize(
    ("data", "level", "message"),
    [
        ({"level": "error", "message": "boom", "line": "app.py:12"}, Level.ERROR, "boom"),
        ({"level": "error", "msg": "boom", "log": "chat"}, Level.ERROR, "boom"),
        ({"level": "error", "log": "could not save"}, Level.ERROR, "could not save"),
        ({"severity": "ERROR", "textPayload": "boom", "logName": "p/logs/app"}, Level.ERROR, "boom"),
        ({"severity": "ERROR", "textPayload": "hello", "logName": "p/logs/stderr"}, None, "hello"),
        ({"severity": "INFO", "textPayload": "hello", "logName": "p/logs/run%2Fstdout"}, None, "hello"),
        ({"PRIORITY": "6", "MESSAGE": "hello", "_TRANSPORT": "stdout"}, None, "hello"),
        ({"PRIORITY": "3", "MESSAGE": "boom", "_TRANSPORT": "journal"}, Level.ERROR, "boom"),
    ],
)
def test_a_level_is_dropped_only_where_a_stream_made_it(
    data: dict[str, Any], level: Level | None, message: str
) -> None:
    """A field named `line` beside the message is no wrapped line, and a logger's level is its own."""
    entry = entry_of(data)
    assert entry is not None
    assert (entry.level, entry.message) == (level, message)


@pytest.mark.parametrize(
    ("data", "level"),
    [
        ({"level": 40, "pid": 7, "message": "boom", "logger": "chat"}, Level.ERROR),
        ({"level": 40, "pid": 7, "msg": "boom", "time": "2026-11-24T14:20:35Z"}, Level.ERROR),
        ({"level": 40, "pid": 7, "hostname": "a", "msg": "slow", "time": 1_795_530_035_107}, Level.WARNING),
        ({"level": 50, "pid": 7, "msg": "boom", "time": 1_795_530_035_107}, Level.ERROR),
        ({"level": 60, "pid": 7, "msg": "boom", "time": 1_795_530_035_107}, Level.CRITICAL),
        ({"LogLevel": 0, "Message": "x"}, Level.DEBUG),
        ({"LogLevel": 2, "Message": "x"}, Level.INFO),
        ({"LogLevel": 3, "Message": "x"}, Level.WARNING),
        ({"LogLevel": 4, "Message": "x"}, Level.ERROR),
        ({"LogLevel": 5, "Message": "x"}, Level.CRITICAL),
        ({"level": 3, "short_message": "x"}, Level.ERROR),
    ],
)
def test_numbers_have_their_loggers_scale(data: dict[str, Any], level: Level) -> None:
    """Node's pino, Python's logging, .NET and syslog number their levels each in their own way."""
    entry = entry_of(data)
    assert entry is not None
    assert entry.level == level
