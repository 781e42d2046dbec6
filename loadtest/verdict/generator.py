"""Whether the load generator was fit to measure: a slow client makes any server look slow.

Everything judged here comes from the run's files: how late messages were sent, how late the event loop woke,
whether it stalled, its use of CPU, files and ports, and whether it sent what was planned. A problem makes
latency INCONCLUSIVE and affects no other item: losses and reconnects are facts however slow the client was.
The exception is connection attempts for which the client had no port or file left: they say nothing about the
server and do not count against it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from loadtest.results.data import RunData
from loadtest.session.recorder import OWN_LIMITS
from loadtest.verdict.items import Generator
from loadtest.verdict.remedies import remedy

MAX_SLIP_MS = 5.0
MAX_LAG_MS = 5.0
MAX_CPU_RATIO = 0.8
"""Share of a core. Above these three limits the client's own queueing shows in the percentiles: 5 ms is what
people would call a slow reply on a local network, and at 80% of a core queues begin to build."""

MAX_PROCESS_CPU_RATIO = 0.9
"""Share of a core, for all threads of a process. They share the GIL, so near a full core the engine waits for
the others: in measurements, round trips took four times as long before the loop lag reached its limit. A
healthy run stays below: the engine has its own limit of 0.8, and Locust, folding histograms and compression
(counted although mostly done without the GIL) took 0.02 at 20,000 messages or 700 reconnects per second. Only
other computation in the user's code can use the rest."""

IDLE_CPU_RATIO = 0.5
"""Share of a core below which a late engine was not busy itself: something else on the machine was."""

MAX_STALL_MS = 1000.0
"""One stall is a problem: if a process stalls for a second, every round trip and outage in progress includes
the pause. That hardly shows in the p99 of a long run's round trips, but outages are few."""

MAX_STEAL_RATIO = 0.1
"""Share of all cores: if a tenth is stolen, replies cannot be read during a tenth of the time."""

MAX_FILES_RATIO = 0.9
MAX_PORTS_RATIO = 0.9
"""Shares of the limits for open files and local ports: once they are exhausted, attempts fail through the
client's fault. Ports are also used by connections that are not visible here: those of other processes to the
same target, and those closed within the last minute (TIME_WAIT)."""

MAX_UNREAD_RATIO = 0.9
"""Share of a second. A burst that takes turns to read is over soon; if bytes wait all the time, the server
sends more than this process reads, and that is why it is late."""

MIN_ACHIEVED_RATIO = 0.95

BAD_SECONDS_RATIO = 0.2
MIN_BAD_SECONDS = 3
"""A gauge is a problem if it exceeds its limit in more than a fifth of the seconds, and in at least three.
The engine measures twenty wakes per second, and the loop lag of a second is the latest of them: over the
limit in a fifth of the seconds means one wake in a hundred. A backup job or a neighbour on a shared host
causes a hiccup of a second or two."""


_OWN_PROBLEMS = {
    "out_of_ports": ("no local port was free", "ports"),
    "out_of_files": ("the limit of open files was reached", "files"),
}
"""What each of `OWN_LIMITS` means, and its remedy."""


def own_failures(run: RunData, item: str) -> int:
    """Return how many of an item's attempts failed because the load generator ran out of files or ports."""
    return sum(run.count(f"{item}.{cause}") for cause in OWN_LIMITS)


def own_reason(run: RunData, item: str) -> str:
    """Return why these attempts could not be made, and what to do about it."""
    problems = (_OWN_PROBLEMS[cause] for cause in OWN_LIMITS if run.count(f"{item}.{cause}"))
    return "; ".join(f"{what}: {remedy(about, run.manifest)}" for what, about in problems)


def stalled(run: RunData) -> bool:
    """Return whether a process of the load generator could not run for a while: it read nothing then."""
    series = run.gauges.get("stall_max_ms", {}).values()
    return any(value > MAX_STALL_MS for one in series for value in one.values)


_DELAYS = ("loop_lag_max_ms", "stall_max_ms", "gc_pause_max_ms")
"""Gauges of times in which the engine did not read or send, in milliseconds."""

_QUEUES = frozenset({"cpu_ratio", "process_cpu_ratio", "achieved_ratio"})
"""Figures over their limit that let work queue up, so that one delay follows another."""


