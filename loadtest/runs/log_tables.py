"""The tables of `loadtest check-log`: one column per log, the worst records of each, and what changed."""

from collections.abc import Callable, Sequence

from loadtest import text
from loadtest.report.tables import ROWS_LIMIT, Sheet, Table, Untrusted
from loadtest.runs.check_log import OLDER, OTHER_REVISION, WITHOUT_TIME, LogReport
from loadtest.runs.log_changes import LogChange, LogChanges
from loadtest.serverlog.records import level_name
from loadtest.serverlog.rules import LogClass
from loadtest.serverlog.times import iso

_DAY = slice(0, 10)
_CLOCK = slice(11, 19)


def check_sheet(reports: Sequence[LogReport], changes: LogChanges | None = None) -> Sheet:
    """Return reports as tables, with the changes from the last but one to the last."""
    last = reports[-1]
    tables = [_counts(reports), *map(_examples, reports)]
    if changes is not None:
        tables[1:1] = [_classes(changes), _shapes(changes)]
    return Sheet(headline=f"{_name(last)}: {_status(last)}", tables=tables)


def _counts(reports: Sequence[LogReport]) -> Table:
    rows = [(label, *(show(report) for report in reports)) for label, show in _ROWS]
    rows += _if_any([(label, *(show(report) for report in reports)) for label, show in _ROWS_IF_ANY])
    rows += _if_any([(str(one), *(_levels(report, one) for report in reports)) for one in LogClass])
    return Table(("", *map(_name, reports)), "l" * (len(reports) + 1), rows, "Server log")


def _if_any(rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return the rows that are not empty in every log."""
    return [row for row in rows if not {"0", text.UNKNOWN}.issuperset(row[1:])]


def _examples(report: LogReport) -> Table:
    moments = (report.first_ns or 0, report.last_ns or 0)
    one_day = len({iso(at_ns)[_DAY] for at_ns in moments}) == 1
    rows = [
        (
            text.count(example.count),
            level_name(example.level),
            str(example.log_class),
            _short(example.at_ns, one_day=one_day),
            _short(example.last_ns, one_day=one_day),
            str(example.line) if len(report.files) == 1 else Untrusted(f"{example.file}:{example.line}"),
            Untrusted(example.text),
        )
        for example in report.worst()
    ]
    header = ("count", "level", "class", "first", "last", "line", f"first of them in {_name(report)}")
    more = len(report.shapes) - len(rows)
    return Table(header, "rllllrl", rows, f"Worst records in {_name(report)}", more=more)


def _short(at_ns: int | None, *, one_day: bool) -> str:
    if at_ns is None:
        return text.UNKNOWN
    moment = iso(at_ns)
    return moment[_CLOCK] if one_day else f"{moment[5:10]} {moment[11:16]}"


def _classes(changes: LogChanges) -> Table:
    rows = [
        (str(change.log_class or "all"), level_name(change.level), *_figures(change))
        for change in changes.classes
    ]
    header = ("class", "level", *_before_and_after(changes), "by chance", "change")
    return Table(header, "llrrrl", rows, f"Records per {changes.unit}, before and after")


def _shapes(changes: LogChanges) -> Table:
    shown = changes.shapes[:ROWS_LIMIT]
    rows = [(level_name(change.level), *_figures(change), Untrusted(change.text)) for change in shown]
    header = ("level", *_before_and_after(changes), "by chance", "change", "one of them")
    more = len(changes.shapes) - len(shown)
    note = "One of the logs has too many shapes to count all of them." if changes.incomplete else ""
    title = f"Warnings and errors per {changes.unit}, before and after"
    return Table(header, "lrrrll", rows, title, more=more, note=note)


def _before_and_after(changes: LogChanges) -> tuple[str, str]:
    return f"before per {changes.unit} (count)", f"after per {changes.unit} (count)"


def _figures(change: LogChange) -> tuple[str, str, str, str]:
    before, after = (
        f"{text.figures(rate)} ({text.count(count)})"
        for rate, count in ((change.before_rate, change.before), (change.after_rate, change.after))
    )
    chance = "<0.01%" if change.chance < 1e-4 else text.share(change.chance)
    return before, after, chance, change.change or "as before"


def _name(report: LogReport) -> str:
    return ", ".join("standard input" if name == "-" else name for name in report.files)


def _status(report: LogReport) -> str:
    return f"{report.status} ({report.doubt})" if report.doubt else report.status


def _levels(report: LogReport, log_class: LogClass) -> str:
    levels = report.levels(log_class)
    return ", ".join(f"{name} {text.count(count)}" for name, count in levels.items()) or text.UNKNOWN


def _with_rate(report: LogReport, count: int) -> str:
    rate = report.per_hour(count)
    return text.count(count) if rate is None else f"{text.count(count)} ({rate:,.1f} an hour)"


def _moment(at_ns: int | None) -> str:
    return text.UNKNOWN if at_ns is None else iso(at_ns)


_ROWS: tuple[tuple[str, Callable[[LogReport], str]], ...] = (
    ("status", _status),
    ("from", lambda report: _moment(report.first_ns)),
    ("to", lambda report: _moment(report.last_ns)),
    ("records", lambda report: _with_rate(report, report.records)),
    ("errors", lambda report: _with_rate(report, report.errors)),
    ("warnings", lambda report: _with_rate(report, report.warnings)),
    ("apparent error ratio", lambda report: text.share(report.apparent_error_ratio)),
    ("real errors", lambda report: _with_rate(report, report.real_errors)),
    ("disconnects", lambda report: _with_rate(report, report.disconnects)),
)

_ROWS_IF_ANY: tuple[tuple[str, Callable[[LogReport], str]], ...] = (
    ("service", lambda report: Untrusted(report.service or text.UNKNOWN)),
    ("disconnects logged as errors", lambda report: text.count(report.disconnect_errors)),
    ("disconnects at INFO or below", lambda report: text.share(report.disconnect_info_ratio)),
    ("without a level", lambda report: text.count(report.unlevelled)),
    ("unreadable in the whole log", lambda report: text.count(report.reading.broken + report.reading.cut)),
    *(
        (f"not selected: {reason}", lambda report, reason=reason: text.count(report.left_out[reason]))
        for reason in (OLDER, WITHOUT_TIME, OTHER_REVISION)
    ),
)
