"""How losses are shown: their table, the times that the server was away, and both as lines of text."""

from collections.abc import Iterator
from dataclasses import replace

from loadtest import text
from loadtest.report.tables import Table, Untrusted, bounded
from loadtest.text import one_line
from loadtest.verdict.items import AnyItem
from loadtest.verdict.loss_evidence import LossesSeen, StabilityEvidence
from loadtest.verdict.stability import away_text, cause_text, exposure_text, loss_text

_LINES_LIMIT = 10


def loss_table(item: AnyItem) -> Table:
    """Return the losses by cause, close code and reason; empty if there were none."""
    found = item.evidence if isinstance(item.evidence, StabilityEvidence) else StabilityEvidence()
    header = ("lost", "cause", "code", "reason", "an hour", "allowed", "first at", "last at", "sessions")
    table = bounded("Losses", header, "rlrlrlrrl", map(_row, found.losses))
    exposure = exposure_text(found.session_hours)
    note = f"Over {exposure}. An hour is a session-hour. {' '.join(_away_lines(found))}"
    return replace(table, note=note.strip())


def _row(losses: LossesSeen) -> tuple[str, ...]:
    return (
        text.count(losses.count),
        Untrusted(cause_text(losses.cause)),
        text.UNKNOWN if losses.code is None else str(losses.code),
        Untrusted(losses.reason),
        text.UNKNOWN if losses.per_session_hour is None else text.figures(losses.per_session_hour),
        Untrusted(losses.allowed or text.UNKNOWN),
        text.clock(losses.first_at_s),
        text.clock(losses.last_at_s),
        Untrusted(", ".join(losses.sessions)),
    )


def loss_lines(item: AnyItem) -> Iterator[str]:
    """Yield the losses of the item `stability` and the times that the server was away, for a terminal."""
    found = item.evidence
    if not isinstance(found, StabilityEvidence):
        return
    for losses in found.losses[:_LINES_LIMIT]:
        yield loss_text(losses)
        sessions = ", ".join(one_line(session) for session in losses.sessions)
        first, last = text.clock(losses.first_at_s), text.clock(losses.last_at_s)
        yield f"    first at {first}, last at {last}, sessions {sessions}"
    if len(found.losses) > _LINES_LIMIT:
        yield f"and {text.counted(len(found.losses) - _LINES_LIMIT, 'more group')}"
    yield from _away_lines(found)


def _away_lines(found: StabilityEvidence) -> Iterator[str]:
    if found.away:
        yield f"The server was away {away_text(found.away, found.more_away)}."
