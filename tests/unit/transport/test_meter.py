"""The meter of what a server sends: exact beyond a limit, silent below it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.transport.meter import Limits, Meter

SECOND = 10**9
LIMITS = Limits(messages_per_s=100, frames_per_s=200, bytes_per_s=10_000)


class Clock:
    """A clock that a test sets."""

    now_ns = 0

    def __call__(self) -> int:
        """Return the time."""
        return self.now_ns


def test_each_limit_is_named_with_its_option() -> None:
    """The limit itself is allowed; one more is not."""
    for frames, messages, size, words in (
        (1, 101, 0, "101 messages in 1 s, limit 100 (--ws-max-messages-per-s)"),
        (201, 0, 0, "201 frames in 1 s, limit 200 (--ws-max-frames-per-s)"),
        (1, 1, 10_001, "10,001 bytes in 1 s, limit 10,000 (--ws-max-bytes-per-s)"),
    ):
        meter = Meter(LIMITS, Clock())
        assert not meter.add(200, 100, 10_000)
        assert meter.exceeded() == ""
        meter = Meter(LIMITS, Clock())
        assert meter.add(frames, messages, size)
        assert meter.exceeded() == words


def test_what_is_over_a_second_old_does_not_count() -> None:
    """A limit reached in more than a second begins a new second; a limit exceeded within it is a flood."""
    clock = Clock()
    meter = Meter(LIMITS, clock)
    meter.add(0, 90, 0)
    clock.now_ns = SECOND
    assert not meter.add(0, 11, 0)
    assert meter.exceeded() == ""
    clock.now_ns += SECOND - 1
    assert not meter.add(0, 100, 0)
    assert meter.add(0, 1, 0)
    assert meter.exceeded().startswith("101 messages")


@pytest.mark.parametrize("apart_ns", [0, SECOND // 2, SECOND + 1, 60 * SECOND])
def test_what_comes_at_once_is_a_flood_however_rarely_it_is_counted(apart_ns: int) -> None:
    """A busy loop may count a connection less than once in a second."""
    clock = Clock()
    meter = Meter(LIMITS, clock)
    clock.now_ns += apart_ns
    assert meter.add(201, 0, 0)
    assert meter.exceeded().startswith("201 frames")


@given(st.lists(st.integers(1, 100), min_size=1, max_size=200))
def test_a_server_below_its_limits_is_never_ended(bursts: list[int]) -> None:
    """However its messages are spread, as long as no second has more than the limit."""
    clock = Clock()
    meter = Meter(LIMITS, clock)
    for burst in bursts:
        clock.now_ns += burst * SECOND // 100  # a message each hundredth of a second
        meter.add(burst, burst, burst)
        assert meter.exceeded() == ""


def test_short_messages_are_counted_together() -> None:
    """By the hundred at ordinary limits; at small ones so few that the count is right to an eighth."""
    assert Limits().short_at_once == 256
    assert LIMITS.short_at_once == 9  # 10,000 bytes are 78 of the longest short frames
    meter = Meter(LIMITS, Clock())
    for _ in range(8):
        meter.short()
    assert meter.exceeded() == ""
    meter.short()
    assert meter.exceeded().startswith("10,287 bytes")
