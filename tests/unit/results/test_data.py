"""Everything summed up: counts, errors, outages, storms and the seconds of a run, within bounds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest import histograms
from loadtest.drops.plan import Storm
from loadtest.results.data import StormRecovery
from loadtest.results.gathering import NAMES_LIMIT, Gathering
from loadtest.results.interval import IntervalLine, pack, second_of
from loadtest.results.per_second import OTHER, ROWS_LIMIT
from loadtest.ruling import Ruling
from loadtest.session.recorder import Lifecycle
from loadtest.session.schedule import NS_PER_S
from loadtest.verdict.run import judge
from tests.support.effort import effort
from tests.support.runs import gathered, interval, manifest, plan, tally

WEEK_S = 7 * 24 * 3600


# Summed up.


@effort(25)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 5_000_000)), min_size=1, max_size=200
    )
)
def test_workers_together_are_what_one_process_would_have_seen(samples: list[tuple[int, int, int]]) -> None:
    """Histograms of any number of workers add up to exactly that of one."""
    apart = [
        pack(interval(second, samples_us={"outage": values}), worker)
        for worker in range(4)
        for second in range(5)
        if (values := [us for by, at, us in samples if (by, at) == (worker, second)])
    ]
    alone = [
        pack(interval(second, samples_us={"outage": [us for _, at, us in samples if at == second]}))
        for second in range(5)
    ]
    several, one = gathered(apart), gathered(alone)
    assert histograms.buckets(several.histograms["outage"]) == histograms.buckets(one.histograms["outage"])
    assert several.percentiles_us("outage") == one.percentiles_us("outage")
    assert [second.buckets for second in several.seconds["outage"]] == [
        second.buckets for second in one.seconds["outage"]
    ]


def test_counts_add_up_and_corrections_count_back() -> None:
    """A late reply takes its loss back in a later interval; the sum is what remains."""
    found = gathered(
        [
            interval(0, counts={"messaging.lost": 2}),
            interval(1, counts={"messaging.lost": -2, "messaging.late": 2}),
        ]
    )
    assert found.counts == {"messaging.late": 2}
    assert found.count("messaging.lost") == 0
    assert found.counts_of("messaging") == {"late": 2}


def test_errors_are_summed_and_keep_their_first() -> None:
    """Of one error in several intervals and workers the earliest session and time stay."""
    found = gathered(
        [
            pack(interval(4, errors=[tally("connect", "refused", 2, at_s=4.5, session="late")]), 1),
            pack(interval(0, errors=[tally("connect", "refused", 3, at_s=0.5, session="early")]), 2),
            interval(5, errors=[tally("connect", "timeout", 9), tally("reconnect", "refused")]),
        ]
    )
    assert [(error.error, error.count) for error in found.errors_of("connect")] == [
        ("timeout", 9),
        ("refused", 5),
    ]
    first = found.errors_of("connect")[1]
    assert (first.session, first.at_ns) == ("early", NS_PER_S // 2)


def test_errors_that_were_taken_back_are_not_seen() -> None:
    """A message without a reply in time that is answered late is one error, whichever interval has it."""
    lost, late = partial(tally, "messaging", "no reply in time"), tally("messaging", "late", 2)
    run = gathered([interval(0, errors=[lost(3)]), interval(1, errors=[lost(-2), late])])
    assert [(one.error, one.count) for one in run.errors] == [("late", 2), ("no reply in time", 1)]
    run = gathered([interval(0, errors=[lost(2)]), interval(1, errors=[lost(-2), late])])
    assert [(one.error, one.count) for one in run.errors] == [("late", 2)]


def test_names_are_bounded() -> None:
    """A file with names without end does not fill the memory; what is over is counted together."""
    line = IntervalLine(
        start_ns=0,
        stop_ns=NS_PER_S,
        counts={f"drops.{number}": 1 for number in range(2 * NAMES_LIMIT)},
        errors=[tally("connect", str(number)) for number in range(2 * NAMES_LIMIT)],
        gauges={str(number): 1.0 for number in range(2 * NAMES_LIMIT)},
    )
    gathering = Gathering(manifest())
    gathering.interval(line)
    for number in range(2 * NAMES_LIMIT):
        gathering.event(Lifecycle(at_ns=1, event="lost", session="s", cause=str(number)))
    found = gathering.data()
    assert len(found.counts) == NAMES_LIMIT + 1
    assert found.count(f"drops.{OTHER}") == NAMES_LIMIT
    assert sum(error.count for error in found.errors) == 2 * NAMES_LIMIT
    assert len(found.errors) == NAMES_LIMIT + 1
    assert len(found.gauges) == NAMES_LIMIT
    assert sum(group.begun for group in found.outages) == 2 * NAMES_LIMIT
    assert len(found.outages) == NAMES_LIMIT + 1


def test_the_tools_own_counts_are_always_kept() -> None:
    """A server with a new close code for each connection does not hide what else it does."""
    gathering = Gathering(manifest())
    codes = {f"losses.{number}": 1 for number in range(2 * NAMES_LIMIT)}
    gathering.interval(IntervalLine(start_ns=0, stop_ns=NS_PER_S, counts=codes))
    late = {"messaging.corrupted": 3, "anything": 2}
    gathering.interval(IntervalLine(start_ns=NS_PER_S, stop_ns=2 * NS_PER_S, counts=late))
    found = gathering.data()
    assert found.count("messaging.corrupted") == 3
    assert sum(found.counts_of("losses").values()) == 2 * NAMES_LIMIT
    assert found.count(OTHER) == 2


def _reconnect_event(event: str, session: str, **fields: object) -> Lifecycle:
    return msgspec.structs.replace(Lifecycle(at_ns=NS_PER_S, event=event, session=session), **fields)


def test_outages_are_told_by_what_began_them() -> None:
    """Each resume belongs to its session's last drop or loss; a slow reader is not cut off."""
    ms = 1_000_000
    found = gathered(
        [
            interval(
                0,
                lifecycle=[
                    _reconnect_event("dropped", "a", kind="reset"),
                    _reconnect_event("lost", "b", cause="1012"),
                    _reconnect_event("dropped", "c", kind="slow_reader"),
                    _reconnect_event("resumed", "b", outage_ns=3000 * ms, wait_ns=1000 * ms, tcp_ns=2 * ms),
                    _reconnect_event("resumed", "a", outage_ns=1000 * ms, wait_ns=1000 * ms, tcp_ns=4 * ms),
                    _reconnect_event("dropped", "a", kind="reset"),
                ],
            )
        ]
    )
    told = {(group.trigger, group.name): group for group in found.outages}
    assert (told["drop", "reset"].begun, told["drop", "reset"].resumed) == (2, 1)
    assert told["loss", "1012"].p50_us == pytest.approx(3_000_000, rel=0.001)
    assert ("drop", "slow_reader") not in told
    assert found.phase_table()["tcp"]["max_ms"] == pytest.approx(4, rel=0.001)


