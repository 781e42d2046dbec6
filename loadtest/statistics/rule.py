"""The rule that judges every gate, its error levels, and how many more units would settle one.

FAIL if the lower bound of the change is above the margin, PASS if the upper bound is below it, else
INCONCLUSIVE. Both bounds are one-sided. A release fails if any of its gates does, so the 5% of FAIL are
divided among the gates that are judged (Bonferroni); it passes only if all do, so each gate has 5% for PASS
(intersection-union test: Berger, Technometrics 24, 1982). A duel that looks several times spends both errors
over its looks (`loadtest.statistics.sequential`).
"""

from collections.abc import Callable
from dataclasses import dataclass

from loadtest.ruling import Ruling
from loadtest.statistics.sequential import ERROR, nominal_level

MIN_UNITS = 4
"""With fewer units, their own spread is too uncertain: measured or assumed run-to-run noise is used."""

MAX_PAIRS = 1_000
"""A thousand pairs of one-minute runs take more than a day."""


@dataclass(frozen=True, slots=True)
class Levels:
    """One-sided error levels for judging a number of units (`loadtest.statistics.comparison`).

    Args:
        looks: numbers of units at which a duel looks; None for a single look.
        gates: number of gates judged together, 1 or more.
    """

    looks: tuple[int, ...] | None
    gates: int

    def to_pass(self, units: int) -> float:
        """Return the error of each gate's PASS at this many units.

        Raises:
            ValueError: there are more units than at the last planned look.
        """
        return self._level(units, ERROR)

    def to_fail(self, units: int) -> float:
        """Return the error of each gate's FAIL at this many units.

        Raises:
            ValueError: there are more units than at the last planned look.
        """
        return self._level(units, ERROR / self.gates)

    def later(self, units: int) -> list[int]:
        """Return the numbers of units that may be judged next: planned looks, then all beyond them."""
        planned = [look for look in self.looks or () if look > units]
        beyond = range(max(units, *(self.looks or (0,))) + 1, MAX_PAIRS + 1)
        return [later for later in (*planned, *beyond) if later >= MIN_UNITS]

    def at(self, units: int) -> "Levels":
        """Return the levels for this many units, which may be more than planned."""
        return self if self.looks is None or units <= self.looks[-1] else Levels(None, self.gates)

    def _level(self, units: int, error: float) -> float:
        # Two-sided boundaries at twice the error have this one-sided error on each side.
        return nominal_level(units, self.looks, 2.0 * error) / 2.0 if self.looks else error


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The estimated change of a gate with its one-sided bounds, and its margin, all in one unit."""

    change: float
    low: float
    high: float
    margin: float

    @property
    def decision(self) -> Ruling:
        """PASS, FAIL or INCONCLUSIVE by the rule."""
        if self.low > self.margin:
            return Ruling.FAIL
        return Ruling.PASS if self.high < self.margin else Ruling.INCONCLUSIVE


def more_units(at: Callable[[int], Bounds], units: int, levels: Levels) -> int | None:
    """Return the number of further units that would settle a gate, None if even a thousand would not.

    Args:
        at: returns the bounds for a number of units with the same results as these.
        units: number of units so far.
        levels: levels of the gate.
    """
    later = levels.later(units)
    planned = sum(look <= (levels.looks or (0,))[-1] for look in later)
    for look in later[:planned]:
        if at(look).decision is not Ruling.INCONCLUSIVE:
            return look - units
    beyond = later[planned:]
    if not beyond or at(beyond[-1]).decision is Ruling.INCONCLUSIVE:
        return None
    low, high = 0, len(beyond) - 1
    while low < high:  # more units only narrow the bounds
        middle = (low + high) // 2
        if at(beyond[middle]).decision is Ruling.INCONCLUSIVE:
            low = middle + 1
        else:
            high = middle
    return beyond[low] - units
