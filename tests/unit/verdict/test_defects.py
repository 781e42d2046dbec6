"""What is wrong in a failed item, by name, and when a failure is another or a worse one."""

from __future__ import annotations

import pytest

from loadtest.results.manifest import Manifest
from loadtest.ruling import Ruling
from loadtest.session.recorder import Lifecycle
from loadtest.statistics.time_limits import parse_limits, stored
from loadtest.verdict.defects import defects_of, summed, worsened
from loadtest.verdict.evidence import ConnectEvidence, LatencyEvidence, LimitResult
from loadtest.verdict.log_evidence import ServerLogEvidence
from loadtest.verdict.run import judge
from tests.support.runs import gathered, interval, manifest, sound


def found(item: str, counts: dict[str, int] | None = None, *, of: Manifest | None = None) -> dict[str, int]:
    """Return the defects of an item of a run with these counts added."""
    judged = judge(sound(counts, of=of)).item(item)
    assert judged.verdict is Ruling.FAIL
    return dict(defects_of(judged.evidence))


def test_counts_of_which_none_are_allowed_are_defects() -> None:
    """Each item names them itself in its limits; counts of what is in order are left out."""
    assert found("messaging", {"messaging.lost": 3, "messaging.foreign": 1}) == {"lost": 3, "foreign": 1}
    assert found("persistence", {"persistence.missing": 2}) == {"missing": 2}
    assert found("reconnect", {"reconnect.gave_up": 4}) == {"gave_up": 4}
    assert found("cleanup", {"cleanup.close_watched": 5, "cleanup.close_not_closed": 5}) == {
        "close_not_closed": 5
    }


def test_failed_attempts_are_a_defect_though_a_few_are_allowed() -> None:
    """More of them are a worse failure."""
    assert found("connect", {"connect.attempts": 150, "connect.failed": 50}) == {"failed": 50}


def test_a_broken_limit_is_a_defect_of_its_own() -> None:
    """A slow first connection is not a failed one."""
    slow = LimitResult(name="connect.p95", verdict=Ruling.FAIL)
    kept = LimitResult(name="connect.p50", verdict=Ruling.PASS)
    for evidence in (ConnectEvidence(time_limits=[slow, kept]), LatencyEvidence(time_limits=[slow, kept])):
        assert defects_of(evidence) == {"limit connect.p95": 1}
    assert defects_of(LatencyEvidence()) == {}
    assert stored(parse_limits(["connect.p95=1s"])) == {"connect.p95": 1000.0}  # the name that results have


def test_losses_by_cause_are_defects() -> None:
    """A loss that a rule allows without bound is none."""
    lost = [
        Lifecycle(at_ns=number, event="lost", session="s", cause=cause, code=int(cause))
        for number, cause in enumerate(("1012", "1012", "1001"))
    ]
    counts = {"losses.1012": 2, "losses.1001": 1}
    of = manifest(allowed_losses=("1001=any",))
    run = gathered([interval(0, seconds=60, counts=counts, lifecycle=lost)], of)
    assert defects_of(judge(run).item("stability").evidence) == {"lost by 1012": 2}


def test_the_servers_log_has_three_defects() -> None:
    """Disconnects as errors, disconnects as warnings, and real errors beyond the allowance."""
    evidence = ServerLogEvidence(
        disconnect_records=20, info_ratio=0.5, disconnect_errors=4, real_errors=3, allowed_errors=1
    )
    assert defects_of(evidence) == {
        "disconnects logged above INFO": 6,
        "disconnects logged as errors": 4,
        "real errors": 2,
    }
    assert defects_of(ServerLogEvidence(real_errors=1, allowed_errors=1)) == {}


def test_evidence_of_nothing_has_no_defects() -> None:
    """An item without evidence has an empty object."""
    assert defects_of({}) == {}


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"lost": 5}, {"lost": 9}, ""),
        ({"lost": 5}, {"lost": 15}, ""),
        ({"lost": 5}, {"lost": 16}, "lost 5 → 16"),
        ({"lost": 100}, {"lost": 200}, ""),
        ({"lost": 100}, {"lost": 201}, "lost 100 → 201"),
        ({"lost": 5}, {"lost": 5, "foreign": 1}, "foreign 0 → 1"),
        ({"lost": 5, "foreign": 1}, {"lost": 5}, ""),
        ({"lost": 5}, {}, "in another way"),
        ({}, {}, ""),
        ({}, {"lost": 1}, "lost 0 → 1"),
    ],
)
def test_when_a_failure_is_a_worse_one(before: dict[str, int], after: dict[str, int], told: str) -> None:
    """A new defect, or over twice as many and over ten more; fewer are none."""
    assert worsened(before, after) == told


def test_defects_of_several_runs_are_summed() -> None:
    """A defect may occur in one run only."""
    logs = [ServerLogEvidence(real_errors=2), ServerLogEvidence(real_errors=1, disconnect_errors=1)]
    assert summed(logs) == {"real errors": 3, "disconnects logged as errors": 1}
