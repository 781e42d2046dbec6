"""CPU of a round trip: a whole headless Locust process beside a bare websockets client, in one run.

    python tests/benchmarks/round_trip.py [--sessions 100] [--seconds 8] [--rounds 3]

Echo of a 64-byte message, closed loop, client and server each pinned to a core of their own where there
are two. The process's CPU includes everything: Locust, recording, writing the run. Prints each round's
figures, the medians and their ratio, which is what to compare: the machine's noise is in both.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def pinned(core: int) -> Any:
    """Return a function that pins a child to a core, if there is more than one."""
    cores = sorted(os.sched_getaffinity(0))
    return lambda: os.sched_setaffinity(0, {cores[core % len(cores)]})


@contextmanager
def echo_server() -> Any:
    """Run the echo server and yield its port."""
    server = subprocess.Popen(
        [sys.executable, str(HERE / "echo_server.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=pinned(0),
    )
    assert server.stdout is not None
    try:
        yield int(server.stdout.readline())
    finally:
        server.communicate()


def bare(port: int, sessions: int, seconds: float) -> float:
    """Return the bare client's CPU in µs a round trip."""
    command = [sys.executable, str(HERE / "bare_client.py"), str(port), str(sessions), str(seconds)]
    told = subprocess.run(command, check=True, capture_output=True, text=True, preexec_fn=pinned(1))
    return float(json.loads(told.stdout)["cpu_us"])


def locust(port: int, sessions: int, seconds: float) -> float:
    """Return the CPU in µs a round trip of a whole Locust process, its first seconds left out."""
    with tempfile.TemporaryDirectory() as results:
        command = [
            *(sys.executable, "-m", "locust", "-f", str(ROOT / "locustfiles" / "ws.py"), "--headless"),
            *("-u", "1", "-r", "1", "-t", f"{int(seconds) + 6}s", "--only-summary"),
            *("--host", f"ws://127.0.0.1:{port}", "--ws-dialect", "echo", "--ws-sessions", str(sessions)),
            *("--ws-arrivals", "closed", "--ws-drop-every", "0", "--ws-results", results),
            *("--ws-revision", "benchmark"),
        ]
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=pinned(1)
        )
        try:
            return _cpu_us(process.pid, Path(results), seconds)
        finally:
            process.terminate()
            process.wait(30)


def _cpu_us(pid: int, results: Path, seconds: float) -> float:
    watched = psutil.Process(pid)
    deadline_s = time.monotonic() + 60
    samples: list[tuple[float, int]] = []  # CPU seconds and round trips so far, at each new interval
    while time.monotonic() < deadline_s:
        lines = [json.loads(line) for path in results.rglob("intervals.jsonl") for line in _whole_lines(path)]
        if len(lines) > len(samples):
            cpu = watched.cpu_times()
            answered = sum(line["counts"].get("messaging.answered", 0) for line in lines)
            samples += [(cpu.user + cpu.system, answered)] * (len(lines) - len(samples))
        if len(samples) > seconds + 2:
            (cpu_before, before), (cpu_after, after) = samples[2], samples[-1]
            return (cpu_after - cpu_before) * 1e6 / (after - before)
        time.sleep(0.01)
    raise SystemExit("the Locust run wrote no intervals")


def _whole_lines(path: Path) -> list[bytes]:
    return [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


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
            row = (
                bare(port, arguments.sessions, arguments.seconds),
                locust(port, arguments.sessions, arguments.seconds),
            )
            rows.append(row)
            print(f"{number:>6} {row[0]:>14.1f} {row[1]:>14.1f} {row[1] / row[0]:>7.2f}", flush=True)
    bare_us, locust_us = (statistics.median(column) for column in zip(*rows, strict=True))
    print(f"{'median':>6} {bare_us:>14.1f} {locust_us:>14.1f} {locust_us / bare_us:>7.2f}")


if __name__ == "__main__":
    main()
