"""What changed between two verdicts, item by item: what was fixed, what broke, what stayed.

    before          after           change        a comparison of the two
    FAIL            PASS            fixed         PASS
    FAIL            FAIL            unchanged     NOT_JUDGED: the candidate did not break it
    any other       FAIL            broken        FAIL
    any other       PASS            unchanged,    PASS
                                    or now judged
    any             INCONCLUSIVE    unclear       INCONCLUSIVE
    any             NOT_JUDGED      unchanged,    NOT_JUDGED
                                    or not judged any more

`latency` has a comparison of its own, with margins: only its line is made here. Pure.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum

from msgspec import Struct

from loadtest.ruling import Ruling
from loadtest.verdict.items import AnyItem


class Change(StrEnum):
    """How an item's verdict changed."""

    FIXED = "fixed"
    BROKEN = "broken"
    UNCHANGED = "unchanged"
    UNCLEAR = "unclear"
    NOW_JUDGED = "now judged"
    NO_LONGER_JUDGED = "no longer judged"


class ItemChange(Struct, frozen=True, kw_only=True):
    """The change of one item.

    Args:
        item: name of the item.
        before, after: its verdicts; NOT_JUDGED where a run lacks it.
        change: how the verdict changed.
        verdict: whether the change is a regression.
        summary_before, summary_after: the items' summaries, empty where a run lacks the item.
    """

    item: str
    before: Ruling
    after: Ruling
    change: Change
    verdict: Ruling
    summary_before: str = ""
    summary_after: str = ""

    def __str__(self) -> str:
        """Return the change in one line: `server_log FAIL → PASS (fixed)`."""
        if self.before is self.after:
            return f"{self.item} {self.after} ({self.change})"
        return f"{self.item} {self.before} → {self.after} ({self.change})"


def changes_between(before: Iterable[AnyItem], after: Iterable[AnyItem]) -> list[ItemChange]:
    """Return the change of each item that either verdict has, in the order of `after`."""
    earlier = {item.item: item for item in before}
    later = {item.item: item for item in after}
    return [_change(name, earlier.get(name), later.get(name)) for name in {**later, **earlier}]


def _change(name: str, before: AnyItem | None, after: AnyItem | None) -> ItemChange:
    was, now = (Ruling.NOT_JUDGED if item is None else item.verdict for item in (before, after))
    return ItemChange(
        item=name,
        before=was,
        after=now,
        change=change_of(was, now),
        verdict=Ruling.NOT_JUDGED if was is now is Ruling.FAIL else now,
        summary_before="" if before is None else before.summary,
        summary_after="" if after is None else after.summary,
    )


def change_of(before: Ruling, after: Ruling) -> Change:
    """Return how a verdict changed."""
    if before is after and after is not Ruling.INCONCLUSIVE:
        return Change.UNCHANGED
    match after:
        case Ruling.FAIL:
            return Change.BROKEN
        case Ruling.PASS if before is Ruling.FAIL:
            return Change.FIXED
        case Ruling.PASS:
            return Change.NOW_JUDGED
        case Ruling.INCONCLUSIVE:
            return Change.UNCLEAR
    return Change.NO_LONGER_JUDGED


def outcome_line(changes: Sequence[ItemChange]) -> str:
    """Return which items were fixed, broken and so on: `fixed: server_log · unchanged: connect`."""
    by_change = {
        change: [one.item for one in changes if one.change is change]
        for change in (
            Change.BROKEN,
            Change.UNCLEAR,
            Change.FIXED,
            Change.NOW_JUDGED,
            Change.NO_LONGER_JUDGED,
            Change.UNCHANGED,
        )
    }
    return " · ".join(f"{change}: {', '.join(names)}" for change, names in by_change.items() if names)
