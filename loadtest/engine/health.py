"""The generator watching itself: what could make its own numbers wrong, sampled once an interval.

    loop_lag_p99_ms    how late the loop woke for what it had planned
    cpu_ratio          of a core, by the engine's thread; its queue begins to show in latency above 0.8
    process_cpu_ratio  of a core, by the whole process
    steal_ratio        of all cores, taken away by the hypervisor
    gc_pause_max_ms    longest pause for garbage collection, whichever thread met it
    files_ratio        open files of those that the process may open

Nothing is judged here; `loadtest.verdict.generator` does that from the run's files.
"""

import gc
import resource
import sys
import time
from array import array

import psutil

OTHER_FILES = 100
"""Files that a process needs besides its connections: for its records, and to look at itself."""


def raise_files_limit() -> int:
    """Let this process open as many files as the system allows it; return how many connections that makes."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return most_connections()


def most_connections() -> int:
    """Return how many connections this process may hold at a time."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if limit == resource.RLIM_INFINITY else max(1, limit - OTHER_FILES)


class Health:
    """Made, and sampled, on the engine's thread."""

    def __init__(self) -> None:
        self._lags_ns = array("q")
        self._gc_began_ns = 0
        self._gc_longest_ns = 0
        self._thread_ns = time.thread_time_ns()
        self._process_ns = time.process_time_ns()
        self._host = psutil.cpu_times()
        self._files_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        gc.callbacks.append(self._watch_gc)

    def woke(self, lag_ns: int) -> None:
        """Take note of how late the loop woke."""
        self._lags_ns.append(lag_ns)

    def _watch_gc(self, phase: str, _info: dict[str, int]) -> None:
        now_ns = time.monotonic_ns()
        if phase == "start":
            self._gc_began_ns = now_ns
        else:
            self._gc_longest_ns = max(self._gc_longest_ns, now_ns - self._gc_began_ns)

    def sample(self, elapsed_ns: int, connections: int) -> dict[str, float]:
        """Return the gauges of the interval that ends now, and begin the next.

        Args:
            elapsed_ns: how long the interval was.
            connections: sessions that hold one, for the open files.
        """
        thread_ns, process_ns, host = time.thread_time_ns(), time.process_time_ns(), psutil.cpu_times()
        lags = sorted(self._lags_ns)
        gauges = {
            "loop_lag_p99_ms": lags[int(len(lags) * 0.99)] / 1e6 if lags else 0.0,
            "cpu_ratio": (thread_ns - self._thread_ns) / elapsed_ns,
            "process_cpu_ratio": (process_ns - self._process_ns) / elapsed_ns,
            "steal_ratio": _steal_ratio(self._host, host),
            "gc_pause_max_ms": self._gc_longest_ns / 1e6,
            "files_ratio": connections / self._files_limit if self._files_limit > 0 else 0.0,
        }
        self._thread_ns, self._process_ns, self._host = thread_ns, process_ns, host
        self._lags_ns, self._gc_longest_ns = array("q"), 0
        return gauges

    def close(self) -> None:
        """Watch no more."""
        gc.callbacks.remove(self._watch_gc)


def _steal_ratio(before: object, after: object) -> float:
    """Return the share of CPU time between two readings that the hypervisor took; 0 where unknown."""
    total = sum(after) - sum(before)  # type: ignore[call-overload]  # named tuples of seconds
    stolen = getattr(after, "steal", 0.0) - getattr(before, "steal", 0.0)
    return float(stolen / total) if total > 0 else 0.0
