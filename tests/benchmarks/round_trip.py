"""CPU of a round trip, and round trips a second: a whole headless Locust process beside other clients.

Echo of a 64-byte JSON text, closed loop, client and server each pinned to a core of their own where there
are two. The process's CPU includes everything: Locust, recording, writing the run. The other clients record
nothing, but for websocket-client on Locust, which tells Locust of each message.
"""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping

from tests.benchmarks.locust_process import HERE, measured, pinned

SETTLING = 3
"""Intervals left out after the one in which all sessions were up."""

PEERS: Mapping[str, tuple[str, str]] = {
    "websocket-client on Locust": ("websocket", ""),
    "websockets, sans-I/O": ("websockets", "sans_io"),
    "websockets, asyncio": ("websockets", "websockets"),
    "aiohttp": ("aiohttp", "aiohttp"),
    "picows": ("picows", "picows"),
}
"""Who is compared with: the module that must be installed, and the name in clients.py."""


def ours(port: int, sessions: int, seconds: int) -> dict[str, float]:
    """Measure a whole Locust process with this tool's sessions."""
    with measured(port, sessions, "--ws-arrivals", "closed") as process:
        settled = len(process.wait_until_up(sessions)) + SETTLING
        before, after = process.progress(settled), process.progress(settled + seconds)
    return _figures(sessions, *after.cost_since(before))


def peer(port: int, name: str, sessions: int, seconds: int) -> dict[str, float]:
    """Measure another client on the same work."""
    _, client = PEERS[name]
    numbers = (str(port), str(sessions), str(seconds))
    command = [sys.executable, str(HERE / "clients.py"), client, *numbers] if client else _locust(*numbers)
    told = subprocess.run(
        command,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "BENCHMARK_SECONDS": str(seconds)},
        preexec_fn=pinned(1),
    )
    figures = json.loads(told.stdout)
    return _figures(sessions, figures["cpu_us"], figures["per_s"])


def _locust(port: str, sessions: str, _seconds: str) -> list[str]:
    return [
        *(sys.executable, "-m", "locust", "-f", str(HERE / "websocket_client_user.py"), "--headless"),
        *("-u", sessions, "-r", sessions, "--only-summary", "--host", f"ws://127.0.0.1:{port}"),
    ]


def _figures(sessions: int, cpu_us: float, per_s: float) -> dict[str, float]:
    return {
        f"CPU a round trip, µs, {sessions:,} sessions": cpu_us,
        f"round trips a second, {sessions:,} sessions": per_s,
    }


def missing() -> list[str]:
    """Return the peers that cannot be measured because their library is not installed."""
    return [name for name, (library, _) in PEERS.items() if importlib.util.find_spec(library) is None]
