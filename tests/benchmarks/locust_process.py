"""A headless Locust process to measure, and its echo server. Shared by the benchmarks."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def core(nth: int) -> int:
    """Return the number of the n-th core that this process may use, modulo their count."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[nth % len(cores)]


def pinned(nth: int | None) -> Callable[[], None] | None:
    """Return a function that pins a child to the n-th core; None leaves it on all."""
    return None if nth is None else lambda: os.sched_setaffinity(0, {core(nth)})


@contextmanager
def echo_server(processes: int = 1, *, on_core: int | None = 0, tls: Path | None = None) -> Iterator[int]:
    """Run the echo server, by default on the first core, and yield its port.

    Args:
        processes: number of processes that share the port.
        on_core: the core to pin them to, None for all cores.
        tls: private key and certificate chain (PEM), for wss; None for ws.
    """
    port = 0
    secure = () if tls is None else ("--tls", str(tls))
    with ExitStack() as stack:
        for _ in range(processes):
            server = subprocess.Popen(
                [sys.executable, str(HERE / "echo_server.py"), str(port), *secure],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                preexec_fn=pinned(on_core),
            )
            stack.callback(server.communicate)
            assert server.stdout is not None
            port = int(server.stdout.readline())
        yield port


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a run up to one second, and its cost."""

    answered: int
    at_s: float
    cpu_s: float

    def cost_since(self, earlier: "Progress") -> tuple[float, float]:
        """Return the CPU per round trip since then in µs, and the round trips per second."""
        answered = self.answered - earlier.answered
        return (self.cpu_s - earlier.cpu_s) * 1e6 / answered, answered / (self.at_s - earlier.at_s)


class Measured:
    """A Locust process with echo sessions, by default of one user.

    Args:
        port: port of the server on this machine.
        sessions: number of sessions of each user.
        arguments: further Locust arguments, which override the defaults set here.
        on_core: the core to pin it to, None for all cores.
        results: folder for its run directory.
        environment: further environment variables.
    """

    def __init__(
        self,
        port: int,
        sessions: int,
        *arguments: str,
        on_core: int | None,
        results: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.results = results
        command = [
            *(sys.executable, "-m", "locust", "-f", str(ROOT / "locustfiles" / "ws.py"), "--headless"),
            *("-u", "1", "-r", "1", "--only-summary", "--host", f"ws://127.0.0.1:{port}"),
            *("--ws-dialect", "echo", "--ws-sessions", str(sessions), "--ws-drop-every", "0"),
            *("--ws-results", str(results), "--ws-revision", "benchmark", *arguments),
        ]
        self.process = psutil.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=pinned(on_core),
        )

    def intervals(self) -> list[dict[str, Any]]:
        """Return the intervals written so far."""
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
        raise SystemExit("the Locust run wrote no intervals. Run the same command by hand to see why")

    def wait_until_up(self, sessions: int) -> list[dict[str, Any]]:
        """Wait until `sessions` sessions are up, and return the intervals."""
        intervals = self.wait_for_interval(0)
        while intervals[-1]["gauges"]["sessions_up"] < sessions:
            intervals = self.wait_for_interval(len(intervals))
        return intervals

    def progress(self, intervals: int) -> Progress:
        """Return the progress once `intervals` intervals are written."""
        found = self.wait_for_interval(intervals - 1)
        cpu_s = self.cpu_s
        answered = sum(interval.get("counts", {}).get("messaging.answered", 0) for interval in found)
        return Progress(answered, found[-1]["stop_ns"] / 1e9, cpu_s)

    @property
    def cpu_s(self) -> float:
        """CPU used so far, in seconds."""
        used = self.process.cpu_times()
        return float(used.user + used.system)

    @property
    def resident_kib(self) -> float:
        """Resident memory of the process."""
        return float(self.process.memory_info().rss) / 1024

    @property
    def run(self) -> Path:
        """The run directory that it created."""
        (manifest,) = self.results.rglob("run.json")
        return manifest.parent

    def stop(self) -> None:
        """End the process."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(120)


@contextmanager
def measured(
    port: int,
    sessions: int,
    *arguments: str,
    on_core: int | None = 1,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Measured]:
    """Run a Locust process while measuring."""
    with TemporaryDirectory() as results:
        process = Measured(
            port, sessions, *arguments, on_core=on_core, results=Path(results), environment=environment
        )
        try:
            yield process
        finally:
            process.stop()
