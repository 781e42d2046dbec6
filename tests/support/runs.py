"""Synthetic plans, manifests, intervals and run data, for tests of results and verdicts."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from loadtest import histograms
from loadtest.results import hlog
from loadtest.results.data import RunData
from loadtest.results.gathering import RunGathering
from loadtest.results.interval import IntervalLine, PackedInterval, pack, second_of
from loadtest.results.manifest import Manifest, Plan
from loadtest.session.recorder import ErrorTally, Interval, Lifecycle
from loadtest.session.schedule import NS_PER_S

PLAN = Plan(
    dialect="emergence",
    path="/ws/{session_id}?thread_id={thread_id}",
    users=5,
    sessions_per_user=20,
    spawn_rate=5.0,
    rate=1.0,
    arrivals="constant",
    in_flight=0,
    message_bytes=64,
    drop_every_s=20.0,
    drops={"close": 1.0, "reset": 1.0},
    backoff="exponential(base=1,factor=2,cap=8,jitter=none,max_attempts=50)",
    reply_timeout_s=10.0,
    open_timeout_s=10.0,
    seed=1,
    warmup_s=5.0,
    duration_s=None,
)


def plan(**changes: Any) -> Plan:
    """Return the usual plan with these fields changed."""
    return msgspec.structs.replace(PLAN, **changes)


def manifest(*, run_plan: Plan = PLAN, **changes: Any) -> Manifest:
    """Return the manifest of a complete run with these fields changed."""
    usual = Manifest(
        run_id="0a1b2c3d",
        revision="v1.0",
        target="wss://staging.example.org",
        started_at="2026-11-23T14:23:35Z",
        started_unix_ns=1_795_443_815_000_000_000,
        ended_at="2026-11-23T14:24:35Z",
        complete=True,
        plan=run_plan,
    )
    return msgspec.structs.replace(usual, **changes)


def interval(
    second: int,
    *,
    seconds: int = 1,
    samples_us: Mapping[str, Iterable[int]] | None = None,
    counts: Mapping[str, int] | None = None,
    lifecycle: Sequence[Lifecycle] = (),
    errors: Sequence[ErrorTally] = (),
    gauges: Mapping[str, float] | None = None,
) -> Interval:
    """Return a process's recording of one second of the run, or of several; sessions are up all the time."""
    recorded = Interval(start_ns=second * NS_PER_S, stop_ns=(second + seconds) * NS_PER_S)
    for tag, values_us in (samples_us or {}).items():
        recorded.samples[tag] = array("q", (value_us * 1000 for value_us in values_us))
    recorded.counts = defaultdict(int, counts or {})
    recorded.lifecycle = list(lifecycle)
    recorded.errors = {(tally.item, tally.error): tally for tally in errors}
    recorded.gauges = dict(gauges or {})
    if "sessions_up" in recorded.gauges:
        recorded.gauges.setdefault("session_s", recorded.gauges["sessions_up"] * seconds)
    return recorded


def gathered(intervals: Iterable[Interval | PackedInterval], of: Manifest | None = None) -> RunData:
    """Return the run data of these intervals, as if they had been written and read."""
    gathering = RunGathering(of or manifest())
    packed = [one if isinstance(one, PackedInterval) else pack(one) for one in intervals]
    for one in packed:
        gathering.interval(
            IntervalLine(
                start_ns=one.start_ns,
                stop_ns=one.stop_ns,
                worker=one.worker,
                user=one.user,
                counts=one.counts,
                errors=one.errors,
                gauges=one.gauges,
            )
        )
        for record in one.lifecycle:
            gathering.event(record)
    decoder = histograms.Decoder()
    for one in packed:
        for tag, text in one.histograms.items():
            tag = hlog.tag_of(one.user, tag)
            gathering.histogram(tag, second_of(one.start_ns), decoder.counted(text))
    return gathering.data()


SOUND_COUNTS = {
    "connect.attempts": 100,
    "connect.established": 100,
    "messaging.planned": 5000,
    "messaging.sent": 5000,
    "messaging.answered": 4890,
    "messaging.lost_in_outage": 100,
    "messaging.unfinished": 10,
    "messaging.pushes": 50,
    "reconnect.outages": 200,
    "reconnect.resumed": 190,
    "reconnect.attempts": 200,
    "reconnect.cut_short": 10,
    "persistence.checked": 190,
    "persistence.histories": 190,
    "persistence.acknowledged": 3000,
    "drops.close": 100,
    "drops.reset": 100,
}
"""Counts of a run against a correct server."""

SOUND_GAUGES = {"loop_lag_max_ms": 0.5, "cpu_ratio": 0.3, "sessions_up": 100.0}


def sound(
    changes: Mapping[str, int] | None = None,
    *,
    of: Manifest | None = None,
    errors: Sequence[ErrorTally] = (),
    without: Iterable[str] = (),
) -> RunData:
    """Return the data of a sound run, with counts changed or whole items left out."""
    changed = {**SOUND_COUNTS, **(changes or {})}
    kept = {name: count for name, count in changed.items() if name.split(".")[0] not in set(without)}
    first = interval(0, seconds=30, counts=kept, errors=errors, gauges=SOUND_GAUGES)
    rest = [interval(second, gauges=SOUND_GAUGES) for second in range(30, 60)]
    return gathered([first, *rest], of)


def tally(item: str, error: str, count: int = 1, *, at_s: float = 1.0, session: str = "s-1") -> ErrorTally:
    """Return an error that occurred this often."""
    return ErrorTally(
        item=item,
        error=error,
        count=count,
        session=session,
        at_ns=int(at_s * NS_PER_S),
        example="an example",
    )
