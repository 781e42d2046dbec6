"""What a run's progress says."""

from __future__ import annotations

import pytest

from loadtest.metrics.live_run import LiveRun
from loadtest.results.interval import pack
from tests.support.runs import interval

SENT = {"messaging.sent": 100}


def test_percentiles_are_told_as_far_as_their_samples_carry_them() -> None:
    """p99 from 100 replies on, of the last seconds; of outages, all since the start."""
    live = LiveRun([None])
    live.append(pack(interval(0, samples_us={"service": range(1000, 1050), "outage": [2_000_000]})))
    few = live.progress(1.0)
    assert few.p50_us is not None
    assert few.p90_us is not None
    assert few.p99_us is None
    assert few.outage_p50_us is None
    for second in range(1, 10):
        live.append(pack(interval(second, samples_us={"service": [900] * 20, "outage": [1_000_000] * 3})))
    many = live.progress(10.0)
    assert many.p50_us == many.p99_us == 900
    assert (many.outage_p50_us or 0) // 10_000 == 100
    assert (many.outage_p95_us or 0) // 10_000 == 100


def test_drops_and_failed_attempts_are_summed_over_all() -> None:
    """Processes and user classes; the most frequent kind first."""
    live = LiveRun(["A", "B"])
    counts = {"drops.fin": 1, "drops.close": 2, "connect.failed": 1, "reconnect.failed": 2}
    for user in ("A", "B"):
        live.append(pack(interval(0, counts=counts), user=user))
    now = live.progress(1.0)
    assert list(now.drops_by_kind.items()) == [("close", 4), ("fin", 2)]
    assert (now.drops, now.failed_attempts) == (6, 6)


@pytest.mark.parametrize(
    ("now_s", "per_s"), [(10, 200), (12, 160), (14, 120), (15, 100), (19, 100), (20, 100), (30, 100)]
)
def test_a_worker_that_is_gone_counts_for_the_last_seconds_only(now_s: int, per_s: float) -> None:
    """Two of 100 messages a second, one of which ends after 10 s: its times, too, are soon no longer new."""
    live = LiveRun([None])
    for second in range(now_s):
        live.append(pack(interval(second, counts=SENT, samples_us={"service": [1000] * 40}), worker=1))
        if second < 10:
            live.append(pack(interval(second, counts=SENT, samples_us={"service": [9000] * 40}), worker=2))
    now = live.progress(float(now_s))
    assert now.sent_per_s == pytest.approx(per_s)
    assert ((now.p99_us or 0) > 8000) is (now_s < 15)
