"""Compare runs, one pair or several: `loadtest compare`.

Each item's verdict is compared with the baseline's, both judged by the candidate's limits and allowances: the
comparison fails if an item broke, but not for a defect that the baseline has, too
(`loadtest.verdict.item_changes`).

`latency` is judged as in a verdict for one pair, and pair by pair for several; from four pairs on, the
interval comes from the spread of the pairs. Runs with different plans are refused. With `force` they are
compared under the candidate's plan, and the result is never PASS: a baseline with a slower plan would make
any candidate look good. The statistics are in `loadtest.verdict.latency` and `loadtest.statistics`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from msgspec import Struct

from loadtest import text
from loadtest.errors import RunsNotComparable, UsageError
from loadtest.report.advice import duel_command
from loadtest.report.change_tables import change_table, difference_table, explanations
from loadtest.report.pair_sums import PairSums
from loadtest.report.tables import (
    Sheet,
    Table,
    Untrusted,
    bounded,
    gate_table,
    limit_table,
    pair_table,
)
from loadtest.results.manifest import Manifest, Plan
from loadtest.results.reader import read_manifest, read_run
from loadtest.ruling import Ruling
from loadtest.runs.alike_runs import alike_runs, place_of
from loadtest.runs.find import Catalogue, find_runs, once, started_utc
from loadtest.runs.interleaving import check_interleaved
from loadtest.runs.past_runs import Histories, histories
from loadtest.runs.run_items import baseline_items, log_item
from loadtest.statistics.margins import Gate, margins_of, parse_margins
from loadtest.verdict.compared_gates import not_compared
from loadtest.verdict.differences import Difference, differences, judged_otherwise
from loadtest.verdict.evidence import LatencyEvidence, Percentiles, RunNamed
from loadtest.verdict.item_changes import ItemChange, ruling_of
from loadtest.verdict.items import AnyItem, Item
from loadtest.verdict.latency import differing_plans, judge_pairs
from loadtest.verdict.run import judge
from loadtest.verdict.side_changes import changes_over_runs
from loadtest.verdict.timing import Timing, is_fit, timing

_SEE_OTHERS = "Run 'loadtest list' to see others"


class ComparedRun(RunNamed, frozen=True, kw_only=True):
    """A run that was compared, with its directory.

    Args:
        path: its run directory.
        among: its place among the revision's runs, such as "the newest of 3 complete runs".
    """

    path: str
    among: str = ""

    def __str__(self) -> str:
        """Name the run for people: `v1 = results/v1/2026…, the newest of 3 complete runs`."""
        return ", ".join(filter(None, [f"{self.revision} = {self.path}", self.among]))


class ComparedPair(Struct, frozen=True, kw_only=True):
    """Two runs that were compared."""

    baseline: ComparedRun
    candidate: ComparedRun


class Compared(Struct, frozen=True, kw_only=True):
    """What `compare --json` prints.

    Args:
        verdict: verdict on the comparison: FAIL if latency is, or if the candidate broke an item.
        baseline, candidate: the runs of the first pair.
        pairs: all pairs, in order.
        item: the item `latency`, as in verdict.json.
        changes: what changed in each item, over all pairs.
        differing_fields: fields in which the plans differ; empty unless the comparison was forced.
        differences: what else differs between the runs besides the server, those fields among them.
    """

    verdict: Ruling
    baseline: ComparedRun
    candidate: ComparedRun
    pairs: list[ComparedPair]
    differing_fields: list[str]
    item: Item[LatencyEvidence]
    changes: list[ItemChange]
    differences: list[Difference]
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
        wanted: baseline and candidate of each pair, as for `alike_runs`.
        results: the folder of all runs.

    Raises:
        RunNotFound: no run or revision has that name.
        UsageError: a run is named twice.
    """
    pairs: list[RunPaths] = []
    for names in wanted:
        baseline, candidate = alike_runs(*names, results)
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
    before, after = map(read_manifest, alike_runs(baseline, candidate, results))
    alike = once(find_runs(results).complete_of_plan(after.comparability_hash))
    runs = [[run.path for run in alike if run.manifest.revision == of.revision] for of in (before, after)]
    if before.revision == after.revision:
        raise UsageError(f"baseline and candidate are the same revision ({after.revision}). {_SEE_OTHERS}")
    if not (before.named and after.named):
        raise UsageError(
            "runs without a revision may be from different servers. Name two of them, without --all"
        )
    if not all(runs):
        raise UsageError(
            f"revision {before.revision!r} has no complete run with the plan of {after.revision!r}. "
            "Repeat it with the same settings"
        )
    return list(reversed(list(zip(*runs, strict=False))))


