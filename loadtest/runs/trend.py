"""The runs of one plan over time: when latency changed, and whether it has risen: `loadtest trend`.

The complete, readable runs of a plan make a series, oldest first; pinned copies do not count twice. Those on
the machine of the newest run are judged, if they were fit to measure latency. `loadtest.statistics.changes`
finds the change points, which are shown but not judged: a step may be intended. `loadtest.statistics.creep`
decides whether the newest level is above the first one, or that of the pinned revision, by more than the
margin of the newest run's plan, whether by steps or by a creep too slow for any single comparison.

A run of several user classes has the gates of each. Counts (slow replies, losses) are not judged here. The
tables are in `loadtest.runs.trend_sheet`.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from msgspec import Struct

from loadtest import text
from loadtest.errors import RunUnreadable
from loadtest.results.manifest import Manifest
from loadtest.results.user_classes import manifest_of
from loadtest.ruling import Ruling, worst
from loadtest.runs.find import FoundRun, find_runs, run_of_plan
from loadtest.runs.past_runs import RunValues, of_class, run_values, runs_of_plan
from loadtest.statistics.changes import changes_in
from loadtest.statistics.creep import MIN_UNITS, Rise, Series, fail_errors, rise
from loadtest.statistics.margins import Gate, GateKind
from loadtest.statistics.measured_run import shown
from loadtest.verdict.differences import host_differences, script_differences

MAX_RUNS = 200
"""Maximum number of runs to read, newest first: half a year of daily runs. The pinned revision's are read
however old they are, up to as many."""


class TrendRun(Struct, frozen=True, kw_only=True):
    """A run of the series.

    Args:
        values: by gate, of several user classes by `CLASS gate`, as in verdict.json: quantiles in µs, drift
            as a ratio, losses per session-hour; None if the run has too few samples.
        verdict: verdict on the run, None if it has none.
        left_out: why the run is not judged; empty if it is.
    """

    started_at: str
    revision: str
    run_id: str
    path: str
    values: dict[str, float | None]
    verdict: Ruling | None
    left_out: str = ""


class TrendChange(Struct, frozen=True, kw_only=True):
    """A change of one quantile.

    Args:
        gate: name of the gate.
        index: index in `runs` of the first run after the change.
        before, after: revisions of the last run before and the first run after the change.
        run_id: id of the first run after the change.
        before_us, after_us: medians over the runs between this change and its neighbours.
        change_ratio: relative change of these medians.
        p_value: share of shuffled series with a change at least as large, in (0, 1].
    """

    gate: str
    index: int
    before: str
    after: str
    run_id: str
    before_us: float
    after_us: float
    change_ratio: float
    p_value: float


class TrendLevel(Struct, frozen=True, kw_only=True):
    """The newest level of a gate against the first one, or that of the pinned revision.

    Args:
        gate: name of the gate.
        decision: FAIL if the lower bound of the change is above the margin, PASS if the upper bound is below
            it, else INCONCLUSIVE; NOT_JUDGED if there are too few values.
        reason: why it was not settled; empty otherwise.
        first_runs, last_runs: ids of the runs that were compared.
        first, last: the revisions of the first and the last runs, for people.
        before, after: their mean levels: quantiles in µs, drift as a ratio; null if not judged.
        change_ratio: the relative change, null if not judged.
        low_ratio, high_ratio: its bounds: the lower one at the error level for FAIL, the upper one at 5%.
        margin_ratio: the largest change that still counts as none.
    """

    gate: str
    decision: Ruling
    reason: str = ""
    first_runs: list[str] = []
    last_runs: list[str] = []
    first: str = ""
    last: str = ""
    before: float | None = None
    after: float | None = None
    change_ratio: float | None = None
    low_ratio: float | None = None
    high_ratio: float | None = None
    margin_ratio: float | None = None


class Trend(Struct, frozen=True, kw_only=True):
    """What `trend --json` prints. Runs are oldest first.

    Args:
        verdict: FAIL if a gate is; INCONCLUSIVE if one is, or if a required one has too few values.
        pinned: the pinned revision that the runs were compared with, empty for the first runs.
        runs: the judged runs, and the others with the reason.
        changes: where quantiles changed; not judged.
        levels: the newest level of each gate.
    """

    comparability_hash: str
    verdict: Ruling
    pinned: str
    runs: list[TrendRun]
    changes: list[TrendChange]
    levels: list[TrendLevel]
    schema: int = 1

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 4 inconclusive."""
        return self.verdict.exit_code

    @property
    def judged(self) -> list[TrendRun]:
        """The runs that are judged, oldest first."""
        return [run for run in self.runs if not run.left_out]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A run that was read, and why it is not judged; empty if it is."""

    found: FoundRun
    values: RunValues
    left_out: str

    @property
    def manifest(self) -> Manifest:
        return self.found.manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class _GateOf:
    """A gate, or one of a user class.

    Args:
        gate: the gate, with its margin.
        name: its name, with that of the class.
        quantile: name of the gate on the quantile that drift is a change of.
        is_needed: whether it must have values.
    """

    gate: Gate
    name: str
    quantile: str
    is_needed: bool


def trend(wanted: str | None, results: Path) -> Trend:
    """Return the series of a plan's runs, its changes, and whether it has risen.

    Args:
        wanted: a run as for `resolve`, or the beginning of a plan's hash; None for the plan of the newest
            complete run.
        results: the folder of all runs.

    Raises:
        RunNotFound: no run, revision or plan has that name.
        UsageError: the name fits several plans, or there is no complete run.
    """
    plan = run_of_plan(wanted, results).manifest.comparability_hash
    runs = _read(_to_read(results, plan))[::-1]
    judged = [run for run in runs if not run.left_out]
    pinned = _pinned(results, plan, judged)
    gates = _gates(judged[-1].manifest) if judged else []
    levels = _levels(judged, gates, pinned)
    return Trend(
        comparability_hash=plan,
        verdict=_whole(levels),
        pinned=judged[pinned[-1]].manifest.revision if pinned else "",
        runs=[_run(run, gates) for run in runs],
        changes=_changes(judged, gates, [run.left_out == "" for run in runs]),
        levels=levels,
    )


def _to_read(results: Path, plan: str) -> list[FoundRun]:
    """Return the newest runs of a plan and those of the pinned revision, newest first."""
    runs = runs_of_plan(results, plan)
    newest, older = runs[:MAX_RUNS], runs[MAX_RUNS:]
    pinned = next((run for run in find_runs(results).of_plan(plan) if run.pinned), None)
    if pinned is None:
        return newest
    accepted = [run for run in older if run.manifest.revision == pinned.manifest.revision][:MAX_RUNS]
    found = [*newest, *accepted]
    if all(run.manifest.run_id != pinned.manifest.run_id for run in found):  # of a duel's candidate
        found.append(pinned)
    return sorted(found, key=lambda run: run.manifest.started_unix_ns, reverse=True)


def _gates(newest: Manifest) -> list[_GateOf]:
    """Return the gates of a run, of each of its user classes, with its margins."""
    manifests = {one.name: manifest_of(newest, one) for one in newest.classes} or {"": newest}
    return [
        _GateOf(
            gate=gate,
            name=of_class(name, gate.name),
            quantile=of_class(name, f"{gate.tag} p{100 * gate.quantile:g}"),
            is_needed=gate.required and manifest.plan.messages_planned,
        )
        for name, manifest in manifests.items()
        for gate in manifest.gates
    ]


def _read(found: Sequence[FoundRun]) -> list[_Read]:
    """Return the readable runs, with the reasons not to judge some of them.

    Args:
        found: newest first.
    """
    values: list[tuple[FoundRun, RunValues]] = []
    for run in found:
        try:
            values.append((run, run_values(run)))
        except RunUnreadable:
            continue
    any_named = any(run.manifest.named for run, _ in values)
    newest = next((run.manifest for run, one in values if not one.unfit), None)
    return [
        _Read(found=run, values=one, left_out=_left_out(run.manifest, one, newest, any_named=any_named))
        for run, one in values
    ]


def _left_out(manifest: Manifest, values: RunValues, newest: Manifest | None, *, any_named: bool) -> str:
    """Return why a run is not judged, empty if it is."""
    if values.unfit:
        return values.unfit
    if any_named and not manifest.named:
        return "the version of its server is unknown"
    if newest is not None and (differ := host_differences([manifest], [newest])):
        return f"it was made on another machine: {', '.join(map(str, differ))}"
    if newest is not None and (edited := script_differences([manifest], [newest])):
        return f"it ran another script: {', '.join(map(str, edited))}"
    return ""


def _pinned(results: Path, plan: str, judged: Sequence[_Read]) -> list[int]:
    """Return the indices of the pinned revision's runs, up to the pinned one; empty if none is pinned."""
    ids = {run.manifest.run_id for run in find_runs(results).of_plan(plan) if run.pinned}
    last = max((index for index, run in enumerate(judged) if run.manifest.run_id in ids), default=None)
    if last is None:
        return []
    revision = judged[last].manifest.revision
    return [index for index, run in enumerate(judged[: last + 1]) if run.manifest.revision == revision]


