"""Whether runs have the data that a gate needs, and if not, what is missing.

Few units: each run needs ten values beyond the quantile, so that no single one decides it, in ten seconds or
more, which the bootstrap resamples. Four units or more: each run needs one value beyond it, and each side
ten, because the spread of the units shows how uncertain their quantiles are.
"""

import math
from collections.abc import Sequence

from loadtest import text
from loadtest.statistics.margins import Gate, GateKind
from loadtest.statistics.measured_run import MeasuredRun
from loadtest.statistics.quantiles import SecondlyHistograms
from loadtest.statistics.rule import MIN_UNITS
from loadtest.statistics.time_changes import Unit

MIN_SECONDS = 10
"""Seconds with values that a run needs to be judged alone."""


def lack(gate: Gate, units: Sequence[Unit], *, planned: int = 0) -> str:
    """Return what is missing to judge these units at a gate; empty if nothing is.

    Args:
        gate: the gate.
        units: the units so far.
        planned: planned number of units, if higher; further units count as the average of these.
    """
    planned = max(planned, len(units))
    pairs = [pair for unit in units for pair in unit]
    if not pairs:
        return "no pair of runs to compare"
    if gate.kind.counted and planned < MIN_UNITS:
        return f"needs {MIN_UNITS} pairs or more"
    if gate.tag == "response" and not all(run.closed_load for pair in pairs for run in pair):
        return "open arrivals: no request waits for a reply"
    if gate.kind is GateKind.LOSSES:
        silent = any(run.session_hours <= 0 for pair in pairs for run in pair)
        return "no session was established in one of the runs" if silent else ""
    if not any(run.histogram(gate.tag).samples for pair in pairs for run in pair):
        return f"no {gate.tag} samples"
    few = planned < MIN_UNITS
    least = gate.least_samples if few else gate.least_samples_of_many
    for number, pair in enumerate(pairs, start=1):
        for role, run in zip(("baseline", "candidate"), pair, strict=True):
            if found := _lack(gate, run, least, few=few):
                name = f"the {role} of pair {number}" if len(pairs) > 1 else f"the {role}"
                return f"{name} has {found}"
    return _side_lack(gate, pairs, times=planned / len(units))


def least_samples(gate: Gate, *, pairs: int = 1, units: int = 1) -> int:
    """Return the samples that each run needs for a gate if all runs of a plan have equally many.

    Args:
        gate: the gate.
        pairs, units: planned numbers; fewer than `MIN_UNITS` units are judged run by run.
    """
    if units < MIN_UNITS:
        return gate.least_samples
    return max(gate.least_samples_of_many, math.ceil(gate.least_samples / pairs))


def lack_of_runs(gate: Gate, runs: Sequence[MeasuredRun], *, pairs: int = 1, units: int = 1) -> str:
    """Return in a few words what these runs lack for a gate; empty if nothing.

    Args:
        gate: the gate. Always empty for gates that count events, because no run is judged by them alone.
        runs: some or all runs of a plan.
        pairs, units: planned numbers, if all runs have as many samples as these.
    """
    least, few = least_samples(gate, pairs=pairs, units=units), units < MIN_UNITS
    if gate.kind.counted:
        return ""
    return next((found for run in runs if (found := _lack(gate, run, least, few=few))), "")


def _lack(gate: Gate, run: MeasuredRun, least: int, *, few: bool) -> str:
    """Return what one run lacks."""
    if gate.kind is GateKind.DRIFT:
        thirds = [_thin(gate, third, gate.least_samples, few=False) for third in run.thirds(gate.tag)]
        return next((f"{found}, in a third of the run" for found in thirds if found), "")
    return _thin(gate, run.histogram(gate.tag), least, few=few)


def _thin(gate: Gate, run: SecondlyHistograms, least: int, *, few: bool) -> str:
    if run.samples < least:
        return _samples(gate, run.samples, least)
    if few and run.busy < MIN_SECONDS:
        return f"samples in {text.counted(run.busy, 'second')}, {MIN_SECONDS} are needed"
    return ""


def _samples(gate: Gate, samples: int, least: int) -> str:
    if not samples:
        return "no samples"
    return f"{text.counted(samples, 'sample')}, {gate.label} needs {text.count(least)}"


def _side_lack(gate: Gate, pairs: Sequence[tuple[MeasuredRun, MeasuredRun]], *, times: float) -> str:
    """Return what a side lacks over all its runs, with `times` as many runs."""
    if gate.kind is GateKind.DRIFT:
        return ""
    for role, runs in zip(("baseline", "candidate"), zip(*pairs, strict=True), strict=True):
        samples = sum(run.histogram(gate.tag).samples for run in runs)
        if times * samples < gate.least_samples:
            return f"the {role} has {_samples(gate, samples, gate.least_samples)} in total"
    return ""
