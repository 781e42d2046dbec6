"""The environment of a run, for its manifest: host, versions, start time in UTC, run id."""

import os
import platform
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from typing import Literal

import psutil

from loadtest.results.manifest import Host, Manifest, Plan, Promises, ServerGauge
from loadtest.statistics.margins import GATES, Gate, margins_of
from loadtest.statistics.time_limits import TimeLimit, stored
from loadtest.transport.http_health import Health

DISTRIBUTION = "loadtest-ws"
"""The package's name on PyPI, where `loadtest` is another project."""

LIBRARIES = (
    "loadtest",
    "locust",
    "gevent",
    "websockets",
    "uvloop",
    "anyio",
    "hdrhistogram",
    "msgspec",
    "numpy",
    "scipy",
)


def new_manifest(
    *,
    revision: str,
    target: str,
    plan: Plan,
    promises: Promises | None = None,
    gates: Sequence[Gate] = GATES,
    allowed_losses: Sequence[str] = (),
    limits: Sequence[TimeLimit] = (),
    cleanup_timeout_s: float | None = None,
    server_gauge: ServerGauge | None = None,
    pushes_per_s: float | None = None,
    subprotocol_optional: bool = False,
    made_by: Literal["locust", "probe"] = "locust",
    locustfile: str | None = None,
    health: Health | None = None,
    started_unix_ns: int | None = None,
) -> Manifest:
    """Return the manifest of a run that is about to start.

    Args:
        revision: version of the server under test.
        target: URL of the server; the manifest removes secrets from it.
        plan: the plan of the run.
        promises: what the run's dialect promises.
        gates: quantiles and margins that latency is judged by.
        allowed_losses: rules for how many connections may be lost.
        limits: limits on the run's times.
        cleanup_timeout_s: seconds after which the server must have closed half-open connections; None for the
            dialect's promise.
        server_gauge: the server's gauge of its connections before the run; None if none was given.
        pushes_per_s: pushes that each session must receive per second, None if none are expected.
        subprotocol_optional: whether a server may select none of the subprotocols offered.
        made_by: what makes the run.
        locustfile: the locustfile as given, None if it is not known.
        health: the health endpoint's response before a probe.
        started_unix_ns: wall clock at the run's start, the zero of all its times; None for now.
    """
    started_unix_ns = time.time_ns() if started_unix_ns is None else started_unix_ns
    return Manifest(
        run_id=secrets.token_hex(4),
        revision=revision,
        target=target,
        started_at=utc_text(started_unix_ns),
        started_unix_ns=started_unix_ns,
        plan=plan,
        promises=promises,
        cleanup_timeout_s=cleanup_timeout_s,
        server_gauge=server_gauge,
        margins=margins_of(gates),
        allowed_losses=tuple(allowed_losses),
        limits=stored(limits),
        pushes_per_s=pushes_per_s,
        subprotocol_optional=subprotocol_optional,
        made_by=made_by,
        locustfile=locustfile,
        health=health,
        versions=versions(),
        host=host(),
    )


def utc_text(unix_ns: int) -> str:
    """Format a Unix time in nanoseconds as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(unix_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def versions() -> dict[str, str]:
    """Return the versions of Python and of `LIBRARIES`, without importing them."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(DISTRIBUTION if name == "loadtest" else name)
        except metadata.PackageNotFoundError:
            continue
    return found


def host() -> Host:
    """Describe this machine."""
    return Host(
        system=platform.system(),
        release=platform.release(),
        machine=platform.machine(),
        cpus=os.cpu_count() or 0,
        memory_mb=psutil.virtual_memory().total // 2**20,
    )
