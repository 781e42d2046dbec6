"""Scale, from few sessions to many in several processes: the cost of sessions and their messages.

    python -m tests.benchmarks.scale [--sessions 100 1000 10000 60000] [--rounds 5] [--markdown]

Each session sends 0.1 messages a second and is dropped every 600 s. A worker holds at most 15,000 sessions
and has its own echo server, because a process can often open no more than 20,000 files. Sessions connect from
several addresses, because one address has about 28,000 ports. Clients and servers share the machine's cores,
so this shows how many sessions are held and their CPU cost, not speed.
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
    """Duration of a measurement.

    Args:
        connects_a_second: connect rate that is certainly reached; it determines the length of the warm-up.
        seconds: how long to measure once the sessions are up.
    """

    connects_a_second: int = 1500
    seconds: int = 20


USUAL = Times()


def scale(sessions: int, one_kib: float, times: Times, workers: int | None = None) -> dict[str, float]:
    """Hold `sessions` sessions in as many workers as needed, and return the cost.

    Args:
        sessions: number of sessions of all workers together.
        one_kib: resident memory of a process with one session.
        times: duration of the measurement.
        workers: number of workers; None for one per `SESSIONS_A_WORKER` sessions.
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
    """Return how many sessions each worker has up in its latest interval."""
    return {interval["worker"]: interval["gauges"]["sessions_up"] for interval in process.intervals()}


def _wait_until_up(process: Measured, sessions: int, warmup_s: float) -> float:
    """Return the second of the run at which all sessions were up; if they never were, the warm-up's end."""
    while sum(_latest_up(process).values()) < UP_RATIO * sessions and _length_s(process) < warmup_s:
        time.sleep(0.2)
    return _length_s(process)


def _wait_until(process: Measured, second: float) -> None:
    while _length_s(process) < second:
        time.sleep(0.2)


def _length_s(process: Measured) -> float:
    return max((interval["stop_ns"] for interval in process.intervals()), default=0) / 1e9


def rows(sizes: Sequence[int], rounds: int, times: Times, workers: int | None = None) -> list[Row]:
    """Measure all sizes in turn, once per round."""
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
    parser.add_argument("--workers", type=int, help="default: one per 15,000 sessions")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=USUAL.seconds, help="to measure after the warm-up")
    parser.add_argument(
        "--connects",
        type=int,
        default=USUAL.connects_a_second,
        help="connects per second of this machine",
    )
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    arguments = parser.parse_args()
    times = Times(arguments.connects, arguments.seconds)
    found = rows(arguments.sessions, arguments.rounds, times, arguments.workers)
    print(printed(HEAD, table(found, WHO), markdown=arguments.markdown))


if __name__ == "__main__":
    main()
