"""Whether work grows in proportion to its size: its CPU time is compared with that of smaller sizes.

A limit in seconds would judge the machine and its load. A ratio does not: a doubling costs linear work about
twice as much, quadratic work four times, and a search that backtracks far more.
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
    """Check that the cost of work grows at most threefold with each doubling of its size, on average.

    A single step may be dearer, when what the work touches no longer fits into a cache.

    Args:
        work: does the work of a size.
        sizes: sizes, each twice the one before.
        floor_s: less CPU time than this is not compared, since it is mostly that of what comes with the work.
    """
    first_s, doublings = max(floor_s, _cost_s(work, sizes[0])), 0
    for size in sizes[1:]:  # none is tried after one that failed: it might take hours
        doublings += 1
        most_s = first_s * MOST**doublings
        cost_s = max(floor_s, _cost_s(work, size))
        for _ in range(AGAIN):  # other processes can only make it dearer; one that takes long is not repeated
            if most_s < cost_s < AGAIN_S:
                cost_s = max(floor_s, min(cost_s, _cost_s(work, size)))
        assert cost_s <= most_s, f"{cost_s:.4f} s for {size}, {first_s:.4f} s for {size // 2**doublings}"
        if cost_s == floor_s:
            first_s, doublings = floor_s, 0


def _cost_s(work: Callable[[int], object], size: int) -> float:
    """Return the CPU time of the quickest of three times, or of one that takes long."""
    took: list[float] = []
    while len(took) < 3 and max(took, default=0.0) < LONG_S:
        began = time.process_time()
        work(size)
        took.append(time.process_time() - began)
    return min(took)
