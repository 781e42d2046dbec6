"""A run over time: bins against brute force, spikes in an hour's run, and how much all of it is."""

import json
from dataclasses import asdict

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest import histograms
from loadtest.drops.plan import Storm
from loadtest.report.heat_map import COLUMNS_LIMIT, ROWS_LIMIT, HeatMap
from loadtest.report.timeline import (
    BINS_LIMIT,
    PERCENTILES,
    Moment,
    Timeline,
    bin_s_of,
    timeline,
)
from loadtest.results.data import RunData
from loadtest.results.interval import pack
from loadtest.results.manifest import DrillRun
from loadtest.results.reader import read_run
from loadtest.session.schedule import NS_PER_S
from tests.support.effort import effort
from tests.support.long_runs import write_long_run
from tests.support.runs import gathered, interval, manifest, plan

HOUR_S = 3600
SPIKES = (777, 2500)

SECONDS = st.lists(
    st.tuples(
        st.integers(0, 50),  # sent
        st.integers(0, 9),  # dropped
        st.integers(0, 100),  # up
        st.lists(st.integers(1, 1_000_000), max_size=12),  # service times in µs
    ),
    min_size=1,
    max_size=25,
)


def run_of(seconds: list[tuple[int, int, int, list[int]]]) -> RunData:
    """Return the data of a run with these seconds."""
    return gathered(
        interval(
            second,
            samples_us={"service": service_us},
            counts={"messaging.sent": sent, "drops.reset": dropped},
            gauges={"sessions_up": float(up), "sessions_in_outage": float(100 - up)},
        )
        for second, (sent, dropped, up, service_us) in enumerate(seconds)
    )


@given(SECONDS, st.integers(1, 30))
@effort(60)
def test_bins_hold_what_their_seconds_hold(
    seconds: list[tuple[int, int, int, list[int]]], limit: int
) -> None:
    """Maximum of rates and sessions out, minimum of sessions up, sums of counts, maximum of times."""
    run = run_of(seconds)
    found = timeline(run, bin_s=bin_s_of(run, limit))
    size = int(found.bin_s)
    assert len(found.at_s) <= limit
    parts = [seconds[start : start + size] for start in range(0, len(seconds), size)]
    assert list(found.at_s) == [float(size * number) for number in range(len(parts))]
    assert list(found.rates["sent"]) == [max(sent for sent, *_ in part) for part in parts]
    assert list(found.sums["sent"]) == [sum(sent for sent, *_ in part) for part in parts]
    assert list(found.rates["drops"]) == [max(dropped for _, dropped, *_ in part) for part in parts]
    dropped = [sum(dropped for _, dropped, *_ in part) for part in parts]
    assert list(found.drops_by_kind.get("reset", [0] * len(parts))) == dropped
    assert list(found.up) == [min(up for _, _, up, _ in part) for part in parts]
    assert list(found.in_outage) == [max(100 - up for _, _, up, _ in part) for part in parts]
    for number, part in enumerate(parts):
        _check_times(found, number, sorted(us for *_, service_us in part for us in service_us))


def _check_times(found: Timeline, number: int, in_order_us: list[int]) -> None:
    """Check the percentiles of a bin against the sorted times of all its seconds."""
    for percentile in PERCENTILES:
        shown = found.percentiles_ms["service", percentile][number]
        if not in_order_us or (len(in_order_us) * (100 - percentile) < 100 and percentile != 100):
            assert shown is None
        else:
            rank = max(1, int(percentile / 100 * len(in_order_us) + 0.5))
            assert shown == histograms.highest_equivalent_us(in_order_us[rank - 1]) / 1000


