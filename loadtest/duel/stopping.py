"""Decides what comes next in a duel, given the pairs so far. Pure.

Runs are made in the order a b, b a, a b, … (ABBA), so that a steady drift, such as a host warming up or
filling up, affects both sides equally. Or both runs of a pair are made at the same time and share every
disturbance. A duel looks at 4, 8 and 12 pairs and after the last (`loadtest.statistics.sequential`), never in
between: extra looks would raise the error rate above the stated one. It ends as soon as more pairs cannot
change the verdict: latency is settled at a look, the candidate has failed another item that the baseline does
not fail, or the runs are too short for any number of pairs. An item that both sides fail, the candidate more
often, is judged at the looks; while it is open, a latency that passes does not end the duel.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from loadtest.duel.settings import Order
from loadtest.ruling import Ruling

MAX_SPOILED = 3
"""Spoiled pairs in a row that end a duel: one may be a busy neighbour, three show a load generator too
weak."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of a pair.

    Args:
        fit: whether the pair counts: the load generator was fit to measure.
        failed: whether the candidate certainly regressed in an item other than latency.
        unsettled: whether more pairs may settle an item that both sides fail.
        hopeless: whether each run has too few samples, so that no number of pairs can be judged.
        latency: verdict of the look after this pair, None if there was no look.
    """

    fit: bool = True
    failed: bool = False
    unsettled: bool = False
    hopeless: bool = False
    latency: Ruling | None = None


class End(StrEnum):
    """Why a duel ended."""

    SETTLED = "the verdict is settled"
    BUDGET = "all pairs were run"
    SPOILED = f"{MAX_SPOILED} pairs in a row did not count"
    HOPELESS = "runs like these can never tell"
    INTERRUPTED = "it was interrupted"
    SERVER_ENDED = "a server ended"
    FAILED = "it could not go on; the logs beside duel.json say why"


@dataclass(frozen=True, slots=True)
class Pairing:
    """The next pair.

    Args:
        number: number of the pair, from 1.
        turns: groups of roles in order; the runs of a group are made at the same time.
    """

    number: int
    turns: Sequence[Sequence[str]]


def next_step(outcomes: Sequence[Outcome], *, pairs: int, order: Order) -> Pairing | End:
    """Return the next pair to run, or why the duel ends.

    Args:
        outcomes: outcomes of the pairs so far, in order.
        pairs: maximum number of pairs.
        order: order of the runs.
    """
    if outcomes:
        last = outcomes[-1]
        if last.failed or last.latency is Ruling.FAIL or (last.latency is Ruling.PASS and not last.unsettled):
            return End.SETTLED
        if last.hopeless:
            return End.HOPELESS
    if len(outcomes) >= pairs:
        return End.BUDGET
    if len(outcomes) >= MAX_SPOILED and not any(outcome.fit for outcome in outcomes[-MAX_SPOILED:]):
        return End.SPOILED
    return Pairing(len(outcomes) + 1, _turns(len(outcomes), order))


def _turns(index: int, order: Order) -> Sequence[Sequence[str]]:
    sides = ("a", "b") if index % 2 == 0 else ("b", "a")
    return (sides,) if order is Order.PARALLEL else tuple((side,) for side in sides)


def is_look(fit: Sequence[bool], *, pairs: int, looks: Sequence[int]) -> bool:
    """Return whether the duel looks now: when a pair that counts completes a planned number, and at the end.

    Args:
        fit: for each pair so far, whether it counts; at least one.
        pairs: maximum number of pairs.
        looks: planned looks, as numbers of pairs that count.
    """
    if len(fit) >= pairs:
        return any(fit)
    return fit[-1] and sum(fit) in looks


def next_look(fit: int, looks: Sequence[int]) -> int | None:
    """Return the number of pairs at the next look, None after the last."""
    return next((look for look in looks if look > fit), None)
