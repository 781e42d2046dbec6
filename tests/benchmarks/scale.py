"""Many sessions in several processes: Locust with two workers, ten thousand sessions each, few messages.

    python -m tests.benchmarks.scale [--sessions 20000] [--workers 2]

A worker has an echo server of its own, because one process may often open no more than 20,000 files. All
share the machine's cores, so this shows what is held, not what is fast.
"""

import argparse
import time

import psutil

from loadtest.results.reader import read_run
from loadtest.transport.target import free_port
from tests.benchmarks.locust_process import Measured, echo_server, measured

PER_S = 1000.0
"""Messages of all sessions together."""

WARMUP_S = 30
"""All must be up by then."""

SECONDS = 20


def scale(port: int, sessions: int, workers: int) -> dict[str, float]:
    """Hold so many sessions in so many workers, and return what that took."""
    master_port = free_port()
    arguments = (
        *("-u", str(workers), "-r", str(workers), "--processes", str(workers)),
        *("--master-bind-port", str(master_port), "--master-port", str(master_port)),
        *("--ws-rate", str(PER_S / sessions), "--ws-warmup", str(WARMUP_S)),
    )
    with measured(port, sessions // workers, *arguments, on_core=None) as process:
        connected_s = _wait_until_up(process, sessions)
        _wait_until(process, WARMUP_S + SECONDS)
        resident_mib = sum(
            child.memory_info().rss / 2**20 for child in psutil.Process(process.process.pid).children()
        )
        up = sum(_latest_up(process).values())
        process.stop()
        evidence = read_run(process.run)
    slip_us = evidence.percentiles_us("send_slip", (50, 99))
    service_us = evidence.percentiles_us("service", (50, 99))
    return {
        "sessions up": up,
        "established": evidence.count("connect.established"),
        "attempts failed": evidence.count("connect.failed"),
        "all up after, s": connected_s,
        "messages sent": evidence.count("messaging.sent"),
        "messages lost": evidence.count("messaging.lost"),
        "resident memory of the workers, MiB": resident_mib,
        "send slip p50, ms": slip_us[50] / 1000,
        "send slip p99, ms": slip_us[99] / 1000,
        "service time p50, ms": service_us[50] / 1000,
        "service time p99, ms": service_us[99] / 1000,
    }


def _latest_up(process: Measured) -> dict[int, int]:
    """Return how many sessions each worker has up by its latest interval."""
    return {interval["worker"]: interval["gauges"]["sessions_up"] for interval in process.intervals()}


def _wait_until_up(process: Measured, sessions: int) -> float:
    """Return at which second of the run all sessions were up, the end of the warm-up if they never were."""
    while sum(_latest_up(process).values()) < sessions:
        if _length_s(process) >= WARMUP_S:
            break
        time.sleep(0.2)
    return _length_s(process)


def _wait_until(process: Measured, second: float) -> None:
    while _length_s(process) < second:
        time.sleep(0.2)


def _length_s(process: Measured) -> float:
    return max((interval["stop_ns"] for interval in process.intervals()), default=0) / 1e9


def main() -> None:
    """Run it once and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    with echo_server(arguments.workers, on_core=None) as port:
        for name, value in scale(port, arguments.sessions, arguments.workers).items():
            print(f"{name:36} {value:>12,.2f}")


if __name__ == "__main__":
    main()
