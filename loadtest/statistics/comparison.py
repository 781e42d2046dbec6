"""Compares pairs of runs with the margins of all gates: is a release unchanged?

Each kind of gate has its own estimate of the change and its bounds; the rule is the same for all
(`loadtest.statistics.rule`):

    quantiles, drift      ln values over the units            (`time_gates`)
    slow replies, losses  rates with the dispersion of runs   (`rate_gates`)
    a quantile between    share of the slow group, if the quantile itself cannot settle
    two groups of replies                                     (`mode_boundary`)

A unit is one pair, or all pairs that share their process instances, because differences between two starts of
one server do not average out over such pairs. A gate that cannot be judged is INCONCLUSIVE if it is required;
otherwise it is left out (NOT_JUDGED) with its reason and does not prevent a PASS. At an early look, a gate
that the rest of the duel can still judge is open (INCONCLUSIVE). Unknown values are None, never NaN.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from loadtest.ruling import Ruling
from loadtest.statistics.bootstrap import RESAMPLES
from loadtest.statistics.gate_comparison import Comparison, GateTask, known_of, with_levels
from loadtest.statistics.margins import Gate, GateKind
from loadtest.statistics.noise import Noise
from loadtest.statistics.rate_gates import judge_losses, judge_slow
from loadtest.statistics.rule import MIN_UNITS, Levels
from loadtest.statistics.sufficiency import MIN_SECONDS, lack
from loadtest.statistics.time_changes import Unit
from loadtest.statistics.time_gates import judge_drift, judge_quantile

__all__ = ["MIN_SECONDS", "MIN_UNITS", "Comparison", "Unit", "compare"]

_JUDGES = {
    GateKind.QUANTILE: judge_quantile,
    GateKind.DRIFT: judge_drift,
    GateKind.SLOW: judge_slow,
    GateKind.LOSSES: judge_losses,
}


def compare(
    gates: Sequence[Gate],
    units: Sequence[Unit],
    *,
    rng: np.random.Generator,
    noise: Mapping[str, Noise] | None = None,
    same_day: bool = False,
    looks: tuple[int, ...] | None = None,
    resamples: int = RESAMPLES,
    families: int = 1,
) -> list[Comparison]:
    """Compare the candidate's runs with the baseline's at every gate.

    Args:
        gates: the gates to judge together, each with its margin.
        units: pairs (baseline, candidate), grouped by the process instances that they share, in the order of
            the runs; at least one.
        rng: source of the bootstrap's randomness; unused with four or more units.
        noise: run-to-run noise by gate name (`loadtest.statistics.noise.noise_of`); assumed where it is
            missing. Used with fewer than four units.
        same_day: whether both runs of every pair were made on one (UTC) day.
        looks: numbers of units at which a duel looks and may stop early; None for a single look, now.
        resamples: number of bootstrap resamples.
        families: number of gate sets judged together, one for each of a run's user classes.

    Returns:
        One comparison per gate, in their order.

    Raises:
        ValueError: there are more units than at the last planned look.
    """
    last = looks[-1] if looks else len(units)
    lacks = [lack(gate, units) for gate in gates]
    in_the_end = [lack(gate, units, planned=last) for gate in gates]
    levels = Levels(looks=looks, gates=families * max(1, in_the_end.count("")))
    task = GateTask(
        units=units, noise=noise or {}, same_day=same_day, levels=levels, rng=rng, resamples=resamples
    )
    levels.to_pass(len(units))  # raises for more units than planned, whatever the gates lack
    more = last - len(units)
    return [
        _compared(gate, task, now, still, more)
        for gate, now, still in zip(gates, lacks, in_the_end, strict=True)
    ]


def _compared(gate: Gate, task: GateTask, now: str, still: str, more: int) -> Comparison:
    """Return the comparison of one gate.

    Args:
        gate: the gate.
        task: the data that all gates share.
        now, still: what the gate lacks now, and what it will lack at the last look; empty if nothing.
        more: number of units from now to the last look.
    """
    if still:
        return _without(gate, task, still)
    return _open(gate, task, now, more) if now else _JUDGES[gate.kind](gate, task)


def _open(gate: Gate, task: GateTask, missing: str, more: int) -> Comparison:
    """Return the comparison of a gate that can be judged only after this many more units.

    If it were left out, an early look could PASS without it, and the error of a FAIL would be divided among
    fewer gates than later.
    """
    known, pairs = with_levels(known_of(gate, task), task), task.in_pairs(more)
    return replace(known, reason=f"{missing}: judged after {pairs} more pairs", more_pairs=pairs)


def _without(gate: Gate, task: GateTask, missing: str) -> Comparison:
    """Return the comparison of a gate that cannot be judged."""
    ruling = Ruling.INCONCLUSIVE if gate.required else Ruling.NOT_JUDGED
    return replace(known_of(gate, task), decision=ruling, reason=missing)
