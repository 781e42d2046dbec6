"""The application that started this, before and after its hotfix, under uvicorn's WebSocket implementations.

Without a chat backend it acknowledges messages and keeps no history, so each run is one of `--mode ack`. A
hotfix shows as one item that changes; what the application never logs under another implementation, no
revision fails for. The cold start is a run of its own: a database that is away. All runs are started
together, since they mostly wait.
"""

import json
from contextlib import ExitStack
from itertools import product
from typing import Any

import pytest
from click.testing import CliRunner

from loadtest.cli import main
from loadtest.server.server_process import ServerProcess
from tests.support.locusts import Finished, LocustProcess

HANDLINGS = ("before", "after")
IMPLEMENTATIONS = ("websockets", "websockets-sansio", "wsproto")
SECONDS = 8
CALM = (
    *("--ws-sessions", "8", "--ws-rate", "1", "--ws-drop-every", "2", "--ws-warmup", "1"),
    *("--ws-drops", "mid_reply=2,close=1,tab_close=1,fin=1,reset=1", "--ws-backoff", "constant(0.3)"),
    *("--ws-reply-timeout", "20"),  # seven runs share the machine
)
"""A plan with many drops and few messages: an answer under way at a drop would be an ERROR rightly."""

COLD = "cold start"


def _servers() -> dict[str, dict[str, Any]]:
    """Return the settings of each server, by name."""
    servers: dict[str, dict[str, Any]] = {
        f"{handling} {implementation}": {
            "mode": "ack",
            "handling": handling,
            "ws_implementation": implementation,
        }
        for handling, implementation in product(HANDLINGS, IMPLEMENTATIONS)
    }
    return {**servers, COLD: {"faults": ("database_down=3600",)}}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Finished]:
    """A run against each server, with that server's log."""
    with ExitStack() as stack:
        processes = {}
        for name, settings in _servers().items():
            folder = tmp_path_factory.mktemp(name.replace(" ", "-"))
            log = folder / "server.log"
            server = stack.enter_context(ServerProcess(log_path=log, **settings))
            locust = LocustProcess(
                folder / "results", "--host", server.url, "--ws-server-log", str(log), *CALM, seconds=SECONDS
            )
            processes[name] = stack.enter_context(locust)
        return {name: process.wait() for name, process in processes.items()}


def failed(run: Finished) -> set[str]:
    """Return the items that fail."""
    return {item for item, ruling in run.rulings.items() if ruling == "FAIL"}


def test_before_the_hotfix_the_log_fails_and_nothing_else(runs: dict[str, Finished]) -> None:
    """Under `websockets`, by two texts, each with its count, first time and session."""
    before = runs["before websockets"]
    assert failed(before) == {"server_log"}, before.output
    shown = before.evidence("server_log")["first_disconnect_errors"]
    assert [line["text"].partition(" ")[0] for line in shown] in (["Send", "WS"], ["WS", "Send"])
    assert sum(line["count"] for line in shown) == before.evidence("server_log")["disconnect_errors"]
    assert all(line["session"] and line["first_s"] is not None for line in shown)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS[1:])
def test_before_the_hotfix_the_other_implementations_log_no_error(
    runs: dict[str, Finished], implementation: str
) -> None:
    """A send to a client that is gone raises nothing there."""
    before = runs[f"before {implementation}"]
    assert failed(before) == set(), before.output
    assert before.evidence("server_log")["disconnect_errors"] == 0


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_after_the_hotfix_nothing_fails(runs: dict[str, Finished], implementation: str) -> None:
    """The log passes under each implementation, by records of the drops that would have failed it."""
    after = runs[f"after {implementation}"]
    assert failed(after) == set(), after.output
    assert after.rulings["server_log"] == "PASS", after.output
    rows = {row["kind"]: row for row in after.evidence("server_log")["by_kind"]}
    assert rows["mid_reply"]["drops_with_record"] > 0


@pytest.mark.parametrize("handling", HANDLINGS)
def test_who_keeps_no_history_is_not_judged_by_it(runs: dict[str, Finished], handling: str) -> None:
    """An application that acknowledges messages owes none of them on a resume."""
    assert runs[f"{handling} websockets"].rulings["persistence"] == "NOT_JUDGED"


def test_a_cold_start_names_its_cause_first(runs: dict[str, Finished]) -> None:
    """Every session's error is one line with its count, and the line begins with the database."""
    cold = runs[COLD]
    assert failed(cold) == {"connect", "server_log"}, cold.output
    evidence = cold.evidence("server_log")
    first, *others = evidence["first_real_errors"]
    assert first["text"].startswith("sqlite3.OperationalError: the database is down | Session could not be")
    assert (first["count"], others) == (evidence["real_errors"], [])
    assert first["count"] > 1
    told = f"{first['count']} x sqlite3.OperationalError: the database is down"
    assert told in cold.output
    assert told in (cold.run / "summary.md").read_text()
    assert told in (cold.run / "report.html").read_text()


def test_compare_says_in_one_line_what_the_hotfix_did(runs: dict[str, Finished]) -> None:
    """The log's item was fixed, nothing else moved; runs of seconds leave latency open."""
    before, after = (runs[f"{handling} websockets"] for handling in HANDLINGS)
    told = CliRunner().invoke(main, ["compare", str(before.run), str(after.run), "--json"])
    changes = {change["item"]: change for change in json.loads(told.stdout)["changes"]}
    fixed = changes.pop("server_log")
    assert (fixed["before"], fixed["after"], fixed["change"]) == ("FAIL", "PASS", "fixed")
    del changes["latency"]
    assert {change["change"] for change in changes.values()} == {"unchanged"}, changes
    shown = CliRunner().invoke(main, ["compare", str(before.run), str(after.run)])
    assert "server_log FAIL → PASS (fixed)" in shown.stdout
    assert "fixed: server_log" in shown.stdout


def test_compare_says_in_one_line_what_its_absence_breaks(runs: dict[str, Finished]) -> None:
    """The other way round the comparison fails, by the log alone."""
    before, after = (runs[f"{handling} websockets"] for handling in HANDLINGS)
    told = CliRunner().invoke(main, ["compare", str(after.run), str(before.run)])
    assert told.exit_code == 1
    assert "server_log PASS → FAIL (broken)" in told.stdout
    assert "broken: server_log" in told.stdout