def longest_delay_ms(run: RunData, generator: Generator) -> float:
    """Return how much the load generator can have added to a time at most; inf if its own work queued up."""
    if _QUEUES & generator.exceeded.keys():
        return math.inf
    series = [one.values for name in _DELAYS for one in run.gauges.get(name, {}).values()]
    slip_us = run.percentiles_us("send_slip", (100,)).get(100, 0)
    return max([slip_us / 1000, *(value for values in series for value in values)])


def judge_generator(run: RunData) -> Generator:
    """Judge the load generator by what it recorded about itself after the warm-up."""
    worst = {gauge: _worst(run, gauge) for gauge in GAUGES}
    figures: dict[str, float | None] = {
        "send_slip_p99_ms": _p99_ms(run, "send_slip"),
        "achieved_ratio": _achieved_ratio(run),
        "loop_lag_p99_ms": _p99_ms(run, "loop_lag"),
        **{gauge.name: seen.exceeded if seen else None for gauge, seen in worst.items()},
    }
    problems, exceeded = _sending_problems(run, figures)
    for gauge, seen in worst.items():
        if seen and seen.is_problem:
            exceeded[gauge.name] = gauge.limit
            about = _short_of_time(run, figures) if gauge.name == "loop_lag_max_ms" else gauge.remedy
            problems.append(
                f"{gauge.what}{seen.where} in {seen.bad} of {seen.seconds} s: {remedy(about, run.manifest)}"
            )
    if any(gauge.needed and seen is None for gauge, seen in worst.items()):
        problems.append(f"nothing was measured after the warm-up: {remedy('warmup', run.manifest)}")
    if problems:
        problems += [
            f"{tally.error} {tally.count} times, first in session {tally.session} {tally.example}"
            for tally in run.errors_of("generator")
        ]
    return Generator(valid=not problems, problems=problems, figures=figures, exceeded=exceeded)


def _sending_problems(
    run: RunData, figures: Mapping[str, float | None]
) -> tuple[list[str], dict[str, float]]:
    """Return problems of connecting and sending, and the limits that the figures exceed."""
    problems = [
        f"{failed} {item} attempts could not be made: {own_reason(run, item)}"
        for item in ("connect", "reconnect")
        if (failed := own_failures(run, item))
    ]
    exceeded = {}
    slip_ms, achieved_ratio = figures["send_slip_p99_ms"], figures["achieved_ratio"]
    if slip_ms is not None and slip_ms > MAX_SLIP_MS:
        exceeded["send_slip_p99_ms"] = MAX_SLIP_MS
        problems.append(
            f"messages were sent late (send slip p99 {slip_ms:.1f} ms, limit {MAX_SLIP_MS:g} ms): "
            f"{remedy(_short_of_time(run, figures), run.manifest)}"
        )
    if achieved_ratio is not None and achieved_ratio < MIN_ACHIEVED_RATIO:
        exceeded["achieved_ratio"] = MIN_ACHIEVED_RATIO
        problems.append(
            f"only {achieved_ratio:.0%} of the planned messages were sent "
            f"(limit {MIN_ACHIEVED_RATIO:.0%}): {remedy('held_back', run.manifest)}"
        )
    return problems, exceeded


_FLOOD_RATIO = 10
"""Messages received per message sent from which the server has sent more than the load asked for."""


def _short_of_time(run: RunData, figures: Mapping[str, float | None]) -> str:
    """Return the remedy for a late engine: other user code, less to read or send, or an idle machine."""
    if run.errors_of("generator"):
        return "blocked"
    unread = _worst(run, _UNREAD)
    received, sent = run.count("messaging.wire_received"), run.count("messaging.wire_sent")
    if unread is not None and unread.is_problem and received > _FLOOD_RATIO * sent:
        return "flooded" if run.count("losses.flooded") else "flood"
    used = [figures.get(name) for name in ("cpu_ratio", "process_cpu_ratio")]
    return "machine" if all(ratio is not None and ratio < IDLE_CPU_RATIO for ratio in used) else "load"


