"""Is the latency verdict calibrated? Synthetic runs with known truth, judged as real ones are.

    python tests/benchmarks/calibration.py [REPEATS]

A run is made second by second: Poisson arrivals; a lognormal body and a separate tail of 3 %, so that p50
and p99 can be made worse apart; an AR(1) factor from second to second; a factor of the run; a drift that
goes on from run to run. Pairs are interleaved ABBA, as `loadtest duel` runs them. Prints how often an
unchanged server is called FAIL (to be at most 5 %), and how often a change of known size is. Takes about a
minute at the default number of repeats.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from loadtest.ruling import Ruling
from loadtest.statistics.comparison import (
    ASSUMED_NOISE,
    Comparison,
    NoiseFloor,
    Pair,
    compare,
    noise_floor,
)
from loadtest.statistics.margins import GATES, Gate, parse_margins
from loadtest.statistics.quantiles import SecondlyHistograms
from loadtest.statistics.sequential import LOOKS, plan_looks

DEFAULT_GATES = P50, P90, P99 = GATES[:3]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The truth that runs are drawn from; deviations and drift are in ln units."""

    seconds: int = 60
    rate_per_s: float = 200.0
    median_us: float = 20_000.0
    body_deviation: float = 0.25
    tail_ratio: float = 0.03
    tail_factor: float = 6.0
    tail_deviation: float = 0.35
    second_deviation: float = 0.05
    second_correlation: float = 0.7
    run_deviation: float = 0.03
    drift_per_run: float = 0.01
    body_change: float = 1.0
    tail_change: float = 1.0

    def run(self, rng: np.random.Generator, *, number: int = 0) -> SecondlyHistograms:
        """Draw the run that is the `number`th of its session."""
        arrivals = rng.poisson(self.rate_per_s, self.seconds)
        second = np.repeat(np.arange(self.seconds), arrivals)
        tail = rng.random(second.size) < self.tail_ratio
        ln = rng.normal(0.0, np.where(tail, self.tail_deviation, self.body_deviation))
        ln += np.where(tail, np.log(self.tail_factor * self.tail_change), np.log(self.body_change))
        ln += rng.normal(0.0, self.run_deviation) + self._seconds_ln(rng)[second]
        ln += self.drift_per_run * (number + second / self.seconds)
        return histogram((self.median_us * np.exp(ln)).astype(np.int64), second, seconds=self.seconds)

    def _seconds_ln(self, rng: np.random.Generator) -> npt.NDArray[np.float64]:
        series = np.empty(self.seconds)
        state = rng.normal()
        for i, shock in enumerate(rng.normal(0.0, np.sqrt(1 - self.second_correlation**2), self.seconds)):
            state = self.second_correlation * state + shock
            series[i] = state
        return self.second_deviation * series


def histogram(
    values_us: npt.NDArray[np.int64], second: npt.NDArray[np.int64], *, seconds: int
) -> SecondlyHistograms:
    """Count values into HdrHistogram's buckets of three significant digits, second by second."""
    shift = np.maximum(np.frexp(values_us.astype(np.float64))[1] - 11, 0)
    highest = (((values_us >> shift) + 1) << shift) - 1
    axis, column = np.unique(highest, return_inverse=True)
    counts = np.bincount(second * axis.size + column, minlength=seconds * axis.size)
    return SecondlyHistograms(counts.reshape(seconds, axis.size), axis.astype(np.float64))


def interleaved(baseline: Load, candidate: Load, *, pairs: int, rng: np.random.Generator) -> list[Pair]:
    """Run pairs in the order AB BA AB BA."""
    made = []
    for pair in range(pairs):
        a_first = pair % 2 == 0
        a = baseline.run(rng, number=2 * pair + (not a_first))
        b = candidate.run(rng, number=2 * pair + a_first)
        made.append((a, b))
    return made


@dataclass(slots=True)
class Tally:
    """How often each decision was reached, over all gates of a comparison together and by gate."""

    repeats: int = 0
    failed: int = 0
    passed: int = 0
    failed_by_gate: dict[str, int] = field(default_factory=dict)

    def add(self, results: dict[str, Comparison]) -> None:
        self.repeats += 1
        decisions = {result.decision for result in results.values()}
        self.failed += Ruling.FAIL in decisions
        self.passed += decisions == {Ruling.PASS}
        for name, result in results.items():
            self.failed_by_gate.setdefault(name, 0)
            self.failed_by_gate[name] += result.decision is Ruling.FAIL

    @property
    def fail_ratio(self) -> float:
        return self.failed / self.repeats


Judge = Callable[[np.random.Generator], dict[str, Comparison]]


