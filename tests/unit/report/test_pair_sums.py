"""What is kept of a comparison's runs for its charts: sums over the pairs that count, one pair over time."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest import histograms
from loadtest.report.pair_sums import First, PairSums, first_of
from loadtest.results.data import RunData
from loadtest.results.reader import read_run
from tests.support.recorded_runs import begun
from tests.support.rundirs import write_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[RunData]:
    """Four runs of 20 s, a hundred seconds apart."""
    results: Path = tmp_path_factory.mktemp("results")
    made = [
        write_run(results, of=begun(f"run{number}", "v1", at_s=100 * number), seconds=20)
        for number in range(4)
    ]
    return [read_run(path) for path in made]


def test_histograms_are_added_up(runs: list[RunData]) -> None:
    """The percentiles are those of all round trips of one side together."""
    drawn = PairSums()
    drawn.add(runs[0], runs[1], fit=True)
    drawn.add(runs[2], runs[3], fit=True)
    both = histograms.merged(run.histograms["service"] for run in (runs[0], runs[2]))
    assert drawn.baseline.samples("service") == both.get_total_count()
    assert drawn.baseline.carried_us("service", (50, 99)) == histograms.carried_us(both, (50, 99))
    assert drawn.baseline.counts["messaging.sent"] == 4000
    assert drawn.candidate.total("drops") == sum(
        sum(run.counts_of("drops").values()) for run in (runs[1], runs[3])
    )
    assert (drawn.baseline.runs, drawn.total_s) == (2, 80.0)


def test_pairs_that_do_not_count_are_not_in_the_sums(runs: list[RunData]) -> None:
    """Neither before the first that counts nor after it; the first that counts is the one over time."""
    drawn = PairSums()
    drawn.add(runs[0], runs[1], fit=False)
    assert (drawn.baseline.runs, drawn.drawn) == (1, 1)
    drawn.add(runs[2], runs[3], fit=True)
    drawn.add(runs[0], runs[1], fit=False)
    assert (drawn.baseline.runs, drawn.drawn) == (1, 2)
    assert drawn.baseline.carried_us("service", [50]) == runs[2].carried_us("service", [50])
    assert len(drawn.firsts) == 3


def test_if_no_pair_counts_all_are_drawn(runs: list[RunData]) -> None:
    """There is nothing better."""
    drawn = PairSums()
    drawn.add(runs[0], runs[1], fit=False)
    drawn.add(runs[2], runs[3], fit=False)
    assert (drawn.baseline.runs, drawn.drawn) == (2, 1)
    assert drawn.over_time is not None


def test_which_run_was_first(runs: list[RunData]) -> None:
    """Runs that overlap were made at once."""
    assert first_of(runs[0], runs[1]) is First.BASELINE
    assert first_of(runs[1], runs[0]) is First.CANDIDATE
    assert first_of(runs[0], runs[0]) is First.TOGETHER
