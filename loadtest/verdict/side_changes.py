"""What changed from the runs of a baseline to those of a candidate, item by item.

Reports, `compare` and `duel` use it. Each item over the runs of both sides is judged by
`loadtest.verdict.pooled`. An item counts as fixed only if the baseline always fails it, or significantly more
often than the candidate. `latency` compares both sides by itself. The table of changes is in
`loadtest.verdict.item_changes`. Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import msgspec

from loadtest.ruling import Ruling, worst
from loadtest.verdict.defects import defects_over, worsened
from loadtest.verdict.evidence import LatencyEvidence, PooledEvidence
from loadtest.verdict.item_changes import Change, ItemChange, change_of
from loadtest.verdict.items import AnyItem
from loadtest.verdict.pooled import ItemOfRun, is_fixed, pooled

_HOW_TO_JUDGE = {"server_log": "give --ws-server-log for both"}
"""What to do about an item that is no longer judged, by item."""

_SIDES = ("the baseline", "the candidate")
_NO_DOUBTS: Mapping[str, str] = MappingProxyType({})


def changes_over_runs(
    before: Sequence[Iterable[AnyItem]],
    after: Sequence[Iterable[AnyItem]],
    *,
    doubts: Mapping[str, str] = _NO_DOUBTS,
) -> list[ItemChange]:
    """Return the change of each item that either side has, in the order of `after`.

    Args:
        before, after: the items of each run; as many runs of either. `latency` of several pairs stands in the
            candidate's first run alone.
        doubts: by item, why its verdicts cannot be compared.

    Raises:
        InvalidSetting: a verdict.json has a rule for losses that cannot be read.
    """
    earlier, later = _by_name(before), _by_name(after)
    return [
        _change(name, earlier.get(name, []), later.get(name, []), doubts.get(name, ""))
        for name in {**later, **earlier}
    ]


def changes_of(items: Iterable[AnyItem]) -> list[ItemChange]:
    """Return the change of each item of a duel that was judged.

    Args:
        items: the items of a duel: pooled ones, and latency, which compares the sides by itself.
    """
    return [_pooled(item) if isinstance(item.evidence, PooledEvidence) else _compared(item) for item in items]


def fails_in_both(items: Sequence[AnyItem]) -> list[str]:
    """Return the names of the pooled items that the candidate fails no more often than the baseline."""
    return [
        item.item
        for item in items
        if item.verdict is Ruling.NOT_JUDGED and item.evidence.runs.get(Ruling.FAIL, 0)
    ]


def _by_name(runs: Sequence[Iterable[AnyItem]]) -> Mapping[str, list[ItemOfRun]]:
    found: dict[str, list[ItemOfRun]] = {}
    for number, items in enumerate(runs, start=1):
        for item in items:
            found.setdefault(item.item, []).append(ItemOfRun(f"pair {number}", item))
    return found


def _change(name: str, before: Sequence[ItemOfRun], after: Sequence[ItemOfRun], doubt: str) -> ItemChange:
    compared = next((one.item for one in after if isinstance(one.item.evidence, LatencyEvidence)), None)
    if compared is not None:
        return _of_latency([one.item for one in before], compared)
    item = pooled(name, baseline=before, candidate=after, sides=_SIDES)
    found = msgspec.structs.replace(_pooled(item), summary_before=_summary(before))
    if len(after) == 1:
        found = msgspec.structs.replace(found, summary_after=after[0].item.summary)
    if doubt and Ruling.NOT_JUDGED not in (found.before, found.after):
        return msgspec.structs.replace(
            found, change=Change.UNCLEAR, verdict=Ruling.INCONCLUSIVE, remark=doubt
        )
    return found


def _summary(of_runs: Sequence[ItemOfRun]) -> str:
    """Return the summary of an item's first run with the worst verdict, empty without runs."""
    ruling = worst(one.item.verdict for one in of_runs)
    found = [one.item.summary for one in of_runs if one.item.verdict is ruling]
    if not found:
        return ""
    return found[0] if len(of_runs) == 1 else f"in {len(found)} of {len(of_runs)} runs: {found[0]}"


