"""The item `latency`: is latency within its limits, and at each gate unchanged against the baseline?

A gate that FAILs fails the item; otherwise, a gate that is INCONCLUSIVE makes the item INCONCLUSIVE. Gates
that were left out (NOT_JUDGED) never prevent a PASS, but the summary names each with its reason.

Nothing is concluded from runs that are not alike: made on different machines, of unequal length, or cut
short. What they show is in the evidence, and the item is INCONCLUSIVE. Pairs of runs spoiled by an overloaded
load generator do not count, nor do those of unequal length or with a run that was cut short, unless there are
no others. Limits (`loadtest.verdict.limits`) are judged without a baseline too; over pairs, those of each
candidate. The summary names the plan's fields by their options.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from msgspec.structs import replace

from loadtest.results.data import RunData
from loadtest.results.manifest import Manifest, Plan, differing_fields
from loadtest.ruling import Ruling, worst
from loadtest.statistics.comparison import MIN_UNITS, compare
from loadtest.statistics.margins import GATES, OF_MESSAGES, Gate, GateKind
from loadtest.statistics.measured_run import MeasuredRun
from loadtest.statistics.noise import PastRun, noise_of
from loadtest.statistics.sufficiency import lack_of_runs
from loadtest.verdict.classes import joined_latency
from loadtest.verdict.compared_gates import error_levels, gate_result, noise_text, not_compared
from loadtest.verdict.differences import Difference, machine_differences, plan_differences, script_differences
from loadtest.verdict.evidence import (
    BaselineEvidence,
    LatencyEvidence,
    PairEvidence,
    PassedOver,
    RunNamed,
)
from loadtest.verdict.gate_words import summary
from loadtest.verdict.items import Generator, Item
from loadtest.verdict.limits import over_runs, with_limits
from loadtest.verdict.suggested_duel import duel_command
from loadtest.verdict.timing import Pair, Timing, changes, is_fit, timing, why_spoiled

_Measured = tuple[MeasuredRun, MeasuredRun]

_SILENT = "no messages are planned at rate 0"
"""Why a run at rate 0 is not judged by replies; by connects, outages and losses it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineSearch:
    """How the baseline was found, or why there is none.

    Args:
        path: run directory of the baseline, None if there is none.
        rule: why this run was chosen, or why none was.
        passed_over: runs that the rule did not choose, newest first.
        ruling: the verdict if there is none: INCONCLUSIVE if there are runs, but none that is good enough.
    """

    path: str | None = None
    rule: str | None = None
    passed_over: Sequence[PassedOver] = ()
    ruling: Ruling = Ruling.NOT_JUDGED


def judge(
    run: RunData,
    baseline: RunData | None,
    *,
    generator: Generator,
    history: Sequence[PastRun] = (),
    search: BaselineSearch | None = None,
    families: int = 1,
) -> Item[LatencyEvidence]:
    """Judge a run's latency by the limits and, against its baseline, the margins in its own manifest.

    Args:
        run: the candidate.
        baseline: the run to compare with, None to judge by the limits only; NOT_JUDGED without any.
        generator: the verdict on this run's load generator.
        history: earlier fit runs of the plan, oldest first, for the run-to-run noise.
        search: how the baseline was found, or why there is none.
        families: how many user classes are judged together, if this is one of them.
    """
    search = search or BaselineSearch()
    candidate = timing(run, generator)
    evidence = LatencyEvidence(
        percentiles=candidate.percentiles, passed_over=list(search.passed_over), values=candidate.values
    )
    if baseline is None:
        rule = search.rule or ""
        evidence = replace(evidence, rule=rule)
        item = _item(search.ruling, rule or "no baseline to compare with", evidence)
        return with_limits(item, candidate.limits)
    before = timing(baseline)
    compared_with = BaselineEvidence.of(
        before.manifest, path=search.path, rule=search.rule, percentiles=before.percentiles
    )
    rules = _Rules(gates=run.manifest.gates, history=history, families=families)
    item = _judged([(before, candidate)], rules, replace(evidence, baseline=compared_with))
    return with_limits(_with_duel(item, before.manifest, candidate.manifest), candidate.limits)


