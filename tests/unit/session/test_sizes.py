"""Sizes of texts: one, or drawn with their weights from seed, session and sequence."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.options import SETTINGS
from loadtest.session import sizes
from loadtest.session.schedule import uniform
from loadtest.session.sizes import Sizes

SIZES = st.integers(48, 2**20)
WEIGHTS = st.floats(1e-6, 1e9)


def test_one_size_is_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual run has one size, and pays for no hash."""
    monkeypatch.setattr(sizes, "uniform", None)
    one = Sizes.of_setting(64)
    assert [one.of(1, session, 5) for session in range(3)] == [64, 64, 64]
    assert one.fixed == 64
    assert str(one) == "64"


def test_sizes_occur_as_often_as_their_weights_say() -> None:
    """Of 20,000 draws, within four standard deviations of the binomial distribution."""
    weights = {64: 7.0, 1000: 1.0, 100_000: 2.0}
    several = Sizes.of_setting(weights)
    drawn = Counter(several.of(1, session, sequence) for session in range(20) for sequence in range(1000))
    assert drawn.keys() == weights.keys()
    for size, weight in weights.items():
        share = weight / 10
        assert abs(drawn[size] - 20_000 * share) < 4 * (20_000 * share * (1 - share)) ** 0.5
    assert several.fixed is None


def test_a_size_belongs_to_seed_session_and_sequence() -> None:
    """It is where the draw falls: below 0.25 the small one. Another label draws anew."""
    two = Sizes.of_setting({48: 1.0, 49: 3.0})
    labels = [(seed, session, sequence) for seed in (1, 2) for session in (0, 7) for sequence in range(50)]
    drawn = [two.of(*label) for label in labels]
    assert drawn == [48 if uniform(label[0], "size", *label[1:]) < 0.25 else 49 for label in labels]
    assert drawn == [two.of(*label) for label in labels]
    assert drawn[:50] != drawn[50:100] != drawn[100:150]


@given(st.dictionaries(SIZES, WEIGHTS, min_size=1, max_size=100), st.integers(), st.randoms())
def test_the_text_of_sizes_gives_them_again(
    weights: dict[int, float], seed: int, shuffler: random.Random
) -> None:
    """Read by the option, in whatever order they were written; a draw is always one of them."""
    one = Sizes.of_setting(weights)
    assert Sizes.of_setting(SETTINGS["message_bytes"].read(str(one))) == (
        one if len(weights) > 1 else Sizes.of_setting(next(iter(weights)))
    )
    mixed = list(weights.items())
    shuffler.shuffle(mixed)
    other = Sizes.of_setting(dict(mixed))
    assert str(other) == str(one)
    assert other.of(seed, 1, 2) == one.of(seed, 1, 2)
    assert one.of(seed, 1, 2) in weights
    assert len(str(one)) < 4096  # the plan's limit on texts
