"""Each fault of the reference server turns exactly its own item red, through real headless Locust.

The servers and runs of the matrix are started together, since they mostly wait: the suite stays short, and
that the verdicts hold on a busy machine is part of what is shown. Those that judge latency, and their
baseline before them, run while nothing else does: on a busy machine the generator rightly says that it cannot
tell.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from loadtest.cli import main
from loadtest.cli.serve_command import serve
from loadtest.drops.plan import DEFAULT_WEIGHTS
from loadtest.server.faults import KNOWN
from loadtest.server.server_process import ServerProcess
from tests.support.locusts import BRISK, Finished, LocustProcess, two_workers


@dataclass(frozen=True, slots=True)
class Case:
    """A server with one defect, and the run that should find it.

    Args:
        fault: of the server; empty where its settings are the defect.
        item: the item that fails.
        arguments: of the run.
        settings: of the server.
        limit: the run's limit, `NAME=TIME`, without which it would pass; empty if there is none.
        workers: of the run.
    """

    fault: str
    item: str
    arguments: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    limit: str = ""
    workers: int = 1

    def __str__(self) -> str:
        """Name the test."""
        return " ".join(filter(None, (self.fault, *(f"{name}={n}" for name, n in self.settings.items()))))


PUSHING = {"push_every_s": 0.25}

MORE_SESSIONS = ("--ws-sessions", "12")
"""For a limit on the median connect, which 20 sessions must have made that worked."""

CASES = (
    Case("refuse_connect=0.3", "connect"),
    Case("close_connect=0.3", "connect"),
    Case("share_identity=0.3", "connect"),
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
LATE = (
    Case("late_connect=1000", "connect", MORE_SESSIONS, limit="connect.p50=500ms", workers=2),
    Case("late_reconnect=1000", "reconnect", limit="resume.p50=500ms"),
    Case("late_push=0.1:1500", "messaging", settings=PUSHING, limit="push_gap=1s"),
)
"""What only a limit can call a defect. Also an overloaded load generator does not make these times."""

BATCHES = 4

LIMITS = {"connect": "connect.p50=500ms", "reconnect": "resume.p50=500ms", "latency": "p50=500ms"}
SOUND = Case("", "", tuple(word for limit in LIMITS.values() for word in ("--ws-limit", limit)))
SLOW = (Case("latency=30", "latency"), Case("latency_tail=0.1:60", "latency"))
LATE_REPLIES = Case(
    "latency=1000", "latency", ("--ws-rate", "2", "--ws-baseline", "none"), limit=LIMITS["latency"]
)

JUDGED = ("connect", "stability", "messaging", "reconnect", "persistence", "cleanup")

TIMED = pytest.mark.timeout(240)
"""Of tests whose fixture makes runs in turn: four of the faults, up to six of those that judge latency."""

BUSY = "this machine was too busy to measure, thrice, and the runs said so"


def test_the_help_names_the_item_that_each_fault_fails() -> None:
    """And what a run needs for that, where the default run does not find it."""
    assert serve.help is not None
    rows = re.findall(r"^ +([a-z_]+)(?:=\S+)? +([a-z]+) {2,}\S.*(\n +\(needs .*)?", serve.help, re.MULTILINE)
    told = {name: item for name, item, _ in rows}
    cases = [case for case in (*CASES, *LATE, *SLOW) if case.fault]
    assert told == {case.fault.partition("=")[0]: case.item for case in cases}
    assert set(told) == set(KNOWN)
    needs = {name for name, _, needed in rows if needed}
    assert needs == {case.fault.partition("=")[0] for case in cases if case.arguments or case.limit} | {
        case.fault.partition("=")[0] for case in SLOW
    }


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> dict[Case, Finished]:
    """A run against the server without fault, then one with each fault of latency.

    At six messages a second the twelve seconds after the warm-up make the thousand samples of a p99.
    """
    sound = _fit_runs(tmp_path_factory, (SOUND,))
    slow = (*SLOW, LATE_REPLIES)
    return sound | _fit_runs(tmp_path_factory, slow, "--ws-baseline", str(sound[SOUND].run))


def _fit_runs(
    folders: pytest.TempPathFactory, cases: Iterable[Case], *arguments: str
) -> dict[Case, Finished]:
    """Return runs of these cases; those that a busy machine made unfit are made again."""
    runs: dict[Case, Finished] = {}
    for _ in range(3):
        missing = [case for case in cases if not (case in runs and _fit(runs[case]))]
        runs |= _runs(folders, missing, "--ws-rate", "6", *MORE_SESSIONS, *arguments, seconds=13)
    return runs


def _fit(run: Finished) -> bool:
    """Tell whether the load generator of a run was fit to measure."""
    return bool(run.verdict["generator"]["valid"])


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> dict[Case, Finished]:
    """A run against each server whose defect shows on a busy machine, nine at the same time."""
    return {
        case: run
        for number in range(BATCHES)
        for case, run in _runs(
            tmp_path_factory, (*CASES, *LATE)[number::BATCHES], "--ws-rate", "5", seconds=10
        ).items()
    }


def _runs(
    folders: pytest.TempPathFactory, cases: Iterable[Case], *arguments: str, seconds: int
) -> dict[Case, Finished]:
    with ExitStack() as stack:
        processes = {}
        for case in cases:
            faults = (case.fault,) if case.fault else ()
            server = stack.enter_context(ServerProcess(faults=faults, **case.settings))
            limit = ("--ws-limit", case.limit) if case.limit else ()
            workers = two_workers() if case.workers == 2 else ()
            options = ("--host", server.url, *BRISK, *arguments, *case.arguments, *limit, *workers)
            locust = LocustProcess(folders.mktemp("matrix"), *options, seconds=seconds)
            processes[case] = stack.enter_context(locust)
        return {case: process.wait(150) for case, process in processes.items()}


def _failed(run: Finished) -> set[str]:
    """Return the items that failed."""
    return {name for name, ruling in run.rulings.items() if ruling == "FAIL"}


@TIMED
@pytest.mark.alone
def test_sound_server_passes_every_judged_item(timed: dict[Case, Finished]) -> None:
    """Without a fault, under all default kinds of drops at once, the run passes and meets all limits."""
    sound = timed[SOUND]
    if not _fit(sound):
        assert (sound.rulings["latency"], _failed(sound)) == ("INCONCLUSIVE", set()), sound.output
        pytest.skip(BUSY)
    assert sound.exit_code == 0, sound.output
    assert sound.rulings == {**dict.fromkeys((*JUDGED, "latency"), "PASS"), "server_log": "NOT_JUDGED"}
    for item, limit in LIMITS.items():
        (found,) = sound.evidence(item)["time_limits"]
        assert (found["name"], found["verdict"]) == (limit.partition("=")[0], "PASS")
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
@pytest.mark.parametrize("case", LATE, ids=str)
def test_late_server_fails_the_item_of_its_limit_only(
    faulty: dict[Case, Finished], case: Case, tmp_path: Path
) -> None:
    """A time over --ws-limit fails the item that the limit belongs to; without limits it passes."""
    _check_limit(faulty[case], case, tmp_path, "PASS")


@TIMED
@pytest.mark.alone
def test_late_replies_fail_latency_only(timed: dict[Case, Finished], tmp_path: Path) -> None:
    """Latency over --ws-limit fails `latency`; without limits and baseline it is not judged."""
    run = timed[LATE_REPLIES]
    if not _fit(run):
        assert (run.rulings["latency"], _failed(run)) == ("INCONCLUSIVE", set()), run.output
        pytest.skip(BUSY)
    _check_limit(run, LATE_REPLIES, tmp_path, "NOT_JUDGED")


def _check_limit(run: Finished, case: Case, folder: Path, without: str) -> None:
    """Check what a broken limit says and where, and the item's verdict for the same run without limits."""
    assert _failed(run) == {case.item}, run.output
    assert run.exit_code == 1
    (found,) = run.evidence(case.item)["time_limits"]
    assert (found["name"], found["verdict"]) == (case.limit.partition("=")[0], "FAIL")
    # The client's clock starts when it reads what the server sent just before it began to wait.
    assert found["value_ms"] > 900
    assert f"(--ws-limit {case.limit})" in " ".join(run.output.split())
    for file in ("summary.md", "report.html"):
        assert found["name"] in (run.run / file).read_text()
    assert _judged_again(run.run, folder) == run.rulings
    copy = folder / "results" / "test" / run.run.name
    shutil.copytree(run.run, copy)
    manifest = json.loads((copy / "run.json").read_bytes())
    del manifest["limits"]
    (copy / "run.json").write_text(json.dumps(manifest))
    again = _judged_again(copy, folder / "results")
    assert (again[case.item], "FAIL" in again.values()) == (without, False)


def _judged_again(run: Path, results: Path) -> dict[str, str]:
    """Return the verdicts that a report finds in a run's files."""
    told = CliRunner().invoke(main, ["report", str(run), "--results", str(results), "--json"])
    return {item["item"]: item["verdict"] for item in json.loads(told.stdout)["items"]}


@TIMED
@pytest.mark.alone
@pytest.mark.parametrize("case", SLOW, ids=str)
def test_latency_fault_fails_latency_only(timed: dict[Case, Finished], case: Case) -> None:
    """Slow replies fail `latency` against the run of --ws-baseline, nothing else; the exit code is 1."""
    run = timed[case]
    if not (_fit(run) and _fit(timed[SOUND])):
        assert (run.rulings["latency"], _failed(run)) == ("INCONCLUSIVE", set()), run.output
        pytest.skip(BUSY)
    assert _failed(run) == {"latency"}, run.output
    assert run.exit_code == 1
    told = CliRunner().invoke(main, ["report", str(run.run), "--baseline", str(timed[SOUND].run), "--json"])
    again = {item["item"]: item["verdict"] for item in json.loads(told.stdout)["items"]}
    assert (again, told.exit_code) == (run.rulings, 1)
