"""Shapes of service times, before any slowdown is applied.

A shape maps the arrivals of several runs to their service times in µs. All runs of a repetition are drawn at
once, as flat arrays, one run after the other. Differences from run to run are not part of the shape: see
`simulated.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Arrivals:
    """When messages of several runs were sent.

    Args:
        run: shape (messages,), the index of each message's run, increasing.
        at_s: shape (messages,), seconds since the run's start, increasing within each run.
        runs: number of runs.
        seconds: duration of each run.
    """

    run: Ints
    at_s: Floats
    runs: int
    seconds: int

    @classmethod
    def draw(cls, rng: np.random.Generator, *, runs: int, seconds: int, rate_per_s: float) -> "Arrivals":
        """Draw Poisson arrivals."""
        counts = rng.poisson(rate_per_s * seconds, runs)
        run = np.repeat(np.arange(runs), counts)
        begins_s = run * float(seconds)
        return cls(run, np.sort(begins_s + seconds * rng.random(run.size)) - begins_s, runs, seconds)

    @property
    def second(self) -> Ints:
        """Index of each message's second within its run."""
        return np.minimum(self.at_s.astype(np.int64), self.seconds - 1)

    def of_seconds(self, series: Floats) -> Floats:
        """Return each message's value of a series of shape (runs, seconds)."""
        return np.asarray(series[self.run, self.second], dtype=np.float64)


Shape = Callable[[Arrivals, np.random.Generator], Floats]


def log_normal(
    arrivals: Arrivals, rng: np.random.Generator, *, median_us: float = 20_000.0, deviation: float = 0.3
) -> Floats:
    """Independent log-normal times."""
    return median_us * np.exp(rng.normal(0.0, deviation, arrivals.run.size))


def bimodal(arrivals: Arrivals, rng: np.random.Generator, *, slow: float) -> Floats:
    """A share of replies of 40 ms, such as cache misses, among replies of 2 ms."""
    centre_us = np.where(rng.random(arrivals.run.size) < slow, 40_000.0, 2_000.0)
    return centre_us * np.exp(rng.normal(0.0, 0.1, arrivals.run.size))


def pareto(arrivals: Arrivals, rng: np.random.Generator, *, exponent: float = 1.1) -> Floats:
    """Times from 10 ms with a tail so heavy that it has no variance, cut off at a timeout of 30 s."""
    return np.minimum(10_000.0 * (1.0 - rng.random(arrivals.run.size)) ** (-1.0 / exponent), 30e6)


def drifting(arrivals: Arrivals, rng: np.random.Generator) -> Floats:
    """Log-normal times that rise by 3% within each run, as caches of both sides fill."""
    return log_normal(arrivals, rng) * (1.0 + 0.03 * arrivals.at_s / arrivals.seconds)


def filling(arrivals: Arrivals, rng: np.random.Generator) -> Floats:
    """Log-normal times that rise by 10% a minute, as the server's own data grows."""
    return log_normal(arrivals, rng) * (1.0 + 0.1 * arrivals.at_s / 60.0)


def collected(
    arrivals: Arrivals, rng: np.random.Generator, *, every_s: float = 7.0, pause_s: float = 0.15
) -> Floats:
    """Log-normal times, and a pause every 7 s that holds up what arrives in it."""
    into_s = (arrivals.at_s + every_s * rng.random(arrivals.runs)[arrivals.run]) % every_s
    return log_normal(arrivals, rng) + 1e6 * np.maximum(pause_s - into_s, 0.0)


def bursts(arrivals: Arrivals, rng: np.random.Generator) -> Floats:
    """Log-normal times, and about three bursts of 1 to 5 s a minute that are 1.5 to 3 times as slow."""
    factor = np.ones((arrivals.runs, arrivals.seconds))
    for row, count in zip(factor, rng.poisson(arrivals.seconds / 20.0, arrivals.runs), strict=True):
        starts, lengths = rng.integers(arrivals.seconds, size=count), rng.integers(1, 6, size=count)
        for start, length, slower in zip(starts, lengths, rng.uniform(1.5, 3.0, count), strict=True):
            row[start : start + length] = slower
    return log_normal(arrivals, rng) * arrivals.of_seconds(factor)


def autocorrelated(
    arrivals: Arrivals, rng: np.random.Generator, *, correlation: float = 0.95, deviation: float = 0.1
) -> Floats:
    """Log-normal times with an AR(1) factor from second to second."""
    series = np.empty((arrivals.runs, arrivals.seconds))
    state = rng.normal(size=arrivals.runs)
    shocks = rng.normal(0.0, np.sqrt(1.0 - correlation**2), (arrivals.seconds, arrivals.runs))
    for second, shock in enumerate(shocks):
        state = correlation * state + shock
        series[:, second] = state
    return log_normal(arrivals, rng) * np.exp(deviation * arrivals.of_seconds(series))


def queueing(arrivals: Arrivals, rng: np.random.Generator, *, load: float = 0.8) -> Floats:
    """Waiting and service in a queue with one server (M/M/1) that is busy 80% of the time.

    Lindley's recursion in closed form: the wait is the sum of (service - time to the next arrival) so far,
    less its least value so far (Lindley, 1952).
    """
    first = np.diff(arrivals.run, prepend=-1) > 0
    per_run = np.bincount(arrivals.run, minlength=arrivals.runs)
    service_s = rng.exponential(load * arrivals.seconds / per_run[arrivals.run])
    steps = np.roll(service_s, 1) - np.diff(arrivals.at_s, prepend=0.0)
    # Each run starts far below what came before, and so with an empty queue.
    steps[first] = -1e6
    sums = np.cumsum(steps)
    return 1e6 * (sums - np.minimum.accumulate(sums) + service_s)


SHAPES: dict[str, Shape] = {
    "log-normal": log_normal,
    "1% slow": partial(bimodal, slow=0.01),
    "10% slow": partial(bimodal, slow=0.10),
    "50% slow": partial(bimodal, slow=0.50),
    "Pareto 1.1": pareto,
    "drift": drifting,
    "GC every 7 s": collected,
    "bursts": bursts,
    "AR(1) 0.95": autocorrelated,
    "1 ms ticks": partial(log_normal, median_us=8_000.0),
    "queueing": queueing,
}
"""By the name that rows have; of `1 ms ticks`, `Load.tick_us` rounds the times."""
