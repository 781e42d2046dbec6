"""The item connect: its rule from both sides."""

from __future__ import annotations

from loadtest.ruling import Ruling
from loadtest.verdict.connect import MAX_FAILED_RATIO
from loadtest.verdict.evidence import ErrorSeen
from loadtest.verdict.run import judge
from tests.support.rulings import ruling, told
from tests.support.runs import sound, tally

# connect


def test_connecting_fails_above_one_in_a_thousand() -> None:
    """A failed attempt or two in thousands is no finding, one in a hundred is."""
    established, most = 10_000, int(MAX_FAILED_RATIO * 10_000)

    def failed(count: int) -> Ruling:
        attempts = {"connect.attempts": established + count, "connect.established": established}
        return ruling("connect", sound({**attempts, "connect.failed": count}))

    assert failed(most) is Ruling.PASS
    assert failed(most + 1) is Ruling.FAIL


def test_attempts_that_hang_at_the_end_are_inconclusive() -> None:
    """A server that does not answer some sessions at all is not called sound because the run was short."""
    hanging = sound({"connect.attempts": 110, "connect.unresolved": 10})
    assert ruling("connect", hanging) is Ruling.INCONCLUSIVE
    assert "10 of 110 attempts had no answer" in told("connect", hanging)
    assert ruling("connect", sound({"connect.attempts": 110, "connect.cut_short": 10})) is Ruling.PASS


def test_a_session_that_gave_up_connecting_fails() -> None:
    """Not one may."""
    assert ruling("connect", sound({"connect.attempts": 10**6, "connect.gave_up": 1})) is Ruling.FAIL


def test_no_session_established_is_inconclusive() -> None:
    """Attempts under way at the end of a short run tell nothing."""
    assert ruling("connect", sound({"connect.established": 0})) is Ruling.INCONCLUSIVE
    assert ruling("connect", sound(without=["connect"])) is Ruling.INCONCLUSIVE


def test_errors_are_told_with_an_example_and_their_first() -> None:
    """The three commonest errors, each with count, example, session and time of the first."""
    errors = [tally("connect", f"error {count}", count, at_s=count) for count in (1, 4, 2, 3)]
    found = judge(sound({"connect.failed": 10}, errors=errors)).item("connect").evidence.errors
    assert [error.count for error in found] == [4, 3, 2]
    assert found[0] == ErrorSeen(error="error 4", count=4, example="an example", session="s-1", at_s=4.0)
