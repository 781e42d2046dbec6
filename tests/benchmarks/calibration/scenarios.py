"""Scenarios: single pairs and duels of simulated runs, judged by the package's own functions.

A scenario is called with a generator and returns the outcome of one repetition. Nothing is judged here: the
decisions are `compare`'s, on noise from `noise_of`, and a duel ends when `loadtest duel` would end it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from loadtest.ruling import Ruling, worst
from loadtest.statistics.comparison import Comparison, Unit, compare
from loadtest.statistics.margins import GATES
from loadtest.statistics.measured_run import MeasuredRun, value
from loadtest.statistics.noise import PastRun, noise_of
from loadtest.statistics.sequential import plan_looks
from loadtest.verdict.items import Generator
from loadtest.verdict.latency import judge_pairs
from loadtest.verdict.timing import Timing
from tests.benchmarks.calibration.shapes import Floats, Ints
from tests.benchmarks.calibration.simulated import RUN_RATIOS, Load, run_shifts
from tests.support.runs import manifest

RESAMPLES = 100
"""Of the bootstrap: far fewer than usual, which leaves the variance of a run uncertain by a seventh."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one repetition.

    Args:
        gates: the comparison of each gate, by name.
        item: the verdict on latency, where it depends on more than the gates.
    """

    gates: dict[str, Comparison]
    item: Ruling | None = None

    @classmethod
    def of(cls, comparisons: Sequence[Comparison]) -> "Outcome":
        """Collect the comparisons of one look."""
        return cls({str(comparison.gate): comparison for comparison in comparisons})

    @property
    def ruling(self) -> Ruling:
        """The overall verdict; gates that were not judged do not count."""
        return self.item or worst(gate.decision for gate in self.gates.values())

    def decision(self, gate: str) -> Ruling:
        """Return the decision on one gate."""
        return self.gates[gate].decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Duel:
    """Interleaved pairs of runs, with looks after 4, 8 and 12.

    Args:
        load: load of the baseline's runs.
        changed: load of the candidate's runs; None for the same.
        pairs: planned number of pairs.
        once: whether the pairs are judged once, at the end.
        ratios: deviation of p50, p90 and p99 from run to run.
        instance_ratio: deviation from process to process, of all quantiles.
        restart_every: how many pairs share a process of each side.
        creep_ratio: the machine becomes slower by this share from run to run.
    """

    load: Load
    changed: Load | None = None
    pairs: int = 12
    once: bool = False
    ratios: Sequence[float] = RUN_RATIOS
    instance_ratio: float = 0.0
    restart_every: int = 1
    creep_ratio: float = 0.0

    def __call__(self, rng: np.random.Generator) -> Outcome:
        """Run one duel to its end."""
        pairs = self._pairs(rng)
        looks = (self.pairs,) if self.once else plan_looks(self.pairs)
        outcome = Outcome({})
        for look in looks:
            outcome = Outcome.of(
                compare(
                    GATES,
                    self._units(pairs[:look]),
                    noise={},
                    same_day=True,
                    looks=looks,
                    rng=rng,
                    resamples=RESAMPLES,
                )
            )
            if outcome.ruling in (Ruling.FAIL, Ruling.PASS):
                break
        return outcome

    def _units(self, pairs: Unit) -> list[Unit]:
        """Return the pairs by the processes that they share."""
        return [pairs[at : at + self.restart_every] for at in range(0, len(pairs), self.restart_every)]

    def _pairs(self, rng: np.random.Generator) -> Unit:
        """Draw all runs, each side's at once."""
        turns = _turns(rng, self.pairs)
        a, b = (self._side(rng, load, turn) for load, turn in zip(self._loads, turns, strict=True))
        return list(zip(a, b, strict=True))

    @property
    def _loads(self) -> tuple[Load, Load]:
        return self.load, self.changed or self.load

    def _side(self, rng: np.random.Generator, load: Load, turn: Ints) -> list[MeasuredRun]:
        instances = rng.normal(0.0, self.instance_ratio, math.ceil(self.pairs / self.restart_every))
        common = np.repeat(instances, self.restart_every)[: self.pairs] + turn * math.log1p(self.creep_ratio)
        return load.runs(rng, run_shifts(rng, self.pairs, ratios=self.ratios, common=common))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unequal:
    """One pair of runs of different lengths, judged as the item `latency`, which knows the lengths.

    Args:
        load: load of both runs.
        seconds: of the baseline and of the candidate.
        ratios: deviation of p50, p90 and p99 from run to run.
    """

    load: Load
    seconds: tuple[int, int]
    ratios: Sequence[float] = RUN_RATIOS

    def __call__(self, rng: np.random.Generator) -> Outcome:
        """Judge one pair."""
        before, after = (self._run(rng, seconds) for seconds in self.seconds)
        return Outcome({}, judge_pairs([(before, after)]).verdict)

    def _run(self, rng: np.random.Generator, seconds: int) -> Timing:
        (run,) = replace(self.load, seconds=seconds).runs(rng, run_shifts(rng, 1, ratios=self.ratios))
        return Timing(
            manifest=manifest(),
            generator=Generator(valid=True),
            measured=run,
            percentiles={},
            length_s=float(seconds),
        )


