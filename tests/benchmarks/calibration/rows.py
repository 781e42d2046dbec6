"""The rows of the table: scenarios, with the maximum or minimum rate of their outcomes.

An aim is missed when the rate found is beyond it by more than two standard errors of the simulation. Rows
without an aim are informative.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from loadtest.ruling import Ruling
from tests.benchmarks.calibration.scenarios import Duel, Outcome, Single, Unequal
from tests.benchmarks.calibration.shapes import SHAPES, autocorrelated, bimodal, filling
from tests.benchmarks.calibration.simulated import RUN_RATIOS, Load

ERROR = 0.05

Event = Callable[[Outcome], bool | None]
"""Whether something came of a repetition; None if the repetition does not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """An outcome of a scenario, with the bounds of its rate.

    Args:
        name: name of the outcome, for people.
        event: returns whether the outcome occurred.
        at_most, at_least: bounds of its rate; both None for an informative row.
    """

    name: str
    event: Event
    at_most: float | None = None
    at_least: float | None = None

    def missed(self, share: float, error: float) -> bool:
        """Whether a share with this standard error is beyond its bounds."""
        above = self.at_most is not None and share - 2 * error > self.at_most
        below = self.at_least is not None and share + 2 * error < self.at_least
        return above or below

    @property
    def bound(self) -> str:
        """The bound of the rate, in brackets; empty for an informative row."""
        if self.at_most is not None:
            return f" (≤ {100 * self.at_most:g}%)"
        return "" if self.at_least is None else f" (≥ {100 * self.at_least:g}%)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A scenario and its aims.

    Args:
        group: heading.
        name: what is simulated.
        judge: simulates and judges one repetition.
        aims: one or more.
    """

    group: str
    name: str
    judge: Callable[[np.random.Generator], Outcome]
    aims: tuple[Aim, ...]


def failed(outcome: Outcome) -> bool:
    """Whether the whole verdict is FAIL."""
    return outcome.ruling is Ruling.FAIL


def passed(outcome: Outcome) -> bool:
    """Whether the whole verdict is PASS."""
    return outcome.ruling is Ruling.PASS


def decided(outcome: Outcome, *, gate: str, ruling: Ruling) -> bool:
    """Whether one gate has this decision."""
    return outcome.decision(gate) is ruling


def misses_above(outcome: Outcome, *, gate: str, truth_ratio: float) -> bool | None:
    """Whether the upper bound is below the truth: the error of a PASS."""
    high = outcome.gates[gate].high_ratio
    return None if high is None else high < truth_ratio


def misses_below(outcome: Outcome, *, gate: str, truth_ratio: float) -> bool | None:
    """Whether the lower bound is above the truth: the error of a FAIL."""
    low = outcome.gates[gate].low_ratio
    return None if low is None else low > truth_ratio


def unnamed(outcome: Outcome, *, gate: str) -> bool:
    """Whether a quantile on a mode boundary is INCONCLUSIVE without a reason."""
    found = outcome.gates[gate]
    return found.decision is Ruling.INCONCLUSIVE and found.between_us is None


def suspect(outcome: Outcome) -> bool:
    """Whether the verdict asks for a duel."""
    return any(gate.suspect for gate in outcome.gates.values())


NO_FALSE_FAIL = Aim(name="FAIL", event=failed, at_most=ERROR)
HOW_OFTEN_PASS = Aim(name="PASS", event=passed)
UNCHANGED = (NO_FALSE_FAIL, HOW_OFTEN_PASS)

PAIRED = Load()
"""A run of a duel: 60 s at 60 round trips a second, 300 sessions, a drop a second."""

ALONE = Load(rate_per_s=200.0, drops_per_s=4.0)
"""A run that is judged alone: enough samples for every gate, so that none is left out."""

TWELVE = (1,) * 12
"""Twelve earlier runs, one a day."""

QUIET = (0.01, 0.02, 0.05)
"""Deviations of p50, p90 and p99 from run to run on a quiet machine."""


def _shaped(load: Load, name: str) -> Load:
    return replace(load, shape=SHAPES[name], tick_us=1_000 if name == "1 ms ticks" else 1)


def _percents(ratios: tuple[float, ...]) -> str:
    return "/".join(f"{100 * ratio:g}" for ratio in ratios)


def _unchanged_single() -> Iterator[Row]:
    row = partial(Row, group="unchanged, one pair", aims=UNCHANGED)
    for ratios in ((0.03, 0.05, 0.10), (0.03, 0.06, 0.15), (0.05, 0.10, 0.25)):
        name = f"run-to-run sd of p50/p90/p99 {_percents(ratios)}%"
        yield row(name=f"{name}, assumed noise", judge=Single(load=ALONE, ratios=ratios))
        measured = Single(load=ALONE, ratios=ratios, history=(12,))
        yield row(name=f"{name}, 12 runs that day", judge=measured)
    for day_ratio in (0.02, 0.04, 0.06, 0.10):
        name = f"day-to-day sd {100 * day_ratio:g}%, candidate on another day"
        day = partial(Single, load=ALONE, same_day=False, day_ratio=day_ratio)
        yield row(name=f"{name}, history of one day", judge=day(history=(10,)))
        yield row(name=f"{name}, history of 12 days", judge=day(history=TWELVE))
        for days, runs in ((4, 3), (10, 3), (3, 10), (10, 6), (6, 10)):
            yield row(
                name=f"{name}, history of {days} days of {runs} runs", judge=day(history=(runs,) * days)
            )
        same = Single(load=ALONE, day_ratio=day_ratio, history=(3,) * 4)
        yield row(
            name=f"day-to-day sd {100 * day_ratio:g}%, same day, history of 4 days of 3 runs", judge=same
        )
    stepped = Single(load=ALONE, history=TWELVE, same_day=False, step_ratio=0.10)
    yield row(name="history of 12 days with a step of +10%", judge=stepped)
    for name, shape in (("a server that slows by 10% a minute", filling), ("AR(1) 0.95", autocorrelated)):
        unequal = Unequal(load=replace(ALONE, shape=shape), seconds=(20, 200))
        yield row(name=f"20 s against 200 s, {name}", judge=unequal)


def _unchanged_single_shapes() -> Iterator[Row]:
    row = partial(Row, group="unchanged, one pair, by shape", aims=UNCHANGED)
    for shape in SHAPES:
        load = _shaped(ALONE, shape)
        yield row(name=f"{shape}, assumed noise", judge=Single(load=load))
        yield row(
            name=f"{shape}, history of 12 days", judge=Single(load=load, history=TWELVE, same_day=False)
        )


def _unchanged_duels() -> Iterator[Row]:
    row = partial(Row, group="unchanged, duel of 12 pairs, looks at 4, 8 and 12", aims=UNCHANGED)
    for ratio in (0.01, 0.02, 0.03, 0.05):
        name = f"process-to-process sd {100 * ratio:g}%"
        yield row(name=f"{name}, restarted every pair", judge=Duel(load=PAIRED, instance_ratio=ratio))
    shared = Duel(load=PAIRED, instance_ratio=0.05, restart_every=3)
    yield row(name="process-to-process sd 5%, restarted every 3 pairs", judge=shared)
    yield row(
        name="machine slower by 1% from run to run", judge=Duel(load=PAIRED, ratios=QUIET, creep_ratio=0.01)
    )
    closed = replace(PAIRED, closed=True, rate_per_s=200.0, drops_per_s=4.0)
    yield row(name="closed load, every gate judged", judge=Duel(load=closed))
    clustered = replace(PAIRED, losses_per_h=0.5, cluster=10)
    yield row(name="half a loss a session-hour, ten at once", judge=Duel(load=clustered))
    stalls = replace(PAIRED, stalled_ratio=0.0005)
    yield row(name="1 in 2,000 replies +200 ms on both sides", judge=Duel(load=stalls))
    for shape in SHAPES:
        quiet = Duel(load=_shaped(PAIRED, shape), ratios=QUIET)
        yield row(name=f"{shape}, run-to-run sd 1/2/5%", judge=quiet)


def _at_the_margin() -> Iterator[Row]:
    row = partial(Row, group="at the margin")
    p50_passes = Aim(
        name="PASS of p50",
        event=partial(decided, gate="service p50", ruling=Ruling.PASS),
        at_most=ERROR,
    )
    for ratios in (QUIET, RUN_RATIOS):
        noise = f"run-to-run sd {_percents(ratios)}%"
        duel = partial(Duel, load=PAIRED, ratios=ratios)
        below, on = replace(PAIRED, slower_ratio=0.04), replace(PAIRED, slower_ratio=0.05)
        yield row(name=f"duel, truly +4%, {noise}", judge=duel(changed=below), aims=(NO_FALSE_FAIL,))
        yield row(name=f"duel, truly +5%, {noise}", judge=duel(changed=on), aims=(NO_FALSE_FAIL, p50_passes))
    single = partial(Single, load=ALONE, history=TWELVE, same_day=False, ratios=QUIET)
    below, on = replace(ALONE, slower_ratio=0.04), replace(ALONE, slower_ratio=0.05)
    yield row(
        name="one pair, truly +4%, 12 days of 1/2/5%", judge=single(changed=below), aims=(NO_FALSE_FAIL,)
    )
    yield row(
        name="one pair, truly +5%, 12 days of 1/2/5%",
        judge=single(changed=on),
        aims=(NO_FALSE_FAIL, p50_passes),
    )
    days = partial(Single, load=ALONE, changed=on, same_day=False, ratios=QUIET, day_ratio=0.04)
    for name, history in (("12 days", TWELVE), ("4 days of 3 runs", (3,) * 4)):
        yield row(
            name=f"one pair, truly +5%, {name} with day-to-day sd 4%",
            judge=days(history=history),
            aims=(NO_FALSE_FAIL, p50_passes),
        )
    yield from _counts_at_the_margin()


def _counts_at_the_margin() -> Iterator[Row]:
    row = partial(Row, group="at the margin")
    for name, gate, changed in (
        ("1 in 5,000 replies +200 ms", "slow replies", replace(PAIRED, stalled_ratio=0.0002)),
        ("+1 loss a session-hour", "losses", replace(PAIRED, losses_per_h=1.0)),
        ("+1 loss a session-hour, five at once", "losses", replace(PAIRED, losses_per_h=1.0, cluster=5)),
        ("+1 loss a session-hour, 20 at once", "losses", replace(PAIRED, losses_per_h=1.0, cluster=20)),
    ):
        passes = Aim(
            name=f"PASS of {gate}",
            event=partial(decided, gate=gate, ruling=Ruling.PASS),
            at_most=ERROR,
        )
        judge = Duel(load=PAIRED, changed=changed)
        yield row(name=f"duel, {name}", judge=judge, aims=(NO_FALSE_FAIL, passes))
    every = Duel(load=PAIRED, changed=replace(PAIRED, losses_per_h=1.0, cluster=300))
    seen = Aim(name="PASS of losses", event=partial(decided, gate="losses", ruling=Ruling.PASS))
    yield row(name="duel, +1 loss a session-hour, all 300 at once", judge=every, aims=(NO_FALSE_FAIL, seen))


def _power() -> Iterator[Row]:
    row = partial(Row, group="changed, duel of 12 pairs of 60 s at 60 round trips a second")
    changes = (
        ("every reply +20%", replace(PAIRED, slower_ratio=0.20), 0.90),
        ("3% of connections lost", replace(PAIRED, lost_ratio=0.03), 0.90),
        ("1 in 2,000 replies +200 ms", replace(PAIRED, stalled_ratio=0.0005), 0.80),
        ("every resume +400 ms", replace(PAIRED, resume_us=400_000.0), 0.90),
    )
    for name, changed, least in changes:
        aim = Aim(name="FAIL", event=failed, at_least=least)
        yield row(name=name, judge=Duel(load=PAIRED, changed=changed), aims=(aim,))
    drift = partial(Duel, load=PAIRED, changed=replace(PAIRED, drift_ratio=0.09))
    never = Aim(name="PASS", event=passed, at_most=0.01)
    for ratios in (RUN_RATIOS, QUIET):
        name = f"0 to +9% within each run, run-to-run sd {_percents(ratios)}%"
        yield row(name=name, judge=drift(ratios=ratios), aims=(never, Aim(name="FAIL", event=failed)))
    single = partial(Row, group="changed, one pair", aims=(Aim(name="FAIL", event=failed),))
    for ratio in (0.10, 0.20, 0.50):
        judge = partial(Single, load=ALONE, changed=replace(ALONE, slower_ratio=ratio))
        name = f"every reply +{100 * ratio:g}%"
        aims = (Aim(name="FAIL", event=failed), Aim(name="suspect", event=suspect))
        yield single(name=f"{name}, assumed noise", judge=judge(), aims=aims)
        yield single(
            name=f"{name}, 12 days of 1/2/5%",
            judge=judge(history=TWELVE, same_day=False, ratios=QUIET),
        )
    quiet = Single(load=ALONE, history=TWELVE, same_day=False, ratios=QUIET)
    yield single(name="unchanged, 12 days of 1/2/5%", judge=quiet, aims=UNCHANGED)


def _coverage() -> Iterator[Row]:
    """The bounds of the change of p50, where the truth is +3%; the lower bound is joint for all gates."""
    row = partial(Row, group="coverage: bounds of the change of p50, truly +3%, 12 pairs judged once")
    aims = tuple(
        Aim(name=name, event=partial(event, gate="service p50", truth_ratio=0.03), at_most=ERROR)
        for name, event in (("upper bound too low", misses_above), ("lower bound too high", misses_below))
    )
    for name in ("log-normal", "Pareto 1.1", "bursts", "AR(1) 0.95", "queueing"):
        load = _shaped(PAIRED, name)
        changed = replace(load, slower_ratio=0.03)
        judge = Duel(load=load, changed=changed, once=True, instance_ratio=0.03)
        yield row(name=f"{name}, process-to-process sd 3%", judge=judge, aims=aims)


def _boundaries() -> Iterator[Row]:
    row = partial(Row, group="a quantile between two groups of replies, 2 ms and 40 ms")
    for slow, slower, gate in (
        (0.50, 0.75, "service p50"),
        (0.10, 0.15, "service p90"),
        (0.01, 0.02, "service p99"),
    ):
        load = replace(PAIRED, shape=partial(bimodal, slow=slow))
        named = Aim(name="INCONCLUSIVE, unnamed", event=partial(unnamed, gate=gate), at_most=ERROR)
        name = f"{100 * slow:g}% slow, {gate.split()[1]}"
        yield row(name=f"duel, {name}", judge=Duel(load=load), aims=(NO_FALSE_FAIL, named))
        alone = replace(load, rate_per_s=200.0, drops_per_s=4.0)
        yield row(name=f"one pair, {name}", judge=Single(load=alone), aims=(NO_FALSE_FAIL, named))
        more = Duel(load=load, changed=replace(load, shape=partial(bimodal, slow=slower)))
        found = Aim(name="FAIL", event=failed, at_least=0.9)
        yield row(name=f"duel, {100 * slow:g}% slow, then {100 * slower:g}%", judge=more, aims=(found,))


def all_rows() -> list[Row]:
    """Return all rows in the order in which they are printed."""
    return [
        *_unchanged_single(),
        *_unchanged_single_shapes(),
        *_unchanged_duels(),
        *_at_the_margin(),
        *_power(),
        *_coverage(),
        *_boundaries(),
    ]


def standard_error(share: float, repeats: int) -> float:
    """Return the Monte Carlo error of a share."""
    return math.sqrt(share * (1.0 - share) / repeats)
