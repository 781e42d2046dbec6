"""Sessions that share an identity, found from lifecycle events."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loadtest.results.identities import Identities, SharedIdentities
from loadtest.session.recorder import Lifecycle


def event(
    session: str, known_as: str | None = None, *, said: bool = False, what: str = "connected"
) -> Lifecycle:
    """Return the event of a session that the server gave this id."""
    return Lifecycle(at_ns=1, event=what, session=session, known_as=known_as, reassigned=said)


def found(*events: Lifecycle) -> SharedIdentities | None:
    """Return what these events show."""
    identities = Identities()
    for one in events:
        identities.event(one)
    return identities.shared()


@pytest.mark.parametrize(
    "events",
    [
        [event("a"), event("b")],
        [event("a", "x"), event("b", "y")],
        [event("a", "x"), event("a", "x", what="resumed"), event("b", "y")],
        [event("a"), event("b"), event("b", "a", what="resumed")],
        [event("a"), event("b", "a", what="dropped")],
        [event("a", "x" * 300 + "1"), event("b", "x" * 300 + "2")],
    ],
    ids=["own", "assigned", "resumed", "came back as another", "another event", "long"],
)
def test_ids_of_their_own(events: list[Lifecycle]) -> None:
    """Each session has another id at its first establishment, whether its own or the server's."""
    assert found(*events) is None


@pytest.mark.parametrize("first", [0, 1])
def test_the_id_of_another_session(first: int) -> None:
    """In whatever order workers deliver their events, the session that has its own id is no stray."""
    events = [event("a"), event("b", "a")]
    shared = found(*events[first:], *events[:first])
    assert shared == SharedIdentities(sessions=2, ids=1, strays=1, unsaid=1, pairs=(("a", "b", "a"),))
    assert not shared.said


def test_one_id_for_all() -> None:
    """The server says so of each: no stray was given it unsaid."""
    shared = found(*(event(name, "x", said=True) for name in "abc"))
    assert shared == SharedIdentities(sessions=3, ids=1, strays=2, unsaid=0, pairs=(("a", "b", "x"),))
    assert shared.said
    partly = found(event("a", "x", said=True), event("b", "x", said=True), event("c", "x"))
    assert partly is not None
    assert not partly.said


@pytest.mark.parametrize(("given", "strays"), [("y", 0), ("x", 1), ("a", 1), ("b", 0)])
def test_an_id_that_comes_later(given: str, strays: int) -> None:
    """Until then a session has its own; the server's first word counts, whenever it comes."""
    events = [event("a", "x"), event("b"), event("b", given, what="named"), event("b", "z", what="named")]
    shared = found(*events)
    assert (0 if shared is None else shared.strays) == strays


def test_groups_are_formed_only_where_a_session_has_come() -> None:
    """A run asks each second, of up to 50,000 sessions."""
    identities = Identities()
    for name in "ab":
        identities.event(event(name, "x"))
    first = identities.shared()
    identities.event(event("a", "x", what="resumed"))
    assert identities.shared() is first
    identities.event(event("c", "x"))
    assert identities.shared() == replace(first, sessions=3, strays=2, unsaid=2)  # type: ignore[type-var]


def test_swapped_ids() -> None:
    """Two sessions that have each other's id share two."""
    shared = found(event("a", "b"), event("b", "a"))
    assert shared is not None
    assert (shared.sessions, shared.ids, shared.strays, shared.unsaid) == (2, 2, 2, 2)


def test_a_connection_lost_before_the_session_worked() -> None:
    """It was established all the same; one that failed before that was given no id."""
    lost = Lifecycle(at_ns=1, event="failed", session="b", known_as="a", phase="working")
    refused = Lifecycle(at_ns=1, event="failed", session="b", phase="upgrade")
    shared = found(event("a"), refused, lost)
    assert shared is not None
    assert shared.pairs == (("a", "b", "a"),)


def test_examples_are_few() -> None:
    """However many ids are shared."""
    shared = found(*(event(f"{name}{number}", name) for name in "vwxyz" for number in range(3)))
    assert shared is not None
    assert (shared.sessions, shared.ids, shared.strays, len(shared.pairs)) == (15, 5, 10, 2)
