"""From comparisons of gates to the evidence of the item `latency`: results, error levels, noise."""

import math
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from loadtest import text
from loadtest.ruling import Ruling
from loadtest.statistics.bootstrap import Spread
from loadtest.statistics.comparison import Comparison
from loadtest.statistics.margins import Gate, GateKind
from loadtest.statistics.noise import Noise
from loadtest.verdict.evidence import LatencyEvidence
from loadtest.verdict.gate_evidence import ErrorLevels, GateResult
from loadtest.verdict.items import Item
from loadtest.verdict.limits import with_limits


def gate_result(gate: Gate, found: Comparison, lack: str) -> GateResult:
    """Return a comparison as verdict.json has it, with the parts of the margin.

    Args:
        gate: the gate.
        found: its comparison.
        lack: what single runs lack for it, in a few words; empty if nothing, or if the comparison knows best.
    """
    margin = gate.margin
    result = msgspec.convert(found, GateResult, from_attributes=True)
    return replace(
        result,
        reason=result.reason if result.compared else lack or result.reason,
        relative_margin_ratio=margin.relative_ratio,
        absolute_margin_us=None if gate.kind.counted else float(margin.absolute_us),
        absolute_margin_ratio=margin.absolute_ratio if gate.kind is GateKind.SLOW else None,
        absolute_margin_per_h=margin.absolute_per_h if gate.kind is GateKind.LOSSES else None,
    )


def error_levels(
    found: Sequence[Comparison], *, looks: Sequence[int] | None, families: int = 1
) -> ErrorLevels | None:
    """Return the levels at which gates were judged, None if none was.

    Args:
        found: the comparisons of all gates.
        looks: the numbers of units at which a duel looks, None for a single look.
        families: how many user classes are judged together.
    """
    fail_levels = [one.fail_level_ratio for one in found if one.fail_level_ratio is not None]
    pass_levels = [one.pass_level_ratio for one in found if one.pass_level_ratio is not None]
    if not (fail_levels and pass_levels):
        return None
    of_classes = f" of {families} user classes" if families > 1 else ""
    over_looks = ", O'Brien-Fleming over looks" if looks else ""
    return ErrorLevels(
        pass_ratio=max(pass_levels),
        fail_ratio=max(fail_levels),  # a gate that compares two groups of replies divides its own again
        correction=f"Bonferroni over {text.counted(len(fail_levels), 'gate')}{of_classes}{over_looks}",
    )


def noise_text(noise: Noise) -> str:
    """Describe run-to-run noise: `2.1% within a day, 3.4% between days, from 14 runs`, or `5%, assumed`."""
    within, between = noise.same_day, noise.other_day
    source = f"from {text.counted(noise.runs, 'run')}"
    assumed = f"{text.share(noise.assumed_ratio)}, assumed"
    if within is None and between is None:
        return assumed
    if within is None:
        return f"{_deviation(between)} between days, {source}; {assumed}, within a day"
    if between is None:
        return f"{_deviation(within)} within a day, {source}; {assumed}, between days"
    if within == between:
        return f"{_deviation(within)}, {source}"
    return f"{_deviation(within)} within a day, {_deviation(between)} between days, {source}"


def _deviation(spread: Spread | None) -> str:
    return text.share(math.sqrt(spread.variance) if spread else 0.0)


def not_compared(item: Item[LatencyEvidence], why: str) -> Item[LatencyEvidence]:
    """Return the item for runs whose comparison concludes nothing: INCONCLUSIVE, unless a limit is broken.

    Args:
        item: the item as judged.
        why: why the runs cannot be compared.
    """
    gates = [_withheld(gate) for gate in item.evidence.gates or ()]
    evidence = replace(item.evidence, gates=gates, suspect=None, duel_command=None)
    summary = f"latency was not compared: {why}"
    if item.evidence.gates is None:  # something else prevented it before
        summary = f"{summary}; {item.summary}"
    found = replace(item, verdict=Ruling.INCONCLUSIVE, summary=summary, evidence=evidence)
    return with_limits(found, item.evidence.time_limits or ())


def _withheld(gate: GateResult) -> GateResult:
    """Return a gate's result without a conclusion."""
    if gate.decision is Ruling.NOT_JUDGED:
        return gate
    reason = f"{gate.reason}; not concluded, because the runs are not alike"
    return replace(gate, decision=Ruling.INCONCLUSIVE, reason=reason, suspect=False, more_pairs=None)
