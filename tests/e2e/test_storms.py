"""Storms in real runs: the same in every run and for any workers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from loadtest.drops.plan import DropPlan, Storm
from loadtest.server.server_process import ServerProcess
from loadtest.session.schedule import NS_PER_S
from tests.support.locusts import BRISK, Finished, LocustProcess, two_workers

# Whole runs.

AT_S = 6.0


SHARE_RATIO = 0.5


def storm_run(results: Path, *, distributed: bool) -> Finished:
    """Make a run of 40 sessions in which half of them are dropped at once, and nothing else happens."""
    with ServerProcess() as server:
        workers = two_workers() if distributed else ()
        storm = ("--ws-drop-every", "0", "--ws-storm", f"{SHARE_RATIO:.0%}@{AT_S:g}", "--host", server.url)
        with LocustProcess(results, *BRISK, *storm, *workers, seconds=9, users=4) as locust:
            return locust.wait()


def numbers_of(finished: Finished, event: str, *, before_s: float = float("inf")) -> list[int]:
    """Return the numbers of the sessions that an event happened to, before a moment of the run."""
    return [
        int(record["session"].rpartition("-")[2])
        for record in finished.events
        if record["event"] == event and record["at_ns"] < before_s * NS_PER_S
    ]


def test_a_storm_is_the_same_in_every_run_and_for_any_workers(tmp_path: Path) -> None:
    """One process and two workers, same seed: the same half of the sessions goes at its moment."""
    plan = DropPlan(0, storms=(Storm(at_s=AT_S, share_ratio=SHARE_RATIO),))
    with ThreadPoolExecutor() as threads:
        alone = threads.submit(storm_run, tmp_path / "alone", distributed=False)
        shared = threads.submit(storm_run, tmp_path / "shared", distributed=True)
    for finished in (alone.result(), shared.result()):
        assert finished.rulings["reconnect"] == "PASS", finished.output
        up, met = set(numbers_of(finished, "connected", before_s=AT_S)), numbers_of(finished, "dropped")
        assert len(met) > 10
        assert sorted(met) == [number for number in sorted(up) if plan.next_drop(number, 0, 0.0)]
        assert sorted(numbers_of(finished, "resumed")) == sorted(met)
        moments = [record["at_ns"] for record in finished.events if record["event"] == "dropped"]
        assert min(moments) >= AT_S * NS_PER_S
        assert finished.counts["drops.reset"] == len(met)
        assert finished.manifest["plan"]["storms"] == [{"at_s": AT_S, "share_ratio": 0.5, "kind": "reset"}]


def test_a_storm_after_the_end_is_refused(tmp_path: Path) -> None:
    """Nothing is connected, and no run directory is left."""
    with LocustProcess(tmp_path, "--ws-storm", "0.5@7", seconds=7, users=1) as locust:
        finished = locust.wait()
    assert finished.exit_code == 2
    assert (
        "--ws-storm must come before the end of the run (--run-time 7s) (got '0.5@7:reset')"
        in finished.output
    )
    assert not list(tmp_path.rglob("*.*")), "neither a run nor a server's log"
