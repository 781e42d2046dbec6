"""What a forest plot of the gates shows: each change with its interval and margin, and that of each pair.

A gate on times has a relative change: these share one axis, in percent. Shares of replies change in points,
and losses in losses per session-hour: of these the axis counts margins, so that they share one, too. Wherever
a gate is drawn, worse is to the right. Gates without a change are in the table of
gates alone. Pure.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loadtest import text
from loadtest.report.judged_comparison import JudgedComparison
from loadtest.report.pair_sums import First
from loadtest.report.tables import gates
from loadtest.ruling import Ruling
from loadtest.statistics.margins import GateKind
from loadtest.verdict.evidence import PairEvidence
from loadtest.verdict.gate_evidence import GateResult

ROWS_LIMIT = 60
"""Gates of a forest: twelve of each user class, and a manifest may name any number of classes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairChange:
    """The change of a gate within one pair.

    Args:
        pair: number of the pair, from 1.
        change: the change, in the unit of the axis.
        first: which run was made first.
        fit: whether the pair counts.
    """

    pair: int
    change: float
    first: First
    fit: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestRow:
    """A gate with a change.

    Args:
        gate: the gate's result.
        change: the estimated change, in the unit of the axis: a ratio, or a number of margins.
        low, high: its bounds; None if they are not known.
        margin: the margin in force, in the same unit.
        pairs: the change within each pair, as far as it is known.
    """

    gate: GateResult
    change: float
    low: float | None
    high: float | None
    margin: float
    pairs: Sequence[PairChange] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Forest:
    """The gates of a comparison, by how they are drawn.

    Args:
        times: gates on times, in ratios.
        counted: gates on shares of replies and on losses, in margins.
        more: number of gates that were left out.
    """

    times: Sequence[ForestRow]
    counted: Sequence[ForestRow]
    more: int


def forest(judged: JudgedComparison) -> Forest:
    """Return the gates of a comparison, in their order."""
    found = gates(judged.latency)
    drawable = [gate for gate in found[:ROWS_LIMIT] if _drawable(gate)]
    return Forest(
        times=[_of_time(gate, judged) for gate in drawable if not _in_margins(gate)],
        counted=[_in_units_of_margin(gate, judged) for gate in drawable if _in_margins(gate)],
        more=max(0, len(found) - ROWS_LIMIT),
    )


def left_out(gates: int) -> str:
    """Return that so many gates are beyond `ROWS_LIMIT`."""
    return f"{text.counted(gates, 'more gate')} of {ROWS_LIMIT + gates} left out"


def unsettled(gate: GateResult) -> bool:
    """Whether nothing was concluded at a gate: it was left out, or it is INCONCLUSIVE."""
    return gate.decision in (Ruling.NOT_JUDGED, Ruling.INCONCLUSIVE)


def _in_margins(gate: GateResult) -> bool:
    return gate.in_points or gate.kind is GateKind.LOSSES


def _drawable(gate: GateResult) -> bool:
    margin = gate.margin_per_h if gate.kind is GateKind.LOSSES else gate.margin_ratio
    return gate.compared and margin is not None and margin > 0


def _of_time(gate: GateResult, judged: JudgedComparison) -> ForestRow:
    return ForestRow(
        gate=gate,
        change=gate.change_ratio or 0.0,
        low=gate.low_ratio,
        high=gate.high_ratio,
        margin=gate.margin_ratio or 0.0,
        pairs=list(_pair_changes(gate, judged)),
    )


def _in_units_of_margin(gate: GateResult, judged: JudgedComparison) -> ForestRow:
    of_losses = gate.kind is GateKind.LOSSES
    margin = (gate.margin_per_h if of_losses else gate.margin_ratio) or 1.0
    amounts = (
        (gate.change_per_h, gate.low_per_h, gate.high_per_h)
        if of_losses
        else (gate.change_ratio, gate.low_ratio, gate.high_ratio)
    )
    change, low, high = (None if amount is None else amount / margin for amount in amounts)
    return ForestRow(
        gate=gate,
        change=change or 0.0,
        low=low,
        high=high,
        margin=1.0,
        pairs=list(_pair_changes(gate, judged, margin)),
    )


def _pair_changes(gate: GateResult, judged: JudgedComparison, unit: float = 1.0) -> Iterator[PairChange]:
    """Yield the change of a gate within each pair, in units of `unit`."""
    for pair in judged.latency.evidence.runs or ():
        change = pair_change(gate, pair)
        if change is not None and 0 < pair.pair <= len(judged.pairs):
            yield PairChange(
                pair=pair.pair, change=change / unit, first=judged.pairs[pair.pair - 1].first, fit=pair.fit
            )


def pair_change(gate: GateResult, pair: PairEvidence) -> float | None:
    """Return the change of a gate within a pair, None if it is unknown or of another kind than the gate's."""
    if gate.kind is GateKind.LOSSES:
        return pair.losses_change_per_h
    return None if gate.in_points else pair.change_ratios.get(gate.gate)
