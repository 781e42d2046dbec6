"""Exact tests: is an event more frequent in one group than in another, or is that chance?

Shares of trials: R. A. Fisher, "The Design of Experiments" (1935), chapter II. With both margins of the
fourfold table fixed, the count in one cell is hypergeometric. Exact for any number of trials, so it suits the
few runs of a duel. It is conservative for them: four pairs never show a difference at 5% once both groups
have the event.

Counts of events: J. Przyborowski and H. Wilenski, "Homogeneity of results in testing samples from Poisson
series" (1940). Given their sum, one of two Poisson counts is binomial.
"""

from math import comb

from loadtest.statistics.distributions import binomial_tail

SIGNIFICANT = 0.05
"""One-sided level at which an event is more frequent."""


def more_frequent(*, before: int, of_before: int, after: int, of_after: int) -> float:
    """Return the one-sided p-value: the probability by chance of an event at least as frequent afterwards.

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


def more_events(*, before: int, runs_before: float, after: int, runs_after: float) -> float:
    """Return the one-sided p-value: the probability by chance of at least as many of the events afterwards.

    Args:
        before, runs_before: events of the first group, and its number of runs, hours or other units, above 0.
        after, runs_after: the same of the second group; 1 event or more.
    """
    return binomial_tail(after, before + after, runs_after / (runs_before + runs_after))
