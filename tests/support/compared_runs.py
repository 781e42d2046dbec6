"""Comparisons of synthetic runs as their reports take them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loadtest.report.judged_comparison import JudgedComparison
from loadtest.report.pair_sums import PairSums
from loadtest.runs.compare import RunPaths, compare
from loadtest.runs.comparison_reports import judged_comparison
from tests.support.recorded_runs import begun
from tests.support.rundirs import write_run

GAP_S = 100
"""Seconds between the starts of two runs, so that they do not overlap."""


def pairs_of_runs(results: Path, pairs: int, *, slower_ratio: float = 1.3, **more: Any) -> list[RunPaths]:
    """Write pairs of runs of 20 s, every second one with the candidate's run first."""
    made: list[RunPaths] = []
    for number in range(pairs):
        sides = [("v1", 1.0), ("v2", slower_ratio)]
        paths: dict[str, Path] = {}
        for turn, (revision, slower) in enumerate(sides if number % 2 == 0 else sides[::-1]):
            at_s = GAP_S * (2 * number + turn)
            of = begun(f"run{at_s:05}", revision, at_s=at_s)
            paths[revision] = write_run(results, of=of, seconds=20, slower_ratio=slower, **more)
        made.append((paths["v1"], paths["v2"]))
    return made


def judged_pairs(pairs: Sequence[RunPaths], results: Path) -> JudgedComparison:
    """Compare pairs of runs."""
    drawn = PairSums()
    return judged_comparison(compare(pairs, results=results, drawn=drawn), drawn)
