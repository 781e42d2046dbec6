"""The value of each gate of a run."""

import math

import pytest

from loadtest.statistics.margins import GATES
from loadtest.statistics.measured_run import MeasuredRun, shown, value
from loadtest.statistics.quantiles import SecondlyHistograms
from tests.support.distributions import steady

BY_NAME = {gate.name: gate for gate in GATES}


def test_a_quantile_is_compared_in_ln_and_shown_in_microseconds() -> None:
    """Interpolated within its bucket."""
    run = MeasuredRun(histograms={"service": steady(20_000)})
    assert value(BY_NAME["service p50"], run) == pytest.approx(math.log(20_000), abs=1e-3)
    assert shown(BY_NAME["service p50"], math.log(20_000)) == pytest.approx(20_000)


def test_the_drift_is_that_of_the_outer_thirds() -> None:
    """The middle does not count, and neither do the seconds that are left over."""
    seconds = [{1_000_000: 9}] * 10 + [{9_000_000: 9}] * 11 + [{1_060_000: 9}] * 10
    run = MeasuredRun(histograms={"service": SecondlyHistograms.from_mappings(seconds)})
    assert value(BY_NAME["drift"], run) == pytest.approx(math.log(1.06), abs=1e-3)
    assert shown(BY_NAME["drift"], value(BY_NAME["drift"], run)) == pytest.approx(0.06, abs=1e-3)


def test_losses_are_a_rate() -> None:
    """Per session-hour; unknown without any."""
    assert value(BY_NAME["losses"], MeasuredRun(histograms={}, losses=3, session_hours=2.0)) == 1.5
    assert value(BY_NAME["losses"], MeasuredRun(histograms={})) is None


def test_what_a_run_does_not_have_is_unknown() -> None:
    """Never NaN, and nothing is slow without a baseline."""
    empty = MeasuredRun(histograms={})
    assert all(value(gate, empty) is None and shown(gate, None) is None for gate in GATES)
    assert value(BY_NAME["slow replies"], MeasuredRun(histograms={"service": steady(400)})) is None
