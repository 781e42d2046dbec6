"""Rates of events in clusters: published intervals, and simulated duels whose truth is known."""

import math
from dataclasses import replace

import numpy as np
import pytest

from loadtest.statistics.event_counts import CLUSTER, Rates, Side
from loadtest.statistics.rule import Levels

LEVEL = 0.005
"""Of a FAIL among ten gates."""

EXPOSURE = np.full(12, 3_600.0)
MARGIN = 0.0002


def rates(baseline: object, candidate: object) -> Rates:
    return Rates.of(*(Side(np.asarray(side, dtype=float), EXPOSURE) for side in (baseline, candidate)))


def fixed(baseline: float, candidate: float, *, over: float = 1.0, dispersion: float = 0.0) -> Rates:
    """Return rates of Poisson counts: with practically infinite freedom."""
    return Rates(
        baseline_events=baseline,
        candidate_events=candidate,
        baseline_exposure=over,
        candidate_exposure=over,
        dispersion=dispersion,
        freedom=1e9,
        cluster=1.0,
    )


def test_no_events_leave_the_square_of_z() -> None:
    """The score bound of a Poisson mean after 0 events is z²: 2.706 at 95%, 1.645 deviations."""
    found = fixed(0, 0).difference_bounds(low_level=0.025, high_level=0.05)
    assert found == pytest.approx((-3.8415, 2.7055), abs=1e-3)
    assert fixed(0, 0).exposure_needed(0.0002, 0.05) == pytest.approx(13_528, rel=1e-3)


def test_many_events_have_the_usual_interval() -> None:
    """1,100 against 1,000: 100 ± 1.96 √2,100, as a normal table says."""
    found = fixed(1_000, 1_100).difference_bounds(low_level=0.025, high_level=0.025)
    assert found == pytest.approx((100 - 89.8, 100 + 89.8), abs=0.5)


def test_a_bound_of_the_ratio_is_that_of_a_binomial_share() -> None:
    """Given their sum, one of two Poisson counts is binomial: the score interval of p is Wilson's (1927)."""
    low, high = fixed(20, 40).relative_bounds(low_level=0.025, high_level=0.025)
    n, share, z2 = 60, 40 / 60, 1.959964**2
    middle, half = share + z2 / (2 * n), math.sqrt(z2 * (share * (1 - share) + z2 / (4 * n)) / n)
    wilson = [(middle + side * half) / (1 + z2 / n) for side in (-1, 1)]
    assert [low, high] == pytest.approx([20 * p / (1 - p) - 20 for p in wilson], rel=1e-5)


def test_the_bounds_meet_at_a_level_of_a_half() -> None:
    """On both scales at the estimate."""
    for found in (
        fixed(5, 9).difference_bounds(low_level=0.4999, high_level=0.4999),
        fixed(5, 9).relative_bounds(low_level=0.4999, high_level=0.4999),
    ):
        assert found == pytest.approx((4.0, 4.0), abs=0.01)


def test_clusters_widen_the_bounds() -> None:
    """The same number of events, singly and forty at once."""
    single = rates([0] * 12, [3, 4, 3, 3, 4, 3, 3, 4, 3, 3, 4, 3])
    burst = rates([0] * 12, [0, 0, 0, 0, 40, 0, 0, 0, 0, 0, 0, 0])
    assert single.candidate_events == burst.candidate_events
    low = [found.difference_bounds(low_level=LEVEL, high_level=0.05)[0] for found in (single, burst)]
    assert low[0] > MARGIN > 0 > low[1]
    assert burst.dispersion == pytest.approx(40.0)


def test_unequal_exposure_is_no_dispersion() -> None:
    """Twice as many events in twice the time are one rate."""
    side = Side(np.array([10.0, 20.0, 30.0, 40.0]), np.array([1.0, 2.0, 3.0, 4.0]))
    assert Rates.of(side, side).dispersion == pytest.approx(0.0)


# Simulated duels of twelve pairs of 60 s at 60 replies a second.


