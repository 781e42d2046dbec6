"""The charts' geometry, and the charts of runs with much, little or strange data."""

import math
import re
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.drops.plan import MAX_STORMS, Storm
from loadtest.report.charts import (
    HEIGHT,
    POINTS_LIMIT,
    WIDTH,
    Chart,
    Scale,
    charts,
    line,
    marks,
    ticks,
    x_scale,
    y_logarithmic,
    y_scale,
)
from loadtest.results.data import RunData
from loadtest.results.interval import pack
from loadtest.session.recorder import Interval, Lifecycle
from loadtest.session.schedule import NS_PER_S
from tests.support.runs import gathered, interval, manifest, plan

POSITIVE = st.floats(min_value=1e-3, max_value=1e9)


def numbers_of(chart: Chart) -> list[float]:
    """Return every number that a chart's drawing holds."""
    paths = " ".join(shape.path for shape in chart.shapes)
    drawn = [float(text) for text in re.findall(r"-?[\d.]+(?:e[-+]?\d+)?", paths)]
    bars = [number for bar in chart.bars for number in (bar.x, bar.y, bar.x + bar.width, bar.y + bar.height)]
    drawn += [number for mark in chart.marks for number in (mark.at, mark.y or 0)]
    return [*drawn, *bars, *(tick.at for tick in (*chart.x_ticks, *chart.y_ticks))]


@given(POSITIVE, st.floats(min_value=1.001, max_value=1e6))
def test_ticks_lie_on_the_axis_in_order(low: float, factor: float) -> None:
    """Straight or logarithmic, there are some ticks, not many, and all within the axis."""
    for logarithmic in (False, True):
        scale = Scale(low, low * factor, 0, 100, logarithmic)
        found = [tick.at for tick in ticks(scale, str)]
        assert found == sorted(found)
        assert len(found) <= 9
        assert all(0 <= at <= 100 for at in found)


@given(st.lists(POSITIVE, max_size=20))
def test_a_logarithmic_axis_holds_its_values_and_has_ticks(values: list[float]) -> None:
    """All values lie inside, and at least one round value can be named."""
    scale = y_logarithmic(values)
    assert all(scale.low <= value <= scale.high for value in values)
    assert ticks(scale, str)


@given(st.floats(min_value=0, max_value=1e9))
def test_straight_axes_stand_any_length(high: float) -> None:
    """A run without length and one of years both have an axis."""
    assert ticks(x_scale(0, high), str)
    assert ticks(y_scale(high), str)


def test_a_line_is_interrupted_where_there_is_no_value() -> None:
    """A gap is a gap, not a straight line over it; a lone point is still seen."""
    x, y = Scale(0, 10, 0, 10), Scale(0, 10, 0, 10)
    path = line([(0, 1), (1, 2), (2, None), (3, 4), (4, None)], x, y)
    assert path == "M0 1L1 2M3 4h.1"
    assert line([], x, y) == ""


def test_a_run_without_data_has_no_charts() -> None:
    """Nothing is drawn where nothing was recorded."""
    assert charts(gathered([])) == []


def second(at: int, **gauges: float) -> Interval:
    """Return a second with a round trip, an outage and an attempt to connect."""
    lifecycle = [Lifecycle(at_ns=at * NS_PER_S, event="attempt", session="s", attempt=1)]
    samples = {"service": [900 + at % 7], "response": [1000], "outage": [1_000_000 + at]}
    return interval(at, samples_us=samples, lifecycle=lifecycle, gauges=gauges)


def check(found: Iterable[Chart]) -> list[str]:
    """Check that all is drawn within the drawing, and return the titles."""
    titles = []
    for chart in found:
        assert all(math.isfinite(number) for number in numbers_of(chart))
        assert all(-1 <= number <= max(WIDTH, HEIGHT) for number in numbers_of(chart)), chart.title
        assert chart.description
        titles.append(chart.title)
    return titles


def usual(seconds: int) -> RunData:
    """Return a run of this length with something in every second."""
    return gathered(second(at, sessions_up=9.0, sessions_in_outage=1.0) for at in range(seconds))


@pytest.mark.parametrize("seconds", [1, 2, 60, 3 * POINTS_LIMIT])
def test_charts_of_a_run_of_any_length(seconds: int) -> None:
    """All four are drawn once the warm-up has passed, in a bounded number of points."""
    found = charts(usual(seconds))
    titles = check(found)
    assert {"Latency over time", "Sessions over time", "How long outages took"} <= set(titles)
    assert ("Latency by percentile" in titles) == (seconds > 5)
    points = max(len(re.findall("[MLH]", shape.path)) for chart in found for shape in chart.shapes)
    assert points <= POINTS_LIMIT + 2


