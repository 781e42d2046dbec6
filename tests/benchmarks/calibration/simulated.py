"""Simulated runs with known truth, in the form of `MeasuredRun`.

Differences between runs act on their quantiles: a run's effect is a factor at p50, p90 and p99, interpolated
by the rank of each reply within its run, so that the run-to-run deviation of a quantile is the row's value
for any shape. Values are folded into HdrHistogram's buckets as in the recorder.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from loadtest.statistics.measured_run import MeasuredRun
from loadtest.statistics.quantiles import SecondlyHistograms
from tests.benchmarks.calibration.shapes import Arrivals, Floats, Ints, Shape, log_normal

RUN_RATIOS = (0.03, 0.05, 0.10)
"""The usual deviation of p50, p90 and p99 from run to run."""

_APART = 100.0
"""Further apart than any two times in ln units: by it, one sort puts the runs one after the other."""

_LEVELS = -np.log1p(-np.array([0.50, 0.90, 0.99]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The distribution of runs. Changes apply to the candidate; everything else is the same on both sides.

    Args:
        seconds: duration after the warm-up.
        rate_per_s: round trips a second.
        shape: service times.
        tick_us: times are rounded up to a multiple of this.
        sessions: number of sessions; each connects once.
        drops_per_s: drops a second; each is an outage, a resume and a first reply.
        losses_per_h: lost connections per session-hour, in clusters of `cluster`.
        closed: whether the load is closed, so that response times are judged.
        slower_ratio: all service times are longer by this share.
        drift_ratio: service times rise by this share within each run, linearly.
        stalled_ratio: this share of replies takes `stall_us` longer.
        resume_us: every resume takes this much longer.
        lost_ratio: this share of sessions loses its connection in a run.
    """

    seconds: int = 60
    rate_per_s: float = 60.0
    shape: Shape = log_normal
    tick_us: int = 1
    sessions: int = 300
    drops_per_s: float = 1.0
    losses_per_h: float = 0.0
    cluster: int = 1
    closed: bool = False
    slower_ratio: float = 0.0
    drift_ratio: float = 0.0
    stalled_ratio: float = 0.0
    stall_us: float = 200_000.0
    resume_us: float = 0.0
    lost_ratio: float = 0.0

    def runs(self, rng: np.random.Generator, shifts: Floats, *, rows: int | None = None) -> list[MeasuredRun]:
        """Draw runs.

        Args:
            rng: source of all randomness.
            shifts: a row for each run, from `run_shifts`.
            rows: how many rows the histograms have, one a second by default. For a run of which only the
                values of its gates are needed, thirds are enough.
        """
        rows = rows or self.seconds
        arrivals = Arrivals.draw(rng, runs=len(shifts), seconds=self.seconds, rate_per_s=self.rate_per_s)
        service_us = self._changed(self._shifted(self.shape(arrivals, rng), arrivals, shifts), arrivals, rng)
        service_us = np.ceil(service_us / self.tick_us) * self.tick_us
        by_tag = {"service": folded(service_us, arrivals, rows), **self._events(rng, shifts, rows)}
        if self.closed:
            waited_us = rng.exponential(0.2 * service_us)
            by_tag["response"] = folded(service_us + waited_us, arrivals, rows)
        losses = self._losses(rng, len(shifts))
        return [
            MeasuredRun(
                histograms={tag: runs[number] for tag, runs in by_tag.items()},
                losses=int(losses[number]),
                session_hours=self.sessions * self.seconds / 3600.0,
                closed_load=self.closed,
            )
            for number in range(len(shifts))
        ]

    def _shifted(self, values_us: Floats, arrivals: Arrivals, shifts: Floats) -> Floats:
        """Apply each run's effect to its quantiles."""
        order = np.argsort(np.log(values_us) + _APART * arrivals.run)
        counts = np.bincount(arrivals.run, minlength=arrivals.runs)
        ranks = np.empty(values_us.size)
        ranks[order] = np.arange(values_us.size) - (np.cumsum(counts) - counts)[arrivals.run]
        levels = -np.log1p(-(ranks + 0.5) / counts[arrivals.run])
        ln = shifts[arrivals.run, 0]
        for left in (0, 1):
            along = (levels - _LEVELS[left]) / (_LEVELS[left + 1] - _LEVELS[left])
            step = (shifts[:, left + 1] - shifts[:, left])[arrivals.run]
            ln = ln + np.clip(along, 0.0, 1.0) * step
        return np.asarray(values_us * np.exp(ln), dtype=np.float64)

    def _changed(self, service_us: Floats, arrivals: Arrivals, rng: np.random.Generator) -> Floats:
        changed = service_us * (1.0 + self.slower_ratio)
        changed *= 1.0 + self.drift_ratio * arrivals.at_s / arrivals.seconds
        return changed + self.stall_us * (rng.random(changed.size) < self.stalled_ratio)

    def _events(
        self, rng: np.random.Generator, shifts: Floats, rows: int
    ) -> dict[str, list[SecondlyHistograms]]:
        """Return the histograms of connects, resumes, outages and first replies."""
        count = len(shifts)
        opened = np.repeat(np.arange(count), self.sessions)
        # All sessions connect within the first ten seconds, the warm-up.
        connects = Arrivals(opened, 10.0 * rng.random(opened.size), count, self.seconds)
        drops = Arrivals.draw(rng, runs=count, seconds=self.seconds, rate_per_s=self.drops_per_s)
        connect_us, resume_us, reply_us = (
            times * np.exp(rng.normal(shifts[:, 0], 0.05))[at.run]
            for times, at in (
                (rng.lognormal(np.log(10_000.0), 0.4, opened.size), connects),
                (rng.lognormal(np.log(30_000.0), 0.4, drops.run.size), drops),
                (rng.lognormal(np.log(30_000.0), 0.4, drops.run.size), drops),
            )
        )
        resume_us += self.resume_us
        outage_us = resume_us + 50_000.0 + 500_000.0 * rng.random(drops.run.size)
        return {
            "connect": folded(connect_us, connects, rows),
            "resume": folded(resume_us, drops, rows),
            "outage": folded(outage_us, drops, rows),
            "after_resume": folded(reply_us, drops, rows),
        }

    def _losses(self, rng: np.random.Generator, runs: int) -> Ints:
        hours = self.sessions * self.seconds / 3600.0
        clusters = rng.poisson(self.losses_per_h * hours / self.cluster, runs)
        return clusters * self.cluster + rng.binomial(self.sessions, self.lost_ratio, runs)


