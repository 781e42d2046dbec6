"""The item `latency`: is latency within its limits, at each gated quantile unchanged against the baseline?

A gate that FAILs fails the item; otherwise, a gate that is INCONCLUSIVE makes the item INCONCLUSIVE. The gate
on outages is left out if a run has too few of them: a short run has a few dozen, p95 needs 200, and the
service gates are useful without it. Pairs of runs spoiled by an overloaded load generator do not count, nor
do those with a run that was cut short, unless there are no others. The evidence lists gates left out and
spoiled pairs. Limits (`loadtest.verdict.limits`) are judged without a baseline too; over pairs, those of each
candidate. The summary names the plan's fields by their options, and states once what several gates share.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from msgspec.structs import replace

from loadtest.results.data import RunData
from loadtest.results.manifest import Manifest, Plan, differing_fields
from loadtest.ruling import Ruling, worst
from loadtest.statistics.comparison import (
    ASSUMED_NOISE,
    MIN_SECONDS,
    Comparison,
    NoiseFloor,
    compare,
    noise_floor,
)
from loadtest.statistics.margins import GATES, Gate
from loadtest.statistics.power import Power, power_of
from loadtest.statistics.quantiles import SecondlyHistograms
from loadtest.verdict.completeness import incomplete, too_short
from loadtest.verdict.differences import plan_differences
from loadtest.verdict.evidence import (
    BaselineEvidence,
    GateResult,
    LatencyEvidence,
    LimitResult,
    PairEvidence,
    PassedOver,
    Percentiles,
    RunNamed,
)
from loadtest.verdict.generator import judge_generator
from loadtest.verdict.items import Generator, Item
from loadtest.verdict.limits import judge_limits, over_runs, with_limits

OPTIONAL_TAGS = frozenset({"outage"})
"""Tags whose gates are left out if there are too few samples."""

SHOWN_TAGS = ("service", "response", "outage")
"""Tags whose percentiles are shown next to a comparison; where sizes vary, round trips by size too."""

_SAMPLES = {"service": "round trips", "outage": "outages"}
"""What the samples of each gated tag are called."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Timing:
    """The part of a run that latency is judged by.

    Args:
        manifest: manifest of the run.
        generator: whether the load generator was fit to measure.
        intervals: histograms per row after the warm-up, by gated tag.
        percentiles: percentiles of `SHOWN_TAGS`, as in verdict.json.
        limits: how the limits on latency that the run was made with were met.
        incomplete: why its data is incomplete; empty if it is complete.
        cut_short: that it was ended early; empty if it was not.
    """

    manifest: Manifest
    generator: Generator
    intervals: Mapping[str, SecondlyHistograms]
    percentiles: Percentiles
    limits: Sequence[LimitResult] = ()
    incomplete: str = ""
    cut_short: str = ""

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

    def ln_quantile(self, gate: Gate) -> float | None:
        """Return ln(quantile in µs) of a gate, None without samples."""
        return self.intervals[gate.tag].ln_quantile(gate.quantile)


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
        intervals={gate.tag: SecondlyHistograms.from_mappings(run.after_warmup(gate.tag)) for gate in GATES},
        percentiles=run.percentile_table([*SHOWN_TAGS, *run.size_tags]),
        limits=judge_limits(run, "latency", generator),
        incomplete=incomplete(run),
        cut_short=too_short(run),
    )


def noise_floors(earlier: Iterable[Timing]) -> dict[str, NoiseFloor]:
    """Return the noise floor by gate: measured if there are enough earlier runs, else assumed.

    Args:
        earlier: runs of the same revision and plan; iterated once, one run in memory at a time.
    """
    ln_quantiles: dict[str, list[float | None]] = {str(gate): [] for gate in GATES}
    for run in earlier:
        for gate in GATES:
            ln_quantiles[str(gate)].append(run.ln_quantile(gate))
    return {name: noise_floor(values) if values else ASSUMED_NOISE for name, values in ln_quantiles.items()}


