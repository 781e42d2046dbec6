"""Compare the latency of runs, one pair or several: `loadtest compare`.

One pair is judged like the item `latency` of a verdict. Several are judged pair by pair; from four pairs on,
the interval comes from their own spread. Runs with different plans are refused. With `force` they are
compared under the candidate's plan, and the result is never PASS: a baseline with a slower plan would make
any candidate look good. No statistics here: they are in `loadtest.verdict.latency` and `loadtest.statistics`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
from msgspec import Struct

from loadtest import text
from loadtest.errors import RunsNotComparable, UsageError
from loadtest.options import options_of
from loadtest.report.tables import (
    Sheet,
    Table,
    Untrusted,
    bounded,
    gate_table,
    gates,
    limit_table,
    pair_table,
)
from loadtest.results.data import RunData
from loadtest.results.manifest import UNNAMED, Manifest, Plan
from loadtest.results.reader import read_manifest, read_run
from loadtest.ruling import Ruling
from loadtest.runs.baselines import earlier_runs
from loadtest.runs.find import find_runs, once, resolve, started_utc
from loadtest.statistics.margins import Gate, margins_of, parse_margins
from loadtest.verdict import latency
from loadtest.verdict.evidence import LatencyEvidence, Percentiles, RunNamed
from loadtest.verdict.generator import judge_generator
from loadtest.verdict.items import Item
from loadtest.verdict.latency import Timing, differing_plans, judge_pairs, timing

_SEE_OTHERS = "Run 'loadtest list' to see others"


class ComparedRun(RunNamed, frozen=True, kw_only=True):
    """A run that was compared, with its directory."""

    path: str


class ComparedPair(Struct, frozen=True, kw_only=True):
    """Two runs that were compared."""

    baseline: ComparedRun
    candidate: ComparedRun


class Compared(Struct, frozen=True, kw_only=True):
    """What `compare --json` prints.

    Args:
        verdict: verdict on latency.
        baseline, candidate: the runs of the first pair.
        pairs: all pairs, in order.
        item: the item `latency`, as in verdict.json.
        differing_fields: fields in which the plans differ; empty unless the comparison was forced.
    """

    verdict: Ruling
    baseline: ComparedRun
    candidate: ComparedRun
    pairs: list[ComparedPair]
    differing_fields: list[str]
    item: Item[LatencyEvidence]
    schema: int = 1

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 4 inconclusive."""
        return self.verdict.exit_code


RunPaths = tuple[Path, Path]
"""The directories of a baseline run and of a candidate run."""


def named_pairs(wanted: Sequence[tuple[str, str]], results: Path) -> list[RunPaths]:
    """Return the pairs of runs that the arguments name.

    Args:
        wanted: baseline and candidate of each pair, each a run directory or a revision (its newest complete
            run).
        results: the folder of all runs.

    Raises:
        RunNotFound: no run or revision has that name.
        UsageError: a run is named twice.
    """
    pairs: list[RunPaths] = []
    for names in wanted:
        baseline, candidate = (resolve(name, results) for name in names)
        if baseline.resolve() == candidate.resolve():
            raise UsageError(f"baseline and candidate are the same run ({names[1]}). {_SEE_OTHERS}")
        used = {path.resolve() for pair in pairs for path in pair}
        for name, path in zip(names, (baseline, candidate), strict=True):
            if path.resolve() in used:
                raise UsageError(f"--pair names a run that is in another pair ({name}). {_SEE_OTHERS}")
        pairs.append((baseline, candidate))
    return pairs


def all_pairs(baseline: str, candidate: str, results: Path) -> list[RunPaths]:
    """Return all complete runs of two revisions with the same plan, paired in order of their start.

    The plan is that of the run that `candidate` names. If one revision has more runs, its newest are used.

    Args:
        baseline, candidate: revisions, or run directories of these revisions.
        results: the folder of all runs.

    Raises:
        RunNotFound: no run or revision has that name.
        UsageError: both are the same revision, or the baseline has no complete run with that plan.
    """
    before, after = (read_manifest(resolve(name, results)) for name in (baseline, candidate))
    alike = once(find_runs(results).complete_of_plan(after.comparability_hash))
    runs = [[run.path for run in alike if run.manifest.revision == of.revision] for of in (before, after)]
    if before.revision == after.revision:
        raise UsageError(f"baseline and candidate are the same revision ({after.revision}). {_SEE_OTHERS}")
    if UNNAMED in (before.revision, after.revision):
        raise UsageError(
            "runs without a revision may be of different servers. Name two of them, without --all"
        )
    if not all(runs):
        raise UsageError(
            f"revision {before.revision!r} has no complete run with the plan of {after.revision!r}. "
            "Repeat it with the same settings"
        )
    return list(reversed(list(zip(*runs, strict=False))))


