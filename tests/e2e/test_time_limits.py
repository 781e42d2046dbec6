"""Servers that are late at one thing, in real runs: each fails the limit on it, and no other item.

Nothing else is wrong with them. Without limits they pass, however late they are.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import pytest
from click.testing import CliRunner

from loadtest.cli import main
from tests.support.locusts import Finished, LocustProcess, two_workers
from tests.support.small_chat import small_chat

LIMITS = {"connect": "connect.p50=250ms", "reconnect": "resume.p50=250ms", "latency": "p90=250ms"}
"""A limit for each item, half as long as the servers are late."""

FAULTS = {"late welcome": "connect", "late resume": "reconnect", "late": "latency"}
SOUND = ""

PLAN = (
    *("--ws-sessions", "15", "--ws-rate", "1.5", "--ws-drop-every", "3", "--ws-warmup", "1"),
    *("--ws-drops", "close=1,fin=1,reset=1", "--ws-backoff", "constant(0.2)", "--ws-reply-timeout", "4"),
    *("--ws-baseline", "none"),
)

JUDGED = ("connect", "messaging", "reconnect", "persistence", "latency")

pytestmark = [pytest.mark.alone, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Finished]:
    """A run against each server; those that a busy machine made unfit are made again."""
    found: dict[str, Finished] = {}
    for _ in range(3):
        unfit = [fault for fault in (SOUND, *FAULTS) if not (fault in found and _fit(found[fault]))]
        found |= _runs(tmp_path_factory, unfit)
    return found


def _runs(folders: pytest.TempPathFactory, faults: Iterable[str]) -> dict[str, Finished]:
    """Return runs with all limits against servers with these faults, made at the same time."""
    with ExitStack() as stack:
        processes = {}
        for fault in faults:
            folder = folders.mktemp("late")
            _, port = stack.enter_context(small_chat(fault))
            limits = [word for limit in LIMITS.values() for word in ("--ws-limit", limit)]
            workers = two_workers() if fault == "late" else ()
            host = ("--host", f"ws://127.0.0.1:{port}")
            locust = LocustProcess(
                folder / "results", *host, *PLAN, *limits, *workers, seconds=9, locustfile=_locustfile(folder)
            )
            processes[fault] = stack.enter_context(locust)
        return {fault: process.wait(120) for fault, process in processes.items()}


def _locustfile(folder: Path) -> Path:
    file = folder / "locustfile.py"
    file.write_text(
        "from loadtest import WebSocketUser\n"
        "from tests.support.small_chat import Chat\n\n\n"
        "class User(WebSocketUser):\n"
        "    dialect = Chat\n"
    )
    return file


def _fit(run: Finished) -> bool:
    """Tell whether the load generator of a run was fit to measure."""
    return bool(run.verdict["generator"]["valid"])


def _skip_if_unfit(run: Finished) -> None:
    if not _fit(run):
        limits = [one["verdict"] for item in JUDGED for one in run.evidence(item).get("time_limits", ())]
        assert "FAIL" not in limits, run.output
        pytest.skip("this machine was too busy to measure, thrice, and the runs said so")


def test_a_sound_server_meets_all_limits(runs: dict[str, Finished]) -> None:
    """Each with enough samples, so that the run passes as a whole."""
    run = runs[SOUND]
    _skip_if_unfit(run)
    assert {item: run.rulings[item] for item in JUDGED} == dict.fromkeys(JUDGED, "PASS"), run.output
    assert run.exit_code == 0
    for item, limit in LIMITS.items():
        (found,) = run.evidence(item)["time_limits"]
        assert (found["name"], found["verdict"]) == (limit.partition("=")[0], "PASS")


@pytest.mark.parametrize(("fault", "item"), FAULTS.items())
def test_a_late_server_fails_the_item_of_its_limit_only(
    runs: dict[str, Finished], fault: str, item: str
) -> None:
    """The summary names value and limit, also in the terminal and in the files for people."""
    run = runs[fault]
    _skip_if_unfit(run)
    failed = {name for name, ruling in run.rulings.items() if ruling == "FAIL"}
    assert failed == {item}, run.output
    assert run.exit_code == 1
    (found,) = run.evidence(item)["time_limits"]
    assert (found["limit_ms"], found["verdict"]) == (250, "FAIL")
    assert found["value_ms"] >= 500
    assert f"limit 250 ms (--ws-limit {LIMITS[item]})" in " ".join(run.output.split())
    for file in ("summary.md", "report.html"):
        assert LIMITS[item].partition("=")[0] in (run.run / file).read_text()


@pytest.mark.parametrize("fault", FAULTS)
def test_without_limits_a_late_server_passes(runs: dict[str, Finished], fault: str, tmp_path: Path) -> None:
    """The same run, judged again from its files; with its limits, the verdict stays."""
    run = runs[fault]
    kept = CliRunner().invoke(main, ["report", str(run.run), "--json"])
    assert _rulings(kept.stdout) == run.rulings
    folder = tmp_path / "results" / "test" / run.run.name
    shutil.copytree(run.run, folder)
    manifest = json.loads((folder / "run.json").read_bytes())
    assert manifest.pop("limits").keys() == {limit.partition("=")[0] for limit in LIMITS.values()}
    (folder / "run.json").write_text(json.dumps(manifest))
    again = CliRunner().invoke(
        main, ["report", str(folder), "--results", str(tmp_path / "results"), "--json"]
    )
    found = _rulings(again.stdout)
    assert (found["latency"], again.exit_code) == ("NOT_JUDGED", 0), again.stdout


def _rulings(verdict: str) -> dict[str, str]:
    return {item["item"]: item["verdict"] for item in json.loads(verdict)["items"]}
