"""What changed between the verdicts of a baseline and of a candidate, item by item.

    before          after           change            a comparison of the two
    FAIL            PASS            fixed             PASS
    FAIL, seldom    PASS            unclear           PASS: chance may explain that it was not seen again
    FAIL            FAIL            unchanged         NOT_JUDGED: the candidate did not break it
    FAIL            FAIL, worse     unclear           INCONCLUSIVE: a new defect, one much more frequent, or
                                                      in more runs; broken, FAIL if that is significant
    PASS            FAIL            broken            FAIL
    not judged      FAIL            fails             FAIL: nothing that fails is green, but it is not known
                                                      whether the candidate broke it
    other           PASS            unchanged,        PASS
                                    or now judged
    any             INCONCLUSIVE    unclear           INCONCLUSIVE
    PASS or FAIL    NOT_JUDGED      no longer judged  INCONCLUSIVE: a check that vanished is not green;
                                                      NOT_JUDGED if nothing occurred that could be judged
    other           NOT_JUDGED      unchanged         NOT_JUDGED

"Not judged" is NOT_JUDGED or INCONCLUSIVE in each run. How an item over several runs is judged is decided in
`loadtest.verdict.pooled`, what its change is in `loadtest.verdict.side_changes`. An item that was judged by
other rules is unclear, and INCONCLUSIVE in a comparison, unless one of the two was not judged.

`latency` has a comparison of its own, with margins, which the candidate's item holds. A slower candidate
broke it, whatever the baseline's item was. One that is not slower did not fix it, as the baseline's item may
be against an older run. What may be fixed, or fail in both, are the limits on its times. Pure.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum

from msgspec import Struct

from loadtest.ruling import Ruling, worst


class Change(StrEnum):
    """How an item's verdict changed."""

    FIXED = "fixed"
    BROKEN = "broken"
    FAILS = "fails, the baseline was not judged"
    UNCHANGED = "unchanged"
    UNCLEAR = "unclear"
    NOW_JUDGED = "now judged"
    NO_LONGER_JUDGED = "no longer judged"


class ItemChange(Struct, frozen=True, kw_only=True):
    """The change of one item.

    Args:
        item: name of the item.
        before, after: its verdicts; NOT_JUDGED where a run lacks it. Over several runs the worst. `before` of
            `latency` is by its limits alone.
        change: how the verdict changed.
        verdict: whether the change is a regression.
        summary_before, summary_after: the items' summaries, empty where a run lacks the item.
        remark: why the change is unclear, or how a failure of both got worse; empty otherwise.
    """

    item: str
    before: Ruling
    after: Ruling
    change: Change
    verdict: Ruling
    summary_before: str = ""
    summary_after: str = ""
    remark: str = ""

    def __str__(self) -> str:
        """Return the change in one line: `server_log FAIL → PASS (fixed)`."""
        remark = f": {self.remark}" if self.remark else ""
        if self.before is self.after or self.change is Change.UNCHANGED:
            return f"{self.item} {self.after} ({self.change}{remark})"
        return f"{self.item} {self.before} → {self.after} ({self.change}{remark})"


def change_of(before: Ruling, after: Ruling) -> Change:
    """Return how a verdict changed."""
    if before is after and after is not Ruling.INCONCLUSIVE:
        return Change.UNCHANGED
    match after:
        case Ruling.FAIL:
            return Change.BROKEN if before is Ruling.PASS else Change.FAILS
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
        str(change): [_named(one) for one in changes if one.change is change and not _never_judged(one)]
        for change in (
            Change.BROKEN,
            Change.FAILS,
            Change.UNCLEAR,
            Change.NO_LONGER_JUDGED,
            Change.FIXED,
            Change.NOW_JUDGED,
            Change.UNCHANGED,
        )
    }
    by_change["not judged"] = [one.item for one in changes if _never_judged(one)]
    return " · ".join(f"{change}: {', '.join(names)}" for change, names in by_change.items() if names)


def _never_judged(change: ItemChange) -> bool:
    return change.before is Ruling.NOT_JUDGED and change.after is Ruling.NOT_JUDGED


def _named(change: ItemChange) -> str:
    """Return the item's name, with its verdict if it stayed a failure."""
    still_failing = change.change is Change.UNCHANGED and change.after is Ruling.FAIL
    return f"{change.item} ({change.after})" if still_failing else change.item


def ruling_of(changes: Iterable[ItemChange]) -> Ruling:
    """Return the verdict on a comparison; INCONCLUSIVE if nothing in it can be judged."""
    found = worst(change.verdict for change in changes)
    return Ruling.INCONCLUSIVE if found is Ruling.NOT_JUDGED else found
