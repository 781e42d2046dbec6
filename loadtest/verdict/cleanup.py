"""The item `cleanup`: does the server release connections whose client is gone?

Three things show it. After a `close` drop the server must end TCP (RFC 6455, section 7.1.1). A half-open
connection must be closed within the cleanup time, which the dialect or the user gives; without one, when that
happens is only reported. And the server's own gauge of its connections, if given, must be back after the run.
The summary says what was judged and what was not.
"""

from collections.abc import Callable

from loadtest import text
from loadtest.drops.kinds import BEYOND_S, CLOSE_S, HalfOpen
from loadtest.results.data import RunData
from loadtest.results.manifest import Plan
from loadtest.ruling import Ruling, worst
from loadtest.session.recorder import HANGING_NS
from loadtest.verdict.evidence import CleanupEvidence
from loadtest.verdict.generator import stalled
from loadtest.verdict.items import Item, errors_seen, imbalance, unaccounted

ENDINGS = {
    "close": ("closed", "not_closed", "cut_short", "unresolved"),
    "half_open": ("closed", "late", "not_closed", "cut_short"),
}
"""By kind of drop: every watched connection ends with exactly one of these outcomes."""

MAX_UNRESOLVED_RATIO = 0.01
"""Share of the connections of `close` drops that may still be open at the run's end, though the server had
2 s or more: one is chance, more may be a server that never ends TCP."""

MIN_FULL_TIME = 5
"""Half-open connections that must have had their full time for PASS: a server that keeps every second one
lets go of five in a row in 1 of 32 runs."""

TAGS = {"close": "cleanup_close", "half_open": "cleanup_half_open"}
"""By kind of drop, the tag of the time until the server ended TCP."""

_Part = tuple[Ruling, str]


def judge(run: RunData) -> Item[CleanupEvidence]:
    """Judge what the server did with the connections of clients that were gone."""
    gauge = _gauge(run)
    parts = [part for part in (_close(run), _half_open(run), gauge) if part is not None]
    verdict = worst(ruling for ruling, _ in parts)
    # The server's own count confirms what was seen from outside, or contradicts it.
    shown = [part for part in parts if part[0] is verdict or verdict is not Ruling.FAIL or part is gauge]
    return Item(
        item="cleanup",
        verdict=verdict,
        summary="; ".join(summary for _, summary in shown) or "no close or half_open drops to check",
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
                "close_unresolved_ratio": MAX_UNRESOLVED_RATIO,
                "least_full_time": MIN_FULL_TIME,
                "close_s": CLOSE_S,
            },
            errors=errors_seen(run, "cleanup"),
        ),
    )


def _unaccounted(run: RunData, kind: str) -> int:
    return unaccounted(run, "cleanup", f"{kind}_watched", [f"{kind}_{ending}" for ending in ENDINGS[kind]])


def _close(run: RunData) -> _Part | None:
    count = _counts(run, "close")
    watched, closed = count("watched"), count("closed")
    if not watched:
        return None
    if left := count("not_closed"):
        return Ruling.FAIL, (
            f"{text.count(left)} of {text.counted(watched, 'closed connection')} had no FIN {CLOSE_S:g} s "
            "after the close frame"
        )
    if missing := _unaccounted(run, "close"):
        return Ruling.INCONCLUSIVE, imbalance(missing, text.counted(watched, "watched connection"))
    unresolved = count("unresolved")
    if unresolved > max(1, MAX_UNRESOLVED_RATIO * watched):
        return Ruling.INCONCLUSIVE, (
            f"{text.count(unresolved)} of {text.counted(watched, 'closed connection')} had no FIN for over "
            f"{text.span(HANGING_NS / 1000)} when the run ended: run longer"
        )
    if not closed:
        drops = text.counted(watched, "close drop")
        return Ruling.NOT_JUDGED, f"{drops} came too late in the run to see the server close TCP"
    drops = text.counted(closed, "close drop")
    return Ruling.PASS, f"the server closed TCP after {drops}{_times(run, 'close')}{_cut_short(count)}"


