"""Sampling variance of a run's quantile: the circular block bootstrap.

Seconds of a run are not independent: slow seconds follow slow ones. Resampling blocks of seconds preserves
that (Politis and Romano, "A circular block-resampling procedure for stationary data", 1992: the series is
a circle, so that every second is drawn equally often). The block length is that of Politis and White,
"Automatic block-length selection for the dependent bootstrap", Econometric Reviews 23 (2004), with the
correction of Patton, Politis and White, Econometric Reviews 28 (2009).
The bootstrap covers the noise within a run only; the noise floor covers differences between runs.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loadtest.statistics.quantiles import Floats, SecondlyHistograms, bucket_widths_us, ln_inside

# A deviation estimated from this many is uncertain by 3%, far less than from the run's few blocks.
RESAMPLES = 500
# Number of resamples whose weights are in memory at once: a few megabytes for hour-long runs.
_RESAMPLES_AT_ONCE = 256
# Buckets are first searched in strides, then one by one inside the stride that holds the quantile.
_STRIDE = 64
# With fewer blocks than this, a variance over blocks is meaningless.
_MIN_BLOCKS = 5


@dataclass(frozen=True, slots=True)
class Spread:
    """A variance and the degrees of freedom of its estimate (infinite if the variance is taken as known)."""

    variance: float
    freedom: float


def sampling_spread(
    run: SecondlyHistograms, quantile: float, *, rng: np.random.Generator, resamples: int = RESAMPLES
) -> Spread:
    """Return the variance of a run's ln-quantile that comes from the run's own seconds.

    The factor n / (n - b) corrects for the bootstrap's centring on the sample, as n / (n - 1) does for
    independent seconds (b = 1).

    Args:
        run: a run with at least one sample.
        quantile: in (0, 1).
        rng: source of all randomness.
        resamples: how often the seconds are resampled.

    Returns:
        The variance in squared ln units, and its degrees of freedom.
    """
    seconds = run.counts.shape[0]
    length = block_length(_influence(run, quantile))
    drawn = _resampled_ln_quantiles(run, quantile, length=length, rng=rng, resamples=resamples)
    centring = seconds / (seconds - length) if seconds > length else 1.0
    variance = float(np.var(drawn)) * centring if drawn.size else 0.0
    return Spread(variance=variance, freedom=max(1.0, seconds / length - 1))


def block_length(series: Floats) -> int:
    """Return the optimal block length for the autocorrelation of a series, at least 1.

    Politis and White (2004), section 3.2: lags count up to twice the last correlated lag, weighted with the
    trapezoid of Politis and Romano (1995); b = (2 G² / D)^(1/3) n^(1/3), with D = 4/3 g(0)² for the circular
    bootstrap (2009 correction, equation 6). Their bound is 3 sqrt(n); this one also requires five blocks.
    """
    n = series.size
    bound = max(1, min(math.ceil(3 * math.sqrt(n)), n // _MIN_BLOCKS))
    deviations = series - series.mean() if n else series
    if bound == 1 or not np.any(np.abs(deviations) > 1e-12 * max(1.0, float(np.abs(series).max()))):
        return 1
    covariances = np.correlate(deviations, deviations, mode="full")[n - 1 :] / n
    lags = _lags_that_count(covariances, n)
    k = np.arange(1, lags + 1)
    weighted = np.minimum(1.0, 2.0 * (1.0 - k / lags)) * covariances[1 : lags + 1]
    slope = 2.0 * float(np.sum(k * weighted))
    density = float(covariances[0] + 2.0 * np.sum(weighted))
    if density <= 0:
        return bound
    optimum = (2.0 * slope**2 / (4.0 / 3.0 * density**2)) ** (1 / 3) * n ** (1 / 3)
    return int(min(bound, max(1, round(optimum))))


def _lags_that_count(covariances: Floats, n: int) -> int:
    """Return M = 2 m, where m is the lag after which K lags in a row are uncorrelated (2004, footnote c)."""
    run_of_lags = max(5, math.ceil(math.sqrt(math.log10(n))))
    most = min(math.ceil(math.sqrt(n)) + run_of_lags, n - 1)
    threshold = 2.0 * math.sqrt(math.log10(n) / n)
    quiet = np.abs(covariances[1 : most + 1] / covariances[0]) < threshold
    for m in range(max(1, quiet.size - run_of_lags + 1)):
        if np.all(quiet[m : m + run_of_lags]):
            return min(2 * max(m, 1), most)
    return most


def _influence(run: SecondlyHistograms, quantile: float) -> Floats:
    """Return each second's influence on the quantile: its values at or below it, minus the expected number.

    A quantile is, to first order, a mean of these (Bahadur, "A note on quantiles in large samples", 1966),
    so their autocorrelation is the one that matters. Unlike per-second quantiles, they exist for empty
    seconds too.
    """
    at_or_below = run.values_us <= (run.percentile_us(quantile) or 0.0)
    return np.asarray(
        run.counts[:, at_or_below].sum(axis=1) - quantile * run.counts.sum(axis=1), dtype=np.float64
    )


def _resampled_ln_quantiles(
    run: SecondlyHistograms, quantile: float, *, length: int, rng: np.random.Generator, resamples: int
) -> Floats:
    """Return the ln-quantile of each resample, except those that drew only empty seconds."""
    search = QuantileSearch(run, quantile)
    sizes = [min(_RESAMPLES_AT_ONCE, resamples - start) for start in range(0, resamples, _RESAMPLES_AT_ONCE)]
    seconds = run.counts.shape[0]
    return np.concatenate([search.ln_quantiles(_weights(seconds, length, size, rng)) for size in sizes])


def _weights(seconds: int, length: int, resamples: int, rng: np.random.Generator) -> Floats:
    """Return how often each second was drawn, one row per resample: blocks on a circle, cut to length."""
    blocks = math.ceil(seconds / length)
    starts = rng.integers(seconds, size=(resamples, blocks, 1))
    drawn = ((starts + np.arange(length)) % seconds).reshape(resamples, -1)[:, :seconds]
    flat = (drawn + np.arange(resamples)[:, None] * seconds).ravel()
    return np.bincount(flat, minlength=resamples * seconds).reshape(resamples, seconds).astype(np.float64)


class QuantileSearch:
    """Computes exact quantiles of many reweightings of a run without summing all its buckets each time."""

    def __init__(self, run: SecondlyHistograms, quantile: float) -> None:
        self._quantile = quantile
        used = run.totals > 0
        self._counts = run.counts[:, used].astype(np.float64)
        self._values_us = run.values_us[used]
        self._widths_us = bucket_widths_us(run.values_us)[used]
        self._coarse = np.add.reduceat(self._counts, np.arange(0, self._values_us.size, _STRIDE), axis=1)

    def ln_quantiles(self, weights: Floats) -> Floats:
        """Return the ln-quantile for each row of weights, except rows that drew no sample."""
        cumulative = np.cumsum(weights @ self._coarse, axis=1)
        drew = cumulative[:, -1] > 0
        weights, cumulative = weights[drew], cumulative[drew]
        ranks = self._quantile * cumulative[:, -1]
        strides = np.sum(cumulative < ranks[:, None], axis=1)
        before = np.where(
            strides > 0, np.take_along_axis(cumulative, strides[:, None] - 1, axis=1)[:, 0], 0.0
        )
        found = np.empty(ranks.size)
        for stride in np.unique(strides):
            rows = strides == stride
            found[rows] = self._in_stride(int(stride), weights[rows], ranks[rows] - before[rows])
        return found

    def _in_stride(self, stride: int, weights: Floats, ranks: Floats) -> Floats:
        first = stride * _STRIDE
        counts = weights @ self._counts[:, first : first + _STRIDE]
        cumulative = np.cumsum(counts, axis=1)
        columns: npt.NDArray[np.intp] = np.sum(cumulative < ranks[:, None], axis=1)
        every = np.arange(ranks.size)
        shares = 1 - (cumulative[every, columns] - ranks) / counts[every, columns]
        return ln_inside(self._values_us, self._widths_us, first + columns, shares)
