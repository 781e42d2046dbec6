"""Terminal output at the end of a run: one screen, with the verdict at the top and the end.

    verdict of v2.0 against v1.0: FAIL

    messaging  FAIL  55,011 messages sent: 3 without a reply although the connection stayed up
      3 x no reply in 10 s
      next: look up the first error in the server's log, by its session and time

    connect    PASS  2,000 sessions established in 2,000 attempts, 0 failed
    …
    verdict  FAIL: messaging
    results  results/v2.0/20261129T194006Z-12ccb53b

What failed comes with its evidence and its next step, then what is inconclusive, then the rest. The last
lines say the verdict again, where the run is, and how to show it again: a terminal and a CI log are read from
there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from rich.console import Console
from rich.text import Text

from loadtest.report import advice
from loadtest.report.change_tables import change_table, difference_table
from loadtest.report.drill_table import drill_table
from loadtest.report.judged_run import JudgedRun
from loadtest.report.storms import storm_table
from loadtest.report.tables import (
    Sheet,
    Table,
    gate_table,
    limit_table,
    named_revision,
    server_log_table,
)
from loadtest.report.terminal_tables import (
    TEXT_LIMIT,
    hanging,
    indented,
    new_console,
    plain,
    print_rows,
    print_table,
    shown_ruling,
)
from loadtest.ruling import Ruling
from loadtest.text import one_line
from loadtest.verdict.items import AnyItem

_COMMAND_LENGTH = 4096
_FINDINGS = (Ruling.FAIL, Ruling.INCONCLUSIVE)


def print_verdict(judged: JudgedRun, *, to_stderr: bool = False, others: Sequence[Table] = ()) -> None:
    """Print a run's verdict for people.

    Args:
        judged: the run.
        to_stderr: whether to print to standard error.
        others: tables of what the verdict does not judge.
    """
    verdict, manifest = judged.verdict, judged.run.manifest
    console = new_console(to_stderr=to_stderr)
    if manifest.usage_error:  # what it had recorded may be wrong for the same reason
        _print_mistake(console, judged)
        return
    _print_failure(console, judged)
    baseline = f" against {verdict.baseline}" if verdict.baseline is not None else ""
    console.print(
        Text.assemble(
            "verdict of ",
            plain(named_revision(manifest)),
            plain(baseline),
            ": ",
            shown_ruling(verdict.verdict),
        )
    )
    _print_remarks(console, verdict.notes[:10])
    _print_findings(console, judged)
    for name, of_class in judged.classes.items():
        console.print()
        console.print(Text.assemble(plain(name), ": ", shown_ruling(of_class.verdict.verdict)))
        _print_findings(console, of_class)
        _print_tables(console, (limit_table(of_class.verdict.items), storm_table(of_class.run)))
    _print_rest(console, judged)
    _print_tables(console, others)
    _print_end(console, judged)


def _print_findings(console: Console, judged: JudgedRun) -> None:
    """Print what fails, then what is inconclusive; the evidence where no user class has it."""
    own = judged.own_items
    for ruling in _FINDINGS:
        for item in judged.items:
            if item.verdict is ruling:
                _print_item(console, item, judged.next_step(item), evidence=item in own)


def _print_item(console: Console, item: AnyItem, step: str, *, evidence: bool) -> None:
    console.print()
    summary = plain(item.summary, TEXT_LIMIT)
    hanging(console, Text.assemble(plain(item.item), "  ", shown_ruling(item.verdict), "  ", summary))
    if not evidence:
        return
    for line in advice.finding_lines(item):
        indented(console, plain(line, TEXT_LIMIT))
    for table in filter(None, (_open_gates(item), server_log_table(item))):
        print_table(console, table)
    _print_remarks(console, advice.open_gates(item))
    if step:
        indented(console, Text.assemble(("next: ", "bold"), step))
    if command := advice.duel_command(item):  # not wrapped, so that it can be copied
        console.print(plain(command, _COMMAND_LENGTH), soft_wrap=True)


def _open_gates(item: AnyItem) -> Table:
    """Return the table of gates without those that passed or were not judged; its note names these."""
    table = gate_table(item)
    rows = [row for row in table.rows if row[-1] in _FINDINGS]
    passed = ", ".join(row[0] for row in table.rows if row[-1] == Ruling.PASS)
    note = " ".join(filter(None, [f"Passed: {passed}." if passed else "", table.note]))
    return replace(table, rows=rows, note=note)


def _print_rest(console: Console, judged: JudgedRun) -> None:
    """Print the items that found nothing, what all items share, and whether the load generator was fit."""
    verdict = judged.verdict
    calm = [item for item in judged.items if item.verdict not in _FINDINGS]
    if calm:
        console.print()
        longest = max(len(item.item) for item in judged.items)
        print_rows(console, [(item.item.ljust(longest), str(item.verdict), item.summary) for item in calm])
    storms = () if judged.classes else (storm_table(judged.run),)
    tables = (
        limit_table(verdict.items),
        *storms,
        drill_table(judged.run),
        change_table(verdict.changes),
        difference_table(verdict.differences, verdict.latency.evidence.unlike),
    )
    _print_tables(console, tables)
    console.print()
    for line in advice.baseline_lines(verdict.latency):
        console.print(plain(line, TEXT_LIMIT))
    _print_generator(console, judged)
    step = judged.next_step(verdict.latency)
    if verdict.latency.verdict is Ruling.NOT_JUDGED and step:
        console.print(plain(f"to judge latency, {step}", TEXT_LIMIT))


def _print_generator(console: Console, judged: JudgedRun) -> None:
    """Print whether the load generator was fit; its figures only if it was not."""
    line = advice.generator_line(judged.verdict)
    if judged.verdict.generator.valid:
        line = line.partition(":")[0]
    console.print(plain(line, TEXT_LIMIT))
    _print_remarks(console, judged.verdict.generator.problems)


def _print_tables(console: Console, tables: Iterable[Table]) -> None:
    for table in filter(None, tables):
        console.print()
        print_table(console, table)


def _print_remarks(console: Console, remarks: Iterable[str]) -> None:
    for remark in remarks:
        indented(console, plain(f"- {remark}", TEXT_LIMIT))


def _print_failure(console: Console, judged: JudgedRun) -> None:
    for style, line in zip(("bold red", ""), advice.failure_lines(judged.run), strict=False):
        console.print(Text(one_line(line, TEXT_LIMIT), style))


def _print_mistake(console: Console, judged: JudgedRun) -> None:
    """Print the mistake that ended a run, and where to find what the run had recorded."""
    for line in advice.failure_lines(judged.run)[:1]:
        console.print(Text(one_line(line, TEXT_LIMIT), "bold red"))
    console.print("Fix it and run again.")
    console.print()
    _print_paths(console, judged)


def _print_end(console: Console, judged: JudgedRun) -> None:
    """Print the verdict again with the items that made it, and where the run is."""
    console.print()
    parts: list[Text] = []
    for ruling in dict.fromkeys((judged.verdict.verdict, *_FINDINGS)):
        names = ", ".join(item.item for item in judged.items if item.verdict is ruling)
        if ruling in _FINDINGS and names:
            parts.append(Text.assemble(shown_ruling(ruling), ": ", plain(names, TEXT_LIMIT)))
        elif not parts:
            parts.append(shown_ruling(ruling))
    hanging(console, Text("verdict  ") + Text("; ").join(parts), 9)
    _print_paths(console, judged)


def _print_paths(console: Console, judged: JudgedRun) -> None:
    """Print where the run is and how to show it again; paths are not wrapped, so that they can be copied."""
    report = judged.path / "report.html"
    for label, value in (
        ("results", str(judged.path)),
        *([("report", str(report))] if report.exists() else []),  # the disk may be full
        ("again", judged.again),
    ):
        console.print(plain(f"{label:8} {value}", _COMMAND_LENGTH), soft_wrap=True)


def print_sheet(sheet: Sheet) -> None:
    """Print tables, then the headline and what it means: at the end, so that they stay in view."""
    console = new_console()
    for table in sheet.tables:
        if table:
            print_table(console, table)
            console.print()
    ruling = () if sheet.ruling is None else (": ", shown_ruling(sheet.ruling))
    console.print(Text.assemble(plain(sheet.headline), *ruling))
    for line in sheet.lines:
        console.print(plain(line, TEXT_LIMIT))
    for command in sheet.commands:
        console.print(plain(command, _COMMAND_LENGTH), soft_wrap=True)
    if sheet.again:
        console.print(plain(f"again: {sheet.again}", _COMMAND_LENGTH), soft_wrap=True)
