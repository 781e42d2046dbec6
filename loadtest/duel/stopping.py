"""What comes next in a duel, given the pairs so far. Pure.

Runs of a pair follow each other as a b, b a, a b, … (ABBA): what drifts evenly over time, a host that warms
up or fills up, weighs on both alike. Or they run at once, and share every disturbance.
A duel looks at 4, 8 and 12 pairs (`loadtest.statistics.sequential`) and never in between, which would err
more often than it says. It ends as soon as more pairs could change nothing: latency is settled at a look, the
candidate has failed another item, which no latency makes good, or no number of pairs would ever do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from loadtest.duel.settings import Order
from loadtest.ruling import Ruling

MAX_UNFIT = 3
"""Pairs in a row that a saturated load generator may spoil: one is a busy neighbour, three are a rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a pair brought.

    Args:
        fit: whether the load generator was fit to measure, so that the pair counts.
        failed: whether the candidate failed an item besides latency.
        hopeless: whether the runs hold too little for any number of them to be judged.
        latency: verdict of the look after this pair, None where there was no look.
    """

    fit: bool = True
    failed: bool = False
    hopeless: bool = False
    latency: Ruling | None = None


class End(StrEnum):
    """Why a duel ended."""

    SETTLED = "the verdict is settled"
    BUDGET = "all pairs were run"
    UNFIT = f"the load generator was not fit to measure in {MAX_UNFIT} pairs in a row"
    HOPELESS = "runs like these can never tell"
    INTERRUPTED = "it was interrupted"
    SERVER_ENDED = "a server ended"
    FAILED = "it could not go on; the logs beside duel.json say why"


@dataclass(frozen=True, slots=True)
class Pairing:
    """The next pair: its number from 1 on, and its runs, those to be made at once together."""

    number: int
    turns: Sequence[Sequence[str]]


def next_step(outcomes: Sequence[Outcome], *, pairs: int, order: Order) -> Pairing | End:
    """Return the next pair to run, or why there is none.

    Args:
        outcomes: of the pairs so far, in order.
        pairs: at most.
    """
    if outcomes:
        last = outcomes[-1]
        if last.failed or last.latency in (Ruling.PASS, Ruling.FAIL):
            return End.SETTLED
        if last.hopeless:
            return End.HOPELESS
    if len(outcomes) >= pairs:
        return End.BUDGET
    if len(outcomes) >= MAX_UNFIT and not any(outcome.fit for outcome in outcomes[-MAX_UNFIT:]):
        return End.UNFIT
    return Pairing(len(outcomes) + 1, _turns(len(outcomes), order))


def _turns(index: int, order: Order) -> Sequence[Sequence[str]]:
    sides = ("a", "b") if index % 2 == 0 else ("b", "a")
    return (sides,) if order is Order.PARALLEL else tuple((side,) for side in sides)


def is_look(fit: Sequence[bool], *, pairs: int, looks: Sequence[int]) -> bool:
    """Tell whether a duel looks now: at its looks, when the last pair made up their number, and at its end.

    Args:
        fit: of the pairs so far, whether each counts.
        pairs: at most.
        looks: numbers of pairs that count at which is looked.
    """
    if len(fit) >= pairs:
        return any(fit)
    return fit[-1] and sum(fit) in looks


def next_look(fit: int, looks: Sequence[int]) -> int | None:
    """Return the number of pairs of the next look, None after the last."""
    return next((look for look in looks if look > fit), None)
