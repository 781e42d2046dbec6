"""summary.md, for a pull request or $GITHUB_STEP_SUMMARY: verdict, what failed, what to do; the rest folded.

Always under 60 lines, whatever a run holds: people read it between other things, and a bot's comment has a
limit. What does not fit is left out: report.html has everything. The first line is a comment by which a bot
finds its own comment on a pull request.

GitHub Flavored Markdown. Untrusted text goes into code spans and everything else is escaped, so that text
from a server or a file cannot become a link, a mention, HTML or an extra cell.
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from loadtest import text
from loadtest.report import advice
from loadtest.report.change_tables import difference_table
from loadtest.report.drill_table import drill_table
from loadtest.report.judged_run import JudgedRun
from loadtest.report.storms import storm_table
from loadtest.report.tables import Sheet, Table, Untrusted, gate_table, limit_table, percentile_cells
from loadtest.ruling import Ruling
from loadtest.text import markdown_cell, markdown_code, markdown_prose, one_line
from loadtest.verdict.item_changes import outcome_line
from loadtest.verdict.items import AnyItem

_SIGNS = {
    Ruling.PASS: "✅",
    Ruling.FAIL: "❌",
    Ruling.INCONCLUSIVE: "⚠️",
    Ruling.NOT_JUDGED: "➖",  # noqa: RUF001 - the heavy minus sign is intended
}

MARKER: Final = "<!-- loadtest: summary -->"
"""The first line: by it a bot finds the comment that it is to update."""

MAX_LINES: Final = 59
"""Lines of a summary."""

_ID = re.compile(r"\w[\w-]*")
"""What may be the id of a run. A file may say anything, `../x` for example."""

_PROBLEM_LINES = 20
_NOTES = 2
_FINDINGS = 2
_NAMED = 20
_ROWS = 8

_TAGS = ("service", "response", "connect", "outage", "resume")
"""The latencies in a summary, each under a name that needs no explanation."""

_NAMES: Mapping[str, str] = {
    "service": "round trip, from the send",
    "response": "round trip, from the planned send",
    "connect": "connecting",
    "outage": "outage",
    "resume": "reconnecting",
}


def summary(judged: JudgedRun, besides: Sequence[str] = ()) -> str:
    """Return summary.md.

    Args:
        judged: the run.
        besides: what else failed the process, and belongs to no item.
    """
    lines = [*_head(judged, besides), *_problems(judged)]
    foot = list(_foot(judged))
    for section in _sections(judged):
        folded = list(section)
        if len(lines) + len(folded) + len(foot) <= MAX_LINES:
            lines += folded
    return "\n".join([*lines, *foot, ""])


def summary_of_nothing(reason: str) -> str:
    """Return summary.md where no run could be judged.

    Args:
        reason: why not.
    """
    return "\n".join(
        [MARKER, f"## {_SIGNS[Ruling.FAIL]} Nothing was judged", "", f"{markdown_prose(reason)}", ""]
    )


def _head(judged: JudgedRun, besides: Sequence[str]) -> Iterator[str]:
    verdict, run = judged.verdict, judged.run
    yield MARKER
    yield f"## {_signed(verdict.verdict)} {markdown_code(verdict.revision)}"
    yield ""
    for problem in besides:
        yield f"### {_SIGNS[Ruling.FAIL]} {markdown_prose(problem)}"
        yield ""
    for mark, line in zip(("### ", ""), advice.failure_lines(run), strict=False):
        yield f"{mark}{markdown_prose(line)}"
        yield ""
    against = "no baseline" if verdict.baseline is None else f"baseline {markdown_code(verdict.baseline)}"
    yield (
        f"{run.manifest.sessions} sessions, {text.clock(run.length_s)}, "
        f"{text.count(run.count('messaging.sent'))} messages, "
        f"{text.count(sum(run.counts_of('drops').values()))} drops, {against}."
    )
    yield ""
    if verdict.changes:
        yield f"{markdown_prose(outcome_line(verdict.changes))}."
        yield ""
    remarks = [*verdict.notes, *([] if verdict.generator.valid else [advice.generator_line(verdict)])]
    if remarks:
        yield from _first(remarks, _NOTES, "remark")
        yield ""


def _first(lines: Sequence[str], most: int, noun: str) -> Iterator[str]:
    """Yield the first lines as a list, and how many others there are.

    Its marks are asterisks: a list with other marks that follows is one of its own.
    """
    yield from (f"* {markdown_prose(line)}" for line in lines[:most])
    if len(lines) > most:
        yield f"* and {text.counted(len(lines) - most, f'more {noun}')}"


def _problems(judged: JudgedRun) -> Iterator[str]:
    """Yield what failed and what could not be judged, with reason and next step: failures first."""
    found = [("", item, judged.next_step(item)) for item in judged.own_items]
    for name, of_class in judged.classes.items():
        found += [(name, item, of_class.next_step(item)) for item in of_class.items]
    problems = [
        one for ruling in (Ruling.FAIL, Ruling.INCONCLUSIVE) for one in found if one[1].verdict is ruling
    ]
    shown: list[str] = []
    left: list[str] = []
    for user, item, step in problems:
        lines = list(_problem(item, step, user))
        if left or len(shown) + len(lines) > _PROBLEM_LINES:
            left.append(f"{item.verdict} {item.item}{f' of {one_line(user)}' if user else ''}")
        else:
            shown += lines
    if left:
        shown.append(f"- {markdown_prose(_named(left), 2000)}")
    yield from shown
    if shown:
        yield ""


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"also {', '.join(names[:_NAMED])}{more}"


def _problem(item: AnyItem, step: str, user: str) -> Iterator[str]:
    whose = f" of {markdown_code(user)}" if user else ""
    found = markdown_prose(item.summary, 500)
    yield f"- {_signed(item.verdict)} **{markdown_prose(item.item)}**{whose}: {found}"
    for finding in islice(_joined(advice.finding_lines(item)), _FINDINGS):
        yield f"  - {markdown_code(finding, 400)}"
    if step:
        yield f"  - Next: {markdown_prose(text.sentence(step))}"
    if command := advice.duel_command(item):
        yield f"  - {markdown_code(command, 2000)}"


def _joined(lines: Iterable[str]) -> Iterator[str]:
    """Yield findings, each with its indented lines in one."""
    found: list[str] = []
    for line in lines:
        if line.startswith(" ") and found:
            found.append(line.strip())
            continue
        if found:
            yield "; ".join(found)
        found = [line]
    if found:
        yield "; ".join(found)


def _sections(judged: JudgedRun) -> Iterator[Iterator[str]]:
    """Yield what is folded, the most useful first: the last may find no room."""
    verdict = judged.verdict
    yield folded("All items", _item_lines(judged))
    if judged.classes:
        yield folded("User classes", _short(_class_table(judged)))
    yield folded("Run it again", _command_lines(judged))
    if latency := _latency_table(judged):
        yield folded("Latency", _short(latency))
    if gates := gate_table(verdict.latency):
        yield folded("Latency against the baseline", _short(gates))
    for title, table in (
        ("Drills", drill_table(judged.run)),
        ("Storms", storm_table(judged.run)),
        ("Limits", limit_table(verdict.items)),
        (
            "What differs from the baseline's run",
            difference_table(verdict.differences, verdict.latency.evidence.unlike),
        ),
    ):
        if table:
            yield folded(title, _short(table))


def folded(title: str, lines: Iterable[str]) -> Iterator[str]:
    """Yield a collapsed section: its title, and lines that are shown when it is opened."""
    yield f"<details><summary>{title}</summary>"
    yield ""
    yield from lines
    yield ""
    yield "</details>"
    yield ""


def _item_lines(judged: JudgedRun) -> Iterator[str]:
    """Yield the table of items, each with what changed against the baseline, if there is one."""
    changed = {change.item: change for change in judged.verdict.changes or ()}
    rows = []
    for item in judged.items[: _ROWS + 1]:
        change = changed.get(item.item)
        named = str(change) if change is not None else f"{item.item} {item.verdict}"
        rows.append(
            (f"{_SIGNS[item.verdict]} {markdown_prose(named, 200)}", markdown_prose(item.summary, 300))
        )
    yield from _drawn(("item", "summary"), "ll", rows)
    for line in advice.baseline_lines(judged.verdict.latency):
        yield ""
        yield f"{markdown_prose(line)}."


def _class_table(judged: JudgedRun) -> Table:
    """Return the user classes, those that fail first."""
    worst_first = {
        ruling: place for place, ruling in enumerate((Ruling.FAIL, Ruling.INCONCLUSIVE, Ruling.PASS))
    }
    classes = sorted(
        judged.classes.items(), key=lambda one: worst_first.get(one[1].verdict.verdict, len(worst_first))
    )
    rows = [
        (
            Untrusted(name),
            str(of_class.verdict.verdict),
            *(
                ", ".join(item.item for item in of_class.items if item.verdict is ruling) or text.UNKNOWN
                for ruling in (Ruling.FAIL, Ruling.INCONCLUSIVE)
            ),
        )
        for name, of_class in classes
    ]
    return Table(("user class", "verdict", "fails", "inconclusive"), "llll", rows)


def _latency_table(judged: JudgedRun) -> Table:
    """Return the percentiles of the main latencies, as far as their samples carry them."""
    run = judged.run
    rows = [
        (_NAMES[tag], text.count(run.samples(tag)), *percentile_cells(run.histograms[tag]))
        for tag in _TAGS
        if run.samples(tag) and not (tag == "response" and run.only_scripted)
    ]
    header = ("latency", "samples", "p50", "p90", "p95", "p99", "p99.9", "max")
    return Table(header, "lrrrrrrr", rows)


def _command_lines(judged: JudgedRun) -> Iterator[str]:
    command = " ".join(line.removesuffix("\\").strip() for line in judged.command)
    yield "Secrets (token, headers) are not stored; pass them again:"
    yield ""
    yield f"    {one_line(command, 4096)}"


def _foot(judged: JudgedRun) -> Iterator[str]:
    where = markdown_code(str(judged.path / "report.html"), 400)
    run_id = judged.run.manifest.run_id
    named = run_id if _ID.fullmatch(run_id) else one_line(str(judged.path))
    command = markdown_code(f"loadtest report {shlex.quote(named)}", 400)
    yield f"Charts, tables and all evidence: {where}, or {command}."


def _short(table: Table) -> Iterator[str]:
    """Yield the first rows of a table, without its title and note."""
    yield from rows_of(replace(table, note=""), _ROWS)


def _signed(ruling: Ruling) -> str:
    return f"{_SIGNS[ruling]} {markdown_prose(ruling)}"


def headline(line: str, ruling: Ruling | None) -> str:
    """Return a headline with the verdict before it, if there is one."""
    return f"## {'' if ruling is None else f'{_signed(ruling)}: '}{markdown_prose(line)}"


def sheet(of: Sheet) -> str:
    """Return a sheet as Markdown: headline, sentences, tables."""
    lines = [headline(of.headline, of.ruling), ""]
    for line in of.lines:
        lines += [markdown_prose(line), ""]
    for command in of.commands:
        lines += [f"    {one_line(command, 4096)}", ""]
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
    yield from rows_of(table, len(table.rows))
    yield ""


def rows_of(table: Table, most: int) -> Iterator[str]:
    """Yield at most so many rows of a table, how many there are besides, and its note."""
    header, *rows = ([_cell(cell) for cell in row] for row in (table.header, *table.rows[:most]))
    yield from _drawn(header, table.aligns, rows)
    if more := table.more + max(0, len(table.rows) - most):
        yield ""
        yield f"and {more} more"
    if table.note:
        yield ""
        yield markdown_prose(table.note)


def _cell(cell: str) -> str:
    return markdown_cell(cell) if isinstance(cell, Untrusted) else markdown_prose(cell)


def _drawn(header: Sequence[str], aligns: str, rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'|'.join(' ---: ' if align == 'r' else ' --- ' for align in aligns)}|"
    yield from (f"| {' | '.join(row)} |" for row in rows)
