"""What changed from a to b in a duel, item by item, for people and in duel.json.

`loadtest.verdict.item_changes` compares two verdicts; a duel has several of each side. An item counts as
fixed only if a always fails it, or significantly more often than b. Pure.
"""

from collections.abc import Iterable, Sequence

from loadtest.ruling import Ruling, worst
from loadtest.verdict.evidence import PooledEvidence
from loadtest.verdict.item_changes import Change, ItemChange, change_of
from loadtest.verdict.items import AnyItem
from loadtest.verdict.pooled import is_mended


def changes_of(items: Iterable[AnyItem]) -> list[ItemChange]:
    """Return the change of each item of a duel that was judged.

    Args:
        items: the items of a duel: pooled ones, and latency, which compares the sides by itself.
    """
    return [_pooled(item) if isinstance(item.evidence, PooledEvidence) else _compared(item) for item in items]


def _pooled(item: AnyItem) -> ItemChange:
    evidence = item.evidence
    failed = evidence.baseline_failed
    before = worst(evidence.baseline_runs)
    after = item.verdict if item.verdict is Ruling.FAIL else worst(evidence.runs)
    return ItemChange(
        item=item.item,
        before=before,
        after=after,
        change=_change(item, before, after),
        verdict=item.verdict,
        summary_before=failed[0].summary if failed else "",
        summary_after=item.summary,
    )


def _change(item: AnyItem, before: Ruling, after: Ruling) -> Change:
    if item.verdict is Ruling.FAIL:
        return Change.BROKEN
    if item.verdict is Ruling.INCONCLUSIVE:
        return Change.UNCLEAR
    change = change_of(before, after)
    return Change.UNCLEAR if change is Change.FIXED and not is_mended(item) else change


def _compared(item: AnyItem) -> ItemChange:
    """Return the change of an item that is itself a comparison of both sides, so its verdict is of both."""
    changes = {Ruling.FAIL: Change.BROKEN, Ruling.INCONCLUSIVE: Change.UNCLEAR}
    return ItemChange(
        item=item.item,
        before=item.verdict,
        after=item.verdict,
        change=changes.get(item.verdict, Change.UNCHANGED),
        verdict=item.verdict,
        summary_after=item.summary,
    )


def fails_in_both(items: Sequence[AnyItem]) -> list[str]:
    """Return the names of the items that b fails no more often than a."""
    return [
        item.item
        for item in items
        if item.verdict is Ruling.NOT_JUDGED and item.evidence.runs.get(Ruling.FAIL, 0)
    ]
