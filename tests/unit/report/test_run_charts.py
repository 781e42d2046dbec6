"""The charts of runs with much, little or strange data."""

import json
import math
import re
from collections.abc import Sequence

import pytest

from loadtest.drops.plan import MAX_STORMS, Storm
from loadtest.report.chart import Band, Boxes, Chart, Line, Rule, Tone
from loadtest.report.chart_svg import drawing
from loadtest.report.html import RunCharts, run_charts
from loadtest.report.timeline import BINS_LIMIT
from loadtest.results.data import RunData
from loadtest.results.interval import pack
from loadtest.session.recorder import Interval, Lifecycle
from loadtest.session.schedule import NS_PER_S
from tests.support.runs import gathered, interval, manifest, plan

MS = 1_000_000


def all_of(found: RunCharts) -> list[Chart]:
    """Return all charts of a run."""
    return [*found.panels, *found.latency, *found.outages]


def named(run: RunData) -> dict[str, Chart]:
    """Return the charts of a run by id, each checked: drawn within the plot, a table row for each place."""
    found = {chart.id: chart for chart in all_of(run_charts(run))}
    for chart in found.values():
        drawn = drawing(chart)
        numbers = re.findall(r"-?[\d.]+(?:e[-+]?\d+)?", " ".join(shape.path for shape in drawn.shapes))
        assert all(math.isfinite(float(number)) for number in numbers)
        assert all(-6 <= float(number) <= 1000 for number in numbers), chart.title
        assert len(chart.at) == len(chart.table.rows) == len(json.loads(drawn.reading)["at"]) > 0
        assert (
            {len(row) for row in chart.table.rows} == {len(chart.table.header)} == {len(chart.table.aligns)}
        )
        assert chart.description
        assert chart.title
    return found


def second(at: int, **gauges: float) -> Interval:
    """Return a second with a few round trips, a drop and an outage that ended."""
    lifecycle = [
        Lifecycle(at_ns=at * NS_PER_S, event="dropped", session=f"s-{at}", kind="close", ordinal=0),
        Lifecycle(at_ns=at * NS_PER_S + 5 * MS, event="attempt", session=f"s-{at}", attempt=1),
        Lifecycle(
            at_ns=at * NS_PER_S + 900 * MS,
            event="resumed",
            session=f"s-{at}",
            attempt=1,
            outage_ns=900 * MS,
            wait_ns=800 * MS,
            tcp_ns=100 * MS,
        ),
    ]
    samples = {"service": [900 + at % 7] * 4, "response": [1000] * 4, "outage": [900_000 + at]}
    counts = {"messaging.sent": 4, "messaging.answered": 3, "messaging.lost": 1, "drops.close": 1}
    counts["reconnect.attempts"] = 1
    return interval(at, samples_us=samples, counts=counts, lifecycle=lifecycle, gauges=gauges)


def usual(seconds: int) -> RunData:
    """Return a run of this length with something in every second."""
    return gathered(second(at, sessions_up=9.0, sessions_in_outage=1.0) for at in range(seconds))


def test_each_chart_of_latency_says_what_it_lacks() -> None:
    """A server that answers a third of its messages seconds late is not a fast one."""
    found = named(usual(20))
    of_latency = {"latency-over-time", "percentiles", "heat-map"}
    assert of_latency <= set(found)
    for name, chart in found.items():
        lacking = "20 late or lost messages not included."
        assert chart.description.endswith(lacking) is (name in of_latency)
    sound_charts = all_of(run_charts(gathered([interval(0, samples_us={"service": [900] * 9})])))
    assert not [chart for chart in sound_charts if "late or lost" in chart.description]


def test_what_is_taken_back_is_explained_below_the_table() -> None:
    """A lost message that came late after all is counted again and subtracted: a cell may be below zero."""
    seconds = [interval(0, counts={"messaging.lost": 3}), interval(1, counts={"messaging.lost": -1})]
    seconds.append(interval(2, counts={"messaging.late": 1}))
    found = named(gathered(seconds))["failures-over-time"].table
    assert "negative number" in found.note
    assert named(usual(20))["failures-over-time"].table.note == ""


