"""The item latency: one run against a baseline."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from msgspec import structs

from loadtest.results.data import RunData
from loadtest.results.origin import Host
from loadtest.ruling import Ruling
from loadtest.statistics.margins import GATES
from loadtest.verdict.evidence import PassedOver
from loadtest.verdict.latency import BaselineSearch
from loadtest.verdict.run import judge
from loadtest.verdict.timing import past_run, timing
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


def remade(run: RunData, **changes: Any) -> RunData:
    """Return the data of a run with another manifest."""
    return replace(run, manifest=structs.replace(run.manifest, **changes))


def test_without_a_baseline_latency_is_not_judged() -> None:
    """It is measured all the same."""
    item = judge(timed()).item("latency")
    assert item.verdict is Ruling.NOT_JUDGED
    assert item.evidence.percentiles["service"]["samples"] == 1200


def test_latency_without_messages_or_drops_is_not_judged() -> None:
    """A run at rate 0 that only connects a few times has nothing to compare."""
    silent = manifest(run_plan=plan(rate=0.0))
    item = judge(sound(of=silent), sound(of=silent)).item("latency")
    assert item.verdict is Ruling.NOT_JUDGED
    assert item.summary.startswith("not judged: service p50, p90, ")
    assert "drift and slow replies (no messages are planned at rate 0), connect p95" in item.summary


def test_runs_of_unlike_plans_are_inconclusive() -> None:
    """The fields that differ are named."""
    other = timed(revision="v0.9", rate=2.0)
    item = judge(timed(), other).item("latency")
    assert item.verdict is Ruling.INCONCLUSIVE
    assert "a different plan: --ws-rate 2 → 1. " in item.summary


def test_a_baseline_made_by_a_saturated_generator_is_inconclusive() -> None:
    """A slow baseline would make anything pass."""
    baseline = gathered([interval(second, gauges={"cpu_ratio": 1.0}) for second in range(5, 40)])
    item = judge(timed(), baseline).item("latency")
    assert item.verdict is Ruling.INCONCLUSIVE
    assert "baseline: the load generator was overloaded: " in item.summary


def test_a_much_slower_run_fails_and_names_its_gates() -> None:
    """Twice as slow is beyond all noise; each gate is told with values, change, bounds and margin."""
    item = judge(timed(2.0, seed=2), timed(revision="v0.9")).item("latency")
    assert item.verdict is Ruling.FAIL
    assert item.summary.startswith("worse: service p50 +98.2% (")
    gate = item.evidence.gates[0]
    assert gate.decision is Ruling.FAIL
    assert gate.change_ratio == pytest.approx(1.0, abs=0.05)
    assert gate.low_ratio < gate.change_ratio < gate.high_ratio
    assert gate.margin_ratio == pytest.approx(0.05)
    assert gate.candidate_us == pytest.approx(2 * gate.baseline_us, rel=0.05)
    assert item.evidence.baseline.revision == "v0.9"


def test_a_single_pair_cannot_tell_a_few_percent() -> None:
    """With the noise of runs assumed, 5% at 20 ms needs more pairs; the item says how to get them."""
    item = judge(timed(seed=2), timed(revision="v0.9")).item("latency")
    assert item.verdict is Ruling.INCONCLUSIVE
    assert item.summary.startswith("unclear: service p50 ")
    assert "more pairs would settle it" in item.summary
    assert item.evidence.gates[0].more_pairs > 0
    assert item.evidence.noise["service p50"] == "5%, assumed"
    assert item.evidence.duel_command.startswith("loadtest duel --a-cmd 'COMMAND THAT STARTS v0.9' ")
    assert item.evidence.suspect is None


def test_a_slower_run_is_suspect_while_the_noise_is_assumed() -> None:
    """It may be noise or the server: neither PASS nor FAIL, and the command of a duel tells."""
    item = judge(timed(1.15, seed=2), timed(revision="v0.9")).item("latency")
    assert item.verdict is Ruling.INCONCLUSIVE
    assert item.summary.startswith("suspect: service p50 +13.9% (")
    assert ": run a duel" in item.summary
    assert item.evidence.suspect == ["service p50", "service p90"]
    assert item.evidence.duel_command.startswith("loadtest duel ")


HISTORY = [past_run(timing(timed(seed=seed, revision="v0.9"))) for seed in range(3, 15)]
"""Earlier runs that agree within a percent or two."""


def test_earlier_runs_tell_the_noise_and_settle_it() -> None:
    """Twelve runs let one pair of runs PASS, and FAIL where it is slower."""
    item = judge(timed(seed=2), timed(revision="v0.9"), history=HISTORY).item("latency")
    assert (item.verdict, item.evidence.suspect, item.evidence.duel_command) == (Ruling.PASS, None, None)
    assert item.summary.startswith("4 gates unchanged: service p50 -0.9% (")
    assert ", margin 5%), p90 +0.3%, p99 -0.2%, drift " in item.summary
    assert item.evidence.noise["service p50"].endswith(", from 12 runs; 5%, assumed, between days")
    slower = judge(timed(1.15, seed=2), timed(revision="v0.9"), history=HISTORY).item("latency")
    assert (slower.verdict, slower.evidence.suspect) == (Ruling.FAIL, None)


def test_gates_that_were_left_out_are_named_and_block_nothing() -> None:
    """A short run's outages do not make it INCONCLUSIVE; the summary names them, the evidence says why."""
    some = judge(timed(seed=2, outages=1), timed(outages=1), history=HISTORY).item("latency")
    assert some.verdict is Ruling.PASS
    assert "outage p95" in some.summary.partition("; not judged: ")[2]
    assert "outage p95: 20 samples, p95 needs 200" in some.evidence.left_out
    many = judge(timed(4.0, outages=20), timed(outages=20)).item("latency")
    judged = {gate.gate: gate.decision for gate in many.evidence.gates}
    assert judged["outage p95"] is Ruling.FAIL
    assert not any(one.startswith("outage") for one in many.evidence.left_out)


