"""Both revisions over each other: over time, by percentile, and in their outages."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.report.chart import Line, Rule, Tone
from loadtest.report.comparison_charts import charts_over_time, percentile_charts
from loadtest.report.judged_comparison import JudgedComparison
from loadtest.report.outage_charts import phase_charts
from loadtest.report.pair_sums import PairSums
from loadtest.results.data import RunData
from loadtest.results.reader import read_run
from loadtest.session.schedule import NS_PER_S
from tests.support.compared_runs import judged_pairs, pairs_of_runs
from tests.support.recorded_runs import begun
from tests.support.rundirs import write_run
from tests.support.runs import gathered, interval
from tests.unit.report.test_forest import compared


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> JudgedComparison:
    """A comparison of one pair."""
    results = tmp_path_factory.mktemp("results")
    return judged_pairs(pairs_of_runs(results, 1, slower_ratio=2.0), results)


def test_both_revisions_stand_in_each_chart(judged: JudgedComparison) -> None:
    """In the tones of baseline and candidate, by name; the slower one above."""
    charts = charts_over_time(judged)
    assert [chart.id for chart in charts] == ["p50", "p99", "slowest", "answered", "up", "out"]
    for chart in charts:
        before, after = (mark for mark in chart.marks if isinstance(mark, Line))
        assert (before.tone, after.tone) == (Tone.BASELINE, Tone.CANDIDATE)
        assert (before.name, after.name) == chart.table.header[1:]
        assert len(before.y) == len(after.y) == len(chart.at) == len(chart.table.rows)
    p50 = [mark for mark in charts[0].marks if isinstance(mark, Line)]
    for one, two in zip(p50[0].y, p50[1].y, strict=True):
        assert one is not None
        assert two is not None
        assert two > 1.4 * one


def test_moments_are_named_once(judged: JudgedComparison) -> None:
    """Their lines go on through the charts below."""
    labels = [
        [mark.label for mark in chart.marks if isinstance(mark, Rule)] for chart in charts_over_time(judged)
    ]
    assert labels[0] == ["warm-up ends"]
    assert all(label == [""] for label in labels[1:])


def test_runs_of_unequal_length_end_where_they_end(tmp_path: Path) -> None:
    """The shorter one has no values after its end."""
    short, long = (
        read_run(write_run(tmp_path, of=begun(f"of-{seconds}", "v1", at_s=seconds), seconds=seconds))
        for seconds in (7, 20)
    )
    drawn = PairSums()
    drawn.add(short, long, fit=True)
    chart = charts_over_time(replace(compared([]), drawn=drawn))[0]
    before, after = (mark for mark in chart.marks if isinstance(mark, Line))
    assert [value is None for value in before.y] == [False] * 7 + [True] * 13
    assert None not in after.y
    assert chart.table.rows[10][1] == "-"


def lasting(length_s: float, spike_s: int) -> RunData:
    """Return a run of this length with a slow round trip in this second."""
    rows = [
        interval(second, samples_us={"service": [5_000_000 if second == spike_s else 1000]})
        for second in (0, spike_s, math.ceil(length_s) - 1)
    ]
    rows[-1].stop_ns = round(length_s * NS_PER_S)
    return gathered(rows)


@pytest.mark.parametrize("lengths_s", [(599.9, 600.3), (600.3, 599.9), (7199.5, 7300.0)])
def test_both_runs_keep_their_spikes(lengths_s: tuple[float, float]) -> None:
    """Of runs that would have other bins by themselves, both have those of the longer one."""
    drawn = PairSums()
    drawn.add(*(lasting(length_s, 301) for length_s in lengths_s), fit=True)
    (slowest,) = (
        chart for chart in charts_over_time(replace(compared([]), drawn=drawn)) if chart.id == "slowest"
    )
    for line in (mark for mark in slowest.marks if isinstance(mark, Line)):
        values = [value or 0.0 for value in line.y]
        assert max(values) > 4999
        assert slowest.at[values.index(max(values))] in (300.0, 294.0)


def test_percentiles_are_those_of_both_sides(judged: JudgedComparison) -> None:
    """At the same percentiles; the table has the change at each."""
    service, response = percentile_charts(judged)
    assert (service.id, response.id) == ("percentiles", "response-percentiles")
    row = service.table.rows[list(service.at).index(50.0)]
    change = float(row[3].strip("+%"))
    assert 80 < change < 120
    assert "1,500 round trips in the baseline" in service.description  # without the warm-up


def test_nothing_was_measured() -> None:
    """A comparison without pairs, as of a duel whose first run failed, has no charts."""
    empty = compared([])
    assert charts_over_time(empty) == []
    assert percentile_charts(empty) == []
    assert phase_charts(empty.drawn.outages) == []
