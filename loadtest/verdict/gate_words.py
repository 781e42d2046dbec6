"""What gates found, in words: values with their units, and the summary of the item `latency`.

The summary says first what decides, and names every gate that was not judged; the note below the table of
gates says why. A dozen gates must read well in 80 columns, so only the first few are told in full, and gates
that share a reason share its words. Pure.
"""

import math
from collections.abc import Iterable, Iterator, Sequence

from loadtest import text
from loadtest.ruling import Ruling
from loadtest.statistics.comparison import MIN_UNITS
from loadtest.statistics.margins import GATES, GateKind
from loadtest.verdict.gate_evidence import GateResult

_MOST_IN_FULL = 3
"""Gates of a summary with their interval and margin; the others are named, and the table of gates has all."""

_LEAST_LEVEL = 1e-5
"""Smaller error levels are all shown as below this one."""


def values(gate: GateResult) -> tuple[str, str]:
    """Return the value of the baseline and that of the candidate: a time, a trend, a share or a rate."""
    if gate.kind is GateKind.LOSSES:
        return _rate(gate.baseline_per_h), _rate(gate.candidate_per_h)
    if gate.in_points and gate.kind is GateKind.DRIFT:
        return _growth(gate.baseline_ratio), _growth(gate.candidate_ratio)
    if gate.in_points:
        return text.share(gate.baseline_ratio), text.share(gate.candidate_ratio)
    if gate.kind is GateKind.DRIFT:
        return text.change(gate.baseline_ratio), text.change(gate.candidate_ratio)
    return text.span(gate.baseline_us), text.span(gate.candidate_us)


def change(gate: GateResult) -> str:
    """Return the change from baseline to candidate: `+1.2%`, `+0.03 pt`, `+1.5/h`."""
    number, unit = _change(gate, gate.change_ratio, gate.change_per_h)
    return f"{number}{unit}"


def interval(gate: GateResult) -> str:
    """Return the bounds of the change: `-1.1 to +1.9%`, `x9.5 to x12`."""
    low, low_unit = _change(gate, gate.low_ratio, gate.low_per_h)
    high, unit = _change(gate, gate.high_ratio, gate.high_per_h)
    if text.UNKNOWN in (low, high):
        return text.UNKNOWN
    return f"{low}{low_unit if low_unit != unit else ''} to {high}{unit}"


def margin(gate: GateResult) -> str:
    """Return the margin in force: a time or a share of the baseline, points, or losses per hour."""
    if gate.kind is GateKind.LOSSES:
        return _rate(gate.margin_per_h)
    if gate.in_points:
        return text.UNKNOWN if gate.margin_ratio is None else f"{text.figures(100 * gate.margin_ratio)} pt"
    return text.span(gate.absolute_margin_us) if gate.absolute else text.share(gate.margin_ratio)


def _change(gate: GateResult, ratio: float | None, per_h: float | None) -> tuple[str, str]:
    """Return a change as a number and its unit, `text.UNKNOWN` and nothing if it is not known."""
    amount, unit = (per_h, "/h") if gate.kind is GateKind.LOSSES else (ratio, " pt")
    if amount is None:
        return text.UNKNOWN, ""
    if gate.kind is GateKind.LOSSES or gate.in_points:
        amount *= 100 if gate.in_points else 1
        return f"{amount + 0.0:+,.2g}" if abs(amount) < 10 else f"{amount:+,.0f}", unit
    changed = text.change(ratio) if ratio is None or not _in_times(gate) else text.times(1 + ratio)
    number = changed.removesuffix("%")
    return number, changed.removeprefix(number)


def _in_times(gate: GateResult) -> bool:
    """Whether a change is so large that all its amounts are written as `x12`."""
    amounts = (gate.change_ratio, gate.low_ratio, gate.high_ratio)
    return any(amount is not None and amount >= text.MAX_CHANGE_RATIO for amount in amounts)


def level(ratio: float) -> str:
    """Return an error level; the smallest, as of a FAIL beyond doubt, as `below 0.001%`."""
    return text.share(ratio) if ratio >= _LEAST_LEVEL else f"below {text.share(_LEAST_LEVEL)}"


def _growth(share: float | None) -> str:
    """Return by how many points a share grew within a run."""
    return text.UNKNOWN if share is None else f"{100 * share + 0.0:+,.2g} pt"


def _rate(per_h: float | None) -> str:
    return text.UNKNOWN if per_h is None else f"{text.figures(per_h)}/h"


def summary(compared: Sequence[GateResult], ruling: Ruling, *, pairs: int = 1, units: int = 1) -> str:
    """Return one sentence on all gates.

    Args:
        compared: the gates.
        ruling: the verdict that they make together.
        pairs: how many pairs of runs there are.
        units: how many groups of them share instances of the servers.
    """
    decisive = [gate for gate in compared if gate.decision is ruling]
    told: Sequence[str] = ()
    if ruling is Ruling.PASS:
        told = [_unchanged(decisive)]
    elif ruling is Ruling.FAIL:
        told = [f"worse: {_told(decisive)}"]
    elif ruling is Ruling.INCONCLUSIVE:
        told = list(_unsettled(decisive, _enough_pairs(pairs, units)))
    left_out = [gate for gate in compared if gate.decision is Ruling.NOT_JUDGED]
    if not told:
        return "; ".join(not_judged(compared))
    return "; ".join([*told, *([f"not judged: {_names(left_out)}"] if left_out else [])])


