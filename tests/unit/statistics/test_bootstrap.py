"""The block bootstrap: block lengths, resampled quantiles and their variance."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.statistics.bootstrap import QuantileSearch, block_length, sampling_spread
from loadtest.statistics.quantiles import SecondlyHistograms
from tests.support.distributions import noisy, rng

# Bootstrap


def autoregressive(
    generator: np.random.Generator, length: int, correlation: float
) -> npt.NDArray[np.float64]:
    series = np.zeros(length)
    for i, shock in enumerate(generator.normal(size=length)):
        series[i] = correlation * series[i - 1] + shock
    return series


@pytest.mark.parametrize("correlation", [0.5, 0.7, 0.9])
def test_block_length_of_an_autoregressive_series_is_the_optimal_one(correlation: float) -> None:
    """For AR(1), G / g(0) is 2 φ / (1 - φ²), which gives the optimum in closed form."""
    optimum = (6 * correlation**2 / (1 - correlation**2) ** 2 * 1000) ** (1 / 3)
    lengths = [block_length(autoregressive(rng(seed), 1000, correlation)) for seed in range(40)]
    assert np.median(lengths) == pytest.approx(optimum, rel=0.25, abs=1)


def test_block_length_of_independent_seconds_is_short() -> None:
    """Without autocorrelation there is no reason for long blocks."""
    assert np.median([block_length(rng(seed).normal(size=600)) for seed in range(40)]) <= 3


@pytest.mark.parametrize("series", [[], [3.0], [0.0] * 100, [1e9] * 100])
def test_block_length_of_a_flat_series_is_one(series: list[float]) -> None:
    """Nothing to correlate is no reason to fail."""
    assert block_length(np.array(series)) == 1


@given(st.lists(st.floats(-1e6, 1e6), max_size=80))
def test_block_length_leaves_five_blocks(series: list[float]) -> None:
    """A trend asks for one endless block; five are the fewest that carry a variance."""
    assert 1 <= block_length(np.array(series)) <= max(1, len(series) // 5)


def test_quantiles_of_resamples_are_those_of_the_weighted_counts() -> None:
    """The search in strides finds what adding the seconds up and looking finds."""
    run = noisy(rng())
    weights = rng(2).poisson(1.0, (50, 60)).astype(np.float64)
    for quantile in (0.01, 0.5, 0.99):
        found = QuantileSearch(run, quantile).ln_quantiles(weights)
        for row, ln_quantile in zip(weights, found, strict=True):
            weighted = SecondlyHistograms((run.counts * row[:, None]).astype(np.int64), run.values_us)
            assert ln_quantile == pytest.approx(weighted.ln_quantile(quantile), abs=1e-9)


def test_equal_seconds_have_no_sampling_variance() -> None:
    """Drawing the same second again and again changes nothing."""
    seconds = [dict.fromkeys(range(100, 1100), 1)] * 30
    assert sampling_spread(
        SecondlyHistograms.from_mappings(seconds), 0.5, rng=rng()
    ).variance == pytest.approx(0, abs=1e-20)


@pytest.mark.parametrize(("correlation", "least"), [(0.0, 0.8), (0.6, 0.5)])
def test_sampling_variance_is_that_of_runs_drawn_anew(correlation: float, least: float) -> None:
    """One run's bootstrap sees what many runs of the server show; of strong correlation it misses a part.

    For correlated seconds drawing them singly would see a quarter: (1 - φ) / (1 + φ).
    """
    runs = [noisy(rng(seed), length_s=80, correlation=correlation) for seed in range(60)]
    truth = np.var([run.ln_quantile(0.5) or 0.0 for run in runs])
    guesses = [sampling_spread(run, 0.5, rng=rng(9), resamples=200).variance for run in runs]
    assert least < np.mean(guesses) / truth < 1.3
