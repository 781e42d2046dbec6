"""Soak test for growth: a whole Locust process for an hour, with all drops, storms and server restarts.

    python -m tests.benchmarks.soak [--minutes 60] [--sessions 100] [--restart-every 10]

Each session is dropped every 4 s on average, a storm drops half of them every five minutes, and the server
restarts every ten minutes. There are three verdicts: memory in use stops growing once caches have filled;
open files return to the same level; the accounting is complete: every attempt, request, outage, loss and
watched connection has exactly one outcome. All processes have low priority and need no dedicated core, so a
soak can run beside other work. The test suite has a version of two minutes.

Memory in use is the memory allocated after a garbage collection (see `soaked_user`). Its growth is the
Theil-Sen slope of the minimum of every five samples, because temporary allocations can only add to it.
"""

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from scipy.stats import theilslopes

from loadtest.server.server_process import ServerProcess
from tests.benchmarks.locust_process import HERE, Measured, measured
from tests.support.ports import free_port

KINDS = (
    *("close", "tab_close", "fin", "reset", "half_open"),
    *("mid_message", "mid_reply", "slow_reader", "protocol_error", "bad_message"),
)

USER = HERE / "soaked_user.py"

STORM_EVERY_S = 300

GROWTH_KIB = 100.0
"""Memory in use may grow by this much a minute: 40 bytes a reconnect.

Locust itself keeps numbers of each second, about 30 KiB a minute.
"""

TOGETHER = 5
"""Samples of which only the least counts."""

ENVIRONMENT = {"PYTHONMALLOC": "malloc", "MALLOC_ARENA_MAX": "1"}
"""All of Python's objects are in the allocator's own count."""

BESIDE_FILES = 3
"""Files that the process itself opens and closes, such as those it writes every second."""

PING_S = 5.0
"""The server's pings and their timeout: half-open connections end within ten seconds, as many as begin."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Settings of a soak.

    Args:
        minutes: length of the soak.
        sessions: number of sessions.
        restart_every_s: seconds between restarts of the server.
        settled_s: seconds before memory is judged.
        drop_every_s: mean seconds between a session's drops.
        storm_every_s: seconds between storms.
        locustfile: the locustfile to run.
        sample_every_s: seconds between two samples.
        growth_kib: allowed growth of memory in use per minute, in KiB.
    """

    minutes: float = 60
    sessions: int = 100
    restart_every_s: float = 600
    settled_s: float = 600
    drop_every_s: float = 4
    storm_every_s: float = STORM_EVERY_S
    locustfile: Path = USER
    sample_every_s: float = 5
    growth_kib: float = GROWTH_KIB

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.minutes * 60

    @property
    def storms(self) -> tuple[str, ...]:
        """Options for the storms; the last storm leaves time to reconnect."""
        moments = np.arange(self.storm_every_s * 0.7, self.seconds - 10, self.storm_every_s)
        return tuple(part for at_s in moments for part in ("--ws-storm", f"50%@{at_s:g}"))

    @property
    def arguments(self) -> tuple[str, ...]:
        """Locust's arguments."""
        return (
            *("-f", str(self.locustfile), "--ws-dialect", "emergence"),
            *("--ws-rate", "1", "--ws-baseline", "none"),
            *("--ws-drop-every", f"{self.drop_every_s:g}", "--ws-backoff", "constant(0.3,max_attempts=1000)"),
            *("--ws-drops", ",".join(f"{kind}=1" for kind in KINDS), *self.storms),
        )


@dataclass(frozen=True, slots=True)
class Sample:
    """The process at one time since the soak began."""

    at_s: float
    used_kib: float
    resident_kib: float
    files: int
    answered: int
    resumed: int


