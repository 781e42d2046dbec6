"""How the server released connections whose client was gone: the table of these, and its own gauge."""

from dataclasses import replace

from loadtest import text
from loadtest.report.tables import Table, bounded
from loadtest.results.data import RunData
from loadtest.results.manifest import ServerGauge
from loadtest.text import one_line
from loadtest.verdict.cleanup import ENDINGS, TAGS


def watched_table(run: RunData) -> Table:
    """Return what became of dropped connections that the server had to close; empty if there were none."""
    header = (
        "after",
        "watched",
        "closed",
        "closed late",
        "left open",
        "unresolved",
        "cut short",
        "p50",
        "p95",
        "max",
    )
    rows = [_row(run, kind) for kind in TAGS if run.count(f"cleanup.{kind}_watched")]
    return replace(bounded("Cleanup by the server", header, "l" + "r" * 9, rows), note=_note(run))


def _row(run: RunData, kind: str) -> tuple[str, ...]:
    outcomes = ("closed", "late", "not_closed", "unresolved", "cut_short")
    at_us = run.percentiles_us(TAGS[kind], (50, 95, 100))
    return (
        kind,
        text.count(run.count(f"cleanup.{kind}_watched")),
        *(_count(run, kind, outcome) for outcome in outcomes),
        *(text.span(at_us.get(percentile)) for percentile in (50, 95, 100)),
    )


def _count(run: RunData, kind: str, outcome: str) -> str:
    """Return how many watches had an outcome; a dash for one that the kind does not have."""
    return text.count(run.count(f"cleanup.{kind}_{outcome}")) if outcome in ENDINGS[kind] else text.UNKNOWN


def _note(run: RunData) -> str:
    within_s = run.manifest.cleanup_s
    allowed = (
        "No time is set for half-open connections, so they are not judged."
        if within_s is None
        else f"Half-open connections must be closed within {within_s:g} s."
    )
    return f"{allowed}{_gauge(run.manifest.server_gauge)}"


def _gauge(gauge: ServerGauge | None) -> str:
    if gauge is None:
        return ""
    during, after = (text.UNKNOWN if value is None else f"{value:g}" for value in (gauge.peak, gauge.after))
    return (
        f" The server's gauge {one_line(gauge.source)}: {gauge.before:g} before the run, "
        f"{during} at most during it, {after} after it."
    )
