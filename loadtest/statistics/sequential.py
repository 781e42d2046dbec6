"""When interleaved pairs may be judged early, and how surely each time.

Looking at 4, 8 and 12 pairs at the usual 5 % would err far more often than 5 %. The error is spent over
the looks instead, as Lan and DeMets, "Discrete sequential boundaries for clinical trials", Biometrika 70
(1983), do with their O'Brien-Fleming type function: hardly any at first, most of it at the end. Critical
values come from the recursive integration of Armitage, McPherson and Rowe (1969). They hold for normal
statistics; for t statistics their two-sided nominal levels are used (Jennison and Turnbull, "Group
Sequential Methods", 2000, section 4.4). At 4, 8, 12 these levels are 0.00021, 0.0120 and 0.0463.
"""

import math
from collections.abc import Sequence
from functools import lru_cache, partial
from itertools import pairwise

import numpy as np

from loadtest.errors import InvalidSetting
from loadtest.statistics.distributions import normal_quantile, normal_share, root

LOOKS = (4, 8, 12)
ERROR = 0.05

# Gauss-Legendre points a look; 64 already give six decimals for the looks used here.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(96)
# A normal density holds 1e-18 beyond; points spread further would only be thinner where it matters.
_MAX_Z = 9.0
# A chance of crossing at two looks that is lost in the integration's own error: the earlier ones are
# left out then, on the safe side.
_NEGLIGIBLE = 1e-12
# The error of a look so early that it spends none; its critical values stay finite.
_NOTHING = 1e-250


def plan_looks(pairs: int) -> tuple[int, ...]:
    """Return the looks of a duel of at most this many pairs: 4, 8 and 12 as far as they come, then the last.

    A duel that runs out of time closes with the plan of the pairs it has: its earlier looks spent no more.
    """
    return (*(look for look in LOOKS if look < pairs), pairs)


@lru_cache(maxsize=256)
def nominal_level(pairs: int, looks: tuple[int, ...], error: float = ERROR) -> float:
    """Return the two-sided level at which this look judges, so that all looks together err at `error`.

    Args:
        pairs: how many pairs there are now; need not be one of the planned looks.
        looks: numbers of pairs at which is looked, rising; those below `pairs` were taken.
        error: two-sided, of the whole plan.

    Raises:
        InvalidSetting: there are more pairs than the last look planned.
    """
    if not looks or pairs > looks[-1]:
        raise InvalidSetting(
            "pairs", pairs, f"must be at most {max(looks, default=0)}, the last look planned"
        )
    fractions = [look / looks[-1] for look in (*(look for look in looks if look < pairs), pairs)]
    return 2.0 * normal_share(-critical_values(fractions, error)[-1])


def critical_values(fractions: Sequence[float], error: float = ERROR) -> tuple[float, ...]:
    """Return the two-sided critical z of each look.

    Args:
        fractions: of the planned information at each look, rising, in (0, 1].
        error: two-sided, of the whole plan; each side spends half.
    """
    critical: list[float] = []
    spent = [spent_error(fraction, error) for fraction in fractions]
    for look, (before, now) in enumerate(pairwise((0.0, *spent)), start=1):
        # Between spending all on this look alone, and only what this look adds.
        least = -normal_quantile(now / 2.0)
        most = -normal_quantile(max(now - before, _NOTHING) / 2.0)
        alone = before * now < _NEGLIGIBLE
        overspent = partial(_overspent, taken=tuple(critical), fractions=fractions[:look], spent=now)
        critical.append(most if alone else root(overspent, least, most))
    return tuple(critical)


def _overspent(z: float, *, taken: tuple[float, ...], fractions: Sequence[float], spent: float) -> float:
    return crossing_probability((*taken, z), fractions) - spent


def spent_error(fraction: float, error: float = ERROR) -> float:
    """Return the two-sided error spent up to a fraction: 2 (2 - 2 Φ(z / √t)), z at error / 4 (1983)."""
    return 4.0 * normal_share(normal_quantile(error / 4.0) / math.sqrt(fraction))


def crossing_probability(critical: Sequence[float], fractions: Sequence[float]) -> float:
    """Return the chance that |Z| passes any of the critical values if nothing differs.

    The density of the sum S at a look, among paths that have not crossed yet, is the one at the look
    before, folded with the normal increment (Armitage, McPherson and Rowe, 1969, equation 4).
    """
    sums, mass, before = np.zeros(1), np.ones(1), 0.0
    for z, fraction in zip(critical, fractions, strict=True):
        reach = min(z, _MAX_Z) * math.sqrt(fraction)
        step = math.sqrt(fraction - before)
        steps = (reach * _NODES[:, None] - sums) / step
        density = np.exp(-(steps**2) / 2.0) @ mass / (step * math.sqrt(2.0 * math.pi))
        sums, mass, before = reach * _NODES, density * reach * _WEIGHTS, fraction
    return 1.0 - float(mass.sum())
