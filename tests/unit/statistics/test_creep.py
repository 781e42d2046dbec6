"""A series that has risen fails, whether in steps or by a creep; one that has not does not."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.ruling import Ruling
from loadtest.statistics.creep import MIN_UNITS, Rise, Series, fail_errors, rise
from loadtest.statistics.margins import GATES, Gate, GateKind

_JUDGED = tuple(gate for gate in GATES if not gate.kind.counted)
_ERRORS = fail_errors({gate.name: gate.required for gate in _JUDGED})

ONE_DAY = ["2026-11-23"] * 60


def nightly(runs: int) -> list[str]:
    """Return the days of runs of one a day."""
    return [f"day {number:02}" for number in range(runs)]


def judged(gate: Gate, values: Sequence[float | None], days: Sequence[str], **more: Sequence[int]) -> Rise:
    """Judge a series of one gate as one of all gates."""
    return rise(
        Series(values=values, days=days[: len(values)], **more),
        margin=lambda _: math.log1p(gate.margin.relative_ratio),
        fail_error=_ERRORS[gate.name],
        assumed_ratio=gate.assumed_ratio,
    )


P50 = GATES[0]


def p50(values: Sequence[float | None], days: Sequence[str] = ONE_DAY, **more: Sequence[int]) -> Rise:
    """Judge a series of the median."""
    return judged(P50, values, days, **more)


def noisy(
    runs: int, noise: float, rng: np.random.Generator, *, days: Sequence[str] = (), day_noise: float = 0.0
) -> list[float]:
    """Return an unchanged series with noise from run to run, and from day to day."""
    of_day = {day: rng.normal(0, day_noise) for day in dict.fromkeys(days)}
    return [7.0 + rng.normal(0, noise) + (of_day[days[run]] if days else 0.0) for run in range(runs)]


def fails(runs: int, noise: float, *, series: int, ratio_per_run: float = 0.0, **more: object) -> float:
    """Return the share of series in which any of all gates fails."""
    rng = np.random.default_rng(1)
    days = more.get("days", ONE_DAY)
    assert isinstance(days, list)
    failed = 0
    for _ in range(series):
        for gate in _JUDGED:
            values = noisy(runs, noise, rng, **more)  # type: ignore[arg-type]
            creep = 0.0 if gate.kind is GateKind.DRIFT else math.log1p(ratio_per_run)
            crept = [value + creep * run for run, value in enumerate(values)]
            if judged(gate, crept, days).decision is Ruling.FAIL:
                failed += 1
                break
    return failed / series


@pytest.mark.parametrize("runs", [8, 12, 20, 60])
@pytest.mark.parametrize("noise", [0.02, 0.05, 0.10])
def test_an_unchanged_series_seldom_fails(runs: int, noise: float) -> None:
    """In at most 5% over all gates together, less two standard errors of 100 series."""
    assert fails(runs, noise, series=100) <= 0.02


@pytest.mark.parametrize(
    "days", [nightly(12), ["a"] * 6 + ["b"] * 6, sorted("abcd" * 3), sorted("abcdefg" * 3)]
)
def test_days_that_differ_are_no_rise(days: list[str]) -> None:
    """Runs of one day share what is peculiar to it: 6% from day to day, 2% from run to run."""
    assert fails(len(days), 0.02, series=100, days=days, day_noise=0.06) <= 0.03


@pytest.mark.parametrize(("runs", "noise", "power"), [(12, 0.02, 0.95), (12, 0.03, 0.8), (16, 0.05, 0.9)])
def test_a_slow_creep_fails(runs: int, noise: float, power: float) -> None:
    """2% slower each release: no single comparison shows it."""
    assert fails(runs, noise, series=60, ratio_per_run=0.02) >= power


@pytest.mark.parametrize("after", [3, 6, 12])
def test_a_step_fails_soon(after: int) -> None:
    """Three runs after it are enough if it is clear."""
    rng = np.random.default_rng(2)
    values = [value + (0.2 if run >= 24 - after else 0) for run, value in enumerate(noisy(24, 0.02, rng))]
    found = p50(values)
    assert found.decision is Ruling.FAIL
    assert found.low > found.margin
    assert max(found.last) == 23
    assert found.first == tuple(range(8))


@pytest.mark.parametrize("runs", [12, 20, 30, 60])
@pytest.mark.parametrize("ratio", [1.3, 2.0, 10.0])
@pytest.mark.parametrize("slow", [1, 2])
def test_one_or_two_slow_runs_are_no_rise(runs: int, ratio: float, slow: int) -> None:
    """However slow, and however quiet the others: a noisy host may do that."""
    rng = np.random.default_rng(5)
    quiet = noisy(runs, 0.01, rng)
    values = [value + (math.log(ratio) if run >= runs - slow else 0) for run, value in enumerate(quiet)]
    assert p50(values).decision is Ruling.INCONCLUSIVE


@pytest.mark.parametrize("runs", [20, 30, 60])
def test_three_slow_runs_are_a_rise(runs: int) -> None:
    """Three of the newest three, if the series is long enough to look at so few."""
    rng = np.random.default_rng(5)
    values = [value + (0.3 if run >= runs - 3 else 0) for run, value in enumerate(noisy(runs, 0.01, rng))]
    found = p50(values)
    assert (found.decision, len(found.last)) == (Ruling.FAIL, 3)


@pytest.mark.parametrize("place", range(1, 13))
def test_one_slow_run_in_a_long_series_is_no_rise(place: int) -> None:
    """Wherever it stands among the newest, whatever window has it."""
    rng = np.random.default_rng(6)
    values = noisy(200, 0.01, rng)
    values[-place] += math.log(30.0)
    assert p50(values, ["2026-11-23"] * 200).decision is not Ruling.FAIL


@pytest.mark.parametrize("early", [3, 6, 12])
def test_a_step_early_in_a_long_series_does_not_pass(early: int) -> None:
    """The first third is mostly slow already: its mean hides the step, but nobody has accepted it."""
    rng = np.random.default_rng(7)
    values = [value + (0.26 if run >= early else 0) for run, value in enumerate(noisy(200, 0.01, rng))]
    found = judged(GATES[1], values, ["2026-11-23"] * 200)
    assert found.decision is not Ruling.PASS
    assert (
        judged(GATES[1], values, ["2026-11-23"] * 200, reference=range(early, early + 3)).decision
        is Ruling.PASS
    )


def test_a_quick_first_run_does_not_keep_a_long_series_from_passing() -> None:
    """One of three is no level. The margin is 10%."""
    values = noisy(200, 0.01, np.random.default_rng(8))
    values[0] -= 0.5
    assert judged(GATES[1], values, ["2026-11-23"] * 200).decision is Ruling.PASS


def test_a_step_within_the_margin_passes() -> None:
    """3% of 5%, with little noise: a slope that was extrapolated would overstate it."""
    rng = np.random.default_rng(3)
    values = [value + (0.03 if run >= 12 else 0) for run, value in enumerate(noisy(24, 0.002, rng))]
    assert p50(values).decision is Ruling.PASS


def test_what_was_mended_does_not_fail() -> None:
    """The newest runs count, not those in the middle."""
    rng = np.random.default_rng(4)
    values = [value + (0.3 if 8 <= run < 16 else 0) for run, value in enumerate(noisy(24, 0.01, rng))]
    assert p50(values).decision is not Ruling.FAIL


def test_a_quicker_server_passes() -> None:
    """Only a rise fails."""
    assert p50([7.0 - 0.05 * run for run in range(12)]).decision is Ruling.PASS


def test_a_quiet_series_passes_and_a_noisy_one_is_not_settled() -> None:
    """PASS needs its upper bound below the margin, too."""
    rng = np.random.default_rng(5)
    assert p50(noisy(12, 0.005, rng)).decision is Ruling.PASS
    found = p50(noisy(12, 0.3, rng))
    assert (found.decision, found.reason) == (Ruling.INCONCLUSIVE, "the runs vary too much to decide")


def test_few_runs_or_days_are_not_judged() -> None:
    """Fewer than six values say nothing; a few days are named as the reason."""
    few = p50([7.0] * (MIN_UNITS - 1))
    assert (few.decision, few.reason) == (Ruling.NOT_JUDGED, "5 values, 6 are needed")
    assert p50([7.0, None, math.nan, 7.0, 7.0, 7.0, 7.0]).decision is Ruling.NOT_JUDGED
    days = p50([7.0] * 12, ["a"] * 6 + ["b"] * 6)
    assert days.decision is Ruling.INCONCLUSIVE
    assert "only 2 days" in days.reason
    assert p50([7.0] * 12, nightly(12)).decision is Ruling.PASS


def test_a_large_step_between_two_days_fails() -> None:
    """No two days differ that much: one and a half times the assumed noise is not enough to explain it."""
    values = [7.0 + (0.5 if run >= 6 else 0) + 0.001 * (run % 2) for run in range(12)]
    assert p50(values, ["a"] * 6 + ["b"] * 6).decision is Ruling.FAIL


def test_the_pinned_revision_is_compared_with() -> None:
    """Runs before it say how much runs differ, but not from where; newer ones than it are needed."""
    rng = np.random.default_rng(6)
    values = [value + (0.2 if run >= 8 else 0) for run, value in enumerate(noisy(20, 0.01, rng))]
    assert p50(values).decision is Ruling.FAIL
    accepted = p50(values, reference=[10, 11])
    assert (accepted.decision, accepted.first) == (Ruling.PASS, (10, 11))
    assert p50(values, reference=[2]).decision is Ruling.FAIL
    newest = p50(values, reference=[18])
    assert newest.decision is Ruling.INCONCLUSIVE
    assert newest.reason.startswith("1 newer than the pinned revision,")


def test_runs_that_failed_are_not_compared_with() -> None:
    """A first third that is slow because its runs failed would hide a later rise."""
    values = [7.0, 7.3, 7.3, 7.3, 7.001, 7.0, 7.002, 7.0, 7.1, 7.1, 7.101, 7.1]
    assert p50(values).decision is not Ruling.FAIL
    found = p50(values, bad=[1, 2, 3])
    assert found.first == (0,)
    assert found.before == 7.0
    assert p50([7.0] * 12, bad=range(12)).first == (0, 1, 2, 3)


@given(
    st.lists(st.none() | st.just(math.nan) | st.floats(-50, 50), max_size=30),
    st.lists(st.sampled_from("abcdefgh"), min_size=30),
)
def test_any_series_is_judged(values: list[float | None], days: list[str]) -> None:
    """Whatever files hold: no exception, and a decision of the four."""
    found = p50(values, sorted(days))
    assert found.decision in Ruling
    if found.decision is Ruling.FAIL:
        assert found.low > found.margin
    if found.decision is Ruling.PASS:
        assert found.high < found.margin


def test_the_errors_of_all_gates_are_five_percent_together() -> None:
    """The required ones have four fifths; alone, all of it."""
    assert sum(_ERRORS.values()) == pytest.approx(0.05)
    assert _ERRORS["service p50"] == pytest.approx(0.04 / 3)
    assert sum(fail_errors({"service p50": True, "service p90": True}).values()) == pytest.approx(0.05)
    assert fail_errors({}) == {}
