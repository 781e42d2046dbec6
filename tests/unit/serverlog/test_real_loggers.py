"""Logs that real libraries write, read back: the same levels, messages, classes and faults."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from loadtest.serverlog.log_reader import LogReader
from loadtest.serverlog.records import Level, LogRecord
from loadtest.serverlog.rules import LogClass, load_rules

TABLE = load_rules()
GONE = "Client disconnected (code=1006)"
SAID = (
    ("INFO", "session opened"),
    ("INFO", GONE),
    ("WARNING", "slow query"),
    ("ERROR", GONE),
    ("ERROR", "chat backend is unreachable"),
)
FAULT = "message could not be stored"


def through_logging(formatter: logging.Formatter) -> str:
    """Write all records with a formatter of the standard library's logging."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logger = logging.Logger("chat")
    logger.addHandler(handler)
    for level, text in SAID:
        logger.log(getattr(logging, level), text)
    try:
        raise KeyError("thread")
    except KeyError:
        logger.exception(FAULT)
    return stream.getvalue()


def loguru_text(*, serialize: bool = False) -> str:
    """Write all records with loguru."""
    from loguru import logger

    stream = io.StringIO()
    logger.remove()
    number = logger.add(stream, serialize=serialize, colorize=False)
    for level, text in SAID:
        logger.log(level, text)
    try:
        raise KeyError("thread")
    except KeyError:
        logger.exception(FAULT)
    logger.remove(number)
    return stream.getvalue()


def structlog_with(*processors: Any) -> str:
    """Write all records with structlog."""
    import structlog

    stream = io.StringIO()
    logger = structlog.wrap_logger(
        structlog.PrintLogger(stream),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            *processors,
        ],
    )
    for level, text in SAID:
        getattr(logger, level.lower())(text)
    try:
        raise KeyError("thread")
    except KeyError:
        logger.exception(FAULT)
    return stream.getvalue()


def structlog_json() -> str:
    """Write JSON with structlog."""
    import structlog

    return structlog_with(structlog.processors.format_exc_info, structlog.processors.JSONRenderer())


def structlog_console() -> str:
    """Write structlog's text for a console."""
    import structlog

    plain = structlog.dev.plain_traceback
    return structlog_with(structlog.dev.ConsoleRenderer(colors=False, exception_formatter=plain))


def ecs() -> str:
    """Write Elastic's Common Schema."""
    import ecs_logging

    return through_logging(ecs_logging.StdlibFormatter())


def python_json_logger() -> str:
    """Write JSON with python-json-logger, with the fields that its documentation shows."""
    from pythonjsonlogger.json import JsonFormatter

    return through_logging(JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))


def pygelf() -> str:
    """Write GELF, one message a line."""
    from pygelf import gelf

    class Formatter(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            made = gelf.make(record, "chat-1", True, "1.1", None, None)
            return json.dumps(made, default=str)

    return through_logging(Formatter())


def uvicorn_default() -> str:
    """Write what uvicorn does, in its default configuration."""
    from uvicorn.logging import DefaultFormatter

    return through_logging(DefaultFormatter("%(levelprefix)s %(message)s", use_colors=False))


def hypercorn() -> str:
    """Write what hypercorn's error log does."""
    import hypercorn.logging as module

    made = module._create_logger("hypercorn.test", "-", "info", sys.stderr, propagate=False)
    assert made is not None
    formatter = made.handlers[0].formatter
    assert formatter is not None
    return through_logging(formatter)


def daphne() -> str:
    """Write what `daphne` configures."""
    return through_logging(logging.Formatter("%(asctime)-15s %(levelname)-8s %(message)s"))


WRITERS: dict[str, Callable[[], str]] = {
    "loguru": loguru_text,
    "loguru serialize": lambda: loguru_text(serialize=True),
    "structlog JSON": structlog_json,
    "structlog console": structlog_console,
    "ecs-logging": ecs,
    "python-json-logger": python_json_logger,
    "pygelf": pygelf,
    "uvicorn": uvicorn_default,
    "hypercorn": hypercorn,
    "daphne": daphne,
}


@contextmanager
def read_back(text: str) -> Iterator[list[LogRecord]]:
    """Give a log's records, without what a framework says of itself."""
    reader = LogReader()
    yield reader.feed(text.encode()) + reader.finish()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", WRITERS)
def test_what_a_library_writes_is_read_back(name: str) -> None:
    """Each record has its level and message, a disconnect its class, and a fault its exception."""
    text = WRITERS[name]()
    with read_back(text) as records:
        found = [(record.level, record.message) for record in records]
    *said, fault = records
    assert [(level, message) for level, message in found[:-1]] == [
        (Level[level], message) for level, message in SAID
    ], text
    assert [TABLE.classify(record) in ("abrupt", "graceful") for record in said] == [
        message == GONE for _, message in SAID
    ]
    assert (fault.level, TABLE.classify(fault)) == (Level.ERROR, LogClass.REAL_ERROR)
    assert FAULT in fault.message
    assert "KeyError" in f"{fault.exception} {fault.message}", text


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", [name for name in WRITERS if name not in ("uvicorn",)])
def test_its_times_are_read(name: str) -> None:
    """Every record has a time of its own."""
    with read_back(WRITERS[name]()) as records:
        assert all(record.at_ns is not None and not record.arrival for record in records)