def compare(
    pairs: Sequence[RunPaths],
    *,
    results: Path,
    force: bool = False,
    margins: Sequence[str] = (),
    drawn: PairSums | None = None,
) -> Compared:
    """Compare the runs of two revisions, pair by pair.

    Args:
        pairs: at least one, in the order in which they were made.
        results: the folder of all runs.
        force: compare runs with different plans.
        margins: margins as for `parse_margins`; the rest are those of the candidate's last run.
        drawn: receives each pair for the reports while its data is in memory.

    Raises:
        InvalidSetting: a margin is malformed or out of range.
        RunUnreadable: a file of a run is damaged.
        RunsNotComparable: the plans differ and `force` is not set.
        UsageError: there are several pairs, and the runs do not alternate.
    """
    manifests = [(read_manifest(baseline), read_manifest(candidate)) for baseline, candidate in pairs]
    gates = parse_margins(margins, manifests[-1][1].gates, option="--margin")
    catalogue = find_runs(results)
    named = _named(pairs, manifests, catalogue)
    differing, found = differing_plans(manifests), differences(*zip(*manifests, strict=True))
    if differing and not force:
        raise _not_comparable(found, named[0], _alike(manifests, catalogue), older="version" in differing)
    check_interleaved(manifests)
    judge_all = _one_pair if len(pairs) == 1 else _several_pairs
    judged = judge_all(pairs, results, gates, drawn if drawn is not None else PairSums())
    item = _inconclusive_at_best(judged.latency, found) if differing else judged.latency
    changes = judged.changes(item, judged_otherwise(*zip(*manifests, strict=True)))
    verdict = ruling_of(changes)
    if differing and verdict is not Ruling.FAIL:
        verdict = Ruling.INCONCLUSIVE
    return Compared(
        verdict=verdict,
        baseline=named[0].baseline,
        candidate=named[0].candidate,
        pairs=named,
        differing_fields=differing,
        item=item,
        changes=changes,
        differences=found,
    )


def _named(
    pairs: Sequence[RunPaths], manifests: Sequence[tuple[Manifest, Manifest]], catalogue: Catalogue
) -> list[ComparedPair]:
    def run(path: Path, manifest: Manifest) -> ComparedRun:
        return ComparedRun.of(manifest, path=str(path), among=place_of(manifest, catalogue))

    return [
        ComparedPair(baseline=run(paths[0], before), candidate=run(paths[1], after))
        for paths, (before, after) in zip(pairs, manifests, strict=True)
    ]


def _alike(manifests: Sequence[tuple[Manifest, Manifest]], catalogue: Catalogue) -> str:
    """Return a hint to a run with the plan of the other revision's, for a pair whose plans differ."""
    for before, after in manifests:
        if before.comparability_hash == after.comparability_hash:
            continue
        for of, other in ((after, before), (before, after)):
            runs = catalogue.complete_of_plan(other.comparability_hash)
            found = [run for run in runs if run.manifest.revision == of.revision != other.revision]
            if found:
                run_id = found[0].manifest.run_id
                return f"{of.revision} has another run with the plan of {other.revision}: {run_id}. "
    return ""


def _not_comparable(
    found: Iterable[Difference], pair: ComparedPair, alike: str, *, older: bool
) -> RunsNotComparable:
    of_plan = [str(difference) for difference in found if difference.in_plan]
    runs = [str(pair.baseline), str(pair.candidate)]
    return RunsNotComparable(["version"] if older else of_plan, runs, alike)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """The items of each run, and latency over all pairs."""

    latency: Item[LatencyEvidence]
    before: Sequence[Sequence[AnyItem]]
    after: Sequence[Sequence[AnyItem]]

    def changes(self, latency: Item[LatencyEvidence], doubts: Mapping[str, str]) -> list[ItemChange]:
        """Return what changed in each item.

        Args:
            latency: the verdict on latency over all pairs.
            doubts: by item, why its verdicts cannot be compared.
        """
        first, *others = self.after
        with_latency = [latency if item.item == "latency" else item for item in first]
        without = [[item for item in items if item.item != "latency"] for items in others]
        return changes_over_runs(self.before, [with_latency, *without], doubts=doubts)


