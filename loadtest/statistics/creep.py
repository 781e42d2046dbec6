"""Has a series of runs risen above its first level, in a step or by a slow creep?

The newest runs are compared with the first ones, or with those of a pinned revision. The newest are the last
third of the series and, to detect a late step, also the last 3, 6, 12 and so on up to half of that. If the
level only ever rose, the mean of such a window is never above the newest level, and the mean of the first
runs never below the first: a series fails only if it has really risen. An extrapolated slope would overstate
a step. Most runs of the window, at least three, must be above the margin themselves: a single slow run raises
the mean of a short window by more than the deviation over a long series suggests.

The deviation of a run is the larger of two estimates: from successive differences (von Neumann, "Distribution
of the ratio of the mean square successive difference to the variance", Annals of Mathematical Statistics 12,
1941), which a trend hardly affects, and from the spread within parts of the series, which slow waves affect
less. The parts are the first runs, the newest, and those between, cut where that fits best, so that one step
does not count as noise. The bounds are Student's t with the smaller number of degrees of freedom. Runs of one
day share that day's conditions, so days are the units if there are enough of them; with fewer, the noise
assumed for the gate is added between days.

For false FAILs of unchanged series, and power, see tests/unit/statistics/test_creep.py.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from loadtest.ruling import Ruling
from loadtest.statistics.distributions import normal_quantile, student_quantile
from loadtest.statistics.quantiles import Floats
from loadtest.statistics.rule import Bounds
from loadtest.text import counted

MIN_UNITS = 6
"""Least number of runs, or of days: three to compare with, and three that are compared."""

MIN_WINDOW = 3
"""One or two runs could be those of a noisy host."""

PASS_ERROR = 0.05
"""One-sided error of the upper bound, which has to be below the margin to pass."""

_LEAST_PART = 1

ASSUMED_FACTOR = 1.5
"""FAIL needs its lower bound with this multiple of the noise between days, if that is only assumed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rise:
    """How far the newest level is above the first, in the units of the series.

    Args:
        decision: FAIL, PASS, INCONCLUSIVE; NOT_JUDGED if the series has too few values.
        reason: why the comparison is not settled; empty if it is.
        first, last: indices of the runs that were compared.
        before, after: their mean levels.
        low: lower bound of the change, at the error level for FAIL.
        high: upper bound of the change, at `PASS_ERROR`.
        margin: the largest change that counts as unchanged.
    """

    decision: Ruling
    reason: str = ""
    first: tuple[int, ...] = ()
    last: tuple[int, ...] = ()
    before: float = math.nan
    after: float = math.nan
    low: float = math.nan
    high: float = math.nan
    margin: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unit:
    """A run, or all runs of a day, with the mean of their values."""

    day: str
    runs: tuple[int, ...]
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The values of a gate, run by run, oldest first.

    Args:
        values: None if a run's value is not known.
        days: UTC date of each run.
        reference: indices of the runs of the pinned revision; empty to compare with the first third.
        bad: indices of runs that failed and must not be used as a reference.
    """

    values: Sequence[float | None]
    days: Sequence[str]
    reference: Collection[int] = ()
    bad: Collection[int] = ()


def rise(
    series: Series, *, margin: Callable[[float], float], fail_error: float, assumed_ratio: float
) -> Rise:
    """Return how far a series has risen, and whether that is more than the margin.

    Args:
        series: the values of a gate.
        margin: returns the margin for a reference level; both in the units of the values.
        fail_error: one-sided error of the lower bound, which must be above the margin to fail.
        assumed_ratio: standard deviation between days that is assumed if there are few days.
    """
    units = _units(series)
    if len(units) < MIN_UNITS:
        return Rise(
            decision=Ruling.NOT_JUDGED,
            reason=f"{counted(len(units), 'value')}, {MIN_UNITS} are needed",
        )
    earlier, first, others = _parts(series, units)
    if len(others) < MIN_WINDOW:
        return Rise(
            decision=Ruling.INCONCLUSIVE,
            reason=f"{len(others)} newer than the pinned revision, {MIN_WINDOW} are needed",
        )
    before = float(np.mean([unit.value for unit in first]))
    days = len({unit.day for unit in (*first, *others)})
    between = 0.0 if days in (1, len(first) + len(others)) else assumed_ratio
    sizes = list(_window_sizes(min(len(others), _largest(len(first) + len(others)))))
    found = [
        _compared(
            first,
            others[-size:],
            _noise([*earlier, *first], others[:-size], others[-size:]),
            fail_error / len(sizes),
            between,
            margin(before),
        )
        for size in sizes
    ]
    few_days = f". The runs are from only {days} days, which may differ: use {MIN_UNITS} days or more, or one"
    decided = _decided(found, before=before, first=first, doubt=few_days if between else "")
    if decided.decision is not Ruling.PASS or series.reference:
        return decided
    early = _early_rise(first, others, margin=margin, fail_error=fail_error, between=between)
    return replace(decided, decision=Ruling.INCONCLUSIVE, reason=early) if early else decided


def _early_rise(
    first: Sequence[_Unit],
    others: Sequence[_Unit],
    *,
    margin: Callable[[float], float],
    fail_error: float,
    between: float,
) -> str:
    """Return why a PASS is doubtful, if the level rose within the first third; empty if it did not."""
    newest = others[-_largest(len(others)) :]
    for size in list(_window_sizes(len(first)))[1:]:
        early, later = first[:size], [*first[size:], *others[: -len(newest)]]
        allowed = margin(float(np.mean([unit.value for unit in early])))
        one = _compared(early, newest, _noise(early, later, newest), fail_error, between, allowed)
        highest = max(unit.value for unit in early)
        if one.bounds.decision is Ruling.FAIL and highest + allowed < one.after:
            return f"the first {size} values were lower by more than the margin: pin a run to compare with"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Noise:
    deviation: float
    freedom: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compared:
    window: Sequence[_Unit]
    after: float
    bounds: Bounds


def _units(series: Series) -> list[_Unit]:
    """Return the runs, or the days if there are enough days and some have several runs."""
    known = [
        _Unit(day=day, runs=(index,), value=value)
        for index, (value, day) in enumerate(zip(series.values, series.days, strict=True))
        if value is not None and math.isfinite(value)
    ]
    days = [tuple(units) for _, units in groupby(known, key=lambda unit: unit.day)]
    return list(map(_joined, days)) if len(days) >= MIN_UNITS else known


def _joined(units: Sequence[_Unit]) -> _Unit:
    return _Unit(
        day=units[0].day,
        runs=tuple(run for unit in units for run in unit.runs),
        value=float(np.mean([unit.value for unit in units])),
    )


def _parts(series: Series, units: Sequence[_Unit]) -> tuple[list[_Unit], list[_Unit], list[_Unit]]:
    """Return the earlier units, used for the noise only, the reference units, and the units after them."""
    pinned = _only(units, series.values, set(series.reference))
    if pinned:
        begun, ended = pinned[0].runs[0], pinned[-1].runs[-1]
        others = [unit for unit in units if unit.runs[0] > ended]
        earlier = [unit for unit in units if unit.runs[-1] < begun]
        return earlier if len(pinned) + len(others) < MIN_UNITS else [], pinned, others
    third = units[: _largest(len(units))]
    good = {run for unit in third for run in unit.runs} - set(series.bad)
    return [], _only(third, series.values, good) or list(third), list(units[len(third) :])


def _only(units: Sequence[_Unit], values: Sequence[float | None], runs: Collection[int]) -> list[_Unit]:
    """Return the units reduced to these runs, without units that have none of them."""
    kept = ((unit.day, tuple(run for run in unit.runs if run in runs)) for unit in units)
    return [
        _Unit(day=day, runs=found, value=float(np.mean([values[run] or 0.0 for run in found])))
        for day, found in kept
        if found
    ]


def _largest(units: int) -> int:
    return max(MIN_WINDOW, units // 3)


def _window_sizes(largest: int) -> Iterator[int]:
    """Yield the sizes of the windows of newest units: the largest, and 3, 6, 12 and so on up to its half."""
    yield largest
    size = MIN_WINDOW
    while 2 * size <= largest:
        yield size
        size *= 2


def _noise(first: Sequence[_Unit], between: Sequence[_Unit], newest: Sequence[_Unit]) -> _Noise:
    """Return the deviation of one unit: the larger of both estimates, with the fewer degrees of freedom."""
    of_first, of_between, of_newest = (
        np.array([unit.value for unit in units]) for units in (first, between, newest)
    )
    parts = [of_first, *_at_a_step(of_between), of_newest]
    within = sum(map(_squares, parts))
    successive = sum(float(np.sum(np.diff(part) ** 2)) for part in parts) / 2
    steps = sum(part.size - 1 for part in parts)
    freedom = steps - (len(parts) > 3)  # where to cut was chosen
    # The mean square successive difference of n values varies as a variance with this many degrees of freedom
    # (von Neumann, 1941, for n - 1 steps: 2 (n - 1)^2 / (3 n - 4)).
    return _Noise(
        deviation=math.sqrt(max(within / freedom, successive / steps)),
        freedom=min(freedom, 2 * steps**2 / (3 * steps - 1)),
    )


def _at_a_step(values: Floats) -> list[Floats]:
    """Return the values, split in the two parts with the least variation within; unsplit if there are few."""
    if values.size < 2 * _LEAST_PART:
        return [values] if values.size else []
    cuts = range(_LEAST_PART, values.size - _LEAST_PART + 1)
    best = min(cuts, key=lambda cut: _squares(values[:cut]) + _squares(values[cut:]))
    return [values[:best], values[best:]]


def _squares(values: Floats) -> float:
    return float(np.sum((values - values.mean()) ** 2))


def _compared(
    first: Sequence[_Unit],
    window: Sequence[_Unit],
    noise: _Noise,
    fail_error: float,
    assumed_ratio: float,
    margin: float,
) -> _Compared:
    after = float(np.mean([unit.value for unit in window]))
    change = after - float(np.mean([unit.value for unit in first]))
    error = noise.deviation * math.sqrt(1 / len(first) + 1 / len(window))
    between = assumed_ratio * math.sqrt(_days_apart(first, window))

    def half_width(share: float, factor: float) -> float:
        measured = float(student_quantile(noise.freedom, 1 - share)) * error
        return math.hypot(measured, normal_quantile(1 - share) * factor * between)

    low = change - half_width(fail_error, ASSUMED_FACTOR)
    high = change + half_width(PASS_ERROR, 1.0)
    return _Compared(
        window=window, after=after, bounds=Bounds(change=change, low=low, high=high, margin=margin)
    )


def _days_apart(first: Sequence[_Unit], window: Sequence[_Unit]) -> float:
    """Return the factor of the variance between days in a difference of two means: 0 within one day."""
    weights: dict[str, float] = {}
    for sign, units in ((-1, first), (1, window)):
        for unit in units:
            weights[unit.day] = weights.get(unit.day, 0.0) + sign / len(units)
    return sum(weight**2 for weight in weights.values())


def _decided(found: Sequence[_Compared], *, before: float, first: Sequence[_Unit], doubt: str) -> Rise:
    """Return the result of the worst window: one risen window fails, and all must be low to pass."""
    risen = [one for one in found if one.bounds.decision is Ruling.FAIL]
    failing = [one for one in risen if _above(one, before + one.bounds.margin) >= _most(one)]
    if risen and not failing:
        worst, decision = max(risen, key=lambda one: one.bounds.low), Ruling.INCONCLUSIVE
        above, of = _above(worst, before + worst.bounds.margin), len(worst.window)
        reason = f"only {above} of the newest {of} values are above the margin"
    else:
        worst = max(failing or found, key=lambda one: one.bounds.low if failing else one.bounds.high)
        decision = worst.bounds.decision
        open_ = decision is Ruling.INCONCLUSIVE
        reason = f"{_unsettled(before, worst.after, worst.bounds.margin)}{doubt}" if open_ else ""
    bounds = worst.bounds
    return Rise(
        decision=decision,
        reason=reason,
        first=_runs(first),
        last=_runs(worst.window),
        before=before,
        after=worst.after,
        low=bounds.low,
        high=bounds.high,
        margin=bounds.margin,
    )


def _above(compared: _Compared, level: float) -> int:
    return sum(unit.value > level for unit in compared.window)


def _most(compared: _Compared) -> int:
    """Return how many units of a window must have risen for it to fail."""
    return max(MIN_WINDOW, len(compared.window) // 2 + 1)


def _unsettled(before: float, after: float, margin: float) -> str:
    suspect = after - before > margin
    return "above the margin, but possibly by chance" if suspect else "the runs vary too much to decide"


def _runs(units: Sequence[_Unit]) -> tuple[int, ...]:
    return tuple(run for unit in units for run in unit.runs)


def fail_errors(required: Mapping[str, bool], *, error: float = 0.05) -> dict[str, float]:
    """Return the error level of each gate's FAIL; together they are `error` (weighted Bonferroni).

    Required gates share four fifths, because they creep first.

    Args:
        required: whether a gate is required, by name.
        error: family-wise error.
    """
    kinds = list(required.values())
    shares = {True: _REQUIRED_SHARE, False: 1 - _REQUIRED_SHARE} if len(set(kinds)) > 1 else {}
    return {name: error * shares.get(kind, 1.0) / kinds.count(kind) for name, kind in required.items()}


_REQUIRED_SHARE = 0.8
