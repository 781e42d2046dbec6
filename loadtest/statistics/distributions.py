"""The normal and Student's distribution, and a root finder: all that is needed of scipy.

Importing scipy takes longer than importing all the rest of the package. Most runs have no baseline and
`loadtest serve` has no statistics at all, so it is imported where the first of these is called.
"""

from collections.abc import Callable
from typing import Any


def normal_share(z: float) -> float:
    """Return the share of a standard normal distribution below z."""
    from scipy.special import ndtr

    return float(ndtr(z))


def normal_quantile(share: float) -> float:
    """Return the z that has this share of a standard normal distribution below it."""
    from scipy.special import ndtri

    return float(ndtri(share))


def student_quantile(freedom: Any, share: Any) -> Any:
    """Return the t that has this share of Student's distribution below it: a number, or an array of them.

    Args:
        freedom: degrees of freedom, above 0.
        share: in (0, 1).
    """
    from scipy.special import stdtrit

    return stdtrit(freedom, share)


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Return a zero, to nine decimals, between two points where the signs are opposite (Brent, 1973)."""
    from scipy.optimize import brentq

    return float(brentq(function, low, high, xtol=1e-9))
