"""This tool under measurement: a whole headless Locust process, everything included."""

from pathlib import Path

from loadtest.results.reader import read_run
from tests.benchmarks.locust_process import measured
from tests.benchmarks.work import QUANTILES, Seen, Work

SETTLING = 3
"""Intervals left out after the one in which all sessions were up."""


def arguments(port: int, work: Work) -> tuple[str, ...]:
    """Return Locust's arguments for this work."""
    loop = (
        ("--ws-rate", str(work.rate), "--ws-warmup", str(SETTLING))
        if work.per_s
        else ("--ws-arrivals", "closed")
    )
    return (*loop, *(secure(port, work.ca) if work.ca else ()))


def secure(port: int, ca: Path) -> tuple[str, ...]:
    """Return Locust's arguments for a server with TLS."""
    return ("--host", f"wss://127.0.0.1:{port}", "--ws-tls-ca", str(ca))


def measure(port: int, work: Work) -> Seen:
    """Measure a Locust process with this tool's sessions; times are from its report."""
    with measured(port, work.sessions, *arguments(port, work)) as process:
        settled = len(process.wait_until_up(work.sessions)) + SETTLING
        before, after = process.progress(settled), process.progress(settled + work.seconds)
        cpu_us, per_s = after.cost_since(before)
        if not work.per_s:
            return Seen(cpu_us, per_s)
        process.stop()
        evidence = read_run(process.run)
    slip_us = evidence.percentiles_us("send_slip", QUANTILES)
    service_us = evidence.percentiles_us("service", QUANTILES)
    return Seen(cpu_us, per_s, [slip_us[at] for at in QUANTILES], [service_us[at] for at in QUANTILES])
