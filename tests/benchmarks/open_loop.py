"""Planned messages: send slip, self-added latency, and how the cost of a message grows with the sessions.

Sessions send at planned times, evenly spread. Service time and CPU are compared with those of
`timed_client.py`, which sends the same messages at the same times and only times them: the difference is
what this tool and Locust add.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from loadtest.results.reader import read_run
from tests.benchmarks.locust_process import ROOT, measured, pinned

WARMUP_S = 3
QUANTILES: tuple[float, ...] = (50, 99)

AtUs = Mapping[float, float]
"""Microseconds at each quantile."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a client did: CPU of a message with its reply, and its times."""

    cpu_us: float
    service_us: AtUs
    slip_us: AtUs


def latency(port: int, sessions: int, per_s: int, seconds: int) -> dict[str, float]:
    """Return send slip and service time, and how much longer that is than the bare client's."""
    ours = _ours(port, sessions, per_s, seconds)
    bare = _bare(port, sessions, per_s, seconds)
    named: dict[str, AtUs] = {
        "send slip": ours.slip_us,
        "service time": ours.service_us,
        "self-added latency": {q: ours.service_us[q] - bare.service_us[q] for q in QUANTILES},
    }
    return {
        f"{what} p{q}, ms, {per_s:,} messages a second": at_us[q] / 1000
        for what, at_us in named.items()
        for q in QUANTILES
    }


def growth(port: int, who: str, sessions: int, per_s: int, seconds: int) -> dict[str, float]:
    """Return the CPU of a message with its reply, of this tool (`ours`) or the bare client (`bare`)."""
    seen = {"ours": _ours, "bare": _bare}[who](port, sessions, per_s, seconds)
    return {f"CPU a message, µs, {sessions:,} sessions, {per_s:,} messages a second": seen.cpu_us}


def _ours(port: int, sessions: int, per_s: int, seconds: int) -> Seen:
    arguments = ("--ws-rate", str(per_s / sessions), "--ws-warmup", str(WARMUP_S))
    with measured(port, sessions, *arguments) as process:
        settled = len(process.wait_until_up(sessions)) + WARMUP_S
        before, after = process.progress(settled), process.progress(settled + seconds)
        process.stop()
        evidence = read_run(process.run)
    cpu_us, _ = after.cost_since(before)
    return Seen(
        cpu_us, evidence.percentiles_us("service", QUANTILES), evidence.percentiles_us("send_slip", QUANTILES)
    )


def _bare(port: int, sessions: int, per_s: int, seconds: int) -> Seen:
    command = [sys.executable, "-m", "tests.benchmarks.timed_client"]
    told = subprocess.run(
        [*command, *map(str, (port, sessions, per_s, WARMUP_S, seconds))],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        preexec_fn=pinned(1),
    )
    figures = json.loads(told.stdout)
    return Seen(figures["cpu_us"], dict(zip(QUANTILES, figures["service_us"], strict=True)), {})