def _one_pair(pairs: Sequence[RunPaths], results: Path, gates: Sequence[Gate], drawn: PairSums) -> _Judged:
    before, after = map(read_run, pairs[0])
    drawn.add(before, after, fit=True)
    alike = msgspec.structs.replace(before.manifest, plan=after.manifest.plan)
    rules = msgspec.structs.replace(after.manifest, margins=margins_of(gates))
    candidate = replace(after, manifest=rules)
    past = _histories([(before.manifest, after.manifest)], results)
    verdict = judge(
        candidate,
        replace(before, manifest=alike),
        log_item(pairs[0][1], candidate),
        history=past.whole,
        class_histories=past.classes,
    )
    items = baseline_items(pairs[0][0], before, like=after.manifest, candidate=verdict.items)
    return _Judged(latency=verdict.latency, before=[items], after=[verdict.items])


def _several_pairs(
    pairs: Sequence[RunPaths], results: Path, gates: Sequence[Gate], drawn: PairSums
) -> _Judged:
    timings, before, after = [], [], []
    for paths in pairs:  # the data of one pair in memory at a time
        baseline, candidate = map(read_run, paths)
        timings.append((timing(baseline), timing(candidate)))
        drawn.add(baseline, candidate, fit=is_fit(timings[-1]))
        log = log_item(paths[1], candidate)
        after.append(judge(candidate, baseline, log, compares_latency=False).items)
        before.append(baseline_items(paths[0], baseline, like=candidate.manifest, candidate=after[-1]))
    plan = timings[0][1].manifest.plan
    alike = [(_with_plan(before, plan), _with_plan(after, plan)) for before, after in timings]
    manifests = [(before.manifest, after.manifest) for before, after in timings]
    own = {run.run_id for pair in manifests for run in pair}  # they alternate, so their changes are not noise
    past = _histories(manifests, results, besides=own)
    latency = judge_pairs(alike, gates=gates, history=past.whole, class_histories=past.classes)
    return _Judged(latency=latency, before=before, after=after)


def _with_plan(run: Timing, plan: Plan) -> Timing:
    return replace(run, manifest=msgspec.structs.replace(run.manifest, plan=plan))


def _histories(
    pairs: Sequence[tuple[Manifest, Manifest]], results: Path, *, besides: Collection[str] = ()
) -> Histories:
    """Return earlier runs of the last candidate's plan, for the run-to-run noise.

    Args:
        pairs: the compared runs. Only runs that started before the last of them count.
        results: the folder of all runs.
        besides: ids of runs that do not count.
    """
    last_unix_ns = max(run.started_unix_ns for pair in pairs for run in pair)
    return histories(results, pairs[-1][1], before_unix_ns=last_unix_ns, besides=besides)


def _inconclusive_at_best(item: Item[LatencyEvidence], found: Iterable[Difference]) -> Item[LatencyEvidence]:
    """Return the item for runs with different plans: INCONCLUSIVE, unless a limit is broken."""
    of_plan = ", ".join(str(difference) for difference in found if difference.in_plan)
    return not_compared(item, f"different plans ({of_plan})")


def comparison_sheet(compared: Compared) -> Sheet:
    """Return the runs, other differences, the gated quantiles, and the changes of each item, as tables."""
    several, latency = len(compared.pairs) > 1, compared.item.evidence
    tables = (
        _run_table(compared.pairs),
        difference_table(compared.differences, latency.unlike),
        limit_table([compared.item]),
        gate_table(compared.item),
        pair_table(latency) if several else _percentile_table(latency),
        change_table(compared.changes),
    )
    return Sheet(
        headline=headline(compared),
        ruling=compared.verdict,
        lines=[
            *explanations(compared.changes),
            f"latency {compared.item.verdict}: {compared.item.summary}",
            *(latency.spoiled or ()),
            *([] if several else map(str, (compared.baseline, compared.candidate))),
        ],
        tables=tables,
        commands=[*filter(None, [duel_command(compared.item)])],
    )


def headline(compared: Compared) -> str:
    """Return which revisions were compared, and over how many pairs if there are several."""
    pairs = len(compared.pairs)
    over = f" over {_counted(pairs, compared.item.evidence)}" if pairs > 1 else ""
    return f"{compared.candidate.revision} against {compared.baseline.revision}{over}"


def _counted(pairs: int, latency: LatencyEvidence) -> str:
    """Return the number of pairs, and how many of them count if not all do."""
    counting = pairs if latency.pairs is None else latency.pairs
    return f"{counting} of {pairs} pairs" if counting < pairs else f"{pairs} pairs"


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
    """Return the percentiles without a gate; those with one have a separate table."""
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
