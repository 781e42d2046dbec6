"""A short run of one session with drops, for tests of run directories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from loadtest import histograms
from loadtest.results.data import RunData
from loadtest.results.interval import pack
from loadtest.results.manifest import Manifest
from loadtest.results.writer import RunWriter
from loadtest.session.recorder import Interval, Lifecycle
from loadtest.session.schedule import NS_PER_S
from tests.support.runs import SOUND_GAUGES, interval, manifest, tally

ENDED_AT = "2026-11-23T14:24:35Z"


def lived(second: int, event: str, **fields: Any) -> Lifecycle:
    """Return a lifecycle event of the one session."""
    return Lifecycle(at_ns=second * NS_PER_S, event=event, session="s-1", **fields)


def story(seconds: int = 8) -> list[Interval]:
    """Return the intervals that one process records in a short run."""
    return [
        interval(
            second,
            samples_us={"service": [200 + second, 300, 70_000], "outage": [1_000_000] if second == 6 else []},
            counts={"messaging.sent": 3, "messaging.answered": 3},
            gauges=SOUND_GAUGES,
            errors=[tally("connect", "tcp: refused", at_s=second)],
            lifecycle=[
                lived(second, "attempt", attempt=1),
                lived(second, "dropped", kind="fin", ordinal=second),
                lived(second, "resumed", outage_ns=4_000_000),
            ],
        )
        for second in range(seconds)
    ]


def written(results: Path, of: Manifest | None = None, *, finished: bool = True) -> Path:
    """Write a short run and return its directory."""
    with RunWriter(results, of or manifest()) as writer:
        for one in story():
            writer.append(pack(one))
        if finished:
            writer.finish(ENDED_AT)
    return writer.path


def assert_same(one: RunData, other: RunData) -> None:
    """Assert that the data of two runs is equal except for the manifest."""
    assert one.counts == other.counts
    assert [msgspec.to_builtins(error) for error in one.errors] == [
        msgspec.to_builtins(error) for error in other.errors
    ]
    assert one.histograms.keys() == other.histograms.keys()
    for tag, histogram in one.histograms.items():
        assert histograms.buckets(histogram) == histograms.buckets(other.histograms[tag])
    assert one.seconds == other.seconds
    assert one.attempts_per_s == other.attempts_per_s
    assert one.outages == other.outages
    assert one.length_s == other.length_s
    assert gauges(one) == gauges(other)


def gauges(evidence: RunData) -> dict[tuple[str, int | None], list[float]]:
    """Return a run's gauges in a comparable form."""
    return {
        (name, worker): [*series.at_s, *series.values]
        for name, by_worker in evidence.gauges.items()
        for worker, series in by_worker.items()
    }
