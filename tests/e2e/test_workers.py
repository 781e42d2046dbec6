"""Distributed runs: what N workers recorded is one run, and what a lost worker saw is said to be unknown."""

from __future__ import annotations

import os
import random
import signal
from array import array
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from loadtest import histograms
from loadtest.results.interval import pack
from loadtest.results.reader import read_run
from loadtest.results.writer import RunWriter
from loadtest.server.server_process import ServerProcess
from loadtest.session.recorder import Interval
from tests.support.books import assert_all_received, final_counters
from tests.support.children import is_running
from tests.support.locusts import BRISK, LocustProcess, two_workers, written_intervals
from tests.support.ports import free_port
from tests.support.runs import manifest
from tests.support.serverclient import wait_for


def test_merged_workers_equal_one_process_that_saw_all(tmp_path: Path) -> None:
    """Percentiles and counts of three workers' intervals are those of one process with all the samples."""
    rng = random.Random(1)
    seconds = [[int(rng.lognormvariate(13, 1)) for _ in range(300)] for _ in range(4)]
    writer = RunWriter(tmp_path, manifest())
    for second, samples in enumerate(seconds):
        for worker in range(3):
            part = Interval(start_ns=second * 10**9, stop_ns=(second + 1) * 10**9)
            part.samples["connect"] = array("q", samples[worker::3])
            writer.append(pack(part, worker))
    writer.finish("2026-11-23T14:24:35Z")
    merged = read_run(writer.path).histograms["connect"]
    alone, _ = histograms.fold(array("q", [sample for samples in seconds for sample in samples]))
    assert histograms.buckets(merged) == histograms.buckets(alone)


def test_two_workers_add_up_to_the_servers_own_counters(tmp_path: Path) -> None:
    """With --processes 2 the master's one run directory holds what the server counted, without loss."""
    with ServerProcess() as server:
        arguments = ("--ws-sessions", "10", "--ws-rate", "5", "--ws-drop-every", "0", "--host", server.url)
        with LocustProcess(tmp_path, *arguments, *two_workers(), seconds=6, users=4) as locust:
            finished = locust.wait()
        counted = final_counters(server.url)
    assert finished.exit_code == 0, finished.output
    assert finished.counts["connect.established"] == 40
    assert_all_received(finished.counts, counted)
    assert [share["worker"] for share in finished.manifest["workers"]] == [0, 1]
    assert finished.manifest["missing_workers"] == []


def test_a_users_plan_is_the_same_whichever_worker_it_lands_on(tmp_path: Path) -> None:
    """One process and two workers drop the same sessions in the same ways, in the same order."""

    def plan(results: Path, *, distributed: bool) -> dict[str, list[str]]:
        with ServerProcess() as server:
            workers = two_workers() if distributed else ()  # only now: the server might take the free port
            arguments = (*BRISK, *workers, "--host", server.url)
            with LocustProcess(results, *arguments, seconds=8, users=4) as locust:
                finished = locust.wait()
        kinds: dict[str, list[str]] = {}
        for event in finished.events:
            if event["event"] == "dropped":
                number = event["session"].rpartition("-")[2]
                kinds.setdefault(number, []).append(event["kind"])
        return kinds

    with ThreadPoolExecutor() as threads:
        one = threads.submit(plan, tmp_path / "alone", distributed=False)
        two = threads.submit(plan, tmp_path / "shared", distributed=True)
    alone, shared = one.result(), two.result()
    both = alone.keys() & shared.keys()
    assert len(both) > 20
    for number in both:
        length = min(len(alone[number]), len(shared[number]))
        assert alone[number][:length] == shared[number][:length]


