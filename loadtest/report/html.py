"""report.html: the verdict and why on top, then what happened, and all that it was judged by."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from loadtest import text
from loadtest.report import advice
from loadtest.report.change_tables import difference_table, item_changes
from loadtest.report.chart import Chart
from loadtest.report.drill_table import drill_table
from loadtest.report.judged_run import JudgedRun
from loadtest.report.key_figures import Figure, headline, key_figures
from loadtest.report.latency_tables import latency_tables
from loadtest.report.losses import loss_table
from loadtest.report.message_table import message_table
from loadtest.report.outage_charts import outage_distribution, phase_charts
from loadtest.report.outage_phases import outage_phases
from loadtest.report.page import page
from loadtest.report.page_reasons import generator_warning, is_shared, reasons, shared_reasons
from loadtest.report.run_charts import heat_chart, percentile_chart
from loadtest.report.run_files import files_of
from loadtest.report.storms import storm_table
from loadtest.report.tables import (
    Table,
    Untrusted,
    count_table,
    environment_table,
    error_table,
    gate_table,
    limit_table,
    outage_table,
    phase_table,
    plan_tables,
    server_log_table,
)
from loadtest.report.timeline import timeline
from loadtest.report.timeline_charts import LATENCY, timeline_charts
from loadtest.report.untimed import untimed_text
from loadtest.report.watched import watched_table
from loadtest.results.data import RunData
from loadtest.ruling import Ruling
from loadtest.verdict.items import KINDS, AnyItem

_CLASSES_DRAWN = 6
"""User classes with their own charts; the limit bounds the size of the page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCharts:
    """The charts of a run, by their place in the page."""

    panels: Sequence[Chart]
    latency: Sequence[Chart]
    outages: Sequence[Chart]

    def __bool__(self) -> bool:
        return bool(self.panels or self.latency or self.outages)


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemSection:
    """An item of the verdict with all that explains it.

    Args:
        id: its anchor.
        item: the item.
        open: whether its evidence is shown at once.
        question: what it asks.
        counts: its counts with their meaning.
        lines: its findings.
        next: what to do about it, empty if nothing is known.
        command: the command that would settle it, empty if there is none.
    """

    id: str
    item: AnyItem
    open: bool
    question: str
    counts: Table
    lines: Sequence[str]
    next: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassSection:
    """A user class of a run that has several.

    Args:
        id: its anchor.
        name: its name.
        verdict: the verdict on it.
        items: the items of that verdict.
        facts: its key figures.
        charts: its charts, None beyond `_CLASSES_DRAWN`.
        tables: its tables; empty ones are not shown.
    """

    id: str
    name: str
    verdict: Ruling
    items: Sequence[ItemSection]
    facts: Sequence[Figure]
    charts: RunCharts | None
    tables: Sequence[Table]


def run_charts(run: RunData, *, prefix: str = "") -> RunCharts:
    """Return the charts that a run has data for.

    Args:
        run: the run.
        prefix: begins the charts' ids.
    """
    over_time = timeline(run)
    curve = percentile_chart(run, prefix=prefix)
    heat = None if over_time.heat is None else heat_chart(over_time.heat, run.length_s, prefix=prefix)
    distribution = outage_distribution(run, prefix=prefix)
    panels = timeline_charts(over_time, run.length_s, prefix=prefix)
    return RunCharts(
        panels=[_with_untimed(one, run) if one.id == f"{prefix}{LATENCY}" else one for one in panels],
        latency=[_with_untimed(one, run) for one in (curve, heat) if one is not None],
        outages=[*phase_charts({"": outage_phases(run)}, prefix=prefix), *filter(None, [distribution])],
    )


def _with_untimed(chart: Chart, run: RunData) -> Chart:
    """Return a chart of latency that says which messages it lacks."""
    return replace(chart, description=f"{chart.description} {untimed_text(run)}".rstrip())