def test_the_herds_peak_is_the_second_with_most_attempts() -> None:
    """Attempts to connect are counted by the second, of all workers together."""
    at_s = [0.1, 0.9, 7.0, 7.2, 7.9]
    attempts = [Lifecycle(at_ns=int(at * NS_PER_S), event="attempt", session="s") for at in at_s]
    found = gathered([interval(0, lifecycle=attempts)])
    assert found.attempts_per_s == {0: 2, 7: 3}
    assert (found.herd_peak, found.herd_peak_s) == (3, 7)
    assert (gathered([]).herd_peak, gathered([]).herd_peak_s) == (0, None)


def test_the_warm_up_is_left_out_of_what_is_compared() -> None:
    """Round trips in the warm-up count nowhere, first connections do; silent seconds are rows too."""
    found = gathered(
        [
            interval(2, samples_us={"service": [9], "connect": [7]}),
            interval(5, samples_us={"service": [10]}),
            interval(7, samples_us={"service": [20, 20], "resume": [3]}),
            interval(8),
        ],
        manifest(run_plan=plan(warmup_s=5.0)),
    )
    assert found.after_warmup("service") == found.compared_rows("service") == [{10: 1}, {}, {20: 2}, {}]
    assert found.compared_rows("connect") == [{}, {}, {7: 1}, *[{}] * 6]
    assert found.compared_rows("resume") == [*[{}] * 7, {3: 1}, {}]
    assert histograms.buckets(found.histograms["service"]) == {10: 1, 20: 2}
    assert found.samples("connect") == 1
    assert [second.start_s for second in found.seconds["service"]] == [2.0, 5.0, 7.0]
    assert found.seconds["service"][2].carried_us([50]) == {50: 20}


