"""Two runs beside each other: `loadtest compare`.

The comparison is the item `latency` of the candidate against the baseline, as a verdict would have it. Runs
of unlike plans are refused. Where a person insists, the candidate's plan is held to be that of both, and the
outcome is never PASS: a slower baseline plan would make any candidate look good.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from loadtest.errors import InvalidSetting, RunsNotComparable
from loadtest.evidence import Evidence, Manifest, differing_fields
from loadtest.report import figures
from loadtest.report.baselines import readable
from loadtest.report.tables import Foreign, Table, gate_table, gates, told
from loadtest.run import earlier_runs, read_run, resolve
from loadtest.verdict import Item, Ruling, judge


class ComparedRun(Struct, frozen=True, kw_only=True):
    """Which run was compared."""

    path: str
    revision: str
    run_id: str
    started_at: str
    complete: bool


class Compared(Struct, frozen=True, kw_only=True):
    """What `compare --json` prints.

    Args:
        item: `latency`, as in verdict.json, of the candidate against the baseline.
        differing_fields: of the plans; empty unless the comparison was forced.
    """

    verdict: Ruling
    baseline: ComparedRun
    candidate: ComparedRun
    differing_fields: list[str]
    item: Item
    schema: int = 1

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 4 inconclusive."""
        return {Ruling.PASS: 0, Ruling.FAIL: 1}.get(self.verdict, 4)


def compare(baseline: str, candidate: str, *, results: Path, force: bool = False) -> Compared:
    """Compare the latency of two runs.

    Args:
        baseline, candidate: run directories, or revisions, which stand for their newest complete run.
        results: the folder of all runs.
        force: compare runs of unlike plans, too.

    Raises:
        RunNotFound: there is no such run.
        RunUnreadable: a file of a run is damaged.
        RunsNotComparable: the plans differ, and `force` is not set.
        InvalidSetting: both are the same run.
    """
    paths = resolve(baseline, results), resolve(candidate, results)
    if paths[0].resolve() == paths[1].resolve():
        hint = "Name another run; `loadtest list` shows them"
        raise InvalidSetting("candidate", candidate, "is the same run as the baseline", hint)
    before, after = read_run(paths[0]), read_run(paths[1])
    differing = differing_fields(before.manifest.plan, after.manifest.plan)
    if differing and not force:
        raise RunsNotComparable(differing)
    item = _latency(before, after, results)
    if differing:
        item = _doubted(item, differing)
    return Compared(
        verdict=item.verdict,
        baseline=_named(paths[0], before.manifest),
        candidate=_named(paths[1], after.manifest),
        differing_fields=differing,
        item=item,
    )


def _latency(before: Evidence, after: Evidence, results: Path) -> Item:
    earlier = readable(earlier_runs(results, before.manifest))
    alike = msgspec.structs.replace(before.manifest, plan=after.manifest.plan)
    return judge(after, replace(before, manifest=alike), earlier=earlier).item("latency")


def _doubted(item: Item, differing: list[str]) -> Item:
    """Return the item as what it is worth between unlike plans: INCONCLUSIVE at best."""
    verdict = item.verdict if item.verdict is Ruling.FAIL else Ruling.INCONCLUSIVE
    summary = f"unlike plans ({', '.join(differing)}): {item.summary}"
    return msgspec.structs.replace(item, verdict=verdict, summary=summary)


def _named(path: Path, manifest: Manifest) -> ComparedRun:
    return ComparedRun(
        path=str(path),
        revision=manifest.revision,
        run_id=manifest.run_id,
        started_at=manifest.started_at,
        complete=manifest.complete,
    )


def comparison_tables(compared: Compared) -> Iterator[Table]:
    """Yield which runs were compared, the gated quantiles, and the percentiles of both."""
    rows = [
        (role, *map(Foreign, (run.revision, run.run_id, run.started_at)), "yes" if run.complete else "no")
        for role, run in (("baseline", compared.baseline), ("candidate", compared.candidate))
    ]
    yield Table(("run", "revision", "id", "started", "complete"), "lllll", rows, "Runs")
    yield gate_table(gates(compared.item))
    yield _percentile_table(compared.item)


class _Baseline(Struct, frozen=True):
    percentiles: dict[str, dict[str, float]]


def _percentile_table(item: Item) -> Table:
    after = told(item, "percentiles", dict[str, dict[str, float]], {})
    before = told(item, "baseline", _Baseline, _Baseline({})).percentiles
    rows = [
        (f"{tag} {name.removesuffix('_ms')}", _ms(before, tag, name), _ms(after, tag, name))
        for tag, values in after.items()
        for name in values
        if name.endswith("_ms")
    ]
    return Table(("latency", "baseline", "candidate"), "lrr", rows, "Percentiles")


def _ms(percentiles: Mapping[str, Mapping[str, Any]], tag: str, name: str) -> str:
    value_ms = percentiles.get(tag, {}).get(name)
    return figures.UNKNOWN if value_ms is None else figures.span(1000 * value_ms)
