"""The rule of all gates, its error levels, and what would settle a gate."""

import math

import pytest

from loadtest.ruling import Ruling
from loadtest.statistics.rule import Bounds, Levels, more_units
from loadtest.statistics.sequential import LOOKS


@pytest.mark.parametrize(
    ("low", "high", "decision"),
    [
        (0.051, 0.2, Ruling.FAIL),
        (-0.1, 0.049, Ruling.PASS),
        (0.01, 0.049, Ruling.PASS),
        (0.049, 0.2, Ruling.INCONCLUSIVE),
        (0.05, 0.2, Ruling.INCONCLUSIVE),
        (-0.1, 0.05, Ruling.INCONCLUSIVE),
    ],
)
def test_a_bound_beyond_the_margin_decides(low: float, high: float, decision: Ruling) -> None:
    """FAIL above it for sure, PASS below it for sure, even if the change is not zero; nothing else."""
    assert Bounds(change=(low + high) / 2, low=low, high=high, margin=0.05).decision is decision


def test_a_fail_shares_its_error_and_a_pass_does_not() -> None:
    """5% one-sided; among ten gates half a percent each."""
    levels = Levels(looks=None, gates=10)
    assert (levels.to_pass(12), levels.to_fail(12)) == (0.05, 0.005)


def test_looks_spend_both_errors() -> None:
    """Hardly anything at the first look, nearly all at the last, one-sided."""
    levels = Levels(looks=LOOKS, gates=1)
    assert levels.to_pass(4) < 0.002
    assert levels.to_pass(12) == pytest.approx(0.0460, abs=0.001)
    assert Levels(looks=(12,), gates=4).to_fail(12) == pytest.approx(0.0125)


def test_later_looks_come_first_and_then_every_number() -> None:
    """Of a duel of twelve units."""
    assert Levels(looks=LOOKS, gates=1).later(4)[:4] == [8, 12, 13, 14]
    assert Levels(looks=None, gates=1).later(1)[:3] == [4, 5, 6]


def narrowing(change: float) -> Bounds:
    return Bounds(change=change, low=-1.0, high=1.0, margin=0.05)


@pytest.mark.parametrize(("looks", "needed"), [(None, 77), ((4, 8, 12, 100), 96), ((4, 90), 86)])
def test_the_first_number_that_settles_is_found(looks: tuple[int, ...] | None, needed: int) -> None:
    """Bounds as wide as 0.45 / √units settle 0.05 at 81 units and more: planned looks count first."""

    def at(units: int) -> Bounds:
        return Bounds(change=0.0, low=-1.0, high=0.4499 / math.sqrt(units), margin=0.05)

    assert more_units(at, 4, Levels(looks=looks, gates=1)) == needed


def test_nothing_settles_a_change_on_the_margin() -> None:
    """Bounds that stay on both sides of it."""
    assert more_units(lambda _: narrowing(0.05), 4, Levels(looks=None, gates=1)) is None