def test_a_long_run_is_kept_in_longer_rows() -> None:
    """Memory for the seconds of a run has a limit, and nothing of it is lost to that."""
    length_s = 2 * ROWS_LIMIT + 100
    hours = [interval(second, seconds=100) for second in range(0, length_s, 100)]
    found = gathered([interval(second, samples_us={"outage": [50]}) for second in (0, 1, 4, 7)] + hours)
    assert found.row_s == 4
    assert [(row.start_s, row.samples) for row in found.seconds["outage"]] == [(0.0, 2), (4.0, 2)]
    assert len(found.after_warmup("outage")) == length_s // 4 - 2


@pytest.mark.parametrize(
    ("start_ns", "stop_ns"),
    [(5, 4), (0, WEEK_S * NS_PER_S + 1), (WEEK_S * NS_PER_S + 1, WEEK_S * NS_PER_S + 2), (2**62, 2**62 + 1)],
)
def test_impossible_intervals_are_refused(start_ns: int, stop_ns: int) -> None:
    """Times that no run can have do not become memory."""
    with pytest.raises(ValueError, match="interval"):
        Gathering(manifest()).interval(IntervalLine(start_ns=start_ns, stop_ns=stop_ns))


def test_a_process_that_was_stopped_for_a_night_is_told() -> None:
    """An interval of eight hours is read, with a warning; what was measured before and after it counts."""
    night = interval(60, seconds=8 * 3600, samples_us={"outage": [50]})
    after = interval(60 + 8 * 3600, samples_us={"outage": [70]})
    found = gathered([*(interval(second) for second in range(60)), night, after])
    assert found.samples("outage") == 2
    assert found.length_s == 8 * 3600 + 61
    (warning,) = found.warnings
    assert "over an hour once, 8.0 hours at the longest" in warning
    assert gathered([interval(0, seconds=3600), interval(7200)]).warnings == ()


@pytest.mark.parametrize("seconds", [0, 1, WEEK_S])
def test_intervals_ever_further_away_do_not_become_memory(seconds: int) -> None:
    """Each a week after the one before, for years: rows keep their limit, and one warning tells of all."""
    far = [
        interval(number * (WEEK_S + seconds), seconds=seconds, samples_us={"service": [50]})
        for number in range(1000)
    ]
    found = gathered(far)
    assert len(found.seconds["service"]) <= 1000
    assert ROWS_LIMIT // 2 - 1 <= found.length_s // found.row_s <= ROWS_LIMIT
    assert len(found.after_warmup("service")) <= ROWS_LIMIT
    (warning,) = found.warnings
    assert "168.0 hours at the longest" in warning


def test_attempts_at_no_time_of_the_run_are_left_out() -> None:
    """Those after the last interval are of a run that was killed; days away they are of a damaged file."""
    at_s = (-5, 0, 7, 86_400, 10**300)
    attempts = [Lifecycle(at_ns=at * NS_PER_S, event="attempt", session="s") for at in at_s]
    assert gathered([interval(0, lifecycle=attempts)]).attempts_per_s == {0: 1, 7: 1}


def test_numbers_beyond_reason_are_refused_or_held() -> None:
    """JSON has numbers of any size: a count of no possible run is damage, that of an error is cut off."""
    with pytest.raises(msgspec.ValidationError, match="counts"):
        msgspec.json.decode(
            b'{"start_ns":0,"stop_ns":1,"counts":{"a":1%s}}' % (b"0" * 400), type=IntervalLine
        )
    gathering = Gathering(manifest())
    error = msgspec.structs.replace(tally("connect", "refused", 10**400), at_ns=10**400)
    gathering.interval(IntervalLine(start_ns=0, stop_ns=1, errors=[error]))
    (kept,) = gathering.data().errors_of("connect")
    assert (kept.count, kept.at_ns) == (2**62, 2**62)


