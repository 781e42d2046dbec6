"""The work that every client is measured on, and the results."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

QUANTILES: tuple[float, ...] = (50, 99)

Times = Sequence[float]
"""p50 and p99 in microseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Echoes of a 64-byte text.

    Args:
        sessions: number of sessions to hold.
        seconds: how long to measure.
        per_s: messages per second of all sessions, evenly spread: an open loop. 0 for a closed loop, in which
            a session sends its next message when the last one has come back.
        ca: certificates to trust (PEM), for wss; None for ws.
    """

    sessions: int
    seconds: int
    per_s: int = 0
    ca: Path | None = None

    @property
    def rate(self) -> float:
        """Messages per second of a session, 0 for a closed loop."""
        return self.per_s / self.sessions

    def __str__(self) -> str:
        """Return the work as part of the figures' names."""
        rate = f", {self.per_s:,} messages a second" if self.per_s else ""
        return f"{self.sessions:,} sessions{rate}{', wss' if self.ca else ''}"


@dataclass(frozen=True, slots=True)
class Seen:
    """Results reported by a client; None for times that it does not measure.

    Args:
        cpu_us: CPU of the whole process per message with its reply.
        per_s: messages answered per second.
        slip_us: send slip.
        service_us: time from sending a message to its reply.
    """

    cpu_us: float
    per_s: float
    slip_us: Times | None = None
    service_us: Times | None = None


def figures(work: Work, seen: Seen) -> dict[str, float]:
    """Return the table's figures by name with unit."""
    if not work.per_s:
        return {f"CPU a round trip, µs, {work}": seen.cpu_us, f"round trips a second, {work}": seen.per_s}
    times = {"send slip": seen.slip_us, "service time": seen.service_us}
    return {f"CPU a message, µs, {work}": seen.cpu_us} | {
        f"{what} p{quantile}, ms, {work}": time_us / 1000
        for what, times_us in times.items()
        if times_us is not None
        for quantile, time_us in zip(QUANTILES, times_us, strict=True)
    }
