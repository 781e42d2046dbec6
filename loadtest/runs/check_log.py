"""Judge a server's log by itself, without a run: `loadtest check-log`.

    status     when                                                                            exit code
    CRITICAL   a record at CRITICAL, or at least 5 real errors that are over 5% of all records         1
    DEGRADED   a real error, a disconnect logged as ERROR, or under 95% of the disconnect
               records at INFO or below                                                                1
    OK         none of these                                                                           0
    NO_DATA    no record to judge                                                                      4
    DEGRADED   over half of the log unreadable: never OK                                               4

A real error is a record at ERROR or worse that neither a client's disconnect nor a shutdown caused. The
apparent error ratio, which counts by level alone, is shown for comparison. Records are counted as they are
read and not kept, so a log of any length takes the same memory.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from loadtest import text
from loadtest.report.tables import Sheet, Table, Untrusted
from loadtest.serverlog.log_reader import LogReader, read
from loadtest.serverlog.records import Counts, Level, LogRecord, excerpt
from loadtest.serverlog.rules import DISCONNECTS, LogClass, RuleTable
from loadtest.serverlog.shapes import Shapes, shape_of
from loadtest.serverlog.times import SECOND_NS, iso
from loadtest.text import one_line, without_likely_secrets
from loadtest.verdict.server_log import INFO_RATIO, MAX_DAMAGED_RATIO

CRITICAL_ERRORS = 5
CRITICAL_RATIO = 0.05

_MIN_SPAN_S = 60  # an hourly rate from less than a minute is meaningless
_EXAMPLES = 5
_REVISIONS_SHOWN = 5
_REVISION_SHOWN = 80  # characters
_RANK = {log_class: rank for rank, log_class in enumerate(LogClass)} | {LogClass.REAL_ERROR: -1}


class Example(Struct, frozen=True, kw_only=True):
    """Records that differ only in numbers and ids: their count, and the first of them."""

    log_class: LogClass
    level: Level
    text: str
    file: str
    line: int
    session: str
    at_ns: int | None
    count: int = 1


class LogReport(Struct, kw_only=True):
    """The result of a check. Add records with `add`."""

    files: tuple[str, ...] = ()
    service: str = ""
    first_ns: int | None = None
    last_ns: int | None = None
    found: Counter[tuple[LogClass, Level]] = field(default_factory=Counter)
    shapes: Shapes[Example] = field(default_factory=Shapes)
    reading: Counts = field(default_factory=Counts)
    skipped: int = 0
    revisions_skipped: set[str] = field(default_factory=set)

    def skip(self, record: LogRecord, *, of_other_revision: bool) -> None:
        """Count a record that was not selected, and keep its revision if it is another."""
        self.skipped += 1
        if of_other_revision and len(self.revisions_skipped) < _REVISIONS_SHOWN:
            revision = one_line(without_likely_secrets(record.revision), _REVISION_SHOWN)
            self.revisions_skipped |= {revision} - {""}

    def add(self, record: LogRecord, log_class: LogClass, file: str) -> None:
        """Count a record."""
        self.found[log_class, record.level] += 1
        self.service = self.service or record.service
        if record.at_ns is not None:
            self.first_ns = record.at_ns if self.first_ns is None else min(self.first_ns, record.at_ns)
            self.last_ns = record.at_ns if self.last_ns is None else max(self.last_ns, record.at_ns)
        if record.level >= Level.WARNING:
            example = _example(record, log_class, file)
            shape = shape_of(example.text, (record.session,))
            self.shapes.add((record.level, log_class, shape), example, record.at_ns)

    @property
    def records(self) -> int:
        """How many records were checked."""
        return self.found.total()

    @property
    def errors(self) -> int:
        """How many records are at ERROR or worse."""
        return self._count(lambda _, level: level >= Level.ERROR)

    @property
    def warnings(self) -> int:
        """How many records are at WARNING."""
        return self._count(lambda _, level: level == Level.WARNING)

    @property
    def real_errors(self) -> int:
        """How many records at ERROR or worse are real errors."""
        return self._count(lambda log_class, level: level >= Level.ERROR and log_class is LogClass.REAL_ERROR)

    @property
    def disconnects(self) -> int:
        """How many records were caused by a client's disconnect."""
        return self._count(lambda log_class, _: log_class in DISCONNECTS)

    @property
    def disconnect_errors(self) -> int:
        """How many disconnect records are at ERROR or worse."""
        return self._count(lambda log_class, level: log_class in DISCONNECTS and level >= Level.ERROR)

    @property
    def info_ratio(self) -> float | None:
        """The share of disconnect records at INFO or below, None if there are none."""
        quiet = self._count(lambda log_class, level: log_class in DISCONNECTS and level <= Level.INFO)
        return quiet / self.disconnects if self.disconnects else None

    @property
    def apparent_error_ratio(self) -> float:
        """The share of records at ERROR or worse, in [0, 1]; 0 without records."""
        return self.errors / self.records if self.records else 0.0

    @property
    def hours(self) -> float | None:
        """Hours from the first record to the last, None if less than a minute or unknown."""
        if self.first_ns is None or self.last_ns is None:
            return None
        span_s = (self.last_ns - self.first_ns) / SECOND_NS
        return span_s / 3_600 if span_s >= _MIN_SPAN_S else None

    @property
    def status(self) -> str:
        """OK, DEGRADED, CRITICAL or NO_DATA, as described in the module's docstring."""
        if not self.records:
            return "NO_DATA"
        fatal = self._count(lambda _, level: level >= Level.CRITICAL)
        many = self.real_errors >= CRITICAL_ERRORS and self.real_errors > CRITICAL_RATIO * self.records
        if fatal or many:
            return "CRITICAL"
        noisy = self.info_ratio is not None and self.info_ratio < INFO_RATIO
        return "DEGRADED" if self.doubt or self.real_errors or self.disconnect_errors or noisy else "OK"

    @property
    def doubt(self) -> str:
        """Why the log cannot be judged, empty if it can."""
        if not self.records:
            return self._nothing
        if self.reading.damaged_ratio() > MAX_DAMAGED_RATIO:
            return f"{text.share(self.reading.damaged_ratio())} of the log could not be read: name its format"
        return ""

    @property
    def _nothing(self) -> str:
        """Why there is no record to judge."""
        if self.skipped:
            revisions = ", ".join(sorted(self.revisions_skipped))
            return "no record was selected" + f"; the log has the revisions: {revisions}" * bool(revisions)
        damaged = self.reading.damaged_ratio() > 0
        return "no record was found: name the log's format" if damaged else "the log is empty"

    @property
    def exit_code(self) -> int:
        """0 if the status is OK, 1 if not, 4 if the log cannot be judged and nothing wrong was found."""
        if self.status == "OK":
            return 0
        wrong = self.real_errors or self.disconnect_errors or self.status == "CRITICAL"
        return 4 if self.doubt and not wrong else 1

    def worst(self) -> list[Example]:
        """Return the worst examples: by level, then real errors first, then by frequency."""
        groups = self.shapes.by_count()
        groups.sort(key=lambda group: (-group.first.level, _RANK[group.first.log_class]))
        return [msgspec.structs.replace(group.first, count=group.count) for group in groups[:_EXAMPLES]]

    def to_json(self, now_ns: int) -> dict[str, Any]:
        """Return the report for programs. Alerting reads the first fields.

        Args:
            now_ns: time of the report, in Unix time.
        """
        return {
            "timestamp": iso(now_ns),
            "service": self.service,
            "status": self.status,
            "summary": {"errors": self.errors, "warnings": self.warnings, "logs_analyzed": self.records},
            "doubt": self.doubt or None,
            "exit_code": self.exit_code,
            "files": list(self.files),
            "from": iso(self.first_ns) if self.first_ns is not None else None,
            "to": iso(self.last_ns) if self.last_ns is not None else None,
            "hours": self.hours,
            "real_errors": self.real_errors,
            "disconnect_records": self.disconnects,
            "disconnect_errors": self.disconnect_errors,
            "info_ratio": self.info_ratio,
            "apparent_error_ratio": round(self.apparent_error_ratio, 4),
            "classes": {log_class: self.levels(log_class) for log_class in LogClass},
            "examples": [_example_json(example) for example in self.worst()],
            "reading": self.reading.as_dict() | {"not_selected": self.skipped},
        }

    def per_hour(self, count: int) -> float | None:
        """Return a count as a rate per hour, None if the log's duration is unknown."""
        return count / self.hours if self.hours else None

    def levels(self, log_class: LogClass) -> dict[str, int]:
        """Return the number of records of a class by level."""
        return {level.name: n for level in Level if (n := self.found[log_class, level])}

    def _count(self, wanted: Callable[[LogClass, Level], bool]) -> int:
        return sum(number for key, number in self.found.items() if wanted(*key))


