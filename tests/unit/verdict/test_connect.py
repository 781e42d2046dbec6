"""The item connect: its rule from both sides."""

from __future__ import annotations

from loadtest.ruling import Ruling
from loadtest.verdict.connect import MAX_FAILED_RATIO
from loadtest.verdict.evidence import ErrorSeen
from loadtest.verdict.run import judge
from tests.support.rulings import ruling, told
from tests.support.runs import manifest, sound, tally

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


def test_the_summary_has_the_commonest_cause() -> None:
    """All attempts failed alike, or most of them: the cause is told in words, and how often it occurred."""
    counts = {"connect.attempts": 80, "connect.failed": 80, "connect.established": 0}
    refused = [tally("connect", "upgrade: http_403", 80)]
    assert told("connect", sound(counts, errors=refused)) == "80 of 80 attempts failed: HTTP 403 for /ws/…"
    errors = [tally("connect", "upgrade: http_503", 9), tally("connect", "tcp: refused", 3)]
    some = sound({"connect.attempts": 112, "connect.failed": 12, "connect.gave_up": 2}, errors=errors)
    assert told("connect", some) == (
        "12 of 112 attempts failed, 2 sessions gave up; 9 times: HTTP 503 for /ws/…"
    )
    assert told("connect", sound(counts)) == "80 of 80 attempts failed"


def test_our_own_limits_are_no_cause() -> None:
    """Attempts that this machine could not make do not explain those that the server refused."""
    errors = [tally("connect", "tcp: out_of_ports", 30), tally("connect", "upgrade: http_503", 9)]
    counts = {"connect.attempts": 139, "connect.failed": 39, "connect.out_of_ports": 30}
    found = told("connect", sound(counts, errors=errors))
    assert found == "39 of 139 attempts failed; 9 times: HTTP 503 for /ws/…"


def test_attempts_without_an_end_are_advised_by_their_timeout() -> None:
    """Where nothing was established yet, it is the attempts' timeout that a run must outlast."""
    hanging = sound({"connect.established": 0, "connect.unresolved": 100}, without=["messaging"])
    assert ruling("connect", hanging) is Ruling.INCONCLUSIVE
    assert told("connect", hanging) == (
        "no session was established in 60 s: 100 of 100 attempts had no answer yet. "
        "Run longer than --ws-open-timeout (10 s), or lower it"
    )


def test_a_run_that_was_ended_early_never_passes() -> None:
    """A run without prospects is FAIL by what it saw, and no item of it passes."""
    early = manifest(ended_early="all 100 sessions have given up")
    counts = {"connect.attempts": 100, "connect.failed": 100, "connect.gave_up": 100}
    hopeless = judge(sound(counts | {"connect.established": 0}, of=early))
    assert hopeless.verdict is Ruling.FAIL
    assert hopeless.item("connect").summary == "100 of 100 attempts failed, 100 sessions gave up"
    assert judge(sound(of=early)).verdict is Ruling.INCONCLUSIVE
    note = "the run was ended early: all 100 sessions have given up"
    assert judge(sound(of=early)).notes == [note]
