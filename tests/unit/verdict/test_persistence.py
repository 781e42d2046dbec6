"""The item persistence: its rule from both sides."""

from __future__ import annotations

import pytest

from loadtest.results.manifest import Promises
from loadtest.ruling import Ruling
from loadtest.verdict.persistence import FAILINGS as PERSISTENCE_FAILINGS
from loadtest.verdict.run import judge
from tests.support.rulings import ruling, told
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


def test_resumes_that_never_tell_an_identity() -> None:
    """A longer run would not help."""
    run = sound({"persistence.checked": 0, "reconnect.resumed": 31})
    assert ruling("persistence", run) is Ruling.INCONCLUSIVE
    assert told("persistence", run) == (
        "none of 31 resumes could be checked: the dialect read no session id from the server's messages"
    )


def test_without_history_the_identity_alone_is_judged() -> None:
    """Evidence and summary say that it was."""
    item = judge(sound({"persistence.histories": 0, "persistence.acknowledged": 0})).item("persistence")
    assert item.verdict is Ruling.PASS
    assert "no history to compare" in item.summary
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


NONE_RESTORED = {
    "persistence.histories": 0,
    "persistence.acknowledged": 0,
    "persistence.history_missing": 190,
}


def test_a_server_that_never_restores_keeps_no_history() -> None:
    """Where no resume of the run brought a history, the item is not judged, with that reason."""
    item = judge(sound(NONE_RESTORED)).item("persistence")
    assert item.verdict is Ruling.NOT_JUDGED
    assert "keeps no history: none of 190 resumes" in item.summary


def test_some_resumes_without_a_history_fail() -> None:
    """A server that restores histories must do so at each resume that owes one."""
    some = sound({"persistence.histories": 189, "persistence.history_missing": 1})
    assert ruling("persistence", some) is Ruling.FAIL


def test_an_empty_history_fails() -> None:
    """A history that comes, and holds nothing of what was acknowledged, is not the same as none."""
    empty = sound({**NONE_RESTORED, "persistence.histories": 190, "persistence.missing": 3000})
    assert ruling("persistence", empty) is Ruling.FAIL


@pytest.mark.parametrize("name", ["identity_changed", "redelivered", "foreign"])
def test_a_server_without_history_may_fail_all_the_same(name: str) -> None:
    """Identity and redelivered replies are judged where no history is kept, too."""
    assert ruling("persistence", sound({**NONE_RESTORED, f"persistence.{name}": 1})) is Ruling.FAIL


def test_replies_again_before_any_resume_was_checked() -> None:
    """The summary counts no resumes then."""
    again = sound({**NONE_RESTORED, "persistence.checked": 0, "persistence.redelivered": 7})
    assert told("persistence", again) == "7 replies delivered again"


def test_few_resumes_without_a_history_are_inconclusive() -> None:
    """Under ten checked resumes it cannot be told whether the server keeps a history."""
    few = {**NONE_RESTORED, "persistence.checked": 9, "persistence.history_missing": 9}
    assert ruling("persistence", sound(few)) is Ruling.INCONCLUSIVE


def test_a_history_that_the_baseline_had_must_not_vanish() -> None:
    """Against a baseline that restored histories, none at all is a regression; so it is beside some."""
    item = judge(sound(NONE_RESTORED), baseline=sound()).item("persistence")
    assert item.verdict is Ruling.FAIL
    assert "of the baseline did" in item.summary
    unchanged = judge(sound(NONE_RESTORED), baseline=sound(NONE_RESTORED)).item("persistence")
    assert unchanged.verdict is not Ruling.FAIL


@pytest.mark.parametrize(("histories", "expected"), [(1, Ruling.INCONCLUSIVE), (10, Ruling.PASS)])
def test_few_histories_prove_little(histories: int, expected: Ruling) -> None:
    """Where the server keeps a history, ten resumes with the same identity do not make up for histories."""
    run = sound({"persistence.histories": histories, "persistence.checked": 10})
    assert ruling("persistence", run) is expected
    if expected is Ruling.INCONCLUSIVE:
        assert "only 1 restored history could be compared, 10 are needed" in told("persistence", run)
