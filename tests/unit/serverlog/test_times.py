"""Times as logs write them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.errors import InvalidSetting
from loadtest.serverlog.times import SECOND_NS, iso, number_time, parse_since, parse_time

MOMENT_S = int(datetime(2026, 11, 23, 14, 23, 35, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("2026-11-23 14:23:35", 0),
        ("2026-11-23 14:23:35,123", 123_000_000),
        ("2026-11-23T14:23:35.123456789Z", 123_456_789),
        ("2026-11-23T14:23:35.123456+00:00", 123_456_000),
        ("2026-11-23T15:53:35+0130", 0),
        ("2026-11-23T10:53:35-03:30", 0),
        ("2026-11-23 14:23:35 +0000", 0),
        ("23/Nov/2026:14:23:35 +0000", 0),
        ("23/Nov/2026 14:23:35", 0),
    ],
)
def test_written_times(text: str, nanoseconds: int) -> None:
    """Each way to write one moment gives that moment, to the nanosecond."""
    assert parse_time(text) == MOMENT_S * SECOND_NS + nanoseconds


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-23 14:23:35", "14:23:35", "2026-11-23 14:23:35 and more"]
)
def test_other_texts_are_no_times(text: str) -> None:
    """What is no whole time is None, never a guess."""
    assert parse_time(text) is None


@pytest.mark.parametrize("factor", [1, 1_000, 1_000_000, 1_000_000_000])
def test_numbers_in_any_unit(factor: int) -> None:
    """Seconds, milliseconds, microseconds and nanoseconds are told by their size."""
    assert number_time(MOMENT_S * factor) == MOMENT_S * SECOND_NS


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), 10**40])
def test_numbers_that_are_no_times(value: float) -> None:
    """Zero, less, and what no unit explains are no times."""
    assert number_time(value) is None


def test_since_takes_an_age_or_a_time() -> None:
    """`10m` counts back from now, a written time stands for itself."""
    now_ns = MOMENT_S * SECOND_NS
    assert parse_since("10m", now_ns) == now_ns - 600 * SECOND_NS
    assert parse_since("1h", now_ns) == now_ns - 3_600 * SECOND_NS
    assert parse_since("2026-11-23T14:23:35Z", 0) == now_ns
    assert parse_since("2026-11-23", 0) == now_ns - (14 * 3_600 + 23 * 60 + 35) * SECOND_NS


def test_since_refuses_the_rest() -> None:
    """What is neither is refused with what to write instead."""
    with pytest.raises(InvalidSetting, match="must be an age such as 10m"):
        parse_since("lately", 0)


@given(st.integers(min_value=0, max_value=4_000_000_000_000))
def test_iso_and_back(milliseconds: int) -> None:
    """A moment written is the moment read, to the millisecond."""
    assert parse_time(iso(milliseconds * 1_000_000)) == milliseconds * 1_000_000


@given(st.text(max_size=60), st.integers(-(10**30), 10**30))
def test_any_text_and_number_are_survived(text: str, number: int) -> None:
    """No text and no number raises."""
    parse_time(text)
    number_time(number)
    iso(number)
