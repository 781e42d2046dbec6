"""Memory of an idle session: a whole Locust process with few and with many sessions, in one run.

    python tests/benchmarks/memory.py [--sessions 2000] [--rounds 3]

Prints the resident memory of the process with one session and with N, and the difference a session.
"""

import argparse
import statistics

import psutil
from locust_process import echo_server, measured

SETTLED = 3
"""Intervals with all sessions up before memory is read."""


def resident_kib(port: int, sessions: int) -> float:
    """Return the resident memory of a process with so many idle sessions, in KiB."""
    with measured(port, sessions, "--ws-rate", "0") as process:
        intervals, up = 0, 0
        while up < SETTLED:
            found = process.wait_for_interval(intervals)
            intervals = len(found)
            up += found[-1]["gauges"]["sessions_up"] == sessions
        return float(psutil.Process(process.process.pid).memory_info().rss) / 1024


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(f"{'round':>6} {'1 session':>12} {arguments.sessions:>10} s. {'a session':>12}   KiB resident")
    figures = []
    with echo_server() as port:
        for number in range(1, arguments.rounds + 1):
            few, many = resident_kib(port, 1), resident_kib(port, arguments.sessions)
            figures.append((many - few) / (arguments.sessions - 1))
            print(f"{number:>6} {few:>12.0f} {many:>13.0f} {figures[-1]:>12.2f}", flush=True)
    print(f"{'median':>6} {'':>12} {'':>13} {statistics.median(figures):>12.2f}")


if __name__ == "__main__":
    main()