def _pooled(item: AnyItem) -> ItemChange:
    evidence = item.evidence
    failed = evidence.baseline_failed
    before = worst(evidence.baseline_runs)
    after = item.verdict if item.verdict is Ruling.FAIL else worst(evidence.runs)
    change = _change_of_pooled(item, before, after)
    return ItemChange(
        item=item.item,
        before=before,
        after=after,
        change=change,
        verdict=item.verdict,
        summary_before=failed[0].summary if failed else "",
        summary_after=item.summary,
        remark=_remark(item, before, change),
    )


def _change_of_pooled(item: AnyItem, before: Ruling, after: Ruling) -> Change:
    if item.verdict is Ruling.FAIL:
        return (
            Change.BROKEN
            if before is Ruling.FAIL or Ruling.PASS in item.evidence.baseline_runs
            else Change.FAILS
        )
    if item.verdict is Ruling.INCONCLUSIVE and after is not Ruling.NOT_JUDGED:
        return Change.UNCLEAR
    change = change_of(before, after)
    return Change.UNCLEAR if change is Change.FIXED and not is_fixed(item) else change


def _remark(item: AnyItem, before: Ruling, change: Change) -> str:
    """Return how a failure got worse, how much more seldom it was if that may be chance, or what to do."""
    evidence = item.evidence
    if change is Change.NO_LONGER_JUDGED and item.verdict is Ruling.INCONCLUSIVE:
        return _HOW_TO_JUDGE.get(item.item, "")
    if before is not Ruling.FAIL or change not in (Change.UNCLEAR, Change.BROKEN):
        return ""
    failed, failed_after = evidence.baseline_runs[Ruling.FAIL], evidence.runs.get(Ruling.FAIL, 0)
    runs, runs_after = sum(evidence.baseline_runs.values()), sum(evidence.runs.values())
    unseen = not failed_after and evidence.runs.get(Ruling.INCONCLUSIVE, 0)
    if unseen or failed * runs_after == failed_after * runs:
        return str(evidence.worse)
    more = f", {evidence.worse}" if evidence.worse else ""
    return f"in {failed} of {runs} runs → in {failed_after} of {runs_after}{more}"


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


def _of_latency(before: Sequence[AnyItem], after: AnyItem) -> ItemChange:
    """Return how latency changed: by its margins, and by the limits on its times."""
    was, now = _by_limits(before), after.verdict
    change, verdict, remark = change_of(was, now), now, ""
    margins = worst(gate.decision for gate in after.evidence.gates or ())
    if now is Ruling.FAIL and margins is Ruling.FAIL:
        change = Change.BROKEN
    elif was is now is Ruling.FAIL:
        doubtful = margins in (Ruling.NOT_JUDGED, Ruling.INCONCLUSIVE)
        change, verdict, remark = _of_limits(before, after, doubtful=doubtful)
    elif now is margins is Ruling.PASS and was is not Ruling.FAIL:
        change = Change.UNCHANGED
    return ItemChange(
        item=after.item,
        before=was,
        after=now,
        change=change,
        verdict=verdict,
        summary_before=_summary([ItemOfRun("", item) for item in before]),
        summary_after=after.summary,
        remark=remark,
    )


def _of_limits(before: Sequence[AnyItem], after: AnyItem, *, doubtful: bool) -> tuple[Change, Ruling, str]:
    """Return the change of limits on latency that both sides break, with how it got worse."""
    failed = (item.evidence for item in before if item.verdict is Ruling.FAIL)
    earlier, later = defects_over(failed, runs=len(before)), defects_over([after.evidence], runs=1)
    worse = worsened(earlier, later)
    if later.times_ms.keys() - earlier.times_ms.keys():
        return Change.BROKEN, Ruling.FAIL, worse
    if worse or doubtful:
        return Change.UNCLEAR, Ruling.INCONCLUSIVE, worse
    return Change.UNCHANGED, Ruling.NOT_JUDGED, ""


def _by_limits(items: Iterable[AnyItem]) -> Ruling:
    """Return the verdict on latency by its limits alone."""
    evidence = (item.evidence for item in items)
    return worst(
        limit.verdict
        for found in evidence
        if isinstance(found, LatencyEvidence)
        for limit in found.time_limits or ()
    )
