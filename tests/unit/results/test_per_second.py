"""Counts by second: sums of any number of processes, in rows that no file can make too many."""

from collections import Counter
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from loadtest.results.per_second import (
    KINDS_LIMIT,
    OTHER,
    ROWS_LIMIT,
    SERIES,
    PerSecond,
    PerSecondGathering,
    row_s_of,
)
from loadtest.session.schedule import NS_PER_S
from tests.support.effort import effort

NAMES = (*(name for names in SERIES.values() for name in names), "drops.reset", "losses.1006", "closes.1000")
INTERVALS = st.lists(
    st.tuples(
        st.integers(0, 5 * ROWS_LIMIT),
        st.dictionaries(st.sampled_from(NAMES), st.integers(-5, 1000), max_size=5),
    ),
    max_size=30,
)


def added(*intervals: tuple[int, Mapping[str, int]], length_s: float | None = None) -> PerSecond:
    """Return the counts of these intervals, each with its second."""
    gathering = PerSecondGathering()
    for second, counts in intervals:
        gathering.interval(second, counts)
    if length_s is None:
        length_s = max((second + 1 for second, _ in intervals), default=0)
    return gathering.per_second(int(length_s * NS_PER_S))


@given(INTERVALS)
@effort(60)
def test_each_row_is_the_sum_of_its_seconds(intervals: list[tuple[int, dict[str, int]]]) -> None:
    """Whatever the order of the intervals, and however late the run turns out to be a long one."""
    found = added(*intervals)
    length_s = max((second + 1 for second, _ in intervals), default=0)
    row_s = row_s_of(length_s * NS_PER_S)
    assert length_s / row_s <= ROWS_LIMIT
    for series, names in SERIES.items():
        expected: Counter[int] = Counter()
        for second, counts in intervals:
            expected[second // row_s] += sum(counts.get(name, 0) for name in names)
        rows = found.counts[series]
        assert len(rows) == -(-length_s // row_s)
        assert all(count == expected[row] for row, count in enumerate(rows))


@given(INTERVALS)
@effort(20)
def test_totals_are_those_of_all_kinds(intervals: list[tuple[int, dict[str, int]]]) -> None:
    """A total has the same sum as the counts of its family; counts of other families are nowhere."""
    found = added(*intervals)
    for family, name, kinds in (("drops", "reset", found.drops), ("losses", "1006", found.losses)):
        total = sum(counts.get(f"{family}.{name}", 0) for _, counts in intervals)
        assert sum(found.counts[family]) == total
        assert sum(sum(rows) for rows in kinds.values()) == total
        assert set(kinds) <= {name}


def test_workers_of_one_second_are_added_up() -> None:
    """A second's row has the counts of all processes, in whatever order they came."""
    found = added((0, {"messaging.sent": 3}), (1, {"messaging.sent": 5}), (0, {"messaging.sent": 4}))
    assert list(found.counts["sent"]) == [7, 5]


def test_failures_of_all_outcomes_are_one_series() -> None:
    """Lost messages are not among them: each message has one outcome, so the series add up."""
    counts = {f"messaging.{name}": 1 for name in ("failed", "late", "foreign", "lost", "lost_in_outage")}
    found = added((0, counts))
    assert [list(found.counts[name]) for name in ("failed", "lost_messages", "lost_in_outage")] == [
        [3],
        [1],
        [1],
    ]


def test_an_interval_that_began_at_the_very_end_belongs_to_the_last_row() -> None:
    """A run of 2 s may have an interval that starts as its last second ends: nothing is left out."""
    found = added((1, {"messaging.sent": 1}), (2, {"messaging.sent": 2}), length_s=1.999)
    assert list(found.counts["sent"]) == [0, 3]
    assert list(added((0, {"messaging.sent": 1}), length_s=0).counts["sent"]) == []


def test_no_file_can_make_it_large() -> None:
    """Any second, any number and any number of kinds: the rest is added up, and sums do not overflow."""
    many = {f"losses.{number}": 1 for number in range(10 * KINDS_LIMIT)}
    found = added((0, many), (2**40, {"messaging.sent": 2**63 - 1}), (2**40, {"messaging.sent": 2**63 - 1}))
    assert len(found.losses) == KINDS_LIMIT + 1
    assert sum(sum(rows) for rows in found.losses.values()) == 10 * KINDS_LIMIT
    assert sum(found.losses[OTHER]) == 9 * KINDS_LIMIT
    assert len(found.counts["sent"]) <= ROWS_LIMIT
    assert max(found.counts["sent"]) > 2**60
