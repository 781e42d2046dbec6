"""What of a run its latency is judged by, and what several runs together say of their own noise.

A run's evidence holds much that a comparison does not need; a duel of 24 long runs holds only this of each.
Deciding belongs to `loadtest.verdict.latency`, arithmetic to `loadtest.statistics`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from loadtest.evidence import Evidence, Manifest
from loadtest.statistics import (
    ASSUMED_NOISE,
    GATES,
    Feasibility,
    Gate,
    Intervals,
    NoiseFloor,
    feasibility,
    noise_floor,
)
from loadtest.statistics.comparison import LEAST_SECONDS
from loadtest.verdict.generator import judge_generator
from loadtest.verdict.items import Generator

OPTIONAL_TAGS = frozenset({"outage"})
"""Tags whose gates are left out where samples are too few."""

SHOWN_TAGS = ("service", "response", "outage")
"""Tags whose percentiles are told beside a comparison."""

_SAMPLES = {"service": "round trips", "outage": "outages"}
"""What the samples of a gated tag are."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Timing:
    """A run, as far as its latency goes.

    Args:
        intervals: after the warm-up, by tag of the gates.
        percentiles: of `SHOWN_TAGS`, as in verdict.json.
    """

    manifest: Manifest
    generator: Generator
    intervals: Mapping[str, Intervals]
    percentiles: Mapping[str, Mapping[str, float]]

    @property
    def problems(self) -> list[str]:
        """Why its latency cannot be judged: what its load generator could not do, or was not heard to do."""
        unended = [self.manifest.unended] if self.manifest.unended else []
        lost = [f"worker {worker} was lost" for worker in self.manifest.missing_workers]
        return [*self.generator.problems, *unended, *lost]

    def ln_quantile(self, gate: Gate) -> float | None:
        """Return a gated quantile's logarithm, None without samples."""
        return self.intervals[gate.tag].ln_quantile(gate.quantile)

    def told(self) -> dict[str, Any]:
        """Return which run this is, for an item's evidence."""
        return {
            "revision": self.manifest.revision,
            "run_id": self.manifest.run_id,
            "started_at": self.manifest.started_at,
            "complete": self.manifest.complete,
        }


def timing(evidence: Evidence, generator: Generator | None = None) -> Timing:
    """Return what of a run its latency is judged by."""
    return Timing(
        manifest=evidence.manifest,
        generator=generator or judge_generator(evidence),
        intervals={gate.tag: Intervals.from_mappings(evidence.after_warmup(gate.tag)) for gate in GATES},
        percentiles=evidence.percentile_table(SHOWN_TAGS),
    )


def noise_floors(earlier: Iterable[Timing]) -> dict[str, NoiseFloor]:
    """Return the noise floor by gate: measured over enough earlier runs, taken one by one, else assumed."""
    ln_quantiles: dict[str, list[float | None]] = {str(gate): [] for gate in GATES}
    for run in earlier:
        for gate in GATES:
            ln_quantiles[str(gate)].append(run.ln_quantile(gate))
    return {name: noise_floor(values) if values else ASSUMED_NOISE for name, values in ln_quantiles.items()}


def lack(gate: Gate, runs: Sequence[Timing]) -> str:
    """Return what of a gate's samples some of these runs have too few of, empty if nothing."""
    intervals = [run.intervals[gate.tag] for run in runs]
    samples, busy = min(run.samples for run in intervals), min(run.busy for run in intervals)
    if samples < gate.least_samples:
        return f"{samples} {_SAMPLES[gate.tag]}, {gate.least_samples} are needed"
    if busy < LEAST_SECONDS:
        return f"{_SAMPLES[gate.tag]} in {busy} seconds only, {LEAST_SECONDS} are needed"
    return ""


def resolvable(
    like: Timing | None,
    noise: Mapping[str, NoiseFloor],
    *,
    pairs: int,
    duration_s: float,
    gates: Sequence[Gate] = GATES,
) -> list[Feasibility]:
    """Return for each gate that such runs can be judged by whether so many pairs can tell.

    Args:
        like: an earlier run of the plan; without it the gates on outages are left out, of which nobody knows
            how many there will be.
        noise: by gate.
        duration_s: of each run, without its warm-up.
        gates: with the margins that are to be resolved.
    """
    rng = np.random.default_rng(0)
    return [
        feasibility(
            gate,
            pairs=pairs,
            duration_s=duration_s,
            rng=rng,
            baseline=None if like is None else like.intervals[gate.tag],
            noise=noise.get(str(gate), ASSUMED_NOISE),
        )
        for gate in gates
        if gate.tag not in OPTIONAL_TAGS or (like is not None and not lack(gate, [like]))
    ]
