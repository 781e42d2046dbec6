"""The ledger as a table: what became of every request, each of which has one outcome."""

from collections.abc import Iterator
from dataclasses import replace

from loadtest import text
from loadtest.report.tables import Table, bounded
from loadtest.results.data import RunData
from loadtest.session.recorder import COUNTS
from loadtest.verdict.items import failing
from loadtest.verdict.messaging import FAILINGS, OUTCOMES

_GOOD, _BAD, _EXPLAINED = "ok", "fails messaging", "explained"


def message_table(run: RunData) -> Table:
    """Return what became of the requests sent; empty if none was sent."""
    sent = run.count("messaging.sent")
    table = bounded(
        "Messages", ("outcome", "requests", "share", "effect", "meaning"), "lrrll", _rows(run, sent)
    )
    return replace(table, note=_note(run, sent)) if sent else table


def _rows(run: RunData, sent: int) -> Iterator[tuple[str, ...]]:
    if not sent:
        return
    for outcome in OUTCOMES:
        count = run.count(f"messaging.{outcome}")
        if count or outcome in ("answered", "lost"):
            yield (
                outcome.replace("_", " "),
                text.count(count),
                text.share(count / sent),
                _effect(outcome) if count else "",
                COUNTS.get(f"messaging.{outcome}", ""),
            )
    yield "sent", text.count(sent), "100%", "", COUNTS["messaging.sent"]


def _effect(outcome: str) -> str:
    if outcome in FAILINGS:
        return _BAD
    return _GOOD if outcome in ("answered", "unanswerable") else _EXPLAINED


def _note(run: RunData, sent: int) -> str:
    """Return whether the outcomes add up, and what fails besides."""
    left = sent - sum(run.count(f"messaging.{outcome}") for outcome in OUTCOMES)
    others = [
        failing(count, said)
        for name, said in FAILINGS.items()
        if name not in OUTCOMES and (count := run.count(f"messaging.{name}"))
    ]
    besides = f" Besides: {', '.join(others)}." if others else ""
    return f"{_accounts(left)}.{besides}"


def _accounts(left: int) -> str:
    """Return whether each request has one outcome; `left` are those without, or outcomes too many."""
    if not left:
        return "The outcomes add up to the requests sent"
    wrong = (
        f"{text.counted(left, 'request is', 'requests are')} unaccounted for"
        if left > 0
        else f"{text.counted(-left, 'outcome has', 'outcomes have')} no request"
    )
    return f"The outcomes do not add up: {wrong}"