def compare(
    pairs: Sequence[RunPaths], *, results: Path, force: bool = False, margins: Sequence[str] = ()
) -> Compared:
    """Compare the latency of the runs of two revisions, pair by pair.

    Args:
        pairs: at least one, in the order in which they were made.
        results: the folder of all runs.
        force: compare runs with different plans.
        margins: margins as for `parse_margins`; the rest are those of the candidate's last run.

    Raises:
        InvalidSetting: a margin is malformed or out of range.
        RunUnreadable: a file of a run is damaged.
        RunsNotComparable: the plans differ and `force` is not set.
    """
    manifests = [(read_manifest(baseline), read_manifest(candidate)) for baseline, candidate in pairs]
    gates = parse_margins(margins, manifests[-1][1].gates, option="--margin")
    differing = differing_plans(manifests)
    if differing and not force:
        raise RunsNotComparable(["version"] if "version" in differing else options_of(differing))
    judged = _one_pair if len(pairs) == 1 else _several_pairs
    item = judged(pairs, results, gates)
    if differing:
        item = _inconclusive_at_best(item, differing)
    named = [
        ComparedPair(
            baseline=ComparedRun.of(before, path=str(paths[0])),
            candidate=ComparedRun.of(after, path=str(paths[1])),
        )
        for paths, (before, after) in zip(pairs, manifests, strict=True)
    ]
    return Compared(
        verdict=item.verdict,
        baseline=named[0].baseline,
        candidate=named[0].candidate,
        pairs=named,
        differing_fields=differing,
        item=item,
    )


def _one_pair(pairs: Sequence[RunPaths], results: Path, gates: Sequence[Gate]) -> Item[LatencyEvidence]:
    before, after = map(read_run, pairs[0])
    alike = msgspec.structs.replace(before.manifest, plan=after.manifest.plan)
    judged = msgspec.structs.replace(after.manifest, margins=margins_of(gates))
    earlier = _earlier([before.manifest, after.manifest], results)
    candidate, baseline = replace(after, manifest=judged), replace(before, manifest=alike)
    return latency.judge(candidate, baseline, generator=judge_generator(candidate), earlier=earlier)


def _several_pairs(pairs: Sequence[RunPaths], results: Path, gates: Sequence[Gate]) -> Item[LatencyEvidence]:
    timings = [(timing(read_run(baseline)), timing(read_run(candidate))) for baseline, candidate in pairs]
    plan = timings[0][1].manifest.plan
    alike = [(_with_plan(before, plan), _with_plan(after, plan)) for before, after in timings]
    manifests = [run.manifest for pair in timings for run in pair]
    return judge_pairs(alike, gates=gates, earlier=map(timing, _earlier(manifests, results)))


def _with_plan(run: Timing, plan: Plan) -> Timing:
    return replace(run, manifest=msgspec.structs.replace(run.manifest, plan=plan))


def _earlier(manifests: Sequence[Manifest], results: Path) -> Iterator[RunData]:
    """Yield earlier runs of the baseline's revision and plan, for the noise floor.

    Args:
        manifests: the compared runs, the baseline first. Only runs that started before the last of them
            count.
        results: the folder of all runs.
    """
    last_unix_ns = max(manifest.started_unix_ns for manifest in manifests)
    return earlier_runs(results, manifests[0], before_unix_ns=last_unix_ns)


def _inconclusive_at_best(item: Item[LatencyEvidence], differing: list[str]) -> Item[LatencyEvidence]:
    """Return the item for runs with different plans: INCONCLUSIVE at best."""
    verdict = item.verdict if item.verdict is Ruling.FAIL else Ruling.INCONCLUSIVE
    summary = f"unlike plans ({', '.join(options_of(differing))}): {item.summary}"
    return msgspec.structs.replace(item, verdict=verdict, summary=summary)


def comparison_sheet(compared: Compared) -> Sheet:
    """Return the compared runs, the gated quantiles, and the results of each pair or run, as tables."""
    several, latency = len(compared.pairs) > 1, compared.item.evidence
    tables = (
        _run_table(compared.pairs),
        limit_table([compared.item]),
        gate_table(gates(compared.item)),
        pair_table(latency.runs or ()) if several else _percentile_table(latency),
    )
    return Sheet(
        headline=f"latency over {len(compared.pairs)} pairs" if several else "latency",
        ruling=compared.verdict,
        lines=[compared.item.summary, *(latency.spoiled or ())],
        tables=tables,
    )


def _run_table(pairs: Sequence[ComparedPair]) -> Table:
    rows = (
        (
            role,
            Untrusted(run.revision),
            Untrusted(run.run_id),
            started_utc(run.started_at),
            "yes" if run.complete else "no",
        )
        for pair in pairs
        for role, run in (("baseline", pair.baseline), ("candidate", pair.candidate))
    )
    return bounded("Runs", ("role", "revision", "id", "started (UTC)", "complete"), "lllll", rows)


def _percentile_table(latency: LatencyEvidence) -> Table:
    """Return the percentiles without a gate; those with one, of whole seconds, have a table of their own."""
    before = latency.baseline.percentiles if latency.baseline else {}
    gated = {gate.gate for gate in latency.gates or ()}
    rows = [
        (label, _ms(before, tag, name), text.span(1000 * in_ms))
        for tag, values in (latency.percentiles or {}).items()
        for name, in_ms in values.items()
        if name.endswith("_ms") and (label := f"{tag} {name.removesuffix('_ms')}") not in gated
    ]
    return Table(("latency", "baseline", "candidate"), "lrr", rows, "Other percentiles")


def _ms(percentiles: Percentiles, tag: str, name: str) -> str:
    value_ms = percentiles.get(tag, {}).get(name)
    return text.UNKNOWN if value_ms is None else text.span(1000 * value_ms)
