"""An item over several runs of one revision: what a duel says besides latency.

The candidate's runs decide: one that fails fails the item, one that cannot tell leaves it INCONCLUSIVE.
What the baseline's runs failed is told beside it: then the candidate has inherited a fault, not made it.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from loadtest.verdict.items import Item, Ruling

_RUNS_SHOWN = 3


class ItemOfRun(NamedTuple):
    """One item's verdict in one run; `run` names its directory."""

    run: str
    item: Item


def pooled(name: str, *, baseline: Sequence[ItemOfRun], candidate: Sequence[ItemOfRun]) -> Item:
    """Judge an item over the runs of a candidate.

    Args:
        name: of the item.
        baseline, candidate: its verdict in each of their runs.
    """
    counts = Counter(of_run.item.verdict for of_run in candidate)
    ruling = next((one for one in _WORST_FIRST if counts[one]), Ruling.NOT_JUDGED)
    failed_before = [of_run for of_run in baseline if of_run.item.verdict is Ruling.FAIL]
    evidence: dict[str, Any] = {"runs": {str(one): count for one, count in counts.items()}}
    shown = [of_run for of_run in candidate if of_run.item.verdict is ruling]
    if ruling in (Ruling.FAIL, Ruling.INCONCLUSIVE):
        evidence["seen"] = [_told(of_run) for of_run in shown[:_RUNS_SHOWN]]
    if failed_before:
        evidence["baseline_failed"] = [_told(of_run) for of_run in failed_before[:_RUNS_SHOWN]]
    summary = _summary(ruling, shown, len(candidate))
    if failed_before:
        summary += f"; the baseline fails it in {len(failed_before)} of {len(baseline)} runs"
    return Item(item=name, verdict=ruling, summary=summary, evidence=evidence)


_WORST_FIRST = (Ruling.FAIL, Ruling.INCONCLUSIVE, Ruling.PASS)


def _summary(ruling: Ruling, shown: Sequence[ItemOfRun], runs: int) -> str:
    if not runs:
        return "no run was made"
    if ruling in (Ruling.PASS, Ruling.NOT_JUDGED):
        return f"in {len(shown)} of {runs} runs: {shown[0].item.summary}"
    return f"in {len(shown)} of {runs} runs, first {shown[0].run}: {shown[0].item.summary}"


def _told(of_run: ItemOfRun) -> dict[str, Any]:
    return {"run": of_run.run, "summary": of_run.item.summary, "evidence": of_run.item.evidence}
