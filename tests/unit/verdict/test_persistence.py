"""The item persistence: its rule from both sides."""

from __future__ import annotations

import pytest

from loadtest.results.manifest import Promises
from loadtest.ruling import Ruling
from loadtest.verdict.persistence import FAILINGS as PERSISTENCE_FAILINGS
from loadtest.verdict.run import judge
from tests.support.rulings import ruling
from tests.support.runs import manifest, plan, sound

# persistence


@pytest.mark.parametrize("name", PERSISTENCE_FAILINGS)
def test_one_broken_promise_fails(name: str) -> None:
    """Whatever a server acknowledged holds after a resume."""
    assert ruling("persistence", sound({f"persistence.{name}": 1})) is Ruling.FAIL


def test_few_resumes_tell_too_little_of_persistence() -> None:
    """Ten checked resumes are the least."""
    assert ruling("persistence", sound({"persistence.checked": 9})) is Ruling.INCONCLUSIVE
    assert ruling("persistence", sound({"persistence.checked": 10})) is Ruling.PASS


def test_without_history_the_identity_alone_is_judged() -> None:
    """Evidence and summary say that it was."""
    item = judge(sound({"persistence.histories": 0, "persistence.acknowledged": 0})).item("persistence")
    assert item.verdict is Ruling.PASS
    assert "identity only" in item.summary
    assert item.evidence.judged_by == "identity only"


@pytest.mark.parametrize(("dialect", "checked"), [("echo", 0), ("somebodys-own", 0)])
def test_dialects_without_identity_are_not_judged(dialect: str, checked: int) -> None:
    """Nor is a dialect that this process does not know and that compared nothing."""
    of = manifest(run_plan=plan(dialect=dialect))
    assert ruling("persistence", sound(of=of, without=["persistence"])) is Ruling.NOT_JUDGED


def test_an_unknown_dialect_is_judged_by_what_it_compared() -> None:
    """A report made without the user's locustfile comes to the same verdict."""
    of = manifest(run_plan=plan(dialect="somebodys-own"))
    assert ruling("persistence", sound(of=of)) is Ruling.PASS
    assert ruling("persistence", sound({"persistence.missing": 1}, of=of)) is Ruling.FAIL


def test_an_unknown_dialect_is_judged_by_what_it_promised() -> None:
    """A run that recorded an identity is not said to have none because nothing came back."""
    promises = Promises(ordered=True, identifies=True, pushes=False)
    of = manifest(run_plan=plan(dialect="somebodys-own"), promises=promises)
    assert ruling("persistence", sound(of=of, without=["persistence"])) is Ruling.INCONCLUSIVE


NO_HISTORY = {
    "persistence.histories": 0,
    "persistence.acknowledged": 0,
    "persistence.history_missing": 20,
}
"""No resume brought a history, though each owed one."""


def test_a_server_that_restores_nothing_keeps_nothing() -> None:
    """Without any restored history the item is not judged, and says why; another identity still fails it."""
    item = judge(sound(NO_HISTORY)).item("persistence")
    assert item.verdict is Ruling.NOT_JUDGED
    assert "keeps no history: none of 20 resumes restored any" in item.summary
    assert ruling("persistence", sound({**NO_HISTORY, "persistence.identity_changed": 1})) is Ruling.FAIL


def test_a_history_that_the_baseline_had_must_not_vanish() -> None:
    """Against a baseline that restored histories, none at all is a regression; so it is beside some."""
    item = judge(sound(NO_HISTORY), baseline=sound()).item("persistence")
    assert item.verdict is Ruling.FAIL
    assert "of the baseline did" in item.summary
    assert judge(sound(NO_HISTORY), baseline=sound(NO_HISTORY)).item("persistence").verdict is not Ruling.FAIL
    assert ruling("persistence", sound({"persistence.history_missing": 1})) is Ruling.FAIL
