"""Health of the load generator: what could distort its measurements, sampled once per interval.

    loop_lag_max_ms    how late the loop woke: the latest of the interval's sweeps, twenty a second
    stall_max_ms       longest time that the engine could not run: stopped, starved, or the machine asleep
    cpu_ratio          share of a core used by the engine's thread; above 0.8 queueing shows in latency
    process_cpu_ratio  share of a core used by the whole process, whose threads share one GIL
    steal_ratio        share of all cores taken by the hypervisor
    gc_pause_max_ms    longest pause for garbage collection, in any thread
    files_ratio        connections, open or being opened, relative to the limit on open files
    ports_ratio        the same connections, relative to the number of local ports

Nothing is judged here: `loadtest.verdict.generator` judges these gauges from the run's files.
"""

import contextlib
import gc
import resource
import sys
import time
from pathlib import Path

import psutil

OTHER_FILES = 100
"""Open files that a process needs besides its connections, for its records and these gauges."""

OPEN_MAX = 10_240
"""Limit to set on macOS, which reports an unlimited hard limit and then refuses it (setrlimit(2))."""

PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
"""First and last local port that Linux gives to connections (ip(7)), for IPv6 too."""

_IANA_PORTS = 65_535 - 49_152 + 1
"""Size of the dynamic port range of RFC 6335, section 6, which other systems use."""

_CLOCK_THAT_GOES_ON = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""A clock that runs while the machine sleeps; `time.monotonic` does not, on Linux and macOS."""


def raise_files_limit() -> int:
    """Raise the soft limit on open files as far as allowed; return how many connections it permits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (hard, OPEN_MAX):
        if _number(wanted) <= _number(soft):
            break
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            break
    return most_connections()


def most_connections() -> int:
    """Return how many connections this process may hold open at the same time."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, _number(soft) - OTHER_FILES)


def _number(limit: int) -> int:
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit


def local_ports() -> int:
    """Return the number of local ports for connections from one local address to one server address."""
    try:
        first, last = map(int, PORT_RANGE.read_text().split())
    except (OSError, ValueError):
        return _IANA_PORTS
    return last - first + 1


class Health:
    """Gauges of the load generator. Create and sample it on the engine's thread."""

    def __init__(self) -> None:
        self._lag_ns = self._stall_ns = 0  # the longest in this interval
        self._woke_thread_ns = self._thread_ns = time.thread_time_ns()
        self._process_ns = time.process_time_ns()
        self._asleep_ns = _asleep_ns()
        self._host = psutil.cpu_times()
        self._gc_began_ns = self._gc_longest_ns = 0
        self._most_connections = most_connections()
        self._ports = local_ports()
        gc.callbacks.append(self._watch_gc)

    def woke(self, lag_ns: int) -> None:
        """Record how late the loop woke, and how much of that time its thread did not run (a stall)."""
        thread_ns = time.thread_time_ns()
        self._lag_ns = max(self._lag_ns, lag_ns)
        self._stall_ns = max(self._stall_ns, lag_ns - (thread_ns - self._woke_thread_ns))
        self._woke_thread_ns = thread_ns

    def _watch_gc(self, phase: str, _info: dict[str, int]) -> None:
        now_ns = time.monotonic_ns()
        if phase == "start":
            self._gc_began_ns = now_ns
        else:
            self._gc_longest_ns = max(self._gc_longest_ns, now_ns - self._gc_began_ns)

    def sample(self, elapsed_ns: int, *, connections: int, address_pairs: int) -> dict[str, float]:
        """Return the gauges of the interval that ends now, and begin the next.

        Args:
            elapsed_ns: length of the interval.
            connections: connections that are open or being opened.
            address_pairs: pairs of local and server address; each pair can use all local ports.
        """
        thread_ns, process_ns, host = time.thread_time_ns(), time.process_time_ns(), psutil.cpu_times()
        asleep_ns = _asleep_ns()
        gauges = {
            "loop_lag_max_ms": self._lag_ns / 1e6,
            "stall_max_ms": max(self._stall_ns, asleep_ns - self._asleep_ns) / 1e6,
            "cpu_ratio": (thread_ns - self._thread_ns) / elapsed_ns,
            "process_cpu_ratio": (process_ns - self._process_ns) / elapsed_ns,
            "steal_ratio": _steal_ratio(self._host, host),
            "gc_pause_max_ms": self._gc_longest_ns / 1e6,
            "files_ratio": connections / self._most_connections,
            "ports_ratio": connections / (address_pairs * self._ports),
        }
        self._thread_ns, self._process_ns, self._host = thread_ns, process_ns, host
        self._asleep_ns = asleep_ns
        self._lag_ns = self._stall_ns = self._gc_longest_ns = 0
        return gauges

    def close(self) -> None:
        """Stop watching garbage collection."""
        gc.callbacks.remove(self._watch_gc)


def _asleep_ns() -> int:
    """Return how long the machine has slept since a fixed time; only differences are meaningful."""
    return time.clock_gettime_ns(_CLOCK_THAT_GOES_ON) - time.monotonic_ns()


def _steal_ratio(before: object, after: object) -> float:
    """Return the share of CPU time between two readings that the hypervisor took; 0 where unknown."""
    total = sum(after) - sum(before)  # type: ignore[call-overload]  # named tuples of seconds
    stolen = getattr(after, "steal", 0.0) - getattr(before, "steal", 0.0)
    return float(stolen / total) if total > 0 else 0.0