def test_every_gate_stands_in_the_evidence() -> None:
    """Those left out, too, with their reason: nobody must guess what was not looked at."""
    item = judge(timed(2.0, seed=2), timed(revision="v0.9")).item("latency")
    assert [gate.gate for gate in item.evidence.gates] == [gate.name for gate in GATES]
    left_out = [gate for gate in item.evidence.gates if gate.decision is Ruling.NOT_JUDGED]
    assert item.evidence.left_out == [f"{gate.gate}: {gate.reason}" for gate in left_out]
    assert all(gate.reason for gate in left_out)
    for gate in left_out:
        assert gate.gate.rpartition(" ")[2] in item.summary.partition("not judged: ")[2]


def test_error_levels_stand_in_the_evidence() -> None:
    """5% for a PASS of each gate, and for a FAIL of any of them."""
    item = judge(timed(2.0, seed=2), timed(revision="v0.9")).item("latency")
    judged = [gate for gate in item.evidence.gates if gate.decision is not Ruling.NOT_JUDGED]
    levels = item.evidence.levels
    assert levels.pass_ratio == pytest.approx(0.05)
    assert levels.fail_ratio == pytest.approx(0.05 / len(judged))
    assert levels.correction == f"Bonferroni over {len(judged)} gates"


def test_too_few_round_trips_are_inconclusive() -> None:
    """The gates on round trips are never left out: what a run of every plan is judged by must be judged."""
    item = judge(timed(seconds=13), timed(seconds=13, revision="v0.9")).item("latency")
    assert item.verdict is Ruling.INCONCLUSIVE
    assert item.summary.startswith("too little data to judge service p99 (780 samples, p99 needs 1,000); ")
    assert item.evidence.duel_command is None


# Runs that are not alike.


BIG = Host(system="Linux", release="6.1", machine="x86_64", cpus=8, model="Fast CPU", memory_mb=8192)
SMALL = structs.replace(BIG, cpus=2)


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
@pytest.mark.parametrize(
    ("of_candidate", "said"),
    [
        ({"host": SMALL}, "cores 8 → 2"),
        ({"host": structs.replace(BIG, model="Slow CPU")}, "CPU Fast CPU → Slow CPU"),
        ({"host": structs.replace(BIG, release="6.8")}, "host Linux 6.1 x86_64 → Linux 6.8 x86_64"),
        ({"host": structs.replace(BIG, machine="arm64")}, "host Linux 6.1 x86_64 → Linux 6.1 arm64"),
        ({"host": BIG, "versions": {"python": "3.13.1"}}, "version of python 3.12.1 → 3.13.1"),
    ],
)
def test_nothing_is_concluded_from_runs_of_different_machines(
    factor: float, of_candidate: dict[str, Any], said: str
) -> None:
    """Neither PASS nor FAIL, whatever they show; the same runs of one machine are judged."""
    before, after = timed(seed=3, revision="v0.9"), timed(factor, seed=2)
    usual = {"host": BIG, "versions": {"python": "3.12.1"}}
    found = [
        judge(remade(after, **usual | changes), remade(before, **usual), history=HISTORY).item("latency")
        for changes in ({}, of_candidate)
    ]
    assert [one.verdict for one in found] == [
        Ruling.FAIL if factor > 1 else Ruling.PASS,
        Ruling.INCONCLUSIVE,
    ]
    unlike = found[1]
    assert unlike.summary == f"latency was not compared: {said}"
    assert [str(one) for one in unlike.evidence.unlike] == [said]
    assert {gate.decision for gate in unlike.evidence.gates} == {Ruling.INCONCLUSIVE, Ruling.NOT_JUDGED}
    assert unlike.evidence.duel_command is None


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_nothing_is_concluded_from_runs_of_different_scripts(factor: float) -> None:
    """The server is not to blame for what an edit does; where no script runs, the plan says what is sent."""
    before, after = timed(seed=3, revision="v0.9"), timed(factor, seed=2)
    judged = Ruling.FAIL if factor > 1 else Ruling.PASS
    asks, other = "aaaaaaaabbbbbbbb", "ccccccccdddddddd"
    for tasks, codes, expected in (
        ({"ask": 1}, (asks, asks), judged),
        ({"ask": 1}, (asks, other), Ruling.INCONCLUSIVE),
        ({"ask": 1}, (None, other), judged),
        ({}, (asks, other), judged),
    ):
        sides = (
            remade(run, code=code, plan=structs.replace(run.manifest.plan, tasks=tasks))
            for run, code in zip((before, after), codes, strict=True)
        )
        baseline, candidate = sides
        found = judge(candidate, baseline, history=HISTORY).latency
        assert found.verdict is expected, found.summary
        if expected is Ruling.INCONCLUSIVE:
            assert found.summary == "latency was not compared: the script's code aaaaaaaa → cccccccc"


