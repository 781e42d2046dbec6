"""Memory of an idle session: a whole Locust process with one session and with many."""

from tests.benchmarks.locust_process import measured

SETTLED = 3
"""Intervals with all sessions up before memory is read."""


def resident_kib(port: int, sessions: int) -> float:
    """Return the resident memory of a process with `sessions` idle sessions, in KiB."""
    with measured(port, sessions, "--ws-rate", "0") as process:
        process.wait_for_interval(len(process.wait_until_up(sessions)) + SETTLED)
        return process.resident_kib


def memory(port: int, *numbers: int) -> dict[str, float]:
    """Return the memory that each session adds, in KiB, at these numbers of sessions."""
    one_kib = resident_kib(port, 1)
    return {"resident memory, KiB, 1 session": one_kib} | {
        f"memory a session, KiB, {sessions:,} idle sessions": (resident_kib(port, sessions) - one_kib)
        / (sessions - 1)
        for sessions in numbers
    }
