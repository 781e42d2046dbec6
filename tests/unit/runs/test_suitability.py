"""How suitable a run is as a baseline: what bars it, and what makes it a poor one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from loadtest.results.data import RunData
from loadtest.ruling import Ruling
from loadtest.runs.suitability import NONE_ASKED, NONE_GOOD, barred, suitability
from loadtest.verdict.differences import Difference
from loadtest.verdict.evidence import BaselineEvidence, LatencyEvidence
from loadtest.verdict.gate_evidence import GateResult
from loadtest.verdict.items import AnyItem, ClassVerdict, Item, Verdict
from loadtest.verdict.run import judge
from tests.support.runs import SOUND_GAUGES, gathered, interval, manifest, plan


def run(
    *, a_second: int = 60, seconds: int = 20, counts: Mapping[str, int] | None = None, **of: Any
) -> RunData:
    """Return the evidence of a run with so many round trips a second after its warm-up."""
    gauges = of.pop("gauges", SOUND_GAUGES)
    samples_us = {"service": [400 + number for number in range(a_second)]}
    first = interval(0, counts={"connect.attempts": 9, "connect.established": 9, **(counts or {})})
    rest = [interval(second, samples_us=samples_us, gauges=gauges) for second in range(5, 5 + seconds)]
    return gathered([first, *rest], manifest(**of))


def test_nothing_speaks_against_a_sound_run() -> None:
    """All gated quantiles can be judged, and nothing failed; outages are no matter."""
    found = suitability(run())
    assert (found.sound, any(found.rank), found.problems) == (True, False, [])


@pytest.mark.parametrize(
    ("a_second", "seconds", "unjudged", "lack"),
    [
        (49, 20, 1, "service p99 cannot be judged against it: 980 samples, p99 needs 1,000"),
        (4, 20, 2, "service p99 cannot be judged against it: 80 samples, p99 needs 1,000"),
        (0, 20, 3, "service p99 cannot be judged against it: no samples"),
        (500, 9, 3, "service p99 cannot be judged against it: samples in 9 seconds, 10 are needed"),
    ],
)
def test_too_few_round_trips_speak_against_it(a_second: int, seconds: int, unjudged: int, lack: str) -> None:
    """How many quantiles cannot be judged is counted; the one that needs the most is told."""
    found = suitability(run(a_second=a_second, seconds=seconds))
    assert (found.unjudged, found.lack, found.problems) == (unjudged, lack, [lack])


def test_a_run_that_was_not_fit_to_measure_comes_last() -> None:
    """Nothing can be judged against such a run, nor against one that lost a worker or ended early."""
    saturated = suitability(run(gauges={"loop_lag_max_ms": 0.5, "cpu_ratio": 1.0}))
    assert (saturated.sound, saturated.bar) == (False, "")
    assert saturated.unfit.startswith("the load generator was overloaded: the engine used more than")
    assert saturated.problems == [saturated.unfit]
    assert suitability(run(a_second=4)).rank < saturated.rank
    assert suitability(run(ended_early="no session left")).unfit == "the run was ended early: no session left"
    lost = suitability(run(missing_workers=[2]))
    assert lost.unfit == "worker 2 was lost before it delivered all its data"


def test_failed_items_speak_against_it_less_than_what_cannot_be_judged() -> None:
    """A run that failed connect or messaging is told as such, and is better than one without samples."""
    refused = suitability(run(counts={"connect.failed": 5, "connect.gave_up": 2}))
    assert (refused.sound, refused.bar) == (False, "")
    assert refused.failings[0].startswith("it FAILed connect: 5 of 9 attempts failed")
    lossy = suitability(run(counts={"messaging.sent": 9, "messaging.lost": 2}))
    assert lossy.failings[0].startswith("it FAILed messaging: none of 9 messages was answered")
    assert suitability(run()).rank < refused.rank < suitability(run(a_second=4)).rank


def test_where_no_messages_are_planned_none_are_missed() -> None:
    """Latency is not judged then, whatever the baseline holds."""
    assert suitability(run(a_second=0, run_plan=plan(rate=0.0))).sound


def given(verdict: Ruling, decision: Ruling | None = None, **evidence: Any) -> Verdict:
    """Return a verdict whose item latency was judged so, with a gate that was decided so."""
    gates = [] if decision is None else [GateResult(gate="service p50", decision=decision)]
    found = LatencyEvidence(gates=gates, **evidence)
    latency: AnyItem = Item(item="latency", verdict=verdict, summary="service p50 +271%", evidence=found)
    items = [latency if item.item == "latency" else item for item in judge(run()).items]
    return msgspec.structs.replace(judge(run()), items=items)


COMPARED = BaselineEvidence(revision="v1")
MACHINE = Difference(what="cores", baseline="2", candidate="8")
LENGTH = Difference(what="length", baseline="20 s", candidate="60 s")


@pytest.mark.parametrize(
    ("verdict", "bar"),
    [
        (given(Ruling.PASS, Ruling.PASS, baseline=COMPARED), ""),
        (given(Ruling.NOT_JUDGED), ""),
        (given(Ruling.FAIL, Ruling.FAIL, baseline=COMPARED), "it FAILed latency: service p50 +271%"),
        (given(Ruling.FAIL), "it FAILed latency: service p50 +271%"),
        (
            given(Ruling.INCONCLUSIVE, Ruling.INCONCLUSIVE, baseline=COMPARED),
            "its own latency was INCONCLUSIVE: service p50 +271%",
        ),
        (given(Ruling.INCONCLUSIVE), ""),
        (given(Ruling.INCONCLUSIVE, Ruling.PASS, baseline=COMPARED), ""),
        (given(Ruling.INCONCLUSIVE, Ruling.PASS, baseline=COMPARED, unlike=[MACHINE]), ""),
        (
            given(Ruling.INCONCLUSIVE, Ruling.PASS, baseline=COMPARED, unlike=[MACHINE, LENGTH]),
            "its own latency was INCONCLUSIVE: service p50 +271%",
        ),
        (given(Ruling.INCONCLUSIVE, rule=NONE_GOOD), "it had no good baseline itself"),
    ],
    ids=[
        "passed",
        "nothing to compare with",
        "failed",
        "broke a limit",
        "not settled",
        "a limit without samples",
        "a limit without samples, compared",
        "only other machines",
        "another length",
        "no good baseline",
    ],
)
def test_the_latency_of_a_run_bars_it(verdict: Verdict, bar: str) -> None:
    """A regression is never what others are compared with, nor what may be a part of one."""
    assert barred(verdict) == bar
    found = suitability(run(), verdict)
    assert (found.sound, found.bar) == (not bar and not found.uncompared, bar)


def test_a_run_without_a_verdict_is_judged_by_its_data() -> None:
    """It was never compared, as far as anyone knows; a file may lack any item."""
    assert barred(None) == ""
    assert suitability(run(), msgspec.structs.replace(judge(run()), items=[])).sound


def test_a_run_that_nobody_compared_is_a_poor_baseline() -> None:
    """It is no worse than that: where there is none better, it serves."""
    found = suitability(run(), given(Ruling.NOT_JUDGED, rule=NONE_ASKED))
    assert (found.sound, found.bar) == (False, "")
    assert found.problems == ["its own latency was not compared: no comparison was asked for"]
    assert suitability(run()).rank < found.rank


def test_a_run_that_could_not_be_compared_is_a_poor_baseline() -> None:
    """Its baseline was unfit: it is better than that one, and worse than one that was compared."""
    found = suitability(run(), given(Ruling.INCONCLUSIVE, baseline=COMPARED))
    assert (found.sound, found.bar) == (False, "")
    assert found.problems == ["its own latency was not compared: service p50 +271%"]


def test_a_run_that_had_only_runs_of_other_machines_beside_it_is_a_poor_baseline() -> None:
    """A step may hide behind every new machine or library: one that was compared is better."""
    found = suitability(run(), given(Ruling.INCONCLUSIVE, Ruling.PASS, baseline=COMPARED, unlike=[MACHINE]))
    assert (found.sound, found.bar) == (False, "")
    assert found.problems == [
        "its own latency was not compared, as its baseline was made on another machine: cores 2 → 8"
    ]
    assert suitability(run(), given(Ruling.PASS, Ruling.PASS, baseline=COMPARED)).rank < found.rank


def test_one_class_of_a_run_bars_it() -> None:
    """A run of several user classes has gates by class only."""
    of_class = given(Ruling.INCONCLUSIVE, Ruling.INCONCLUSIVE, baseline=COMPARED)
    whole = given(Ruling.INCONCLUSIVE, baseline=COMPARED)
    users = {"Chat": ClassVerdict(items=of_class.items, verdict=Ruling.INCONCLUSIVE)}
    assert barred(msgspec.structs.replace(whole, users=users)).startswith("its own latency was INCONCLUSIVE")
    good = {"Chat": ClassVerdict(items=given(Ruling.PASS, Ruling.PASS).items, verdict=Ruling.PASS)}
    assert barred(msgspec.structs.replace(whole, users=good)) == ""