def test_a_run_without_data_has_no_charts() -> None:
    """Nothing is drawn where nothing was recorded."""
    assert not run_charts(gathered([]))


@pytest.mark.parametrize("seconds", [1, 2, 60, 3 * BINS_LIMIT])
def test_charts_of_a_run_of_any_length(seconds: int) -> None:
    """All are drawn, in a bounded number of points."""
    found = named(usual(seconds))
    assert list(found) == [
        *("latency-over-time", "messages-over-time", "failures-over-time", "sessions-over-time"),
        *("drops-over-time", "attempts-over-time"),
        *(["percentiles"] if seconds > 5 else []),  # steady times count after the warm-up
        *("heat-map", "outages-server", "outages-client", "outage-distribution"),
    ]
    assert all(len(chart.at) <= BINS_LIMIT for chart in found.values())


def test_one_value_and_extreme_values_can_be_drawn() -> None:
    """A microsecond, an hour, and nothing in between."""
    of = manifest(run_plan=plan(warmup_s=0.0))
    times = {"service": [0, 3_600_000_000], "outage": [0]}
    extreme = interval(0, samples_us=times, gauges={"sessions_up": 1e300})
    assert set(named(gathered([extreme], of))) == {
        *("latency-over-time", "sessions-over-time", "percentiles", "heat-map", "outage-distribution")
    }


def test_a_spike_of_one_second_in_a_long_run_is_in_the_chart() -> None:
    """The maximum and the rates of a bin are those of its worst second."""
    seconds = [
        interval(
            at,
            samples_us={"service": [900_000 if at == 1111 else 1000]},
            counts={"messaging.sent": 70 if at == 2222 else 1},
        )
        for at in range(3600)
    ]
    found = named(gathered(seconds))
    table = found["latency-over-time"].table
    column = table.header.index("max")
    assert [(row[0], row[column]) for row in table.rows if row[column] != "1 ms"] == [("18:30", "900 ms")]
    messages = found["messages-over-time"].table
    assert [(row[0], row[1]) for row in messages.rows if row[1] != "1"] == [("37:00", "70")]


def test_the_parts_of_an_outage_are_apart() -> None:
    """The backoff is the client's, the connect the server's; both say how long, and for how many."""
    found = named(usual(20))
    client, server = found["outages-client"], found["outages-server"]
    assert list(client.table.rows[0]) == ["close", "dropped", "20", "800 ms", "800 ms"]
    assert list(server.table.rows[0]) == ["close", "dropped", "20", "100 ms", "100 ms"]
    assert client.y.names == ["close: 800 ms"]
    assert all(mark.hollow for mark in client.marks if isinstance(mark, Boxes))
    assert not any(mark.hollow for mark in server.marks if isinstance(mark, Boxes))


def test_gauges_are_summed_over_workers() -> None:
    """Two workers' sessions add up, and one that skips a second is not taken for empty."""
    parts = [
        pack(interval(at, gauges={"sessions_up": 5.0}), worker)
        for at, worker in ((0, 0), (0, 1), (1, 0), (2, 0), (2, 1))
    ]
    chart = named(gathered(parts))["sessions-over-time"]
    assert "Sessions up: at most 10." in chart.description
    assert [row[1] for row in chart.table.rows] == ["10"] * 3


def test_a_kind_of_drop_has_one_colour_in_every_report() -> None:
    """However often each was made."""

    def tones(**counts: int) -> dict[str, Tone]:
        made = {f"drops.{kind}": count for kind, count in counts.items()}
        chart = named(gathered([interval(0, counts=made)]))["drops-over-time"]
        return {mark.name: mark.tone for mark in chart.marks if isinstance(mark, Boxes)}

    few, many = tones(close=1, reset=9), tones(reset=1, close=2, fin=30, mine=40)
    assert (few["close"], few["reset"]) == (many["close"], many["reset"])
    assert len(set(many.values())) == 4