def judge_pairs(
    pairs: Sequence[Pair],
    *,
    gates: Sequence[Gate] = GATES,
    history: Sequence[PastRun] = (),
    class_histories: Mapping[str, Sequence[PastRun]] = MappingProxyType({}),
    looks: tuple[int, ...] | None = None,
    units: Sequence[int] = (),
    families: int = 1,
) -> Item[LatencyEvidence]:
    """Judge the latency of a candidate's runs against those of a baseline, pair by pair.

    Runs of several user classes are judged class by class, and the worst counts.

    Args:
        pairs: in the order in which they were run, at least one.
        gates: gates with the margins to use; the margins in the runs' own manifests are ignored.
        history: earlier fit runs of the plan, oldest first, for the run-to-run noise.
        class_histories: the same by user class, of runs of several.
        looks: the numbers of units at which a duel looks; None if the pairs are judged only once.
        units: number of each pair's unit: pairs of one unit share instances of the servers. Empty if each
            pair is a unit of its own, as is a pair whose number is 0.
        families: how many user classes are judged together, if these are runs of one of them.
    """
    if names := _classes_of(pairs):
        of_classes = {
            name: judge_pairs(
                [(before.classes[name], after.classes[name]) for before, after in pairs],
                gates=gates,
                history=class_histories.get(name, ()),
                looks=looks,
                units=units,
                families=len(names),
            )
            for name in names
        }
        return joined_latency(of_classes, [_pair(number, pair) for number, pair in enumerate(pairs, start=1)])
    runs = [_pair(number, pair) for number, pair in enumerate(pairs, start=1)]
    rules = _Rules(gates=gates, history=history, families=families, looks=looks, units=units)
    item = _judged(pairs, rules, LatencyEvidence(runs=runs))
    candidates = [after for _, after in pairs]
    fit = [run for run in candidates if not run.problems] or candidates
    return with_limits(item, over_runs([run.limits for run in fit]))


def _classes_of(pairs: Sequence[Pair]) -> list[str]:
    """Return the names of the user classes that all these runs have; empty if they have not all the same."""
    found = {tuple(run.classes) for pair in pairs for run in pair}
    return list(found.pop()) if len(found) == 1 else []


def _counting(pairs: Sequence[Pair]) -> list[Pair]:
    """Return the pairs to compare; if no pair counts, those whose runs are merely short."""
    fit = [pair for pair in pairs if is_fit(pair)]
    return fit or [pair for pair in pairs if not any(run.problems for run in pair)]


def _unlike(pairs: Sequence[Pair]) -> list[Difference]:
    """Return what differs between the runs of these pairs so that nothing can be concluded from them."""
    manifests = [(before.manifest, after.manifest) for before, after in pairs]
    found = []
    if any(machine_differences([before], [after]) for before, after in manifests):
        found += machine_differences(*zip(*manifests, strict=True))
    found += script_differences(*zip(*manifests, strict=True))
    if not all(map(is_fit, pairs)):
        found.append(_lengths(pairs))
    return found


def _lengths(pairs: Sequence[Pair]) -> Difference:
    sides = ([_length(run) for run in side] for side in zip(*pairs, strict=True))
    before, after = (" or ".join(dict.fromkeys(side)) for side in sides)
    return Difference(what="length", baseline=before, candidate=after)


def _length(run: Timing) -> str:
    return f"{run.length_s:.0f} s, cut short" if run.cut_short else f"{run.length_s:.0f} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rules:
    """By what pairs are judged; arguments as for `judge_pairs`."""

    gates: Sequence[Gate]
    history: Sequence[PastRun]
    families: int
    looks: tuple[int, ...] | None = None
    units: Sequence[int] = ()


def _judged(pairs: Sequence[Pair], rules: _Rules, evidence: LatencyEvidence) -> Item[LatencyEvidence]:
    """Return the item, with the comparison added to the evidence."""
    counting = _counting(pairs)
    if obstacle := _obstacle(pairs, counting, in_duel=rules.looks is not None):
        return _item(Ruling.INCONCLUSIVE, obstacle, evidence)
    found = _compared(pairs, counting, rules, evidence)
    results = found.gates or []
    ruling = worst(one.decision for one in results)
    told = summary(results, ruling, pairs=len(pairs), units=found.units or 1)
    item = _item(ruling, told, found)
    if unlike := _unlike(counting):
        item = not_compared(item, ", ".join(map(str, unlike)))
        return replace(item, evidence=replace(item.evidence, unlike=unlike))
    return item


