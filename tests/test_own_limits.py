"""The load generator's own limits, ports and files: told, and never held against the server."""

import pytest

from loadtest.recorder import OWN_LIMITS
from loadtest.verdict import Ruling, judge
from tests.support.runs import sound


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
    assert found.evidence["counts"][cause] == 50
    assert not verdict.generator.valid
    assert f"50 attempts of the item {item} could not be made" in verdict.generator.problems[0]


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
