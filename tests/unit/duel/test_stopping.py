"""What comes next in a duel: the order of runs, the looks, and why it ends. Pure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.duel.settings import Order
from loadtest.duel.stopping import MAX_SPOILED, End, Outcome, Pairing, is_look, next_look, next_step
from loadtest.ruling import Ruling
from loadtest.statistics.sequential import plan_looks

ORDERS = st.sampled_from(Order)


def turns(pairs: int, order: Order) -> list[list[str]]:
    """Return the runs of that many pairs in their order, those made at once together."""
    made = []
    for number in range(pairs):
        step = next_step([Outcome()] * number, pairs=pairs, order=order)
        assert isinstance(step, Pairing)
        assert step.number == number + 1
        made += [list(turn) for turn in step.turns]
    return made


def test_runs_in_turn_are_abba() -> None:
    """Each side is first as often as the other, so that what drifts evenly weighs on both alike."""
    assert "".join(side for (side,) in turns(4, Order.ABBA)) == "abbaabba"


def test_runs_at_once_are_one_turn() -> None:
    """Both sides of a pair begin together; which is started first alternates."""
    assert turns(2, Order.PARALLEL) == [["a", "b"], ["b", "a"]]


@pytest.mark.parametrize(
    ("last", "end"),
    [
        (Outcome(latency=Ruling.PASS), End.SETTLED),
        (Outcome(latency=Ruling.FAIL), End.SETTLED),
        (Outcome(latency=Ruling.FAIL, unsettled=True), End.SETTLED),
        (Outcome(failed=True), End.SETTLED),
        (Outcome(failed=True, fit=False), End.SETTLED),
        (Outcome(hopeless=True), End.HOPELESS),
    ],
)
def test_it_ends_when_more_pairs_change_nothing(last: Outcome, end: End) -> None:
    """A look that settled it, another item that failed, runs that can never tell."""
    assert next_step([Outcome(), last], pairs=12, order=Order.ABBA) is end


@pytest.mark.parametrize(
    "last",
    [
        Outcome(),
        Outcome(latency=Ruling.INCONCLUSIVE),
        Outcome(fit=False),
        Outcome(latency=Ruling.PASS, unsettled=True),
    ],
)
def test_it_goes_on_while_something_can_be_learned(last: Outcome) -> None:
    """No look yet, one that could not tell, a pair that does not count, an item that both fail."""
    assert isinstance(next_step([last], pairs=12, order=Order.ABBA), Pairing)


def test_it_ends_when_all_pairs_are_run() -> None:
    """Whatever is known by then."""
    assert next_step([Outcome()] * 3, pairs=3, order=Order.ABBA) is End.BUDGET


def test_it_ends_when_the_generator_is_never_fit() -> None:
    """Three pairs in a row; a pair in between that counts starts the count again."""
    unfit = [Outcome(fit=False)] * MAX_SPOILED
    assert next_step(unfit, pairs=12, order=Order.ABBA) is End.SPOILED
    assert isinstance(next_step([*unfit[1:], Outcome(), *unfit[1:]], pairs=12, order=Order.ABBA), Pairing)


def looked_at(fit: list[bool], pairs: int) -> list[int]:
    """Return after which pairs a duel of so many looks, if it never ends early."""
    looks = plan_looks(pairs)
    return [n for n in range(1, len(fit) + 1) if is_look(fit[:n], pairs=pairs, looks=looks)]


def test_looks_count_pairs_that_count() -> None:
    """A spoiled pair moves the looks after it, is no look itself, and the last pair always is one."""
    assert looked_at([True] * 12, 12) == [4, 8, 12]
    assert looked_at([True, False] + [True] * 10, 12) == [5, 9, 12]
    assert looked_at([True] * 4 + [False] * 2, 6) == [4, 6]
    assert looked_at([False] * 4, 4) == []
    assert looked_at([True], 1) == [1]


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(1, 40))
def test_no_more_looks_than_planned(fit: list[bool], pairs: int) -> None:
    """The error is spent over the looks of the plan: there must never be one more."""
    assert len(looked_at(fit[:pairs], pairs)) <= len(plan_looks(pairs))


@given(st.integers(1, 60), ORDERS)
def test_a_duel_is_never_longer_than_its_pairs(pairs: int, order: Order) -> None:
    """And each side runs as often as the other."""
    runs = [side for turn in turns(pairs, order) for side in turn]
    assert runs.count("a") == runs.count("b") == pairs


def test_the_next_look_is_told() -> None:
    """None is left after the last."""
    assert [next_look(fit, (4, 8, 12)) for fit in (0, 4, 11, 12)] == [4, 8, 12, None]
