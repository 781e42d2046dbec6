"""What the web page's tab shows of the latest run: texts that are ready to be shown.

The page only draws. Texts from the server under test are among them, so it draws text, never markup.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loadtest import text
from loadtest.metrics.latest_run import ShownRun
from loadtest.metrics.live_histograms import LiveHistograms
from loadtest.metrics.live_outages import OutageKind
from loadtest.metrics.live_run import Progress
from loadtest.metrics.verdict_so_far import Standing
from loadtest.report.advice import generator_line
from loadtest.report.key_figures import Figure
from loadtest.report.tables import Table, error_table, percentile_cells
from loadtest.results.interval import counts_of
from loadtest.results.outages import OUTAGE_PHASES
from loadtest.verdict.generator import MAX_SLIP_MS

_PERCENTILES = (50, 90, 99, 99.9, 100)

_TIMES = {
    "service": "round trip, from the send",
    "response": "round trip, from the planned send",
    "first_part": "first part of a streamed reply",
    "connect": "first connect",
    "resume": "reconnect attempt",
    "outage": "outage",
    "send_slip": "send slip of the load generator",
}
"""Tags that are shown, with their words."""

_NO_FAILURE = "No failures so far."

_ERRORS_SHOWN = 10
_KINDS_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class TabState:
    """A run as the tab shows it.

    Args:
        run_id, revision, target: which run it is, of which server.
        state: `running`, `judging` or `over`.
        clock: how long it has been going on, or how long it took.
        figures: the numbers on top.
        tables: by place in the page: `items`, `times`, `outages`, `counts` and `errors`.
        so_far: which items fail so far, and whether the load generator is overloaded.
        so_far_bad: whether there is any such.
        ruling: the verdict on the run; empty before there is one.
        failure: the error that ended the run; empty if none did.
        has_report: whether there is a report to open.
    """

    run_id: str
    revision: str
    target: str
    state: str
    clock: str
    figures: Sequence[Figure]
    tables: Mapping[str, Table]
    so_far: str
    so_far_bad: bool
    ruling: str
    failure: str
    has_report: bool


def tab_state(run: ShownRun, *, has_report: bool) -> TabState:
    """Return how a run is shown. While it goes on, it is judged for that from time to time.

    Args:
        run: the run.
        has_report: whether its report can be opened.
    """
    details, verdict = run.live.details, run.verdict
    over = verdict is not None or bool(run.failure)
    remarks = _remarks(run)
    return TabState(
        run_id=run.manifest.run_id,
        revision=text.one_line(run.manifest.revision),
        target=text.one_line(run.manifest.target),
        state="over" if over else "running" if run.ended_after_s is None else "judging",
        clock=text.clock(run.length_s),
        figures=_figures(run.progress, going=run.ended_after_s is None),
        tables={
            "items": _items(run),
            "times": _times(run.live.distributions),
            "outages": _outages(details.outages.kinds if details else ()),
            "counts": _counts(run),
            "errors": error_table(details.errors.most_frequent(_ERRORS_SHOWN) if details else ()),
        },
        so_far=" ".join(remarks),
        so_far_bad=any(one != _NO_FAILURE for one in remarks),
        ruling="" if verdict is None else verdict.verdict,
        failure=run.failure,
        has_report=has_report,
    )


def _remarks(run: ShownRun) -> list[str]:
    """Return what matters most: a load generator that is not fit, and which items fail so far."""
    if run.verdict is not None:
        return [] if run.verdict.generator.valid else [text.sentence(generator_line(run.verdict))]
    if run.failure:
        return []
    slip_us = run.live.distributions.carried_us("send_slip", (99,)).get(99, 0.0)
    late = f"Load generator overloaded: send slip p99 {text.span(slip_us)}."
    failing = [one.item for one in run.live.so_far if one.standing in (Standing.FAIL, Standing.FAILING)]
    failed = f"So far, these items fail: {', '.join(failing)}." if failing else _NO_FAILURE
    return [*([late] if slip_us > 1000 * MAX_SLIP_MS else []), failed]


def _figures(now: Progress, *, going: bool) -> list[Figure]:
    shown = {
        "sessions up": now.up,
        "connecting": now.connecting,
        "sessions out": now.in_outage,
        "drops": now.drops,
        "losses": now.losses,
        "messages sent": now.sent,
        "messages lost or failed": now.lost_or_failed,
    }
    figures = [Figure(name=name, value=text.count(max(0, number))) for name, number in shown.items()]
    return [*figures, *([Figure(name="sent per second", value=f"{now.sent_per_s:.1f}")] if going else [])]


def _items(run: ShownRun) -> Table:
    """Return the verdict on each item, or how it stands so far."""
    if run.verdict is not None:
        rows = [(one.item, str(one.verdict), text.one_line(one.summary, 1000)) for one in run.verdict.items]
        return Table(("item", "verdict", "why"), "lll", rows, "Items")
    rows = [(one.item, str(one.standing), text.one_line(one.summary, 1000)) for one in run.live.so_far]
    return Table(("item", "so far", "why"), "lll", rows, "Verdict so far")


def _times(distributions: LiveHistograms) -> Table:
    header = ("time", "samples", *("max" if one == 100 else f"p{one:g}" for one in _PERCENTILES))
    rows = [
        (words, text.count(distributions.samples(tag)), *percentile_cells(histogram, _PERCENTILES))
        for tag, words in _TIMES.items()
        if (histogram := distributions.totals.get(tag)) is not None
    ]
    return Table(header, "l" + "r" * (len(header) - 1), rows, "Times since the start")


def _outages(kinds: Sequence[OutageKind]) -> Table:
    used = [phase for phase in OUTAGE_PHASES if any(kind.phases_s.get(phase) for kind in kinds)]
    header = ("begun by", "begun", "ended", "mean", *(phase.replace("_", " ") for phase in used))
    rows = [_outage_row(kind, used) for kind in kinds[:_KINDS_SHOWN]]
    return Table(header, "l" + "r" * (len(header) - 1), rows, "Outages: mean time of each phase")


def _outage_row(kind: OutageKind, phases: Sequence[str]) -> list[str]:
    ended = kind.seconds.buckets.total
    sums_s = [kind.seconds.sum_s, *(kind.phases_s.get(phase, 0.0) for phase in phases)]
    means = [text.span(sum_s / ended * 1e6) if ended else text.UNKNOWN for sum_s in sums_s]
    return [f"{kind.trigger}: {kind.name}", text.count(kind.begun), text.count(ended), *means]


def _counts(run: ShownRun) -> Table:
    rows = [
        (f"{what}: {name}", text.count(count))
        for what, family in (("drop", "drops"), ("loss", "losses"))
        for name, count in sorted(
            counts_of(run.live.total(), family).items(), key=lambda one: (-one[1], one[0])
        )
    ]
    return Table(("kind", "times"), "lr", rows, "Drops and losses")