def test_seconds_without_a_recording_are_gaps() -> None:
    """The engine stood still from 2 to 6 s: no rate, no count, no session there, but a named band."""
    counts = {"messaging.sent": 10, "connect.attempts": 2, "drops.reset": 1}
    seconds = [(0, 1), (1, 5), (6, 1), (7, 1)]
    parts = [
        interval(at, seconds=length, counts=counts, gauges={"sessions_up": 5.0}) for at, length in seconds
    ]
    found = named(gathered(parts))
    for chart in ("messages-over-time", "drops-over-time", "sessions-over-time", "attempts-over-time"):
        cells = [row[1] for row in found[chart].table.rows]
        assert [number for number, cell in enumerate(cells) if cell == ""] == [2, 3, 4, 5]
        bands = [mark for mark in found[chart].marks if isinstance(mark, Band) and mark.tone is Tone.GAP]
        assert [(band.low, band.high) for band in bands] == [(2.0, 6.0)]
    (sent,) = (mark for mark in found["messages-over-time"].marks if getattr(mark, "name", "") == "sent")
    assert isinstance(sent, Line)
    assert list(sent.y) == [10.0, 2.0, None, None, None, None, 10.0, 10.0]


def test_the_stop_is_shaded() -> None:
    """Sessions that end with the run are no crash."""
    run = gathered(map(second, range(12)), manifest(run_plan=plan(duration_s=10.0)))
    bands = [mark for mark in run_charts(run).panels[0].marks if isinstance(mark, Band)]
    assert (10.0, 12.0) in [(band.low, band.high) for band in bands]


def test_many_kinds_of_drops_are_eight_and_the_rest() -> None:
    """A hostile file may name any number of kinds: no chart has more colours than can be told apart."""
    counts = {f"drops.kind-{number}": 30 - number for number in range(20)}
    chart = named(gathered([interval(0, counts=counts)]))["drops-over-time"]
    names = [mark.name for mark in chart.marks if isinstance(mark, Boxes)]
    assert names == [*sorted(f"kind-{number}" for number in range(20))[:8], "other kinds"]
    assert sum(int(cell) for cell in chart.table.rows[0][1:]) == sum(counts.values())


# Moments.


def panels(*moments: float, seconds: int = 20) -> Sequence[Chart]:
    """Return the panels of a run with a storm at each moment."""
    storms = tuple(Storm(at_s=at_s, share_ratio=0.5) for at_s in moments)
    of = manifest(run_plan=plan(storms=storms, warmup_s=3.0))
    return run_charts(gathered(map(second, range(seconds)), of)).panels


def test_moments_cross_all_panels_and_are_named_in_the_first() -> None:
    """Three storms close together, the last near the end: three lines each, three labels above the first."""
    first, *others = panels(18.0, 18.5, 19.5)
    for panel in (first, *others):
        assert [mark.at for mark in panel.marks if isinstance(mark, Rule)] == [18.0, 18.5, 19.5]
        assert [(mark.low, mark.high) for mark in panel.marks if isinstance(mark, Band)] == [(0, 3.0)]
        assert panel.group == "timeline"
    assert [label.text for label in drawing(first).labels] == ["warm-up", *["storm 50%"] * 3]
    assert not any(drawing(panel).labels for panel in others)


def test_many_storms_and_none() -> None:
    """Many have a line each and few labels; those after a stopped run's end have nothing."""
    first = panels(*(at / 5 for at in range(MAX_STORMS)))[0]
    assert sum(isinstance(mark, Rule) for mark in first.marks) == min(MAX_STORMS, 101)
    assert 4 <= len(drawing(first).labels) <= 40
    calm = panels(21.0, 100.0)[0]
    assert not any(isinstance(mark, Rule) for mark in calm.marks)


def test_percentiles_go_as_far_as_their_samples() -> None:
    """No p99.9 of 50 samples, over time or as a curve."""
    of = manifest(run_plan=plan(warmup_s=0.0))
    few = gathered([interval(0, samples_us={"service": range(1000, 1050)})], of)
    found = named(few)
    assert max(found["percentiles"].at) <= 98
    lines = [mark.name for mark in found["latency-over-time"].marks if isinstance(mark, Line)]
    assert lines == ["max", "p90", "p50"]
