"""Heads of loggers that write neither a plain word nor JSON's usual names for the level."""

import json
from typing import Any

import pytest

from loadtest.serverlog.log_reader import LogReader
from loadtest.serverlog.records import Level, LogRecord

SAID = ("boom", "fine")
LINES = {
    "semantic_logger": (
        "2026-11-24 14:20:35.107123 E [7:puma 001] Chat -- boom",
        "2026-11-24 14:20:35.107123 I [7:puma 001] Chat -- fine",
    ),
    "beego": ("2026/11/24 14:20:35.107 [E] [ws.go:31]  boom", "2026/11/24 14:20:35.107 [I] [ws.go:31]  fine"),
    "zap, seconds": (
        "1795530035.107000\terror\tws/conn.go:31\tboom",
        "1795530035.107000\tinfo\tws/conn.go:31\tfine",
    ),
    "zap, exponent": (
        "1.7955300e+09\terror\tws/conn.go:31\tboom",
        "1.7955300e+09\tinfo\tws/conn.go:31\tfine",
    ),
    "swift-log": (
        "2026-11-24T14:20:35+0000 error chat : [Chat] boom",
        "2026-11-24T14:20:35+0000 info chat : a=1 [Chat] fine",
    ),
    "twisted": (
        "2026-11-24T14:20:35+0000 [chat.ws#error] boom",
        "2026-11-24T14:20:35+0000 [chat.ws#info] fine",
    ),
    "tracing without times": ("ERROR chat::ws: boom", " INFO chat::ws: fine"),
    "tracing, pretty": (
        "  2026-11-24T14:20:35.107123Z ERROR chat::ws: boom",
        "  2026-11-24T14:20:35.107123Z  INFO chat::ws: fine",
    ),
    ".NET for systemd": ("<3>Chat.Hub[0] boom", "<6>Chat.Hub[0] fine"),
}
OBJECTS: dict[str, Any] = {
    "hclog": lambda word, text: {"@level": word, "@message": text, "@timestamp": "2026-11-24T14:20:35Z"},
    "logger_json": lambda word, text: {"syslog": {"severity": word}, "message": text},
    "tslog": lambda word, text: {
        "0": text,
        "_meta": {"logLevelName": word.upper(), "date": "2026-11-24T14:20:35Z"},
    },
    "OpenTelemetry": lambda word, text: {
        "severityNumber": f"SEVERITY_NUMBER_{word.upper()}",
        "body": {"stringValue": text},
    },
    "Application Insights": lambda word, text: {
        "severityLevel": 3 if word == "error" else 1,
        "message": text,
    },
}


def read(lines: list[str]) -> list[LogRecord]:
    """The records of a log."""
    reader = LogReader()
    return reader.feed("".join(f"{line}\n" for line in lines).encode()) + reader.finish()


@pytest.mark.parametrize("logger", LINES)
def test_a_line_of_a_logger_is_read(logger: str) -> None:
    """Its level and its message; the line below it is another record."""
    assert [(record.level, record.message) for record in read([*LINES[logger]])] == [
        (Level.ERROR, SAID[0]),
        (Level.INFO, SAID[1]),
    ]


@pytest.mark.parametrize("logger", OBJECTS)
def test_an_object_of_a_logger_is_read(logger: str) -> None:
    """Its level and its message."""
    found = read(
        [json.dumps(OBJECTS[logger](word, text)) for word, text in zip(("error", "info"), SAID, strict=True)]
    )
    assert [(record.level, record.message) for record in found] == [
        (Level.ERROR, SAID[0]),
        (Level.INFO, SAID[1]),
    ]
