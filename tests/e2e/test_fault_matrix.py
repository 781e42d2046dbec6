"""Each fault of the reference server turns exactly its own item red, through real headless Locust.

The servers and runs of the matrix are started together, since they mostly wait: the suite stays short, and
that the verdicts hold on a busy machine is part of what is shown. Those that judge latency, and their
baseline, run alone: on a busy machine the generator rightly says that it cannot tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from loadtest.drops.plan import DEFAULT_WEIGHTS
from loadtest.server.server_process import ServerProcess
from tests.support.locusts import BRISK, Finished, LocustProcess

FAULTS = {
    "refuse_connect=0.3": "connect",
    "database_down=20": "connect",
    "lose_reply=0.1": "messaging",
    "corrupt_reply=0.1": "messaging",
    "duplicate_reply=0.1": "messaging",
    "reorder_reply=0.1": "messaging",
    "refuse_reconnect=0.5": "reconnect",
    "forget_session": "persistence",
}
LATENCY_FAULTS = ("latency=30", "latency_tail=0.1:60")

JUDGED = ("connect", "messaging", "reconnect", "persistence")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    """A run against the server without fault; the baseline of the latency faults."""
    with ServerProcess() as server, _run(tmp_path_factory.mktemp("sound"), server) as locust:
        yield locust.wait()


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory, sound: Finished) -> dict[str, Finished]:
    """A run against the server with each fault but those of latency, all at the same time."""
    with ExitStack() as stack:
        processes = {}
        for fault in FAULTS:
            server = stack.enter_context(ServerProcess(faults=(fault,)))
            processes[fault] = stack.enter_context(_run(tmp_path_factory.mktemp("faulty"), server))
        return {fault: process.wait(150) for fault, process in processes.items()}


def _run(results: Path, server: ServerProcess, *arguments: str) -> LocustProcess:
    # Five messages a second make the thousand samples that a p99 is judged by.
    return LocustProcess(results, "--host", server.url, *BRISK, "--ws-rate", "5", *arguments)


@pytest.mark.alone
def test_sound_server_passes_every_judged_item(sound: Finished) -> None:
    """Without a fault, under all default kinds of drops at once, the run passes with exit code 0."""
    assert sound.exit_code == 0, sound.output
    assert sound.rulings == {
        **dict.fromkeys(JUDGED, "PASS"),
        "latency": "NOT_JUDGED",
        "server_log": "NOT_JUDGED",
    }
    assert {event["kind"] for event in sound.events if event["event"] == "dropped"} == set(DEFAULT_WEIGHTS)
    assert sound.counts["messaging.lost"] == 0


@pytest.mark.parametrize(("fault", "item"), FAULTS.items())
def test_fault_fails_its_own_item_only(faulty: dict[str, Finished], fault: str, item: str) -> None:
    """The item that the fault breaks fails, no other does, and the exit code is 1."""
    run = faulty[fault]
    failed = {name for name, ruling in run.rulings.items() if ruling == "FAIL"}
    assert failed == {item}, run.output
    assert run.exit_code == 1


@pytest.mark.alone
@pytest.mark.parametrize("fault", LATENCY_FAULTS)
def test_latency_fault_fails_latency_only(tmp_path: Path, sound: Finished, fault: str) -> None:
    """Slow replies fail `latency` against the sound run, and nothing else."""
    with (
        ServerProcess(faults=(fault,)) as server,
        _run(tmp_path, server, "--ws-baseline", str(sound.run)) as locust,
    ):
        run = locust.wait()
    failed = {name for name, ruling in run.rulings.items() if ruling == "FAIL"}
    assert failed == {"latency"}, run.output
    assert run.exit_code == 1
