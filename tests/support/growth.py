"""Whether work grows in proportion to its size: its CPU time is compared with that of half the size.

A limit in seconds would judge the machine and its load. A ratio does not: it is about 2 for linear work, 4
for quadratic, and far above for a search that backtracks.
"""

import time
from collections.abc import Callable, Sequence

MOST = 3.0
"""Between linear and quadratic."""

AGAIN, AGAIN_S = 4, 5.0
"""How often a size that was too dear is measured again, and up to which CPU time."""

LONG_S = 0.5
"""CPU time that is measured well enough at once."""


def assert_linear(work: Callable[[int], object], sizes: Sequence[int], *, floor_s: float = 0.001) -> None:
    """Check that work of each size takes at most three times as long as that of the size before, half of it.

    Args:
        work: does the work of a size.
        sizes: sizes, each twice the one before.
        floor_s: less CPU time than this is not compared, since it is mostly that of what comes with the work.
    """
    smaller = max(floor_s, _cost_s(work, sizes[0]))
    for size in sizes[1:]:  # none is tried after one that failed: it might take hours
        larger = max(floor_s, _cost_s(work, size))
        for _ in range(AGAIN):  # other processes can only make it dearer; one that takes long is not repeated
            if MOST * smaller < larger < AGAIN_S:
                larger = max(floor_s, min(larger, _cost_s(work, size)))
        assert larger <= MOST * smaller, f"{larger:.4f} s for {size}, {smaller:.4f} s for half of it"
        smaller = larger


def _cost_s(work: Callable[[int], object], size: int) -> float:
    """Return the CPU time of the quickest of three times, or of one that takes long."""
    took: list[float] = []
    while len(took) < 3 and max(took, default=0.0) < LONG_S:
        began = time.process_time()
        work(size)
        took.append(time.process_time() - began)
    return min(took)
