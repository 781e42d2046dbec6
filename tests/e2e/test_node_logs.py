"""Logs that Node's loggers write, read back: levels by the logger's own scale, and the stack of an error."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from loadtest.serverlog.log_reader import LogReader
from loadtest.serverlog.records import Level
from loadtest.serverlog.rules import LogClass, load_rules

PROGRAM = Path(__file__).parents[1] / "support" / "strangers" / "node_log.mjs"

pytestmark = pytest.mark.external("node")


@pytest.mark.parametrize("logger", ["pino", "bunyan"])
def test_what_a_logger_writes_is_read_back(logger: str) -> None:
    """30 is INFO and 50 is ERROR; a disconnect has its class at either, and a fault its exception."""
    done = subprocess.run(["node", PROGRAM, logger], capture_output=True, timeout=60, check=True)
    reader, rules = LogReader(), load_rules()
    records = [*reader.feed(done.stdout), *reader.finish()]
    assert [(record.level, record.message) for record in records[:-1]] == [
        (Level.INFO, "session opened"),
        (Level.INFO, "Client disconnected (code=1006)"),
        (Level.WARNING, "slow query"),
        (Level.ERROR, "Client disconnected (code=1006)"),
        (Level.ERROR, "chat backend is unreachable"),
    ]
    gone, fault = records[1], records[-1]
    assert rules.classify(gone) is rules.classify(records[3]) is LogClass.ABRUPT
    assert (fault.level, rules.classify(fault)) == (Level.ERROR, LogClass.REAL_ERROR)
    assert "TypeError: thread is undefined" in f"{fault.exception} {fault.message}"
    assert all(record.at_ns is not None and not record.arrival for record in records)
