"""k6 on the same work, if its binary is on PATH."""

import json
import os
import re
import resource
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.locust_process import HERE, pinned
from tests.benchmarks.work import Seen, Times, Work

SCRIPT = HERE / "k6_client.js"

BASE_S = 2
"""Length of the short run: what it takes is taken off, for the start and the connects."""

_STABLE_SINCE = (1, 6)
"""k6 with the module k6/websockets; before, it was k6/experimental/websockets with the same interface."""

_QUIET = ("--quiet", "--no-color", "--no-usage-report")


def missing() -> str | None:
    """Return why k6 cannot be measured, None if it can."""
    return None if shutil.which("k6") else "no 'k6' on PATH"


@dataclass(frozen=True, slots=True)
class Told:
    """Results of a k6 run; times as measured by k6."""

    cpu_s: float
    answered: int
    slip_us: Times | None
    service_us: Times


def measure(port: int, work: Work) -> Seen:
    """Measure k6: the difference between a long run and a short one."""
    with TemporaryDirectory() as folder:
        script = Path(folder) / SCRIPT.name
        script.write_text(script_for(_version()), encoding="utf-8")
        short = _run(script, port, work, BASE_S)
        long = _run(script, port, work, BASE_S + work.seconds)
    return difference(short, long, work.seconds)


def difference(short: Told, long: Told, seconds: float) -> Seen:
    """Return the results of the longer run's extra seconds; times are from the whole longer run."""
    answered = long.answered - short.answered
    cpu_us = (long.cpu_s - short.cpu_s) * 1e6 / answered
    return Seen(cpu_us, answered / seconds, long.slip_us, long.service_us)


def script_for(version: tuple[int, int]) -> str:
    """Return the script for this version of k6."""
    script = SCRIPT.read_text(encoding="utf-8")
    return (
        script
        if version >= _STABLE_SINCE
        else script.replace('"k6/websockets"', '"k6/experimental/websockets"')
    )


def _version() -> tuple[int, int]:
    """Return major and minor version."""
    told = subprocess.run(["k6", "version"], check=True, capture_output=True, text=True).stdout
    found = re.search(r"\bv(\d+)\.(\d+)\.", told)
    assert found, f"no version in the output of 'k6 version': {told!r}"
    return int(found[1]), int(found[2])


def _run(script: Path, port: int, work: Work, seconds: int) -> Told:
    scheme = "wss" if work.ca else "ws"
    settings = {
        "URL": f"{scheme}://127.0.0.1:{port}/",
        "SESSIONS": work.sessions,
        "SECONDS": seconds,
        "RATE": work.rate,
    }
    given = [part for name, value in settings.items() for part in ("--env", f"{name}={value}")]
    trusted = {"SSL_CERT_FILE": str(work.ca)} if work.ca else {}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = subprocess.run(
        ["k6", "run", *_QUIET, *given, str(script)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **trusted},
        preexec_fn=pinned(1),
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return read(told.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def read(summary: str, cpu_s: float) -> Told:
    """Return the results that k6 printed at the end, with its CPU time."""
    figures = json.loads(summary)
    slip_ms, service_ms = figures["slip_ms"], figures["service_ms"]
    return Told(
        cpu_s,
        figures["answered"],
        None if slip_ms is None else [at * 1000 for at in slip_ms],
        [at * 1000 for at in service_ms],
    )