def tally(judge: Judge, *, repeats: int, seed: int) -> Tally:
    """Judge that many independent sessions."""
    result = Tally()
    for rng in np.random.default_rng(seed).spawn(repeats):
        result.add(judge(rng))
    return result


def judge_single(load: Load, *, measured: bool, gates: Sequence[Gate] = DEFAULT_GATES) -> Judge:
    """Return a judge of one pair of an unchanged server, with the noise assumed or from 8 earlier runs."""

    def judge(rng: np.random.Generator) -> dict[str, Comparison]:
        noises: dict[str, NoiseFloor] = {}
        if measured:
            earlier = [load.run(rng, number=number) for number in range(8)]
            noises = {
                str(gate): noise_floor([run.ln_quantile(gate.quantile) for run in earlier]) for gate in gates
            }
        pair = (load.run(rng, number=8), load.run(rng, number=9))
        return {
            str(gate): compare(
                gate, [pair], rng=rng, noise=noises.get(str(gate), ASSUMED_NOISE), resamples=400
            )
            for gate in gates
        }

    return judge


def judge_pairs(load: Load, changed: Load, *, pairs: int, gates: Sequence[Gate] = DEFAULT_GATES) -> Judge:
    """Return a judge of a fixed number of interleaved pairs, looked at once."""

    def judge(rng: np.random.Generator) -> dict[str, Comparison]:
        made = interleaved(load, changed, pairs=pairs, rng=rng)
        return {_name(gate): compare(gate, made, rng=rng) for gate in gates}

    return judge


def judge_duel(
    load: Load, changed: Load, *, pairs: int = LOOKS[-1], gates: Sequence[Gate] = DEFAULT_GATES
) -> Judge:
    """Return a judge that looks when a duel of so many pairs does; a FAIL at any look stays."""
    looks = plan_looks(pairs)

    def judge(rng: np.random.Generator) -> dict[str, Comparison]:
        made = interleaved(load, changed, pairs=pairs, rng=rng)
        results: dict[str, Comparison] = {}
        for look in looks:
            for gate in gates:
                now = compare(gate, made[:look], rng=rng, looks=looks)
                before = results.get(_name(gate), now)
                results[_name(gate)] = before if before.decision is Ruling.FAIL else now
        return results

    return judge


def p99_at(percent: float) -> Gate:
    """Return p99 with the margin that `--margin p99=PERCENT%` gives it."""
    return parse_margins([f"p99={percent}%"])[GATES.index(P99)]


def _name(gate: Gate) -> str:
    return f"p{100 * gate.quantile:g} at {100 * gate.margin.relative_ratio:g} %"


def unchanged_rows(repeats: int) -> Iterator[str]:
    """Yield the table of false alarms."""
    yield f"{'unchanged server, drift 1 % a run':46} {'noise':>6} {'FAIL':>7} {'PASS':>7}"
    for noise in (0.0, 0.03, 0.05):
        load = Load(run_deviation=noise)
        designs = {
            "one pair, 5 % assumed": judge_single(load, measured=False),
            "one pair, noise from 8 earlier runs": judge_single(load, measured=True),
            "8 interleaved pairs, one look": judge_pairs(load, load, pairs=8),
            "duel, looks at 4, 8, 12 pairs": judge_duel(load, load),
        }
        for name, judge in designs.items():
            found = tally(judge, repeats=repeats, seed=1)
            passed = found.passed / found.repeats
            yield f"{name:46} {100 * noise:4.0f} % {100 * found.fail_ratio:5.1f} % {100 * passed:5.1f} %"


def changed_rows(repeats: int) -> Iterator[str]:
    """Yield the table of changes found with 8 pairs, by margin."""
    tail_gates = tuple(p99_at(percent) for percent in (10, 15, 20))
    changes: list[tuple[str, float, float, tuple[Gate, ...]]] = [("+20 % at p50", 1.2, 1.0, (P50,))]
    changes += [(f"+{100 * change - 100:.0f} % at p99", 1.0, change, tail_gates) for change in (1.2, 1.3)]
    yield f"{'change, gate at its margin, duel of 8 pairs':46} {'noise':>6} {'FAIL':>7}"
    for name, body, tail, gates in changes:
        for noise in (0.0, 0.03, 0.05):
            load = Load(run_deviation=noise)
            changed = replace(load, body_change=body, tail_change=tail)
            found = tally(judge_duel(load, changed, pairs=8, gates=gates), repeats=repeats, seed=2)
            for gate, failed in found.failed_by_gate.items():
                yield f"{f'{name}, {gate}':46} {100 * noise:4.0f} % {100 * failed / found.repeats:5.1f} %"


def main() -> None:
    """Print both tables."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    for row in (*unchanged_rows(repeats), "", *changed_rows(repeats)):
        print(row)


if __name__ == "__main__":
    main()
