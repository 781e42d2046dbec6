"""Noise from the history of a plan: segments, days, freedom, and bounds that hold."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from loadtest.statistics.distributions import student_quantile
from loadtest.statistics.margins import GATES, Gate
from loadtest.statistics.noise import Noise, PastRun, assumed_noise, noise_of
from tests.support.distributions import P50

LOSSES = GATES[-1]


def history(
    values: Sequence[float | None], days: Sequence[int] | None = None, gate: Gate = P50
) -> list[PastRun]:
    """Return past runs with these values, all of one day unless days are given."""
    named = days or [0] * len(values)
    return [
        PastRun(day=f"2026-01-{day:02}", values={gate.name: value})
        for day, value in zip(named, values, strict=True)
    ]


def noise(values: Sequence[float | None], days: Sequence[int] | None = None) -> Noise:
    return noise_of(history(values, days), [P50])[P50.name]


def test_noise_is_assumed_below_eight_runs() -> None:
    """Seven earlier runs, or eight of which one has no value, say too little; each gate has its own."""
    assert noise([1.0] * 7) == noise([1.0] * 7 + [None]) == assumed_noise(P50)
    assumed = {gate.name: assumed_noise(gate).of_pair(same_day=True).variance for gate in GATES}
    assert math.sqrt(assumed["service p99"]) == pytest.approx(0.20)
    assert math.sqrt(assumed["connect p95"]) == pytest.approx(0.10)
    assert assumed_noise(P50).of_pair(same_day=False).freedom == math.inf
    assert assumed_noise(P50).text(same_day=True) == "run-to-run noise of 5%, assumed"


def test_noise_of_one_level_is_the_deviation_of_all_runs() -> None:
    """Two values, four times each, deviate by √(8/7) of half their distance."""
    found = noise([1.0, 1.1] * 4 + [None])
    spread = found.of_pair(same_day=True)
    assert math.sqrt(spread.variance) == pytest.approx(0.05 * math.sqrt(8 / 7))
    assert (found.runs, spread.freedom, found.assumed(same_day=True)) == (8, 7, False)
    assert "measured over 8 runs" in found.text(same_day=True)


def test_one_day_says_nothing_of_another() -> None:
    """However many its runs are."""
    found = noise([1.0, 1.1] * 10)
    assert found.assumed(same_day=False)
    assert found.of_pair(same_day=False).variance == pytest.approx(0.05**2)


def test_one_run_a_day_is_enough_for_pairs_of_different_days() -> None:
    """Of a day with several runs the newest counts."""
    days = [1, *range(1, 9)]
    found = noise([9.0, *[1.0, 1.1] * 4], days)
    other = found.of_pair(same_day=False)
    assert other.freedom == 7
    assert math.sqrt(other.variance) == pytest.approx(0.05 * math.sqrt(8 / 7))


def test_releases_that_changed_the_level_are_no_noise() -> None:
    """Ten runs at one level and ten at another leave what is left around both, with a freedom less."""
    values = [*[1.0, 1.1] * 5, *[2.0, 2.1] * 5]
    spread = noise(values).of_pair(same_day=True)
    assert spread.freedom == 18
    assert spread.variance == pytest.approx(20 * 0.05**2 / 18)


def test_days_with_several_runs_divide_the_noise() -> None:
    """Days 0.2 apart of runs 0.02 apart: analysis of variance by hand."""
    values, days = [], []
    for day, level in enumerate((1.0, 1.2, 1.0, 1.2), start=1):
        values += [level - 0.01, level + 0.01]
        days += [day, day]
    found = noise(values, days)
    within, other = found.of_pair(same_day=True), found.of_pair(same_day=False)
    mean_square_within, mean_square_between = 8 * 0.01**2 / 4, 8 * 0.1**2 / 3
    assert within.freedom == 4
    assert within.variance == pytest.approx(mean_square_within)
    assert other.variance == pytest.approx((mean_square_within + mean_square_between) / 2)
    assert other.freedom == pytest.approx(3.0, abs=0.1)


def test_a_release_in_a_history_of_several_runs_a_day_is_no_noise_between_days() -> None:
    """Ten days at one level and ten at another, three runs each: what is left is that of runs and of days."""
    generator = np.random.default_rng(3)
    days = [day for day in range(1, 21) for _ in range(3)]
    of_day = generator.normal(0.0, 0.02, 21)
    values = [of_day[day] + 0.5 * (day > 10) + generator.normal(0.0, 0.01) for day in days]
    other = noise(values, days).of_pair(same_day=False)
    assert math.sqrt(other.variance) == pytest.approx(math.hypot(0.02, 0.01), rel=0.35)
    assert other.freedom < 25


def test_losses_have_no_noise_floor() -> None:
    """Only pairs judge them."""
    found = noise_of(history([1.0, 2.0] * 6, gate=LOSSES), [LOSSES])[LOSSES.name]
    assert found.assumed(same_day=True)


@pytest.mark.parametrize("same_day", [True, False])
@pytest.mark.parametrize(
    "runs_of_days", [[1] * 8, [1] * 20, [3] * 3, [2] * 5, [3] * 10, [10] * 3, [6] * 5, [10] * 6]
)
def test_a_bound_by_this_noise_is_wrong_as_often_as_it_says(runs_of_days: list[int], same_day: bool) -> None:
    """5% one-sided, where days differ twice as much as runs; less if it cannot know the days' part."""
    generator, wrong = np.random.default_rng(6), 0
    days = [day for day, runs in enumerate(runs_of_days, start=1) for _ in range(runs)]
    for _ in range(300):
        of_day = generator.normal(0.0, 0.04, len(runs_of_days) + 1)
        values = generator.normal(0.0, 0.02, len(days)) + of_day[days]
        spread = noise(values.tolist(), days).of_pair(same_day=same_day)
        change = generator.normal(0.0, math.sqrt(2 * (0.02**2 + (0 if same_day else 0.04**2))))
        wrong += change > -student_quantile(spread.freedom, 0.05) * math.sqrt(2 * spread.variance)
    assert wrong / 300 <= 0.085
