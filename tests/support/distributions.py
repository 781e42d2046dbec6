"""Synthetic runs for tests of the statistics: seconds with known distributions."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from loadtest.statistics.comparison import Comparison, compare
from loadtest.statistics.margins import GATES, Gate, Margin
from loadtest.statistics.measured_run import MeasuredRun
from loadtest.statistics.noise import Noise
from loadtest.statistics.quantiles import SecondlyHistograms

P50, P99 = GATES[0], GATES[2]


def quantile_gate(margin: Margin, *, tag: str = "service", quantile: float = 0.50) -> Gate:
    """Return a gate on a quantile with this margin, called after both."""
    return replace(P50, name=f"{tag} p{100 * quantile:g}", tag=tag, quantile=quantile, margin=margin)


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


Pair = tuple[SecondlyHistograms, SecondlyHistograms]


def pairs_with(differences: Sequence[float]) -> list[Pair]:
    """Build pairs of runs with these differences of ln-quantiles."""
    return [(steady(1e6), steady(1e6 * math.exp(difference))) for difference in differences]


def compared(gate: Gate, pairs: Sequence[Pair], *, noise: Noise | None = None, **settings: Any) -> Comparison:
    """Compare pairs at one gate, each pair with process instances of its own."""
    units = [[tuple(MeasuredRun(histograms={gate.tag: run}) for run in pair)] for pair in pairs]
    noises = {} if noise is None else {gate.name: noise}
    return compare([gate], units, noise=noises, same_day=True, **{"rng": rng(), **settings})[0]  # type: ignore[arg-type]


def assert_finite(result: Comparison) -> None:
    for name in (field.name for field in fields(result)):
        value = getattr(result, name)
        assert not isinstance(value, float) or math.isfinite(value), name
