"""How charts are drawn: paths, labels, legends, and the numbers for the read-out."""

import json
import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.report.chart import (
    Axis,
    Band,
    Box,
    Boxes,
    Chart,
    Dots,
    Heat,
    Line,
    Mark,
    Rule,
    Spacing,
    Tone,
    Whisker,
    Whiskers,
)
from loadtest.report.chart_scales import WIDTH, x_scale, y_scale
from loadtest.report.chart_svg import (
    HEAT_LEVELS,
    ROW_HEIGHT,
    closed,
    drawing,
    heat_level,
    json_text,
    line_path,
    step_path,
)
from loadtest.report.tables import Table

TEN = Axis(title="", low=0, high=10)
X, Y = x_scale(TEN), y_scale(TEN, 10)


def chart(*marks: Mark, y: Axis = TEN, header: Sequence[str] = ("x",), at: Sequence[float] = ()) -> Chart:
    """Return a chart of these marks on axes from 0 to 10, 100 pixels high."""
    return Chart(
        id="chart",
        title="A chart",
        description="What it shows.",
        x=TEN,
        y=y,
        marks=marks,
        table=Table(header, "r" * len(header), [("",) * len(header)] * len(at), "A chart"),
        at=at,
        height=100,
    )


def paths(of: Chart) -> dict[str, str]:
    """Return the paths of a drawing by style."""
    return {shape.style: shape.path for shape in drawing(of).shapes}


def test_a_line_is_interrupted_where_there_is_no_value() -> None:
    """A gap is a gap, not a straight line over it; a lone point is still seen."""
    points = [(0, 1), (1, 2), (2, None), (3, 4), (4, None)]
    assert line_path(points, X, Y) == "M0 9L100 8M300 6h.1"
    assert line_path([], X, Y) == ""


def test_steps_hold_until_the_next_value() -> None:
    """The last one until the end; equal values are one line; a gap ends a step."""
    points = [(0, 1), (1, 1), (2, 3), (3, None), (4, 2), (5, None)]
    assert step_path(points, 6, X, Y) == "M0 9H200V7H300M400 8H500"
    assert step_path([(0, 1), (1, 2)], 2, X, Y) == "M0 9H100V8H200"
    assert step_path([], 0, X, Y) == ""


def test_the_area_below_a_line_is_closed_at_the_floor() -> None:
    """Each stretch for itself."""
    assert closed("M0 9H200V7H300M400 8H500", 10) == "M0 10L0 9H200V7H300V10ZM400 10L400 8H500V10Z"
    assert closed("", 10) == ""


def test_boxes_without_an_extent_are_not_drawn() -> None:
    """A bar of nothing is no bar."""
    found = paths(chart(Boxes(name="b", tone=Tone.ONE, boxes=[Box(0, 1, 0, 0), Box(1, 2, 0, 5)])))
    assert found == {"box one": "M100 100H200V50H100Z"}


def test_a_whisker_without_an_end_reaches_the_edge_and_has_no_cap() -> None:
    """What has no bound on a side is not drawn as if it had one."""
    rows = Axis(title="", low=0, high=1, spacing=Spacing.ROWS, names=("p50",))
    one = Whiskers(name="", whiskers=[Whisker(0, None, 4, 6, Tone.FAIL)])
    found = paths(chart(one, y=rows))
    assert found["line fail whisker"] == "M0 50H600M600 45v10"
    assert found["dots square fail"] == "M400 50h.01"


def test_dots_are_not_stretched() -> None:
    """They are lines without length, with round ends; a ring is a dot with a hole."""
    found = paths(chart(Dots(name="d", tone=Tone.TWO, x=[5], y=[5], shape="ring")))
    assert found == {"dots ring two": "M500 50h.01", "dots hole": "M500 50h.01"}


def test_a_heat_map_joins_neighbours_of_one_colour() -> None:
    """Zero is no colour; the strongest is the highest count."""
    heat = Heat(name="", x_edges=[0, 1, 2, 3], y_edges=[0, 5, 10], counts=[[1, 1, 0], [0, 0, 9]])
    assert paths(chart(heat)) == {
        "heat level-1": "M0 100H200V50H0Z",
        f"heat level-{HEAT_LEVELS}": "M200 50H300V0H200Z",
    }


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_every_count_has_a_level(count: int, most: int) -> None:
    """None for zero only."""
    level = heat_level(min(count, most), most)
    assert 0 <= level <= HEAT_LEVELS
    assert (level == 0) == (min(count, most) == 0)


def test_a_band_of_a_moment_can_be_seen() -> None:
    """A drill of a tenth of a second in an hour's run."""
    assert paths(chart(Band(low=5, high=5.0001)))["band quiet"] == "M500 0H502V100H500Z"


def test_a_band_may_hold_single_rows() -> None:
    """Each gate of a forest plot has its own margin."""
    rows = Axis(title="", low=0, high=2, spacing=Spacing.ROWS, names=("p50", "p99"))
    assert paths(chart(Band(low=2, high=4, rows=(1, 2)), y=rows))["band quiet"] == "M200 50H400V100H200Z"


@given(st.lists(st.tuples(st.floats(0, 10), st.text(min_size=1, max_size=30)), max_size=20).map(sorted))
def test_no_label_of_a_moment_covers_another(moments: list[tuple[float, str]]) -> None:
    """Every moment has its line; labels stand apart, and above the plot."""
    drawn = drawing(chart(*(Rule(at=at, label=label) for at, label in moments)))
    assert sum(shape.style == "rule quiet" for shape in drawn.shapes) == len(moments)
    boxes = []
    for label in drawn.labels:
        width, at = 6.0 * len(label.text) / 800 * WIDTH, 10 * label.x
        boxes.append((label.y, *((at - width, at) if label.anchor == "end" else (at, at + width))))
        assert -drawn.top < label.y < 0
    for number, (y, left, right) in enumerate(boxes):
        assert all(y != other or right <= start or end <= left for other, start, end in boxes[:number])


def test_the_legend_has_the_order_of_the_table() -> None:
    """Whatever lies in front; what has no name is not in it."""
    marks = [Line(name=name, tone=Tone.ONE, x=[0], y=[1]) for name in ("p99", "p50", "")]
    found = drawing(chart(*marks, header=("time", "p50", "p99"), at=[0]))
    assert [key.name for key in found.keys] == ["p50", "p99"]


def test_the_read_out_has_a_place_for_each_row() -> None:
    """In thousandths of the plot, with the height of each line there."""
    line = Line(name="a", tone=Tone.THREE, x=[0, 5, 10], y=[0, None, 10])
    found = json.loads(drawing(chart(line, at=[0, 5, 10])).reading)
    assert found == {"along": "x", "at": [0, 500, 1000], "dots": [["three", [1000, None, 0]]]}


def test_rows_have_names_and_are_read_downwards() -> None:
    """A name stands above its bar."""
    rows = Axis(title="", low=0, high=2, spacing=Spacing.ROWS, names=("one", "two"))
    made = chart(Boxes(name="b", tone=Tone.ONE, boxes=[]), y=rows)
    names = drawing(made).labels
    assert [(label.text, label.style) for label in names] == [("one", "row"), ("two", "row")]
    assert names[0].y < names[1].y < 2 * ROW_HEIGHT + 20


@pytest.mark.parametrize("text", ["</script><script>alert(1)</script>", "<!--", "\u2028\u2029", "a&b"])
def test_json_cannot_end_its_script(text: str) -> None:
    """Whatever it holds, it is read back as it was."""
    found = json_text({"text": text})
    assert json.loads(found)["text"] == text
    assert not re.search("[<>&\u2028\u2029]", found)
