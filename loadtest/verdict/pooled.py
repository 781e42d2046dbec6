"""An item pooled over the runs of a duel: did the candidate, b, break what works in the baseline, a?

    a fails    b fails              verdict
    never      never                the worst of b's runs
    never      ever                 FAIL
    ever       never                the worst of b's runs
    ever       not more often       NOT_JUDGED: a defect that a has too is not b's regression
    ever       not more often, but  INCONCLUSIVE: a new defect, or one much more frequent (`defects`)
               worse
    ever       more often           INCONCLUSIVE: it may be chance
    ever       significantly more   FAIL

Runs that are INCONCLUSIVE may have failed or not. Whether b fails more often is asked of the worst case:
those of b failed and those of a did not. Whether that is significant is asked of the runs that were judged.
Looked at after 4, 8 and 12 pairs, the test errs in under 4% of duels, whatever share of their runs fails.
Pure.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from loadtest import text
from loadtest.ruling import Ruling, worst
from loadtest.statistics.exact_test import SIGNIFICANT, more_frequent
from loadtest.verdict.defects import summed, worsened
from loadtest.verdict.evidence import ItemSeen, PooledEvidence
from loadtest.verdict.items import AnyItem, Item

_RUNS_SHOWN = 3


class ItemOfRun(NamedTuple):
    """The verdict on one item in one run; `run` is its directory."""

    run: str
    item: AnyItem


class _Side:
    """The verdicts on an item in the runs of one side."""

    def __init__(self, of_runs: Sequence[ItemOfRun]) -> None:
        self._of_runs = of_runs
        self.runs = len(of_runs)
        self.counts = Counter(of_run.item.verdict for of_run in of_runs)
        self.failed = self.counts[Ruling.FAIL]
        self.unclear = self.counts[Ruling.INCONCLUSIVE]
        self.judged = self.failed + self.counts[Ruling.PASS]

    @property
    def defects(self) -> Mapping[str, int]:
        return summed(of_run.item.evidence for of_run in self.having(Ruling.FAIL))

    def having(self, ruling: Ruling) -> list[ItemOfRun]:
        return [of_run for of_run in self._of_runs if of_run.item.verdict is ruling]


def pooled(
    name: str, *, baseline: Sequence[ItemOfRun], candidate: Sequence[ItemOfRun]
) -> Item[PooledEvidence[Any]]:
    """Judge an item over all runs of a duel.

    Args:
        name: name of the item.
        baseline, candidate: the item's verdict in each run of that side.
    """
    a, b = _Side(baseline), _Side(candidate)
    chance_ratio = _chance_ratio(a, b) if a.failed and b.failed else None
    if chance_ratio is None:
        worse, (ruling, summary) = "", _alone(a, b)
    else:
        worse = worsened(a.defects, b.defects)
        ruling, summary = _beside(a, b, chance_ratio, worse)
    shown = b.having(Ruling.FAIL) or b.having(Ruling.INCONCLUSIVE)
    evidence = PooledEvidence(
        runs=dict(b.counts),
        baseline_runs=dict(a.counts),
        chance_ratio=None if chance_ratio is None else round(chance_ratio, 6),
        worse=worse,
        seen=_seen(shown) or None,
        baseline_failed=_seen(a.having(Ruling.FAIL)) or None,
    )
    return Item(item=name, verdict=ruling, summary=summary, evidence=evidence)


def is_open(item: Item[PooledEvidence[Any]]) -> bool:
    """Whether more pairs may settle an item: both sides fail it, the candidate perhaps more often."""
    evidence = item.evidence
    return item.verdict is Ruling.INCONCLUSIVE and evidence.chance_ratio is not None and not evidence.worse


def is_mended(item: Item[PooledEvidence[Any]]) -> bool:
    """Whether the candidate passes what the baseline fails, always or significantly more often."""
    before, after = item.evidence.baseline_runs, item.evidence.runs
    failed, passed = before.get(Ruling.FAIL, 0), after.get(Ruling.PASS, 0)
    if item.verdict is not Ruling.PASS or not failed:
        return False
    judged = failed + before.get(Ruling.PASS, 0)
    chance_ratio = more_frequent(before=0, of_before=passed, after=failed, of_after=judged)
    return failed == sum(before.values()) or chance_ratio <= SIGNIFICANT


def _chance_ratio(a: _Side, b: _Side) -> float:
    return more_frequent(before=a.failed, of_before=a.judged, after=b.failed, of_after=b.judged)


def _alone(a: _Side, b: _Side) -> tuple[Ruling, str]:
    """Return ruling and summary of an item that not both sides fail."""
    ruling = worst(b.counts)
    summary = _of_runs(ruling, b)
    if a.failed:
        summary += f"; the baseline fails it in {a.failed} of {a.runs} runs"
    return ruling, summary


def _beside(a: _Side, b: _Side, chance_ratio: float, worse: str) -> tuple[Ruling, str]:
    """Return ruling and summary of an item that both sides fail in some runs.

    Args:
        a, b: the sides.
        chance_ratio: the chance of b failing so much more often if both are alike.
        worse: in which ways b's failures are other or worse ones, empty if they are not.
    """
    (run, first), (_, first_of_a) = b.having(Ruling.FAIL)[0], a.having(Ruling.FAIL)[0]
    counted = f"a: {a.failed} of {a.runs} runs, b: {b.failed} of {b.runs}"
    seen = f"first {run}: {first.summary}"
    if chance_ratio <= SIGNIFICANT:
        chance = f"p = {text.share(chance_ratio)} by chance"
        return Ruling.FAIL, f"fails more often in b ({counted}; {chance}), {seen}"
    if worse:
        return Ruling.INCONCLUSIVE, f"fails in both ({counted}), but worse in b: {worse}; {seen}"
    most_ratio = (b.failed + b.unclear) / b.runs
    if most_ratio <= a.failed / a.runs:
        in_a = "" if first_of_a.summary == first.summary else f"; a: {first_of_a.summary}"
        return Ruling.NOT_JUDGED, f"fails in both ({counted}): {first.summary}{in_a}"
    unclear = f", and {b.unclear} of b could not be judged" if b.unclear else ""
    more = "more often in b" if b.failed / b.runs > a.failed / a.runs else "perhaps more often in b"
    why = f"fails in both, {more} ({counted}{unclear}): run more pairs to tell whether that is chance"
    return Ruling.INCONCLUSIVE, f"{why}; {seen}"


def _of_runs(ruling: Ruling, side: _Side) -> str:
    if not side.runs:
        return "no run was made"
    shown = side.having(ruling)
    if ruling in (Ruling.PASS, Ruling.NOT_JUDGED):
        return f"in {len(shown)} of {side.runs} runs: {shown[0].item.summary}"
    return f"in {len(shown)} of {side.runs} runs, first {shown[0].run}: {shown[0].item.summary}"


def _seen(found: Sequence[ItemOfRun]) -> list[ItemSeen[Any]]:
    return [
        ItemSeen(run=of_run.run, summary=of_run.item.summary, evidence=of_run.item.evidence)
        for of_run in found[:_RUNS_SHOWN]
    ]
