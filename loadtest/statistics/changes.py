"""Change points in a series of runs: where the latency changed, by permutation tests.

The statistic is the largest standardised rank sum over all splits of the series (Pettitt, "A non-parametric
approach to the change-point problem", Applied Statistics 28, 1979, with each split divided by its own
deviation so that a change near an end counts as much as one in the middle). Because it uses ranks, a single
outlier does not look like a change. The p-value comes from permuting the runs. A change that is found splits
the series, and each part is searched in turn (binary segmentation, as in E-divisive: Matteson and James,
JASA 109, 2014).
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from loadtest.statistics.margins import GATES
from loadtest.statistics.quantiles import Floats

ERROR = 0.05
# The smallest possible p-value is 1/2000; more permutations would not change a decision at 5%.
_PERMUTATIONS = 1_999
# Least runs on each side of a change: one or two could be a noisy host.
_MIN_RUNS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePoint:
    """A lasting change of the quantile.

    Args:
        index: index of the first run after the change, in the given series.
        before_us, after_us: median quantile of the runs before and after, up to the neighbouring changes.
        change_ratio: after / before - 1.
        p_value: share of permutations with at least as large a statistic.
    """

    index: int
    before_us: float
    after_us: float
    change_ratio: float
    p_value: float


def change_points(
    ln_quantiles: Sequence[float | None], *, rng: np.random.Generator, error: float = ERROR
) -> tuple[ChangePoint, ...]:
    """Return the changes in a series of runs, oldest first.

    Args:
        ln_quantiles: one per run, in order, from `SecondlyHistograms.ln_quantile`; None is skipped.
        rng: source of the permutations.
        error: significance level of each test, in (0, 1): the probability of finding a change by chance.
    """
    known = [i for i, value in enumerate(ln_quantiles) if value is not None and math.isfinite(value)]
    series = np.array([ln_quantiles[i] for i in known], dtype=np.float64)
    splits = sorted(_splits(series, 0, rng=rng, error=error))
    edges = [0, *(split for split, _ in splits), series.size]
    points = []
    for (_, p_value), start, end in zip(splits, edges, edges[2:], strict=False):
        # Located again between its neighbours, which biased its first location (Bai, 1997, section 4).
        split = start + _best_split(_scores(_ranks(series[start:end])[None, :])[0])
        before, after = float(np.median(series[start:split])), float(np.median(series[split:end]))
        points.append(
            ChangePoint(
                index=known[split],
                before_us=math.exp(before),
                after_us=math.exp(after),
                change_ratio=math.expm1(after - before),
                p_value=p_value,
            )
        )
    return tuple(points)


def changes_in(
    series: Sequence[Mapping[str, float | None]], gates: Iterable[str] = tuple(map(str, GATES))
) -> dict[str, tuple[ChangePoint, ...]]:
    """Return the change points of each gate, oldest first. The result is deterministic.

    Args:
        series: ln(quantile in µs) by gate, one mapping per run, oldest run first; None if unknown.
        gates: names of the gates.
    """
    rng = np.random.default_rng(0)
    return {gate: change_points([run.get(gate) for run in series], rng=rng) for gate in gates}


def _splits(
    series: Floats, offset: int, *, rng: np.random.Generator, error: float
) -> Iterator[tuple[int, float]]:
    """Yield each significant split with its p-value, searching both parts in turn."""
    if series.size < 2 * _MIN_RUNS:
        return
    ranks = _ranks(series)
    scores = _scores(ranks[None, :])[0]
    shuffled = _scores(rng.permuted(np.tile(ranks, (_PERMUTATIONS, 1)), axis=1)).max(axis=1)
    # Phipson and Smyth (2010): the series itself is one of the permutations, so p is never 0.
    p_value = (1 + int(np.sum(shuffled >= scores.max() - 1e-9))) / (_PERMUTATIONS + 1)
    if p_value > error:
        return
    split = _best_split(scores)
    yield offset + split, p_value
    yield from _splits(series[:split], offset, rng=rng, error=error)
    yield from _splits(series[split:], offset + split, rng=rng, error=error)


def _ranks(series: Floats) -> Floats:
    """Return the rank of each value, starting at 1; equal values share their mean rank."""
    _, places, counts = np.unique(series, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2.0)[places], dtype=np.float64)


def _best_split(scores: Floats) -> int:
    return _MIN_RUNS + int(scores.argmax())


def _scores(ranks: Floats) -> Floats:
    """Return |standardised rank sum| of each split with enough runs on both sides, one row per series."""
    n = ranks.shape[1]
    left = np.arange(_MIN_RUNS, n - _MIN_RUNS + 1)
    sums = np.cumsum(ranks, axis=1)[:, left - 1]
    # Mean and variance of a Wilcoxon rank sum without ties; with ties the permutations keep the test exact.
    deviations = np.sqrt(left * (n - left) * (n + 1) / 12.0)
    return np.asarray(np.abs(sums - left * (n + 1) / 2.0) / deviations, dtype=np.float64)
