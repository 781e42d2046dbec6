"""The item `cleanup`: does the server let go of clients that are gone?

Three things show it. After a `close` drop the server must end TCP (RFC 6455, section 7.1.1). A half-open
connection must be closed within the cleanup time, which the dialect or the user gives; without one, when that
happens is only reported. And the server's own gauge of its connections, if given, must be back after the run.
The summary says what was judged and what was not.
"""

from collections.abc import Callable

from loadtest import text
from loadtest.drops.kinds import CLOSE_S, HalfOpen
from loadtest.results.data import RunData
from loadtest.results.manifest import Plan, ServerGauge
from loadtest.ruling import Ruling, worst
from loadtest.verdict.evidence import CleanupEvidence
from loadtest.verdict.items import Item, errors_seen, imbalance, unaccounted

ENDINGS = ("closed", "late", "not_closed", "cut_short")
"""Every watched connection ends with exactly one of these outcomes."""

MAX_STALL_MS = 1000.0
"""If this process stalled for longer, it may have seen late what came in time."""

TAGS = {"close": "cleanup_close", "half_open": "cleanup_half_open"}
"""By kind of drop, the tag of the time until the server ended TCP."""

_Part = tuple[Ruling, str]


def judge(run: RunData) -> Item[CleanupEvidence]:
    """Judge what the server did with the connections of clients that were gone."""
    parts = [part for judged in _PARTS if (part := judged(run)) is not None]
    verdict = worst(ruling for ruling, _ in parts)
    shown = [part for part in parts if part[0] is verdict] if verdict is Ruling.FAIL else parts
    return Item(
        item="cleanup",
        verdict=verdict,
        summary="; ".join(summary for _, summary in shown) or "no connection was left to the server to close",
        evidence=CleanupEvidence(
            counts=run.counts_of("cleanup"),
            unaccounted=sum(_unaccounted(run, kind) for kind in TAGS),
            cleanup_s=run.manifest.cleanup_s,
            percentiles=run.percentile_table(TAGS.values(), (50, 95, 100)),
            gauge=run.manifest.server_gauge,
            limits={
                "close_not_closed": 0,
                "half_open_late": 0,
                "half_open_not_closed": 0,
                "close_s": CLOSE_S,
            },
            errors=errors_seen(run, "cleanup"),
        ),
    )


def _unaccounted(run: RunData, kind: str) -> int:
    return unaccounted(run, "cleanup", f"{kind}_watched", [f"{kind}_{ending}" for ending in ENDINGS])


def _close(run: RunData) -> _Part | None:
    count = _counts(run, "close")
    watched, closed = count("watched"), count("closed")
    if not watched:
        return None
    if left := count("not_closed"):
        return Ruling.FAIL, (
            f"{left} of {watched} closed connections had no FIN {CLOSE_S:g} s after the close frame"
        )
    if missing := _unaccounted(run, "close"):
        return Ruling.INCONCLUSIVE, imbalance(missing, f"{watched} watched connections")
    if not closed:
        return Ruling.NOT_JUDGED, f"{watched} close drops came too late in the run to see the server end TCP"
    return Ruling.PASS, f"TCP ended after {closed} close drops{_times(run, 'close')}{_cut_short(count)}"


def _half_open(run: RunData) -> _Part | None:
    count = _counts(run, "half_open")
    watched, closed = count("watched"), count("closed")
    within_s = run.manifest.cleanup_s
    if within_s is None:
        return _half_open_reported(run) if watched else None
    if failing := _failing(run, count):
        return failing
    if missing := _unaccounted(run, "half_open"):
        return Ruling.INCONCLUSIVE, imbalance(missing, f"{watched} watched connections")
    if closed:
        return Ruling.PASS, (
            f"{closed} half-open connections closed within {within_s:g} s{_times(run, 'half_open')}"
            f"{_cut_short(count)}"
        )
    unseen = f"no half-open connection was left open for {within_s:g} s before the run's end"
    if run.manifest.cleanup_timeout_s is None or not _planned(run.manifest.plan):
        return Ruling.NOT_JUDGED, unseen
    return Ruling.INCONCLUSIVE, f"{unseen}: run longer"