def lack(gate: Gate, runs: Sequence[Timing]) -> str:
    """Return why some of these runs have too few samples for a gate, empty if all have enough."""
    intervals = [run.intervals[gate.tag] for run in runs]
    samples, busy = min(run.samples for run in intervals), min(run.busy for run in intervals)
    if samples < gate.least_samples:
        return f"{samples} {_SAMPLES[gate.tag]}, {gate.least_samples} are needed"
    if busy < MIN_SECONDS:
        return f"{_SAMPLES[gate.tag]} in {busy} seconds only, {MIN_SECONDS} are needed"
    return ""


def resolvable(
    like: Timing | None,
    noise: Mapping[str, NoiseFloor],
    *,
    pairs: int,
    duration_s: float,
    gates: Sequence[Gate] = GATES,
) -> list[Power]:
    """Forecast for each gate whether this many pairs of runs can resolve its margin.

    Args:
        like: an earlier run of the plan; without one, the gates on outages are left out, because the number
            of outages is unknown.
        noise: noise floor by gate.
        pairs: planned number of pairs.
        duration_s: duration of each run without its warm-up, in seconds.
        gates: gates with the margins to resolve.
    """
    rng = np.random.default_rng(0)
    return [
        power_of(
            gate,
            pairs=pairs,
            duration_s=duration_s,
            rng=rng,
            baseline=None if like is None else like.intervals[gate.tag],
            noise=noise.get(str(gate), ASSUMED_NOISE),
        )
        for gate in gates
        if gate.tag not in OPTIONAL_TAGS or (like is not None and not lack(gate, [like]))
    ]


Pair = tuple[Timing, Timing]
"""A run of the baseline and a run of the candidate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineSearch:
    """How the baseline was found, or why there is none.

    Args:
        path: run directory of the baseline, None if there is none.
        rule: why this run was chosen, or why none was.
        passed_over: runs that the rule did not choose, newest first.
    """

    path: str | None = None
    rule: str | None = None
    passed_over: Sequence[PassedOver] = ()


def judge(
    run: RunData,
    baseline: RunData | None,
    *,
    generator: Generator,
    earlier: Iterable[RunData] = (),
    search: BaselineSearch | None = None,
) -> Item[LatencyEvidence]:
    """Judge a run's latency by the limits and, against its baseline, the margins in its own manifest.

    Args:
        run: the candidate.
        baseline: the run to compare with, None to judge by the limits only; NOT_JUDGED without any.
        generator: the verdict on this run's load generator.
        earlier: runs of the baseline's revision and plan, for the noise floor; read one at a time.
        search: how the baseline was found, or why there is none.
    """
    search = search or BaselineSearch()
    candidate = timing(run, generator)
    evidence = LatencyEvidence(percentiles=candidate.percentiles, passed_over=list(search.passed_over))
    if baseline is None:
        rule = search.rule or ""
        evidence = replace(evidence, rule=rule)
        item = _item(Ruling.NOT_JUDGED, rule or "no baseline to compare with", evidence)
        return with_limits(item, candidate.limits)
    before = timing(baseline)
    compared_with = BaselineEvidence.of(
        before.manifest, path=search.path, rule=search.rule, percentiles=before.percentiles
    )
    item = _judged(
        [(before, candidate)],
        gates=run.manifest.gates,
        earlier=map(timing, earlier),
        evidence=replace(evidence, baseline=compared_with),
    )
    return with_limits(item, candidate.limits)


def judge_pairs(
    pairs: Sequence[Pair],
    *,
    gates: Sequence[Gate] = GATES,
    earlier: Iterable[Timing] = (),
    looks: tuple[int, ...] | None = None,
) -> Item[LatencyEvidence]:
    """Judge the latency of a candidate's runs against those of a baseline, pair by pair.

    Args:
        pairs: in the order in which they were run, at least one.
        gates: gates with the margins to use; the margins in the runs' own manifests are ignored.
        earlier: runs of the baseline's revision and plan, for the noise floor; read one at a time.
        looks: the numbers of pairs at which a duel looks; None if the pairs are judged only once.
    """
    runs = [_pair(number, pair) for number, pair in enumerate(pairs, start=1)]
    item = _judged(pairs, gates=gates, earlier=earlier, looks=looks, evidence=LatencyEvidence(runs=runs))
    candidates = [after for _, after in pairs]
    fit = [run for run in candidates if not run.problems] or candidates
    return with_limits(item, over_runs([run.limits for run in fit]))


def changes(pair: Pair) -> dict[str, float | None]:
    """Return the relative change of each gated quantile within a pair, None if unknown."""
    found: dict[str, float | None] = {}
    for gate in GATES:
        before, after = (run.ln_quantile(gate) for run in pair)
        known = before is not None and after is not None
        # Latencies are between a microsecond and an hour, so expm1 cannot overflow.
        found[str(gate)] = math.expm1(after - before) if known else None  # type: ignore[operator]
    return found


def is_fit(pair: Pair) -> bool:
    """Whether a pair counts: nothing was wrong with either run, and neither was cut short."""
    return not any(map(spoiling, pair))


def spoiling(run: Timing) -> str:
    """Return why a run's pair does not count, empty if it does."""
    return "; ".join(filter(None, [run.unfit, run.cut_short]))


