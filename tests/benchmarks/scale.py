"""From few sessions to many, in several processes: what a session and its messages cost, and what is held.

    python -m tests.benchmarks.scale [--sessions 100 1000 10000 60000] [--rounds 5] [--markdown]

Each session sends 0.1 messages a second and is dropped every 600 s. A worker holds 15,000 sessions at most
and has an echo server of its own, because one process may often open no more than 20,000 files; sessions
connect from several addresses, because one has some 28,000 ports. Clients and servers share the machine's
cores, so this shows what is held and what it costs in CPU, not what is fast.
"""

import argparse
import math
import operator
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from loadtest.results.reader import read_run
from loadtest.transport.target import free_port
from tests.benchmarks.locust_process import Measured, echo_server, measured
from tests.benchmarks.memory import resident_kib
from tests.benchmarks.table import HEAD, Row, add, printed, table

WHO = "loadtest on Locust"

RATE = 0.1
"""Messages a second of a session."""

DROP_EVERY_S = 600

SESSIONS_A_WORKER = 15_000
"""At a limit of 20,000 open files there is room for reconnecting sessions, and for an uneven share."""

SOURCES = "127.0.0.2-127.0.0.9"

UP_RATIO = 0.95
"""Share of the sessions that count as all: with these drops 2.5% wait for their next connection."""


@dataclass(frozen=True, slots=True)
class Times:
    """How long a measurement takes.

    Args:
        connects_a_second: how fast sessions are sure to come up; the warm-up is as long as that takes.
        seconds: how long they are measured once they are up.
    """

    connects_a_second: int = 1500
    seconds: int = 20


USUAL = Times()


def scale(sessions: int, one_kib: float, times: Times, workers: int | None = None) -> dict[str, float]:
    """Hold so many sessions, in as many workers as they need, and return what that took.

    Args:
        sessions: of all workers together.
        one_kib: resident memory of a process with one session.
        times: how long that may take.
        workers: how many; None for one for each `SESSIONS_A_WORKER`.
    """
    workers = workers or math.ceil(sessions / SESSIONS_A_WORKER)
    warmup_s = 10 + math.ceil(sessions / times.connects_a_second)
    master_port = free_port()
    arguments = (
        *("-u", str(workers), "-r", str(workers), "--processes", str(workers)),
        *("--master-bind-port", str(master_port), "--master-port", str(master_port)),
        *("--ws-rate", str(RATE), "--ws-drop-every", str(DROP_EVERY_S), "--ws-warmup", str(warmup_s)),
        *("--ws-source-ip", SOURCES),
    )
    with (
        echo_server(workers, on_core=None) as port,
        measured(port, sessions // workers, *arguments, on_core=None) as process,
    ):
        up_s = _wait_until_up(process, sessions, warmup_s)
        up_cpu_ms = _workers_cpu_s(process) * 1000 / max(1, sum(_latest_up(process).values()))
        _wait_until(process, warmup_s)
        before = _spent(process)
        _wait_until(process, warmup_s + times.seconds)
        answered, cpu_s, master_s, at_s = map(operator.sub, _spent(process), before)
        resident_kib = sum(worker.memory_info().rss / 1024 for worker in _workers(process))
        up = sum(_latest_up(process).values())
        process.stop()
        began_s = time.monotonic()
        evidence = read_run(process.run)
        read_s = time.monotonic() - began_s
    slip_us = evidence.percentiles_us("send_slip", (50, 99))
    service_us = evidence.percentiles_us("service", (50, 99))
    figures = {
        "workers": workers,
        "sessions up at the end": up,
        "first attempts that failed": evidence.count("connect.failed"),
        "outages": evidence.count("reconnect.outages"),
        "outages not ended by a resume": evidence.count("reconnect.gave_up"),
        "messages sent": evidence.count("messaging.sent"),
        "messages lost": evidence.count("messaging.lost"),
        "all up after, s": up_s,
        "CPU of the workers until then, ms a session": up_cpu_ms,
        "CPU of the workers, cores": cpu_s / at_s,
        "CPU of the workers, µs a session and second": cpu_s * 1e6 / at_s / sessions,
        "CPU of the workers, µs a message": cpu_s * 1e6 / max(answered, 1),
        "CPU of the master, ms a worker and second": master_s * 1000 / at_s / workers,
        "resident memory of the workers, KiB a session": (resident_kib - workers * one_kib) / sessions,
        "send slip p50, ms": slip_us[50] / 1000,
        "send slip p99, ms": slip_us[99] / 1000,
        "service time p50, ms": service_us[50] / 1000,
        "service time p99, ms": service_us[99] / 1000,
        "reading the run directory, s": read_s,
    }
    return {f"{sessions:,} sessions: {name}": value for name, value in figures.items()}


def _workers(process: Measured) -> list[psutil.Process]:
    return psutil.Process(process.process.pid).children()


def _workers_cpu_s(process: Measured) -> float:
    times = [worker.cpu_times() for worker in _workers(process)]
    return sum(used.user + used.system for used in times)


def _spent(process: Measured) -> tuple[float, float, float, float]:
    """Return the replies so far, the CPU seconds of the workers and of the master, and the run's seconds."""
    intervals = process.intervals()
    answered = sum(interval.get("counts", {}).get("messaging.answered", 0) for interval in intervals)
    return answered, _workers_cpu_s(process), process.cpu_s, _length_s(process)


def _latest_up(process: Measured) -> dict[int, int]:
    """Return how many sessions each worker has up by its latest interval."""
    return {interval["worker"]: interval["gauges"]["sessions_up"] for interval in process.intervals()}


def _wait_until_up(process: Measured, sessions: int, warmup_s: float) -> float:
    """Return at which second of the run the sessions were up, the end of the warm-up if they were not."""
    while sum(_latest_up(process).values()) < UP_RATIO * sessions and _length_s(process) < warmup_s:
        time.sleep(0.2)
    return _length_s(process)


def _wait_until(process: Measured, second: float) -> None:
    while _length_s(process) < second:
        time.sleep(0.2)


def _length_s(process: Measured) -> float:
    return max((interval["stop_ns"] for interval in process.intervals()), default=0) / 1e9


def rows(sizes: Sequence[int], rounds: int, times: Times, workers: int | None = None) -> list[Row]:
    """Measure all sizes in turn, so many times."""
    found: list[Row] = []
    with echo_server(on_core=None) as port:
        one_kib = resident_kib(port, 1)
    for number in range(1, rounds + 1):
        for sessions in sizes:
            print(f"round {number} of {rounds}: {sessions:,} sessions", file=sys.stderr)
            add(found, WHO, scale(sessions, one_kib, times, workers))
    return found


def main() -> None:
    """Measure, and print the median and the spread of each figure."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scale", description=__doc__)
    parser.add_argument("--sessions", type=int, nargs="+", default=[100, 1000, 10_000, 60_000])
    parser.add_argument("--workers", type=int, help="default: one for each 15,000 sessions")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=USUAL.seconds, help="measured, after the warm-up")
    parser.add_argument(
        "--connects",
        type=int,
        default=USUAL.connects_a_second,
        help="a second, as many as this machine makes",
    )
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    arguments = parser.parse_args()
    times = Times(arguments.connects, arguments.seconds)
    found = rows(arguments.sessions, arguments.rounds, times, arguments.workers)
    print(printed(HEAD, table(found, WHO), markdown=arguments.markdown))


if __name__ == "__main__":
    main()
