"""Earlier runs of a plan, and the values of their gates: the input for run-to-run noise and trends.

Values are read from verdict.json, which is fast; the data of a run is read only if its verdict lacks them.
Only runs that were fit to measure latency count: complete, not cut short, and with a load generator that kept
up. A value that cannot be a measurement, as in an edited file, is unknown.

Unnamed runs do not count, because they may be experiments with any server. Of a duel's runs only the
baseline's count, because its sides alternate, and the difference between two revisions is not noise. A run
whose own verdict says that latency became worse is not noise either: one bad release among fourteen good runs
would increase the noise tenfold. Any other change of revision is a step in the series, which
`loadtest.statistics.noise` finds.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from loadtest.errors import RunUnreadable
from loadtest.results.manifest import Manifest
from loadtest.results.reader import read_run
from loadtest.ruling import Ruling
from loadtest.runs.find import FoundRun, duration_s, find_runs, once
from loadtest.runs.verdict_file import readable_verdict
from loadtest.statistics.margins import GATES, Gate, GateKind
from loadtest.statistics.noise import PastRun
from loadtest.verdict.completeness import ended_too_soon
from loadtest.verdict.differences import host_differences, script_differences
from loadtest.verdict.evidence import LatencyEvidence
from loadtest.verdict.items import ClassVerdict, Item, Verdict
from loadtest.verdict.timing import past_run, spoiling, timing

MAX_RUNS = 60
"""Runs of the history, newest first: older ones say little about the noise of today, and two months of
nightly runs leave its deviation uncertain by a tenth."""

MAX_READ = 12
"""Runs of which the data is read because their verdict lacks the values, up to a second each."""

MIN_US = 1.0
MAX_US = 3.6e9
"""A microsecond to an hour: the times that histograms hold."""

MAX_RATIO = 1e6
"""Beyond any drift or rate that a run can measure."""

Values = Mapping[str, float | None]
"""By gate, in the units of `loadtest.statistics.measured_run.value`; None if unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunValues:
    """The latency values of one run.

    Args:
        past: its day and the values of its gates; no values for a run of several user classes.
        classes: the same by class, for a run of several.
        unfit: why it was not fit to measure latency, empty if it was.
        verdict: verdict on the run; None if it has none.
        latency: verdict on its latency; NOT_JUDGED if it has none.
        worse: whether this was a FAIL against its baseline, not only by limits.
    """

    past: PastRun
    classes: Mapping[str, PastRun]
    unfit: str
    verdict: Ruling | None
    latency: Ruling
    worse: bool

    @property
    def by_gate(self) -> dict[str, float | None]:
        """The values by gate; of several classes by `CLASS gate`."""
        of_classes = {
            of_class(name, gate): value
            for name, past in self.classes.items()
            for gate, value in past.values.items()
        }
        return {**self.past.values, **of_classes}


def of_class(name: str, gate: str) -> str:
    """Return the name of a user class's gate; without a class, the gate's own name."""
    return f"{name} {gate}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Histories:
    """Earlier runs of a plan, oldest first: as a whole, and by user class if it has several."""

    whole: Sequence[PastRun] = ()
    classes: Mapping[str, Sequence[PastRun]] = field(default_factory=dict)


def run_values(run: FoundRun) -> RunValues:
    """Return the values of a run's gates.

    Raises:
        RunUnreadable: its verdict lacks them, and its data is damaged.
    """
    verdict = readable_verdict(run.path)
    if verdict is not None and _has_values(verdict, run.manifest):
        past, classes = _of_verdict(run.manifest, verdict)
        unfit = _unfit(run.manifest, verdict)
    else:
        data = read_run(run.path)
        measured = timing(data)
        past, unfit = past_run(measured), spoiling(measured)
        classes = {name: past_run(timing(own, measured.generator)) for name, own in data.classes.items()}
        past = PastRun(day=past.day, values={}) if classes else past
    return RunValues(
        past=past,
        classes=classes,
        unfit=unfit,
        verdict=None if verdict is None else verdict.verdict,
        latency=Ruling.NOT_JUDGED if verdict is None else verdict.latency.verdict,
        worse=verdict is not None and any(map(_worse, _latencies(verdict).values())),
    )


