"""Whole runs against a server that logs through a library: what it says of clients that left decides."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.locusts import BRISK, Finished, LocustProcess
from tests.support.logging_server import LOGGERS, logging_server


@dataclass(frozen=True)
class Logged:
    """A run and its log."""

    run: Finished
    log: Path

    @property
    def item(self) -> dict[str, Any]:
        """The item `server_log`."""
        return next(item for item in self.run.verdict["items"] if item["item"] == "server_log")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Logged]:
    """A run for each library and level, the two of a library at the same time."""
    found: dict[tuple[str, str], Logged] = {}
    for logger in LOGGERS:
        folder = tmp_path_factory.mktemp(logger)
        with ExitStack() as stack:
            started = {}
            for level in ("INFO", "ERROR"):
                server = stack.enter_context(logging_server(folder, logger, level))
                locust = LocustProcess(
                    folder / level,
                    *("--host", server.url, "--ws-dialect", "echo", "--ws-server-log", str(server.log)),
                    *(*BRISK, "--ws-drops", "close=1,reset=1,fin=1,tab_close=1", "--ws-drop-every", "2"),
                    seconds=5,
                )
                started[level] = stack.enter_context(locust), server.log
            found |= {(logger, level): Logged(run.wait(), log) for level, (run, log) in started.items()}
    return found


@pytest.mark.parametrize("logger", LOGGERS)
def test_disconnects_at_info_pass(runs: dict[tuple[str, str], Logged], logger: str) -> None:
    """Every departure is at INFO, none has an unknown level, and the run passes."""
    logged = runs[logger, "INFO"]
    evidence = logged.item["evidence"]
    assert logged.item["verdict"] == "PASS", logged.item["summary"]
    assert set(evidence["departure_levels"]) == {"INFO"}
    assert evidence["departures"] >= evidence["drops"] >= 10
    assert evidence["reading"].get("unlevelled", 0) == 0
    assert "FAIL" not in logged.run.rulings.values(), logged.run.output


@pytest.mark.parametrize("logger", LOGGERS)
def test_disconnects_at_error_fail(runs: dict[tuple[str, str], Logged], logger: str) -> None:
    """Every departure is an ERROR, whatever other lines are about it; all kinds of drops are named."""
    logged = runs[logger, "ERROR"]
    evidence = logged.item["evidence"]
    assert logged.run.exit_code == 1
    assert logged.item["verdict"] == "FAIL"
    assert evidence["real_errors"] == 0, evidence["first_real_errors"]
    assert evidence["wrong_departures"] >= 0.9 * evidence["drops"]
    made = {row["kind"] for row in evidence["by_kind"] if row["drops"]}
    assert all(kind in logged.item["summary"] for kind in made), logged.item["summary"]
