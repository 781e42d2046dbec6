"""From comparisons to evidence: noise in words, and results from which nothing is concluded."""

from __future__ import annotations

import math

import pytest

from loadtest.ruling import Ruling
from loadtest.statistics.bootstrap import Spread
from loadtest.statistics.noise import Noise
from loadtest.verdict.compared_gates import noise_text, not_compared
from loadtest.verdict.evidence import LatencyEvidence, LimitResult
from loadtest.verdict.gate_evidence import GateResult
from loadtest.verdict.items import Item

WITHIN, BETWEEN = Spread(0.021**2, 10), Spread(0.034**2, 4)


@pytest.mark.parametrize(
    ("same_day", "other_day", "said"),
    [
        (None, None, "5%, assumed"),
        (WITHIN, BETWEEN, "2.1% within a day, 3.4% between days, from 14 runs"),
        (WITHIN, None, "2.1% within a day, from 14 runs; 5%, assumed, between days"),
        (None, BETWEEN, "3.4% between days, from 14 runs; 5%, assumed, within a day"),
        (WITHIN, WITHIN, "2.1%, from 14 runs"),
    ],
)
def test_noise_says_where_it_comes_from(same_day: Spread | None, other_day: Spread | None, said: str) -> None:
    """Measured within a day, between days, or assumed."""
    noise = Noise(assumed_ratio=0.05, runs=14, same_day=same_day, other_day=other_day)
    assert noise_text(noise) == said
    assert math.sqrt(WITHIN.variance) == pytest.approx(0.021)


def latency(*limits: LimitResult) -> Item[LatencyEvidence]:
    """Return the item latency as judged: a gate of each decision, and a duel that would settle it."""
    gates = [GateResult(gate=str(one), decision=one, suspect=True, more_pairs=3) for one in Ruling]
    evidence = LatencyEvidence(
        gates=gates, suspect=["INCONCLUSIVE"], duel_command="loadtest duel", time_limits=list(limits) or None
    )
    return Item(item="latency", verdict=Ruling.FAIL, summary="worse: FAIL", evidence=evidence)


def test_nothing_is_concluded_from_what_is_not_compared() -> None:
    """No gate passes or fails, and no duel is advised; what was measured stays."""
    found = not_compared(latency(), "cores 2 → 8")
    assert (found.verdict, found.summary) == (
        Ruling.INCONCLUSIVE,
        "latency was not compared: cores 2 → 8",
    )
    gates = found.evidence.gates or []
    assert {gate.gate: str(gate.decision) for gate in gates} == {
        "PASS": "INCONCLUSIVE",
        "FAIL": "INCONCLUSIVE",
        "INCONCLUSIVE": "INCONCLUSIVE",
        "NOT_JUDGED": "NOT_JUDGED",
    }
    assert not any(gate.suspect or gate.more_pairs for gate in gates if gate.gate != "NOT_JUDGED")
    assert (found.evidence.suspect, found.evidence.duel_command) == (None, None)


@pytest.mark.parametrize("ruling", [Ruling.FAIL, Ruling.PASS])
def test_limits_are_judged_all_the_same(ruling: Ruling) -> None:
    """A broken one fails; one that holds makes no PASS."""
    limit = LimitResult(name="p99", verdict=ruling, reason="service p99 10 ms, limit 5 ms")
    found = not_compared(latency(limit), "cores 2 → 8")
    assert found.verdict is (Ruling.FAIL if ruling is Ruling.FAIL else Ruling.INCONCLUSIVE)
    assert found.evidence.time_limits == [limit]