def html(judged: JudgedRun) -> str:
    """Return report.html."""
    verdict, run = judged.verdict, judged.run
    return page(
        "report.html",
        verdict.verdict,
        verdict=verdict,
        manifest=run.manifest,
        failure=advice.failure_lines(run),
        headline=headline(judged),
        warning=generator_warning(verdict),
        reasons=reasons(judged),
        by_class=_class_table(judged),
        items=_items(judged),
        classes=_classes(judged),
        generator=advice.generator_line(verdict),
        facts=key_figures(judged),
        charts=run_charts(run),
        changes=item_changes(verdict.changes),
        differences=difference_table(verdict.differences, verdict.latency.evidence.unlike),
        compared_with=[text.one_line(line, 2000) for line in advice.baseline_lines(verdict.latency)],
        herd=advice.herd_line(run),
        tables=_tables(judged),
        latencies=latency_tables(run),
        errors=error_table(run.errors),
        messages=message_table(run),
        server_log=server_log_table(verdict.item("server_log")),
        storms=storm_table(run),
        drills=drill_table(run),
        plans=plan_tables(run.manifest),
        environment=environment_table(run),
        files=files_of(judged.path),
        command=judged.command,
    )


def _tables(judged: JudgedRun) -> dict[str, Table]:
    """Return the tables of figures that a run has, or a user class of it, by their place in the page."""
    verdict, run = judged.verdict, judged.run
    return {
        "limits": limit_table(verdict.items),
        "gates": gate_table(verdict.latency),
        "losses": loss_table(verdict.item("stability")),
        "outages": outage_table(run),
        "phases": phase_table(run),
        "watched": watched_table(run),
    }


def _classes(judged: JudgedRun) -> list[ClassSection]:
    """Return what is shown of each user class of a run that has several."""
    return [
        ClassSection(
            id=f"class-{number}",
            name=Untrusted(name),
            verdict=of_class.verdict.verdict,
            items=[
                one
                for one in _items(of_class, prefix=f"class-{number}-")
                if one.item.verdict in (Ruling.FAIL, Ruling.INCONCLUSIVE)
            ],
            facts=key_figures(of_class),
            charts=_class_charts(of_class.run, f"class-{number}-") if number <= _CLASSES_DRAWN else None,
            tables=[
                message_table(of_class.run),
                *latency_tables(of_class.run),
                *_tables(of_class).values(),
                storm_table(of_class.run),
                error_table(of_class.run.errors),
            ],
        )
        for number, (name, of_class) in enumerate(judged.classes.items(), start=1)
    ]


def _class_table(judged: JudgedRun) -> Table:
    """Return the verdict of each item by user class; empty in a run of one class."""
    classes = judged.classes
    rows = [
        (item.item, *(_verdict_on(item.item, of) for of in classes.values()))
        for item in judged.items
        if any(_verdict_on(item.item, of) for of in classes.values())
    ]
    return Table(("item", *map(Untrusted, classes)), "l" * (1 + len(classes)), rows, "Items by user class")


def _verdict_on(name: str, judged: JudgedRun) -> str:
    return next((str(item.verdict) for item in judged.items if item.item == name), "")


def _class_charts(run: RunData, prefix: str) -> RunCharts:
    """Return the charts of a user class: without the panels that the whole run has, too."""
    found = run_charts(run, prefix=prefix)
    own = (f"{prefix}latency-over-time", f"{prefix}messages-over-time", f"{prefix}sessions-over-time")
    return RunCharts(
        panels=[one for one in found.panels if one.id in own],
        latency=found.latency[:1],
        outages=found.outages[:2],
    )


def _items(judged: JudgedRun, *, prefix: str = "") -> list[ItemSection]:
    shared = shared_reasons(judged.items)
    return [
        ItemSection(
            id=f"{prefix}item-{item.item.replace('_', '-')}",
            item=item,
            open=item.verdict in (Ruling.FAIL, Ruling.INCONCLUSIVE) and not is_shared(item, shared),
            question=KINDS[item.item].question,
            counts=count_table(item),
            lines=advice.finding_lines(item),
            next=judged.next_step(item),
            command=advice.duel_command(item),
        )
        for item in judged.items
    ]
