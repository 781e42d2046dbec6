"""The runs that the calibration draws are what its rows say they are."""

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram

from loadtest.statistics.margins import GATES
from loadtest.statistics.measured_run import MeasuredRun, value
from tests.benchmarks.calibration.scenarios import _turns
from tests.benchmarks.calibration.shapes import SHAPES, Arrivals, autocorrelated, bimodal, queueing
from tests.benchmarks.calibration.simulated import Load, folded, run_shifts


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def arrivals(*, runs: int = 2, seconds: int = 60, rate_per_s: float = 60.0) -> Arrivals:
    return Arrivals.draw(rng(), runs=runs, seconds=seconds, rate_per_s=rate_per_s)


def change_ln(before: MeasuredRun, after: MeasuredRun, quantile: float) -> float:
    """Return the change of a quantile of service times, in ln units."""
    a, b = (run.histogram("service").ln_quantile(quantile) for run in (before, after))
    assert a is not None
    assert b is not None
    return b - a


def test_arrivals_are_ordered_and_at_their_rate() -> None:
    """Each run's from its start to its end."""
    drawn = arrivals(runs=3, rate_per_s=100.0)
    for run in range(3):
        at_s = drawn.at_s[drawn.run == run]
        assert np.all(np.diff(at_s) >= 0)
        assert 0 <= at_s[0] < 1
        assert 59 < at_s[-1] < 60
        assert at_s.size == pytest.approx(6_000, rel=0.05)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_gives_each_message_a_time(shape: str) -> None:
    """A finite one, above zero."""
    drawn = arrivals()
    times_us = SHAPES[shape](drawn, rng())
    assert times_us.shape == drawn.run.shape
    assert np.all(np.isfinite(times_us))
    assert times_us.min() > 0


def test_the_queue_is_as_long_as_theory_says() -> None:
    """The mean time in an M/M/1 queue is service / (1 - load); and no run waits for the one before."""
    drawn = arrivals(runs=40, seconds=600)
    times_us = queueing(drawn, rng(), load=0.5)
    assert times_us.mean() == pytest.approx(1e6 * 0.5 / 60 / (1 - 0.5), rel=0.05)
    first_us = times_us[np.searchsorted(drawn.run, np.arange(40))]
    assert first_us.mean() == pytest.approx(1e6 * 0.5 / 60, rel=0.5)


def test_seconds_are_correlated_as_said() -> None:
    """The factor of AR(1) 0.95 from one second to the next."""
    drawn = arrivals(runs=1, seconds=3_000, rate_per_s=100.0)
    ln = np.log(autocorrelated(drawn, rng(), deviation=1.0))
    by_second = np.bincount(drawn.second, ln) / np.bincount(drawn.second)
    assert np.corrcoef(by_second[:-1], by_second[1:])[0, 1] == pytest.approx(0.95, abs=0.02)


def test_modes_have_their_shares() -> None:
    """A tenth of the replies in the slow one."""
    assert np.mean(bimodal(arrivals(), rng(), slow=0.1) > 10_000) == pytest.approx(0.1, abs=0.02)


def test_buckets_are_those_of_hdrhistogram() -> None:
    """The recorder's own, of three significant digits."""
    drawn = arrivals(runs=1)
    values_us = np.random.default_rng(2).lognormal(10.0, 3.0, drawn.run.size)
    theirs = HdrHistogram(1, 3_600_000_000_000, 3)
    for value_us in values_us:
        theirs.record_value(max(int(value_us), 1))
    (ours,) = folded(values_us, drawn, 60)
    expected = {
        theirs.get_highest_equivalent_value(item.value_iterated_to): item.count_added_in_this_iter_step
        for item in theirs.get_recorded_iterator()
    }
    assert dict(zip(ours.values_us.tolist(), ours.totals.tolist(), strict=True)) == expected
    assert ours.counts.shape[0] == 60


@pytest.mark.parametrize("shape", ["log-normal", "Pareto 1.1", "queueing"])
def test_quantiles_differ_from_run_to_run_as_said(shape: str) -> None:
    """By the run's own effect at each quantile, whatever the shape, and not by more than sampling adds."""
    shifts = run_shifts(rng(), 40, ratios=(0.03, 0.05, 0.10))
    assert np.std(shifts, axis=0) == pytest.approx([0.03, 0.05, 0.10], rel=0.35)
    load = Load(shape=SHAPES[shape], rate_per_s=200.0)
    runs = load.runs(rng(), shifts)
    same = load.runs(rng(), np.zeros_like(shifts))
    for column, quantile in enumerate((0.5, 0.9, 0.99)):
        moved = [change_ln(b, a, quantile) for a, b in zip(runs, same, strict=True)]
        assert moved == pytest.approx(shifts[:, column], abs=0.005)


def test_a_change_is_of_its_size() -> None:
    """Times a fifth longer are that at every quantile; a trend is in the thirds; losses are counted."""
    shifts = np.zeros((4, 3))
    usual = Load(rate_per_s=500.0)
    before = usual.runs(rng(), shifts)[0]
    after = Load(rate_per_s=500.0, slower_ratio=0.2).runs(rng(), shifts)[0]
    for quantile in (0.5, 0.99):
        assert change_ln(before, after, quantile) == pytest.approx(np.log(1.2), abs=0.002)
    lossy = Load(lost_ratio=0.03, losses_per_h=2.0, cluster=5).runs(rng(), np.zeros((400, 3)))
    assert np.mean([run.losses for run in lossy]) == pytest.approx(300 * 0.03 + 2.0 * 5, rel=0.1)
    assert lossy[0].session_hours == 5.0


def test_of_two_pairs_in_a_row_one_begins_with_each_side() -> None:
    """And the places of all runs are those of a duel of 12 pairs."""
    a, b = _turns(rng(), 12)
    assert sorted([*a, *b]) == list(range(24))
    assert np.all(np.abs(a - b) == 1)
    assert np.all((a < b)[0::2] != (a < b)[1::2])


def test_thirds_have_the_values_of_the_whole_run() -> None:
    """A run of an earlier day is only good for its values."""
    shifts = np.zeros((1, 3))
    (whole,), (thirds,) = (Load(drift_ratio=0.1).runs(rng(), shifts, rows=rows) for rows in (None, 3))
    assert thirds.histogram("service").counts.shape[0] == 3
    for gate in GATES:
        assert value(gate, thirds) == value(gate, whole)
