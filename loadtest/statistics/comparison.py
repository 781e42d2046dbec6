"""Is a quantile unchanged? Compares one or more pairs of runs against a margin.

The estimate is the mean over the pairs of d = ln q(candidate) - ln q(baseline). With four or more pairs, the
pairs' own spread gives a t interval, which is valid whatever makes runs differ. With fewer, that spread says
too little: the variance is that of the block bootstrap of each run plus twice the noise floor's, with their
degrees of freedom combined after Welch and Satterthwaite (1946). A measured noise floor already includes
the sampling error of its runs, so the interval is too wide, by a factor of √2 at most.
PASS requires the whole interval below the margin; FAIL requires the estimate above the margin and the
interval above zero; anything else is INCONCLUSIVE. A release fails if any of its gates does, so for FAIL the
error is divided among the gates (Bonferroni); it passes only if all do, which needs no division (Berger,
Technometrics 24, 1982). The interval's lower end is therefore further out than its upper end. Unknown values
are None, never NaN.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from loadtest.ruling import Ruling
from loadtest.statistics.bootstrap import RESAMPLES, Spread, sampling_spread
from loadtest.statistics.distributions import student_quantile
from loadtest.statistics.margins import GATES, Gate
from loadtest.statistics.quantiles import RESOLUTION_US, SecondlyHistograms
from loadtest.statistics.sequential import ERROR, nominal_level

# Fewer runs would leave a standard deviation uncertain by more than a quarter: 1 / sqrt(2 (8 - 1)).
MIN_RUNS = 8
ASSUMED_RATIO = 0.05


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """The standard deviation of a run's ln-quantile from run to run.

    Args:
        deviation_ratio: in ln units, practically equal to a ratio at this size.
        runs: how many earlier runs it was measured over; 0 if it is assumed.
    """

    deviation_ratio: float
    runs: int

    @property
    def measured(self) -> bool:
        """Whether it was measured over earlier runs, not assumed."""
        return self.runs > 0

    @property
    def freedom(self) -> float:
        """Degrees of freedom; infinite if it is assumed."""
        return self.runs - 1 if self.measured else math.inf

    def __str__(self) -> str:
        source = f"measured over {self.runs} runs" if self.measured else "assumed"
        return f"run-to-run noise of {100 * self.deviation_ratio:.2g} %, {source}"


ASSUMED_NOISE = NoiseFloor(deviation_ratio=ASSUMED_RATIO, runs=0)


def noise_floor(ln_quantiles: Sequence[float | None]) -> NoiseFloor:
    """Return the noise over earlier runs of the same plan, or the assumed noise if there are fewer than 8.

    Args:
        ln_quantiles: one per run, from `SecondlyHistograms.ln_quantile`; None for a run without samples.
    """
    known = [value for value in ln_quantiles if value is not None and math.isfinite(value)]
    if len(known) < MIN_RUNS:
        return ASSUMED_NOISE
    return NoiseFloor(deviation_ratio=float(np.std(known, ddof=1)), runs=len(known))


Pair = tuple[SecondlyHistograms, SecondlyHistograms]

MIN_PAIRS = 4
MIN_SECONDS = 10
# A thousand pairs of one-minute runs take more than a day.
_MAX_PAIRS = 1_000
# e^50 is far beyond any latency ratio, and still a finite number in JSON.
_MAX_LN = 50.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The change of one gated quantile, and the decision.

    Args:
        tag, quantile: the gate's.
        decision: PASS, FAIL or INCONCLUSIVE.
        reason: why, for people.
        pairs: how many pairs were compared.
        baseline_samples, candidate_samples: number of samples over all runs.
        baseline_us, candidate_us: HdrHistogram's percentile, with several runs their geometric mean; None
            without samples.
        change_ratio: candidate / baseline - 1, from quantiles interpolated within their buckets, so it may
            differ from the two percentiles by a bucket's width; None with too few samples.
        low_ratio, high_ratio: interval of the change, at this look's level for FAIL and for PASS; None with
            too few samples.
        margin_ratio: the margin as a share of the baseline; None without samples.
        more_pairs: how many more pairs would settle it if the change is as estimated; None if no number
            would, if it is settled, or if there are too few samples.
    """

    tag: str
    quantile: float
    decision: Ruling
    reason: str
    pairs: int
    baseline_samples: int
    candidate_samples: int
    baseline_us: float | None = None
    candidate_us: float | None = None
    change_ratio: float | None = None
    low_ratio: float | None = None
    high_ratio: float | None = None
    margin_ratio: float | None = None
    more_pairs: int | None = None


