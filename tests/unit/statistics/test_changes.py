"""Changes in a series of runs, against the Nile and made-up series."""

import math

import numpy as np
import pytest

from loadtest.statistics.changes import change_points
from tests.support.distributions import rng

# Trend

NILE = """1120 1160 963 1210 1160 1160 813 1230 1370 1140 995 935 1110 994 1020 960 1180 799 958 1140
1100 1210 1150 1250 1260 1220 1030 1100 774 840 874 694 940 833 701 916 692 1020 1050 969 831
726 456 824 702 1120 1100 832 764 821 768 845 864 862 698 845 744 796 1040 759 781 865 845 944
984 897 822 1010 771 676 649 846 812 742 801 1040 860 874 848 890 744 749 838 1050 918 986 797
923 975 815 1020 906 901 1170 912 746 919 718 714 740"""


def test_the_nile_changed_in_1898() -> None:
    """Cobb (1978): the annual flow at Aswan, 1871 to 1970, dropped after 1898, and only then."""
    points = change_points([math.log(float(flow)) for flow in NILE.split()], rng=rng())
    assert [1871 + point.index for point in points] == [1899]
    assert points[0].p_value <= 0.001
    assert points[0].change_ratio == pytest.approx(-0.25, abs=0.04)


def test_two_changes_are_both_found() -> None:
    """Slower from the 15th run on, mended at the 30th."""
    levels = np.repeat([9.0, 9.2, 9.0], 15) + rng().normal(0, 0.03, 45)
    points = change_points(list(levels), rng=rng())
    assert [point.index for point in points] == [15, 30]
    assert [point.change_ratio > 0 for point in points] == [True, False]
    assert points[0].before_us == pytest.approx(math.exp(9.0), rel=0.03)


def test_series_without_a_change_rarely_show_one() -> None:
    """Noise alone is called a change in about 5 of 100 series."""
    found = [bool(change_points(list(rng(seed).normal(9, 0.05, 20)), rng=rng(seed))) for seed in range(200)]
    assert sum(found) <= 20


def test_one_wild_run_is_no_change() -> None:
    """An outlier a hundred times as slow does not divide the series."""
    series = list(9 + 0.01 * rng().normal(size=20))
    series[10] += math.log(100)
    assert change_points(series, rng=rng()) == ()


@pytest.mark.parametrize("series", [[], [9.0], [None] * 30, [9.0] * 30, [9.0, None, math.inf, 9.1]])
def test_series_that_cannot_show_a_change_show_none(series: list[float | None]) -> None:
    """Short, empty and constant series."""
    assert change_points(series, rng=rng()) == ()


def test_runs_without_samples_do_not_shift_the_change() -> None:
    """The index is that of the series given, empty runs included."""
    series = [9.0, None, 9.01, 9.02, 9.0, 8.99, None, 9.5, 9.51, 9.52, 9.5, 9.49]
    assert [point.index for point in change_points(series, rng=rng())] == [7]
