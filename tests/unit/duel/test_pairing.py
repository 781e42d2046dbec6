"""The pairs of a duel: the order of their runs, and when servers restart. Pure."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from loadtest.duel.pairing import Pairing, pairing
from loadtest.duel.settings import Order


def plan(
    pairs: int, *, order: Order = Order.TURNS, seed: int = 1, per_unit: int = 1, restarts: bool = True
) -> list[Pairing]:
    """Return that many pairs."""
    return [
        pairing(number, order=order, seed=seed, pairs_per_unit=per_unit, restarts=restarts)
        for number in range(1, pairs + 1)
    ]


@given(st.integers(1, 60), st.integers(), st.sampled_from(Order))
def test_each_block_of_two_pairs_has_both_orders(pairs: int, seed: int, order: Order) -> None:
    """So that what drifts evenly weighs on both alike; each side runs as often as the other."""
    planned = plan(2 * pairs, order=order, seed=seed)
    for first, second in zip(planned[::2], planned[1::2], strict=True):
        assert {first.order, second.order} == {"ab", "ba"}
    assert sorted("".join("".join(one.turns) for one in planned)) == ["a"] * 2 * pairs + ["b"] * 2 * pairs


def test_which_order_is_first_is_drawn() -> None:
    """From the seed alone: half of the blocks begin with b, and neither ABBA nor ABAB is kept to."""
    orders = [one.order for one in plan(2_000)]
    assert 440 < orders[::2].count("ba") < 560
    assert any(first == second for first, second in pairwise(orders))
    assert orders == [one.order for one in plan(2_000)]
    assert orders != [one.order for one in plan(2_000, seed=2)]
    assert len(set(orders[:12:2])) == 2  # the usual duel, with the usual seed, has blocks of both kinds


def test_runs_at_once_are_one_turn() -> None:
    """Both sides of a pair begin together; which is started first is drawn."""
    for one in plan(4, order=Order.PARALLEL):
        assert one.turns == (one.order,)
    for one in plan(4):
        assert one.turns == tuple(one.order)


def test_pairs_between_two_restarts_are_a_unit() -> None:
    """The servers restart before its first pair, or never."""
    assert [one.unit for one in plan(7, per_unit=3)] == [1, 1, 1, 2, 2, 2, 3]
    assert [one.number for one in plan(7, per_unit=3) if one.restarts] == [1, 4, 7]
    assert all(one.restarts for one in plan(4))
    assert not any(one.restarts for one in plan(4, restarts=False))
