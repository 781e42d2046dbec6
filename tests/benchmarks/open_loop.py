"""Send slip and self-added latency: how late this tool sends, and what it adds to round trips.

Sessions send at planned times, evenly spread. Service time is compared with that of `timed_client.py`, which
sends the same messages at the same times and records nothing else: the difference is what this tool adds.
"""

import json
import subprocess
import sys
from collections.abc import Mapping

from loadtest.run import read_run
from tests.benchmarks.locust_process import ROOT, measured, pinned

SESSIONS = 1000
WARMUP_S = 3
QUANTILES: tuple[float, ...] = (50, 99)

AtUs = Mapping[float, float]
"""Microseconds at each quantile."""


def open_loop(port: int, per_s: int, seconds: int) -> dict[str, float]:
    """Measure a whole Locust process, then the bare client, at so many messages a second of all sessions."""
    slip_us, ours_us = _ours(port, per_s, seconds)
    bare_us = _bare(port, per_s, seconds)
    added_us = {q: ours_us[q] - bare_us[q] for q in QUANTILES}
    named: dict[str, AtUs] = {
        "send slip": slip_us,
        "service time": ours_us,
        "service time of the bare client": bare_us,
        "self-added latency": added_us,
    }
    return {
        f"{what} p{q}, ms, {per_s:,} messages a second": at_us[q] / 1000
        for what, at_us in named.items()
        for q in QUANTILES
    }


def _ours(port: int, per_s: int, seconds: int) -> tuple[AtUs, AtUs]:
    """Return the send slip and the service time of this tool's sessions."""
    arguments = ("--ws-rate", str(per_s / SESSIONS), "--ws-warmup", str(WARMUP_S))
    with measured(port, SESSIONS, *arguments) as process:
        process.wait_until_up(SESSIONS)
        process.wait_for_interval(WARMUP_S + seconds)
        process.stop()
        evidence = read_run(process.run)
    return evidence.percentiles_us("send_slip", QUANTILES), evidence.percentiles_us("service", QUANTILES)


def _bare(port: int, per_s: int, seconds: int) -> AtUs:
    """Return the service time of the bare client."""
    command = [sys.executable, "-m", "tests.benchmarks.timed_client"]
    told = subprocess.run(
        [*command, *map(str, (port, SESSIONS, per_s, WARMUP_S, seconds))],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        preexec_fn=pinned(1),
    )
    return dict(zip(QUANTILES, json.loads(told.stdout), strict=True))