def _example(record: LogRecord, log_class: LogClass, file: str) -> Example:
    return Example(
        log_class=log_class,
        level=record.level,
        text=excerpt(record),
        file=file,
        line=record.line,
        session=without_likely_secrets(record.session),
        at_ns=record.at_ns,
    )


def _example_json(example: Example) -> dict[str, Any]:
    return {
        "class": example.log_class,
        "level": example.level.name,
        "count": example.count,
        "text": example.text,
        "session": example.session or None,
        "first_at": f"{example.file}:{example.line}",
        "first_time": None if example.at_ns is None else iso(example.at_ns),
    }


class Selection(Struct, frozen=True, kw_only=True):
    """Which records are checked.

    Args:
        since_ns: records from this Unix time on; None for all.
        revision: records of this revision of the server; None for all.
    """

    since_ns: int | None = None
    revision: str | None = None

    def takes(self, record: LogRecord) -> bool:
        """Whether a record is checked. With `since_ns`, a record without a time is not."""
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
    """Check the logs of one server.

    Args:
        paths: files to read; `-` is standard input.
        rules: rules that classify records.
        selection: which records to check; None for all.
        format: `auto`, `json`, or a format string of Python's logging.

    Raises:
        InvalidSetting: a file cannot be read, or the format is unknown or malformed.
    """
    report = LogReport(files=tuple(map(str, paths)))
    selection = selection or Selection()
    for path in paths:
        reader = LogReader(format=format, option="--format")
        for record in read(path, reader):
            if selection.takes(record):
                report.add(record, rules.classify(record), str(path))
            else:
                report.skip(record, of_other_revision=selection.revision is not None)
        report.reading = report.reading.plus(reader.counts)
    return report