@given(SECONDS, st.sampled_from([1, 7]))
@effort(30)
def test_a_heat_map_has_each_round_trip_once_in_its_cell(
    seconds: list[tuple[int, int, int, list[int]]], repeats: int
) -> None:
    """Every cell against brute force; rows and columns are few."""
    seconds = seconds * repeats
    heat = timeline(run_of(seconds)).heat
    if not any(service_us for *_, service_us in seconds):
        assert heat is None
        return
    assert heat is not None
    assert len(heat.low_ms) <= ROWS_LIMIT
    assert len(heat.at_s) <= COLUMNS_LIMIT
    expected = [[0] * len(heat.at_s) for _ in heat.low_ms]
    for second, (*_, service_us) in enumerate(seconds):
        for us in service_us:
            expected[_row_of(heat, us)][int(second // heat.column_s)] += 1
    assert [list(row) for row in heat.counts] == expected


def _row_of(heat: HeatMap, us: int) -> int:
    ms = histograms.highest_equivalent_us(us) / 1000
    edges = [*heat.low_ms[1:], heat.high_ms]
    return next(row for row, high_ms in enumerate(edges) if ms < high_ms * (1 - 1e-9))


@pytest.mark.parametrize("values_us", [(1, histograms.HIGHEST_US), (5,), (999, 1000, 1001)])
def test_any_times_have_a_heat_map(values_us: tuple[int, ...]) -> None:
    """From a microsecond to an hour, or all the same."""
    heat = timeline(gathered([interval(0, samples_us={"service": values_us})])).heat
    assert heat is not None
    assert sum(map(sum, heat.counts)) == len(values_us)
    assert 1 <= len(heat.low_ms) <= ROWS_LIMIT
    assert sorted({*heat.low_ms, heat.high_ms}) == [*heat.low_ms, heat.high_ms]


@pytest.fixture(scope="module")
def hour(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    """An hour with 20 sessions, in which one reply of two seconds was slow."""
    path = write_long_run(
        tmp_path_factory.mktemp("hour"), seconds=HOUR_S, sessions=20, spikes=SPIKES, of_spike_ms=900
    )
    return read_run(path)


def test_an_hour_keeps_its_spikes(hour: RunData) -> None:
    """One slow reply of 72,000 is seen where it was, and only there."""
    found = timeline(hour)
    slowest = found.percentiles_ms["service", 100]
    high = [number for number, ms in enumerate(slowest) if ms is not None and ms > 500]
    assert high == [int(second // found.bin_s) for second in SPIKES]
    assert found.heat is not None
    assert sum(found.heat.counts[-1]) == len(SPIKES)


def test_an_hour_stays_small(hour: RunData) -> None:
    """All of it as JSON: the page that holds it has to stay under 2 MB."""
    found = timeline(hour)
    times = {f"{tag} {percentile}": of for (tag, percentile), of in found.percentiles_ms.items()}
    fields = {name: getattr(found, name) for name in Timeline.__slots__ if name != "percentiles_ms"}
    shown = {**fields, "moments": [], "heat": None if found.heat is None else asdict(found.heat)}
    series = [*times.values(), *found.rates.values(), *found.sums.values(), found.up, found.in_outage]
    assert {len(of) for of in series} == {len(found.at_s)}
    assert 300 < len(found.at_s) <= BINS_LIMIT
    assert len(json.dumps(msgspec.to_builtins({**shown, "times": times}))) < 400_000


def test_a_run_of_many_hours_has_no_more_bins() -> None:
    """Rows get longer, and a rate is that of the highest row."""
    length_s = 20 * HOUR_S
    found = timeline(
        gathered(
            interval(second, seconds=60, counts={"messaging.sent": 60}) for second in range(0, length_s, 60)
        )
    )
    assert len(found.at_s) <= BINS_LIMIT
    assert found.bin_s * len(found.at_s) >= length_s
    assert sum(found.sums["sent"]) == length_s
    assert len(found.up) == len(found.at_s)


@pytest.mark.parametrize(("sent", "length_s"), [(20, 0.2), (50, 0.5), (20, 0.001)])
def test_the_last_row_has_a_rate_of_its_own_length(sent: int, length_s: float) -> None:
    """A run that ends in mid-second does not slow down; what a moment holds is no spike."""
    last = interval(9, counts={"messaging.sent": sent})
    last.stop_ns = last.start_ns + round(length_s * NS_PER_S)
    rows = [*(interval(second, counts={"messaging.sent": 100}) for second in range(9)), last]
    assert list(timeline(gathered(rows)).rates["sent"]) == [100.0] * 10


def test_a_run_without_data_is_empty() -> None:
    """Nothing was recorded: no bins, no heat map."""
    found = timeline(gathered([]))
    assert (found.at_s, found.up, found.heat, found.moments) == ([], [], None, [])


def test_workers_are_added_up_and_a_silent_one_keeps_its_value() -> None:
    """The second worker misses a second, and is gone after its last."""
    told = [(1, 0, 10.0), (1, 1, 11.0), (1, 2, 12.0), (1, 3, 13.0), (2, 0, 5.0), (2, 2, 7.0)]
    packed = [
        pack(interval(second, gauges={"sessions_up": up}), worker=worker) for worker, second, up in told
    ]
    found = timeline(gathered(packed))
    assert list(found.up) == [15.0, 16.0, 19.0, 13.0]


def test_moments_before_the_end_are_in_order() -> None:
    """A storm, a drill with its end, and the warm-up's end; what was to come after the end did not."""
    of = manifest(
        run_plan=plan(
            warmup_s=5.0,
            storms=tuple(Storm(share_ratio=0.5, at_s=at_s, kind="reset") for at_s in (8.0, 60.0)),
        ),
        drills=(
            DrillRun(at_s=2.0, command="deploy", started_s=2.1, ended_s=3.5, exit_status=0),
            DrillRun(at_s=50.0, command="never"),
        ),
    )
    found = timeline(gathered([interval(second) for second in range(10)], of)).moments
    assert found == [
        Moment(at_s=2.1, end_s=3.5, kind="drill", label="drill"),
        Moment(at_s=5.0, kind="warmup", label="warm-up ends"),
        Moment(at_s=8.0, kind="storm", label="storm 50%"),
    ]


def test_hostile_gauges_and_lengths_stay_numbers() -> None:
    """A file may hold any number: what is drawn is finite, and not much."""
    gauges = {"sessions_up": 1e308, "sessions_in_outage": -1e308}
    run = gathered([interval(0, gauges=gauges), interval(500_000, gauges=gauges)])
    found = timeline(run)
    values = [value for value in (*found.up, *found.in_outage) if value is not None]
    assert values
    assert all(0 <= value <= 1e10 for value in values)
    assert len(found.at_s) <= BINS_LIMIT
