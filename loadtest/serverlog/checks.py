"""`loadtest check-log`: the records of some files selected, classified and counted, and shown in columns.

With two files, before and after a deploy, each row shows both. The lines are plain text; every character
in them is printable, but they come from a log: a terminal renderer must not read markup in them.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from loadtest.serverlog.findings import LogReport
from loadtest.serverlog.reader import LogReader, read
from loadtest.serverlog.records import Record
from loadtest.serverlog.rules import LogClass, RuleTable
from loadtest.serverlog.times import iso


class Selection(Struct, frozen=True, kw_only=True):
    """Which records are checked: those of a time on (Unix), those of one revision."""

    since_ns: int | None = None
    revision: str | None = None

    def takes(self, record: Record) -> bool:
        """Whether a record is checked; one without a time is not, where a time is asked for."""
        if self.since_ns is not None and (record.at_ns is None or record.at_ns < self.since_ns):
            return False
        return self.revision is None or record.revision == self.revision


def check(
    paths: Sequence[Path],
    *,
    rules: RuleTable,
    selection: Selection | None = None,
    format: str = "auto",  # noqa: A002 - the setting's name
) -> LogReport:
    """Read files, all of one server, and count what they hold; `-` is standard input.

    Raises:
        InvalidSetting: a file cannot be read, or there is no such format.

    """
    report = LogReport(files=tuple(map(str, paths)))
    selection = selection or Selection()
    for path in paths:
        reader = LogReader(format=format)
        for record in read(path, reader):
            if selection.takes(record):
                report.add(record, rules.classify(record), str(path))
            else:
                report.skipped += 1
        report.reading = report.reading.plus(reader.counts)
    return report


def lines(reports: Sequence[LogReport]) -> list[str]:
    """What checks found, as lines of text: a row each for what is counted, a column for each report."""
    table = [("", *(", ".join(report.files) for report in reports))]
    table += [(label, *(show(report) for report in reports)) for label, show in _ROWS]
    table += [_class_row(log_class, reports) for log_class in LogClass]
    return [*_aligned(table), *_examples(reports)]


def _aligned(table: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


def _class_row(log_class: LogClass, reports: Sequence[LogReport]) -> tuple[str, ...]:
    cells = []
    for report in reports:
        levels = report.levels(log_class)
        cells.append(", ".join(f"{name} {count}" for name, count in levels.items()) or "-")
    return (f"  {log_class}", *cells)


def _examples(reports: Iterable[LogReport]) -> list[str]:
    shown = []
    for report in reports:
        for example in report.worst():
            where = f"{example.file}:{example.line}"
            shown.append(f"{example.count} x {example.level.name} {example.log_class}, first at {where}")
            shown.append(f"    {example.text}")
    return ["", *shown] if shown else []


def _with_rate(report: LogReport, count: int) -> str:
    rate = report.per_hour(count)
    return str(count) if rate is None else f"{count} ({rate:.1f} an hour)"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _moment(at_ns: int | None) -> str:
    return "-" if at_ns is None else iso(at_ns)


_ROWS: tuple[tuple[str, Callable[[LogReport], str]], ...] = (
    ("status", lambda report: f"{report.status} ({report.doubt})" if report.doubt else report.status),
    ("service", lambda report: report.service or "-"),
    ("from", lambda report: _moment(report.first_ns)),
    ("to", lambda report: _moment(report.last_ns)),
    ("records", lambda report: _with_rate(report, report.records)),
    ("errors", lambda report: _with_rate(report, report.errors)),
    ("warnings", lambda report: _with_rate(report, report.warnings)),
    ("apparent error ratio", lambda report: _ratio(report.apparent_error_ratio)),
    ("real errors", lambda report: _with_rate(report, report.real_errors)),
    ("disconnects", lambda report: _with_rate(report, report.disconnects)),
    ("  logged as errors", lambda report: str(report.disconnect_errors)),
    ("  at INFO or below", lambda report: _ratio(report.info_ratio)),
    ("unreadable", lambda report: str(report.reading.broken + report.reading.cut)),
    ("not selected", lambda report: str(report.skipped)),
    ("records by class", lambda _: ""),
)
