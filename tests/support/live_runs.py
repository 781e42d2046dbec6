"""Runs under way, made up of intervals, as those who look at runs see them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from loadtest.metrics.latest_run import LatestRun, ShownRun
from loadtest.metrics.live_run import Details, LiveRun
from loadtest.results.interval import PackedInterval, pack
from loadtest.results.manifest import Manifest
from loadtest.session.recorder import Interval
from tests.support.runs import manifest


def under_way(
    intervals: Iterable[Interval | PackedInterval] = (), of: Manifest | None = None, *, elapsed_s: float = 8.0
) -> ShownRun:
    """Return a run with details that has recorded these intervals."""
    of = of or manifest(complete=False, ended_at=None)
    live = LiveRun([None], Details(of))
    for one in intervals:
        live.append(one if isinstance(one, PackedInterval) else pack(one))
    return ShownRun(manifest=of, path=Path("nowhere"), live=live, elapsed_s=lambda: elapsed_s)


def latest(shown: ShownRun) -> LatestRun:
    """Return a holder of this run."""
    holder = LatestRun()
    holder.begin(shown)
    return holder
