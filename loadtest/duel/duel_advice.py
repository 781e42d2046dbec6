"""Advice for an INCONCLUSIVE duel: one line below its verdict. Pure."""

import math
from collections.abc import Iterator

from loadtest.duel.duel_record import DuelRecord
from loadtest.duel.settings import Order
from loadtest.duel.stopping import End
from loadtest.ruling import Ruling
from loadtest.statistics.comparison import MIN_UNITS
from loadtest.statistics.margins import GATES
from loadtest.verdict.evidence import LatencyEvidence
from loadtest.verdict.items import Item
from loadtest.verdict.remedies import MACHINE

_MAX_PAIRS = 200
"""A duel of more pairs is not suggested: it takes hours."""

_USUAL_PAIRS = 12

_OF_OUTAGES = ("reconnect", "persistence")


def next_lines(record: DuelRecord) -> Iterator[str]:
    """Yield the advice for repeating a duel, if it is INCONCLUSIVE and there is advice."""
    if record.verdict is not Ruling.INCONCLUSIVE or not record.pairs:
        return
    latency: Item[LatencyEvidence] = record.item("latency")
    if step := _latency_step(latency, record) or _other_step(record):
        yield f"next: {step}"


def _latency_step(latency: Item[LatencyEvidence], record: DuelRecord) -> str:
    if record.end == End.INTERRUPTED:
        return "let the duel run to its end"
    if latency.verdict is not Ruling.INCONCLUSIVE:
        return ""
    found = latency.evidence
    if 2 * sum(not run.fit for run in found.runs or ()) >= len(record.pairs):
        if all(MACHINE in why for why in found.spoiled or [latency.summary]):
            at_once = " with --order turns, or" if record.order == Order.PARALLEL else ""
            return (
                f"run the duel again{at_once} on a less busy machine: the load generator needs its own core"
            )
        return (
            "run the duel again with more load generator processes, for example -- --processes 2 at the end "
            "of the command, or with a lower --ws-rate there"
        )
    undecided = [gate for gate in found.gates or () if gate.decision is Ruling.INCONCLUSIVE]
    lacking = [
        _least_samples(gate.gate) / samples
        for gate in undecided
        if not gate.compared and (samples := min(gate.baseline_samples, gate.candidate_samples))
    ]
    if lacking and (times := max(lacking)) > 1:
        return f"run the duel again with --duration {math.ceil(times * record.duration_s)}s"
    more = [gate.more_pairs for gate in undecided if gate.more_pairs is not None]
    few = found.units is not None and found.units < MIN_UNITS
    if few and not more:
        return f"run the duel again with --pairs {max(_USUAL_PAIRS, record.pairs_planned)}"
    if more and (pairs := len(record.pairs) + max(more)) <= _MAX_PAIRS:
        return f"run the duel again with --pairs {pairs}, or with a longer --duration"
    if undecided and not lacking:
        return "run the duel again with a longer --duration, or with wider margins (--margin)"
    return ""


def _least_samples(name: str) -> int:
    """Return the samples that a gate needs in one run; its name may begin with a user class."""
    return next((gate.least_samples for gate in GATES if name.endswith(gate.name)), 0)


def _other_step(record: DuelRecord) -> str:
    open_ = [item.item for item in record.items if item.verdict is Ruling.INCONCLUSIVE]
    if open_ and set(open_) <= set(_OF_OUTAGES):
        return f"run the duel again with --duration {math.ceil(2 * record.duration_s)}s to get more outages"
    return ""
