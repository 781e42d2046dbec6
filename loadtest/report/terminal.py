"""Terminal output at the end of a run: the verdict table, what to act on, and where to find the rest.

rich draws it. It omits colours if the output is not a terminal or NO_COLOR is set, and uses 80 columns if the
width is unknown. Text is never parsed as markup: everything is a `Text` that went through `one_line`, so that
a server cannot colour, clear or fake the terminal.
"""

import sys
from collections.abc import Iterable
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from loadtest.report import advice
from loadtest.report.advice import next_step
from loadtest.report.change_tables import change_table, difference_table
from loadtest.report.drill_table import drill_table
from loadtest.report.judged_run import JudgedRun
from loadtest.report.storms import storm_table
from loadtest.report.tables import (
    Sheet,
    Table,
    gate_table,
    gates,
    limit_table,
    named_revision,
    server_log_table,
    verdict_table,
)
from loadtest.ruling import Ruling
from loadtest.text import one_line
from loadtest.verdict.items import AnyItem

_STYLES = {
    Ruling.PASS: "green",
    Ruling.FAIL: "bold red",
    Ruling.INCONCLUSIVE: "yellow",
    Ruling.NOT_JUDGED: "dim",
}
_SUMMARY_LIMIT = 600
_UNBROKEN = frozenset({"item", "verdict", "started", "started (UTC)", "complete", "quantile", "interval, %"})
"""Columns that are never wrapped; others become narrower instead."""

_MANY_COLUMNS = 7


def print_verdict(judged: JudgedRun, *, to_stderr: bool = False) -> None:
    """Print a run's verdict for people."""
    verdict, manifest = judged.verdict, judged.run.manifest
    console = new_console(to_stderr=to_stderr)
    _print_failure(console, judged)
    print_table(console, verdict_table(judged.items))
    baseline = f" against {verdict.baseline}" if verdict.baseline is not None else ""
    headline = Text.assemble(
        "verdict of ", _text(named_revision(manifest)), _text(baseline), ": ", _ruling(verdict.verdict)
    )
    console.print()
    console.print(headline)
    _print_remarks(console, verdict.notes[:10])
    for item in judged.items:
        if item.verdict in (Ruling.FAIL, Ruling.INCONCLUSIVE):
            _print_item(console, item, next_step(item, verdict.items))
    changed = change_table(verdict.changes), difference_table(verdict.differences)
    herds = storm_table(judged.run), drill_table(judged.run)
    for table in filter(None, (limit_table(verdict.items), *herds, *changed)):
        console.print()
        print_table(console, table)
    console.print()
    for line in advice.baseline_lines(verdict.latency):
        console.print(_text(line, _SUMMARY_LIMIT))
    console.print(_text(advice.generator_line(verdict), _SUMMARY_LIMIT))
    _print_remarks(console, verdict.generator.problems)
    _print_where(console, judged)


def _print_remarks(console: Console, remarks: Iterable[str]) -> None:
    for remark in remarks:
        console.print(Padding(_text(f"- {remark}", _SUMMARY_LIMIT), (0, 0, 0, 2), expand=False))


def _print_failure(console: Console, judged: JudgedRun) -> None:
    lines = advice.failure_lines(judged.run)
    for style, line in zip(("bold red", ""), lines, strict=False):
        console.print(Text(one_line(line, _SUMMARY_LIMIT), style))
    if lines:
        console.print()


def _print_item(console: Console, item: AnyItem, step: str) -> None:
    lines = [*advice.count_lines(item), *advice.finding_lines(item)]
    tables = [table for table in (gate_table(gates(item)), server_log_table(item)) if table]
    if not (lines or tables or step):
        return
    console.print()
    console.print(Text.assemble(_text(item.item), " ", _ruling(item.verdict)))
    for line in lines:
        console.print(Padding(_text(line, _SUMMARY_LIMIT), (0, 0, 0, 2), expand=False))
    for table in tables:
        print_table(console, table)
    if step:
        console.print(Padding(Text.assemble(("next: ", "bold"), step), (0, 0, 0, 2), expand=False))


def _print_where(console: Console, judged: JudgedRun) -> None:
    """Print where the run is and how to show it again; paths are not wrapped, so that they can be copied."""
    latency = judged.verdict.latency
    step = next_step(latency, judged.verdict.items)
    if latency.verdict is Ruling.NOT_JUDGED and step:
        console.print(_text(f"latency was not judged: {step}", _SUMMARY_LIMIT))
    console.print()
    for label, value in (
        ("results", str(judged.path)),
        ("report", str(judged.path / "report.html")),
        ("again", judged.again),
    ):
        console.print(_text(f"{label:8} {value}", 4096), soft_wrap=True)


def print_table(console: Console, table: Table) -> None:
    """Print a table, with coloured verdicts."""
    console.print(_drawn(table, console.width))
    if table.more:
        console.print(_text(f"... and {table.more} more"))
    if table.note:
        console.print(_text(table.note, _SUMMARY_LIMIT))


def _drawn(table: Table, width: int) -> RichTable:
    """Return the table for rich; a table of many columns wider than the terminal gets narrower gaps."""
    widths = [max(map(len, column)) for column in zip(table.header, *table.rows, strict=True)]
    dense = len(widths) >= _MANY_COLUMNS and sum(widths) + 2 * len(widths) > width
    gap = 0 if dense else 1  # in addition to the space between any two columns
    drawn = RichTable(
        box=SIMPLE_HEAD, padding=(0, gap, 0, 0), pad_edge=False, header_style="bold", show_edge=False
    )
    for name, align in zip(table.header, table.aligns, strict=True):
        justify: Literal["right", "left"] = "right" if align == "r" else "left"
        drawn.add_column(Text(name), justify=justify, overflow="fold", no_wrap=name in _UNBROKEN)
    for row in table.rows:
        drawn.add_row(*(_cell(cell) for cell in row))
    return drawn


def new_console(*, to_stderr: bool = False) -> Console:
    """Return a console for standard output or standard error that replaces what it cannot encode."""
    stream = sys.stderr if to_stderr else sys.stdout
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    return Console(file=stream, markup=False, emoji=False, highlight=False)


def _cell(text: str) -> Text:
    try:
        return _ruling(Ruling(text))
    except ValueError:
        return _text(text, _SUMMARY_LIMIT)


def _ruling(ruling: Ruling) -> Text:
    return Text(str(ruling), _STYLES[ruling])


def _text(text: str, limit: int = 200) -> Text:
    return Text(one_line(text, limit))


def print_sheet(sheet: Sheet) -> None:
    """Print tables, then the headline and what it means: at the end, so that they stay in view."""
    console = new_console()
    for table in sheet.tables:
        if table:
            print_table(console, table)
            console.print()
    ruling = () if sheet.ruling is None else (": ", _ruling(sheet.ruling))
    console.print(Text.assemble(_text(sheet.headline), *ruling))
    for line in sheet.lines:
        console.print(_text(line, _SUMMARY_LIMIT))
    if sheet.again:
        console.print(_text(f"again: {sheet.again}", 4096), soft_wrap=True)
