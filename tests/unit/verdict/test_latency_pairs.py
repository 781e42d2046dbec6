"""The item latency over pairs of runs."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from functools import cache
from typing import Any

import msgspec
import pytest

from loadtest.report.tables import gates
from loadtest.results.data import RunData
from loadtest.results.origin import Host
from loadtest.ruling import Ruling
from loadtest.verdict.latency import differing_plans, judge_pairs
from loadtest.verdict.timing import Pair, Timing, changes, is_fit, past_run, timing
from tests.support.runs import SOUND_GAUGES, gathered, interval, manifest, plan


@cache
def timed(factor: float, seed: int, *, seconds: int = 20, rate: float = 1.0) -> RunData:
    """Return the evidence of a run with service times around 20 ms, slower by a factor."""
    rng = random.Random(seed)
    intervals = [
        interval(
            second,
            samples_us={"service": [int(rng.lognormvariate(9.9, 0.2) * factor) for _ in range(80)]},
            gauges=SOUND_GAUGES,
        )
        for second in range(5, 5 + seconds)
    ]
    return gathered(intervals, manifest(run_id=f"{factor}-{seed}", run_plan=plan(rate=rate)))


def pair(factor: float = 1.0, seed: int = 0, *, rate: float = 1.0) -> Pair:
    """Return a pair of runs, the candidate slower by a factor."""
    return timing(timed(1.0, 2 * seed, rate=rate)), timing(timed(factor, 2 * seed + 1, rate=rate))


def pairs(number: int, factor: float = 1.0) -> list[Pair]:
    """Return so many pairs."""
    return [pair(factor, seed) for seed in range(number)]


# Latency over pairs.


def test_pairs_are_judged_by_their_spread() -> None:
    """Slower fails, equal passes, at four pairs that are looked at once."""
    slower, equal = judge_pairs(pairs(4, 1.3)), judge_pairs(pairs(4))
    assert slower.verdict is Ruling.FAIL
    assert slower.summary.startswith("worse: service p50 +")
    assert equal.verdict is Ruling.PASS
    assert [one.pair for one in equal.evidence.runs or ()] == [1, 2, 3, 4]
    assert any(one.startswith("outage p95: ") for one in equal.evidence.left_out or ())
    assert (slower.evidence.duel_command, equal.evidence.duel_command) == (None, None)


def test_an_early_look_asks_for_more() -> None:
    """What four pairs show when they are all, they do not yet show as the first look of twelve."""
    at_once, *_ = gates(judge_pairs(pairs(4, 1.3)))
    early, *_ = gates(judge_pairs(pairs(4, 1.3), looks=(4, 8, 12)))
    assert early.low_ratio is not None
    assert at_once.low_ratio is not None
    assert at_once.high_ratio is not None
    assert early.high_ratio is not None
    assert early.low_ratio < at_once.low_ratio < at_once.high_ratio < early.high_ratio
    assert early.change_ratio == at_once.change_ratio


def test_pairs_of_unlike_plans_are_not_judged() -> None:
    """One run among many is enough, whichever it is; the field is named."""
    mixed = [*pairs(3), (pair()[0], pair(rate=2.0)[1])]
    assert differing_plans([(before.manifest, after.manifest) for before, after in mixed]) == ["rate"]
    item = judge_pairs(mixed)
    assert item.verdict is Ruling.INCONCLUSIVE
    assert "a different plan: --ws-rate 1 → 1 or 2. " in item.summary


def test_a_run_that_lost_a_worker_does_not_count() -> None:
    """What that worker saw might have been slower."""
    before, after = pair(9.0)
    lost = msgspec.structs.replace(after.manifest, missing_workers=[1])
    spoiled = (before, timing(replaced(timed(9.0, 1), lost)))
    assert not is_fit(spoiled)
    item = judge_pairs([*pairs(4), spoiled])
    assert item.verdict is Ruling.PASS
    assert item.evidence.spoiled == ["pair 5, candidate: worker 1 was lost before it delivered all its data"]
    assert judge_pairs([spoiled]).verdict is Ruling.INCONCLUSIVE


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"complete": False}, "the run did not finish"),
        ({"complete": False, "failure": "OSError: full"}, "the tool itself failed before the run's end"),
    ],
)
def test_a_run_that_was_not_made_to_its_end_does_not_count(how: dict[str, Any], said: str) -> None:
    """Among several, and as the only one."""
    before, after = pair()
    spoiled = (before, timing(replaced(timed(1.0, 1), msgspec.structs.replace(after.manifest, **how))))
    assert judge_pairs([*pairs(4), spoiled]).evidence.spoiled == [f"pair 5, candidate: {said}"]
    alone = judge_pairs([spoiled])
    assert (alone.verdict, alone.summary.endswith(said)) == (Ruling.INCONCLUSIVE, True)


def test_a_run_that_the_tool_ended_early_does_not_count() -> None:
    """Nothing is concluded where all runs were, as slow as they may be."""
    before, after = pair()
    early = msgspec.structs.replace(after.manifest, ended_early="no session left")
    short = (before, timing(replaced(timed(1.0, 1), early)))
    said = "the run was ended early: no session left"
    assert not is_fit(short)
    assert judge_pairs([*pairs(4), short]).evidence.spoiled == [f"pair 5, candidate: {said}"]
    assert judge_pairs(pairs(5)).verdict is Ruling.PASS
    for factor in (1.0, 3.0):
        alone = judge_pairs([(before, timing(replaced(timed(factor, 1), early)))] * 5)
        assert alone.verdict is Ruling.INCONCLUSIVE
        assert alone.summary == "latency was not compared: length 25 s → 25 s, cut short"


def test_a_pair_of_unequal_lengths_does_not_count() -> None:
    """Among several; alone it concludes nothing."""
    before, _ = pair()
    uneven = (before, timing(timed(3.0, 1, seconds=60)))
    assert not is_fit(uneven)
    item = judge_pairs([*pairs(4), uneven])
    assert item.verdict is Ruling.PASS
    assert item.evidence.spoiled == ["pair 5, unequal lengths (25 s and 65 s)"]
    assert judge_pairs([uneven] * 4).verdict is Ruling.INCONCLUSIVE


def test_pairs_of_different_machines_conclude_nothing() -> None:
    """One such pair is enough; pairs that were each made on one machine are judged."""
    hosts = [Host(system="Linux", cpus=cpus) for cpus in (2, 8)]
    on = [[(of_host(a, host), of_host(b, host)) for a, b in pairs(4, 3.0)] for host in hosts]
    assert judge_pairs([*on[0], *on[1]]).verdict is Ruling.FAIL
    mixed = judge_pairs([*on[0], (on[0][0][0], on[1][0][1])])
    assert (mixed.verdict, mixed.summary) == (
        Ruling.INCONCLUSIVE,
        "latency was not compared: cores 2 → 2 or 8",
    )


def of_host(run: Timing, host: Host) -> Timing:
    """Return a run made on another machine."""
    return replace(run, manifest=msgspec.structs.replace(run.manifest, host=host))


def test_pairs_of_one_unit_count_as_one() -> None:
    """They share the servers' instances: two pairs an instance are half as many units."""
    many = pairs(8, 1.3)
    each = judge_pairs(many)
    assert gates(judge_pairs(many, units=[0] * 8)) == gates(each)
    shared = judge_pairs(many, units=[1, 1, 2, 2, 3, 3, 4, 4])
    assert (shared.evidence.pairs, shared.evidence.units) == (8, 4)
    early = judge_pairs(many, units=[1, 1, 2, 2, 3, 3, 4, 4], looks=(4, 6))
    levels = [item.evidence.levels for item in (early, judge_pairs(many[:4], looks=(4, 6)))]
    assert len({one and one.pass_ratio for one in levels}) == 1
    assert gates(shared)[0].low_ratio != gates(each)[0].low_ratio