def test_intervals_belong_to_the_second_they_start_in() -> None:
    """A timer may be a little early, or as late as it likes."""
    assert [second_of(int(at * NS_PER_S)) for at in (0, 4.995, 5.0, 5.9)] == [0, 5, 5, 5]


def test_percentiles_of_a_second_are_those_of_the_histogram() -> None:
    """A row's percentile is HdrHistogram's own."""
    found = gathered([interval(5, samples_us={"service": range(1, 1001)})])
    row = found.seconds["service"][0]
    percentiles = (0.01, 50, 90, 99, 99.9, 100)
    assert row.carried_us(percentiles) == found.percentiles_us("service", percentiles)


STORMS = (Storm(at_s=5, share_ratio=0.5), Storm(at_s=20, share_ratio=1.0, kind="fin"))


def _event(event: str, session: int, at_s: float, storm: int | None = None) -> Lifecycle:
    return Lifecycle(at_ns=int(at_s * NS_PER_S), event=event, session=f"s-{session}", storm=storm)


def _recoveries(*events: Lifecycle) -> list[StormRecovery]:
    of = manifest(run_plan=plan(storms=STORMS))
    return list(gathered([interval(0, seconds=30, lifecycle=list(events))], of).storms)


def test_shares_are_of_all_that_were_dropped() -> None:
    """Of ten, five were back after 1.4 s, all after 1.9 s; drops of their own do not count."""
    dropped = [_event("dropped", number, 5.0, storm=0) for number in range(10)]
    other = [_event("dropped", 99, 5.0), _event("resumed", 99, 9.0)]
    attempts = [_event("attempt", number, 6.0) for number in range(7)]
    back = [_event("resumed", number, 6 + number / 10) for number in range(10)]
    first, second = _recoveries(*dropped, *other, *attempts, *back)
    assert (first.met, first.back, first.peak_per_s) == (10, 10, 7)
    assert first.back_after_s == pytest.approx({0.5: 1.4, 0.95: 1.9, 1.0: 1.9})
    assert (second.met, second.back, second.peak_per_s) == (0, 0, 0)
    assert second.back_after_s == {0.5: None, 0.95: None, 1.0: None}


def test_who_stays_away_is_not_hidden() -> None:
    """Where one of ten never came back, nobody says when all were."""
    dropped = [_event("dropped", number, 5.0, storm=0) for number in range(10)]
    back = [_event("resumed", number, 6.0) for number in range(9)]
    first, _ = _recoveries(*dropped, *back)
    assert (first.met, first.back) == (10, 9)
    assert first.back_after_s == {0.5: 1.0, 0.95: None, 1.0: None}


def test_a_storm_that_nobody_survives_has_its_herd() -> None:
    """Where some never came back, all attempts until the run's end count, those before the storm do not."""
    dropped = [_event("dropped", number, 5.0, storm=0) for number in range(3)]
    at_s = [4.0, 4.1, 4.2, 4.3, 6.0, 25.0, 25.1]
    first, _ = _recoveries(*dropped, *(_event("attempt", 0, at) for at in at_s))
    assert (first.met, first.back, first.peak_per_s) == (3, 0, 2)


def test_slow_readers_are_never_away() -> None:
    """A kind that keeps the connection has nobody to wait for; what ends later is another outage."""
    of = manifest(run_plan=plan(storms=(Storm(at_s=5, share_ratio=1.0, kind="slow_reader"),)))
    events = [
        _event("dropped", 0, 5.0, storm=0),
        _event("dropped", 0, 9.0),
        _event("attempt", 0, 10.0),
        _event("resumed", 0, 10.0),
    ]
    (one,) = gathered([interval(0, seconds=30, lifecycle=events)], of).storms
    assert (one.met, one.back, one.peak_per_s, one.disconnects) == (1, 0, 0, False)
    assert set(one.back_after_s.values()) == {None}


