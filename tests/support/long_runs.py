"""Runs of any length and size on disk, written in seconds: some seconds of a run, repeated at later times."""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from loadtest.results.environment import utc_text
from loadtest.results.interval import PackedInterval, pack
from loadtest.results.manifest import Manifest
from loadtest.results.writer import RunWriter
from loadtest.session.recorder import Interval, Lifecycle
from loadtest.session.schedule import NS_PER_S
from tests.support.rundirs import KINDS
from tests.support.runs import manifest

MS = 1_000_000
DROP_EVERY_S = 20
"""How often each session is dropped, on average."""


def write_long_run(
    results: Path,
    *,
    seconds: int = 3600,
    sessions: int = 100,
    spikes: Iterable[int] = (),
    of_spike_ms: int = 900,
    different: int = 20,
    of: Manifest | None = None,
    seed: int = 1,
) -> Path:
    """Write a run in which each session sends a message a second; return its directory.

    Each session is dropped every 20 s.

    Args:
        results: folder of run directories.
        seconds: the run's duration.
        sessions: number of sessions.
        spikes: seconds in which one reply takes `of_spike_ms`.
        of_spike_ms: its service time.
        different: number of different seconds.
        of: its manifest; None for the usual one.
        seed: of its random numbers.
    """
    of = of or manifest()
    rng = random.Random(seed)
    usual = [pack(_second(rng, sessions)) for _ in range(different)]
    slow = pack(_second(rng, sessions, slow_ms=of_spike_ms))
    spiked = set(spikes)
    with RunWriter(results, of) as writer:
        for second in range(seconds):
            writer.append(_at(slow if second in spiked else usual[second % different], second))
        writer.finish(utc_text(of.started_unix_ns + seconds * NS_PER_S))
        return writer.path


def _second(rng: random.Random, sessions: int, slow_ms: int = 0) -> Interval:
    interval = Interval(start_ns=0, stop_ns=NS_PER_S)
    service = [int(rng.lognormvariate(-0.8, 0.35) * MS) for _ in range(sessions)]
    if slow_ms:
        service[0] = slow_ms * MS
    interval.samples["service"] = array("q", service)
    interval.samples["response"] = array("q", (ns + rng.randrange(60_000) for ns in service))
    interval.samples["send_slip"] = array("q", (rng.randrange(20_000, 90_000) for _ in service))
    interval.samples["loop_lag"] = array("q", (rng.randrange(20_000, 90_000) for _ in range(20)))
    dropped = rng.sample(range(sessions), sessions // DROP_EVERY_S)
    for number, session in enumerate(dropped):
        interval.lifecycle += _outage(rng, interval, f"s-{session}", KINDS[number % len(KINDS)])
    for name in ("planned", "sent", "answered"):
        interval.counts[f"messaging.{name}"] = sessions
    for name in ("outages", "resumed", "attempts"):
        interval.counts[f"reconnect.{name}"] = len(dropped)
    interval.gauges = {
        "sessions": float(sessions),
        "sessions_up": float(sessions - len(dropped)),
        "session_s": float(sessions - len(dropped)),
        "sessions_in_outage": float(len(dropped)),
        "cpu_ratio": 0.12,
        "loop_lag_max_ms": 0.2,
        "stall_max_ms": 0.1,
    }
    return interval


def _outage(rng: random.Random, interval: Interval, session: str, kind: str) -> Iterator[Lifecycle]:
    at_ns, resume_ns = rng.randrange(NS_PER_S // 4), rng.randrange(1 * MS, 4 * MS)
    wait_ns = NS_PER_S // 2
    outage_ns = wait_ns + 2 * MS + resume_ns
    interval.counts[f"drops.{kind}"] += 1
    interval.samples["outage"].append(outage_ns)
    interval.samples["resume"].append(resume_ns)
    yield Lifecycle(at_ns=at_ns, event="dropped", session=session, kind=kind)
    yield Lifecycle(at_ns=at_ns + wait_ns, event="attempt", session=session, attempt=1)
    yield Lifecycle(
        at_ns=at_ns + outage_ns,
        event="resumed",
        session=session,
        attempt=1,
        outage_ns=outage_ns,
        detect_ns=0,
        wait_ns=wait_ns,
        dns_ns=0,
        tcp_ns=MS,
        tls_ns=0,
        upgrade_ns=MS,
        resume_ns=resume_ns,
    )


def _at(packed: PackedInterval, second: int) -> PackedInterval:
    """Return an interval as one of another second."""
    start_ns = second * NS_PER_S
    events = [msgspec.structs.replace(event, at_ns=event.at_ns + start_ns) for event in packed.lifecycle]
    return msgspec.structs.replace(packed, start_ns=start_ns, stop_ns=start_ns + NS_PER_S, lifecycle=events)
