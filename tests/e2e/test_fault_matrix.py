"""Each fault of the reference server turns exactly its own item red, through real headless Locust.

The servers and runs of the matrix are started together, since they mostly wait: the suite stays short, and
that the verdicts hold on a busy machine is part of what is shown. Those that judge latency, and their
baseline before them, run while nothing else does: on a busy machine the generator rightly says that it cannot
tell.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from click.testing import CliRunner

from loadtest.cli import main
from loadtest.drops.plan import DEFAULT_WEIGHTS
from loadtest.server.server_process import ServerProcess
from tests.support.locusts import BRISK, Finished, LocustProcess


@dataclass(frozen=True, slots=True)
class Case:
    """A server with one defect, and the run that should find it.

    Args:
        fault: of the server; empty where its settings are the defect.
        item: the item that fails.
        arguments: of the run.
        settings: of the server.
    """

    fault: str
    item: str
    arguments: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        """Name the test."""
        return " ".join(filter(None, (self.fault, *(f"{name}={n}" for name, n in self.settings.items()))))


PUSHING = {"push_every_s": 0.25}

CASES = (
    Case("refuse_connect=0.3", "connect"),
    Case("close_connect=0.3", "connect"),
    Case("database_down=20", "connect"),
    Case("no_subprotocol", "connect", ("--ws-token", "some-token")),
    Case("close=0.02:1011", "stability"),
    Case("abort=0.02", "stability"),
    Case("bad_frame=0.02", "stability"),
    Case("lose_reply=0.1", "messaging"),
    Case("lose_reply=1", "messaging"),
    Case("corrupt_reply=0.1", "messaging"),
    Case("foreign_reply=0.1", "messaging"),
    Case("foreign_reply=1", "messaging"),
    Case("decompose=0.1", "messaging"),
    Case("cut_reply=200", "messaging", ("--ws-message-bytes", "100=9,300=1")),
    Case("duplicate_reply=0.1", "messaging"),
    Case("reorder_reply=0.1", "messaging"),
    Case("lose_push=0.3", "messaging", settings=PUSHING),
    Case("foreign_push=0.1", "messaging", settings=PUSHING),
    Case("stop_pushes=1", "messaging", ("--ws-pushes-per-s", "4"), PUSHING),
    Case("refuse_reconnect=0.5", "reconnect"),
    Case("close_reconnect=0.5", "reconnect"),
    Case("close_reconnect=1", "reconnect"),
    Case("mute_reconnect=0.3", "reconnect"),
    Case("forget_session", "persistence"),
    Case("forget_message=0.1", "persistence"),
    Case("corrupt_history=0.5", "persistence"),
    Case("cut_history", "persistence"),
    Case("empty_history", "persistence"),
    Case("reverse_history", "persistence"),
    Case("foreign_history=0.5", "persistence"),
    Case("", "cleanup", ("--ws-cleanup-timeout", "2"), {"ping_interval_s": 0}),
    Case("keep_sockets", "cleanup", ("-t", "17s")),
)
BATCHES = 4

SOUND = Case("", "")
SLOW = (Case("latency=30", "latency"), Case("latency_tail=0.1:60", "latency"))
LATE = (
    Case("late_connect=1000", "connect", ("--ws-limit", "connect.p50=500ms")),
    Case("late_reconnect=1000", "reconnect", ("--ws-limit", "resume.p50=500ms")),
    Case("late_push=0.1:1500", "messaging", ("--ws-limit", "push_gap=1s"), PUSHING),
    Case("latency=1000", "latency", ("--ws-limit", "p50=500ms")),
)
"""What only a limit can call a defect."""

JUDGED = ("connect", "stability", "messaging", "reconnect", "persistence", "cleanup")

TIMED = pytest.mark.timeout(240)
"""Of tests whose fixture makes runs in turn: four of the faults, up to six of those that judge latency."""


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> dict[Case, Finished]:
    """A run against the server without fault, then one with each fault of latency that is compared with it.

    At six messages a second the twelve seconds after the warm-up make the thousand samples of a p99.
    """
    sound = _fit_runs(tmp_path_factory, (SOUND,))
    return sound | _fit_runs(tmp_path_factory, SLOW, "--ws-baseline", str(sound[SOUND].run))


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> dict[Case, Finished]:
    """A run with each fault that breaks a limit, at the same time."""
    return _fit_runs(tmp_path_factory, LATE, "--ws-rate", "2")


def _fit_runs(
    folders: pytest.TempPathFactory, cases: Iterable[Case], *arguments: str
) -> dict[Case, Finished]:
    """Return runs of these cases; those that a busy machine made unfit are made again."""
    runs: dict[Case, Finished] = {}
    for _ in range(3):
        missing = [case for case in cases if not (case in runs and _fit(runs[case]))]
        runs |= _runs(folders, missing, "--ws-rate", "6", *arguments, seconds=13)
    return runs


def _fit(run: Finished) -> bool:
    """Tell whether the load generator of a run was fit to measure."""
    return bool(run.verdict["generator"]["valid"])


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> dict[Case, Finished]:
    """A run against each server whose defect shows on a busy machine, eight at the same time."""
    return {
        case: run
        for number in range(BATCHES)
        for case, run in _runs(tmp_path_factory, CASES[number::BATCHES], "--ws-rate", "5", seconds=10).items()
    }


def _runs(
    folders: pytest.TempPathFactory, cases: Iterable[Case], *arguments: str, seconds: int
) -> dict[Case, Finished]:
    with ExitStack() as stack:
        processes = {}
        for case in cases:
            faults = (case.fault,) if case.fault else ()
            server = stack.enter_context(ServerProcess(faults=faults, **case.settings))
            options = ("--host", server.url, *BRISK, *arguments, *case.arguments)
            locust = LocustProcess(folders.mktemp("matrix"), *options, seconds=seconds)
            processes[case] = stack.enter_context(locust)
        return {case: process.wait(150) for case, process in processes.items()}


def _failed(run: Finished) -> set[str]:
    """Return the items that failed."""
    return {name for name, ruling in run.rulings.items() if ruling == "FAIL"}


@TIMED
@pytest.mark.alone
def test_sound_server_passes_every_judged_item(timed: dict[Case, Finished]) -> None:
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
@pytest.mark.parametrize("case", CASES, ids=str)
def test_fault_fails_its_own_item_only(faulty: dict[Case, Finished], case: Case) -> None:
    """The item that the fault breaks fails, no other does, and the exit code is 1."""
    run = faulty[case]
    assert _failed(run) == {case.item}, run.output
    assert run.exit_code == 1


@TIMED
@pytest.mark.alone
@pytest.mark.parametrize("case", LATE, ids=str)
def test_late_server_fails_the_item_of_its_limit_only(late: dict[Case, Finished], case: Case) -> None:
    """A time over --ws-limit fails the item that the limit belongs to; the exit code is 1."""
    run = late[case]
    if not _fit(run):
        assert _failed(run) == set(), run.output
        pytest.skip("this machine was too busy to measure, thrice, and the runs said so")
    assert _failed(run) == {case.item}, run.output
    assert run.exit_code == 1


@TIMED
@pytest.mark.alone
@pytest.mark.parametrize("case", SLOW, ids=str)
def test_latency_fault_fails_latency_only(timed: dict[Case, Finished], case: Case) -> None:
    """Slow replies fail `latency` against the run of --ws-baseline, nothing else; the exit code is 1."""
    run = timed[case]
    if not (_fit(run) and _fit(timed[SOUND])):
        assert (run.rulings["latency"], _failed(run)) == ("INCONCLUSIVE", set()), run.output
        pytest.skip("this machine was too busy to measure, thrice, and the runs said so")
    assert _failed(run) == {"latency"}, run.output
    assert run.exit_code == 1
    told = CliRunner().invoke(main, ["report", str(run.run), "--baseline", str(timed[SOUND].run), "--json"])
    again = {item["item"]: item["verdict"] for item in json.loads(told.stdout)["items"]}
    assert (again, told.exit_code) == (run.rulings, 1)
