"""Tables of a comparison: items before and after, what could not be judged and why, what both sides did."""

from collections.abc import Callable, Iterator, Mapping

from loadtest import text
from loadtest.report.forest import unsettled
from loadtest.report.judged_comparison import JudgedComparison
from loadtest.report.pair_sums import PairSums, SideSums
from loadtest.report.tables import Table, Untrusted, bounded, gates
from loadtest.ruling import Ruling
from loadtest.verdict.item_changes import Change, ItemChange

_OPEN = frozenset({Ruling.INCONCLUSIVE, Ruling.NOT_JUDGED})


def item_table(judged: JudgedComparison) -> Table:
    """Return each item before and after, in the words that all reports share, and what that means."""
    rows = [(str(one), str(one.verdict)) for one in judged.changes]
    return Table(("item, from baseline to candidate", "comparison"), "ll", rows, "Items")


def open_table(judged: JudgedComparison) -> Table:
    """Return what could not be judged, and why: items, gates, and pairs that do not count."""
    rows = [*_open_items(judged), *_open_gates(judged), *_spoiled(judged)]
    return bounded("", ("what", "verdict", "why"), "lll", rows)


def _open_items(judged: JudgedComparison) -> Iterator[tuple[str, str, str]]:
    pooled = judged.made_by == "duel" or len(judged.pairs) > 1
    for one in judged.changes:
        if one.verdict in _OPEN and one.item != "latency":
            yield one.item, str(one.verdict), _why(one, pooled=pooled)
    if judged.latency.verdict in _OPEN and not any(map(unsettled, gates(judged.latency))):
        yield "latency", str(judged.latency.verdict), judged.latency.summary


def _why(one: ItemChange, *, pooled: bool) -> str:
    """Return why an item is open; a summary over several runs already says that both sides fail it."""
    told = one.remark or one.summary_after
    if one.change is Change.UNCHANGED and one.after is Ruling.FAIL and not pooled:
        return f"fails in both, so it is not a regression: {told}"
    return told


def _open_gates(judged: JudgedComparison) -> Iterator[tuple[str, str, str]]:
    for gate in gates(judged.latency):
        if unsettled(gate):
            yield gate.gate, str(gate.decision), gate.reason


def _spoiled(judged: JudgedComparison) -> Iterator[tuple[str, str, str]]:
    for why in judged.latency.evidence.spoiled or ():
        yield "pair", "invalid", Untrusted(why)


_OF_SIDES: Mapping[str, Callable[[SideSums], str]] = {
    "runs": lambda side: text.count(side.runs),
    "total time": lambda side: text.clock(side.length_s),
    "messages": lambda side: text.count(side.counts["messaging.sent"]),
    "service p50": lambda side: _percentile(side, 50),
    "service p99": lambda side: _percentile(side, 99),
    "drops": lambda side: text.count(side.total("drops")),
    "connections lost": lambda side: text.count(side.total("losses")),
}
"""What both sides did, by name."""


def side_table(drawn: PairSums) -> Table:
    """Return what both sides did, over all valid pairs; over all pairs if none is valid."""
    rows = [(name, read(drawn.baseline), read(drawn.candidate)) for name, read in _OF_SIDES.items()]
    return Table(
        ("over all valid pairs" if drawn.valid else "no valid pair: over all", "baseline", "candidate"),
        "lrr",
        rows,
        "Both sides",
    )


def _percentile(side: SideSums, percentile: float) -> str:
    return text.span(side.carried_us("service", [percentile]).get(percentile))
