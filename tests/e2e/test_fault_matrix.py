"""Each fault of the reference server turns exactly its own item red, through real headless Locust.

The servers and runs of the matrix are started together, since they mostly wait: the suite stays short, and
that the verdicts hold on a busy machine is part of what is shown. Those that judge latency, and their
baseline before them, run while nothing else does: on a busy machine the generator rightly says that it cannot
tell.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import ExitStack

import pytest
from click.testing import CliRunner

from loadtest.cli import main
from loadtest.drops.plan import DEFAULT_WEIGHTS
from loadtest.server.server_process import ServerProcess
from tests.support.locusts import BRISK, Finished, LocustProcess

FAULTS = {
    "refuse_connect=0.3": "connect",
    "database_down=20": "connect",
    "lose_reply=0.1": "messaging",
    "corrupt_reply=0.1": "messaging",
    "foreign_reply=0.1": "messaging",
    "decompose=0.1": "messaging",
    "duplicate_reply=0.1": "messaging",
    "reorder_reply=0.1": "messaging",
    "refuse_reconnect=0.5": "reconnect",
    "forget_session": "persistence",
    "forget_message=0.1": "persistence",
    "cut_history": "persistence",
    "reverse_history": "persistence",
    "foreign_history=0.5": "persistence",
}
SOUND = ""
LATENCY_FAULTS = ("latency=30", "latency_tail=0.1:60")

JUDGED = ("connect", "messaging", "reconnect", "persistence")

TIMED = pytest.mark.timeout(240)
"""Of tests whose fixture makes runs in turn: two of the faults, up to six of those that judge latency."""


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Finished]:
    """A run against the server without fault, then one with each fault of latency that is compared with it.

    At six messages a second the twelve seconds after the warm-up make the thousand samples of a p99.
    """
    sound = _fit_runs(tmp_path_factory, (SOUND,))
    return sound | _fit_runs(tmp_path_factory, LATENCY_FAULTS, "--ws-baseline", str(sound[SOUND].run))


def _fit_runs(folders: pytest.TempPathFactory, faults: Iterable[str], *arguments: str) -> dict[str, Finished]:
    """Return runs with these faults; those that a busy machine made unfit are made again."""
    runs: dict[str, Finished] = {}
    for _ in range(3):
        missing = [fault for fault in faults if not (fault in runs and _fit(runs[fault]))]
        runs |= _runs(folders, missing, "--ws-rate", "6", *arguments, seconds=13)
    return runs


def _fit(run: Finished) -> bool:
    """Tell whether the load generator of a run was fit to measure."""
    return bool(run.verdict["generator"]["valid"])


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Finished]:
    """A run against the server with each fault but those of latency, seven at the same time."""
    faults = list(FAULTS)
    return {
        fault: run
        for half in (faults[::2], faults[1::2])
        for fault, run in _runs(tmp_path_factory, half, "--ws-rate", "5", seconds=10).items()
    }


def _runs(
    folders: pytest.TempPathFactory, faults: Iterable[str], *arguments: str, seconds: int
) -> dict[str, Finished]:
    with ExitStack() as stack:
        processes = {}
        for fault in faults:
            server = stack.enter_context(ServerProcess(faults=(fault,) if fault else ()))
            locust = LocustProcess(
                folders.mktemp("matrix"), "--host", server.url, *BRISK, *arguments, seconds=seconds
            )
            processes[fault] = stack.enter_context(locust)
        return {fault: process.wait(150) for fault, process in processes.items()}


@TIMED
@pytest.mark.alone
def test_sound_server_passes_every_judged_item(timed: dict[str, Finished]) -> None:
    """Without a fault, under all default kinds of drops at once, the run passes with exit code 0."""
    sound = timed[SOUND]
    assert sound.exit_code == 0, sound.output
    assert sound.rulings == {
        **dict.fromkeys(JUDGED, "PASS"),
        "latency": "NOT_JUDGED",
        "server_log": "NOT_JUDGED",
    }
    assert {event["kind"] for event in sound.events if event["event"] == "dropped"} == set(DEFAULT_WEIGHTS)
    assert sound.counts["messaging.lost"] == 0


@TIMED
@pytest.mark.parametrize(("fault", "item"), FAULTS.items())
def test_fault_fails_its_own_item_only(faulty: dict[str, Finished], fault: str, item: str) -> None:
    """The item that the fault breaks fails, no other does, and the exit code is 1."""
    run = faulty[fault]
    failed = {name for name, ruling in run.rulings.items() if ruling == "FAIL"}
    assert failed == {item}, run.output
    assert run.exit_code == 1


@TIMED
@pytest.mark.alone
@pytest.mark.parametrize("fault", LATENCY_FAULTS)
def test_latency_fault_fails_latency_only(timed: dict[str, Finished], fault: str) -> None:
    """Slow replies fail `latency` against the run of --ws-baseline, nothing else; the exit code is 1."""
    run = timed[fault]
    failed = {item for item, ruling in run.rulings.items() if ruling == "FAIL"}
    if not (_fit(run) and _fit(timed[SOUND])):
        assert (run.rulings["latency"], failed) == ("INCONCLUSIVE", set()), run.output
        pytest.skip("this machine was too busy to measure, thrice, and the runs said so")
    assert failed == {"latency"}, run.output
    assert run.exit_code == 1
    told = CliRunner().invoke(main, ["report", str(run.run), "--baseline", str(timed[SOUND].run), "--json"])
    again = {item["item"]: item["verdict"] for item in json.loads(told.stdout)["items"]}
    assert (again, told.exit_code) == (run.rulings, 1)
