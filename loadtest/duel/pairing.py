"""The pairs of a duel: the order of their runs, drawn from the seed, and when the servers restart. Pure.

In each block of two pairs, one runs a first and the other b first, so that a steady drift, such as a host
warming up or filling up, affects both sides equally. The order is drawn at random for each block, so that a
periodic disturbance cannot coincide with one side. Parallel runs of a pair share every disturbance, and only
the one that starts first is drawn.

Two instances of the same program differ, by their memory layout and the content of their caches. A duel that
starts each server once would attribute this difference to the revisions, and more pairs would only increase
the confidence in it. So servers restart every few pairs, and the pairs between two restarts are one unit:
they share their instances and are no more evidence about the programs than one long pair.

A server restarts right before its own first run in a unit, not both before the pair: with a restart for every
pair, each run then has a process of the same age. Otherwise the second run of a pair would have one that was
idle during the first. In later pairs of a unit the processes are older, and their ages differ only by the
order of the runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.duel.settings import Order
from loadtest.session.schedule import uniform


@dataclass(frozen=True, slots=True)
class Pairing:
    """A pair of runs to make.

    Args:
        number: number of the pair, from 1.
        unit: number of the unit that it belongs to, from 1.
        order: the roles in the order of their runs, `ab` or `ba`.
        turns: groups of roles in order; the runs of a group are made at the same time.
        restarts: whether the servers restart before their runs.
    """

    number: int
    unit: int
    order: str
    turns: Sequence[str]
    restarts: bool


def pairing(number: int, *, order: Order, seed: int, pairs_per_unit: int, restarts: bool) -> Pairing:
    """Return the pair with this number.

    Args:
        number: number of the pair, from 1.
        order: whether runs are made in turn or at the same time.
        seed: seed of the order.
        pairs_per_unit: pairs between two restarts, at least 1.
        restarts: whether servers are restarted at all.
    """
    drawn = _drawn(number - 1, seed)
    unit, within = divmod(number - 1, pairs_per_unit)
    return Pairing(
        number=number,
        unit=unit + 1,
        order=drawn,
        turns=(drawn,) if order is Order.PARALLEL else tuple(drawn),
        restarts=restarts and within == 0,
    )


def _drawn(index: int, seed: int) -> str:
    block, within = divmod(index, 2)
    b_first = (uniform(seed, "order", block) < 0.5) != bool(within)
    return "ba" if b_first else "ab"
