"""Fisher's exact test: is an event more frequent in one group than in another, or is that chance?

R. A. Fisher, "The Design of Experiments" (1935), chapter II. With both margins of the fourfold table fixed,
the count in one cell is hypergeometric. Exact for any number of trials, so it suits the few runs of a duel.
It is conservative for them: four pairs never show a difference at 5% once both groups have the event.
"""

from math import comb

SIGNIFICANT = 0.05
"""One-sided level at which an event is more frequent."""


def more_frequent(*, before: int, of_before: int, after: int, of_after: int) -> float:
    """Return the one-sided p-value: how often chance alone makes the event at least so frequent afterwards.

    Args:
        before, of_before: trials with the event, and all trials, of the first group.
        after, of_after: the same of the second group.

    Returns:
        The p-value in (0, 1]; 1 if either group has no trials.
    """
    events, trials = before + after, of_before + of_after
    most = min(events, of_after)
    tail = sum(comb(of_after, count) * comb(of_before, events - count) for count in range(after, most + 1))
    return tail / comb(trials, events)
