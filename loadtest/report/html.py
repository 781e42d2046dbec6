"""report.html: one self-contained file, made from a template that escapes every value."""

import sys
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from loadtest import text
from loadtest.report import advice
from loadtest.report.advice import next_step
from loadtest.report.change_tables import change_table, difference_table
from loadtest.report.charts import charts
from loadtest.report.drill_table import drill_table
from loadtest.report.judged_run import JudgedRun
from loadtest.report.losses import loss_table
from loadtest.report.storms import storm_table
from loadtest.report.tables import (
    Untrusted,
    count_table,
    environment_table,
    error_table,
    gate_table,
    gates,
    latency_table,
    limit_table,
    outage_table,
    phase_table,
    plan_table,
    server_log_table,
)
from loadtest.report.watched import watched_table
from loadtest.ruling import Ruling
from loadtest.text import one_line
from loadtest.verdict.items import KINDS


def _shown(value: Any) -> Any:
    """Make control characters visible in every text that the template prints."""
    markup = hasattr(value, "__html__")  # output of a macro is already escaped
    return one_line(value, sys.maxsize) if isinstance(value, str) and not markup else value


_environment = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_shown,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.tests["untrusted"] = lambda value: isinstance(value, Untrusted)
_environment.globals["rulings"] = frozenset(Ruling)


def html(judged: JudgedRun) -> str:
    """Return report.html."""
    verdict, run = judged.verdict, judged.run
    manifest = run.manifest
    return _environment.get_template("report.html").render(
        verdict=verdict,
        manifest=manifest,
        failure=advice.failure_lines(run),
        items=_items(judged),
        generator=advice.generator_line(verdict),
        facts=_facts(judged),
        charts=charts(run),
        changes=change_table(verdict.changes),
        differences=difference_table(verdict.differences),
        compared_with=advice.baseline_lines(verdict.latency),
        limits=limit_table(verdict.items),
        gates=gate_table(gates(verdict.latency)),
        latency=latency_table(run),
        losses=loss_table(verdict.item("stability")),
        outages=outage_table(run),
        herd=advice.herd_line(run),
        phases=phase_table(run),
        storms=storm_table(run),
        drills=drill_table(run),
        watched=watched_table(run),
        server_log=server_log_table(verdict.item("server_log")),
        errors=error_table(run.errors),
        plan=plan_table(manifest.plan),
        environment=environment_table(run),
        command=judged.command,
    )


def _items(judged: JudgedRun) -> list[dict[str, Any]]:
    return [
        {
            "item": item,
            "question": KINDS[item.item].question,
            "counts": count_table(item),
            "lines": advice.finding_lines(item),
            "next": next_step(item, judged.verdict.items),
        }
        for item in judged.items
    ]


def _facts(judged: JudgedRun) -> list[tuple[str, str]]:
    run = judged.run
    percentiles = run.percentiles_us("service", (50, 99))
    return [
        ("sessions", text.count(run.manifest.plan.sessions)),
        ("length", text.clock(run.length_s)),
        ("messages", text.count(run.count("messaging.sent"))),
        ("drops", text.count(sum(run.counts_of("drops").values()))),
        ("resumed", text.count(run.count("reconnect.resumed"))),
        ("service p50", text.span(percentiles.get(50))),
        ("service p99", text.span(percentiles.get(99))),
    ]
