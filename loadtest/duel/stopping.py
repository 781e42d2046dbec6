"""Decides the next step of a duel from the pairs so far. Pure.

A duel looks when 4, 8 and 12 units are complete and after the last pair (`loadtest.statistics.sequential`),
never in between: extra looks would raise the error rate above the stated one. A unit, the pairs between two
restarts of the servers (`loadtest.duel.pairing`), is complete when all its pairs were run, and counts if one
of them does. A duel ends as soon as more pairs cannot change the verdict: latency is settled at a look, or
open only in ways that more pairs cannot settle; the candidate has failed another item that the baseline
does not fail; or the runs are too short. An item that both sides fail, the candidate more often, is judged at
the looks; while it is open, a latency that passes does not end the duel.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

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
        hopeless: whether each run has too few samples, so that even all pairs cannot be judged.
        stuck: whether more pairs cannot settle latency (`loadtest.duel.judging.is_stuck`).
        latency: verdict of the look after this pair, None if there was no look.
    """

    fit: bool = True
    failed: bool = False
    unsettled: bool = False
    hopeless: bool = False
    stuck: bool = False
    latency: Ruling | None = None


class End(StrEnum):
    """Why a duel ended."""

    SETTLED = "the verdict is settled"
    BUDGET = "all pairs were run"
    SPOILED = f"{MAX_SPOILED} invalid pairs in a row"
    HOPELESS = "runs like these have too few samples"
    STUCK = "more pairs cannot settle the open gates"
    INTERRUPTED = "it was interrupted"
    SERVER_ENDED = "a server ended"
    NOT_RESTARTED = "a server did not start again"
    FAILED = "it could not continue; see the logs beside duel.json"


def next_step(outcomes: Sequence[Outcome], *, pairs: int) -> int | End:
    """Return the number of the next pair to run, from 1, or why the duel ends.

    Args:
        outcomes: outcomes of the pairs so far, in order.
        pairs: maximum number of pairs.
    """
    if outcomes:
        last = outcomes[-1]
        if last.failed or last.latency is Ruling.FAIL or (last.latency is Ruling.PASS and not last.unsettled):
            return End.SETTLED
        if last.hopeless:
            return End.HOPELESS
        if last.stuck and not last.unsettled:
            return End.STUCK
    if len(outcomes) >= pairs:
        return End.BUDGET
    if len(outcomes) >= MAX_SPOILED and not any(outcome.fit for outcome in outcomes[-MAX_SPOILED:]):
        return End.SPOILED
    return len(outcomes) + 1


def is_look(fit: Sequence[bool], *, pairs: int, looks: Sequence[int], pairs_per_unit: int = 1) -> bool:
    """Return whether the duel looks now: when a unit that counts completes a planned number, and at the end.

    Args:
        fit: for each pair so far, whether it counts; at least one.
        pairs: maximum number of pairs.
        looks: planned looks, as numbers of units that count.
        pairs_per_unit: pairs between two restarts of the servers.
    """
    if len(fit) >= pairs:
        return any(fit)
    units = counting(fit, pairs_per_unit)
    return len(fit) % pairs_per_unit == 0 and units[-1] and sum(units) in looks


def counting(fit: Sequence[bool], pairs_per_unit: int) -> list[bool]:
    """Return for each unit so far whether it counts: one of its pairs does."""
    return [any(fit[first : first + pairs_per_unit]) for first in range(0, len(fit), pairs_per_unit)]


def next_look(units: int, looks: Sequence[int]) -> int | None:
    """Return the number of units at the next look, None after the last."""
    return next((look for look in looks if look > units), None)
