"""Why a run has its verdict, as the page's first lines: whether the load generator was fit, then each reason.

A reason that several items share, such as that the run was killed, is one line that names them all.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loadtest import text
from loadtest.report.advice import FAILURES_DOUBTFUL, failures_are_doubtful
from loadtest.report.judged_run import JudgedRun
from loadtest.ruling import Ruling
from loadtest.verdict.items import AnyItem, Verdict

_SHARED_BY = 3
"""Minimum number of items with the same reason for which it is shown only once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """What explains the verdict.

    Args:
        ruling: FAIL or INCONCLUSIVE.
        items: the items that it holds for.
        told: the reason.
        next: what to do, empty if there is nothing to say.
    """

    ruling: Ruling
    items: Sequence[str]
    told: str
    next: str = ""


def reasons(judged: JudgedRun) -> list[Reason]:
    """Return the reasons of the items that failed, then of those that are inconclusive."""
    return [*_of(judged, Ruling.FAIL), *_of(judged, Ruling.INCONCLUSIVE)]


def _of(judged: JudgedRun, ruling: Ruling) -> Iterator[Reason]:
    found = [item for item in judged.items if item.verdict is ruling]
    shared = shared_reasons(judged.items)
    told: set[str] = set()
    for item in found:
        first = _first(item)
        if first not in shared or ruling is Ruling.FAIL:
            yield Reason(ruling=ruling, items=[item.item], told=item.summary, next=judged.next_step(item))
        elif first not in told:
            told.add(first)
            names = [one.item for one in found if _first(one) == first]
            yield Reason(
                ruling=ruling,
                items=names,
                told=first,
                next="repeat the run",
            )


def shared_reasons(items: Sequence[AnyItem]) -> frozenset[str]:
    """Return the reasons that several inconclusive items begin with, and have more to say after them."""
    found = [_first(item) for item in items if item.verdict is Ruling.INCONCLUSIVE and "; " in item.summary]
    return frozenset(first for first in found if found.count(first) >= _SHARED_BY)


def _first(item: AnyItem) -> str:
    return item.summary.partition("; ")[0]


def is_shared(item: AnyItem, shared: frozenset[str]) -> bool:
    """Whether an item is inconclusive for a reason that others share."""
    return item.verdict is Ruling.INCONCLUSIVE and _first(item) in shared


def generator_warning(verdict: Verdict) -> str:
    """Return that the load generator was overloaded, and what that means; empty if that is not known."""
    generator = verdict.generator
    if generator.valid or generator.state != "overloaded":
        return ""
    stall_ms = generator.figures.get("stall_max_ms")
    if "stall_max_ms" in generator.exceeded and stall_ms is not None:
        cause = f": it stalled for up to {text.span(1000 * stall_ms)}"
        remedy = "; repeat with a lower rate or more workers"
    else:
        cause, remedy = f": {generator.problems[0]}" if generator.problems else "", ""
    doubtful = failures_are_doubtful(verdict)
    effect = FAILURES_DOUBTFUL if doubtful else "Latencies may include the tool's own delays"
    return f"Load generator {generator.state}{cause}. {effect}{remedy}."
