"""What changed between two verdicts: each pair of rulings, the lines for people, what is a regression."""

from __future__ import annotations

from itertools import product

import pytest

from loadtest.ruling import Ruling
from loadtest.verdict.evidence import GateResult, LatencyEvidence, LimitResult, MessagingEvidence
from loadtest.verdict.item_changes import (
    Change,
    ItemChange,
    changes_between,
    changes_over_runs,
    outcome_line,
    ruling_of,
)
from loadtest.verdict.items import AnyItem, Item

PASS, FAIL, INCONCLUSIVE, NOT_JUDGED = Ruling


def item(name: str, verdict: Ruling) -> AnyItem:
    return Item(item=name, verdict=verdict, summary=f"{name} is {verdict}")


def only(before: Ruling, after: Ruling) -> ItemChange:
    (change,) = changes_between([item("connect", before)], [item("connect", after)])
    return change


@pytest.mark.parametrize(
    ("before", "after", "change", "verdict"),
    [
        (FAIL, PASS, Change.FIXED, PASS),
        (FAIL, FAIL, Change.UNCHANGED, NOT_JUDGED),
        (PASS, FAIL, Change.BROKEN, FAIL),
        (NOT_JUDGED, FAIL, Change.BROKEN, FAIL),
        (INCONCLUSIVE, FAIL, Change.BROKEN, FAIL),
        (PASS, PASS, Change.UNCHANGED, PASS),
        (NOT_JUDGED, PASS, Change.NOW_JUDGED, PASS),
        (INCONCLUSIVE, PASS, Change.NOW_JUDGED, PASS),
        (FAIL, INCONCLUSIVE, Change.UNCLEAR, INCONCLUSIVE),
        (INCONCLUSIVE, INCONCLUSIVE, Change.UNCLEAR, INCONCLUSIVE),
        (PASS, NOT_JUDGED, Change.NO_LONGER_JUDGED, NOT_JUDGED),
        (NOT_JUDGED, NOT_JUDGED, Change.UNCHANGED, NOT_JUDGED),
    ],
)
def test_each_pair_of_rulings(before: Ruling, after: Ruling, change: Change, verdict: Ruling) -> None:
    """Only a new failure is a regression; a failure of both is none, and none of it is a pass either."""
    found = only(before, after)
    assert (found.change, found.verdict) == (change, verdict)


@pytest.mark.parametrize(("before", "after"), list(product(Ruling, Ruling)))
def test_a_failing_item_never_passes(before: Ruling, after: Ruling) -> None:
    """Whatever came before, a comparison passes only an item that passes now."""
    assert (only(before, after).verdict is PASS) == (after is PASS)


def test_one_line_an_item() -> None:
    """Both verdicts and what became of them; a verdict that stayed is written once."""
    assert str(only(FAIL, PASS)) == "connect FAIL → PASS (fixed)"
    assert str(only(PASS, PASS)) == "connect PASS (unchanged)"


def test_an_item_that_one_run_lacks_was_not_judged_there() -> None:
    """A probe has items that other runs lack."""
    assert [str(one) for one in changes_between([item("health", PASS)], [item("connect", FAIL)])] == [
        "connect NOT_JUDGED → FAIL (broken)",
        "health PASS → NOT_JUDGED (no longer judged)",
    ]


def test_the_outcome_in_one_line() -> None:
    """What broke comes first, what stayed last; kinds of change without items are left out."""
    before = [item("connect", PASS), item("server_log", FAIL), item("reconnect", PASS), item("cleanup", PASS)]
    after = [item("connect", PASS), item("server_log", PASS), item("reconnect", FAIL), item("cleanup", PASS)]
    line = outcome_line(changes_between(before, after))
    assert line == "broken: reconnect · fixed: server_log · unchanged: connect, cleanup"


# A failure of both.


def failed(**counts: int) -> AnyItem:
    """Return a failed item that allows none of what it counted."""
    evidence = MessagingEvidence(counts=counts, limits=dict.fromkeys(counts, 0))
    return Item(item="messaging", verdict=FAIL, summary="it failed", evidence=evidence)


@pytest.mark.parametrize(
    ("after", "remark"),
    [(failed(lost=300), "lost 3 → 300"), (failed(lost=3, foreign=1), "foreign 0 → 1")],
)
def test_a_defect_of_both_does_not_hide_another(after: AnyItem, remark: str) -> None:
    """A server that loses three messages is not one that loses each of them."""
    (found,) = changes_between([failed(lost=3)], [after])
    assert (found.change, found.verdict) == (Change.UNCLEAR, INCONCLUSIVE)
    assert str(found) == f"messaging FAIL (unclear: {remark})"


def test_the_same_defect_is_not_the_candidates() -> None:
    """A few more are chance; the outcome says that it is still there."""
    changes = changes_between([failed(lost=3)], [failed(lost=5)])
    assert [(one.change, one.verdict) for one in changes] == [(Change.UNCHANGED, NOT_JUDGED)]
    assert outcome_line(changes) == "unchanged: messaging (FAIL)"
    assert ruling_of(changes) is INCONCLUSIVE
    assert ruling_of([*changes, only(PASS, PASS)]) is PASS


