"""What changed between two verdicts: each pair of rulings, the lines for people, what is a regression."""

from __future__ import annotations

from itertools import product

import pytest

from loadtest.ruling import Ruling
from loadtest.verdict.item_changes import Change, ItemChange, changes_between, outcome_line
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