def found(
    draw: object, *, against: object, repeats: int = 1_000, level: float = LEVEL, cluster: float = 1.0
) -> tuple[float, float]:
    """Return how often such a candidate FAILs and PASSes against such a baseline."""
    fails = passes = 0
    for generator in np.random.default_rng(5).spawn(repeats):
        both = replace(rates(against(generator), draw(generator)), cluster=cluster)  # type: ignore[operator]
        relative = both.baseline > MARGIN
        bounds = both.relative_bounds if relative else both.difference_bounds
        low, high = bounds(low_level=level, high_level=0.05)
        fails += low > max(MARGIN, both.baseline)
        passes += high < max(MARGIN, both.baseline)
    return fails / repeats, passes / repeats


def poisson(ratio: float):  # type: ignore[no-untyped-def]
    return lambda generator: generator.poisson(3_600 * ratio, 12)


def bursts(a_run: float, size: int):  # type: ignore[no-untyped-def]
    return lambda generator: size * generator.poisson(a_run, 12)


def test_one_in_two_thousand_is_seen() -> None:
    """In four of five duels with ten gates, where the baseline has none."""
    assert found(poisson(1 / 2_000), against=poisson(0))[0] >= 0.78


@pytest.mark.parametrize(
    "draw",
    [poisson(0.0002), poisson(0.002), bursts(0.33, 20), bursts(0.17, 60), bursts(1.0, 4), bursts(8.6, 5)],
)
def test_the_same_server_fails_less_often_than_the_level(draw: object) -> None:
    """Singly or in clusters, such as a pause every seven seconds, rare or frequent."""
    assert found(draw, against=draw)[0] <= LEVEL


@pytest.mark.parametrize(
    ("baseline", "candidate"), [(0.0, 0.0002), (0.0001, 0.0003), (0.0002, 0.0004), (0.002, 0.004)]
)
def test_at_the_margin_both_errors_are_what_they_should_be(baseline: float, candidate: float) -> None:
    """5% for PASS, and about the level for FAIL: here 2%, so that a thousand duels show it."""
    fails, passes = found(poisson(candidate), against=poisson(baseline), level=0.02)
    assert fails <= 0.03
    assert passes <= 0.065


def test_a_quiet_server_passes() -> None:
    """Without any event, and with a few."""
    assert found(poisson(0), against=poisson(0), repeats=10)[1] == 1.0
    assert found(poisson(0.00005), against=poisson(0.00005))[1] > 0.8


def passes(lost_per_h: float, *, size: int, hours: float, cluster: float) -> float:
    """Return how often a duel with looks at 4, 8 and 12 finds no more than one loss a session-hour more."""
    levels, passed = Levels((4, 8, 12), 11), 0
    for generator in np.random.default_rng(8).spawn(400):
        after = size * generator.poisson(lost_per_h * hours / size, 12).astype(float)
        for look in (4, 8, 12):
            exposure = np.full(look, hours)
            both = replace(
                Rates.of(Side(np.zeros(look), exposure), Side(after[:look], exposure)), cluster=cluster
            )
            low, high = both.difference_bounds(
                low_level=levels.to_fail(look), high_level=levels.to_pass(look)
            )
            if low > 1.0 or high < 1.0:
                passed += high < 1.0
                break
    return passed / 400


@pytest.mark.parametrize("size", [1, 5, 10, 20])
def test_losses_by_the_dozen_pass_no_more_often_than_they_should(size: int) -> None:
    """At the margin, 60 session-hours a side; with nothing assumed of clusters, those by 20 pass in 38%."""
    assert passes(1.0, size=size, hours=5.0, cluster=CLUSTER) <= 0.065


def test_the_assumption_of_clusters_is_needed_and_not_without_its_limits() -> None:
    """As docs/latency.md says: all 300 connections at once are mostly not seen, and no bound can help."""
    assert passes(1.0, size=20, hours=5.0, cluster=1.0) > 0.3
    assert passes(1.0, size=300, hours=5.0, cluster=CLUSTER) > 0.5


@pytest.mark.parametrize("lost_per_h", [0.0, 0.1])
def test_few_losses_still_pass(lost_per_h: float) -> None:
    """The assumption does not cost the PASS of a server that loses a connection now and then."""
    assert passes(lost_per_h, size=1, hours=5.0, cluster=CLUSTER) > 0.9