@dataclass(frozen=True, slots=True)
class Gauge:
    """A gauge of the load generator with its limit.

    Args:
        name: its name in the intervals.
        limit: what a second may have at most.
        what: text for a gauge over its limit.
        remedy: the remedy, by its name in `remedies`.
        needed: whether a run without it is a problem.
        least_bad: seconds over the limit that are a problem at least.
        tolerated_ratio: share of the seconds that may be over the limit.
    """

    name: str
    limit: float
    what: str
    remedy: str = "load"
    needed: bool = False
    least_bad: int = MIN_BAD_SECONDS
    tolerated_ratio: float = BAD_SECONDS_RATIO


_UNREAD = Gauge("unread_ratio", MAX_UNREAD_RATIO, "received bytes waited to be read")

GAUGES = (
    Gauge(
        "loop_lag_max_ms",
        MAX_LAG_MS,
        f"the event loop was more than {MAX_LAG_MS:g} ms late",
        needed=True,
    ),
    Gauge(
        "cpu_ratio",
        MAX_CPU_RATIO,
        f"the engine used more than {MAX_CPU_RATIO:.0%} of a core",
        needed=True,
    ),
    Gauge(
        "process_cpu_ratio",
        MAX_PROCESS_CPU_RATIO,
        f"the process used more than {MAX_PROCESS_CPU_RATIO:.0%} of the core that its threads share",
        remedy="threads",
    ),
    Gauge(
        "stall_max_ms",
        MAX_STALL_MS,
        f"the engine stalled for more than {MAX_STALL_MS / 1000:g} s",
        remedy="stall",
        least_bad=1,
        tolerated_ratio=0,
    ),
    Gauge(
        "steal_ratio",
        MAX_STEAL_RATIO,
        f"the host stole more than {MAX_STEAL_RATIO:.0%} of the CPU",
        remedy="steal",
    ),
    Gauge(
        "gc_pause_max_ms",
        MAX_LAG_MS,
        f"garbage collection paused the process for more than {MAX_LAG_MS:g} ms",
        remedy="pauses",
    ),
    Gauge(
        "files_ratio",
        MAX_FILES_RATIO,
        f"connections used more than {MAX_FILES_RATIO:.0%} of the open files allowed",
        remedy="files",
    ),
    Gauge(
        "ports_ratio",
        MAX_PORTS_RATIO,
        f"connections used more than {MAX_PORTS_RATIO:.0%} of the local ports for this target",
        remedy="ports",
    ),
)
"""Gauges that are judged, each one separately in each process."""


@dataclass(frozen=True, slots=True)
class _Observed:
    """A gauge of one process: seconds observed, seconds over the limit, and the value exceeded only in the
    tolerated share of seconds.
    """

    where: str
    seconds: int
    bad: int
    exceeded: float
    is_problem: bool


def _worst(run: RunData, gauge: Gauge) -> _Observed | None:
    """Return the gauge of the worst process, None if no process has values after the warm-up."""
    warmup_s = run.manifest.plan.warmup_s
    observed = []
    for worker, series in run.gauges.get(gauge.name, {}).items():
        pairs = zip(series.at_s, series.values, strict=True)
        values = sorted(value for at_s, value in pairs if at_s >= warmup_s)
        if values:
            bad = sum(value > gauge.limit for value in values)
            where = "" if worker is None else f" (worker {worker})"
            at = math.ceil((1 - gauge.tolerated_ratio) * len(values)) - 1
            is_problem = bad >= gauge.least_bad and bad > gauge.tolerated_ratio * len(values)
            observed.append(_Observed(where, len(values), bad, values[at], is_problem))
    return max(observed, key=lambda one: (one.is_problem, one.bad / one.seconds, one.exceeded), default=None)


def _p99_ms(run: RunData, tag: str) -> float | None:
    found_us = run.percentiles_us(tag, (99,)).get(99)
    return None if found_us is None else found_us / 1000


def _achieved_ratio(run: RunData) -> float | None:
    """Return the share of planned messages that were sent, or could not be sent because of an outage.

    A script's messages are not planned: it sends each when it wants to.
    """
    planned = run.count("messaging.planned")
    if not planned or run.only_scripted:
        return None
    waiting = run.count("messaging.queued") - run.count("messaging.released")
    return (run.count("messaging.sent") + run.count("messaging.missed") + waiting) / planned