def histories(
    results: Path, manifest: Manifest, *, before_unix_ns: int, besides: Collection[str] = ()
) -> Histories:
    """Return the newest `MAX_RUNS` earlier fit runs of a plan, oldest first.

    They have the same script and the same kind of machine. Runs whose latency FAILed against their baseline
    are left out.

    Args:
        results: the folder of all runs.
        manifest: manifest of the run to judge, which is left out itself.
        before_unix_ns: only runs that started before; later ones must not change a verdict.
        besides: ids of further runs to leave out.
    """
    left_out = {manifest.run_id, *besides}
    earlier = (
        run
        for run in runs_of_plan(results, manifest.comparability_hash)
        if run.manifest.run_id not in left_out
        and run.manifest.named
        and run.manifest.started_unix_ns < before_unix_ns
        and not host_differences([run.manifest], [manifest])
        and not script_differences([run.manifest], [manifest])
    )
    found = list(islice((run for run in _fit(earlier) if not run.worse), MAX_RUNS))[::-1]
    names = [one.name for one in manifest.classes]
    return Histories(
        whole=[run.past for run in found],
        classes={name: [run.classes[name] for run in found if name in run.classes] for name in names},
    )


def history(results: Path, manifest: Manifest, *, before_unix_ns: int) -> Sequence[PastRun]:
    """Return the history of runs as a whole; arguments as for `histories`."""
    return histories(results, manifest, before_unix_ns=before_unix_ns).whole


def runs_of_plan(results: Path, comparability_hash: str) -> list[FoundRun]:
    """Return the complete runs of a plan, newest first, without those of the candidates of duels."""
    catalogue = find_runs(results)
    runs = once(catalogue.complete_of_plan(comparability_hash))
    made_by = ((run, catalogue.duels.get(run.path.resolve())) for run in runs)
    return [run for run, duel in made_by if duel is None or duel.is_baseline]


def _has_values(verdict: Verdict, manifest: Manifest) -> bool:
    """Whether a verdict has the values of the run, or of all its classes."""
    items = _latencies(verdict)
    complete = len(items) == max(1, len(manifest.classes))
    return complete and all(item.evidence.values is not None for item in items.values())


def _latencies(verdict: Verdict) -> Mapping[str, Item[LatencyEvidence]]:
    """Return the item latency by user class; with no name if there are no classes."""
    found = {name: _latency(one) for name, one in verdict.classes.items()}
    return found or {"": verdict.latency}


def _latency(verdict: ClassVerdict) -> Item[LatencyEvidence]:
    found = next((item for item in verdict.items if item.item == "latency"), None)
    lacking = Item(item="latency", verdict=Ruling.NOT_JUDGED, summary="", evidence=LatencyEvidence())
    return found or lacking


def _worse(latency: Item[LatencyEvidence]) -> bool:
    """Whether latency FAILed against the baseline, not only by a limit."""
    evidence = latency.evidence
    by_gate = any(gate.decision is Ruling.FAIL for gate in evidence.gates or ())
    by_limit = any(limit.verdict is Ruling.FAIL for limit in evidence.time_limits or ())
    return latency.verdict is Ruling.FAIL and (by_gate or not by_limit)


def _fit(runs: Iterable[FoundRun]) -> Iterator[RunValues]:
    """Yield the values of the fit and readable ones."""
    read = 0
    for run in runs:
        verdict = readable_verdict(run.path)
        if verdict is None or not _has_values(verdict, run.manifest):
            read += 1
            if read > MAX_READ:
                continue
        try:
            found = run_values(run)
        except RunUnreadable:
            continue
        if not found.unfit:
            yield found


def _of_verdict(manifest: Manifest, verdict: Verdict) -> tuple[PastRun, Mapping[str, PastRun]]:
    """Return the values in a verdict: of the run, and by user class."""
    found = {}
    for name, item in _latencies(verdict).items():
        given = item.evidence.values or {}
        values = {gate.name: _comparable(gate, given.get(gate.name)) for gate in GATES}
        found[name] = PastRun(day=manifest.started_at[:10], values=values)
    whole = found.pop("", PastRun(day=manifest.started_at[:10], values={}))
    return whole, found


def _comparable(gate: Gate, given: float | None) -> float | None:
    """Return a value in the units in which it is compared, None if it cannot be one."""
    if given is None or not math.isfinite(given):
        return None
    if gate.kind is GateKind.QUANTILE:
        return math.log(given) if MIN_US <= given <= MAX_US else None
    if gate.kind is GateKind.DRIFT:
        return math.log1p(given) if -1 < given <= MAX_RATIO else None
    return given if 0 <= given <= MAX_RATIO else None


def _unfit(manifest: Manifest, verdict: Verdict) -> str:
    """Return why a run was not fit to measure latency, from its verdict; empty if it was."""
    if not verdict.generator.valid:
        return f"the load generator was {verdict.generator.state}"
    if not manifest.complete or manifest.missing_workers:
        return "its data is incomplete"
    length_s = duration_s(manifest)
    return "" if length_s is None else ended_too_soon(manifest, length_s).partition(":")[0]
