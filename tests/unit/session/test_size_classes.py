"""Round trips by size: each stands in the histogram of its own size too, and one size pays nothing."""

from __future__ import annotations

from loadtest.dialects.base import Reply
from loadtest.report.latency_tables import latency_tables
from loadtest.session.recorder import Recorder
from loadtest.session.size_classes import new_traffic
from loadtest.session.traffic import Traffic
from loadtest.verdict.run import judge
from tests.support.fake_link import MS, dialect_session, session_config
from tests.support.runs import SOUND_GAUGES, gathered, interval, manifest, plan


def size_of(_session: int, sequence: int) -> int:
    """Return a size for each sequence: every third is large."""
    return 1000 if sequence % 3 == 2 else 64


def test_a_round_trip_belongs_to_its_own_size() -> None:
    """Whether the reply names its request by number or comes in order."""
    recorder = Recorder()
    traffic = new_traffic(dialect_session(), session_config(size_of=size_of), recorder)
    for sequence in range(6):
        traffic.due(0, 0)
        traffic.replied(Reply(None if sequence > 2 else sequence), (sequence + 1) * MS, steady=True)
    samples = recorder.swap(MS).samples
    assert list(samples["service/64"]) == [1 * MS, 2 * MS, 4 * MS, 5 * MS]
    assert list(samples["service/1000"]) == [3 * MS, 6 * MS]
    assert sorted([*samples["service/64"], *samples["service/1000"]]) == list(samples["service"])


def test_only_round_trips_of_undisturbed_sessions_count() -> None:
    """As in `service`: not the first after a resume, and no reply to nothing."""
    recorder = Recorder()
    traffic = new_traffic(dialect_session(), session_config(size_of=size_of), recorder)
    traffic.due(0, 0)
    traffic.replied(Reply(7), MS, steady=True)
    traffic.disturbed(MS, resumed=True)
    traffic.replied(Reply(0), MS, steady=True)
    samples = recorder.swap(MS).samples
    assert list(samples["after_resume"]) == [MS]
    assert not samples["service"]
    assert "service/64" not in samples


def test_sessions_of_one_size_have_plain_traffic() -> None:
    """They pay for no class and no histogram."""
    recorder = Recorder()
    traffic = new_traffic(dialect_session(), session_config(), recorder)
    assert type(traffic) is Traffic


def test_sizes_are_shown_beside_the_sum_of_all() -> None:
    """In the evidence of latency and in the reports' table, without the warm-up; other sizes are unknown."""
    samples = {"service": [1000, 9000], "service/64": [1000], "service/1000": [9000], "service/65": [5]}
    early = interval(0, samples_us={"service/64": [7]}, gauges=SOUND_GAUGES)
    run = gathered(
        [early, interval(10, samples_us=samples, gauges=SOUND_GAUGES)],
        manifest(run_plan=plan(message_bytes="64=9,1000=1")),
    )
    round_trips, *_ = latency_tables(run)
    assert [(row[0], row[1], row[-1]) for row in round_trips.rows] == [
        ("from the actual send", "2", "service"),
        ("of these, texts of 64 bytes", "1", "service/64"),
        ("of these, texts of 1,000 bytes", "1", "service/1000"),
    ]
    percentiles = judge(run).latency.evidence.percentiles or {}
    assert percentiles["service/64"]["p50_ms"] == 1.0
    assert percentiles["service/1000"]["samples"] == 1
    assert "service/65" not in run.histograms


def test_sizes_of_a_hostile_plan_are_bounded() -> None:
    """A text that no run wrote names no sizes: it is read as the option is."""
    for hostile in (
        "64=9,x=1",
        "64=9,999999999=1",
        "64=9,-5=1",
        "64=9,64=1",
        ",".join(map(str, range(1, 999))),
    ):
        assert plan(message_bytes=hostile).sizes == ()
    assert plan(message_bytes="1000=1,64=9").sizes == (64, 1000)
    assert plan(message_bytes=64).sizes == ()