@dataclass(frozen=True, slots=True)
class _Levels:
    """One-sided error levels for judging a number of pairs."""

    looks: tuple[int, ...] | None
    gates: int

    def to_pass(self, pairs: int) -> float:
        return (nominal_level(pairs, self.looks) if self.looks else ERROR) / 2

    def to_fail(self, pairs: int) -> float:
        return self.to_pass(pairs) / self.gates

    def later(self, pairs: int) -> list[tuple[int, float]]:
        """Return later numbers of pairs, each with its error to pass: planned looks, then all beyond them."""
        planned = [(look, self.to_pass(look)) for look in self.looks or () if look > pairs]
        beyond = range(max(pairs, *(self.looks or (0,))) + 1, _MAX_PAIRS + 1)
        return [later for later in (*planned, *((n, ERROR / 2) for n in beyond)) if later[0] >= MIN_PAIRS]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Estimate:
    """The mean difference of ln-quantiles, its interval, and the spread of a single pair."""

    difference: float
    low: float
    high: float
    pair_deviation: float
    pairs: int


def compare(
    gate: Gate,
    pairs: Sequence[Pair],
    *,
    rng: np.random.Generator,
    noise: NoiseFloor = ASSUMED_NOISE,
    looks: tuple[int, ...] | None = None,
    gates: int = len(GATES),
    resamples: int = RESAMPLES,
) -> Comparison:
    """Compare the candidate's quantile with the baseline's.

    Args:
        gate: the quantile and its margin; the tag only labels the result.
        pairs: (baseline, candidate) histograms of each pair, for the gate's tag, in the order they were run.
        rng: source of the bootstrap's randomness; unused with four or more pairs.
        noise: the quantile's run-to-run noise; used with fewer than four pairs.
        looks: numbers of pairs at which a duel looks and may stop early; None for a single look, now.
        gates: how many quantiles are judged together; the error of a FAIL is divided among them.
        resamples: number of bootstrap resamples.

    Raises:
        ValueError: there are more pairs than the last planned look.
    """
    problem = _too_little(gate, pairs)
    known = _known(gate, pairs, reason=problem)
    if problem or known.margin_ratio is None:
        return known
    levels = _Levels(looks=looks, gates=gates)
    estimate = _estimate(gate, pairs, rng=rng, noise=noise, levels=levels, resamples=resamples)
    margin = math.log1p(known.margin_ratio)
    decision = _decision(estimate, margin)
    more_pairs = None
    if decision is Ruling.INCONCLUSIVE:
        more_pairs = _more_pairs(estimate, margin, levels=levels)
    return replace(
        known,
        decision=decision,
        reason=_reason(estimate, margin, decision=decision, more_pairs=more_pairs, noise=noise),
        change_ratio=_ratio(estimate.difference),
        low_ratio=_ratio(estimate.low),
        high_ratio=_ratio(estimate.high),
        more_pairs=more_pairs,
    )


def _known(gate: Gate, pairs: Sequence[Pair], *, reason: str) -> Comparison:
    """Return the comparison as far as it needs no statistics, INCONCLUSIVE for this reason."""
    baseline_us = _typical_us(gate, [baseline for baseline, _ in pairs])
    return Comparison(
        tag=gate.tag,
        quantile=gate.quantile,
        decision=Ruling.INCONCLUSIVE,
        reason=reason,
        pairs=len(pairs),
        baseline_samples=sum(baseline.samples for baseline, _ in pairs),
        candidate_samples=sum(candidate.samples for _, candidate in pairs),
        baseline_us=baseline_us,
        candidate_us=_typical_us(gate, [candidate for _, candidate in pairs]),
        margin_ratio=None if baseline_us is None else gate.margin.ratio(baseline_us),
    )


def _typical_us(gate: Gate, runs: Sequence[SecondlyHistograms]) -> float | None:
    values = [value for run in runs if (value := run.percentile_us(gate.quantile)) is not None]
    if len(values) < 2:
        return values[0] if values else None
    return math.exp(math.fsum(math.log(max(value, RESOLUTION_US)) for value in values) / len(values))


def _too_little(gate: Gate, pairs: Sequence[Pair]) -> str:
    """Return what is missing for a judgement; empty if nothing is."""
    for number, pair in enumerate(pairs, start=1):
        for role, run in zip(("baseline", "candidate"), pair, strict=True):
            if lack := _lack(gate, run):
                name = f"the {role} of pair {number}" if len(pairs) > 1 else f"the {role}"
                return f"{name} {lack}"
    return "" if pairs else "there is no pair of runs to compare"