def folded(values_us: Floats, arrivals: Arrivals, rows: int) -> list[SecondlyHistograms]:
    """Count values into HdrHistogram's buckets of three significant digits, run by run, in `rows` rows."""
    whole_us = np.maximum(values_us, 1.0).astype(np.int64)
    shift = np.maximum(np.frexp(whole_us.astype(np.float64))[1] - 11, 0)
    highest = (((whole_us >> shift) + 1) << shift) - 1
    row = arrivals.second * rows // arrivals.seconds
    edges = np.searchsorted(arrivals.run, np.arange(arrivals.runs + 1))
    made = []
    for start, end in pairwise(edges.tolist()):
        axis, column = np.unique(highest[start:end], return_inverse=True)
        cells = row[start:end] * axis.size + column
        counts = np.bincount(cells, minlength=rows * axis.size).reshape(rows, axis.size)
        made.append(SecondlyHistograms(counts, axis.astype(np.float64)))
    return made


def run_shifts(
    rng: np.random.Generator,
    runs: int,
    *,
    ratios: Sequence[float] = RUN_RATIOS,
    common: Floats | float = 0.0,
) -> Floats:
    """Return the shift of each run's p50, p90 and p99, in ln units, shape (runs, 3).

    Args:
        rng: source of all randomness.
        runs: number of runs.
        ratios: deviation of each quantile from run to run, increasing: the effect on a higher quantile is
            that on the lower one and more, so that quantiles keep their order.
        common: added to all quantiles of a run, shape (runs,): effects of its process or its day.
    """
    steps = np.sqrt(np.diff(np.square(ratios), prepend=0.0))
    own = np.cumsum(rng.normal(0.0, steps, (runs, len(ratios))), axis=1)
    return np.asarray(own + np.reshape(common, (-1, 1)), dtype=np.float64)