def test_one_value_and_extreme_values_can_be_drawn() -> None:
    """A microsecond, an hour, and nothing in between."""
    of = manifest(run_plan=plan(warmup_s=0.0))
    extreme = interval(
        0, samples_us={"service": [0, 3_600_000_000], "outage": [0]}, gauges={"sessions_up": 1e300}
    )
    assert len(check(charts(gathered([extreme], of)))) == 4


def test_times_outside_of_the_run_are_not_drawn() -> None:
    """Events of a damaged file, long before or after the run, neither stop nor stretch a chart."""
    strays = [
        Lifecycle(at_ns=at_ns, event="attempt", session="s", attempt=1) for at_ns in (-(10**18), 9 * 10**18)
    ]
    stray = interval(0, lifecycle=strays, gauges={"sessions_up": 1.0})
    (chart,) = charts(gathered([stray]))
    check([chart])


def test_gauges_are_summed_over_workers() -> None:
    """Two workers' sessions add up, and one that skips a second is not taken for empty."""
    parts = [
        pack(interval(at, gauges={"sessions_up": 5.0}), worker)
        for at, worker in ((0, 0), (0, 1), (1, 0), (2, 0), (2, 1))
    ]
    (chart,) = charts(gathered(parts))
    assert "At most 10 sessions were up" in chart.description
    path = next(shape.path for shape in chart.shapes if shape.name == "up")
    assert len(set(re.findall(r"V([\d.]+)", path))) == 2  # ten sessions throughout, and the axis


def test_a_gauge_is_drawn_from_when_it_was_read() -> None:
    """What is read at the end of the third second holds from there on, not from its start."""
    counts = (9.0, 9.0, 3.0, 9.0)
    (chart,) = charts(gathered(interval(at, gauges={"sessions_up": up}) for at, up in enumerate(counts)))
    x = x_scale(0, 4)
    path = next(shape.path for shape in chart.shapes if shape.name == "up")
    steps = dict(re.findall(r"H([\d.]+)V([\d.]+)", path))
    assert list(steps) == [f"{x.at(at):g}" for at in range(5)]
    low, *others = sorted(set(steps.values()), key=float, reverse=True)
    assert len(others) == 1
    assert [at for at in range(5) if steps[f"{x.at(at):g}"] == low] == [3]


# Storms in the chart of sessions.


@given(st.lists(st.tuples(st.floats(0, 100), st.text(min_size=1, max_size=30)), max_size=20).map(sorted))
def test_no_label_of_a_mark_covers_another(moments: list[tuple[float, str]]) -> None:
    """Every moment has its line; labels stand apart, within the drawing where they are not very long."""
    found = marks(moments, x_scale(0, 100))
    assert [mark.label for mark in found] == [label for _, label in moments]
    boxes = []
    for mark in found:
        width = 6.6 * len(mark.label)
        left, right = (mark.at - width, mark.at) if mark.before else (mark.at, mark.at + width)
        assert 0 <= left <= right <= WIDTH
        if mark.y is not None:
            boxes.append((mark.y, left, right))
            assert 0 <= mark.y <= HEIGHT / 2
    for number, (y, left, right) in enumerate(boxes):
        assert all(y != other or right <= start or end <= left for other, start, end in boxes[:number])


def stormy(*moments: float, seconds: int = 20) -> Chart:
    """Return the chart of sessions of a run with a storm at each moment."""
    storms = tuple(Storm(at_s=at_s, share_ratio=0.5) for at_s in moments)
    of = manifest(run_plan=plan(storms=storms))
    (chart,) = charts(gathered((interval(at, gauges={"sessions_up": 9.0}) for at in range(seconds)), of))
    return chart


def test_storms_are_marked_where_they_came() -> None:
    """Three close together, the last near the end: three lines, three labels; the sentence names them."""
    chart = stormy(18.0, 18.5, 19.5)
    check([chart])
    x = x_scale(0, 20)
    assert [(mark.at, mark.label) for mark in chart.marks] == [
        (x.at(at_s), "storm 50%") for at_s in (18.0, 18.5, 19.5)
    ]
    assert len({mark.y for mark in chart.marks} - {None}) == 3
    assert chart.description.endswith("50% of them at 18 s, 50% of them at 18.5 s, 50% of them at 19.5 s.")


def test_many_storms_and_none() -> None:
    """Many have a line each, few labels and few words; those after a stopped run's end have nothing."""
    chart = stormy(*(at / 5 for at in range(MAX_STORMS)))
    check([chart])
    assert len(chart.marks) == MAX_STORMS
    assert 4 <= sum(mark.y is not None for mark in chart.marks) <= 30
    assert chart.description.endswith(f"and {MAX_STORMS - 5} more.")
    calm = stormy(21.0, 100.0)
    assert calm.marks == []
    assert calm.description.endswith("connections lost.")
