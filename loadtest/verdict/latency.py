"""`latency`: is it unchanged against the baseline? The gates are those of `loadtest.statistics`.

The rule over the gates: one that fails fails the item; one that cannot tell leaves it INCONCLUSIVE. The gate
on outages is left out where a run had too few of them: a short run has some dozens, its p95 needs 200, and
the service gates are worth having without it. The evidence says which were left out. Of several pairs of
runs, those that a saturated load generator spoiled do not count, and the evidence says which.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from loadtest.evidence import Evidence, Manifest, Plan, differing_fields
from loadtest.statistics import GATES, Comparison, Decision, NoiseFloor, compare
from loadtest.verdict.items import Generator, Item, Ruling
from loadtest.verdict.timing import OPTIONAL_TAGS, Timing, lack, noise_floors, timing

Pair = tuple[Timing, Timing]
"""A run of the baseline, and one of the candidate."""


def judge(
    evidence: Evidence,
    baseline: Evidence | None,
    *,
    generator: Generator,
    earlier: Iterable[Evidence] = (),
    found: Mapping[str, str] | None = None,
) -> Item:
    """Judge a run's latency against its baseline's.

    Args:
        generator: of this run.
        earlier: runs of the baseline's revision and plan, for the noise floor; taken one at a time.
        found: where the baseline is and by which rule it was found, for the evidence.
    """
    candidate = timing(evidence, generator)
    told: dict[str, Any] = {"percentiles": candidate.percentiles}
    if baseline is None:
        summary = "no baseline to compare with"
        return Item(item="latency", verdict=Ruling.NOT_JUDGED, summary=summary, evidence=told)
    before = timing(baseline)
    told["baseline"] = {**before.told(), **(found or {}), "percentiles": before.percentiles}
    ruling, summary, compared = _judged([(before, candidate)], earlier=map(timing, earlier))
    return Item(item="latency", verdict=ruling, summary=summary, evidence=told | compared)


def judge_pairs(
    pairs: Sequence[Pair], *, earlier: Iterable[Timing] = (), looks: tuple[int, ...] | None = None
) -> Item:
    """Judge the latency of a candidate's runs against those of a baseline, pair by pair.

    Args:
        pairs: in the order in which they were run, at least one.
        earlier: runs of the baseline's revision and plan, for the noise floor; taken one at a time.
        looks: the numbers of pairs at which a duel looks; None for pairs that are looked at once.
    """
    told = {"runs": [_told_pair(number, pair) for number, pair in enumerate(pairs, start=1)]}
    ruling, summary, compared = _judged(pairs, earlier=earlier, looks=looks)
    return Item(item="latency", verdict=ruling, summary=summary, evidence=told | compared)


def changes(pair: Pair) -> dict[str, float | None]:
    """Return how much each gated quantile changed from one run to the other, None where that is unknown."""
    found: dict[str, float | None] = {}
    for gate in GATES:
        before, after = (run.ln_quantile(gate) for run in pair)
        known = before is not None and after is not None
        # Latencies are between a microsecond and an hour: no exponent here overflows.
        found[str(gate)] = math.expm1(after - before) if known else None  # type: ignore[operator]
    return found


def is_fit(pair: Pair) -> bool:
    """Tell whether the load generator was fit to measure in both runs, and all of it was heard of."""
    return not any(map(_problems, pair))


def _problems(run: Timing) -> list[str]:
    lost = [f"worker {worker} was lost" for worker in run.manifest.missing_workers]
    return [*run.generator.problems, *lost]


def _judged(
    pairs: Sequence[Pair], *, earlier: Iterable[Timing], looks: tuple[int, ...] | None = None
) -> tuple[Ruling, str, dict[str, Any]]:
    """Return the ruling, its summary and the comparison's evidence."""
    plan = pairs[0][1].manifest.plan
    if not plan.messages_planned:
        return Ruling.NOT_JUDGED, "no messages are planned (rate 0)", {}
    obstacle = _obstacle(pairs)
    if obstacle:
        return Ruling.INCONCLUSIVE, obstacle, {}
    fit = [pair for pair in pairs if is_fit(pair)]
    noise = noise_floors(earlier)
    compared, left_out = _compared(fit, noise=noise, looks=looks, seed=plan.seed)
    ruling, summary = _ruling(compared)
    told = {
        "pairs": len(fit),
        "spoiled": [_spoiled(number, pair) for number, pair in enumerate(pairs, start=1) if not is_fit(pair)],
        "gates": [_told(one) for one in compared],
        "left_out": left_out,
        "noise": {name: str(floor) for name, floor in noise.items()},
    }
    return ruling, summary, told