def _compared(
    pairs: Sequence[Pair], counting: Sequence[Pair], rules: _Rules, evidence: LatencyEvidence
) -> LatencyEvidence:
    """Return the evidence with the comparison of the pairs that count."""
    gates = _gates(pairs[0][1].manifest.plan, rules.gates)
    units = _units(pairs, counting, rules.units)
    noise = noise_of(rules.history, gates)
    found = compare(
        gates,
        units,
        rng=np.random.default_rng(abs(pairs[0][1].manifest.plan.seed)),
        noise=noise,
        same_day=all(before.day == after.day for before, after in counting),
        looks=rules.looks,
        families=rules.families,
    )
    few = [run for pair in counting for run in pair] if len(units) < MIN_UNITS else []
    silent = not pairs[0][1].manifest.plan.messages_planned
    lacks = [_SILENT if silent and gate.tag in OF_MESSAGES else _lack(gate, few) for gate in gates]
    results = [gate_result(*one) for one in zip(gates, found, lacks, strict=True)]
    return replace(
        evidence,
        pairs=len(counting),
        units=len(units),
        spoiled=[
            f"pair {number}, {why_spoiled(pair)}"
            for number, pair in enumerate(pairs, start=1)
            if pair not in counting
        ],
        gates=results,
        left_out=[f"{one.gate}: {one.reason}" for one in results if one.decision is Ruling.NOT_JUDGED],
        noise={gate.name: noise_text(noise[gate.name]) for gate in gates if not gate.kind.counted},
        levels=error_levels(found, looks=rules.looks, families=rules.families),
        suspect=[one.gate for one in results if one.suspect] or None,
    )


def _gates(plan: Plan, gates: Sequence[Gate]) -> Sequence[Gate]:
    """Return the gates; where no messages are planned, none on replies is required."""
    return gates if plan.messages_planned else [dataclasses.replace(gate, required=False) for gate in gates]


def _units(pairs: Sequence[Pair], counting: Sequence[Pair], units: Sequence[int]) -> list[list[_Measured]]:
    """Return the pairs that count by their unit."""
    found: dict[int, list[_Measured]] = {}
    for number, pair in enumerate(pairs):
        if pair in counting:
            unit = units[number] if units else 0
            before, after = pair
            found.setdefault(unit or -1 - number, []).append((before.measured, after.measured))
    return list(found.values())


def _lack(gate: Gate, few: Sequence[Timing]) -> str:
    """Return in a few words what single runs lack; empty if nothing, or if samples are not the reason."""
    needless = gate.tag == "response" and not all(run.measured.closed_load for run in few)
    return "" if needless else lack_of_runs(gate, [run.measured for run in few])


def _with_duel(item: Item[LatencyEvidence], before: Manifest, after: Manifest) -> Item[LatencyEvidence]:
    """Return the item of one pair with the command of a duel, if that would settle it."""
    undecided = [gate for gate in item.evidence.gates or () if gate.decision is Ruling.INCONCLUSIVE]
    tells = undecided and not item.evidence.unlike and all(gate.compared for gate in undecided)
    if item.verdict is not Ruling.INCONCLUSIVE or not tells:
        return item
    return replace(item, evidence=replace(item.evidence, duel_command=duel_command(before, after)))


def _item(ruling: Ruling, summary: str, evidence: LatencyEvidence) -> Item[LatencyEvidence]:
    return Item(item="latency", verdict=ruling, summary=summary, evidence=evidence)


def _obstacle(pairs: Sequence[Pair], counting: Sequence[Pair], *, in_duel: bool) -> str:
    """Return why the runs cannot be compared, empty if they can."""
    plans = zip(*((before.manifest.plan, after.manifest.plan) for before, after in pairs), strict=True)
    if differing := plan_differences(*plans):
        return (
            f"the baseline has a different plan: {', '.join(map(str, differing))}. Repeat one run with the "
            "other's settings"
        )
    if counting:
        return ""
    before, after = pairs[0]
    if len(pairs) > 1 or in_duel:
        return f"no valid pair: pair 1, {why_spoiled(pairs[0])}"
    if after.problems:
        return after.unfit
    return f"baseline: {before.unfit}. Repeat the baseline's run, or choose another baseline"


def differing_plans(pairs: Sequence[tuple[Manifest, Manifest]]) -> list[str]:
    """Return the fields in which the plans of any of these runs differ, empty if they are all the same."""
    plans = [manifest.plan for pair in pairs for manifest in pair]
    found = [differing_fields(plans[-1], plan) for plan in plans]
    return [name for name in Plan.__struct_fields__ if any(name in names for names in found)]


def _pair(number: int, pair: Pair) -> PairEvidence:
    before, after = pair
    return PairEvidence(
        pair=number,
        fit=is_fit(pair),
        baseline=RunNamed.of(before.manifest),
        candidate=RunNamed.of(after.manifest),
        change_ratios=changes(pair),
        losses_change_per_h=_losses_change(pair),
    )


def _losses_change(pair: Pair) -> float | None:
    (gate,) = (gate for gate in GATES if gate.kind is GateKind.LOSSES)
    before, after = (run.value(gate) for run in pair)
    return None if before is None or after is None else after - before
