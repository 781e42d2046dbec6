"""The forest plots and the pairs as charts: where each mark is, and how far the axes reach."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loadtest.report.chart import Axis, Band, Dots, Rule, Tone, Unit, Whiskers
from loadtest.report.comparison_junit import comparison_junit
from loadtest.report.forest import ROWS_LIMIT
from loadtest.report.forest_charts import forest_charts, pair_chart
from loadtest.report.forest_drawing import forest_drawing
from loadtest.ruling import Ruling
from loadtest.verdict.evidence import PairEvidence
from tests.unit.report.test_forest import LOSSES, SLOW, compared, gate

RUNS = [
    PairEvidence(pair=1, fit=True, change_ratios={"service p50": 0.08, "service p99": 0.2}),
    PairEvidence(pair=2, fit=True, change_ratios={"service p50": 0.12, "service p99": -0.1}),
]


def test_each_gate_is_a_row_with_band_interval_and_points() -> None:
    """Band and interval lie in the row of their gate; the colour is the verdict's."""
    gates = [gate(decision=Ruling.FAIL), gate("service p99", margin_ratio=0.2, decision=Ruling.PASS)]
    (chart,) = forest_charts(compared(gates, RUNS))
    bands = [mark for mark in chart.marks if isinstance(mark, Band)]
    assert [(band.low, band.high, band.rows) for band in bands] == [
        (-0.05, 0.05, (0, 1)),
        (-0.2, 0.2, (1, 2)),
    ]
    (whiskers,) = (mark for mark in chart.marks if isinstance(mark, Whiskers))
    assert [(one.row, one.low, one.at, one.high, one.tone) for one in whiskers.whiskers] == [
        (0, -0.02, 0.1, 0.2, Tone.FAIL),
        (1, -0.02, 0.1, 0.2, Tone.PASS),
    ]
    dots = [mark for mark in chart.marks if isinstance(mark, Dots)]
    assert [(mark.name, list(mark.x)) for mark in dots] == [
        ("pair, baseline first", [0.08, 0.2]),
        ("pair, candidate first", [0.12, -0.1]),
    ]
    assert any(isinstance(mark, Rule) and mark.at == 0 for mark in chart.marks)


def test_each_row_says_what_is_drawn_in_it() -> None:
    """Change, bounds, margin and verdict stand beside the plot of their row."""
    (chart,) = forest_charts(compared([gate(decision=Ruling.FAIL, relative_margin_ratio=0.05)]))
    assert chart.description == "1 gate failed."
    assert chart.table.rows == [("service p50", "-", "-", "+10.0%", "-2.0 to +20.0%", "5%", "FAIL")]
    assert "worse →" in chart.x.title


def test_shares_and_losses_have_an_axis_of_their_own() -> None:
    """In margins, as points and losses an hour have no common unit."""
    times, counted = forest_charts(compared([gate(), LOSSES, SLOW]))
    assert (times.id, counted.id) == ("changes", "changes-counted")
    assert "in margins" in counted.x.title
    assert all(band.high == 1.0 for band in counted.marks if isinstance(band, Band))


def test_a_bound_that_is_far_off_squeezes_nothing() -> None:
    """The axis ends at three margins, and the interval has no end there."""
    gates = [gate(high_ratio=40.0), gate("service p90", margin_ratio=0.1)]
    (chart,) = forest_charts(compared(gates))
    assert chart.x.high < 0.5
    (whiskers,) = (mark for mark in chart.marks if isinstance(mark, Whiskers))
    assert [one.high for one in whiskers.whiskers] == [None, 0.2]


def test_an_estimate_is_always_on_the_axis() -> None:
    """However far it is, and on both sides."""
    (chart,) = forest_charts(compared([gate(change_ratio=3.0), gate("service p90", change_ratio=-0.6)]))
    assert chart.x.low <= -0.6
    assert chart.x.high >= 3.0


def test_without_a_change_there_is_no_chart() -> None:
    """The page says why instead."""
    assert forest_charts(compared([gate(change_ratio=None)])) == []


def test_gates_that_are_left_out_are_counted() -> None:
    """In the chart's note, and beside the cases of junit.xml."""
    judged = compared([gate(f"class {number} service p50") for number in range(ROWS_LIMIT + 5)])
    (chart,) = forest_charts(judged)
    assert chart.note.endswith(" 5 more gates of 65 left out.")
    assert b"5 more gates of 65 left out" in comparison_junit(judged)


def test_pairs_are_shown_beside_each_other() -> None:
    """By gate; hollow where the candidate's run was first; the table has each pair with its order."""
    chart = pair_chart(compared([gate(), gate("service p99")], RUNS))
    assert chart is not None
    dots = [mark for mark in chart.marks if isinstance(mark, Dots)]
    assert {(mark.name, mark.shape, tuple(mark.y)) for mark in dots} == {
        ("service p50", "circle", (0.08,)),
        ("service p50", "ring", (0.12,)),
        ("service p99", "circle", (0.2,)),
        ("service p99", "ring", (-0.1,)),
    }
    assert chart.table.rows == [
        ("1", "+8.0%", "+20.0%", "baseline first", "yes"),
        ("2", "+12.0%", "-10.0%", "candidate first", "yes"),
    ]
    assert chart.at == [1.0, 2.0]


@pytest.mark.parametrize("runs", [None, RUNS[:1], [PairEvidence(pair=1), PairEvidence(pair=2)]])
def test_one_pair_is_no_chart(runs: list[PairEvidence] | None) -> None:
    """Nor are pairs of which nothing is known."""
    assert pair_chart(compared([gate()], runs)) is None


def test_a_row_draws_what_is_its_own() -> None:
    """Band, whisker and pairs of the gate; what is beyond the axis is an arrow, never half a square."""
    gates = [gate(), gate("service p99", change_ratio=20.0, low_ratio=18.0, high_ratio=22.0)]
    drawn = forest_drawing(forest_charts(compared(gates))[0])
    near, far = drawn.rows
    assert [one.style for one in near.shapes if "whisker" in one.style] != []
    assert near.beyond == ""
    assert [one.style for one in near.shapes if one.style.startswith("band")] == ["band quiet"]
    chart = replace(forest_charts(compared(gates))[0], x=Axis(title="", low=-1, high=9, unit=Unit.CHANGE))
    far = forest_drawing(chart).rows[1]
    assert far.beyond
    assert not [one for one in far.shapes if "whisker" in one.style or "dots" in one.style]


def test_a_chart_of_pairs_is_as_high_as_its_values() -> None:
    """No time becomes less than nothing: all pairs slower, no axis below no change."""
    runs = [PairEvidence(pair=number, fit=True, change_ratios={"service p50": 2.0}) for number in (1, 2)]
    chart = pair_chart(compared([gate()], runs))
    assert chart is not None
    assert -0.5 < chart.y.low < 0
    assert chart.y.high < 2.5