def _obstacle(pairs: Sequence[Pair]) -> str:
    """Return why the runs cannot be compared, empty if they can."""
    differing = differing_plans([(before.manifest, after.manifest) for before, after in pairs])
    if differing:
        return (
            f"the baseline was made with another plan; they differ in {', '.join(differing)}. "
            "Repeat one run with the other's settings"
        )
    if any(is_fit(pair) for pair in pairs):
        return ""
    before, after = map(_problems, pairs[0])
    if after:
        return f"the load generator was not fit to measure: {'; '.join(after)}"
    return (
        f"the baseline's load generator was not fit to measure: {'; '.join(before)}. "
        "Make the baseline anew, or choose another"
    )


def differing_plans(pairs: Sequence[tuple[Manifest, Manifest]]) -> list[str]:
    """Return the fields in which any of these runs' plans differ, empty if all are alike."""
    plans = [manifest.plan for pair in pairs for manifest in pair]
    found = [differing_fields(plans[-1], plan) for plan in plans]
    return [name for name in Plan.__struct_fields__ if any(name in names for names in found)]


def _compared(
    pairs: Sequence[Pair], *, noise: Mapping[str, NoiseFloor], looks: tuple[int, ...] | None, seed: int
) -> tuple[list[Comparison], list[str]]:
    """Return each gate's comparison, and which gates were left out and why."""
    rng = np.random.default_rng(abs(seed))
    compared, left_out = [], []
    for gate in GATES:
        missing = lack(gate, [run for pair in pairs for run in pair]) if gate.tag in OPTIONAL_TAGS else ""
        if missing:
            left_out.append(f"{gate}: {missing}")
            continue
        samples = [(before.intervals[gate.tag], after.intervals[gate.tag]) for before, after in pairs]
        compared.append(compare(gate, samples, rng=rng, noise=noise[str(gate)], looks=looks))
    return compared, left_out


def _ruling(compared: Sequence[Comparison]) -> tuple[Ruling, str]:
    for decision in (Decision.FAIL, Decision.INCONCLUSIVE):
        found = [one for one in compared if one.decision is decision]
        if found:
            return Ruling(decision), "; ".join(f"{_name(one)} {one.reason}" for one in found)
    return Ruling.PASS, "; ".join(f"{_name(one)} {one.reason}" for one in compared)


def _name(compared: Comparison) -> str:
    return f"{compared.tag} p{100 * compared.quantile:g}"


def _spoiled(number: int, pair: Pair) -> str:
    problems = [
        f"{role}: {'; '.join(_problems(run))}"
        for role, run in zip(("baseline", "candidate"), pair, strict=True)
        if _problems(run)
    ]
    return f"pair {number}, {', '.join(problems)}"


def _told_pair(number: int, pair: Pair) -> dict[str, Any]:
    before, after = pair
    return {
        "pair": number,
        "fit": is_fit(pair),
        "baseline": before.told(),
        "candidate": after.told(),
        "change_ratios": changes(pair),
    }


def _told(compared: Comparison) -> dict[str, Any]:
    return {
        "gate": _name(compared),
        "tag": compared.tag,
        "quantile": compared.quantile,
        "decision": str(compared.decision),
        "reason": compared.reason,
        "baseline_us": compared.baseline_us,
        "candidate_us": compared.candidate_us,
        "change_ratio": compared.change_ratio,
        "low_ratio": compared.low_ratio,
        "high_ratio": compared.high_ratio,
        "margin_ratio": compared.margin_ratio,
        "more_pairs": compared.more_pairs,
        "baseline_samples": compared.baseline_samples,
        "candidate_samples": compared.candidate_samples,
    }
