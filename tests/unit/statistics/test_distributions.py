"""The distributions against published tables."""

import pytest

from loadtest.statistics.distributions import (
    binomial_tail,
    normal_quantile,
    normal_share,
    poisson_tail,
    root,
    student_quantile,
)


@pytest.mark.parametrize(("z", "share"), [(0.0, 0.5), (1.0, 0.841345), (1.959964, 0.975), (-3.0, 0.00135)])
def test_normal(z: float, share: float) -> None:
    """Both ways, as Abramowitz and Stegun (1964), table 26.1, have it."""
    assert normal_share(z) == pytest.approx(share, abs=1e-6)
    assert normal_quantile(share) == pytest.approx(z, abs=1e-3)


@pytest.mark.parametrize(("freedom", "t"), [(1, 12.706), (3, 3.182), (10, 2.228), (120, 1.980)])
def test_student(freedom: float, t: float) -> None:
    """The two-sided 5% points of Abramowitz and Stegun (1964), table 26.10."""
    assert student_quantile(freedom, 0.975) == pytest.approx(t, abs=1e-3)


@pytest.mark.parametrize(
    ("least", "mean", "share"),
    [(1, 1.0, 0.63212), (3, 1.0, 0.0803), (5, 2.0, 0.05265), (10, 5.0, 0.03183), (1, 0.0, 0.0)],
)
def test_poisson(least: int, mean: float, share: float) -> None:
    """The complement of Abramowitz and Stegun (1964), table 26.7."""
    assert poisson_tail(least, mean) == pytest.approx(share, abs=1e-5)


@pytest.mark.parametrize(
    ("least", "trials", "chance_ratio", "share"),
    [(1, 1, 0.5, 0.5), (9, 10, 0.5, 0.0107), (5, 10, 0.2, 0.0328), (2, 3, 1 / 9, 25 / 729)],
)
def test_binomial(least: int, trials: int, chance_ratio: float, share: float) -> None:
    """The tail by the National Bureau of Standards (1950), table 2, and by counting."""
    assert binomial_tail(least, trials, chance_ratio) == pytest.approx(share, abs=5e-5)


def test_root() -> None:
    """To nine decimals."""
    assert root(lambda x: x * x - 2, 0, 2) == pytest.approx(2**0.5, abs=1e-9)