# Several runs.


def over(before: list[Ruling], after: list[Ruling]) -> ItemChange:
    (change,) = changes_over_runs(
        [[item("connect", one)] for one in before], [[item("connect", one)] for one in after]
    )
    return change


@pytest.mark.parametrize(
    ("before", "after", "change", "verdict"),
    [
        ([FAIL, PASS], [FAIL, PASS], Change.UNCHANGED, NOT_JUDGED),
        ([FAIL, FAIL], [FAIL, PASS], Change.UNCHANGED, NOT_JUDGED),
        ([FAIL, PASS], [FAIL, FAIL], Change.UNCLEAR, INCONCLUSIVE),
        ([PASS, PASS], [PASS, FAIL], Change.BROKEN, FAIL),
        ([FAIL, PASS], [PASS, PASS], Change.FIXED, PASS),
        ([PASS, PASS], [PASS, INCONCLUSIVE], Change.UNCLEAR, INCONCLUSIVE),
        ([FAIL, *[PASS] * 11], [FAIL] * 12, Change.BROKEN, FAIL),
    ],
)
def test_over_several_runs_the_worst_counts(
    before: list[Ruling], after: list[Ruling], change: Change, verdict: Ruling
) -> None:
    """One failure of the candidate is enough; if the baseline fails too, it must be significantly more."""
    found = over(before, after)
    assert (found.change, found.verdict) == (change, verdict)


def test_the_summary_says_in_how_many_runs() -> None:
    """The first of the worst is quoted."""
    assert over([FAIL, PASS], [PASS, PASS]).summary_before == "in 1 of 2 runs: connect is FAIL"


# Latency.


def latency(verdict: Ruling, *, gate: Ruling | None = None, limit: Ruling | None = None) -> AnyItem:
    """Return the item with the verdict of its margins and of a limit."""
    evidence = LatencyEvidence(
        gates=None if gate is None else [GateResult(gate="service p50", decision=gate)],
        time_limits=None if limit is None else [LimitResult(name="p99", verdict=limit)],
    )
    return Item(item="latency", verdict=verdict, summary="so it is", evidence=evidence)


@pytest.mark.parametrize(
    ("before", "after", "change", "verdict", "line"),
    [
        (
            latency(NOT_JUDGED),
            latency(PASS, gate=PASS),
            Change.UNCHANGED,
            PASS,
            "latency PASS (unchanged)",
        ),
        (
            latency(FAIL, gate=FAIL),
            latency(PASS, gate=PASS),
            Change.UNCHANGED,
            PASS,
            "latency PASS (unchanged)",
        ),
        (
            latency(NOT_JUDGED),
            latency(FAIL, gate=FAIL),
            Change.BROKEN,
            FAIL,
            "latency NOT_JUDGED → FAIL (broken)",
        ),
        (
            latency(FAIL, gate=FAIL),
            latency(FAIL, gate=FAIL),
            Change.BROKEN,
            FAIL,
            "latency NOT_JUDGED → FAIL (broken)",
        ),
        (
            latency(FAIL, limit=FAIL),
            latency(PASS, gate=PASS, limit=PASS),
            Change.FIXED,
            PASS,
            "latency FAIL → PASS (fixed)",
        ),
        (
            latency(FAIL, limit=FAIL),
            latency(FAIL, gate=PASS, limit=FAIL),
            Change.UNCHANGED,
            NOT_JUDGED,
            "latency FAIL (unchanged)",
        ),
        (
            latency(FAIL, limit=FAIL),
            latency(FAIL, gate=INCONCLUSIVE, limit=FAIL),
            Change.UNCLEAR,
            INCONCLUSIVE,
            "latency FAIL (unclear)",
        ),
        (
            latency(FAIL, limit=FAIL),
            latency(FAIL, limit=FAIL),
            Change.UNCLEAR,
            INCONCLUSIVE,
            "latency FAIL (unclear)",
        ),
        (
            latency(FAIL, limit=FAIL),
            latency(FAIL, gate=FAIL, limit=FAIL),
            Change.BROKEN,
            FAIL,
            "latency FAIL (broken)",
        ),
        (
            latency(PASS, limit=PASS),
            latency(FAIL, gate=PASS, limit=FAIL),
            Change.BROKEN,
            FAIL,
            "latency PASS → FAIL (broken)",
        ),
        (
            latency(NOT_JUDGED),
            latency(INCONCLUSIVE, gate=INCONCLUSIVE),
            Change.UNCLEAR,
            INCONCLUSIVE,
            "latency NOT_JUDGED → INCONCLUSIVE (unclear)",
        ),
    ],
)
def test_latency_has_a_comparison_of_its_own(
    before: AnyItem, after: AnyItem, change: Change, verdict: Ruling, line: str
) -> None:
    """The margins say whether it changed; what the baseline was compared with says nothing of that."""
    (found,) = changes_between([before], [after])
    assert (found.change, found.verdict, str(found)) == (change, verdict, line)
