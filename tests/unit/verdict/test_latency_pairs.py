"""The item latency over pairs of runs."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import msgspec
import pytest

from loadtest.report.tables import gates
from loadtest.results.data import RunData
from loadtest.ruling import Ruling
from loadtest.verdict.latency import (
    Pair,
    changes,
    differing_plans,
    is_fit,
    judge_pairs,
    lack,
    noise_floors,
    resolvable,
    timing,
)
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
    assert "service p50 changed by +" in slower.summary
    assert equal.verdict is Ruling.PASS
    assert [one.pair for one in equal.evidence.runs or ()] == [1, 2, 3, 4]
    assert equal.evidence.left_out == ["outage p95: 0 outages, 200 are needed"]


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
    assert "they differ in --ws-rate 1 → 1 or 2. " in item.summary


def test_a_run_that_lost_a_worker_does_not_count() -> None:
    """What that worker saw might have been slower."""
    before, after = pair(9.0)
    lost = msgspec.structs.replace(after.manifest, missing_workers=[1])
    spoiled = (before, timing(replaced(timed(9.0, 1), lost)))
    assert not is_fit(spoiled)
    item = judge_pairs([*pairs(4), spoiled])
    assert item.verdict is Ruling.PASS
    assert item.evidence.spoiled == [
        "pair 5, candidate: worker 1 was lost before it had delivered all its data"
    ]
    assert judge_pairs([spoiled]).verdict is Ruling.INCONCLUSIVE


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"complete": False}, "the run was not ended in good order"),
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
    """It shows a regression, but no absence of one: alone it cannot pass."""
    before, after = pair()
    early = msgspec.structs.replace(after.manifest, ended_early="no session left")
    short = (before, timing(replaced(timed(1.0, 1), early)))
    said = "the run was ended early: no session left"
    assert not is_fit(short)
    assert judge_pairs([*pairs(4), short]).evidence.spoiled == [f"pair 5, candidate: {said}"]
    alone = judge_pairs([short] * 5)
    assert judge_pairs(pairs(5)).verdict is Ruling.PASS
    assert (alone.verdict, alone.summary.startswith(f"{said}; otherwise: ")) == (Ruling.INCONCLUSIVE, True)
    slower = (before, timing(replaced(timed(3.0, 1), early)))
    assert judge_pairs([slower]).verdict is Ruling.FAIL


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


def test_noise_comes_from_enough_earlier_runs() -> None:
    """Eight tell it; seven leave it assumed."""
    runs = [timing(timed(1.0, seed)) for seed in range(8)]
    assert noise_floors(runs)["service p50"].runs == 8
    assert not noise_floors(runs[:7])["service p50"].measured
    assert not noise_floors(())["service p50"].measured


def test_what_cannot_be_judged_has_no_prospect() -> None:
    """Outages are asked about only where there are enough of them."""
    like = timing(timed(1.0, 0))
    for known in (None, like):
        found = resolvable(known, noise_floors(()), pairs=12, duration_s=20)
        assert [str(one.gate) for one in found] == ["service p50", "service p90", "service p99"]
    assert lack(found[0].gate, [like]) == ""
    assert lack(found[2].gate, [like, timing(timed(1.0, 0, seconds=5))]) == "400 round trips, 1000 are needed"