def _turns(rng: np.random.Generator, pairs: int) -> tuple[Ints, Ints]:
    """Return the order in time of each pair's runs: consecutive pairs begin with different sides."""
    blocks = rng.integers(2, size=math.ceil(pairs / 2))
    b_first = np.stack([blocks, 1 - blocks], axis=1).ravel()[:pairs]
    number = 2 * np.arange(pairs)
    return number + b_first, number + 1 - b_first


@dataclass(frozen=True, slots=True, kw_only=True)
class Single:
    """One run of the candidate against the last of earlier runs, as in a CI job without duels.

    Args:
        load: load of the earlier runs.
        changed: load of the candidate; None for the same.
        history: number of runs on each earlier day, the baseline's day last.
        same_day: whether the candidate runs on the baseline's day.
        ratios: deviation of p50, p90 and p99 from run to run.
        day_ratio: deviation from day to day, of all quantiles.
        step_ratio: how much slower the server became halfway through the history.
    """

    load: Load
    changed: Load | None = None
    history: Sequence[int] = (1,)
    same_day: bool = True
    ratios: Sequence[float] = RUN_RATIOS
    day_ratio: float = 0.0
    step_ratio: float = 0.0

    def __call__(self, rng: np.random.Generator) -> Outcome:
        """Judge one candidate."""
        days = np.repeat(np.arange(len(self.history)), self.history)
        of_day = rng.normal(0.0, self.day_ratio, len(self.history) + 1)
        step = math.log1p(self.step_ratio)
        common = of_day[days] + step * (np.arange(days.size) >= days.size // 2)
        today = np.array([of_day[days[-1] if self.same_day else -1] + step])
        earlier = self._runs(rng, self.load, common[:-1], rows=3) if days.size > 1 else []
        (baseline,) = self._runs(rng, self.load, common[-1:])
        (candidate,) = self._runs(rng, self.changed or self.load, today)
        past = [
            PastRun(day=f"day {day:04}", values={str(gate): value(gate, run) for gate in GATES})
            for day, run in zip(days, [*earlier, baseline], strict=True)
        ]
        return Outcome.of(
            compare(
                GATES,
                [[(baseline, candidate)]],
                noise=noise_of(past, GATES),
                same_day=self.same_day,
                looks=(1,),
                rng=rng,
                resamples=RESAMPLES,
            )
        )

    def _runs(
        self, rng: np.random.Generator, load: Load, common: Floats, *, rows: int | None = None
    ) -> list[MeasuredRun]:
        shifts = run_shifts(rng, common.size, ratios=self.ratios, common=common)
        return load.runs(rng, shifts, rows=rows)
