"""The exact tests, against the example of Fisher's inventor and against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, fisher_exact

from loadtest.statistics.exact_test import more_events, more_frequent


def test_the_lady_tasting_tea() -> None:
    """Fisher's example of 1935: 4 of 4 cups told right is 1 in 70 by chance, 3 of 4 is 17 in 70."""
    assert more_frequent(before=0, of_before=4, after=4, of_after=4) == pytest.approx(1 / 70)
    assert more_frequent(before=1, of_before=4, after=3, of_after=4) == pytest.approx(17 / 70)


@given(st.integers(0, 40), st.integers(0, 40), st.data())
def test_it_agrees_with_scipy(of_before: int, of_after: int, data: st.DataObject) -> None:
    """Any table, also with empty groups."""
    before, after = data.draw(st.integers(0, of_before)), data.draw(st.integers(0, of_after))
    table = np.array([[after, of_after - after], [before, of_before - before]])
    expected = fisher_exact(table, alternative="greater").pvalue
    found = more_frequent(before=before, of_before=of_before, after=after, of_after=of_after)
    assert found == pytest.approx(expected)


def test_four_trials_each_never_show_a_difference_once_both_have_the_event() -> None:
    """So the first look of a duel can only leave it open."""
    least = min(
        more_frequent(before=before, of_before=4, after=after, of_after=4)
        for before in range(1, 5)
        for after in range(5)
    )
    assert least > 0.05


def test_a_thousand_trials_are_no_trouble() -> None:
    """As many as a duel may have."""
    assert more_frequent(before=400, of_before=1000, after=600, of_after=1000) < 1e-15
    assert more_frequent(before=500, of_before=1000, after=500, of_after=1000) == pytest.approx(
        0.518, abs=0.001
    )


@given(st.integers(0, 1000), st.integers(1, 1000), st.integers(1, 12), st.integers(1, 12))
def test_counts_of_events_agree_with_scipy(
    before: int, after: int, runs_before: int, runs_after: int
) -> None:
    """Whatever the exposure: given the sum, the share of the second count is binomial."""
    share = runs_after / (runs_before + runs_after)
    expected = binomtest(after, before + after, share, alternative="greater").pvalue
    found = more_events(before=before, runs_before=runs_before, after=after, runs_after=runs_after)
    assert found == pytest.approx(expected, abs=1e-9)
