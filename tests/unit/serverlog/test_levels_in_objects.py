"""JSON objects of a log: whose level counts, what holds the fields, which scale a number is on."""

import json
from typing import Any

import pytest

from loadtest.serverlog.log_reader import LogReader
from loadtest.serverlog.records import Level, LogRecord

AT = "2026-11-24T14:20:35.107Z"


def read(*objects: dict[str, Any]) -> list[LogRecord]:
    """The records of a log with one object a line."""
    reader = LogReader()
    return reader.feed("".join(json.dumps(one) + "\n" for one in objects).encode()) + reader.finish()


PLATFORMS: dict[str, Any] = {
    "Railway": lambda text, level: {"timestamp": AT, "message": text, "severity": level.lower()},
    "Datadog": lambda text, level: {"timestamp": AT, "status": level.lower(), "message": text},
    "Cloud Logging": lambda text, level: {
        "jsonPayload": {"message": text},
        "severity": level,
        "timestamp": AT,
        "logName": "projects/p/logs/stderr",
    },
    "New Relic": lambda text, level: {"timestamp": 1795530035107, "message": text, "level": level},
    "Vercel": lambda text, level: {"timestampInMs": 1795530035107, "message": text, "level": level.lower()},
    "Azure": lambda text, level: {
        "time": AT,
        "resultDescription": text,
        "level": "Informational" if level == "INFO" else "Error",
        "category": "AppServiceConsoleLogs",
    },
}


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("stream_level", ["INFO", "ERROR"])
def test_the_texts_own_level_wins_over_the_platforms(platform: str, stream_level: str) -> None:
    """A platform's level says by which stream the line came; the server's is in the line."""
    wrap = PLATFORMS[platform]
    texts = ("INFO:     connection closed", "ERROR:    Unexpected fault", "[warning] slow query")
    found = read(*(wrap(text, stream_level) for text in texts))
    assert [(record.level, record.message) for record in found] == [
        (Level.INFO, "connection closed"),
        (Level.ERROR, "Unexpected fault"),
        (Level.WARNING, "slow query"),
    ]


def test_the_texts_own_time_wins_too() -> None:
    """A line with time and level, in a platform's object."""
    (record,) = read({"message": "2026-11-24 14:20:30,500 ERROR chat: boom", "severity": "info", "time": AT})
    assert (record.level, record.message) == (Level.ERROR, "boom")
    assert record.at_ns is not None
    assert record.at_ns // 10**6 % 100_000 == 30_500


@pytest.mark.parametrize(
    "text", ["Log: could not be written", "Info: nothing", "log rotation failed", "7 of 9 failed"]
)
def test_a_message_that_only_looks_like_a_head_lowers_no_level(text: str) -> None:
    """A logger's own error stays one, whatever word its message begins with."""
    (record,) = read({"level": "error", "message": text, "time": AT})
    assert record.level == Level.ERROR


def test_an_exception_beside_the_message_lowers_no_level() -> None:
    """An object with a traceback keeps its level."""
    fault = "Traceback (most recent call last):\n  File \"a\", line 1\nKeyError: 'x'"
    (record,) = read({"level": "error", "message": "INFO: x", "exc_info": fault})
    assert record.level == Level.ERROR


def test_colours_are_no_part_of_bytes_texts_and_levels() -> None:
    """journald writes a text with escapes as numbers; winston colours its level."""
    coloured = list(b"\x1b[31mERROR\x1b[0m:    Unexpected fault")
    journal, winston = read(
        {"MESSAGE": coloured, "PRIORITY": "6", "_TRANSPORT": "stdout"},
        {"level": "\x1b[31merror\x1b[39m", "message": "\x1b[31mboom\x1b[39m"},
    )
    assert (journal.level, journal.message) == (Level.ERROR, "Unexpected fault")
    assert (winston.level, winston.message) == (Level.ERROR, "boom")


@pytest.mark.parametrize("priority", ["3", "6"])
def test_dockers_priority_is_the_streams(priority: str) -> None:
    """docker's journald driver gives 3 to all of stderr and 6 to all of stdout."""
    driver = {"_TRANSPORT": "journal", "CONTAINER_NAME": "chat", "PRIORITY": priority}
    found = read({"MESSAGE": "client 17 disconnected", **driver}, {"MESSAGE": "ERROR:    boom", **driver})
    assert [record.level for record in found] == [None, Level.ERROR]


def test_a_services_own_priority_is_its_level() -> None:
    """What logs to the journal itself chooses the priority."""
    (record,) = read({"MESSAGE": "boom", "_TRANSPORT": "journal", "PRIORITY": "3"})
    assert record.level == Level.ERROR


@pytest.mark.parametrize(
    "fields",
    [
        {"mdc": {}},
        {"mdc": {"session_id": "s-1"}},
        {"fields": {"user": 7}},
        {"fields": {"level": 3, "name": "x"}},
        {"result": {"status": "ok", "message": "stored"}},
        {"record": {"id": 7}},
    ],
    ids=str,
)
def test_an_objects_own_message_is_its_message(fields: dict[str, Any]) -> None:
    """Fields that hold data beside a message are no payload."""
    (record,) = read({"level": "ERROR", "message": "boom", "timestamp": AT, **fields})
    assert (record.level, record.message) == (Level.ERROR, "boom")
    assert record.at_ns is not None
    assert record.session == fields.get("mdc", {}).get("session_id", "")


