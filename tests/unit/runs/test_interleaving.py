"""Several pairs are compared only if they were made in turn."""

from __future__ import annotations

import pytest

from loadtest.errors import UsageError
from loadtest.results.manifest import Manifest
from loadtest.runs.interleaving import check_interleaved
from tests.support.recorded_runs import begun


def pairs(order: str) -> list[tuple[Manifest, Manifest]]:
    """Return pairs of runs made in an order such as `abba`, the first of each side with each other."""
    runs = [begun(f"{side}{at}", f"v{side}", at_s=at) for at, side in enumerate(order)]
    sides = ([run for run in runs if run.revision == f"v{side}"] for side in "ab")
    return list(zip(*sides, strict=True))


@pytest.mark.parametrize("order", ["ab", "ba", "abab", "abba", "baab", "abbaabba", "baba"])
def test_runs_in_turn_are_pairs(order: str) -> None:
    """Whichever comes first; a single pair has no turn."""
    check_interleaved(pairs(order))


@pytest.mark.parametrize("order", ["aabb", "bbaa", "aaabbb", "abaabb", "aabbab", "abbbaa"])
def test_runs_one_side_after_the_other_are_refused(order: str) -> None:
    """What changed between the two would be in each pair; the runs are named in order, with what to do."""
    with pytest.raises(UsageError) as refused:
        check_interleaved(pairs(order))
    said = str(refused.value)
    assert said.startswith("the runs were not made in turn")
    assert f"v{order[0]} ({order[0]}0), v{order[1]} ({order[1]}1)" in said
    assert "loadtest duel" in said


def test_pairs_that_were_named_crosswise_are_refused() -> None:
    """A run is compared with the one beside it, not with one of the next pair."""
    (first, second) = pairs("abab")
    with pytest.raises(UsageError, match="not made in turn"):
        check_interleaved([(first[0], second[1]), (second[0], first[1])])


def test_many_runs_and_hostile_names_make_a_short_error() -> None:
    """A few runs are named, and a name takes one line."""
    runs = [begun(f"r{at}", "v\x1b[2J\n" + "A" * 3000, at_s=at) for at in range(40)]
    with pytest.raises(UsageError) as refused:
        check_interleaved(list(zip(runs[:20], runs[20:], strict=True)))
    assert "and 32 more" in str(refused.value)
    assert len(str(refused.value)) < 1000
    assert not {"\x1b", "\n"} & set(str(refused.value))