def _lack(gate: Gate, run: SecondlyHistograms) -> str:
    samples, least = run.samples, gate.least_samples
    if not samples:
        return f"has no {gate.tag} samples"
    if samples < least:
        times = max(1.1, least / samples)
        longer = f"{times:.1f}" if times < 10 else f"{times:,.0f}"
        remedy = f"run {longer} times as long, or at a higher rate"
        return f"has {samples} {gate.tag} samples, p{100 * gate.quantile:g} needs {least}: {remedy}"
    if run.busy < MIN_SECONDS:
        return f"has {gate.tag} samples in {run.busy} seconds only, {MIN_SECONDS} are needed: run longer"
    return ""


def _estimate(
    gate: Gate,
    pairs: Sequence[Pair],
    *,
    rng: np.random.Generator,
    noise: NoiseFloor,
    levels: _Levels,
    resamples: int,
) -> _Estimate:
    count = len(pairs)
    differences = np.array([_difference(gate, pair) for pair in pairs])
    if count >= MIN_PAIRS:
        pair_spread = Spread(variance=float(np.var(differences, ddof=1)), freedom=count - 1)
    else:
        runs = [run for pair in pairs for run in pair]
        parts = [sampling_spread(run, gate.quantile, rng=rng, resamples=resamples) for run in runs]
        # The variance of one pair: sampling variance of its two runs, plus the noise floor once for each.
        own = [Spread(part.variance / count, part.freedom) for part in parts]
        pair_spread = _joined([*own, Spread(2 * noise.deviation_ratio**2, noise.freedom)])
    pair_deviation = math.sqrt(pair_spread.variance)
    difference = float(differences.mean())
    error = pair_deviation / math.sqrt(count)
    return _Estimate(
        difference=difference,
        low=difference + error * float(student_quantile(pair_spread.freedom, levels.to_fail(count))),
        high=difference - error * float(student_quantile(pair_spread.freedom, levels.to_pass(count))),
        pair_deviation=pair_deviation,
        pairs=count,
    )


def _difference(gate: Gate, pair: Pair) -> float:
    baseline, candidate = (run.ln_quantile(gate.quantile) for run in pair)
    assert baseline is not None, "runs without samples were turned away"
    assert candidate is not None, "runs without samples were turned away"
    return candidate - baseline


def _joined(spreads: Sequence[Spread]) -> Spread:
    """Return the spread of a sum; its freedom f is (Σ v)² / Σ (v² / f) (Satterthwaite, 1946, equation 17)."""
    variance = math.fsum(spread.variance for spread in spreads)
    doubt = math.fsum(spread.variance**2 / spread.freedom for spread in spreads)
    return Spread(variance=variance, freedom=variance**2 / doubt if doubt > 0 else math.inf)


def _decision(estimate: _Estimate, margin: float) -> Ruling:
    """PASS: interval below the margin. FAIL: estimate above the margin, interval above zero."""
    if estimate.high < margin:
        return Ruling.PASS
    if estimate.difference > margin and estimate.low > 0:
        return Ruling.FAIL
    return Ruling.INCONCLUSIVE


def _more_pairs(estimate: _Estimate, margin: float, *, levels: _Levels) -> int | None:
    """Return how many more pairs would settle it, if estimate and spread stay the same."""
    passing = estimate.difference <= margin
    room = margin - estimate.difference if passing else estimate.difference
    pairs, errors = np.array(levels.later(estimate.pairs)).reshape(-1, 2).T
    reach = -student_quantile(pairs - 1, errors if passing else errors / levels.gates)
    settled = pairs[reach * estimate.pair_deviation / np.sqrt(pairs) < room]
    return int(settled[0]) - estimate.pairs if settled.size else None


def _ratio(ln: float) -> float:
    return math.expm1(min(ln, _MAX_LN))


def _reason(
    estimate: _Estimate, margin: float, *, decision: Ruling, more_pairs: int | None, noise: NoiseFloor
) -> str:
    interval = f"{_percent(estimate.low)} to {_percent(estimate.high)}"
    seen = f"changed by {_percent(estimate.difference)} ({interval}), margin {100 * _ratio(margin):.3g} %"
    if decision is not Ruling.INCONCLUSIVE:
        return seen
    if estimate.pairs < MIN_PAIRS:
        seen = f"{seen}, {noise}"
    if more_pairs is None:
        return f"{seen}: too close to the margin for {_MAX_PAIRS} pairs to tell"
    return f"{seen}: {more_pairs} more interleaved pair{'s' * (more_pairs != 1)} would settle it"


def _percent(ln: float) -> str:
    # Adding zero turns a rounded -0.0 into 0.0.
    return f"{round(100 * _ratio(ln), 1) + 0.0:+.1f} %"
