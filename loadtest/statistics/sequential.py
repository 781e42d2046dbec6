"""Early looks at interleaved pairs: when to look, and at which significance level.

Judging 4, 8 and 12 pairs at the usual 5% each would err far more often than 5%. Instead the error is spent
over the looks with the O'Brien-Fleming type function of Lan and DeMets, "Discrete sequential boundaries for
clinical trials", Biometrika 70 (1983): hardly any at first, most of it at the end. Critical values come from
the recursive integration of Armitage, McPherson and Rowe (1969). They hold for normal statistics; for t
statistics their two-sided nominal levels are used (Jennison and Turnbull, "Group Sequential Methods", 2000,
section 4.4). At 4, 8, 12 these levels are 0.00021, 0.0120 and 0.0463.
"""

import math
from collections.abc import Sequence
from functools import lru_cache, partial
from itertools import pairwise

import numpy as np

from loadtest.statistics.distributions import normal_quantile, normal_share, root

LOOKS = (4, 8, 12)
ERROR = 0.05

# Gauss-Legendre points per look; 64 already give six decimals for the looks used here.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(96)
# A normal distribution has less than 1e-18 beyond; a wider range would only thin out the points that matter.
_MAX_Z = 9.0
# A probability of crossing at two looks that is lost in the integration's error: earlier looks are then
# ignored, which is conservative.
_NEGLIGIBLE = 1e-12
# Stands in for zero error at a look so early that it spends none, so that its critical value stays finite.
_NOTHING = 1e-250


def plan_looks(pairs: int) -> tuple[int, ...]:
    """Return the looks of a duel of at most this many pairs: 4, 8 and 12 if below it, then the last pair.

    A duel that runs out of time ends with the plan for the pairs it has; its earlier looks spent no more than
    that plan allows.
    """
    return (*(look for look in LOOKS if look < pairs), pairs)


@lru_cache(maxsize=256)
def nominal_level(pairs: int, looks: tuple[int, ...], error: float = ERROR) -> float:
    """Return the two-sided level for a look at this many pairs, so that all looks together err at `error`.

    Args:
        pairs: number of pairs now; need not be one of the planned looks.
        looks: numbers of pairs at the planned looks, increasing; those below `pairs` have been taken.
        error: two-sided error of the whole plan, in (0, 1).

    Raises:
        ValueError: there are more pairs than at the last planned look.
    """
    if not looks or pairs > looks[-1]:
        raise ValueError(f"pairs must be at most {max(looks, default=0)}, the last look (got {pairs})")
    fractions = [look / looks[-1] for look in (*(look for look in looks if look < pairs), pairs)]
    return 2.0 * normal_share(-critical_values(fractions, error)[-1])


def critical_values(fractions: Sequence[float], error: float = ERROR) -> tuple[float, ...]:
    """Return the two-sided critical z of each look.

    Args:
        fractions: share of the planned information at each look, increasing, in (0, 1].
        error: two-sided error of the whole plan, in (0, 1); each side spends half.
    """
    critical: list[float] = []
    spent = [spent_error(fraction, error) for fraction in fractions]
    for look, (before, now) in enumerate(pairwise((0.0, *spent)), start=1):
        # Between spending everything so far at this look alone, and spending only what this look adds.
        least = -normal_quantile(now / 2.0)
        most = -normal_quantile(max(now - before, _NOTHING) / 2.0)
        alone = before * now < _NEGLIGIBLE
        overspent = partial(_overspent, taken=tuple(critical), fractions=fractions[:look], spent=now)
        critical.append(most if alone else root(overspent, least, most))
    return tuple(critical)


def _overspent(z: float, *, taken: tuple[float, ...], fractions: Sequence[float], spent: float) -> float:
    return crossing_probability((*taken, z), fractions) - spent


def spent_error(fraction: float, error: float = ERROR) -> float:
    """Return the two-sided error spent up to fraction t: 2 (2 - 2 Φ(z / √t)) with z at error / 4 (1983)."""
    return 4.0 * normal_share(normal_quantile(error / 4.0) / math.sqrt(fraction))


def crossing_probability(critical: Sequence[float], fractions: Sequence[float]) -> float:
    """Return the probability that |Z| crosses any of the critical values if there is no difference.

    The density of the sum S at a look, over paths that have not crossed yet, is that at the previous look
    convolved with the normal increment (Armitage, McPherson and Rowe, 1969, equation 4).
    """
    sums, mass, before = np.zeros(1), np.ones(1), 0.0
    for z, fraction in zip(critical, fractions, strict=True):
        reach = min(z, _MAX_Z) * math.sqrt(fraction)
        step = math.sqrt(fraction - before)
        steps = (reach * _NODES[:, None] - sums) / step
        density = np.exp(-(steps**2) / 2.0) @ mass / (step * math.sqrt(2.0 * math.pi))
        sums, mass, before = reach * _NODES, density * reach * _WEIGHTS, fraction
    return 1.0 - float(mass.sum())
