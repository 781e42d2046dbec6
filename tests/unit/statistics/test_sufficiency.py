"""What runs need to be judged, and what is said of those that lack it."""

from __future__ import annotations

import pytest

from loadtest.statistics.margins import GATES, Gate
from loadtest.statistics.measured_run import MeasuredRun
from loadtest.statistics.quantiles import SecondlyHistograms
from loadtest.statistics.sufficiency import lack, lack_of_runs, least_samples
from tests.support.distributions import P50, P99, steady

BY_NAME = {gate.name: gate for gate in GATES}


def run(histogram: SecondlyHistograms | None = None, **fields: object) -> MeasuredRun:
    tags = {gate.tag: histogram or steady(400) for gate in GATES if gate.tag}
    return MeasuredRun(histograms=tags, session_hours=1.0, **fields)  # type: ignore[arg-type]


def lacking(gate: Gate, after: MeasuredRun, *, pairs: int = 1) -> str:
    return lack(gate, [[(run(), after)]] * pairs)


@pytest.mark.parametrize(
    ("histogram", "says"),
    [
        (SecondlyHistograms.from_mappings([]), "the candidate has no samples"),
        (SecondlyHistograms.from_mappings([{}] * 60), "the candidate has no samples"),
        (
            SecondlyHistograms.from_mappings([{5: 2000}]),
            "the candidate has samples in 1 second, 10 are needed",
        ),
        (steady(400, each_s=5), "has 100 samples, p99 needs 1,000"),
    ],
)
def test_one_pair_needs_ten_values_beyond_the_quantile_in_ten_seconds(
    histogram: SecondlyHistograms, says: str
) -> None:
    """And says what is missing, of which run."""
    assert says in lacking(P99, run(histogram))
    assert lacking(P99, run()) == ""


def test_of_four_pairs_each_run_needs_one_value_beyond_the_quantile_and_each_side_ten() -> None:
    """100 a run and 1,000 a side for p99, in however few seconds."""
    each = {99: "needs 100", 100: "p99 needs 1,000 in total", 250: ""}
    for samples, says in each.items():
        found = lack(P99, [[(run(), run(SecondlyHistograms.from_mappings([{400: samples}])))]] * 4)
        assert says in found
        assert bool(says) is bool(found)


@pytest.mark.parametrize(
    ("pairs", "units", "p99", "p50"), [(1, 1, 1_000, 20), (3, 3, 1_000, 20), (4, 4, 250, 5), (12, 12, 100, 2)]
)
def test_many_pairs_need_fewer_samples_each(pairs: int, units: int, p99: int, p50: int) -> None:
    """Ten beyond the quantile over all runs of a side, and one in each."""
    needed = {gate.name: least_samples(gate, pairs=pairs, units=units) for gate in GATES}
    assert (needed["service p99"], needed["service p50"]) == (p99, p50)


def test_single_runs_are_told_in_the_same_words() -> None:
    """For tables and the forecast; the poorest run counts, and a plan of many pairs needs fewer of each."""
    short = run(steady(400, each_s=20))
    assert lack_of_runs(P99, [run(), short]) == "400 samples, p99 needs 1,000"
    assert lack_of_runs(P99, [run(), short], pairs=4, units=4) == ""
    assert lack_of_runs(P99, [run()]) == ""
    assert lack_of_runs(BY_NAME["losses"], [run()]) == ""


def test_the_pair_that_lacks_something_is_named() -> None:
    """Of many pairs the reader wants to know which."""
    empty = run(SecondlyHistograms.from_mappings([]))
    units = [[(run(), run())]] * 3 + [[(empty, run())]]
    assert lack(P50, units).startswith("the baseline of pair 4 has no")
    assert "no pair" in lack(P50, [])


def test_a_tag_that_no_run_has_is_said_in_a_word() -> None:
    """A plan without drops has no outages."""
    bare = MeasuredRun(histograms={"service": steady(400)})
    assert lack(BY_NAME["outage p95"], [[(bare, bare)]]) == "no outage samples"


def test_events_in_clusters_are_judged_over_pairs_only() -> None:
    """Four units or more; fewer are the business of stability and limits."""
    for name in ("slow replies", "losses"):
        assert lacking(BY_NAME[name], run(), pairs=3) == "needs 4 pairs or more"
        assert lacking(BY_NAME[name], run(), pairs=4) == ""


def test_losses_need_sessions_that_were_up() -> None:
    """Without any there is no rate."""
    down = MeasuredRun(histograms={}, losses=3)
    assert "no session" in lack(BY_NAME["losses"], [[(run(), down)]] * 4)


def test_response_times_are_judged_where_replies_hold_messages_back() -> None:
    """In an open load they are service times and the generator's own delays."""
    assert lacking(BY_NAME["response p99"], run()) == "open arrivals: no request waits for a reply"
    closed = run(closed_load=True)
    assert lack(BY_NAME["response p99"], [[(closed, closed)]]) == ""


def test_the_drift_needs_its_thirds() -> None:
    """Twenty values in each outer third, whatever the middle has."""
    late = SecondlyHistograms.from_mappings([{}] * 10 + [{400: 500}] * 20)
    assert "in a third of the run" in lacking(BY_NAME["drift"], run(late))
    assert lacking(BY_NAME["drift"], run()) == ""
