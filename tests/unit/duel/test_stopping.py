"""What comes next in a duel: another pair, a look, or its end. Pure."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.duel.stopping import MAX_SPOILED, End, Outcome, counting, is_look, next_look, next_step
from loadtest.ruling import Ruling
from loadtest.statistics.sequential import plan_looks


@pytest.mark.parametrize(
    ("last", "end"),
    [
        (Outcome(latency=Ruling.PASS), End.SETTLED),
        (Outcome(latency=Ruling.FAIL), End.SETTLED),
        (Outcome(latency=Ruling.FAIL, unsettled=True), End.SETTLED),
        (Outcome(failed=True), End.SETTLED),
        (Outcome(failed=True, fit=False), End.SETTLED),
        (Outcome(hopeless=True), End.HOPELESS),
        (Outcome(latency=Ruling.INCONCLUSIVE, stuck=True), End.STUCK),
    ],
)
def test_it_ends_when_more_pairs_change_nothing(last: Outcome, end: End) -> None:
    """A look that settled it, another item that failed, runs that can never tell."""
    assert next_step([Outcome(), last], pairs=12) is end


@pytest.mark.parametrize(
    "last",
    [
        Outcome(),
        Outcome(latency=Ruling.INCONCLUSIVE),
        Outcome(fit=False),
        Outcome(latency=Ruling.PASS, unsettled=True),
        Outcome(latency=Ruling.INCONCLUSIVE, stuck=True, unsettled=True),
    ],
)
def test_it_goes_on_while_something_can_be_learned(last: Outcome) -> None:
    """No look yet, one that could not tell, a pair that does not count, an item that both fail."""
    assert next_step([last], pairs=12) == 2


def test_it_ends_when_all_pairs_are_run() -> None:
    """Whatever is known by then."""
    assert next_step([Outcome()] * 3, pairs=3) is End.BUDGET


def test_it_ends_when_the_generator_is_never_fit() -> None:
    """Three pairs in a row; a pair in between that counts starts the count again."""
    unfit = [Outcome(fit=False)] * MAX_SPOILED
    assert next_step(unfit, pairs=12) is End.SPOILED
    assert next_step([*unfit[1:], Outcome(), *unfit[1:]], pairs=12) == 6


def looked_at(fit: list[bool], pairs: int, per_unit: int = 1) -> list[int]:
    """Return after which pairs a duel of so many looks, if it never ends early."""
    looks = plan_looks(math.ceil(pairs / per_unit))
    return [
        n
        for n in range(1, len(fit) + 1)
        if is_look(fit[:n], pairs=pairs, looks=looks, pairs_per_unit=per_unit)
    ]


def test_looks_count_pairs_that_count() -> None:
    """A spoiled pair moves the looks after it, is no look itself, and the last pair always is one."""
    assert looked_at([True] * 12, 12) == [4, 8, 12]
    assert looked_at([True, False] + [True] * 10, 12) == [5, 9, 12]
    assert looked_at([True] * 4 + [False] * 2, 6) == [4, 6]
    assert looked_at([False] * 4, 4) == []
    assert looked_at([True], 1) == [1]


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(1, 40), st.integers(1, 5))
def test_no_more_looks_than_planned(fit: list[bool], pairs: int, per_unit: int) -> None:
    """The error is spent over the looks of the plan: there must never be one more."""
    looks = plan_looks(math.ceil(pairs / per_unit))
    looked = looked_at(fit[:pairs], pairs, per_unit)
    assert len(looked) <= len(looks)
    for pair in looked:  # the level of a look is that of its number of units, which must be in the plan
        assert 0 < sum(counting(fit[:pair], per_unit)) <= looks[-1]


def test_looks_count_units_that_are_complete() -> None:
    """Three pairs between two restarts are one unit, which counts if one of them does."""
    assert looked_at([True] * 36, 36, 3) == [12, 24, 36]
    assert looked_at([True, False, False] * 12, 36, 3) == [12, 24, 36]
    assert looked_at([False] * 3 + [True] * 33, 36, 3) == [15, 27, 36]
    assert looked_at([True] * 7, 7, 3) == [7]
    assert counting([True, False, False, False, False], 2) == [True, False, False]


def test_the_next_look_is_told() -> None:
    """None is left after the last."""
    assert [next_look(fit, (4, 8, 12)) for fit in (0, 4, 11, 12)] == [4, 8, 12, None]
