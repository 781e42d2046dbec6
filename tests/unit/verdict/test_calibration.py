"""The latency verdict on synthetic runs with known truth; tests/benchmarks/calibration.py prints a table."""

from dataclasses import replace

import pytest

from tests.benchmarks.calibration import P50, Load, Tally, judge_duel, judge_single, p99_at, tally

NOISES = pytest.mark.parametrize("noise", [0.0, 0.03, 0.05])


@NOISES
def test_a_duel_of_a_server_with_itself_fails_at_most_five_times_in_a_hundred(noise: float) -> None:
    """Drift and noise from run to run, three looks, three quantiles: FAIL in any of them counts."""
    load = Load(seconds=30, rate_per_s=100, run_deviation=noise)
    assert tally(judge_duel(load, load), repeats=60, seed=1).fail_ratio <= 0.05


@NOISES
@pytest.mark.parametrize("measured", [False, True])
def test_one_pair_of_the_same_server_fails_at_most_five_times_in_a_hundred(
    noise: float, measured: bool
) -> None:
    """With the noise assumed, and with the noise of eight earlier runs."""
    load = Load(seconds=30, rate_per_s=100, run_deviation=noise)
    assert tally(judge_single(load, measured=measured), repeats=60, seed=2).fail_ratio <= 0.05


def found_ratios(
    load: Load, *, body: float = 1.0, tail: float = 1.0, p99_percent: float = 20
) -> dict[str, float]:
    """Return how often eight pairs FAIL at each gate."""
    gates = (P50, p99_at(p99_percent))
    changed = replace(load, body_change=body, tail_change=tail)
    found: Tally = tally(judge_duel(load, changed, pairs=8, gates=gates), repeats=30, seed=3)
    return {name: failed / found.repeats for name, failed in found.failed_by_gate.items()}


@NOISES
def test_a_fifth_more_is_found_in_nine_of_ten_duels_of_eight_pairs(noise: float) -> None:
    """At p50 with its default margin of 5 %, at p99 with a margin of 10 %."""
    found = found_ratios(Load(run_deviation=noise), body=1.2, tail=1.2, p99_percent=10)
    assert found == {"p50 at 5 %": pytest.approx(1.0, abs=0.1), "p99 at 10 %": pytest.approx(1.0, abs=0.1)}


def test_a_slower_tail_fails_its_own_quantile_only() -> None:
    """With the default margin of 20 % at p99 a third more of the tail is found, and p50 stays quiet."""
    found = found_ratios(Load(), tail=1.33)
    assert found["p99 at 20 %"] >= 0.9
    assert found["p50 at 5 %"] <= 0.05
