"""The result of a gate, the data that all gates of a comparison share, and how their numbers are written."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from loadtest.ruling import Ruling
from loadtest.statistics.margins import Gate, GateKind
from loadtest.statistics.measured_run import MeasuredRun
from loadtest.statistics.noise import Noise, assumed_noise
from loadtest.statistics.quantiles import RESOLUTION_US, SecondlyHistograms
from loadtest.statistics.rule import MAX_PAIRS, MIN_UNITS, Bounds, Levels
from loadtest.statistics.time_changes import TimeChange, Unit, time_change

# e^50 is far beyond any latency ratio, and still a finite number in JSON.
_MAX_LN = 50.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The change of one gate, and the decision.

    Of a quantile, `*_us` are its values and the changes are relative. Of the drift, `baseline_ratio` and
    `candidate_ratio` are last third / first third - 1, and the change is the ratio of both trends - 1. Of
    slow replies (and of a quantile between two groups of replies, see `between_us`), `baseline_ratio` and
    `candidate_ratio` are shares of the replies, and the changes and the margin are differences of shares:
    0.001 is 0.1 points. Losses have `*_per_h` only. Values that do not apply or are unknown are None.

    Args:
        gate: the gate's name.
        kind, tag, quantile: the gate's.
        decision: PASS, FAIL, INCONCLUSIVE, or NOT_JUDGED if it was left out.
        reason: the reason in readable form.
        suspect: whether the estimate is above the margin and more than its own deviation, or even its lower
            bound is with the assumed noise, but assumed noise is not enough for a FAIL. A duel can decide.
        units: number of units compared: groups of pairs that share their process instances.
        pairs: number of pairs compared.
        baseline_samples, candidate_samples: number of samples over all runs; of losses, their number.
        baseline_us, candidate_us: HdrHistogram's percentile, with several runs their geometric mean.
        baseline_ratio, candidate_ratio: trend or share.
        baseline_per_h, candidate_per_h: losses per session-hour.
        change_ratio: the estimated change. Quantiles are interpolated within their buckets, so it may differ
            from that of the two percentiles by a bucket's width.
        low_ratio, high_ratio: one-sided bounds of the change, the lower at the level for FAIL, the upper at
            the level for PASS.
        margin_ratio: the margin in the same unit.
        change_per_h, low_per_h, high_per_h, margin_per_h: the same of losses.
        pass_level_ratio, fail_level_ratio: one-sided error levels of both bounds at this look.
        slow_us: of slow replies, the limit above which a reply is slow.
        between_us: the quantile lies between two groups of replies, and these are the values on both sides of
            the gap.
        more_pairs: number of further pairs that would settle it if the change is as estimated; None if no
            number would, if it is settled, or if it cannot be estimated.
    """

    gate: str
    kind: GateKind
    tag: str
    quantile: float
    decision: Ruling
    reason: str
    suspect: bool = False
    units: int = 0
    pairs: int = 0
    baseline_samples: int = 0
    candidate_samples: int = 0
    baseline_us: float | None = None
    candidate_us: float | None = None
    baseline_ratio: float | None = None
    candidate_ratio: float | None = None
    baseline_per_h: float | None = None
    candidate_per_h: float | None = None
    change_ratio: float | None = None
    low_ratio: float | None = None
    high_ratio: float | None = None
    margin_ratio: float | None = None
    change_per_h: float | None = None
    low_per_h: float | None = None
    high_per_h: float | None = None
    margin_per_h: float | None = None
    pass_level_ratio: float | None = None
    fail_level_ratio: float | None = None
    slow_us: float | None = None
    between_us: tuple[float, float] | None = None
    more_pairs: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateTask:
    """The data that all gates of a comparison share."""

    units: Sequence[Unit]
    noise: Mapping[str, Noise]
    same_day: bool
    levels: Levels
    rng: np.random.Generator
    resamples: int

    @property
    def pairs(self) -> Sequence[tuple[MeasuredRun, MeasuredRun]]:
        return [pair for unit in self.units for pair in unit]

    @property
    def few(self) -> bool:
        """Whether there are too few units to use their own spread."""
        return len(self.units) < MIN_UNITS

    def in_pairs(self, units: int | None) -> int | None:
        """Return the number of pairs in this many further units, if they are as large as these."""
        return None if units is None else math.ceil(units * len(self.pairs) / len(self.units))

    def noise_of(self, gate: Gate) -> Noise:
        return self.noise.get(gate.name) or assumed_noise(gate)

    def change(self, gate: Gate) -> TimeChange:
        return time_change(
            gate,
            self.units,
            noise=self.noise_of(gate),
            same_day=self.same_day,
            rng=self.rng,
            resamples=self.resamples,
        )


