"""What changed between two verdicts: each pair of rulings, the lines for people, what is a regression."""

from __future__ import annotations

from itertools import product

import pytest

from loadtest.ruling import Ruling
from loadtest.verdict.evidence import (
    LatencyEvidence,
    LimitResult,
    MessagingEvidence,
    PersistenceEvidence,
    ReconnectEvidence,
)
from loadtest.verdict.gate_evidence import GateResult
from loadtest.verdict.item_changes import Change, ItemChange, outcome_line, ruling_of
from loadtest.verdict.items import AnyItem, Item
from loadtest.verdict.log_evidence import ServerLogEvidence
from loadtest.verdict.side_changes import changes_over_runs

PASS, FAIL, INCONCLUSIVE, NOT_JUDGED = Ruling


def item(name: str, verdict: Ruling) -> AnyItem:
    """Return an item; one that fails has one defect."""
    counts = {"failed": 1} if verdict is FAIL else {}
    evidence = MessagingEvidence(counts=counts, limits={"failed": 0})
    return Item(item=name, verdict=verdict, summary=f"{name} is {verdict}", evidence=evidence)


def changes_between(before: list[AnyItem], after: list[AnyItem]) -> list[ItemChange]:
    return changes_over_runs([before], [after])


def only(before: Ruling, after: Ruling) -> ItemChange:
    (change,) = changes_between([item("connect", before)], [item("connect", after)])
    return change