def _counting(pairs: Sequence[Pair]) -> tuple[list[Pair], str]:
    """Return the pairs to compare, and why none of them may pass.

    If every pair has a run that was cut short, these are compared after all: they may show a regression.
    """
    fit = [pair for pair in pairs if is_fit(pair)]
    if fit:
        return fit, ""
    found = [pair for pair in pairs if not any(run.problems for run in pair)]
    cuts = (run.cut_short or f"baseline: {before.cut_short}" for before, run in found)
    return found, next(cuts, "")


def _judged(
    pairs: Sequence[Pair],
    *,
    gates: Sequence[Gate],
    earlier: Iterable[Timing],
    looks: tuple[int, ...] | None = None,
    evidence: LatencyEvidence,
) -> Item[LatencyEvidence]:
    """Return the item, with the comparison added to the evidence."""
    plan = pairs[0][1].manifest.plan
    if not plan.messages_planned:
        return _item(Ruling.NOT_JUDGED, "no messages are planned (rate 0)", evidence)
    obstacle = _obstacle(pairs)
    if obstacle:
        return _item(Ruling.INCONCLUSIVE, obstacle, evidence)
    fit, cut = _counting(pairs)
    noise = noise_floors(earlier)
    compared, left_out = _compared(fit, gates=gates, noise=noise, looks=looks, seed=plan.seed)
    ruling = worst(gate.decision for gate in compared)
    evidence = replace(
        evidence,
        pairs=len(fit),
        spoiled=[
            f"pair {number}, {why_spoiled(pair)}"
            for number, pair in enumerate(pairs, start=1)
            if pair not in fit
        ],
        gates=compared,
        left_out=left_out,
        noise={name: str(floor) for name, floor in noise.items()},
    )
    summary = _summary([gate for gate in compared if gate.decision is ruling])
    if cut and ruling is Ruling.PASS:
        return _item(Ruling.INCONCLUSIVE, f"{cut}; otherwise: {summary}", evidence)
    return _item(ruling, summary, evidence)


def _item(ruling: Ruling, summary: str, evidence: LatencyEvidence) -> Item[LatencyEvidence]:
    return Item(item="latency", verdict=ruling, summary=summary, evidence=evidence)


def _obstacle(pairs: Sequence[Pair]) -> str:
    """Return why the runs cannot be compared, empty if they can."""
    plans = zip(*((before.manifest.plan, after.manifest.plan) for before, after in pairs), strict=True)
    if differing := plan_differences(*plans):
        return (
            f"the baseline was made with another plan; they differ in {', '.join(map(str, differing))}. "
            "Repeat one run with the other's settings"
        )
    if _counting(pairs)[0]:
        return ""
    before, after = pairs[0]
    if after.problems:
        return after.unfit
    return f"baseline: {before.unfit}. Make the baseline anew, or choose another"