def known_of(gate: Gate, task: GateTask) -> Comparison:
    """Return a gate's data before any statistics: INCONCLUSIVE, without a reason."""
    before, after = ([pair[side] for pair in task.pairs] for side in (0, 1))
    found = Comparison(
        gate=gate.name,
        kind=gate.kind,
        tag=gate.tag,
        quantile=gate.quantile,
        decision=Ruling.INCONCLUSIVE,
        reason="",
        units=len(task.units),
        pairs=len(task.pairs),
    )
    if gate.kind is GateKind.LOSSES:
        return replace(
            found,
            baseline_samples=sum(run.losses for run in before),
            candidate_samples=sum(run.losses for run in after),
        )
    baseline, candidate = ([run.histogram(gate.tag) for run in runs] for runs in (before, after))
    found = replace(
        found,
        baseline_samples=sum(run.samples for run in baseline),
        candidate_samples=sum(run.samples for run in candidate),
    )
    if gate.kind is not GateKind.QUANTILE:
        return found
    baseline_us = typical_us(gate, baseline)
    return replace(
        found,
        baseline_us=baseline_us,
        candidate_us=typical_us(gate, candidate),
        margin_ratio=None if baseline_us is None else gate.margin.ratio(baseline_us),
    )


def typical_us(gate: Gate, runs: Sequence[SecondlyHistograms]) -> float | None:
    values = [value for run in runs if (value := run.percentile_us(gate.quantile)) is not None]
    if len(values) < 2:
        return values[0] if values else None
    return math.exp(math.fsum(math.log(max(value, RESOLUTION_US)) for value in values) / len(values))


def with_levels(known: Comparison, task: GateTask) -> Comparison:
    units = len(task.units)
    return replace(
        known, pass_level_ratio=task.levels.to_pass(units), fail_level_ratio=task.levels.to_fail(units)
    )


def ratio_of(ln: float) -> float:
    return math.expm1(max(-_MAX_LN, min(ln, _MAX_LN)))


def remedy(more: int | None, bounds: Bounds) -> str:
    """Return how a gate could be settled; empty if it is settled."""
    if bounds.decision is not Ruling.INCONCLUSIVE:
        return ""
    if more is None:
        return f": too close to the margin to decide with {MAX_PAIRS:,} pairs"
    return f": {more} more interleaved pair{'s' * (more != 1)} would settle it"


def in_points(bounds: Bounds, margin: float) -> str:
    change, low, high = (f"{100 * part + 0.0:+.2g}" for part in (bounds.change, bounds.low, bounds.high))
    return f"{change} points ({low} to {high}), margin {100 * margin:.3g} points"


def in_percent(ratio: float) -> str:
    return f"{100 * ratio:.3g}%" if ratio >= 0.1 else f"{100 * ratio:.2g}%"


def signed_percent(ratio: float) -> str:
    return f"{round(100 * ratio, 1) + 0.0:+.1f}%"


def ln_percent(ln: float) -> str:
    # Adding zero turns a rounded -0.0 into 0.0.
    return signed_percent(ratio_of(ln))


def in_ms(us: float) -> str:
    return f"{us / 1000:.3g} ms"