def short_names(gates: Sequence[GateResult]) -> list[tuple[str, GateResult]]:
    """Return gates with their names, without the first words of the gate before: `service p50`, `p90`."""
    found, before = [], ""
    for gate in gates:
        first, _, last = gate.gate.rpartition(" ")
        found.append((last if first and first == before else gate.gate, gate))
        before = first
    return found


def not_judged(compared: Sequence[GateResult]) -> Iterator[str]:
    """Yield a phrase that names the gates that were left out, with the reasons, if there are any."""
    left_out = [gate for gate in compared if gate.decision is Ruling.NOT_JUDGED]
    if left_out:
        yield f"not judged: {_by_reason(left_out)}"


def _by_reason(gates: Sequence[GateResult]) -> str:
    """Return the names of gates with the reason of each: `p99.9 (3,600 samples, 10,000 needed)`."""
    reasons = dict.fromkeys(gate.reason for gate in gates)
    alike = ([gate for gate in gates if gate.reason == reason] for reason in reasons)
    return ", ".join(f"{_names(some)} ({reason})" for some, reason in zip(alike, reasons, strict=True))


def _unchanged(gates: Sequence[GateResult]) -> str:
    better = any((gate.change_ratio or 0) < -(gate.margin_ratio or 0) for gate in gates)
    (name, first), *others = short_names(gates)
    told = ", ".join([_in_full(name, first), *(f"{name} {change(gate)}" for name, gate in others)])
    return f"{text.counted(len(gates), 'gate')} unchanged{' or better' if better else ''}: {told}"


def _enough_pairs(pairs: int, units: int) -> str:
    """Return what to run if there are too few pairs to know how much runs differ."""
    if pairs <= 1:
        return "run a duel"
    return f"run at least {MIN_UNITS} {'pairs' if units == pairs else 'units of pairs'}"


def _unsettled(gates: Sequence[GateResult], enough: str) -> Iterator[str]:
    """Yield which gates lack data, then which look worse, then which are too close to the margin.

    What to do about the others is left out where longer runs are needed first: one action, not three.

    Args:
        gates: the gates that are INCONCLUSIVE.
        enough: what settles a gate that one or a few pairs cannot settle.
    """
    if lacking := [gate for gate in gates if not gate.compared]:
        yield f"too little data to judge {_by_reason(lacking)}"
    longer = how_much_longer(lacking)
    if suspect := [gate for gate in gates if gate.suspect]:
        yield f"suspect: {_told(suspect)}{'' if longer else f': {enough}'}"
    unclear = [gate for gate in gates if gate.compared and not gate.suspect]
    if between := [gate for gate in unclear if gate.between_us is not None and not gate.in_points]:
        yield f"unclear: {_told(between)}{'' if longer else f': {enough}'}"
    if close := [gate for gate in unclear if gate not in between]:
        yield f"unclear: {_told(close)}{'' if longer else _remedy(close)}"


def how_much_longer(gates: Iterable[GateResult]) -> str:
    """Return how much longer the runs must be for gates that have too few samples, empty if unknown.

    Args:
        gates: gates of a comparison of one pair.
    """
    least = {gate.name: gate.least_samples for gate in GATES}
    found = [(least.get(gate.gate, 0), min(gate.baseline_samples, gate.candidate_samples)) for gate in gates]
    times = max((needed / samples for needed, samples in found if samples > 0), default=0.0)
    if times <= 1:
        return ""
    factor = text.count(math.ceil(times)) if times > 2 else f"{max(1.1, math.ceil(10 * times) / 10):.3g}"
    return f"{factor} times as long"


def _remedy(unclear: Sequence[GateResult]) -> str:
    """Return how many more pairs would settle gates that one or a few pairs did not; empty if unknown."""
    needed = [gate.more_pairs for gate in unclear if gate.more_pairs is not None]
    if not needed:
        return ""
    some = "" if len(needed) == len(unclear) else " the others"
    return f": {text.counted(max(needed), 'more pair')} would settle{some or ' it'}"


def _told(gates: Sequence[GateResult]) -> str:
    """Return the first gates in full, and the names of the others."""
    shown, others = short_names(gates)[:_MOST_IN_FULL], gates[_MOST_IN_FULL:]
    in_full = ", ".join(_in_full(name, gate) for name, gate in shown)
    return f"{in_full}; also {_names(others)}" if others else in_full


def _in_full(name: str, gate: GateResult) -> str:
    changed = f"{change(gate)} ({interval(gate)}, margin {margin(gate)})"
    if gate.between_us is None:
        return f"{name} {changed}"
    low, high = map(text.span, gate.between_us)
    groups = f"{name} falls between two groups of replies, around {low} and {high}"
    if not gate.in_points:
        return groups
    if gate.kind is GateKind.DRIFT:
        return f"{groups}: the slower group's share grew by {changed}"
    return f"{groups}: share of the slower group {changed}{_moved(gate)}"


def _moved(gate: GateResult) -> str:
    """Return that a group itself is slower, if its share does not explain the decision."""
    if gate.low_ratio is None or gate.high_ratio is None or gate.margin_ratio is None:
        return ""
    if gate.decision is Ruling.FAIL and gate.low_ratio <= gate.margin_ratio:
        return ", but one of the groups became slower"
    if gate.decision is Ruling.INCONCLUSIVE and gate.high_ratio < gate.margin_ratio:
        return ", but one of the groups may be slower"
    return ""


def _names(gates: Sequence[GateResult]) -> str:
    """Join the names of gates: `service p50, p90 and connect p95`."""
    return _and(name for name, _ in short_names(gates))


def _and(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
