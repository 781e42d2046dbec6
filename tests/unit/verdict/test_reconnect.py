"""The item reconnect: its rule from both sides, with drops, storms and without."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from loadtest.drops.plan import Storm
from loadtest.ruling import Ruling
from loadtest.session.recorder import Lifecycle
from loadtest.session.schedule import NS_PER_S
from loadtest.verdict.run import judge
from tests.support.rulings import NO_DROPS, ruling, told
from tests.support.runs import SOUND_COUNTS, SOUND_GAUGES, gathered, interval, manifest, plan, sound

# reconnect


@pytest.mark.parametrize("name", ["gave_up", "forbidden", "overdue"])
def test_one_session_that_stays_away_fails(name: str) -> None:
    """Not one outage may end badly."""
    assert ruling("reconnect", sound({f"reconnect.{name}": 1})) is Ruling.FAIL


def test_a_living_server_may_refuse_one_attempt_in_a_hundred() -> None:
    """Attempts that find nobody are the outage's; the others are the server's."""
    assert ruling("reconnect", sound({"reconnect.failed": 2})) is Ruling.PASS
    assert ruling("reconnect", sound({"reconnect.failed": 3})) is Ruling.FAIL
    away = replace(sound({"reconnect.failed": 150}), explained_by_losses={"reconnect": 150})
    assert ruling("reconnect", away) is Ruling.PASS
    nobody = sound({"reconnect.failed": 150, "reconnect.unreachable": 150})
    assert ruling("reconnect", nobody) is Ruling.FAIL, "no session was lost: the server was there"


def test_what_went_down_with_other_connections_is_no_refusal() -> None:
    """A server that is killed fails `stability`, not also the attempts that had just succeeded."""
    failed = sound({"reconnect.failed": 9})
    assert ruling("reconnect", failed) is Ruling.FAIL
    assert ruling("reconnect", replace(failed, explained_by_losses={"reconnect": 8})) is Ruling.PASS
    assert ruling("reconnect", replace(failed, explained_by_losses={"connect": 8})) is Ruling.FAIL


def test_outages_without_an_end_are_inconclusive() -> None:
    """A failed attempt just before the end tells neither way."""
    assert ruling("reconnect", sound({"reconnect.unresolved": 1})) is Ruling.INCONCLUSIVE


def test_few_resumes_are_inconclusive_where_drops_were_planned() -> None:
    """Ten are the least; a loss or two in a run without drops are judged as they are."""
    few = {"reconnect.outages": 9, "reconnect.resumed": 9, "reconnect.attempts": 9, "reconnect.cut_short": 0}
    assert ruling("reconnect", sound({**few})) is Ruling.INCONCLUSIVE
    assert ruling("reconnect", sound({**few}, of=NO_DROPS)) is Ruling.PASS


SLOW = {"drops": {"slow_reader": 1.0, "close": 0.0}}


STORM = Storm(at_s=30, share_ratio=0.5)


SLOW_STORM = Storm(at_s=30, share_ratio=0.5, kind="slow_reader")


@pytest.mark.parametrize(
    ("changes", "own", "outages"),
    [
        ({}, True, True),
        (SLOW, False, False),
        (SLOW | {"storms": (SLOW_STORM,)}, False, False),
        ({"drop_every_s": 0.0, "storms": (SLOW_STORM,)}, False, False),
        ({"drop_every_s": 0.0, "storms": (SLOW_STORM, STORM)}, False, True),
        ({"drops": {"somebodys_own": 1.0}}, True, True),
    ],
)
def test_outages_are_planned_by_drops_that_disconnect(
    changes: dict[str, Any], own: bool, outages: bool
) -> None:
    """A slow reader stays connected; a kind that this process does not know is taken to disconnect."""
    of = plan(**changes)
    assert (of.drops_planned, of.drops_disconnect, of.outages_planned) == (True, own, outages)


@pytest.mark.parametrize("storms", [(), (SLOW_STORM,)])
def test_a_plan_without_disconnects_can_pass(storms: tuple[Storm, ...]) -> None:
    """Of slow readers nobody has to come back; who is lost all the same is judged."""
    of = manifest(run_plan=plan(**SLOW, storms=storms))
    met = Lifecycle(at_ns=30 * NS_PER_S, event="dropped", session="s-0", kind="slow_reader", storm=0)
    counts = {name: count for name, count in SOUND_COUNTS.items() if name[:4] in ("conn", "mess")}
    calm = interval(0, seconds=60, counts=counts, gauges=SOUND_GAUGES, lifecycle=[met])
    verdict = judge(gathered([calm], of))
    assert verdict.item("reconnect").verdict is verdict.item("persistence").verdict is Ruling.NOT_JUDGED
    assert verdict.verdict is Ruling.PASS
    lost = interval(30, counts={"reconnect.outages": 2, "reconnect.resumed": 1, "reconnect.gave_up": 1})
    assert ruling("reconnect", gathered([calm, lost], of)) is Ruling.FAIL
    lost = interval(30, counts={"reconnect.outages": 2, "reconnect.resumed": 2})
    assert ruling("reconnect", gathered([calm, lost], of)) is Ruling.PASS


def test_a_storm_of_slow_readers_that_met_nobody_is_inconclusive() -> None:
    """What was planned did not happen; a killed run may not have come to it."""
    storm = plan(drop_every_s=0.0, storms=(SLOW_STORM,))
    evidence = sound(of=manifest(run_plan=storm), without=["reconnect", "persistence", "drops"])
    assert ruling("reconnect", evidence) is Ruling.INCONCLUSIVE
    assert "drop at least one of 100" in told("reconnect", evidence)
    killed = manifest(run_plan=storm, complete=False)
    evidence = sound(of=killed, without=["reconnect", "persistence", "drops"])
    assert ruling("reconnect", evidence) is Ruling.NOT_JUDGED


def test_few_outages_are_told_what_makes_more() -> None:
    """A longer run has more drops, but no more storms."""
    few = {"reconnect.outages": 9, "reconnect.resumed": 9, "reconnect.cut_short": 0, "persistence.checked": 9}
    met = [Lifecycle(at_ns=30 * NS_PER_S, event="dropped", session="s-0", storm=0)]
    counts = interval(0, seconds=60, counts={**SOUND_COUNTS, **few}, gauges=SOUND_GAUGES, lifecycle=met)
    storm = gathered([counts], manifest(run_plan=plan(drop_every_s=0.0, storms=(STORM,))))
    drops = gathered([counts], manifest(run_plan=plan(storms=(STORM,))))
    for item in ("reconnect", "persistence"):
        assert ruling(item, storm) is ruling(item, drops) is Ruling.INCONCLUSIVE
        assert told(item, storm).endswith("needed: use more sessions, or more or larger storms")
        assert told(item, drops).endswith("needed: run longer, use more sessions, or drop more often")


def test_no_drops_and_no_outages_are_not_judged() -> None:
    """Nothing was to be seen."""
    evidence = sound(of=NO_DROPS, without=["reconnect", "persistence", "drops"])
    assert ruling("reconnect", evidence) is Ruling.NOT_JUDGED
    assert ruling("persistence", evidence) is Ruling.NOT_JUDGED


def test_a_policy_of_not_coming_back_is_not_judged() -> None:
    """Sessions that were told to stay away and do have done nothing wrong."""
    stay_away = manifest(run_plan=plan(backoff="none"))
    counts = {"reconnect.gave_up": 200, "reconnect.resumed": 0}
    evidence = sound(counts, of=stay_away, without=["persistence"])
    assert ruling("reconnect", evidence) is Ruling.NOT_JUDGED
    assert ruling("persistence", evidence) is Ruling.NOT_JUDGED
    assert ruling("reconnect", sound({"reconnect.forbidden": 1}, of=stay_away)) is Ruling.FAIL


def test_outages_are_told_in_numbers() -> None:
    """Resumes, percentiles and herd peak stand in summary and evidence."""
    outages = interval(31, samples_us={"outage": [1_000_000] * 100})
    item = judge(
        gathered(
            [interval(0, seconds=31, counts={"reconnect.outages": 100, "reconnect.resumed": 100}), outages]
        )
    ).item("reconnect")
    assert "100 of 100 outages resumed, p50 1 s, p95 1 s" in item.summary
    assert item.evidence.percentiles["outage"]["samples"] == 100
    assert item.evidence.herd_peak_per_s == 0
