"""The power of a planned comparison, computed before any run: which changes would PASS, which would FAIL.

Most releases change nothing, and should PASS: the upper bound must be below the margin. If the mean change
has the deviation s, this happens with a probability of 80% when (t(95%) + t(80%)) s is at most
ln(1 + margin), the usual sample size formula (Chow, Shao and Wang, "Sample Size Calculations", 2003,
section 3.2). A change FAILs with 80% when it is beyond the margin by (t(1 - 5% / gates) + t(80%)) s. A
pair's variance is twice a run's. A run's variance is the run-to-run noise, which more pairs average out but
longer runs do not, plus the sampling error of its seconds, which both reduce. Slow replies and losses are
simulated (`loadtest.statistics.rate_power`). Early looks cost little and are ignored.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from loadtest import text
from loadtest.statistics.bootstrap import Spread, sampling_spread
from loadtest.statistics.distributions import student_quantile
from loadtest.statistics.margins import GATES, Gate, GateKind
from loadtest.statistics.measured_run import MeasuredRun, slow_above_us
from loadtest.statistics.noise import Noise, assumed_noise
from loadtest.statistics.rate_power import CHANCE, RatePlan, fails_from, pairs_to_pass
from loadtest.statistics.rule import MAX_PAIRS, MIN_UNITS
from loadtest.statistics.sequential import ERROR
from loadtest.statistics.sufficiency import MIN_SECONDS, lack_of_runs
from loadtest.statistics.time_changes import CAUTION


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """The power of a plan at one gate, and the changes needed if it is too low.

    Margins and changes are in the gate's unit: shares of the baseline; for slow replies, shares of all
    replies; for losses, losses per session-hour.

    Args:
        gate: the gate.
        noise: its run-to-run noise.
        margin: the margin in force.
        fails_from: the smallest change that this plan would FAIL 4 times in 5.
        feasible: whether the margin is large enough that an unchanged server would PASS 4 times in 5.
        baseline_us: the quantile; None if it is not known, and then the margin is the relative one only.
        pairs_needed: number of pairs of this duration that would be enough; None if feasible or above 1000.
        duration_s_needed: length of the runs that would be enough with this number of pairs; None if
            feasible, if no duration is enough, or if the sampling error is not known.
    """

    gate: Gate
    noise: Noise
    margin: float
    fails_from: float
    feasible: bool
    baseline_us: float | None = None
    pairs_needed: int | None = None
    duration_s_needed: float | None = None

    @property
    def assumed(self) -> bool:
        """Whether its noise is assumed, not measured."""
        return not self.gate.kind.counted and self.noise.assumed(same_day=True)

    @property
    def detects(self) -> str:
        """Which change would FAIL: `p50 +9%`, `slow replies +0.05 pt`, `losses +2.1/h`."""
        name = self.gate.name.removeprefix("service ")
        return f"{name} +{_amount(self.gate, self.fails_from)}"


def detectable(found: Sequence[Power]) -> str:
    """Return one line with the changes that these settings can detect; empty if nothing is forecast."""
    changes = ", ".join(one.detects for one in found if math.isfinite(one.fails_from))
    return f"a change this large is found with 80% probability: {changes}" if changes else ""


def _amount(gate: Gate, amount: float) -> str:
    if gate.kind is GateKind.LOSSES:
        return f"{amount:.2g}/h"
    return f"{100 * amount:.2g} pt" if gate.kind is GateKind.SLOW else text.share(amount)


def power_of_gates(
    gates: Sequence[Gate],
    *,
    pairs: int,
    duration_s: float,
    baseline: MeasuredRun | None,
    noise: Mapping[str, Noise],
) -> list[Power]:
    """Return the power of a plan at each gate for which it can be forecast.

    Args:
        gates: gates with the margins in force.
        pairs: planned number of pairs.
        duration_s: planned duration of each run without its warm-up, in seconds.
        baseline: an earlier run under the same load; without one, only the gates that every run is judged by
            are forecast.
        noise: run-to-run noise by gate name; assumed where it is missing.
    """
    rng = np.random.default_rng(0)
    chosen = [gate for gate in gates if _foreseeable(gate, baseline, pairs)]
    return [
        power_of(
            gate,
            pairs=pairs,
            duration_s=duration_s,
            rng=rng,
            baseline=baseline,
            noise=noise.get(gate.name),
            gates=len(chosen),
        )
        for gate in chosen
    ]


def _foreseeable(gate: Gate, baseline: MeasuredRun | None, pairs: int) -> bool:
    """Whether the gate's power can be forecast from an earlier run, or without one."""
    if gate.required or baseline is None:
        return gate.required
    if gate.kind.counted:
        return pairs >= MIN_UNITS
    enough = not lack_of_runs(gate, [baseline])
    return enough and (gate.tag != "response" or baseline.closed_load)


