"""How much the same revision under the same plan differs from run to run.

Two runs of one build differ by more than their seconds tell: another neighbour on the host, another memory
layout, another day (Kalibera and Jones, "Rigorous benchmarking in reasonable time", ISMM 2013). A single
pair of runs cannot see this, so it comes from earlier runs, or is assumed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Fewer runs would leave a standard deviation uncertain by more than a quarter: 1 / sqrt(2 (8 - 1)).
LEAST_RUNS = 8
ASSUMED_RATIO = 0.05


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """The standard deviation of a run's ln-quantile from run to run.

    Args:
        deviation_ratio: in ln units, to which a ratio is as good as equal at this size.
        runs: how many earlier runs it was measured over, 0 where it is assumed.
    """

    deviation_ratio: float
    runs: int

    @property
    def measured(self) -> bool:
        """Whether it comes from earlier runs, and not from the assumption."""
        return self.runs > 0

    @property
    def freedom(self) -> float:
        """Degrees of freedom, infinite where it is assumed."""
        return self.runs - 1 if self.measured else math.inf

    def __str__(self) -> str:
        source = f"measured over {self.runs} runs" if self.measured else "assumed"
        return f"run-to-run noise of {100 * self.deviation_ratio:.2g} %, {source}"


ASSUMED_NOISE = NoiseFloor(deviation_ratio=ASSUMED_RATIO, runs=0)


def noise_floor(ln_quantiles: Sequence[float | None]) -> NoiseFloor:
    """Return the noise over earlier runs of the same plan, or the assumed one where there are fewer than 8.

    Args:
        ln_quantiles: one a run, as `Intervals.ln_quantile` gives; runs without samples are passed over.
    """
    known = [value for value in ln_quantiles if value is not None and math.isfinite(value)]
    if len(known) < LEAST_RUNS:
        return ASSUMED_NOISE
    return NoiseFloor(deviation_ratio=float(np.std(known, ddof=1)), runs=len(known))
