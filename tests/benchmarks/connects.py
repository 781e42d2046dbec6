"""How fast sessions connect: a whole Locust process opens many WebSockets at once, on one core.

    python tests/benchmarks/connects.py [--sessions 3000] [--rounds 3]

Prints connects a second (first attempt to last established, the dialect's handshake included) and the
process's CPU for each, beyond that of a process with one session.
"""

import argparse
import json
import statistics

import psutil
from locust_process import Measured, echo_server, measured


def connecting(port: int, sessions: int) -> tuple[float, float]:
    """Return the seconds from the first attempt to the last session up, and the CPU seconds until then."""
    with measured(port, sessions, "--ws-rate", "0") as process:
        intervals, up = 0, 0
        while up < sessions:
            found = process.wait_for_interval(intervals)
            intervals, up = len(found), found[-1]["gauges"]["sessions_up"]
        cpu = psutil.Process(process.process.pid).cpu_times()
        return _took_s(process), cpu.user + cpu.system


def _took_s(process: Measured) -> float:
    lines = [
        line for path in process.results.rglob("events.jsonl") for line in path.read_bytes().splitlines()
    ]
    at_ns = [json.loads(line)["at_ns"] for line in lines]
    return (max(at_ns) - min(at_ns)) / 1e9


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(f"{'round':>6} {'connects a second':>18} {'CPU ms each':>12}")
    rows = []
    with echo_server() as port:
        for number in range(1, arguments.rounds + 1):
            _, start_s = connecting(port, 1)
            took_s, cpu_s = connecting(port, arguments.sessions)
            rows.append((arguments.sessions / took_s, (cpu_s - start_s) * 1000 / arguments.sessions))
            print(f"{number:>6} {rows[-1][0]:>18.0f} {rows[-1][1]:>12.3f}", flush=True)
    rate, cpu_ms = (statistics.median(column) for column in zip(*rows, strict=True))
    print(f"{'median':>6} {rate:>18.0f} {cpu_ms:>12.3f}")


if __name__ == "__main__":
    main()
