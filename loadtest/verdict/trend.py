"""Where in a series of runs of one plan the latency changed, gate by gate.

The test is that of `loadtest.statistics.trend`, at 5 % for each gate: a series is looked at to find out where
to look closer, and each change is told with its p-value. What is to be decided needs a comparison.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from loadtest.statistics import GATES, ChangePoint, change_points


def changes_in(series: Sequence[Mapping[str, float | None]]) -> dict[str, tuple[ChangePoint, ...]]:
    """Return the change points by gate, oldest first; the same whenever they are asked for.

    Args:
        series: ln-quantile by gate of each run, oldest run first; None where a run has none.
    """
    rng = np.random.default_rng(0)
    return {str(gate): change_points([run.get(str(gate)) for run in series], rng=rng) for gate in GATES}
