"""Looks at a duel under way: critical values against published tables, and the error that they spend."""

import math

import numpy as np
import pytest

from loadtest.ruling import Ruling
from loadtest.statistics.sequential import (
    LOOKS,
    critical_values,
    crossing_probability,
    nominal_level,
    plan_looks,
    spent_error,
)
from tests.support.distributions import P50, assert_finite, compared, pairs_with, rng

# Looks


@pytest.mark.parametrize(
    ("looks", "published"),
    [
        (2, [2.9626, 1.9686]),
        (3, [3.7103, 2.5114, 1.9930]),
        (4, [4.3326, 2.9631, 2.3590, 2.0141]),
        (5, [4.8769, 3.3569, 2.6803, 2.2898, 2.0310]),
    ],
)
def test_critical_values_are_the_published_ones(looks: int, published: list[float]) -> None:
    """Lan-DeMets boundaries of O'Brien-Fleming type at 5%, as in Reboussin, DeMets, Kim and Lan (2000)."""
    fractions = [look / looks for look in range(1, looks + 1)]
    assert critical_values(fractions) == pytest.approx(published, abs=3e-4)


@pytest.mark.parametrize(
    ("looks", "constant"), [(1, 1.960), (2, 1.977), (3, 2.004), (4, 2.024), (5, 2.040), (10, 2.087)]
)
def test_obrien_fleming_tests_cross_in_five_of_a_hundred(looks: int, constant: float) -> None:
    """Jennison and Turnbull (2000), table 2.3: C_B(K, 0.05) √(K / k) errs in 5%."""
    count = range(1, looks + 1)
    bounds = [constant * math.sqrt(looks / look) for look in count]
    assert crossing_probability(bounds, [look / looks for look in count]) == pytest.approx(0.05, abs=2e-4)


@pytest.mark.parametrize(("looks", "constant"), [(2, 2.178), (3, 2.289), (5, 2.413), (10, 2.555)])
def test_pocock_tests_cross_in_five_of_a_hundred(looks: int, constant: float) -> None:
    """Jennison and Turnbull (2000), table 2.1: C_P(K, 0.05) at every look errs in 5%."""
    fractions = [look / looks for look in range(1, looks + 1)]
    assert crossing_probability([constant] * looks, fractions) == pytest.approx(0.05, abs=2e-4)


def test_all_error_is_spent_at_the_end_and_little_before() -> None:
    """A single look has all of it; the first of three has a five-thousandth."""
    assert nominal_level(12, (12,)) == pytest.approx(0.05)
    assert spent_error(1.0) == pytest.approx(0.05)
    assert [nominal_level(look, LOOKS) for look in LOOKS] == pytest.approx(
        [2.07e-4, 0.01202, 0.04626], rel=1e-2
    )


def test_an_unplanned_look_spends_its_share() -> None:
    """Six pairs judge at a level between those of four and eight; more than planned are refused."""
    assert nominal_level(4, LOOKS) < nominal_level(6, LOOKS) < nominal_level(8, LOOKS)
    with pytest.raises(ValueError, match="13"):
        nominal_level(13, LOOKS)


@pytest.mark.parametrize(
    ("budget", "looks"), [(1, (1,)), (4, (4,)), (6, (4, 6)), (12, LOOKS), (20, (4, 8, 12, 20))]
)
def test_looks_are_planned_by_the_budget(budget: int, looks: tuple[int, ...]) -> None:
    """A duel looks at 4, 8 and 12 pairs as far as it goes, and when it ends."""
    assert plan_looks(budget) == looks


def test_t_statistics_at_the_nominal_levels_err_in_five_of_a_hundred() -> None:
    """Four pairs are few for a t statistic; the levels meant for normal ones still hold."""
    student = [15.0, 3.36, 2.23]  # upper bounds of t beyond its level at 3, 7 and 11 degrees, from tables
    draws = rng().normal(size=(20_000, 12))
    crossed = np.zeros(20_000, dtype=bool)
    for look, least in zip(LOOKS, student, strict=True):
        seen = draws[:, :look]
        crossed |= np.abs(seen.mean(axis=1)) > least * seen.std(axis=1, ddof=1) / math.sqrt(look)
    assert crossed.mean() < 0.055


@pytest.mark.parametrize("budget", [5, 13, 40, 100, 1000, 100_000])
def test_looks_far_before_the_end_spend_next_to_nothing(budget: int) -> None:
    """Four pairs of a thousand decide nothing, and the last look has nearly everything."""
    looks = plan_looks(budget)
    levels = [nominal_level(look, looks) for look in looks]
    assert levels == sorted(levels)
    assert 0.03 < levels[-1] <= 0.05
    early = compared(P50, pairs_with([0.30, 0.31, 0.29, 0.30]), looks=looks)
    assert_finite(early)
    assert early.decision is Ruling.FAIL or budget > 5


def test_more_pairs_than_planned_are_refused() -> None:
    """All error is spent at the last look; another one would have none left."""
    with pytest.raises(ValueError, match="pairs"):
        compared(P50, pairs_with([0.0] * 13), looks=LOOKS)
