"""summary.md, for a pull request or $GITHUB_STEP_SUMMARY: the verdict first, then the evidence.

GitHub Flavored Markdown. Untrusted text goes into code spans and everything else is escaped, so that text
from a server or a file cannot become a link, a mention, HTML or an extra cell.
"""

from collections.abc import Iterable, Iterator, Sequence

from loadtest import text
from loadtest.report import advice
from loadtest.report.advice import next_step
from loadtest.report.change_tables import change_table, difference_table
from loadtest.report.drill_table import drill_table
from loadtest.report.judged_run import JudgedRun
from loadtest.report.losses import loss_table
from loadtest.report.storms import storm_table
from loadtest.report.tables import (
    Sheet,
    Table,
    Untrusted,
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
from loadtest.text import markdown_cell, markdown_code, markdown_prose, one_line
from loadtest.verdict.items import AnyItem

_SIGNS = {
    Ruling.PASS: "✅",
    Ruling.FAIL: "❌",
    Ruling.INCONCLUSIVE: "⚠️",
    Ruling.NOT_JUDGED: "➖",  # noqa: RUF001 - the heavy minus sign is intended
}


def summary(judged: JudgedRun) -> str:
    """Return summary.md."""
    parts = (_verdict, _findings, _measured, _origin)
    return "\n".join(line for part in parts for line in part(judged))


def _verdict(judged: JudgedRun) -> Iterator[str]:
    verdict, run = judged.verdict, judged.run
    yield f"## {_signed(verdict.verdict)} {markdown_code(verdict.revision)}"
    yield ""
    for mark, line in zip(("### ", ""), advice.failure_lines(run), strict=False):
        yield f"{mark}{markdown_prose(line)}"
        yield ""
    against = "no baseline" if verdict.baseline is None else f"baseline {markdown_code(verdict.baseline)}"
    yield (
        f"{run.manifest.plan.sessions} sessions, {text.clock(run.length_s)}, "
        f"{text.count(run.count('messaging.sent'))} messages, "
        f"{text.count(sum(run.counts_of('drops').values()))} drops, {against}."
    )
    yield ""
    if verdict.notes:
        yield from (f"- {markdown_prose(note)}" for note in verdict.notes[:20])
        yield ""
    rows = [(item.item, _signed(item.verdict), markdown_prose(item.summary)) for item in judged.items]
    yield from _drawn(("item", "verdict", "summary"), "lll", rows)
    yield ""
    yield from table_lines(change_table(verdict.changes))
    for line in advice.baseline_lines(verdict.latency):
        yield f"{markdown_prose(line)}."
        yield ""
    yield from table_lines(difference_table(verdict.differences))
    yield f"{markdown_prose(advice.generator_line(verdict))}."
    yield from (f"- {markdown_prose(problem)}" for problem in verdict.generator.problems)
    yield ""


def _signed(ruling: Ruling) -> str:
    return f"{_SIGNS[ruling]} {markdown_prose(ruling)}"


def _findings(judged: JudgedRun) -> Iterator[str]:
    for item in judged.items:
        if item.verdict in (Ruling.FAIL, Ruling.INCONCLUSIVE):
            yield from _finding(item, next_step(item, judged.verdict.items))


def _finding(item: AnyItem, step: str) -> Iterator[str]:
    lines = [*advice.count_lines(item), *advice.finding_lines(item)]
    if not (lines or step):
        return
    yield f"### {_signed(item.verdict)}: {item.item}"
    yield ""
    # Lines indented by four spaces are code and need no escaping (CommonMark 0.31 section 4.4).
    yield from (f"    {one_line(line, 600)}" for line in lines)
    if lines:
        yield ""
    if step:
        yield f"Next: {markdown_prose(step)}."
        yield ""


def _measured(judged: JudgedRun) -> Iterator[str]:
    run, verdict = judged.run, judged.verdict
    for table in (
        limit_table(verdict.items),
        gate_table(gates(verdict.latency)),
        latency_table(run),
        loss_table(verdict.item("stability")),
        outage_table(run),
        phase_table(run),
        storm_table(run),
        drill_table(run),
        watched_table(run),
        server_log_table(verdict.item("server_log")),
        error_table(run.errors),
    ):
        yield from table_lines(table)


def _origin(judged: JudgedRun) -> Iterator[str]:
    run = judged.run
    yield "<details><summary>Plan, environment, how to repeat</summary>"
    yield ""
    yield from table_lines(plan_table(run.manifest.plan))
    yield from table_lines(environment_table(run))
    yield "### Repeat"
    yield ""
    lines = judged.command
    yield from (f"    {one_line(line, 4096)}" for line in lines)
    yield ""
    yield "Secrets (token, headers) are not kept and must be given again."
    yield ""
    yield "</details>"
    yield ""


def sheet(of: Sheet) -> str:
    """Return a sheet as Markdown: headline, sentences, tables."""
    ruling = "" if of.ruling is None else f"{_signed(of.ruling)}: "
    lines = [f"## {ruling}{markdown_prose(of.headline)}", ""]
    for line in of.lines:
        lines += [markdown_prose(line), ""]
    for table in of.tables:
        lines += table_lines(table)
    if of.again:
        lines += ["Again:", "", f"    {one_line(of.again, 4096)}", ""]
    return "\n".join(lines)


def table_lines(table: Table) -> Iterator[str]:
    """Yield a table under its title, nothing for an empty table."""
    if not table:
        return
    yield f"### {markdown_prose(table.title)}"
    yield ""
    header, *rows = ([_cell(cell) for cell in row] for row in (table.header, *table.rows))
    yield from _drawn(header, table.aligns, rows)
    if table.more:
        yield ""
        yield f"and {table.more} more"
    if table.note:
        yield ""
        yield markdown_prose(table.note)
    yield ""


def _cell(cell: str) -> str:
    return markdown_cell(cell) if isinstance(cell, Untrusted) else markdown_prose(cell)


def _drawn(header: Sequence[str], aligns: str, rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'|'.join(' ---: ' if align == 'r' else ' --- ' for align in aligns)}|"
    yield from (f"| {' | '.join(row)} |" for row in rows)