@pytest.mark.parametrize(("at_ns", "after_s"), [(-1, 0.0), (4 * NS_PER_S, 0.0), (10**400, (2**62) / 1e9 - 5)])
def test_times_that_cannot_be_are_held_within_reason(at_ns: int, after_s: float) -> None:
    """A file may say that a session came back before it went, or at no time that a number can hold."""
    back = Lifecycle(at_ns=at_ns, event="resumed", session="s-0")
    first, _ = _recoveries(_event("dropped", 0, 5.0, storm=0), back)
    assert first.back_after_s[1.0] == pytest.approx(after_s)


@pytest.mark.parametrize("storm", [-1, 2, 2**40])
def test_an_unplanned_storm_in_the_file_is_passed_over(storm: int) -> None:
    """A file may hold anything; a number that the plan does not have belongs to nothing."""
    assert [one.met for one in _recoveries(_event("dropped", 0, 5.0, storm=storm))] == [0, 0]


def test_reconnect_tells_of_every_storm() -> None:
    """The evidence has a row a storm; one that met nobody leaves the item inconclusive."""
    counts = {"reconnect.outages": 20, "reconnect.resumed": 20, "drops.reset": 10, "drops.fin": 10}
    events = [
        _event(event, number, at_s + (event == "resumed"), storm=storm if event == "dropped" else None)
        for storm, at_s in enumerate((5.0, 20.0))
        for event in ("dropped", "resumed")
        for number in range(10)
    ]
    of = manifest(run_plan=plan(storms=STORMS))
    item = judge(gathered([interval(0, seconds=30, counts=counts, lifecycle=events)], of)).item("reconnect")
    assert item.verdict is Ruling.PASS
    assert "storm at 5 s: 10 dropped, all back after 1 s" in item.summary
    assert [storm.back_p100_s for storm in item.evidence.storms] == [1.0, 1.0]
    once = [msgspec.structs.replace(event, storm=None) if event.storm else event for event in events]
    item = judge(gathered([interval(0, seconds=30, counts=counts, lifecycle=once)], of)).item("reconnect")
    assert item.verdict is Ruling.INCONCLUSIVE
    assert f"the storm {STORMS[1]} hit no session" in item.summary
    assert "drop at least one of 100" in item.summary


@pytest.mark.parametrize(
    ("kinds", "back_s", "worst"),
    [
        (("reset",), (1.0,), "5 s: 10 dropped, all back after 1 s"),
        (("reset", "fin"), (1.0, 2.0), "15 s: 10 dropped, all back after 2 s, the worst of 2 storms"),
        (
            ("reset", "fin", "reset"),
            (1.0, None, 2.0),
            "15 s: 10 dropped, 0 back by the run's end, the worst of 3 storms",
        ),
        (
            ("slow_reader", "reset"),
            (None, 1.0),
            "15 s: 10 dropped, all back after 1 s, the worst of 2 storms",
        ),
        (("slow_reader",), (None,), "5 s: 10 disturbed"),
    ],
)
def test_the_summary_tells_the_worst_storm(
    kinds: Sequence[str], back_s: Sequence[float | None], worst: str
) -> None:
    """That after which it took the longest until all were back; a run may have a hundred."""
    storms = tuple(Storm(at_s=5.0 + 10 * n, share_ratio=0.5, kind=kind) for n, kind in enumerate(kinds))
    events = [
        event
        for n, after_s in enumerate(back_s)
        for session in range(10)
        for event in (
            _event("dropped", session, 5.0 + 10 * n, storm=n),
            *([_event("resumed", session, 5.0 + 10 * n + after_s)] if after_s else []),
        )
    ]
    counts = {"reconnect.outages": 20, "reconnect.resumed": 20}
    of = manifest(run_plan=plan(storms=storms))
    item = judge(gathered([interval(0, seconds=60, counts=counts, lifecycle=events)], of)).item("reconnect")
    assert item.verdict is Ruling.PASS
    assert item.summary == f"20 of 20 outages resumed; storm at {worst}"
