"""How fast sessions connect: a whole Locust process opens many WebSockets at once, on one core."""

import json
from pathlib import Path

from tests.benchmarks.locust_process import measured
from tests.benchmarks.ours import secure


def connects(port: int, sessions: int, ca: Path | None = None) -> dict[str, float]:
    """Return connects a second, and the CPU of each beyond that of a process with one session.

    The time runs from the first attempt to the last established, the dialect's handshake included.

    Args:
        port: of the server on this machine.
        sessions: that connect.
        ca: certificates to trust (PEM), which makes it wss.
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
        process.stop()  # events are written later than the intervals that count them
        events = [json.loads(line) for line in (process.run / "events.jsonl").read_bytes().splitlines()]
    began_ns, connected_ns = (
        [event["at_ns"] for event in events if event["event"] == name] for name in ("attempt", "connected")
    )
    assert len(connected_ns) == sessions
    return (max(connected_ns) - min(began_ns)) / 1e9, cpu_s