def check_sheet(reports: Sequence[LogReport]) -> Sheet:
    """Return reports as tables: one column per report, and the worst records of each."""
    last = reports[-1]
    return Sheet(
        headline=f"{_name(last)}: {_status(last)}", tables=[_counts(reports), *map(_examples, reports)]
    )


def _counts(reports: Sequence[LogReport]) -> Table:
    rows = [(label, *(show(report) for report in reports)) for label, show in _ROWS]
    rows += [(str(log_class), *(_levels(report, log_class) for report in reports)) for log_class in LogClass]
    return Table(("", *map(_name, reports)), "l" * (len(reports) + 1), rows, "Server log")


def _examples(report: LogReport) -> Table:
    rows = [
        (
            text.count(example.count),
            example.level.name,
            str(example.log_class),
            str(example.line) if len(report.files) == 1 else Untrusted(f"{example.file}:{example.line}"),
            Untrusted(example.text),
        )
        for example in report.worst()
    ]
    header = ("count", "level", "class", "line", f"first of them in {_name(report)}")
    more = len(report.shapes) - len(rows)
    return Table(header, "rllrl", rows, f"Worst records in {_name(report)}", more=more)


def _name(report: LogReport) -> str:
    return ", ".join(report.files)


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
    ("service", lambda report: Untrusted(report.service or text.UNKNOWN)),
    ("from", lambda report: _moment(report.first_ns)),
    ("to", lambda report: _moment(report.last_ns)),
    ("records", lambda report: _with_rate(report, report.records)),
    ("errors", lambda report: _with_rate(report, report.errors)),
    ("warnings", lambda report: _with_rate(report, report.warnings)),
    ("apparent error ratio", lambda report: text.share(report.apparent_error_ratio)),
    ("real errors", lambda report: _with_rate(report, report.real_errors)),
    ("disconnects", lambda report: _with_rate(report, report.disconnects)),
    ("disconnects logged as errors", lambda report: text.count(report.disconnect_errors)),
    ("disconnects at INFO or below", lambda report: text.share(report.info_ratio)),
    ("unreadable", lambda report: text.count(report.reading.broken + report.reading.cut)),
    ("not selected", lambda report: text.count(report.skipped)),
)