def _half_open(run: RunData) -> _Part | None:
    count = _counts(run, "half_open")
    watched, closed = count("watched"), count("closed")
    within_s = run.manifest.cleanup_s
    if within_s is None:
        return _half_open_reported(run) if watched else None
    if failing := _failing(run, count):
        return failing
    if missing := _unaccounted(run, "half_open"):
        return Ruling.INCONCLUSIVE, imbalance(missing, text.counted(watched, "watched connection"))
    full = count("full_time")
    if full >= MIN_FULL_TIME:
        return Ruling.PASS, (
            f"{text.counted(closed, 'half-open connection')} closed within {within_s:g} s"
            f"{_times(run, 'half_open')}{_cut_short(count)}"
        )
    unseen = (
        f"{text.only(full, 'half-open connection')} had the full {within_s:g} s before the run's end, "
        f"{MIN_FULL_TIME} are needed"
    )
    if run.manifest.cleanup_timeout_s is None or not _planned(run.manifest.plan):
        return Ruling.NOT_JUDGED, unseen
    return Ruling.INCONCLUSIVE, f"{unseen}: run longer, or drop more often"


def _failing(run: RunData, count: Callable[[str], int]) -> _Part | None:
    """Return why half-open connections fail the item; None if they do not."""
    within_s = run.manifest.cleanup_s or 0.0
    of_watched = f"of {text.counted(count('watched'), 'half-open connection')}"
    allowed = f"{within_s:g} s allowed ({_source(run)})"
    if left := count("not_closed"):
        more = f", and {text.count(late)} closed too late" if (late := count("late")) else ""
        return Ruling.FAIL, (
            f"{text.count(left)} {of_watched} {'was' if left == 1 else 'were'} still open "
            f"{within_s + BEYOND_S:g} s after the client went silent{more}; {allowed}"
        )
    if late := count("late"):
        ruling = Ruling.INCONCLUSIVE if stalled(run) else Ruling.FAIL
        doubt = ", but the load generator stalled and may have noticed it late" if stalled(run) else ""
        return ruling, (
            f"{text.count(late)} {of_watched} not closed in time{_times(run, 'half_open')}; {allowed}{doubt}"
        )
    return None


def _source(run: RunData) -> str:
    """Return where the time allowed comes from."""
    return "the dialect's cleanup_s" if run.manifest.cleanup_timeout_s is None else "--ws-cleanup-timeout"


def _half_open_reported(run: RunData) -> _Part:
    """Return what is known of half-open connections without a cleanup time; nothing of it is judged."""
    count = _counts(run, "half_open")
    seen = [
        f"{text.count(count('closed'))} of {text.count(count('watched'))} closed{_times(run, 'half_open')}",
        *([f"{text.count(left)} still open when the drop ended"] if (left := count("not_closed")) else []),
        *([f"{text.count(cut)} cut short by the run's end"] if (cut := count("cut_short")) else []),
    ]
    return Ruling.NOT_JUDGED, (
        f"half-open connections are not judged without --ws-cleanup-timeout: {', '.join(seen)}"
    )


def _gauge(run: RunData) -> _Part | None:
    gauge = run.manifest.server_gauge
    if gauge is None:
        return None
    before = f"{gauge.before:g}"
    if gauge.after is None:
        why = gauge.problem or "the run ended before that"
        return Ruling.INCONCLUSIVE, f"the server's gauge could not be read after the run: {why}"
    if gauge.after > gauge.before:
        return Ruling.FAIL, (
            f"the server's gauge was {before} before the run, and still {gauge.after:g}, "
            f"{gauge.waited_s:.0f} s after its end"
        )
    if gauge.after < gauge.before:
        return Ruling.INCONCLUSIVE, (
            f"the server's gauge fell from {before} to {gauge.after:g}: other clients were connected when "
            "the run started"
        )
    if gauge.peak is None:
        return Ruling.INCONCLUSIVE, (
            f"the server's gauge is back at {before}, but could not be read while sessions were up: run "
            "longer"
        )
    if gauge.peak <= gauge.before:
        return Ruling.INCONCLUSIVE, (
            f"the server's gauge was at most {gauge.peak:g} while sessions were up, and {before} before: "
            "does it count connections?"
        )
    return Ruling.PASS, f"the server's gauge is back at {before} (peak {gauge.peak:g})"


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
    cut = count("cut_short") + count("unresolved")
    return f", {text.count(cut)} cut short by the run's end" if cut else ""
