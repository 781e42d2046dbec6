"""report.html of a comparison: verdict and why, the gates' changes, the items, both revisions in charts."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from loadtest import text
from loadtest.report.change_tables import difference_table
from loadtest.report.comparison_charts import charts_over_time, percentile_charts
from loadtest.report.comparison_tables import open_table, side_table
from loadtest.report.forest_charts import forest_charts, pair_chart
from loadtest.report.judged_comparison import JudgedComparison
from loadtest.report.key_figures import Figure
from loadtest.report.outage_charts import phase_charts
from loadtest.report.page import page
from loadtest.report.pair_sums import PairSums
from loadtest.report.tables import Untrusted, gate_table, gates, limit_table, pair_table
from loadtest.ruling import Ruling
from loadtest.text import one_line
from loadtest.verdict.gate_evidence import GateResult
from loadtest.verdict.gate_words import change, margin
from loadtest.verdict.item_changes import Change, ItemChange, outcome_line
from loadtest.verdict.items import KINDS

PAIRS_LISTED = 200
"""Pairs whose runs are linked."""

_REPORT = "report.html"
_PATH_LIMIT = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSection:
    """An item with its anchor, its question, and what changed: in a word or two, and in full."""

    id: str
    change: ItemChange
    short: str
    question: str
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why the verdict is what it is: an item, its anchor, what was found, and what to do about it."""

    ruling: Ruling
    item: str
    id: str
    told: str
    next: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLink:
    """A run: the number of its pair, its role, its directory, and the link to its report, if it has one."""

    pair: int
    role: str
    path: str
    link: str


def comparison_html(judged: JudgedComparison, folder: Path) -> str:
    """Return report.html of a comparison.

    Args:
        judged: the comparison.
        folder: where the page will be, for links to the runs' own reports.
    """
    latency = judged.latency.evidence
    return page(
        "comparison.html",
        judged.verdict,
        judged=judged,
        made=_made(judged),
        outcome=outcome_line(judged.changes),
        reasons=list(_reasons(judged)),
        figures=list(_figures(judged.drawn)),
        forests=forest_charts(judged),
        pair_chart=pair_chart(judged),
        items=list(_items(judged)),
        open=open_table(judged),
        differences=replace(difference_table(judged.differences, latency.unlike), title=""),
        limits=limit_table([judged.latency]),
        gates=gate_table(judged.latency),
        pairs=pair_table(latency),
        over_time=charts_over_time(judged),
        time_title=_time_title(judged),
        curves=percentile_charts(judged),
        outages=phase_charts(judged.drawn.outages),
        sides=side_table(judged.drawn),
        runs=list(_runs(judged, folder)),
        more_runs=2 * max(0, len(judged.pairs) - PAIRS_LISTED),
    )


def _made(judged: JudgedComparison) -> str:
    """Return how long the runs took, and in what order they were made."""
    orders = dict.fromkeys(judged.drawn.firsts)
    told = "in turn" if len(orders) > 1 else ", ".join(orders)
    length = f"{text.counted(2 * len(judged.pairs), 'run')}, {text.clock(judged.drawn.total_s)} in total"
    valid = f", {judged.drawn.valid} of {len(judged.pairs)} pairs valid" if len(judged.pairs) > 1 else ""
    return f"{length}, {told}{valid}" if told else f"{length}{valid}"


def _time_title(judged: JudgedComparison) -> str:
    if len(judged.pairs) < 2:
        return "Over time"
    return f"Over time: pair {judged.drawn.drawn} of {len(judged.pairs)}"


def _items(judged: JudgedComparison) -> Iterator[ChangeSection]:
    for one in judged.changes:
        kind = KINDS.get(one.item)
        yield ChangeSection(
            id=_anchor(one),
            change=one,
            short=_short(one),
            question=kind.question if kind else "",
            told=f"{one.change}: {one.remark}" if one.remark else _short(one),
        )


def _short(change: ItemChange) -> str:
    """Return the change in a word or two: what was judged in neither run is not unchanged."""
    never = change.before is Ruling.NOT_JUDGED and change.after is Ruling.NOT_JUDGED
    return "not judged" if never else str(change.change)


def _anchor(change: ItemChange) -> str:
    return f"item-{change.item}"


def _reasons(judged: JudgedComparison) -> Iterator[Reason]:
    """Yield what explains the verdict: items that failed, those that are open, then those that were fixed."""
    for ruling in (Ruling.FAIL, Ruling.INCONCLUSIVE):
        for one in judged.changes:
            if one.verdict is ruling:
                step = judged.next_step if one.item == "latency" else ""
                yield _reason(one, ruling, next_step=step)
    yield from (_reason(one, Ruling.PASS) for one in judged.changes if one.change is Change.FIXED)
    if judged.verdict is Ruling.PASS and (told := _within_margins(gates(judged.latency))):
        yield Reason(ruling=Ruling.PASS, item="latency", id="item-latency", told=told)


def _within_margins(compared: Sequence[GateResult]) -> str:
    """Return that latency is unchanged, with the largest change of a time; empty if none was compared."""
    passed = [gate for gate in compared if gate.compared and gate.decision is Ruling.PASS]
    times = [gate for gate in passed if gate.baseline_us is not None and gate.change_ratio is not None]
    if not times:
        return ""
    largest = max(times, key=lambda gate: abs(gate.change_ratio or 0.0))
    moved = text.span(abs((largest.candidate_us or 0.0) - (largest.baseline_us or 0.0)))
    return (
        f"{text.counted(len(passed), 'gate')} within their margins; the largest change is {largest.gate} "
        f"{change(largest)} ({moved}; margin {margin(largest)})"
    )


def _reason(one: ItemChange, ruling: Ruling, *, next_step: str = "") -> Reason:
    found = one.remark or one.summary_after
    if ruling is Ruling.PASS:
        found = f"{one.change}, before: {one.summary_before}"
    elif one.remark or one.item != "latency" or one.change is not Change.UNCLEAR:
        found = f"{one.change}: {found}"  # the summary of latency says by itself what is unclear
    return Reason(ruling=ruling, item=one.item, id=_anchor(one), told=found, next=next_step)


def _figures(drawn: PairSums) -> Iterator[Figure]:
    """Yield the figures of the candidate, each with the baseline's beside it."""
    for name, before, after in side_table(drawn).rows:
        yield Figure(name=name, value=after, beside=f"baseline {before}")


def _runs(judged: JudgedComparison, folder: Path) -> Iterator[RunLink]:
    for number, pair in enumerate(judged.pairs[:PAIRS_LISTED], start=1):
        for role, path in (("baseline", pair.baseline), ("candidate", pair.candidate)):
            shown = Untrusted(one_line(str(path), _PATH_LIMIT))
            yield RunLink(pair=number, role=role, path=shown, link=_link(path / _REPORT, folder))


def _link(report: Path, folder: Path) -> str:
    """Return the relative link to a run's report, empty if there is none. A colon in it starts no scheme."""
    if not os.path.lexists(report):
        return ""
    return quote(os.path.relpath(report.resolve(), folder.resolve()))