def test_a_machine_that_is_not_known_is_no_other_one() -> None:
    """Earlier versions did not write the CPU's model."""
    before = remade(timed(seed=3, revision="v0.9"), host=structs.replace(BIG, model=""))
    assert judge(remade(timed(seed=2), host=BIG), before, history=HISTORY).latency.verdict is Ruling.PASS


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_nothing_is_concluded_from_runs_of_unequal_length(factor: float) -> None:
    """A server that warms up is another one later; a tenth more or less is nothing."""
    before, after = timed(seed=3, revision="v0.9"), timed(factor, seed=2, seconds=60)
    item = judge(after, before, history=HISTORY).latency
    assert (item.verdict, item.summary) == (
        Ruling.INCONCLUSIVE,
        "latency was not compared: length 25 s → 65 s",
    )
    alike = judge(timed(factor, seed=2, seconds=22), before, history=HISTORY).latency
    assert alike.verdict is (Ruling.FAIL if factor > 1 else Ruling.PASS)


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_nothing_is_concluded_from_a_run_that_was_cut_short(factor: float) -> None:
    """Both may have been: what was going to happen may not have happened yet."""
    planned = plan(duration_s=100.0)
    before, after = (
        remade(run, plan=planned) for run in (timed(seed=3, revision="v0.9"), timed(factor, seed=2))
    )
    item = judge(after, before, history=HISTORY).latency
    assert item.verdict is Ruling.INCONCLUSIVE
    assert item.summary.endswith("latency was not compared: length 25 s, cut short → 25 s, cut short")


def test_a_limit_that_is_broken_fails_runs_that_are_not_alike() -> None:
    """It needs no baseline."""
    before, after = timed(seed=3, revision="v0.9"), timed(seed=2, seconds=60)
    late = remade(after, limits={"p99": 1.0})
    item = judge(late, before).latency
    assert item.verdict is Ruling.FAIL
    assert item.summary.startswith("service p99 ")
    assert item.summary.endswith("latency was not compared: length 25 s → 65 s")
    assert judge(remade(after, limits={"p99": 1000.0}), before).latency.verdict is Ruling.INCONCLUSIVE


def test_a_margin_that_is_a_time_is_told_as_one() -> None:
    """5% of 0.4 ms is less than 0.2 ms: the evidence holds both margins."""
    item = judge(timed(0.02 * 1.6, seed=2), timed(0.02, revision="v0.9")).item("latency")
    assert ", margin 0.2 ms)" in item.summary
    gate = item.evidence.gates[0]
    assert (gate.relative_margin_ratio, gate.absolute_margin_us) == (0.05, 200.0)
    assert gate.margin_ratio == pytest.approx(200 / gate.baseline_us)


def test_the_values_of_a_run_are_evidence_with_and_without_a_baseline() -> None:
    """Later runs measure the noise by them; what a run has too few samples for is no value."""
    run = timed(seed=2, outages=1)
    values = judge(run).latency.evidence.values
    assert values is not None
    assert values == judge(run, timed(revision="v0.9")).latency.evidence.values
    assert {"service p50", "service p99", "drift", "losses"} <= values.keys()
    assert not values.keys() & {"service p99.9", "outage p95", "slow replies"}
    assert values["service p50"] == pytest.approx(19_900, rel=0.05)  # µs
    assert values["drift"] == pytest.approx(0.0, abs=0.05)
    assert values["losses"] == 0.0


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