def replaced(evidence: RunData, manifest: object) -> RunData:
    """Return the evidence with another manifest."""
    fields = {name: getattr(evidence, name) for name in RunData.__slots__}
    return RunData(**fields | {"manifest": manifest})


def test_a_change_without_samples_is_unknown() -> None:
    """None, never a number."""
    found = changes(pair(1.3))
    assert found["service p50"] == pytest.approx(0.3, abs=0.05)
    assert found["outage p95"] is None


# Can it tell?


def test_a_run_is_a_part_of_the_history_by_what_it_can_tell() -> None:
    """Its day, and the value of each gate that it has enough samples for, as statistics compare them."""
    past = past_run(timing(timed(1.0, 0)))
    assert past.day == "2026-11-23"
    assert past.values["service p50"] == pytest.approx(math.log(20_000), abs=0.05)
    assert "service p99.9" not in past.values


# Without messages.


@cache
def silent(factor: float, seed: int) -> RunData:
    """Return the evidence of a run at rate 0 with drops, whose outages last longer by a factor."""
    rng = random.Random(seed)
    intervals = [
        interval(
            second,
            samples_us={
                tag: [int(rng.lognormvariate(mean, 0.05) * factor) for _ in range(20)]
                for tag, mean in (("outage", 13.8), ("resume", 9.9))
            },
            gauges=SOUND_GAUGES,
        )
        for second in range(5, 25)
    ]
    return gathered(intervals, manifest(run_id=f"{factor}-{seed}", run_plan=plan(rate=0.0)))


def silent_pairs(number: int, factor: float = 1.0) -> list[Pair]:
    """Return so many pairs of runs without messages."""
    return [(timing(silent(1.0, 2 * seed)), timing(silent(factor, 2 * seed + 1))) for seed in range(number)]


def test_runs_without_messages_are_judged_by_their_outages() -> None:
    """Sessions that come back late fail at rate 0 too; the gates on replies are in nobody's way."""
    late, equal = judge_pairs(silent_pairs(4, 1.8)), judge_pairs(silent_pairs(4))
    assert late.verdict is Ruling.FAIL
    assert late.summary.startswith("worse: resume p95 +")
    assert "outage p95 +" in late.summary
    assert equal.verdict is Ruling.PASS
    decisions = {gate.gate: (gate.decision, gate.reason) for gate in gates(equal)}
    assert decisions["service p50"] == (Ruling.NOT_JUDGED, "no messages are planned at rate 0")


def test_runs_without_messages_by_an_overloaded_generator_tell_nothing() -> None:
    """No pair counts: INCONCLUSIVE, as with messages."""
    before, after = silent_pairs(1)[0]
    overloaded = replace(
        after,
        generator=timing(
            gathered([interval(second, gauges={"cpu_ratio": 1.0}) for second in range(5, 40)])
        ).generator,
    )
    assert not is_fit((before, overloaded))
    assert judge_pairs([(before, overloaded)] * 3).verdict is Ruling.INCONCLUSIVE
