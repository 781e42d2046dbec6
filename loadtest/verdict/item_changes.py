"""What changed between two verdicts, item by item: what was fixed, what broke, what stayed.

    before          after           change        a comparison of the two
    FAIL            PASS            fixed         PASS
    FAIL            FAIL            unchanged     NOT_JUDGED: the candidate did not break it
    FAIL            FAIL, worse     unclear       INCONCLUSIVE: a new defect, or one much more frequent, or
                                                  in more runs; FAIL if that is significant
    any other       FAIL            broken        FAIL
    any other       PASS            unchanged,    PASS
                                    or now judged
    any             INCONCLUSIVE    unclear       INCONCLUSIVE
    any             NOT_JUDGED      unchanged,    NOT_JUDGED
                                    or not judged any more

`latency` has a comparison of its own, with margins, which the candidate's item holds. A slower candidate
broke it, whatever the baseline's item was. One that is not slower did not fix it, as the baseline's item may
be against an older run. What may be fixed, or fail in both, are the limits on its times. Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Protocol

from msgspec import Struct

from loadtest.ruling import Ruling, worst
from loadtest.statistics.exact_test import SIGNIFICANT, more_frequent
from loadtest.verdict.defects import summed, worsened
from loadtest.verdict.evidence import LatencyEvidence


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
        before, after: its verdicts; NOT_JUDGED where a run lacks it. Over several runs the worst. `before` of
            `latency` is by its limits alone.
        change: how the verdict changed.
        verdict: whether the change is a regression.
        summary_before, summary_after: the items' summaries, empty where a run lacks the item.
        remark: how a failure of both got worse; empty otherwise.
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


class Judged(Protocol):
    """An item with its verdict (`loadtest.verdict.items.Item`)."""

    @property
    def item(self) -> str:
        """Name of the item."""

    @property
    def verdict(self) -> Ruling:
        """Verdict on the item."""

    @property
    def summary(self) -> str:
        """One sentence for people."""

    @property
    def evidence(self) -> Any:
        """The data behind the verdict."""


def changes_between(before: Iterable[Judged], after: Iterable[Judged]) -> list[ItemChange]:
    """Return the change of each item that either verdict has, in the order of `after`."""
    return changes_over_runs([before], [after])


def changes_over_runs(
    before: Iterable[Iterable[Judged]], after: Iterable[Iterable[Judged]]
) -> list[ItemChange]:
    """Return the change of each item over several runs of a baseline and of a candidate.

    Args:
        before, after: the items of each run; as many runs of either.
    """
    earlier, later = _by_name(before), _by_name(after)
    return [_change(name, earlier.get(name, []), later.get(name, [])) for name in {**later, **earlier}]


def _by_name(runs: Iterable[Iterable[Judged]]) -> Mapping[str, list[Judged]]:
    found: dict[str, list[Judged]] = {}
    for item in (item for items in runs for item in items):
        found.setdefault(item.item, []).append(item)
    return found


def _change(name: str, before: Sequence[Judged], after: Sequence[Judged]) -> ItemChange:
    was, now = (worst(item.verdict for item in items) for items in (before, after))
    compared = next((item.evidence for item in after if isinstance(item.evidence, LatencyEvidence)), None)
    if compared is not None:
        was = _by_limits(before)
        change, verdict, remark = _of_latency(was, now, compared, _worse(before, after))
    else:
        remark = _remark(before, after) if was is now is Ruling.FAIL else ""
        change, verdict = _of_item(was, now, remark, chance_ratio=_chance_ratio(before, after))
    return ItemChange(
        item=name,
        before=was,
        after=now,
        change=change,
        verdict=verdict,
        summary_before=_summary(before),
        summary_after=_summary(after),
        remark=remark,
    )


def _of_item(was: Ruling, now: Ruling, remark: str, *, chance_ratio: float) -> tuple[Change, Ruling]:
    if was is now is Ruling.FAIL:
        if chance_ratio <= SIGNIFICANT:
            return Change.BROKEN, Ruling.FAIL
        return (Change.UNCLEAR, Ruling.INCONCLUSIVE) if remark else (Change.UNCHANGED, Ruling.NOT_JUDGED)
    return change_of(was, now), now


def _of_latency(
    was: Ruling, now: Ruling, compared: LatencyEvidence, remark: str
) -> tuple[Change, Ruling, str]:
    """Return how latency changed, whether that is a regression, and how a failure of both got worse."""
    gates = compared.gates or []
    margins = worst(gate.decision for gate in gates)
    if now is Ruling.FAIL:
        if margins is Ruling.FAIL or was is not Ruling.FAIL or remark:
            return Change.BROKEN, Ruling.FAIL, remark if was is Ruling.FAIL else ""
        doubtful = not gates or margins is Ruling.INCONCLUSIVE
        change = Change.UNCLEAR if doubtful else Change.UNCHANGED
        return change, Ruling.INCONCLUSIVE if doubtful else Ruling.NOT_JUDGED, ""
    if now is Ruling.PASS and gates and was is not Ruling.FAIL:
        return Change.UNCHANGED, now, ""
    return change_of(was, now), now, ""


def _by_limits(items: Iterable[Judged]) -> Ruling:
    """Return the verdict on latency by its limits alone."""
    evidence = (item.evidence for item in items)
    return worst(
        limit.verdict
        for found in evidence
        if isinstance(found, LatencyEvidence)
        for limit in found.time_limits or ()
    )


def _remark(before: Sequence[Judged], after: Sequence[Judged]) -> str:
    """Return how a failure of both sides got worse: in more runs, with new defects, or with many more."""
    failed_before, failed_after = (len(_failed(items)) for items in (before, after))
    if failed_after * len(before) > failed_before * len(after):
        return f"in {failed_before} of {len(before)} runs → in {failed_after} of {len(after)}"
    return _worse(before, after)


def _chance_ratio(before: Sequence[Judged], after: Sequence[Judged]) -> float:
    """Return the chance of the second side failing so much more often if both are alike."""
    judged = [sum(item.verdict in (Ruling.PASS, Ruling.FAIL) for item in items) for items in (before, after)]
    failed = [len(_failed(items)) for items in (before, after)]
    return more_frequent(before=failed[0], of_before=judged[0], after=failed[1], of_after=judged[1])


def _worse(before: Sequence[Judged], after: Sequence[Judged]) -> str:
    return worsened(*(summed(item.evidence for item in _failed(items)) for items in (before, after)))


def _failed(items: Sequence[Judged]) -> list[Judged]:
    return [item for item in items if item.verdict is Ruling.FAIL]


def _summary(items: Sequence[Judged]) -> str:
    """Return the summary of an item's first run with the worst verdict, empty without runs."""
    ruling = worst(item.verdict for item in items)
    found = [item.summary for item in items if item.verdict is ruling]
    if not found:
        return ""
    return found[0] if len(items) == 1 else f"in {len(found)} of {len(items)} runs: {found[0]}"


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
        change: [_named(one) for one in changes if one.change is change]
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


def _named(change: ItemChange) -> str:
    """Return the item's name, with its verdict if it stayed a failure."""
    still_failing = change.change is Change.UNCHANGED and change.after is Ruling.FAIL
    return f"{change.item} ({change.after})" if still_failing else change.item


def ruling_of(changes: Iterable[ItemChange]) -> Ruling:
    """Return the verdict on a comparison; INCONCLUSIVE if nothing in it can be judged."""
    found = worst(change.verdict for change in changes)
    return Ruling.INCONCLUSIVE if found is Ruling.NOT_JUDGED else found
