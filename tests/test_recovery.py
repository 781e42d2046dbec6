"""How storms went: whom they met, and when so many were back, from the events of a run alone."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from loadtest.drops import Storm
from loadtest.evidence import StormRecovery
from loadtest.recorder import Lifecycle
from loadtest.schedule import NS_PER_S
from loadtest.verdict import Ruling, judge
from tests.support.runs import gathered, interval, manifest, plan

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
    assert "storm at 5 s: 10 dropped, all back after 1.00 s" in item.summary
    assert [row["back_p100_s"] for row in item.evidence["storms"]] == [1.0, 1.0]
    assert {"back_p50_s", "back_p95_s"} <= item.evidence["storms"][0].keys()
    once = [msgspec.structs.replace(event, storm=None) if event.storm else event for event in events]
    item = judge(gathered([interval(0, seconds=30, counts=counts, lifecycle=once)], of)).item("reconnect")
    assert item.verdict is Ruling.INCONCLUSIVE
    assert f"the storm {STORMS[1]} met no session" in item.summary
    assert "or its share of 100 sessions is none" in item.summary


@pytest.mark.parametrize(
    ("kinds", "back_s", "worst"),
    [
        (("reset",), (1.0,), "5 s: 10 dropped, all back after 1.00 s"),
        (("reset", "fin"), (1.0, 2.0), "15 s: 10 dropped, all back after 2.00 s, the worst of 2 storms"),
        (
            ("reset", "fin", "reset"),
            (1.0, None, 2.0),
            "15 s: 10 dropped, 0 back by the run's end, the worst of 3 storms",
        ),
        (
            ("slow_reader", "reset"),
            (None, 1.0),
            "15 s: 10 dropped, all back after 1.00 s, the worst of 2 storms",
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