def _failing(run: RunData, count: Callable[[str], int]) -> _Part | None:
    """Return why half-open connections fail the item; None if they do not."""
    within_s, watched = run.manifest.cleanup_s or 0.0, count("watched")
    if left := count("not_closed"):
        more = f", {late} were closed late" if (late := count("late")) else ""
        return Ruling.FAIL, (
            f"{left} of {watched} half-open connections were never closed; "
            f"{within_s:g} s is the cleanup time{more}"
        )
    if late := count("late"):
        ruling = Ruling.INCONCLUSIVE if _stalled(run) else Ruling.FAIL
        doubt = ", but the load generator stalled and may have seen it late" if _stalled(run) else ""
        return ruling, (
            f"{late} of {watched} half-open connections were closed after the cleanup time of "
            f"{within_s:g} s{_times(run, 'half_open')}{doubt}"
        )
    return None


def _half_open_reported(run: RunData) -> _Part:
    """Return what is known of half-open connections without a cleanup time; nothing of it is judged."""
    count = _counts(run, "half_open")
    seen = [
        f"{count('closed')} of {count('watched')} closed{_times(run, 'half_open')}",
        *([f"{left} still open when the drop ended"] if (left := count("not_closed")) else []),
        *([f"{cut} cut short by the run's end"] if (cut := count("cut_short")) else []),
    ]
    return Ruling.NOT_JUDGED, (
        f"half-open connections not judged (set --ws-cleanup-timeout): {', '.join(seen)}"
    )


def _gauge(run: RunData) -> _Part | None:
    gauge = run.manifest.server_gauge
    if gauge is None:
        return None
    before = f"{gauge.before:g}"
    if gauge.after is None:
        why = gauge.problem or "the run did not get that far"
        return Ruling.INCONCLUSIVE, f"the server's gauge could not be read after the run: {why}"
    if gauge.after > gauge.before:
        return Ruling.FAIL, (
            f"the server's gauge was {before} before the run and {gauge.after:g} "
            f"{gauge.waited_s:.0f} s after its last connection"
        )
    if gauge.after < gauge.before:
        return Ruling.INCONCLUSIVE, (
            f"the server's gauge fell from {before} to {gauge.after:g}: other clients were connected at first"
        )
    if gauge.peak is not None and gauge.peak <= gauge.before:
        return Ruling.INCONCLUSIVE, (
            f"the server's gauge was {gauge.peak:g} at most while sessions were up, and {before} "
            "before: does it count connections?"
        )
    return Ruling.PASS, f"the server's gauge is back at {before}{_peak(gauge)}"


def _peak(gauge: ServerGauge) -> str:
    return "" if gauge.peak is None else f" (highest {gauge.peak:g})"


_PARTS: tuple[Callable[[RunData], _Part | None], ...] = (_close, _half_open, _gauge)


def _counts(run: RunData, kind: str) -> Callable[[str], int]:
    return lambda what: run.count(f"cleanup.{kind}_{what}")


def _planned(plan: Plan) -> bool:
    """Return whether the plan has half-open drops."""
    own = plan.drop_every_s > 0 and plan.drops.get(HalfOpen.name, 0) > 0
    return own or any(storm.kind == HalfOpen.name for storm in plan.storms)


def _times(run: RunData, kind: str) -> str:
    at_us = run.percentiles_us(TAGS[kind], (50, 100))
    return f" (p50 {text.span(at_us[50])}, max {text.span(at_us[100])})" if at_us else ""


def _cut_short(count: Callable[[str], int]) -> str:
    cut = count("cut_short")
    return f", {cut} cut short by the run's end" if cut else ""


def _stalled(run: RunData) -> bool:
    """Return whether the load generator stalled for long."""
    series = run.gauges.get("stall_max_ms", {}).values()
    return any(value > MAX_STALL_MS for one in series for value in one.values)