def test_a_killed_worker_makes_what_it_saw_unknown(tmp_path: Path) -> None:
    """A worker killed in the middle: the run goes on, and nothing passes that it could have seen fail."""
    with ServerProcess() as server:
        arguments = (*BRISK, "--host", server.url, *two_workers())
        with LocustProcess(tmp_path, *arguments, seconds=9, users=4) as locust:
            _wait_for_both_workers(tmp_path)
            victim = min(psutil.Process(locust.process.pid).children(), key=lambda child: child.pid)
            os.kill(victim.pid, signal.SIGKILL)
            finished = locust.wait()
    assert finished.manifest["complete"] is True, finished.output
    assert len(finished.manifest["missing_workers"]) == 1
    assert finished.rulings["messaging"] == "INCONCLUSIVE"
    assert "was lost before it delivered all its data" in finished.output
    assert finished.exit_code == 4


def _wait_for_both_workers(results: Path) -> None:
    wait_for(
        lambda: {interval["worker"] for interval in written_intervals(results)} == {0, 1},
        what="intervals of both workers",
    )


def test_ctrl_c_in_a_terminal_loses_nothing(tmp_path: Path) -> None:
    """Master and workers are all told at once; each worker still delivers all it recorded, once."""
    with ServerProcess() as server:
        arguments = ("--ws-sessions", "10", "--ws-rate", "5", "--ws-drop-every", "0", "--host", server.url)
        with LocustProcess(tmp_path, *arguments, *two_workers(), seconds=60, users=4) as locust:
            _wait_for_both_workers(tmp_path)
            locust.interrupt_all()
            finished = locust.wait()
        counted = final_counters(server.url)
    assert finished.manifest["complete"] is True, finished.output
    assert (finished.run / "verdict.json").is_file(), finished.output
    assert finished.exit_code in (0, 4), finished.output
    assert finished.manifest["missing_workers"] == []
    assert_all_received(finished.counts, counted)
    assert finished.evidence("messaging")["unaccounted"] == 0
    assert "did not answer" not in finished.output
    assert "Traceback" not in finished.output


def test_workers_of_a_separate_master_get_its_options(tmp_path: Path) -> None:
    """A worker started on its own, without any option, does what the master was told."""
    with ServerProcess() as server:
        port = free_port()
        master = ("--master", "--expect-workers", "1", "--master-bind-port", str(port), "--host", server.url)
        with (
            LocustProcess(tmp_path, *BRISK, *master, seconds=6) as locust,
            LocustProcess(tmp_path, "--worker", "--master-port", str(port), seconds=None) as worker,
        ):
            finished = locust.wait()
            worker.wait(30)
    counts = finished.counts
    assert counts["connect.established"] + counts["connect.unproven"] == 20, finished.output
    assert finished.manifest["plan"]["rate"] == 2


def test_two_masters_on_one_machine(tmp_path: Path) -> None:
    """Each has its own workers; a stranger is refused, and the workers of a killed master end with it."""
    first, second = tmp_path / "first", tmp_path / "second"
    with ServerProcess() as server:
        arguments = ("--ws-sessions", "2", "--ws-drop-every", "0", "--host", server.url, *two_workers())
        with (
            LocustProcess(first, *arguments, seconds=60) as killed,
            LocustProcess(second, *arguments, seconds=60) as goes_on,
        ):
            for results in (first, second):
                _wait_for_both_workers(results)
            own = psutil.Process(goes_on.process.pid)
            (address,) = {one.laddr for one in own.net_connections() if one.status == "LISTEN"}
            assert address.ip == "127.0.0.1"
            assert address.port != 5557
            with LocustProcess(
                tmp_path, "--worker", "--master-port", str(address.port), seconds=None
            ) as stranger:
                refused = stranger.wait()
            workers = psutil.Process(killed.process.pid).children()
            killed.interrupt(signal.SIGKILL)
            wait_for(lambda: not any(is_running(worker.pid) for worker in workers), what="its workers to end")
            goes_on.interrupt()
            finished = goes_on.wait()
    assert refused.exit_code == 2
    where = f"Error: the master at 127.0.0.1:{address.port} refused this worker: it takes only the workers"
    assert where in refused.output
    assert finished.output.count("it takes only the workers that it has started itself (--processes)") == 1
    assert [share["worker"] for share in finished.manifest["workers"]] == [0, 1], finished.output
    assert finished.manifest["missing_workers"] == []
    assert finished.counts["connect.established"] == 4
