"""What every client is measured on, and what is seen of it."""

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
        sessions: to hold.
        seconds: to measure.
        per_s: messages of all sessions a second, evenly spread: an open loop. 0 for a closed loop, in which a
            session sends its next message when the last has come back.
        ca: certificates to trust (PEM), which makes it wss; None for ws.
    """

    sessions: int
    seconds: int
    per_s: int = 0
    ca: Path | None = None

    @property
    def rate(self) -> float:
        """Messages of a session a second, 0 for a closed loop."""
        return self.per_s / self.sessions

    def __str__(self) -> str:
        """What figures are called by."""
        rate = f", {self.per_s:,} messages a second" if self.per_s else ""
        return f"{self.sessions:,} sessions{rate}{', wss' if self.ca else ''}"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a client did, by its own account; None for times that it does not take.

    Args:
        cpu_us: of a message with its reply, the whole process.
        per_s: messages answered a second.
        slip_us: how much later than planned messages left.
        service_us: between sending a message and its reply.
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
