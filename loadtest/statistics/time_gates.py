"""Gates on times: quantiles, the drift, and the share of a slow group where a quantile cannot decide."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from loadtest.ruling import Ruling, worst
from loadtest.statistics.gate_comparison import (
    Comparison,
    GateTask,
    in_ms,
    in_points,
    known_of,
    ln_percent,
    ratio_of,
    remedy,
    signed_percent,
    typical_us,
    with_levels,
)
from loadtest.statistics.margins import Gate
from loadtest.statistics.measured_run import MeasuredRun, value
from loadtest.statistics.mode_boundary import Gap, gap_at
from loadtest.statistics.rule import MIN_UNITS, Bounds, more_units
from loadtest.statistics.time_changes import TimeChange, spread_of_mean


def judge_quantile(gate: Gate, task: GateTask) -> Comparison:
    """Return the comparison of a quantile, or of the share of the slower group if it lies between two."""
    known = known_of(gate, task)
    assert known.margin_ratio is not None, "runs without samples were turned away"
    margin = math.log1p(known.margin_ratio)
    found = _judged_time(gate, task, known, margin=margin, seen="")
    gap = None if found.decision is Ruling.PASS else _gap(gate, task, margin)
    return found if gap is None else _judged_groups(gate, task, found, gap)


def _gap(gate: Gate, task: GateTask, margin: float) -> Gap | None:
    """Return the gap in which the quantile of either side lies, None if there is none."""
    sides = ([pair[side].histogram(gate.tag) for pair in task.pairs] for side in (0, 1))
    return next((gap for runs in sides if (gap := gap_at(runs, gate.quantile, margin))), None)


def judge_drift(gate: Gate, task: GateTask) -> Comparison:
    """Return the comparison of how much a quantile grew from the first to the last third of the runs."""
    baseline_us = typical_us(gate, [before.histogram(gate.tag) for before, _ in task.pairs]) or 0.0
    trends = [
        math.expm1(math.fsum(value(gate, pair[side]) or 0.0 for pair in task.pairs) / len(task.pairs))
        for side in (0, 1)
    ]
    known = replace(
        known_of(gate, task),
        baseline_ratio=trends[0],
        candidate_ratio=trends[1],
        margin_ratio=gate.margin.ratio(baseline_us),
    )
    was, now = map(signed_percent, trends)
    seen = f"from the first to the last third {now}, in the baseline {was}: "
    margin = math.log1p(known.margin_ratio or 0.0)
    found = _judged_time(gate, task, known, margin=margin, seen=seen)
    gap = None if found.decision is Ruling.PASS else _gap(gate, task, margin)
    return found if gap is None else _judged_trend_of_shares(gate, task, found, gap)


def _judged_trend_of_shares(gate: Gate, task: GateTask, found: Comparison, gap: Gap) -> Comparison:
    """Return the comparison of how much the slower group grew from the first to the last third of the runs.

    The medians of the thirds jump between the groups by chance, or because more and more replies are slow.
    """
    reason = _groups(gate, gap)
    if task.few:
        suspect = found.suspect or found.decision is Ruling.FAIL
        ruling = Ruling.INCONCLUSIVE if suspect else Ruling.NOT_JUDGED
        return replace(found, decision=ruling, suspect=suspect, more_pairs=None, reason=reason)
    differences = [
        math.fsum(
            _growth(gate, after, gap.middle_us) - _growth(gate, before, gap.middle_us)
            for before, after in unit
        )
        / len(unit)
        for unit in task.units
    ]
    change = _change_of_mean(differences)
    margin = gate.margin.relative_ratio * (1 - gate.quantile)
    bounds, more = change.bounds(margin, task.levels), None
    if bounds.decision is Ruling.INCONCLUSIVE:
        more = task.in_pairs(
            more_units(lambda n: change.bounds_at(n, margin, task.levels), change.units, task.levels)
        )
    return replace(
        found,
        decision=bounds.decision,
        suspect=False,
        more_pairs=more,
        reason=f"{reason}; from the first to the last third the share of the slower changed by "
        f"{in_points(bounds, margin)}{remedy(more, bounds)}",
        baseline_ratio=float(np.mean([_growth(gate, before, gap.middle_us) for before, _ in task.pairs])),
        candidate_ratio=float(np.mean([_growth(gate, after, gap.middle_us) for _, after in task.pairs])),
        change_ratio=bounds.change,
        low_ratio=bounds.low,
        high_ratio=bounds.high,
        margin_ratio=margin,
        between_us=(gap.below_us, gap.above_us),
    )


def _growth(gate: Gate, run: MeasuredRun, limit_us: float) -> float:
    """Return the share of replies above a limit in the last third of a run less that in the first."""
    first, last = (third.count_above(limit_us) / third.samples for third in run.thirds(gate.tag))
    return last - first


def _judged_time(gate: Gate, task: GateTask, known: Comparison, *, margin: float, seen: str) -> Comparison:
    """Return the comparison of a gate on times, judged by the rule."""
    change = task.change(gate)
    bounds = change.bounds(margin, task.levels)
    more = None
    if bounds.decision is Ruling.INCONCLUSIVE:
        more = task.in_pairs(
            more_units(lambda n: change.bounds_at(n, margin, task.levels), change.units, task.levels)
        )
    assumed = task.few and task.noise_of(gate).assumed(same_day=task.same_day)
    plain = change.bounds(margin, task.levels, cautiously=False)
    suspect = (
        assumed
        and bounds.decision is Ruling.INCONCLUSIVE
        and (
            change.difference > max(margin, math.sqrt(change.spread.variance))
            or plain.decision is Ruling.FAIL
        )
    )
    noise = task.noise_of(gate).text(same_day=task.same_day) if task.few else ""
    return replace(
        with_levels(known, task),
        decision=bounds.decision,
        reason=seen + _time_reason(bounds, noise=noise, suspect=suspect, more=more),
        suspect=suspect,
        change_ratio=ratio_of(bounds.change),
        low_ratio=ratio_of(bounds.low),
        high_ratio=ratio_of(bounds.high),
        more_pairs=more,
    )


def _groups(gate: Gate, gap: Gap) -> str:
    ends = f"{in_ms(gap.below_us)} and {in_ms(gap.above_us)}"
    return f"p{100 * gate.quantile:g} lies between two groups of replies, around {ends}"


def _judged_groups(gate: Gate, task: GateTask, found: Comparison, gap: Gap) -> Comparison:
    """Return the comparison of two groups of replies: the share of the slower, and the times within each.

    Equal shares are not enough for a PASS if a group itself became slower. A FAIL of any of the three fails
    the gate, so they share its error: half goes to the share, a quarter to each group.
    """
    found = replace(found, between_us=(gap.below_us, gap.above_us), more_pairs=None)
    if task.few:
        # The quantile jumps from run to run, whatever the noise of other gates: worse is not yet a FAIL.
        worse = found.change_ratio is not None and found.change_ratio > (found.margin_ratio or 0.0)
        reason = f"{_groups(gate, gap)}: compare the share of each group with {MIN_UNITS} pairs or more"
        return replace(found, decision=Ruling.INCONCLUSIVE, suspect=worse, reason=reason)
    levels = replace(task.levels, gates=2 * task.levels.gates)
    margin = gate.margin.relative_ratio * (1 - gate.quantile)
    change = _share_change(gate, task, gap.middle_us)
    bounds = change.bounds(margin, levels)
    moved = _moved(gate, task, gap)
    ruling = worst([bounds.decision, *moved.values()])
    more = None
    if bounds.decision is Ruling.INCONCLUSIVE:
        more = task.in_pairs(more_units(lambda n: change.bounds_at(n, margin, levels), change.units, levels))
    slower = [f"; the {name} group became slower" for name, one in moved.items() if one is Ruling.FAIL]
    unsure = [
        f"; the {name} group may be slower" for name, one in moved.items() if one is Ruling.INCONCLUSIVE
    ]
    shares = [_shares_above(gate, task, gap.middle_us, side) for side in (0, 1)]
    return replace(
        found,
        decision=ruling,
        reason=f"{_groups(gate, gap)}; the share of the slower changed by {in_points(bounds, margin)}"
        f"{''.join(slower or unsure)}{remedy(more, bounds)}",
        baseline_ratio=float(np.mean(shares[0])),
        candidate_ratio=float(np.mean(shares[1])),
        change_ratio=bounds.change,
        low_ratio=bounds.low,
        high_ratio=bounds.high,
        margin_ratio=margin,
        fail_level_ratio=levels.to_fail(change.units),
        more_pairs=more,
    )


def _shares_above(gate: Gate, task: GateTask, limit_us: float, side: int) -> list[float]:
    """Return the share of replies above a limit in each unit, as the mean over its runs."""
    units = [[pair[side].histogram(gate.tag) for pair in unit] for unit in task.units]
    return [math.fsum(run.count_above(limit_us) / run.samples for run in unit) / len(unit) for unit in units]


def _share_change(gate: Gate, task: GateTask, limit_us: float) -> TimeChange:
    before, after = (_shares_above(gate, task, limit_us, side) for side in (0, 1))
    return _change_of_mean([b - a for a, b in zip(before, after, strict=True)])


def _change_of_mean(differences: Sequence[float]) -> TimeChange:
    spread = spread_of_mean(differences)
    return TimeChange(
        difference=math.fsum(differences) / len(differences),
        units=len(differences),
        spread=spread,
        cautious=spread,
    )


def _moved(gate: Gate, task: GateTask, gap: Gap) -> dict[str, Ruling]:
    """Return whether each group is unchanged, compared at the quantile in its middle."""
    levels = replace(task.levels, gates=4 * task.levels.gates)
    least = 1.0 / min(run.histogram(gate.tag).samples for pair in task.pairs for run in pair)
    middles = {"faster": gap.below_rank / 2.0, "slower": (gap.above_rank + 1.0) / 2.0}
    found = {}
    for name, middle in middles.items():
        of_group = replace(gate, quantile=min(max(middle, least), 1.0 - least))
        baseline_us = typical_us(of_group, [before.histogram(gate.tag) for before, _ in task.pairs]) or 0.0
        margin = math.log1p(gate.margin.ratio(baseline_us))
        found[name] = task.change(of_group).bounds(margin, levels).decision
    return found


def _time_reason(bounds: Bounds, *, noise: str, suspect: bool, more: int | None) -> str:
    interval = f"{ln_percent(bounds.low)} to {ln_percent(bounds.high)}"
    seen = f"changed by {ln_percent(bounds.change)} ({interval}), margin {100 * ratio_of(bounds.margin):.3g}%"
    if bounds.decision is not Ruling.INCONCLUSIVE:
        return seen
    seen = f"{seen}, {noise}" if noise else seen
    return f"{seen}: suspect, run a duel to decide" if suspect else f"{seen}{remedy(more, bounds)}"
