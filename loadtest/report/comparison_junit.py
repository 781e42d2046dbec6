"""junit.xml of a comparison: a suite with a case per item, and one with a case per gate of latency.

The first suite has the time that all runs took together; the second shares it, and so has none of its own.
"""

from collections.abc import Iterator
from datetime import datetime

from loadtest.report.forest import ROWS_LIMIT, left_out
from loadtest.report.judged_comparison import JudgedComparison
from loadtest.report.junit_document import Case, Suite, junit_document
from loadtest.report.tables import gates
from loadtest.session.schedule import NS_PER_S
from loadtest.verdict.gate_evidence import GateResult
from loadtest.verdict.gate_words import values
from loadtest.verdict.item_changes import ItemChange, outcome_line

_REMARKS = 40


def comparison_junit(judged: JudgedComparison) -> bytes:
    """Return junit.xml of a comparison."""
    started_unix_ns = _unix_ns(judged.started_at)
    of_items = Suite(
        name=judged.made_by,
        of=judged.made_by,
        cases=[_of_item(one) for one in judged.changes],
        length_s=judged.drawn.total_s,
        started_unix_ns=started_unix_ns,
        properties=_properties(judged),
        remarks=_remarks(judged),
    )
    of_latency = gates(judged.latency)
    of_gates = Suite(
        name="latency",
        of="latency",
        cases=[_of_gate(gate) for gate in of_latency[:ROWS_LIMIT]],
        started_unix_ns=started_unix_ns,
        remarks=[left_out(len(of_latency) - ROWS_LIMIT)] if of_latency[ROWS_LIMIT:] else [],
    )
    return junit_document([of_items, *([of_gates] if of_gates.cases else [])])


def _unix_ns(started_at: str) -> int:
    """Return a time as Unix time in ns; 0 for what a damaged file says."""
    try:
        return int(datetime.fromisoformat(started_at).timestamp()) * NS_PER_S
    except (ValueError, OverflowError):
        return 0


def _properties(judged: JudgedComparison) -> dict[str, str]:
    return {
        "baseline": judged.baseline,
        "candidate": judged.candidate,
        "pairs": str(len(judged.pairs)),
        "verdict": str(judged.verdict),
        "changes": outcome_line(judged.changes),
    }


def _remarks(judged: JudgedComparison) -> Iterator[str]:
    yield judged.headline
    yield from judged.why
    yield from judged.remarks[:_REMARKS]
    yield from map(str, judged.differences[:_REMARKS])


def _of_item(one: ItemChange) -> Case:
    message = str(one) if not one.summary_after else f"{one}: {one.summary_after}"
    before = f"before: {one.summary_before}" if one.summary_before else ""
    return Case(one.item, one.verdict, message, [before])


def _of_gate(gate: GateResult) -> Case:
    known = f"{' → '.join(values(gate))}: " if gate.compared else ""
    return Case(gate.gate, gate.decision, f"{known}{gate.reason}")
