"""The normal, t, χ², Poisson and binomial distributions, and a root finder: everything used from scipy.

Importing scipy takes longer than importing the rest of the package. Most runs have no baseline, and
`loadtest serve` uses no statistics, so each function imports scipy when it is called.
"""

from collections.abc import Callable
from typing import Any


def normal_share(z: float) -> float:
    """Return the share of a standard normal distribution below z (the CDF)."""
    from scipy.special import ndtr

    return float(ndtr(z))


def normal_quantile(share: float) -> float:
    """Return the z below which this share of a standard normal distribution lies.

    Args:
        share: in (0, 1).
    """
    from scipy.special import ndtri

    return float(ndtri(share))


def student_quantile(freedom: Any, share: Any) -> Any:
    """Return the t below which this share of Student's t distribution lies: a number, or an array.

    Args:
        freedom: degrees of freedom, above 0.
        share: in (0, 1).
    """
    from scipy.special import stdtrit

    return stdtrit(freedom, share)


def chi_square_quantile(freedom: float, share: float) -> float:
    """Return the value below which this share of the χ² distribution lies.

    Args:
        freedom: degrees of freedom, above 0.
        share: in (0, 1).
    """
    from scipy.special import chdtri

    return float(chdtri(freedom, 1.0 - share))


def poisson_tail(least: int, mean: float) -> float:
    """Return the probability of at least `least` events for a Poisson distribution with this mean.

    Args:
        least: 1 or more.
        mean: 0 or more.
    """
    from scipy.special import pdtrc

    return float(pdtrc(least - 1, mean))


def binomial_tail(least: int, trials: int, chance_ratio: float) -> float:
    """Return the probability of at least `least` successes.

    Args:
        least: 1 to `trials`.
        trials: number of trials.
        chance_ratio: probability of a success, in [0, 1].
    """
    from scipy.special import betainc

    return float(betainc(least, trials - least + 1, chance_ratio))


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Return a zero of the function, to nine decimals, between two points of opposite sign (Brent, 1973)."""
    from scipy.optimize import brentq

    return float(brentq(function, low, high, xtol=1e-9))