def power_of(
    gate: Gate,
    *,
    pairs: int,
    duration_s: float,
    rng: np.random.Generator,
    baseline: MeasuredRun | None = None,
    noise: Noise | None = None,
    gates: int = len(GATES),
) -> Power:
    """Return the power of a plan at one gate.

    Args:
        gate: the gate with its margin. Slow replies and losses need a baseline.
        pairs: planned number of pairs, at least 1; for slow replies and losses at least `MIN_UNITS`.
        duration_s: planned duration of each run in seconds, above 0.
        rng: source of the bootstrap's randomness.
        baseline: an earlier run under the same load; without it only the relative margin and noise count.
        noise: the gate's run-to-run noise; assumed if None.
        gates: number of gates judged together.
    """
    noise = noise or assumed_noise(gate)
    if gate.kind.counted:
        assert baseline is not None, "nothing is known of events without a run"
        return _power_of_rate(gate, baseline, pairs=pairs, duration_s=duration_s, noise=noise, gates=gates)
    spread = noise.of_pair(same_day=True)
    sampling, baseline_us = _measured(gate, baseline, rng)
    margin_ratio = gate.margin.relative_ratio if baseline_us is None else gate.margin.ratio(baseline_us)
    margin, run_variance = math.log1p(margin_ratio), spread.variance + sampling / duration_s
    feasible = _reach(pairs, spread, ERROR) * math.sqrt(2 * run_variance) <= margin
    cautious = CAUTION if pairs < MIN_UNITS and noise.assumed(same_day=True) else 1.0
    doubted = math.sqrt(2 * (cautious**2 * spread.variance + sampling / duration_s) / pairs)
    lower = _student(pairs, spread, 1 - ERROR / gates) * doubted
    chance = _student(pairs, spread, CHANCE) * math.sqrt(2 * run_variance / pairs)
    return Power(
        gate=gate,
        noise=noise,
        margin=margin_ratio,
        baseline_us=baseline_us,
        fails_from=math.expm1(margin + lower + chance),
        feasible=feasible,
        pairs_needed=None if feasible else _pairs_needed(pairs, margin, run_variance, spread),
        duration_s_needed=None if feasible else _duration_s_needed(pairs, margin, sampling, spread),
    )


def _measured(
    gate: Gate, baseline: MeasuredRun | None, rng: np.random.Generator
) -> tuple[float, float | None]:
    """Return the variance of a second's sampling error and the quantile; 0 and None if they are not known."""
    run = None if baseline is None else baseline.histogram(gate.tag)
    if baseline is None or run is None or run.samples < gate.least_samples or run.busy < MIN_SECONDS:
        return 0.0, None
    parts = baseline.thirds(gate.tag) if gate.kind is GateKind.DRIFT else (run,)
    spreads = [sampling_spread(part, gate.quantile, rng=rng) for part in parts if part.samples]
    variance = math.fsum(spread.variance for spread in spreads)
    return variance * baseline.length_s(gate.tag), run.percentile_us(gate.quantile) or 0.0


def _student(pairs: int, noise: Spread, share: float) -> float:
    return float(student_quantile(pairs - 1 if pairs >= MIN_UNITS else noise.freedom, share))


def _reach(pairs: int, noise: Spread, error: float) -> float:
    """Return the distance from estimate to conclusion for a power of 80%, in deviations of a pair."""
    return (_student(pairs, noise, 1 - error) + _student(pairs, noise, CHANCE)) / math.sqrt(pairs)


def _pairs_needed(pairs: int, margin: float, run_variance: float, noise: Spread) -> int | None:
    deviation = math.sqrt(2 * run_variance)
    enough = (n for n in range(pairs + 1, MAX_PAIRS + 1) if _reach(n, noise, ERROR) * deviation <= margin)
    return next(enough, None)


def _duration_s_needed(pairs: int, margin: float, sampling: float, noise: Spread) -> float | None:
    """Solve reach² · 2 (noise² + sampling / T) = margin² for T."""
    left = (margin / _reach(pairs, noise, ERROR)) ** 2 / 2 - noise.variance
    return sampling / left if sampling > 0 and left > 0 else None


def _power_of_rate(
    gate: Gate, baseline: MeasuredRun, *, pairs: int, duration_s: float, noise: Noise, gates: int
) -> Power:
    """Return the power of a gate on independent events, at the baseline's own rate."""
    rate, a_second = _rate(gate, baseline)
    absolute = gate.margin.absolute_ratio if gate.kind is GateKind.SLOW else gate.margin.absolute_per_h
    margin = max(absolute, gate.margin.relative_ratio * rate)
    plan = RatePlan(gate=gate, rate=rate, exposure=a_second * duration_s, pairs=pairs, gates=gates)
    feasible = plan.passes()
    return Power(
        gate=gate,
        noise=noise,
        margin=margin,
        fails_from=fails_from(plan, margin),
        feasible=feasible,
        pairs_needed=None if feasible else pairs_to_pass(plan),
    )


def _rate(gate: Gate, run: MeasuredRun) -> tuple[float, float]:
    """Return the events per exposure of a run, and its exposure per second."""
    if gate.kind is GateKind.LOSSES:
        seconds = max(1, run.length_s("service"))
        return run.losses / max(run.session_hours, 1e-9), run.session_hours / seconds
    replies = run.histogram(gate.tag)
    slow = replies.count_above(slow_above_us(replies.percentile_us(gate.quantile)))
    return slow / max(1, replies.samples), replies.samples / max(1, run.length_s(gate.tag))
