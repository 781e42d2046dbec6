"""Send slip and self-added latency: planned messages, and what this tool adds to their round trips.

Sessions send at planned times, evenly spread. Send slip is how late this tool sent. Service time is compared
with that of `timed_client.py`, which sends the same messages at the same times and records nothing else:
the difference is what this tool and Locust add.
"""

import json
import subprocess
import sys
from collections.abc import Mapping

from loadtest.run import read_run
from tests.benchmarks.locust_process import HERE, measured, pinned

SESSIONS = 1000
WARMUP_S = 3


def ours(port: int, per_s: int, seconds: int) -> dict[str, float]:
    """Measure a whole Locust process with this tool's sessions."""
    arguments = ("--ws-rate", str(per_s / SESSIONS), "--ws-warmup", str(WARMUP_S))
    with measured(port, SESSIONS, *arguments) as process:
        process.wait_until_up(SESSIONS)
        process.wait_for_interval(WARMUP_S + seconds)
        process.stop()
        evidence = read_run(process.run)
    return _figures("send slip", evidence.percentiles_us("send_slip", (50, 99)), per_s) | _figures(
        "service time", evidence.percentiles_us("service", (50, 99)), per_s
    )


def bare(port: int, per_s: int, seconds: int) -> dict[str, float]:
    """Measure the bare client."""
    command = [sys.executable, "-m", "tests.benchmarks.timed_client"]
    told = subprocess.run(
        [*command, *map(str, (port, SESSIONS, per_s, WARMUP_S, seconds))],
        check=True,
        capture_output=True,
        text=True,
        cwd=HERE.parent.parent,
        preexec_fn=pinned(1),
    )
    return _figures("service time", dict(zip((50, 99), json.loads(told.stdout), strict=True)), per_s)


def _figures(what: str, at_us: Mapping[float, float], per_s: int) -> dict[str, float]:
    return {f"{what} p{q}, ms, {per_s:,} messages a second": at_us[q] / 1000 for q in (50, 99)}
