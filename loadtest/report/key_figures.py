"""The top of a page: the verdict in one sentence, and the run in a dozen numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from loadtest import text
from loadtest.report.judged_run import JudgedRun
from loadtest.report.untimed import untimed_text
from loadtest.results.data import RunData
from loadtest.ruling import Ruling
from loadtest.session.recorder import FAILED_MESSAGES


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number with its name and what belongs to it.

    Args:
        name: what it is.
        value: the number, written.
        beside: what helps to judge it, empty if nothing does.
        bad: whether it is a reason to look closer.
    """

    name: str
    value: str
    beside: str = ""
    bad: bool = False


def headline(judged: JudgedRun) -> str:
    """Return the verdict in a sentence: what failed, what could not be judged, what was not."""
    by_ruling = {ruling: [item.item for item in judged.items if item.verdict is ruling] for ruling in Ruling}
    failed, unclear = by_ruling[Ruling.FAIL], by_ruling[Ruling.INCONCLUSIVE]
    passed, others = by_ruling[Ruling.PASS], by_ruling[Ruling.NOT_JUDGED]
    if not judged.run.manifest.complete and not failed:
        recorded = text.clock(judged.run.length_s)
        return f"Incomplete run, so nothing can pass. Nothing failed in the {recorded} recorded."
    parts = []
    if failed:
        parts.append(f"{_named(failed)} failed")
    elif unclear:
        parts.append(f"{len(passed)} of {len(judged.items)} items passed")
    elif passed:
        parts.append(f"all {len(passed)} judged items passed")
    if unclear:
        parts.append(f"inconclusive: {', '.join(unclear)}")
    if others:
        parts.append(f"not judged: {', '.join(others)}")
    told = "; ".join(parts) or "nothing was judged"
    return f"{told[0].upper()}{told[1:]}."


def _named(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def key_figures(judged: JudgedRun) -> list[Figure]:
    """Return the key figures of a run, those that it has."""
    run = judged.run
    sent = run.count("messaging.sent")
    lost_or_failed = sum(run.count(f"messaging.{name}") for name in FAILED_MESSAGES)
    drops, losses = sum(run.counts_of("drops").values()), sum(run.counts_of("losses").values())
    return [
        Figure(
            name="sessions", value=text.count(run.manifest.sessions), beside=f"for {text.clock(run.length_s)}"
        ),
        Figure(name="messages", value=text.count(sent), beside=_answered(run, sent)),
        Figure(
            name="lost or failed",
            value=text.count(lost_or_failed),
            beside="messages",
            bad=lost_or_failed > 0 and _fails(judged, "messaging"),
        ),
        Figure(
            name="drops",
            value=text.count(drops),
            beside=_returns(run, drops),
        ),
        Figure(
            name="connections lost",
            value=text.count(losses),
            beside="by server or network",
            bad=losses > 0 and _fails(judged, "stability"),
        ),
        *(_with_untimed(one, run) for one in _times(run, "service", "round trip", (99.0, 99.9))),
        *_times(run, "outage", "outage", (95.0, 99.0)),
    ]


def _with_untimed(figure: Figure, run: RunData) -> Figure:
    told = untimed_text(run).removesuffix(".")
    return replace(figure, beside=f"{figure.beside}; {told}") if told else figure


def _fails(judged: JudgedRun, item: str) -> bool:
    return judged.verdict.item(item).verdict is Ruling.FAIL


def _returns(run: RunData, drops: int) -> str:
    if not drops:
        return "none made" if run.manifest.plan.drops_planned else "none planned"
    after_drops = sum(group.resumed for group in run.outages if group.trigger == "drop")
    return text.counted(after_drops, "return")


def _answered(run: RunData, sent: int) -> str:
    """Return the share of the messages that were answered, and of those that an outage or the end cut off."""
    if not sent:
        return "none sent"
    answered = run.count("messaging.answered")
    told = f"{_floored(answered / sent)} answered"
    cut_off = run.count("messaging.lost_in_outage") + run.count("messaging.unfinished")
    return f"{told}, {_floored(cut_off / sent)} cut off" if cut_off >= sent / 1000 else told


def _floored(ratio: float) -> str:
    """Write a share to a tenth of a percent, rounded down: 100% means all."""
    return text.share(math.floor(1000 * ratio + 1e-9) / 1000)


def _times(run: RunData, tag: str, name: str, tails: Sequence[float]) -> list[Figure]:
    """Return the median with the percentiles that the samples carry; nothing without samples."""
    found = run.carried_us(tag, (50, *tails, 100))
    if not found:
        return []
    beside = [f"p{one:g} {text.span(found[one])}" for one in tails if one in found]
    return [
        Figure(
            name=f"{name} p50" if 50 in found else name,
            value=text.span(found.get(50, found[100])),
            beside=", ".join(beside or [f"max {text.span(found[100])}"]),
        )
    ]
