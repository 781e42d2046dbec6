"""The environment of a run, for its manifest: host, versions, start time in UTC, run id."""

import os
import platform
import re
import secrets
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Self

import psutil
from msgspec import Struct

from loadtest.results.origin import Host
from loadtest.text import one_line

DISTRIBUTION = "loadtest-ws"
"""The package's name on PyPI, where `loadtest` is another project."""

LIBRARIES = (
    "loadtest",
    "locust",
    "gevent",
    "websockets",
    "uvloop",
    "anyio",
    "hdrhistogram",
    "msgspec",
    "numpy",
    "scipy",
)


_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_CPUINFO = Path("/proc/cpuinfo")
_MODEL = re.compile(r"^(?:model name|Model|Hardware|cpu model|cpu)\s*:\s*(\S.*)$", re.MULTILINE)
"""How the kernel names the CPU's model on x86, ARM boards, MIPS and POWER."""

_CPUINFO_READ = 1 << 16
"""Bytes read of it: the first CPU's part has some 1,500, and a machine may have hundreds of CPUs."""

_MODEL_LENGTH = 100


_TOGETHER_NS = 1_000_000
"""Time between two readings that count as one moment."""

_MOST_READINGS = 20


class RunStart(Struct, frozen=True, kw_only=True):
    """The zero of a run's times on both clocks of this host, read together.

    All times of a run count from `monotonic_ns`; `unix_ns` is what a server's log is compared by.
    """

    unix_ns: int
    monotonic_ns: int

    @classmethod
    def now(cls) -> Self:
        """Read both clocks, again if the process was interrupted meanwhile."""
        readings = []
        for _ in range(_MOST_READINGS):
            before_ns, unix_ns, after_ns = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
            readings.append((after_ns - before_ns, unix_ns, before_ns))
            if after_ns - before_ns <= _TOGETHER_NS:
                break
        apart_ns, unix_ns, before_ns = min(readings)
        return cls(unix_ns=unix_ns, monotonic_ns=before_ns + apart_ns // 2)


def boot_id() -> str:
    """Return an id of this host's boot, empty if unknown; its processes share a monotonic clock."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def beginning(started_unix_ns: int | None = None) -> dict[str, Any]:
    """Return the fields of the manifest of a run that starts now: its id, its start, versions and host.

    Args:
        started_unix_ns: wall clock at the run's start, the zero of all its times; None for now.
    """
    started_unix_ns = time.time_ns() if started_unix_ns is None else started_unix_ns
    return {
        "run_id": secrets.token_hex(4),
        "started_at": utc_text(started_unix_ns),
        "started_unix_ns": started_unix_ns,
        "versions": versions(),
        "host": host(),
    }


def utc_text(unix_ns: int) -> str:
    """Format a Unix time in nanoseconds as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(unix_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def versions() -> dict[str, str]:
    """Return the versions of Python and of `LIBRARIES`, without importing them."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(DISTRIBUTION if name == "loadtest" else name)
        except metadata.PackageNotFoundError:
            continue
    return found


def cpu_model() -> str:
    """Return the name of the CPU's model as one short line, empty if the system does not tell it."""
    return one_line(" ".join((_kernels_model() or platform.processor()).split()), _MODEL_LENGTH)


def _kernels_model() -> str:
    """Return the model as Linux names it, empty on other systems and where it has no name."""
    try:
        with _CPUINFO.open("rb") as opened:
            told = opened.read(_CPUINFO_READ).decode(errors="replace")
    except OSError:
        return ""
    found = _MODEL.search(told)
    return found[1] if found else ""


def host() -> Host:
    """Describe this machine."""
    return Host(
        system=platform.system(),
        release=platform.release(),
        machine=platform.machine(),
        cpus=os.cpu_count() or 0,
        model=cpu_model(),
        memory_mb=psutil.virtual_memory().total // 2**20,
    )
