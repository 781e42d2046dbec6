"""The runs of one plan over time, and where their latency changed: `loadtest trend`.

The complete, readable runs of a plan make a series of quantiles, oldest first; pinned copies do not count
twice. `loadtest.statistics.changes` finds the change points; this module reads and shows the runs. It never
judges a change, because it cannot know which revisions should be equally fast.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from loadtest import text
from loadtest.errors import RunUnreadable
from loadtest.report.tables import Sheet, Table, Untrusted
from loadtest.results.reader import read_run
from loadtest.ruling import Ruling
from loadtest.runs.find import HASH_SHOWN, FoundRun, find_runs, once, run_of_plan, started_utc
from loadtest.runs.verdict_file import read_verdict
from loadtest.statistics.changes import changes_in
from loadtest.statistics.margins import GATES
from loadtest.verdict.latency import timing

MAX_RUNS = 200
"""Maximum number of runs to read, newest first: half a year of daily runs, in about a minute."""

MARK = "←"

_MIN_RUNS = 6
"""Runs needed to find a change: three on each side (`loadtest.statistics.changes`)."""


class TrendRun(Struct, frozen=True, kw_only=True):
    """A run of the series.

    Args:
        quantiles_us: quantile by gate, None if the run has too few samples.
        verdict: verdict on the run, None if it has none.
    """

    started_at: str
    revision: str
    run_id: str
    path: str
    quantiles_us: dict[str, float | None]
    verdict: Ruling | None


class TrendChange(Struct, frozen=True, kw_only=True):
    """A change of one quantile.

    Args:
        gate: name of the gate.
        index: index in the series of the first run after the change.
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


class Trend(Struct, frozen=True, kw_only=True):
    """What `trend --json` prints. Runs are oldest first."""

    comparability_hash: str
    runs: list[TrendRun]
    changes: list[TrendChange]
    schema: int = 1


def trend(wanted: str | None, results: Path) -> Trend:
    """Return the series of a plan's runs and its changes.

    Args:
        wanted: a run as for `resolve`, or the beginning of a plan's hash; None for the plan of the newest
            complete run.
        results: the folder of all runs.

    Raises:
        RunNotFound: no run, revision or plan has that name.
        UsageError: the name fits several plans, or there is no complete run.
    """
    plan = run_of_plan(wanted, results).manifest.comparability_hash
    newest = once(find_runs(results).complete_of_plan(plan))[:MAX_RUNS]
    runs = list(_read(reversed(newest)))
    series = [
        {gate: None if us is None else math.log(max(us, 1.0)) for gate, us in run.quantiles_us.items()}
        for run in runs
    ]
    return Trend(comparability_hash=plan, runs=runs, changes=_changes(runs, series))


def _read(found: Iterator[FoundRun]) -> Iterator[TrendRun]:
    for run in found:
        try:
            measured = timing(read_run(run.path))
            verdict = read_verdict(run.path)
        except RunUnreadable:
            continue
        quantiles_us: dict[str, float | None] = {}
        for gate in GATES:
            enough = measured.intervals[gate.tag].samples >= gate.least_samples
            ln = measured.ln_quantile(gate) if enough else None
            quantiles_us[str(gate)] = None if ln is None else math.exp(ln)
        yield TrendRun(
            started_at=run.manifest.started_at,
            revision=run.manifest.revision,
            run_id=run.manifest.run_id,
            path=str(run.path),
            quantiles_us=quantiles_us,
            verdict=None if verdict is None else verdict.verdict,
        )


def _changes(runs: Sequence[TrendRun], series: Sequence[Mapping[str, float | None]]) -> list[TrendChange]:
    return [
        TrendChange(
            gate=gate,
            index=point.index,
            before=runs[point.index - 1].revision,
            after=runs[point.index].revision,
            run_id=runs[point.index].run_id,
            before_us=point.before_us,
            after_us=point.after_us,
            change_ratio=point.change_ratio,
            p_value=point.p_value,
        )
        for gate, points in changes_in(series).items()
        for point in points
    ]


def trend_sheet(found: Trend) -> Sheet:
    """Return the series as a table with its changes marked, and a line for each change."""
    lines = [_change_line(change) for change in found.changes]
    if len(found.runs) < _MIN_RUNS:
        lines.append(f"finding a change takes at least {_MIN_RUNS} runs")
    runs, changes = text.counted(len(found.runs), "run"), text.counted(len(found.changes), "change")
    return Sheet(
        headline=f"{runs} of plan {found.comparability_hash[:HASH_SHOWN]}, {changes}",
        lines=lines,
        tables=[_series_table(found)],
    )


def _series_table(found: Trend) -> Table:
    marked = {(change.index, change.gate) for change in found.changes}
    rows = [
        (
            started_utc(run.started_at),
            Untrusted(run.revision),
            *(
                f"{MARK} {text.span(us)}" if (index, gate) in marked else text.span(us)
                for gate, us in run.quantiles_us.items()
            ),
            run.verdict or text.UNKNOWN,
        )
        for index, run in enumerate(found.runs)
    ]
    header = ("started (UTC)", "revision", *map(str, GATES), "verdict")
    few = any(us is None for run in found.runs for us in run.quantiles_us.values())
    note = f"{text.UNKNOWN} means too few samples." if few else ""
    return Table(header, f"ll{'r' * len(GATES)}l", rows, "Runs", note=note)


def _change_line(change: TrendChange) -> str:
    where = (
        f"between {change.before} and {change.after}"
        if change.before != change.after
        else f"between two runs of {change.after}"
    )
    return (
        f"{change.gate} changed {where} (run {change.run_id}): {text.span(change.before_us)} to "
        f"{text.span(change.after_us)}, {text.change(change.change_ratio)}, p = {change.p_value:.2g}"
    )