@pytest.mark.parametrize(
    ("before", "after", "change", "verdict"),
    [
        (FAIL, PASS, Change.FIXED, PASS),
        (FAIL, FAIL, Change.UNCHANGED, NOT_JUDGED),
        (PASS, FAIL, Change.BROKEN, FAIL),
        (NOT_JUDGED, FAIL, Change.FAILS, FAIL),
        (INCONCLUSIVE, FAIL, Change.FAILS, FAIL),
        (PASS, PASS, Change.UNCHANGED, PASS),
        (NOT_JUDGED, PASS, Change.NOW_JUDGED, PASS),
        (INCONCLUSIVE, PASS, Change.NOW_JUDGED, PASS),
        (FAIL, INCONCLUSIVE, Change.UNCLEAR, INCONCLUSIVE),
        (INCONCLUSIVE, INCONCLUSIVE, Change.UNCLEAR, INCONCLUSIVE),
        (PASS, NOT_JUDGED, Change.NO_LONGER_JUDGED, INCONCLUSIVE),
        (FAIL, NOT_JUDGED, Change.NO_LONGER_JUDGED, INCONCLUSIVE),
        (INCONCLUSIVE, NOT_JUDGED, Change.NO_LONGER_JUDGED, NOT_JUDGED),
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
        "connect NOT_JUDGED → FAIL (fails, the baseline was not judged)",
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
    [
        (failed(lost=300), "without a reply 3 → 300"),
        (failed(lost=3, foreign=1), "answered with another session's text 0 → 1"),
    ],
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


def test_a_failure_without_a_name_may_be_another() -> None:
    """What has no evidence cannot be taken for the same."""
    unknown: AnyItem = Item(item="messaging", verdict=FAIL, summary="it failed")
    for before, after in ((unknown, failed(lost=3)), (failed(lost=3), unknown), (unknown, unknown)):
        (found,) = changes_between([before], [after])
        assert (found.change, found.verdict) == (Change.UNCLEAR, INCONCLUSIVE)


# A check that vanished.


def judged(name: str, verdict: Ruling, evidence: object) -> AnyItem:
    """Return an item with its evidence."""
    return Item(item=name, verdict=verdict, summary="so it is", evidence=evidence)


def test_a_log_that_only_the_baseline_has_is_asked_for() -> None:
    """A comparison without it is not green; where neither has one, nothing was asked."""
    without: AnyItem = Item(item="server_log", verdict=NOT_JUDGED, summary="no server log was given")
    (found,) = changes_over_runs([[judged("server_log", PASS, ServerLogEvidence())]] * 2, [[without]] * 2)
    assert (found.change, found.verdict) == (Change.NO_LONGER_JUDGED, INCONCLUSIVE)
    assert found.summary_after == "no longer judged: in 2 of 2 runs: no server log was given"
    assert found.remark == "give --ws-server-log for both"
    (neither,) = changes_between([without], [without])
    assert (neither.change, neither.verdict) == (Change.UNCHANGED, NOT_JUDGED)


@pytest.mark.parametrize(
    ("name", "evidence", "verdict"),
    [
        ("reconnect", ReconnectEvidence(), NOT_JUDGED),
        ("reconnect", ReconnectEvidence(counts={"outages": 20}), INCONCLUSIVE),
        ("persistence", PersistenceEvidence(), NOT_JUDGED),
        ("persistence", PersistenceEvidence(counts={"checked": 20}), INCONCLUSIVE),
        ("server_log", ServerLogEvidence(records=9), NOT_JUDGED),
        ("server_log", ServerLogEvidence(), INCONCLUSIVE),
        ("cleanup", {}, INCONCLUSIVE),
    ],
)
def test_where_nothing_occurred_no_check_vanished(name: str, evidence: object, verdict: Ruling) -> None:
    """No connection was lost, no error was logged: there was nothing to judge, and that is no doubt."""
    before = judged(name, FAIL, MessagingEvidence(counts={"lost": 1}, limits={"lost": 0}))
    (found,) = changes_between([before], [judged(name, NOT_JUDGED, evidence)])
    assert (found.change, found.verdict) == (Change.NO_LONGER_JUDGED, verdict)


# Other rules.


@pytest.mark.parametrize("before", Ruling)
@pytest.mark.parametrize("after", Ruling)
def test_what_other_rules_judged_is_unclear(before: Ruling, after: Ruling) -> None:
    """Whatever the verdicts are, unless one side has none to compare."""
    (found,) = changes_over_runs(
        [[item("messaging", before)]], [[item("messaging", after)]], doubts={"messaging": "by other rules"}
    )
    compared = NOT_JUDGED not in (before, after)
    assert (found.change is Change.UNCLEAR and found.remark == "by other rules") == compared
    assert found.verdict is INCONCLUSIVE or not compared
    if not compared:
        assert [found] == changes_between([item("messaging", before)], [item("messaging", after)])


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
        ([FAIL, PASS], [PASS, PASS], Change.UNCLEAR, PASS),
        ([FAIL, *[PASS] * 7], [PASS] * 8, Change.UNCLEAR, PASS),
        ([FAIL, FAIL], [PASS, PASS], Change.FIXED, PASS),
        ([FAIL, *[PASS] * 3], [FAIL, *[INCONCLUSIVE] * 3], Change.UNCLEAR, INCONCLUSIVE),
        ([PASS, INCONCLUSIVE], [PASS, FAIL], Change.BROKEN, FAIL),
        ([NOT_JUDGED, INCONCLUSIVE], [PASS, FAIL], Change.FAILS, FAIL),
        ([PASS, NOT_JUDGED], [NOT_JUDGED, NOT_JUDGED], Change.NO_LONGER_JUDGED, INCONCLUSIVE),
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


def latency(
    verdict: Ruling, *, gate: Ruling | None = None, limit: Ruling | None = None, value_ms: float = 10.0
) -> AnyItem:
    """Return the item with the verdict of its margins and of a limit."""
    evidence = LatencyEvidence(
        gates=None if gate is None else [GateResult(gate="service p50", decision=gate)],
        time_limits=None if limit is None else [LimitResult(name="p99", verdict=limit, value_ms=value_ms)],
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
            latency(FAIL, limit=FAIL),
            Change.FAILS,
            FAIL,
            "latency NOT_JUDGED → FAIL (fails, the baseline was not judged)",
        ),
        (
            latency(FAIL, limit=FAIL),
            latency(FAIL, gate=PASS, limit=FAIL, value_ms=21.0),
            Change.UNCLEAR,
            INCONCLUSIVE,
            "latency FAIL (unclear: limit p99 10 ms → 21 ms)",
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
