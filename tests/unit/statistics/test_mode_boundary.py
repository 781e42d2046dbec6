"""Quantiles between two groups of replies are named, and those of one group or of a tail are not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from loadtest.ruling import Ruling
from loadtest.statistics.comparison import Comparison
from loadtest.statistics.margins import GATES
from loadtest.statistics.mode_boundary import gap_at
from loadtest.statistics.quantiles import SecondlyHistograms
from tests.support.distributions import P50, P99, assert_finite, compared, exact

MARGIN = math.log1p(0.05)


def run(values_us: np.ndarray) -> SecondlyHistograms:
    """Build a run of 60 seconds."""
    return exact([[int(value) for value in second] for second in np.array_split(values_us, 60)])


def two_groups(
    generator: np.random.Generator, slow_ratio: float, *, slow_us: float = 40_000, fast_us: float = 2_000
) -> SecondlyHistograms:
    slow = generator.random(3_600) < slow_ratio
    return run(np.where(slow, slow_us, fast_us) * generator.lognormal(0.0, 0.1, 3_600))


def pairs(slow_ratio: float, after: float | None = None, **changed: float) -> list:  # type: ignore[type-arg]
    generator = np.random.default_rng(8)
    after = slow_ratio if after is None else after
    return [(two_groups(generator, slow_ratio), two_groups(generator, after, **changed)) for _ in range(12)]


@pytest.mark.parametrize(("slow_ratio", "quantile"), [(0.5, 0.5), (0.1, 0.9), (0.01, 0.99)])
def test_a_quantile_at_the_share_of_the_slow_group_lies_in_a_gap(slow_ratio: float, quantile: float) -> None:
    """Between the fastest of the slow and the slowest of the fast."""
    generator = np.random.default_rng(1)
    gap = gap_at([two_groups(generator, slow_ratio) for _ in range(12)], quantile, MARGIN)
    assert gap is not None
    assert gap.below_us < 4_000 < gap.middle_us < 25_000 < gap.above_us


def lognormal(generator: np.random.Generator) -> np.ndarray:
    return generator.lognormal(math.log(20_000), 0.3, 3_600)


def pareto(generator: np.random.Generator) -> np.ndarray:
    return 5_000 * (1 + generator.pareto(1.1, 3_600))


@pytest.mark.parametrize("shape", [lognormal, pareto])
@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.99, 0.999])
@pytest.mark.parametrize("runs", [1, 12])
def test_one_group_and_its_tail_have_no_gap(shape: object, quantile: float, runs: int) -> None:
    """Tails thin out: beyond a stretch without values there are fewer still."""
    for seed in range(10):
        generator = np.random.default_rng(seed)
        made = [run(shape(generator)) for _ in range(runs)]  # type: ignore[operator]
        assert gap_at(made, quantile, MARGIN) is None


def test_a_quantile_well_inside_a_group_is_not_named() -> None:
    """The median of one in ten slow replies is among the fast ones."""
    assert gap_at([two_groups(np.random.default_rng(1), 0.1)], 0.5, MARGIN) is None


def test_runs_that_differ_are_not_groups_of_replies() -> None:
    """Half of the runs around 2 ms and half around 40 ms: each has a median of its own."""
    generator = np.random.default_rng(1)
    made = [two_groups(generator, slow_ratio) for slow_ratio in (0.0, 1.0) * 6]
    assert gap_at(made, 0.5, MARGIN) is None


def judged(*arguments: float, gate: object = P50, **changed: float) -> Comparison:
    found = compared(gate, pairs(*arguments, **changed))  # type: ignore[arg-type]
    assert_finite(found)
    return found


def test_equal_shares_and_equal_groups_pass() -> None:
    """The median itself would never settle: it is 2 ms in one run and 40 ms in the next."""
    found = judged(0.5)
    assert found.decision is Ruling.PASS
    assert found.between_us is not None
    assert "p50 lies between two groups of replies, around" in found.reason
    assert found.baseline_ratio == pytest.approx(0.5, abs=0.01)
    assert found.margin_ratio == 0.025


@pytest.mark.parametrize("after", [0.6, 0.75])
def test_a_larger_slow_group_fails(after: float) -> None:
    """By its share, or by the median once that is in the slow group on the candidate's side."""
    assert judged(0.5, after).decision is Ruling.FAIL


@pytest.mark.parametrize("changed", [{"slow_us": 60_000.0}, {"fast_us": 3_000.0}])
def test_equal_shares_of_slower_groups_fail(changed: dict[str, float]) -> None:
    """Half of the replies became slower by half."""
    found = judged(0.5, **changed)
    assert found.decision is Ruling.FAIL
    assert "group became slower" in found.reason


def test_p99_between_groups_is_judged_by_a_fifth_of_a_point() -> None:
    """20% of 1%."""
    assert judged(0.01, gate=P99).margin_ratio == pytest.approx(0.002)
    assert judged(0.01, 0.03, gate=P99).decision is Ruling.FAIL


def test_one_pair_is_never_judged_there() -> None:
    """A jump by chance is no FAIL, at most suspect, and no number of pairs is promised."""
    for seed in range(20):
        generator = np.random.default_rng(seed)
        found = compared(P50, [(two_groups(generator, 0.5), two_groups(generator, 0.5))])
        assert found.decision in (Ruling.INCONCLUSIVE, Ruling.PASS)
        if found.decision is Ruling.INCONCLUSIVE:
            assert found.between_us is not None
            assert found.more_pairs is None
            assert found.change_ratio is not None
            assert found.margin_ratio is not None
            assert found.suspect == (found.change_ratio > found.margin_ratio)


DRIFT = next(gate for gate in GATES if gate.name == "drift")


def growing(generator: np.random.Generator, first: float, last: float) -> SecondlyHistograms:
    """Build a run whose share of slow replies, cache misses for example, rises from second to second."""
    slow = generator.random(3_600) < np.linspace(first, last, 3_600)
    return run(np.where(slow, 40_000, 2_000) * generator.lognormal(0.0, 0.1, 3_600))


def drifted(first: float, last: float, *, count: int = 12) -> Comparison:
    generator = np.random.default_rng(5)
    made = [(growing(generator, 0.5, 0.5), growing(generator, first, last)) for _ in range(count)]
    found = compared(DRIFT, made)
    assert_finite(found)
    return found


@pytest.mark.parametrize(("first", "last"), [(0.4, 0.6), (0.3, 0.7)])
def test_a_slow_group_that_grows_within_each_run_fails(first: float, last: float) -> None:
    """The medians of the thirds jump anyway; the share of the slow group tells."""
    found = drifted(first, last)
    assert found.decision is Ruling.FAIL
    assert "from the first to the last third the share of the slower changed by +" in found.reason
    assert found.candidate_ratio == pytest.approx((last - first) * 2 / 3, abs=0.03)


@pytest.mark.parametrize(("first", "last"), [(0.5, 0.5), (0.6, 0.4)])
def test_a_slow_group_that_does_not_grow_passes(first: float, last: float) -> None:
    """Or shrinks."""
    assert drifted(first, last).decision in (Ruling.PASS, Ruling.INCONCLUSIVE)
    assert drifted(first, last, count=40).decision is Ruling.PASS


def test_one_pair_does_not_fail_by_a_median_that_jumps() -> None:
    """A growth that one pair shows is suspect; without one there is nothing to say."""
    found = drifted(0.3, 0.7, count=1)
    assert (found.decision, found.suspect) == (Ruling.INCONCLUSIVE, True)
    assert drifted(0.7, 0.3, count=1).decision is not Ruling.FAIL
