"""Synthetic runs for tests of the statistics: seconds with known distributions."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields

import numpy as np
from hypothesis import strategies as st

from loadtest.statistics.comparison import Comparison
from loadtest.statistics.margins import Gate, Margin
from loadtest.statistics.quantiles import SecondlyHistograms

P50 = Gate("service", 0.50, Margin(0.05))


P99 = Gate("service", 0.99, Margin(0.20))


latencies_us = st.integers(1, 3_000_000)


seconds = st.lists(st.dictionaries(latencies_us, st.integers(0, 50), max_size=5), max_size=15)


quantiles = st.sampled_from([0.001, 0.05, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0])


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def exact(values_us: Sequence[Sequence[int]]) -> SecondlyHistograms:
    """Build a run from the values of each second, with one bucket per distinct value."""
    return SecondlyHistograms.from_mappings([Counter(second) for second in values_us])


def steady(value_us: float, *, each_s: int = 100, length_s: int = 20) -> SecondlyHistograms:
    """Build a run in which every reply takes the same time."""
    return SecondlyHistograms.from_mappings([{round(value_us): each_s}] * length_s)


def noisy(
    generator: np.random.Generator, *, length_s: int = 60, correlation: float = 0.0
) -> SecondlyHistograms:
    """Build a run of lognormal latencies whose seconds follow an AR(1) series."""
    shocks = generator.normal(0.0, math.sqrt(1 - correlation**2), length_s)
    series = [float(generator.normal())]
    for shock in shocks[1:]:
        series.append(correlation * series[-1] + float(shock))
    ln = math.log(20_000) + 0.1 * np.array(series)[:, None] + generator.normal(0.0, 0.2, (length_s, 50))
    return exact([[int(value) // 16 * 16 + 15 for value in second] for second in np.exp(ln)])


def pairs_with(differences: Sequence[float]) -> list[tuple[SecondlyHistograms, SecondlyHistograms]]:
    """Build pairs of runs with these differences of ln-quantiles."""
    return [(steady(1e6), steady(1e6 * math.exp(difference))) for difference in differences]


def assert_finite(result: Comparison) -> None:
    for name in (field.name for field in fields(result)):
        value = getattr(result, name)
        assert not isinstance(value, float) or math.isfinite(value), name
