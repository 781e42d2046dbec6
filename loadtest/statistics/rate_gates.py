"""Gates on counted events over pairs: slow replies and losses (`loadtest.statistics.event_counts`)."""

import math
from dataclasses import replace

import numpy as np

from loadtest.ruling import Ruling
from loadtest.statistics.event_counts import CLUSTER, Rates, Side
from loadtest.statistics.gate_comparison import (
    Comparison,
    GateTask,
    in_ms,
    in_percent,
    in_points,
    known_of,
    remedy,
    with_levels,
)
from loadtest.statistics.margins import Gate, GateKind
from loadtest.statistics.measured_run import slow_above_us
from loadtest.statistics.quantiles import pooled
from loadtest.statistics.rule import Bounds, Levels, more_units


def judge_slow(gate: Gate, task: GateTask) -> Comparison:
    """Return the comparison of the share of replies beyond `slow_above_us` of the baseline's quantile."""
    every = pooled([before.histogram(gate.tag) for before, _ in task.pairs])
    limit_us = slow_above_us(every.percentile_us(gate.quantile))

    def counted(side: int) -> Side:
        runs = [[pair[side].histogram(gate.tag) for pair in unit] for unit in task.units]
        return Side(
            np.array([sum(run.count_above(limit_us) for run in unit) for unit in runs], dtype=np.float64),
            np.array([sum(run.samples for run in unit) for unit in runs], dtype=np.float64),
        )

    rates = Rates.of(counted(0), counted(1))
    bounds = rate_bounds(rates, gate, task.levels, len(task.units))
    seen = (
        f"{in_percent(rates.candidate)} of the replies took more than {in_ms(limit_us)}, "
        f"{in_percent(rates.baseline)} in the baseline: changed by {in_points(bounds, bounds.margin)}"
    )
    return replace(
        _judged_rate(gate, task, rates, bounds, seen=seen, of="replies"),
        slow_us=limit_us,
        baseline_ratio=rates.baseline,
        candidate_ratio=rates.candidate,
        change_ratio=bounds.change,
        low_ratio=bounds.low,
        high_ratio=bounds.high,
        margin_ratio=bounds.margin,
    )


def judge_losses(gate: Gate, task: GateTask) -> Comparison:
    """Return the comparison of lost connections per session-hour."""

    def counted(side: int) -> Side:
        return Side(
            np.array([sum(pair[side].losses for pair in unit) for unit in task.units], dtype=np.float64),
            np.array([math.fsum(pair[side].session_hours for pair in unit) for unit in task.units]),
        )

    rates = Rates.of(counted(0), counted(1))
    bounds = rate_bounds(rates, gate, task.levels, len(task.units))
    seen = (
        f"{rates.candidate:.3g} losses per session-hour, {rates.baseline:.3g} in the baseline: changed by "
        f"{bounds.change:+.3g} ({bounds.low:+.3g} to {bounds.high:+.3g}), margin {bounds.margin:.3g}"
    )
    return replace(
        _judged_rate(gate, task, rates, bounds, seen=seen, of="session-hours"),
        baseline_per_h=rates.baseline,
        candidate_per_h=rates.candidate,
        change_per_h=bounds.change,
        low_per_h=bounds.low,
        high_per_h=bounds.high,
        margin_per_h=bounds.margin,
    )


def _judged_rate(
    gate: Gate, task: GateTask, rates: Rates, bounds: Bounds, *, seen: str, of: str
) -> Comparison:
    """Return the comparison of a rate, judged by the rule."""
    units = len(task.units)
    found = replace(with_levels(known_of(gate, task), task), decision=bounds.decision, reason=seen)
    if bounds.decision is not Ruling.INCONCLUSIVE:
        return found
    if reason := _left_out(gate, task, rates, of=of):
        return replace(found, decision=Ruling.NOT_JUDGED, reason=reason)

    def at(later: int) -> Bounds:
        return rate_bounds(rates.times(later / units), gate, task.levels.at(later), later)

    more = task.in_pairs(more_units(at, units, task.levels))
    return replace(found, reason=f"{seen}{remedy(more, bounds)}", more_pairs=more)


def _left_out(gate: Gate, task: GateTask, rates: Rates, *, of: str) -> str:
    """Return what a gate that did not PASS would have needed; empty if it is open.

    It is left out if this many pairs could not PASS even without any event. It is also left out if it would
    PASS without the assumption that events come in clusters, unless later looks may have enough.
    """
    units, singly = len(task.units), replace(rates, cluster=1.0)
    last = max(units, *(task.levels.looks or (0,)))
    level, absolute = task.levels.to_pass(last), _absolute(gate)
    needed = [one.times(last / units).exposure_needed(absolute, level) for one in (singly, rates)]
    if needed[0] is None or needed[1] is None:
        return "has no absolute margin"
    planned = min(rates.baseline_exposure, rates.candidate_exposure) * last / units
    passes_singly = rate_bounds(singly, gate, task.levels, units).decision is Ruling.PASS
    if needed[0] > planned:
        return f"needs {needed[0]:,.0f} {of} per side"
    if passes_singly and (needed[1] > planned or units == last):
        least = f"{needed[1]:,.0f} {of} per side"
        return f"unchanged if events occur one at a time; if {CLUSTER:.0f} occur at once, needs {least}"
    return ""


def _absolute(gate: Gate) -> float:
    return gate.margin.absolute_ratio if gate.kind is GateKind.SLOW else gate.margin.absolute_per_h


def rate_bounds(rates: Rates, gate: Gate, levels: Levels, units: int) -> Bounds:
    """Return the bounds of a rate's change; by ratio if the relative margin is the larger one."""
    absolute, relative = _absolute(gate), gate.margin.relative_ratio * rates.baseline
    bounds_of = rates.relative_bounds if relative > absolute else rates.difference_bounds
    low, high = bounds_of(low_level=levels.to_fail(units), high_level=levels.to_pass(units))
    return Bounds(change=rates.change, low=low, high=high, margin=max(absolute, relative))
