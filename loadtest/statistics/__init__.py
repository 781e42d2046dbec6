"""Judging latency: from one-second histograms to PASS, FAIL or "cannot tell yet".

The only home of numpy and scipy. Pure: no clock, no file, and randomness comes in as a generator.

    intervals    one-second histograms as a matrix; percentiles
    bootstrap    how much a run's quantile varies by its own seconds
    noise        how much it varies from run to run
    looks        judging early without erring more often
    gates        which quantiles are judged, and their margins
    comparison   pairs of runs against a margin
    feasibility  whether a plan can tell at all
    trend        change points in a series of runs
"""

from loadtest.statistics.comparison import Comparison, Decision, Pair, compare
from loadtest.statistics.feasibility import Feasibility, feasibility
from loadtest.statistics.gates import (
    GATES,
    Gate,
    Margin,
    gates_with,
    margins_of,
    margins_text,
    parse_margins,
)
from loadtest.statistics.intervals import Intervals, aligned, merged
from loadtest.statistics.looks import LOOKS, nominal_level, plan_looks
from loadtest.statistics.noise import ASSUMED_NOISE, NoiseFloor, noise_floor
from loadtest.statistics.trend import ChangePoint, change_points

__all__ = [
    "ASSUMED_NOISE",
    "GATES",
    "LOOKS",
    "ChangePoint",
    "Comparison",
    "Decision",
    "Feasibility",
    "Gate",
    "Intervals",
    "Margin",
    "NoiseFloor",
    "Pair",
    "aligned",
    "change_points",
    "compare",
    "feasibility",
    "gates_with",
    "margins_of",
    "margins_text",
    "merged",
    "noise_floor",
    "nominal_level",
    "parse_margins",
    "plan_looks",
]