def _run(run: _Read, gates: Sequence[_GateOf]) -> TrendRun:
    values = run.values.by_gate
    return TrendRun(
        started_at=run.manifest.started_at,
        revision=run.manifest.revision,
        run_id=run.manifest.run_id,
        path=str(run.found.path),
        values={of.name: shown(of.gate, values.get(of.name)) for of in gates},
        verdict=run.values.verdict,
        left_out=run.left_out,
    )


def _changes(runs: Sequence[_Read], gates: Sequence[_GateOf], is_judged: Sequence[bool]) -> list[TrendChange]:
    """Return the change points of the judged runs, with their indices in the series of all runs."""
    names = [of.name for of in gates if of.gate.kind is GateKind.QUANTILE]
    series = [{name: run.values.by_gate.get(name) for name in names} for run in runs]
    revisions = [run.manifest.revision for run in runs]
    places = [index for index, judged in enumerate(is_judged) if judged]
    return [
        TrendChange(
            gate=gate,
            index=places[point.index],
            before=revisions[point.index - 1],
            after=revisions[point.index],
            run_id=runs[point.index].manifest.run_id,
            before_us=point.before_us,
            after_us=point.after_us,
            change_ratio=point.change_ratio,
            p_value=point.p_value,
        )
        for gate, points in changes_in(series, names).items()
        for point in points
    ]


