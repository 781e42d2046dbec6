"""CPU of a round trip: a whole headless Locust process beside a bare websockets client, in one run.

    python tests/benchmarks/round_trip.py [--sessions 100] [--seconds 8] [--rounds 3]

Echo of a 64-byte message, closed loop, client and server each pinned to a core of their own where there
are two. The process's CPU includes everything: Locust, recording, writing the run. Prints each round's
figures, the medians and their ratio, which is what to compare: the machine's noise is in both.
"""

import argparse
import json
import statistics
import subprocess
import sys

import psutil
from locust_process import HERE, echo_server, measured, pinned

SETTLING = 3
"""Intervals left out at the start."""


def bare(port: int, sessions: int, seconds: float) -> float:
    """Return the bare client's CPU in µs a round trip."""
    command = [sys.executable, str(HERE / "bare_client.py"), str(port), str(sessions), str(seconds)]
    told = subprocess.run(command, check=True, capture_output=True, text=True, preexec_fn=pinned(1))
    return float(json.loads(told.stdout)["cpu_us"])


def locust(port: int, sessions: int, seconds: float) -> float:
    """Return the CPU in µs a round trip of a whole Locust process, its first seconds left out."""
    with measured(port, sessions, "--ws-arrivals", "closed") as process:
        watched = psutil.Process(process.process.pid)
        samples: list[tuple[float, int]] = []  # CPU seconds and round trips so far, at each new interval
        while len(samples) <= SETTLING + seconds:
            intervals = process.wait_for_interval(len(samples))
            cpu = watched.cpu_times()
            answered = sum(interval.get("counts", {}).get("messaging.answered", 0) for interval in intervals)
            samples += [(cpu.user + cpu.system, answered)] * (len(intervals) - len(samples))
        (cpu_before, before), (cpu_after, after) = samples[SETTLING], samples[-1]
        return (cpu_after - cpu_before) * 1e6 / (after - before)


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    rows = []
    print(f"{'round':>6} {'bare client':>14} {'whole Locust':>14} {'ratio':>7}   CPU µs a round trip")
    with echo_server() as port:
        for number in range(1, arguments.rounds + 1):
            measure = (port, arguments.sessions, arguments.seconds)
            row = (bare(*measure), locust(*measure))
            rows.append(row)
            print(f"{number:>6} {row[0]:>14.1f} {row[1]:>14.1f} {row[1] / row[0]:>7.2f}", flush=True)
    bare_us, locust_us = (statistics.median(column) for column in zip(*rows, strict=True))
    print(f"{'median':>6} {bare_us:>14.1f} {locust_us:>14.1f} {locust_us / bare_us:>7.2f}")


if __name__ == "__main__":
    main()