def differing_plans(pairs: Sequence[tuple[Manifest, Manifest]]) -> list[str]:
    """Return the fields in which the plans of any of these runs differ, empty if they are all the same."""
    plans = [manifest.plan for pair in pairs for manifest in pair]
    found = [differing_fields(plans[-1], plan) for plan in plans]
    return [name for name in Plan.__struct_fields__ if any(name in names for names in found)]


def _compared(
    pairs: Sequence[Pair],
    *,
    gates: Sequence[Gate],
    noise: Mapping[str, NoiseFloor],
    looks: tuple[int, ...] | None,
    seed: int,
) -> tuple[list[GateResult], list[str]]:
    """Return the result of each gate, and the gates that were left out with the reasons."""
    rng = np.random.default_rng(abs(seed))
    compared, left_out = [], []
    for gate in gates:
        missing = lack(gate, [run for pair in pairs for run in pair]) if gate.tag in OPTIONAL_TAGS else ""
        if missing:
            left_out.append(f"{gate}: {missing}")
            continue
        samples = [(before.intervals[gate.tag], after.intervals[gate.tag]) for before, after in pairs]
        found = compare(gate, samples, rng=rng, noise=noise[str(gate)], looks=looks)
        compared.append(_result(gate, found))
    return compared, left_out


def _result(gate: Gate, found: Comparison) -> GateResult:
    """Convert a comparison to its form in verdict.json, and add the parts of the margin."""
    return replace(
        msgspec.convert(found, GateResult, from_attributes=True),
        gate=str(gate),
        relative_margin_ratio=gate.margin.relative_ratio,
        absolute_margin_us=gate.margin.absolute_us,
    )


def _summary(decisive: Sequence[GateResult]) -> str:
    judged = [one for one in decisive if one.change_ratio is not None]
    lacking = [one for one in decisive if one.change_ratio is None]
    parts = [f"{one.gate} {one.reason}" for one in judged]
    if lacking:  # the last gate needs the most samples, and its reason says how many
        parts.append(f"{_names(lacking)} cannot be judged, {lacking[-1].reason}")
    return "; ".join([*parts, *_absolute_margins(judged)])


def _absolute_margins(judged: Sequence[GateResult]) -> Iterator[str]:
    """Yield a sentence for each absolute margin in force: it explains a percentage unlike the usual one."""
    absolute = [one for one in judged if one.absolute]
    for time_us in dict.fromkeys(one.absolute_margin_us or 0 for one in absolute):
        alike = [one for one in absolute if one.absolute_margin_us == time_us]
        shares = _and(f"{100 * (one.relative_margin_ratio or 0):g} %" for one in alike)
        yield f"the margin of {_names(alike)} is {time_us / 1000:g} ms, which is more than {shares} there"


def _names(compared: Sequence[GateResult]) -> str:
    """Join the names of gates, naming each tag once."""
    tags = dict.fromkeys(one.tag for one in compared)
    quantiles = {tag: [f"p{100 * one.quantile:g}" for one in compared if one.tag == tag] for tag in tags}
    return _and(f"{tag} {_and(of_tag)}" for tag, of_tag in quantiles.items())


def _and(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def why_spoiled(pair: Pair) -> str:
    """Return why a pair does not count, with the role of the run; empty if it does."""
    return ", ".join(
        f"{role}: {found}"
        for role, run in zip(("baseline", "candidate"), pair, strict=True)
        if (found := spoiling(run))
    )


def _pair(number: int, pair: Pair) -> PairEvidence:
    before, after = pair
    return PairEvidence(
        pair=number,
        fit=is_fit(pair),
        baseline=RunNamed.of(before.manifest),
        candidate=RunNamed.of(after.manifest),
        change_ratios=changes(pair),
    )
