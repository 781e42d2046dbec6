"""Accounting, and the load generator's own limits: told, and never held against the server."""

from __future__ import annotations

import pytest

from loadtest.ruling import Ruling
from loadtest.session.recorder import OWN_LIMITS
from loadtest.verdict.items import unaccounted
from loadtest.verdict.messaging import OUTCOMES
from loadtest.verdict.run import judge
from tests.support.rulings import ruling, told
from tests.support.runs import manifest, sound


def test_books_that_do_not_balance_are_inconclusive() -> None:
    """What has no outcome means that the tool, or a worker, lost something."""
    evidence = sound({"messaging.answered": 4880})
    assert ruling("messaging", evidence) is Ruling.INCONCLUSIVE
    assert "10 of 5,000 messages sent have no outcome" in told("messaging", evidence)
    evidence = sound({"messaging.answered": 4900})
    assert "5,000 messages sent have too many outcomes (10)" in told("messaging", evidence)
    evidence = sound({"connect.attempts": 101, "reconnect.outages": 201})
    assert "1 of 101 attempts have no outcome" in told("connect", evidence)
    assert "1 of 201 outages have no outcome" in told("reconnect", evidence)
    assert ruling("connect", evidence) is ruling("reconnect", evidence) is Ruling.INCONCLUSIVE


def test_a_killed_run_cannot_have_more_outcomes_than_requests() -> None:
    """Requests may be under way when a run is killed, but not the other way round."""
    killed = manifest(complete=False)
    assert unaccounted(sound({"messaging.answered": 4880}, of=killed), "messaging", "sent", OUTCOMES) == 0
    assert unaccounted(sound({"messaging.answered": 4900}, of=killed), "messaging", "sent", OUTCOMES) == -10


def _ruling(counts: dict[str, int], item: str) -> Ruling:
    return judge(sound(counts)).item(item).verdict


@pytest.mark.parametrize("cause", OWN_LIMITS)
@pytest.mark.parametrize("item", ["connect", "reconnect"])
def test_attempts_that_could_not_be_made_are_inconclusive(item: str, cause: str) -> None:
    """They make the item INCONCLUSIVE, naming the limit and what to do, and the generator invalid."""
    counts = {f"{item}.attempts": 300, f"{item}.failed": 50, f"{item}.gave_up": 2, f"{item}.{cause}": 50}
    verdict = judge(sound(counts))
    found = verdict.item(item)
    assert found.verdict is Ruling.INCONCLUSIVE
    assert {"out_of_ports": "--ws-source-ip", "out_of_files": "ulimit -n"}[cause] in found.summary
    assert found.evidence.counts[cause] == 50
    assert not verdict.generator.valid
    assert f"50 {item} attempts could not be made" in verdict.generator.problems[0]


@pytest.mark.parametrize("item", ["connect", "reconnect"])
def test_the_servers_refusals_still_fail(item: str) -> None:
    """What the server refused besides fails the item as ever, and so does who gave up because of it."""
    counts = {f"{item}.attempts": 300, f"{item}.failed": 50, f"{item}.out_of_files": 10}
    assert _ruling(counts, item) is Ruling.FAIL
    counts = {f"{item}.attempts": 300, f"{item}.failed": 10, f"{item}.out_of_files": 10}
    assert _ruling({**counts, f"{item}.gave_up": 11}, item) is Ruling.FAIL


def test_a_forbidding_close_code_fails_whatever_ran_out() -> None:
    """No close code is the generator's fault."""
    counts = {"reconnect.failed": 10, "reconnect.out_of_files": 10, "reconnect.forbidden": 1}
    assert _ruling(counts, "reconnect") is Ruling.FAIL