def _levels(runs: Sequence[_Read], gates: Sequence[_GateOf], pinned: Sequence[int]) -> list[TrendLevel]:
    """Return the newest level of each gate that is not a count."""
    judged = [of for of in gates if not of.gate.kind.counted]
    known = Counter(name for run in runs for name, value in run.values.by_gate.items() if value is not None)
    errors = fail_errors({of.name: of.gate.required for of in judged if known[of.name] >= MIN_UNITS})
    return [_level(of, runs, _rise(of, runs, pinned, fail_error=errors.get(of.name, 0.0))) for of in judged]


def _rise(of: _GateOf, runs: Sequence[_Read], pinned: Sequence[int], *, fail_error: float) -> Rise:
    series = Series(
        values=[run.values.by_gate.get(of.name) for run in runs],
        days=[run.values.past.day for run in runs],
        reference=pinned,
        bad=[index for index, run in enumerate(runs) if run.values.latency is Ruling.FAIL],
    )
    margin = partial(_margin, of.gate, _typical_us(of, runs))
    return rise(series, margin=margin, fail_error=fail_error, assumed_ratio=of.gate.assumed_ratio)


def _margin(gate: Gate, typical_us: float, level: float) -> float:
    """Return the margin of a gate at a level, in ln units; the absolute part of drift is of its quantile."""
    return math.log1p(gate.margin.ratio(math.exp(level) if gate.kind is GateKind.QUANTILE else typical_us))


def _typical_us(of: _GateOf, runs: Sequence[_Read]) -> float:
    """Return the quantile whose change drift is, over all runs; infinite if unknown."""
    values = [run.values.by_gate.get(of.quantile) for run in runs]
    known = sorted(value for value in values if value is not None)
    return math.exp(known[len(known) // 2]) if known else math.inf


def _level(of: _GateOf, runs: Sequence[_Read], found: Rise) -> TrendLevel:
    """Return a level for JSON. A required gate with too few values must not be left out."""
    if not found.last:
        decision = Ruling.INCONCLUSIVE if of.is_needed else found.decision
        return TrendLevel(gate=of.name, decision=decision, reason=found.reason)
    return TrendLevel(
        gate=of.name,
        decision=found.decision,
        reason=found.reason,
        first_runs=[runs[index].manifest.run_id for index in found.first],
        last_runs=[runs[index].manifest.run_id for index in found.last],
        first=_revisions(runs, found.first),
        last=_revisions(runs, found.last),
        before=shown(of.gate, found.before),
        after=shown(of.gate, found.after),
        change_ratio=math.expm1(found.after - found.before),
        low_ratio=math.expm1(found.low),
        high_ratio=math.expm1(found.high),
        margin_ratio=math.expm1(found.margin),
    )


def _revisions(runs: Sequence[_Read], indices: Sequence[int]) -> str:
    """Return the revisions of these runs: `v1 to v4, 4 runs`."""
    names = list(dict.fromkeys(runs[index].manifest.revision for index in indices))
    span = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
    return f"{text.one_line(span, 80)}, {text.counted(len(indices), 'run')}"


def _whole(levels: Sequence[TrendLevel]) -> Ruling:
    found = worst(level.decision for level in levels)
    return Ruling.INCONCLUSIVE if found is Ruling.NOT_JUDGED else found
