"""The item latency: one run against a baseline."""

from __future__ import annotations

import random
from functools import cache

import pytest

from loadtest.results.data import RunData
from loadtest.ruling import Ruling
from loadtest.verdict.evidence import PassedOver
from loadtest.verdict.latency import BaselineSearch
from loadtest.verdict.run import judge
from tests.support.runs import SOUND_GAUGES, gathered, interval, manifest, plan, sound

# latency


@cache
def timed(
    factor: float = 1.0,
    *,
    seed: int = 1,
    seconds: int = 20,
    outages: int = 0,
    revision: str = "v1.0",
    rate: float = 1.0,
) -> RunData:
    """Return the evidence of a run with service times around 20 ms, slower by a factor."""
    rng = random.Random(seed)
    intervals = [
        interval(
            second,
            samples_us={
                "service": [int(rng.lognormvariate(9.9, 0.2) * factor) for _ in range(60)],
                "outage": [int(rng.lognormvariate(14, 0.2) * factor) for _ in range(outages)],
            },
            gauges=SOUND_GAUGES,
        )
        for second in range(5, 5 + seconds)
    ]
    return gathered(intervals, manifest(revision=revision, run_plan=plan(rate=rate)))


def test_without_a_baseline_latency_is_not_judged() -> None:
    """It is measured all the same."""
    item = judge(timed()).item("latency")
    assert item.verdict is Ruling.NOT_JUDGED
    assert item.evidence.percentiles["service"]["samples"] == 1200


def test_latency_without_messages_is_not_judged() -> None:
    """A run at rate 0 is for connections only, whatever baseline there is."""
    silent = manifest(run_plan=plan(rate=0.0))
    assert judge(sound(of=silent), sound(of=silent)).item("latency").verdict is Ruling.NOT_JUDGED


def test_runs_of_unlike_plans_are_inconclusive() -> None:
    """The fields that differ are named."""
    other = timed(revision="v0.9", rate=2.0)
    item = judge(timed(), other).item("latency")
    assert item.verdict is Ruling.INCONCLUSIVE
    assert "they differ in --ws-rate 2 → 1. " in item.summary


def test_a_baseline_made_by_a_saturated_generator_is_inconclusive() -> None:
    """A slow baseline would make anything pass."""
    baseline = gathered([interval(second, gauges={"cpu_ratio": 1.0}) for second in range(5, 40)])
    item = judge(timed(), baseline).item("latency")
    assert item.verdict is Ruling.INCONCLUSIVE
    assert "baseline: the load generator was overloaded: " in item.summary


def test_a_much_slower_run_fails_and_names_its_gates() -> None:
    """Twice as slow is beyond all noise; each gate is told with values, change, interval and margin."""
    item = judge(timed(2.0, seed=2), timed(revision="v0.9")).item("latency")
    assert item.verdict is Ruling.FAIL
    assert "service p50 changed by +98.2 %" in item.summary
    gate = item.evidence.gates[0]
    assert gate.decision is Ruling.FAIL
    assert gate.change_ratio == pytest.approx(1.0, abs=0.05)
    assert gate.low_ratio < gate.change_ratio < gate.high_ratio
    assert gate.margin_ratio == pytest.approx(0.05)
    assert gate.candidate_us == pytest.approx(2 * gate.baseline_us, rel=0.05)
    assert item.evidence.baseline.revision == "v0.9"


def test_a_single_pair_cannot_tell_a_few_percent() -> None:
    """With the noise of runs assumed, 5 % at 20 ms needs more pairs, and the item says so."""
    item = judge(timed(seed=2), timed(revision="v0.9")).item("latency")
    assert item.verdict is Ruling.INCONCLUSIVE
    assert "more interleaved pairs would settle it" in item.summary
    assert item.evidence.gates[0].more_pairs > 0
    assert item.evidence.noise["service p50"].endswith("assumed")


def test_earlier_runs_tell_the_noise_and_settle_it() -> None:
    """Eight runs that agree within a percent let one pair of runs PASS."""
    earlier = (timed(seed=seed, revision="v0.9") for seed in range(3, 11))
    item = judge(timed(seed=2), timed(revision="v0.9"), earlier=earlier).item("latency")
    assert item.verdict is Ruling.PASS
    assert item.evidence.noise["service p50"].endswith("measured over 8 runs")


def test_too_few_outages_leave_their_gate_out() -> None:
    """A short run's outages do not make it inconclusive; the evidence says what was left out."""
    some = judge(timed(2.0, outages=1), timed(outages=1)).item("latency")
    assert [gate.tag for gate in some.evidence.gates] == ["service"] * 3
    assert some.evidence.left_out == ["outage p95: 20 outages, 200 are needed"]
    many = judge(timed(2.0, outages=10), timed(outages=10)).item("latency")
    assert [gate.gate for gate in many.evidence.gates][-1] == "outage p95"
    assert many.evidence.left_out == []


def test_too_few_round_trips_are_inconclusive() -> None:
    """Service gates are never left out."""
    item = judge(timed(seconds=5), timed(seconds=5, revision="v0.9")).item("latency")
    assert item.verdict is Ruling.INCONCLUSIVE
    assert item.summary == (
        "service p50, p90 and p99 cannot be judged, the baseline has 300 service samples, p99 needs 1000: "
        "run 3.3 times as long, or at a higher rate"
    )


def test_a_margin_that_is_a_time_is_told_as_one() -> None:
    """5 % of 0.4 ms is less than 0.2 ms: the summary says so once, the evidence holds both margins."""
    item = judge(timed(0.02 * 1.6, seed=2), timed(0.02, revision="v0.9")).item("latency")
    assert item.summary.endswith(
        "; the margin of service p50, p90 and p99 is 0.2 ms, which is more than 5 %, 10 % and 20 % there"
    )
    gate = item.evidence.gates[0]
    assert (gate.relative_margin_ratio, gate.absolute_margin_us) == (0.05, 200.0)
    assert gate.margin_ratio == pytest.approx(200 / gate.baseline_us)
    assert "the margin of" not in judge(timed(2.0, seed=2), timed()).item("latency").summary


def test_how_a_baseline_was_found_is_evidence() -> None:
    """Where it is and by which rule, what was passed over, and why there is none."""
    search = BaselineSearch(path="results/v0.9/x", rule="a rule", passed_over=[PassedOver(run_id="y")])
    evidence = judge(timed(2.0), timed(revision="v0.9"), search=search).latency.evidence
    assert evidence.baseline is not None
    assert (evidence.baseline.path, evidence.baseline.rule) == ("results/v0.9/x", "a rule")
    assert evidence.passed_over == [PassedOver(run_id="y")]
    none = judge(timed(), search=BaselineSearch(rule="nobody asked")).latency
    assert (none.verdict, none.summary) == (Ruling.NOT_JUDGED, "nobody asked")
    assert judge(timed()).item("latency").summary == "no baseline to compare with"


def test_a_verdict_is_the_same_whenever_it_is_made() -> None:
    """`loadtest report` rebuilds what the run's end said, bootstrap included."""
    assert judge(timed(seed=2), timed()) == judge(timed(seed=2), timed())
