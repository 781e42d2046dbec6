"""The part of a run that latency is judged by, and which pairs of runs count.

Rules and words do not belong here: see `loadtest.verdict.latency`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from loadtest.results.data import RunData
from loadtest.results.manifest import Manifest
from loadtest.session.schedule import NS_PER_S
from loadtest.statistics.margins import GATES, TAGS, Gate
from loadtest.statistics.measured_run import MeasuredRun, shown, value
from loadtest.statistics.noise import PastRun
from loadtest.statistics.quantiles import SecondlyHistograms
from loadtest.statistics.sufficiency import lack_of_runs
from loadtest.verdict.completeness import incomplete, too_short, unequal
from loadtest.verdict.evidence import LimitResult, Percentiles
from loadtest.verdict.generator import judge_generator
from loadtest.verdict.items import Generator
from loadtest.verdict.limits import judge_limits

SHOWN_TAGS = ("service", "response", "outage")
"""Tags whose percentiles are shown next to a comparison; where sizes vary, round trips by size too."""

_DAY_NS = 24 * 3600 * NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Timing:
    """The part of a run that latency is judged by.

    Args:
        manifest: manifest of the run.
        generator: whether the load generator was fit to measure.
        measured: histograms and losses that gates are computed from.
        percentiles: percentiles of `SHOWN_TAGS`, as in verdict.json.
        length_s: length of the run in seconds.
        limits: how the limits on latency that the run was made with were met.
        incomplete: why its data is incomplete; empty if it is complete.
        cut_short: that it was ended early; empty if it was not.
        classes: the same by user class, for a run of several.
    """

    manifest: Manifest
    generator: Generator
    measured: MeasuredRun
    percentiles: Percentiles
    length_s: float
    limits: Sequence[LimitResult] = ()
    incomplete: str = ""
    cut_short: str = ""
    classes: "Mapping[str, Timing]" = field(default_factory=dict)

    @property
    def problems(self) -> list[str]:
        """Why its latency cannot be judged: overloaded load generator, lost worker, incomplete run."""
        return [*self.generator.problems, *filter(None, [self.incomplete])]

    @property
    def unfit(self) -> str:
        """The same in one line, empty if there are none; of the generator's problems the first."""
        parts = [self.incomplete]
        if problems := self.generator.problems:
            more = f" (and {len(problems) - 1} more)" if problems[1:] else ""
            parts.insert(0, f"the load generator was {self.generator.state}: {problems[0]}{more}")
        return "; ".join(filter(None, parts))

    @property
    def day(self) -> int:
        """The UTC day on which it started."""
        return self.manifest.started_unix_ns // _DAY_NS

    def value(self, gate: Gate) -> float | None:
        """Return a gate's value in the units of `loadtest.statistics.measured_run.value`, None if unknown."""
        return value(gate, self.measured)

    @property
    def values(self) -> dict[str, float]:
        """The values as files have them, by gate, of the gates that a run alone has enough samples for."""
        enough = [gate for gate in GATES if not lack_of_runs(gate, [self.measured])]
        found = {gate.name: shown(gate, self.value(gate)) for gate in enough}
        return {name: round(one, 6) for name, one in found.items() if one is not None}


def timing(run: RunData, generator: Generator | None = None) -> Timing:
    """Return the part of a run that latency is judged by.

    Args:
        run: the run.
        generator: the verdict on its load generator; None to judge it here.
    """
    generator = generator or judge_generator(run)
    return Timing(
        manifest=run.manifest,
        generator=generator,
        measured=measured(run),
        percentiles=run.percentile_table([*SHOWN_TAGS, *run.size_tags]),
        length_s=run.length_s,
        limits=judge_limits(run, "latency", generator),
        incomplete=incomplete(run),
        cut_short=too_short(run),
        classes={
            name: timing(own, None if generator.valid else generator) for name, own in run.classes.items()
        },
    )


def measured(run: RunData) -> MeasuredRun:
    """Return what the gates of a run are computed from."""
    plan = run.manifest.plan
    return MeasuredRun(
        histograms={tag: SecondlyHistograms.from_mappings(run.compared_rows(tag)) for tag in TAGS},
        losses=run.uptime.lost,
        session_hours=run.uptime.session_hours,
        closed_load=plan.arrivals == "closed" or plan.in_flight > 0,
        row_s=run.row_s,
    )


def past_run(run: Timing) -> PastRun:
    """Return a run as a part of the history that run-to-run noise is measured over."""
    known = {gate.name: run.value(gate) for gate in GATES if not lack_of_runs(gate, [run.measured])}
    return PastRun(day=run.manifest.started_at[:10], values=known)


Pair = tuple[Timing, Timing]
"""A run of the baseline and a run of the candidate."""


def changes(pair: Pair) -> dict[str, float | None]:
    """Return the relative change of each gate on times within a pair, None if unknown."""
    found: dict[str, float | None] = {}
    for gate in GATES:
        if not gate.kind.counted:
            before, after = (run.value(gate) for run in pair)
            known = before is not None and after is not None
            # Times are between a microsecond and an hour, so expm1 cannot overflow.
            found[gate.name] = math.expm1(after - before) if known else None  # type: ignore[operator]
    return found


def is_fit(pair: Pair) -> bool:
    """Whether a pair counts: nothing was wrong with either run, and both are whole and of one length."""
    return not why_spoiled(pair)


def spoiling(run: Timing) -> str:
    """Return why a run's pair does not count, empty if it does."""
    return "; ".join(filter(None, [run.unfit, run.cut_short]))


def why_spoiled(pair: Pair) -> str:
    """Return why a pair does not count, with the role of the run; empty if it does."""
    of_runs = ", ".join(
        f"{role}: {found}"
        for role, run in zip(("baseline", "candidate"), pair, strict=True)
        if (found := spoiling(run))
    )
    lengths_s = [run.length_s for run in pair]
    if of_runs or not unequal(*lengths_s):
        return of_runs
    return "unequal lengths ({:.0f} s and {:.0f} s)".format(*lengths_s)
