"""`latency`: is it unchanged against the baseline? The gates are those of `loadtest.statistics`.

The rule over the gates: one that fails fails the item; one that cannot tell leaves it INCONCLUSIVE. The gate
on outages is left out where a run had too few of them: a short run has some dozens, its p95 needs 200, and
the service gates are worth having without it. The evidence says which were left out.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from loadtest.evidence import Evidence, differing_fields
from loadtest.statistics import (
    ASSUMED_NOISE,
    GATES,
    Comparison,
    Decision,
    Gate,
    Intervals,
    NoiseFloor,
    compare,
    noise_floor,
)
from loadtest.statistics.comparison import LEAST_SECONDS
from loadtest.verdict.generator import judge_generator
from loadtest.verdict.items import Generator, Item, Ruling

OPTIONAL_TAGS = frozenset({"outage"})
"""Tags whose gates are left out where samples are too few."""


def judge(
    evidence: Evidence, baseline: Evidence | None, *, generator: Generator, earlier: Iterable[Evidence] = ()
) -> Item:
    """Judge a run's latency against its baseline's.

    Args:
        generator: of this run.
        earlier: runs of the baseline's revision and plan, for the noise floor; taken one at a time.
    """
    if baseline is None:
        return _item(Ruling.NOT_JUDGED, "no baseline to compare with", evidence, None)
    if not evidence.manifest.plan.messages_planned:
        return _item(Ruling.NOT_JUDGED, "no messages are planned (rate 0)", evidence, baseline)
    obstacle = _obstacle(evidence, baseline, generator)
    if obstacle:
        return _item(Ruling.INCONCLUSIVE, obstacle, evidence, baseline)
    noise = _noise_floors(earlier)
    rng = np.random.default_rng(abs(evidence.manifest.plan.seed))
    compared, left_out = [], []
    for gate in GATES:
        runs = [_intervals(run, gate.tag) for run in (baseline, evidence)]
        lack = _lack(gate, runs) if gate.tag in OPTIONAL_TAGS else ""
        if lack:
            left_out.append(f"{gate}: {lack}")
        else:
            compared.append(compare(gate, [(runs[0], runs[1])], rng=rng, noise=noise[str(gate)]))
    ruling, summary = _ruling(compared)
    return _item(ruling, summary, evidence, baseline, compared=compared, left_out=left_out, noise=noise)


def _obstacle(evidence: Evidence, baseline: Evidence, generator: Generator) -> str:
    """Return why the two cannot be compared, empty if they can."""
    differing = differing_fields(evidence.manifest.plan, baseline.manifest.plan)
    if differing:
        return (
            f"the baseline was made with another plan; they differ in {', '.join(differing)}. "
            "Repeat one run with the other's settings"
        )
    if not generator.valid:
        return f"the load generator was not fit to measure: {'; '.join(generator.problems)}"
    of_baseline = judge_generator(baseline)
    if not of_baseline.valid:
        return (
            f"the baseline's load generator was not fit to measure: {'; '.join(of_baseline.problems)}. "
            "Make the baseline anew, or choose another"
        )
    return ""


def _intervals(run: Evidence, tag: str) -> Intervals:
    return Intervals.from_mappings(run.after_warmup(tag))


def _noise_floors(earlier: Iterable[Evidence]) -> dict[str, NoiseFloor]:
    """Return the noise floor by gate: measured over enough earlier runs, else assumed."""
    ln_quantiles: dict[str, list[float | None]] = {str(gate): [] for gate in GATES}
    for run in earlier:
        for gate in GATES:
            ln_quantiles[str(gate)].append(_intervals(run, gate.tag).ln_quantile(gate.quantile))
    return {name: noise_floor(values) if values else ASSUMED_NOISE for name, values in ln_quantiles.items()}


def _lack(gate: Gate, runs: Sequence[Intervals]) -> str:
    samples, busy = min(run.samples for run in runs), min(run.busy for run in runs)
    if samples < gate.least_samples:
        return f"{samples} {gate.tag}s, {gate.least_samples} are needed"
    if busy < LEAST_SECONDS:
        return f"{gate.tag}s in {busy} seconds only, {LEAST_SECONDS} are needed"
    return ""


def _ruling(compared: Sequence[Comparison]) -> tuple[Ruling, str]:
    for decision in (Decision.FAIL, Decision.INCONCLUSIVE):
        found = [one for one in compared if one.decision is decision]
        if found:
            return Ruling(decision), "; ".join(f"{_name(one)} {one.reason}" for one in found)
    return Ruling.PASS, "; ".join(f"{_name(one)} {one.reason}" for one in compared)


def _name(compared: Comparison) -> str:
    return f"{compared.tag} p{100 * compared.quantile:g}"


def _item(
    ruling: Ruling,
    summary: str,
    evidence: Evidence,
    baseline: Evidence | None,
    *,
    compared: Sequence[Comparison] = (),
    left_out: Sequence[str] = (),
    noise: dict[str, NoiseFloor] | None = None,
) -> Item:
    told: dict[str, Any] = {"percentiles": evidence.percentile_table(["service", "response", "outage"])}
    if baseline is not None:
        told["baseline"] = {
            "revision": baseline.manifest.revision,
            "run_id": baseline.manifest.run_id,
            "started_at": baseline.manifest.started_at,
            "complete": baseline.manifest.complete,
            "percentiles": baseline.percentile_table(["service", "response", "outage"]),
        }
    if noise is not None:
        told |= {
            "gates": [_told(one) for one in compared],
            "left_out": list(left_out),
            "noise": {name: str(floor) for name, floor in noise.items()},
        }
    return Item(item="latency", verdict=ruling, summary=summary, evidence=told)


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