@pytest.mark.parametrize(
    "holder",
    [
        {"jsonPayload": {"message": "boom", "level": "error"}},
        {"fields": {"message": "boom"}, "level": "ERROR"},
        {"text": "12:00 | ERROR | boom", "record": {"message": "boom", "level": {"name": "ERROR", "no": 40}}},
        {"result": {"message": "boom", "level": "error"}},
    ],
    ids=str,
)
def test_a_payload_is_read(holder: dict[str, Any]) -> None:
    """Cloud Logging, tracing, loguru, a search's export."""
    (record,) = read(holder)
    assert (record.level, record.message) == (Level.ERROR, "boom")


@pytest.mark.parametrize(
    ("fields", "level"),
    [
        ({"level": 30, "msg": "x"}, Level.INFO),
        ({"level": 30, "time": AT, "msg": "x"}, Level.INFO),
        (
            {"level": 50, "time": 1795530035107, "pid": 7, "hostname": "h", "name": "chat", "msg": "x"},
            Level.ERROR,
        ),
        ({"level": 30.0, "msg": "x"}, Level.INFO),
        ({"level": 30, "msg": "x", "levelname": "WARNING"}, Level.WARNING),
        ({"level": 40, "pid": 7, "message": "x", "logger": "chat"}, Level.ERROR),
        ({"level": 40, "name": "chat", "msg": "x"}, Level.ERROR),
        ({"LogLevel": 4, "Message": "x"}, Level.ERROR),
        ({"LogLevel": 2, "Message": "x"}, Level.INFO),
        ({"level": 3, "short_message": "x", "version": "1.1", "host": "h"}, Level.ERROR),
        ({"severity": 3, "message": "x", "facility": 1}, Level.ERROR),
        ({"PRIORITY": "4", "MESSAGE": "x", "_TRANSPORT": "journal"}, Level.WARNING),
        ({"level": 2, "message": "x"}, None),
        ({"level": 0, "ts": 1795530035.1, "msg": "x"}, None),
        ({"level": 8, "time": AT, "msg": "x"}, None),
        ({"level": 200, "channel": "app", "message": "x"}, Level.INFO),
    ],
    ids=str,
)
def test_a_numbers_scale_is_its_loggers(fields: dict[str, Any], level: Level | None) -> None:
    """pino, Python, .NET, GELF, syslog, Monolog; none for a number that several loggers use differently."""
    (record,) = read(fields)
    assert record.level == level


PINO = json.dumps({"level": 50, "time": 1795530035107, "pid": 7, "hostname": "h", "msg": "boom"})
LONG = json.dumps(
    {"level": "error", "ts": 1795530035.1, "msg": "boom", "stacktrace": "main.f\n" + "\t/a.go:1\n" * 400}
)


@pytest.mark.parametrize("inner", [PINO, LONG], ids=["pino", "zap, with a long stack"])
@pytest.mark.parametrize(
    "carrier",
    [
        lambda text: {"@timestamp": AT, "message": text, "log": {"offset": 7}, "stream": "stderr"},
        lambda text: {"timestamp": AT, "message": text, "source_type": "docker_logs"},
        lambda text: {"Date": AT, "status": "info", "Message": text},
        lambda text: {"log": f"chat-1  | {text}\n", "stream": "stdout", "time": AT},
        lambda text: {"log": f"{text}\n", "stream": "stdout", "time": AT},
    ],
    ids=["filebeat", "vector", "datadog", "compose within json-file", "json-file"],
)
def test_json_in_a_carriers_text_is_read(carrier: Any, inner: str) -> None:
    """The logger's object counts, not the carrier's level."""
    (record,) = read(carrier(inner))
    assert (record.level, record.message) == (Level.ERROR, "boom")
    assert record.at_ns is not None


def test_json_that_is_only_a_message_stays_one() -> None:
    """An answer that a server logs at INFO is no record of its own."""
    (record,) = read({"level": "info", "msg": '{"error":{"code":500}}', "time": AT})
    assert (record.level, record.message) == (Level.INFO, '{"error":{"code":500}}')


def test_nets_exception_with_its_number_is_the_clients_leaving() -> None:
    """`(0x80004005)` stands between the exception's name and its text."""
    lines = [
        "fail: Chat.Hub[0]",
        "      Connection lost",
        "      System.Net.WebSockets.WebSocketException (0x80004005): The remote party closed the WebSocket"
        " connection without completing the close handshake.",
        "         at System.Net.WebSockets.ManagedWebSocket.ReceiveAsyncPrivate[TResult](Memory`1 b)",
    ]
    reader = LogReader()
    (record,) = reader.feed("\n".join(lines).encode() + b"\n") + reader.finish()
    assert record.exception.startswith("System.Net.WebSockets.WebSocketException (0x80004005): The remote")
