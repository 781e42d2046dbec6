"""Sessions are exempted from garbage collection as they come, in steps that keep each collection short."""

import gc
from itertools import pairwise

import pytest

from loadtest.engine.lasting_objects import LastingObjects


class Collections:
    """Takes the collector's place: how large the run was at each collection, and what was exempted."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.size = 0
        self.collected: list[int] = []
        self.exempted: list[int] = []
        self.thresholds: list[tuple[int, ...]] = [(700, 10, 5)]
        patch.setattr(gc, "collect", lambda: self.collected.append(self.size))
        patch.setattr(gc, "freeze", lambda: self.exempted.append(self.size))
        patch.setattr(gc, "unfreeze", self.exempted.clear)
        patch.setattr(gc, "get_threshold", lambda: self.thresholds[-1])
        patch.setattr(gc, "set_threshold", lambda *thresholds: self.thresholds.append(thresholds))

    def grow(self, lasting: LastingObjects, sizes: range) -> None:
        """Report these sizes in turn."""
        for self.size in sizes:
            lasting.grown_to(self.size)


@pytest.fixture
def collections(monkeypatch: pytest.MonkeyPatch) -> Collections:
    """The collector's stand-in."""
    return Collections(monkeypatch)


def test_garbage_is_collected_before_the_rest_is_exempted(collections: Collections) -> None:
    """Whatever is garbage at the moment must not be exempted: it would never be freed."""
    collections.grow(LastingObjects(), range(10_000))
    assert collections.exempted
    assert collections.collected == collections.exempted


def test_no_collection_looks_at_more_than_a_step(collections: Collections) -> None:
    """With many sessions, every collection has the same few to look at: the pause does not grow."""
    collections.grow(LastingObjects(), range(50_000))
    steps = [later - earlier for earlier, later in pairwise([0, *collections.exempted])]
    assert max(steps) == 501
    assert collections.exempted[-1] > 49_400


def test_few_sessions_are_exempted_too(collections: Collections) -> None:
    """In a small run, seven of eight sessions are exempted, without a collection for each of them."""
    collections.grow(LastingObjects(), range(101))
    assert collections.exempted[-1] >= 88
    assert len(collections.exempted) < 40


def test_a_size_that_does_not_grow_costs_nothing(collections: Collections) -> None:
    """Sessions that drop and come up again change the size by little, again and again."""
    lasting = LastingObjects()
    collections.grow(lasting, range(10_001))
    collections.collected.clear()
    for size in (9_600, 10_050, 9_000, 10_050) * 100:
        lasting.grown_to(size)
    assert len(collections.collected) <= 1


def test_the_collector_starts_as_often_as_before_once_it_is_closed(collections: Collections) -> None:
    """Its settings are those of the whole process."""
    lasting = LastingObjects()
    assert collections.thresholds[-1] == (10_000, 10, 5)
    lasting.close()
    assert collections.thresholds[-1] == (700, 10, 5)


def test_several_engines_leave_the_collector_as_it_was(collections: Collections) -> None:
    """Each class of users has one in the same process, and the first to begin may be the first to end."""
    first, second = LastingObjects(), LastingObjects()
    first.close()
    second.close()
    assert collections.thresholds[-1] == (700, 10, 5)


def test_nothing_is_exempted_once_it_is_closed(collections: Collections) -> None:
    """A process may make several runs, and an engine refers to itself: only a collection frees it."""
    lasting = LastingObjects()
    collections.grow(lasting, range(100))
    lasting.close()
    assert collections.exempted == []
