"""What a forest plot shows of each gate: change, interval, margin, the change of each pair."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loadtest.report.forest import ROWS_LIMIT, forest, pair_change, unsettled
from loadtest.report.judged_comparison import JudgedComparison, PairMade
from loadtest.report.pair_sums import First, PairSums
from loadtest.ruling import Ruling
from loadtest.statistics.margins import GateKind
from loadtest.verdict.evidence import LatencyEvidence, PairEvidence
from loadtest.verdict.gate_evidence import GateResult
from loadtest.verdict.items import Item


def compared(gates: list[GateResult], runs: list[PairEvidence] | None = None) -> JudgedComparison:
    """Return a comparison with these gates and pairs; the second pair was made the other way round."""
    firsts = [First.BASELINE, First.CANDIDATE]
    return JudgedComparison(
        made_by="compare",
        verdict=Ruling.INCONCLUSIVE,
        baseline="v1",
        candidate="v2",
        started_at="2026-11-23T14:23:35Z",
        headline="v2 against v1",
        remarks=[],
        commands=[],
        latency=Item(
            item="latency",
            verdict=Ruling.INCONCLUSIVE,
            summary="unclear",
            evidence=LatencyEvidence(gates=gates, runs=runs),
        ),
        changes=[],
        differences=[],
        pairs=[PairMade(baseline=Path("a"), candidate=Path("b"), first=first) for first in firsts],
        drawn=PairSums(),
    )


def gate(name: str = "service p50", **more: Any) -> GateResult:
    """Return the result of a gate on a time."""
    amounts = {"change_ratio": 0.1, "low_ratio": -0.02, "high_ratio": 0.2, "margin_ratio": 0.05}
    return GateResult(**{"gate": name, **amounts, **more})


LOSSES = GateResult(
    gate="losses",
    kind=GateKind.LOSSES,
    decision=Ruling.FAIL,
    change_per_h=6.0,
    low_per_h=4.0,
    high_per_h=9.0,
    margin_per_h=2.0,
)
SLOW = GateResult(
    gate="slow replies",
    kind=GateKind.SLOW,
    change_ratio=0.001,
    low_ratio=-0.0005,
    high_ratio=0.002,
    margin_ratio=0.0005,
)


def test_a_time_is_drawn_as_a_ratio() -> None:
    """Change, bounds and margin as the gate has them."""
    (row,) = forest(compared([gate()])).times
    assert (row.low, row.change, row.high, row.margin) == (-0.02, 0.1, 0.2, 0.05)


def test_shares_and_losses_are_drawn_in_margins() -> None:
    """They have no relative change: 6 an hour is three margins of 2 an hour, 0.1 points two of 0.05."""
    found = forest(compared([LOSSES, SLOW]))
    assert [(row.low, row.change, row.high, row.margin) for row in found.counted] == [
        (2.0, 3.0, 4.5, 1.0),
        (pytest.approx(-1.0), pytest.approx(2.0), pytest.approx(4.0), 1.0),
    ]
    assert found.times == []


@pytest.mark.parametrize(
    "without",
    [
        gate(change_ratio=None, reason="20 samples, p50 needs 100"),
        gate(margin_ratio=None),
        gate(margin_ratio=0.0),
        GateResult(gate="losses", kind=GateKind.LOSSES, change_per_h=1.0, margin_per_h=0.0),
    ],
)
def test_what_cannot_be_drawn_is_in_no_row(without: GateResult) -> None:
    """A gate without a change or a margin; the table of gates has it."""
    found = forest(compared([without]))
    assert (found.times, found.counted) == ([], [])


def test_pairs_are_points_of_their_gate() -> None:
    """With the order of their runs, and whether they count; an unknown change is no point."""
    runs = [
        PairEvidence(pair=1, fit=True, change_ratios={"service p50": 0.1}, losses_change_per_h=3.0),
        PairEvidence(pair=2, fit=False, change_ratios={"service p50": 0.3}),
    ]
    found = forest(compared([gate(), LOSSES, gate("service p99")], runs))
    p50, p99 = found.times
    assert [(one.pair, one.change, one.first, one.fit) for one in p50.pairs] == [
        (1, 0.1, First.BASELINE, True),
        (2, 0.3, First.CANDIDATE, False),
    ]
    assert [one.change for one in found.counted[0].pairs] == [1.5]
    assert p99.pairs == []


def test_a_share_has_no_points_of_another_kind() -> None:
    """A pair knows the relative change of a quantile; the change of its share of slow replies is another."""
    pair = PairEvidence(pair=1, fit=True, change_ratios={"slow replies": 0.5})
    assert pair_change(SLOW, pair) is None


def test_a_pair_that_was_not_made_is_not_drawn() -> None:
    """A number beyond the pairs, as only a file could have."""
    runs = [PairEvidence(pair=number, fit=True, change_ratios={"service p50": 0.1}) for number in (0, 3)]
    assert forest(compared([gate()], runs)).times[0].pairs == []


def test_the_rows_are_bounded() -> None:
    """A manifest may name any number of user classes, with a dozen gates each."""
    found = forest(compared([gate(f"class {number} service p50") for number in range(ROWS_LIMIT + 5)]))
    assert (len(found.times), found.more) == (ROWS_LIMIT, 5)


@pytest.mark.parametrize("ruling", Ruling)
def test_what_is_open(ruling: Ruling) -> None:
    """Neither PASS nor FAIL."""
    assert unsettled(gate(decision=ruling)) is (ruling in (Ruling.INCONCLUSIVE, Ruling.NOT_JUDGED))
