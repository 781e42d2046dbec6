"""Connect rate: a whole Locust process opens many WebSockets at once, on one core."""

import json
from pathlib import Path

from tests.benchmarks.locust_process import measured
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
        process.wait_until_up(sessions)
        cpu_s = process.cpu_s
        at_ns = [
            json.loads(line)["at_ns"] for line in (process.run / "events.jsonl").read_bytes().splitlines()
        ]
    return (max(at_ns) - min(at_ns)) / 1e9, cpu_s