@dataclass(slots=True)
class Soaked:
    """Observations of a soak.

    Attributes:
        samples: in order.
        restarts: restarts of the server.
        unaccounted: by item, the number without exactly one outcome; None if the run wrote no verdict.
    """

    samples: list[Sample] = field(default_factory=list)
    restarts: int = 0
    unaccounted: dict[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """The verdicts and their evidence."""

    kib_per_minute: float
    error_kib_per_minute: float
    bytes_per_reconnect: float
    files_rose: int
    memory_flat: bool
    files_flat: bool
    books_balance: bool

    @property
    def sound(self) -> bool:
        """Whether nothing grows and the accounting is complete."""
        return self.memory_flat and self.files_flat and self.books_balance


def judge(soaked: Soaked, plan: Plan) -> Findings:
    """Judge memory and open files after the settling time, and the accounting of the whole run.

    The number of open files varies with sessions in outage and half-open connections, so only the lower half
    counts: its median late in the soak is compared with its median early.
    """
    settled = [sample for sample in soaked.samples if sample.at_s >= plan.settled_s]
    least = [
        min(settled[at : at + TOGETHER], key=lambda sample: sample.used_kib)
        for at in range(0, len(settled), TOGETHER)
    ]
    slope, _, low, high = theilslopes(
        [sample.used_kib for sample in least], [sample.at_s / 60 for sample in least]
    )
    grown_bytes = slope * (settled[-1].at_s - settled[0].at_s) / 60 * 1024
    files = np.array([sample.files for sample in settled])
    third = max(1, len(files) // 3)
    rose = round(float(np.median(files[-third:]) - np.median(files[:third])))
    unaccounted = soaked.unaccounted
    return Findings(
        kib_per_minute=float(slope),
        error_kib_per_minute=float(high - low) / 2,
        bytes_per_reconnect=float(grown_bytes / max(1, settled[-1].resumed - settled[0].resumed)),
        files_rose=rose,
        memory_flat=bool(slope <= plan.growth_kib),
        files_flat=rose <= BESIDE_FILES + 0.1 * float(np.median(files)),
        books_balance=unaccounted is not None and not any(unaccounted.values()),
    )


def soak(plan: Plan, show: Callable[[str], None] = lambda _: None) -> Soaked:
    """Run the soak, and show a line per minute."""
    soaked = Soaked()
    port = free_port()
    with TemporaryDirectory() as folder:
        server = _server(port, folder)
        try:
            memory = Path(folder) / "memory.txt"
            told = {"SOAK_MEMORY": str(memory), "SOAK_EVERY_S": f"{plan.sample_every_s:g}"}
            with measured(
                port, plan.sessions, *plan.arguments, on_core=None, environment=ENVIRONMENT | told
            ) as process:
                _low(process.process.pid)
                process.wait_for_interval(0, timeout_s=120)
                began_s = time.monotonic()
                restart_s = plan.restart_every_s
                while (at_s := time.monotonic() - began_s) < plan.seconds:
                    if at_s >= restart_s and at_s < plan.seconds - 10:
                        restart_s += plan.restart_every_s
                        server.stop()
                        server = _server(port, folder)
                        soaked.restarts += 1
                        show(f"{at_s / 60:>6.1f} min server restarted")
                    time.sleep(plan.sample_every_s)
                    before = len(soaked.samples)
                    soaked.samples.append(_sample(process, time.monotonic() - began_s, memory))
                    if before % round(60 / plan.sample_every_s) == 0:
                        show(_line(soaked.samples[-1]))
                process.stop()
                soaked.unaccounted = _unaccounted(process)
        finally:
            server.stop()
    return soaked


def _server(port: int, folder: str) -> ServerProcess:
    server = ServerProcess(
        port=port, database=f"{folder}/server.sqlite", ping_interval_s=PING_S, ping_timeout_s=PING_S
    )
    _low(server.pid)
    return server


def _low(pid: int) -> None:
    os.setpriority(os.PRIO_PROCESS, pid, 10)


def _unaccounted(process: Measured) -> dict[str, int] | None:
    verdict = process.run / "verdict.json"
    if not verdict.exists():
        return None
    items = json.loads(verdict.read_bytes())["items"]
    return {item["item"]: item["evidence"].get("unaccounted", 0) for item in items}


def _sample(process: Measured, at_s: float, memory: Path) -> Sample:
    counts: Counter[str] = Counter()
    for interval in process.intervals():
        counts.update(interval.get("counts", {}))
    *_, newest = (line for line in memory.read_text().splitlines(keepends=True) if line.endswith("\n"))
    return Sample(
        at_s,
        int(newest) / 1024,
        process.resident_kib,
        process.process.num_fds(),
        counts["messaging.answered"],
        counts["reconnect.resumed"],
    )


def _line(sample: Sample) -> str:
    return (
        f"{sample.at_s / 60:>6.1f} min {sample.used_kib:>9.0f} KiB in use"
        f" {sample.resident_kib:>9.0f} KiB resident {sample.files:>5} files"
        f" {sample.answered:>9} messages {sample.resumed:>7} reconnects"
    )


def table(samples: Sequence[Sample]) -> str:
    """Return memory and open files for each tenth of the soak: minimum in use, medians and maxima."""
    rows = [
        f"{'minutes':>13} {'KiB in use: least':>18} {'median':>8} {'KiB resident: median':>21} {'most':>8}"
        f" {'files: median':>14} {'most':>5}"
    ]
    edges = np.linspace(0, len(samples), 11).astype(int)
    for first, last in pairwise(edges):
        if not (part := samples[first:last]):
            continue
        used, resident = [one.used_kib for one in part], [one.resident_kib for one in part]
        files = [one.files for one in part]
        rows.append(
            f"{part[0].at_s / 60:>6.1f}–{part[-1].at_s / 60:<6.1f} {min(used):>18.0f} {np.median(used):>8.0f}"
            f" {np.median(resident):>21.0f} {max(resident):>8.0f} {np.median(files):>14.0f} {max(files):>5}"
        )
    return "\n".join(rows)


def told(soaked: Soaked, found: Findings) -> str:
    """Return the verdicts as lines."""
    words = {True: "ok", False: "NOT OK"}
    return "\n".join(
        (
            f"memory  {words[found.memory_flat]}: {found.kib_per_minute:+.1f} ± "
            f"{found.error_kib_per_minute:.1f} KiB a minute, "
            f"{found.bytes_per_reconnect:+.0f} bytes a reconnect",
            f"files   {words[found.files_flat]}: {found.files_rose:+d} from the first third to the last",
            f"books   {words[found.books_balance]}: without an outcome, by item: {soaked.unaccounted}",
            f"{soaked.restarts} restarts, {soaked.samples[-1].resumed:,} reconnects, "
            f"{soaked.samples[-1].answered:,} messages answered",
        )
    )


def main() -> None:
    """Run the soak, print the results, and exit with 1 unless all verdicts are ok."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--restart-every", type=float, default=10, help="minutes")
    given = parser.parse_args()
    plan = Plan(
        minutes=given.minutes,
        sessions=given.sessions,
        restart_every_s=given.restart_every * 60,
        settled_s=min(600.0, given.minutes * 60 / 3),
        storm_every_s=min(STORM_EVERY_S, given.minutes * 60 / 3),
    )
    soaked = soak(plan, lambda line: print(line, flush=True))
    found = judge(soaked, plan)
    print(table(soaked.samples), told(soaked, found), sep="\n")
    sys.exit(0 if found.sound else 1)


if __name__ == "__main__":
    main()
