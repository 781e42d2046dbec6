"""Connect rate: a whole Locust process opens many WebSockets at once, on one core."""

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks.locust_process import Measured, measured
from tests.benchmarks.ours import secure


def connects(port: int, sessions: int, ca: Path | None = None) -> dict[str, float]:
    """Return connects per second, and CPU per connect beyond that of a process with one session.

    The time runs from the first attempt to the last established, the dialect's handshake included.

    Args:
        port: port of the server on this machine.
        sessions: number of sessions.
        ca: certificates to trust (PEM), for wss; None for ws.
    """
    arguments = () if ca is None else secure(port, ca)
    _, start_s = _connecting(port, 1, *arguments)
    took_s, cpu_s = _connecting(port, sessions, *arguments)
    what = f"{sessions:,} sessions{'' if ca is None else ', wss'}"
    return {
        f"connects a second, {what}": sessions / took_s,
        f"CPU a connect, ms, {what}": (cpu_s - start_s) * 1000 / sessions,
    }


def _connecting(port: int, sessions: int, *arguments: str) -> tuple[float, float]:
    """Return the seconds from the first attempt to the last session up, and the CPU seconds until then."""
    with measured(port, sessions, "--ws-rate", "0", *arguments) as process:
        intervals = len(process.wait_until_up(sessions))
        cpu_s = process.cpu_s
        at_ns = _events_ns(process)
        while len(at_ns["connected"]) < sessions:  # known a second later: a session has to work first
            intervals = len(process.wait_for_interval(intervals))
            at_ns = _events_ns(process)
    return (max(at_ns["connected"]) - min(at_ns["attempt"])) / 1e9, cpu_s


def _events_ns(process: Measured) -> Mapping[str, list[int]]:
    """Return when events were, by kind."""
    at_ns = defaultdict(list)
    for line in (process.run / "events.jsonl").read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):
            event = json.loads(line)
            at_ns[event["event"]].append(event["at_ns"])
    return at_ns
