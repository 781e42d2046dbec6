"""Axes of charts: where values lie, and which ticks are named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.report.chart import Axis, Spacing, Unit
from loadtest.report.chart_scales import linear_top, log_ends, ticks, written, x_scale, y_scale

POSITIVE = st.floats(min_value=1e-3, max_value=1e9)


def axis(low: float, high: float, spacing: Spacing = Spacing.LINEAR, unit: Unit = Unit.SHARE) -> Axis:
    """Return an axis over this range."""
    return Axis(title="", low=low, high=high, spacing=spacing, unit=unit)


@given(POSITIVE, st.floats(min_value=1.001, max_value=1e6), st.sampled_from(list(Unit)))
def test_ticks_lie_on_the_axis_in_order(low: float, factor: float, unit: Unit) -> None:
    """Straight or logarithmic, whatever the unit: not many, ascending, within the axis."""
    for spacing in (Spacing.LINEAR, Spacing.LOGARITHMIC):
        found = [tick.at for tick in ticks(x_scale(axis(low, low * factor, spacing, unit)), about=8)]
        assert found == sorted(found)
        assert len(found) <= 10
        assert all(0 <= at <= 1000 for at in found)


@given(st.lists(POSITIVE, max_size=20))
def test_a_logarithmic_axis_holds_its_values_and_has_ticks(values: list[float]) -> None:
    """All values lie inside, and at least one round value can be named."""
    low, high = log_ends(values)
    assert all(low <= value <= high for value in values)
    assert ticks(x_scale(axis(low, high, Spacing.LOGARITHMIC)), about=4)


@given(st.floats(min_value=0, max_value=1e9))
def test_straight_axes_stand_any_length(high: float) -> None:
    """A run without length and one of years both have an axis."""
    assert ticks(x_scale(axis(0, high, unit=Unit.CLOCK)), about=8)
    assert ticks(y_scale(axis(0, linear_top([high])), 100), about=4)


@given(POSITIVE, st.floats(min_value=1.001, max_value=1e6), st.floats(0, 1))
def test_values_beyond_an_axis_are_held_at_its_ends(low: float, factor: float, share: float) -> None:
    """Nothing is drawn outside, and order is kept."""
    for spacing in (Spacing.LINEAR, Spacing.LOGARITHMIC):
        along = x_scale(axis(low, low * factor, spacing))
        assert along.at(low / 2) == 0
        assert along.at(low * factor * 2) == 1000
        assert 0 <= along.at(low + share * low * (factor - 1)) <= 1000


def test_percentiles_are_spaced_by_their_tail() -> None:
    """As HdrHistogram plots them: each further nine is as far from the last."""
    along = x_scale(axis(0, 99.99, Spacing.TAIL, Unit.PERCENTILE))
    assert [along.at(percentile) for percentile in (0, 90, 99, 99.9, 99.99, 100)] == [
        *(0, 250, 500, 750, 1000, 1000)
    ]
    labels = [tick.label for tick in ticks(along, about=8)]
    assert labels == ["0", "50", "75", "90", "95", "99", "99.5", "99.9", "99.99"]


def test_rows_go_down_and_values_go_up() -> None:
    """A list is read from the top, an amount from the bottom."""
    assert y_scale(axis(0, 4, Spacing.ROWS), 80).at(1) == 20
    assert y_scale(axis(0, 4), 80).at(1) == 60


def test_counts_have_whole_ticks() -> None:
    """There is no half a session."""
    assert [tick.label for tick in ticks(y_scale(axis(0, 2.2, unit=Unit.COUNT), 80), about=6)] == [
        "0",
        "1",
        "2",
    ]


def test_clock_ticks_are_those_of_a_clock() -> None:
    """Every five minutes, not every 500 seconds."""
    found = [tick.label for tick in ticks(x_scale(axis(0, 3600, unit=Unit.CLOCK)), about=8)]
    assert found == ["00:00", "10:00", "20:00", "30:00", "40:00", "50:00", "1:00:00"]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1234.0, Unit.COUNT, "1,234"),
        (0.5, Unit.MS, "0.5 ms"),
        (1500.0, Unit.MS, "1.5 s"),
        (0.25, Unit.SECONDS, "0.25 s"),
        (90.0, Unit.CLOCK, "01:30"),
        (0.05, Unit.SHARE, "5%"),
        (0.05, Unit.CHANGE, "+5%"),
        (-0.1, Unit.CHANGE, "-10%"),
        (0.0, Unit.CHANGE, "0%"),
        (99.99, Unit.PERCENTILE, "99.99"),
    ],
)
def test_how_values_are_written(value: float, unit: Unit, text: str) -> None:
    """As everywhere else."""
    assert written(value, unit) == text


@pytest.mark.parametrize("top", [*range(1, 1001), 0.3, 41_000, 123_456])
def test_a_panel_has_a_scale(top: float) -> None:
    """Two labels at least, however low the panel: one label alone is no scale."""
    axis_of_counts = axis(0, linear_top([top]), unit=Unit.COUNT)
    assert len(ticks(y_scale(axis_of_counts, 72), about=2)) >= 2
