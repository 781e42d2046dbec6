"""A headless Locust process under measurement, and the echo server it talks to; shared by the benchmarks."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def core(nth: int) -> int:
    """Return the number of the n-th core that this process may use; they come round again."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[nth % len(cores)]


def pinned(nth: int) -> Callable[[], None]:
    """Return a function that pins a child to the n-th core."""
    return lambda: os.sched_setaffinity(0, {core(nth)})


@contextmanager
def echo_server() -> Iterator[int]:
    """Run the echo server on the first core and yield its port."""
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


class Measured:
    """A Locust process with one user of so many echo sessions, on the second core."""

    def __init__(self, port: int, sessions: int, *arguments: str, results: Path) -> None:
        self.results = results
        command = [
            *(sys.executable, "-m", "locust", "-f", str(ROOT / "locustfiles" / "ws.py"), "--headless"),
            *("-u", "1", "-r", "1", "--only-summary", "--host", f"ws://127.0.0.1:{port}"),
            *("--ws-dialect", "echo", "--ws-sessions", str(sessions), "--ws-drop-every", "0"),
            *("--ws-results", str(results), "--ws-revision", "benchmark", *arguments),
        ]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=pinned(1)
        )

    def intervals(self) -> list[dict[str, Any]]:
        """Return the intervals that it has written."""
        lines = [
            line
            for path in self.results.rglob("intervals.jsonl")
            for line in path.read_bytes().splitlines(keepends=True)
        ]
        return [json.loads(line) for line in lines if line.endswith(b"\n")]

    def wait_for_interval(self, known: int, timeout_s: float = 60) -> list[dict[str, Any]]:
        """Wait until there are more intervals than `known`, and return all."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s and self.process.poll() is None:
            intervals = self.intervals()
            if len(intervals) > known:
                return intervals
            time.sleep(0.01)
        raise SystemExit("the Locust run wrote no intervals: run the same command by hand to see why")

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(60)


@contextmanager
def measured(port: int, sessions: int, *arguments: str) -> Iterator[Measured]:
    """Run a Locust process while measuring."""
    with TemporaryDirectory() as results:
        process = Measured(port, sessions, *arguments, results=Path(results))
        try:
            yield process
        finally:
            process.stop()
