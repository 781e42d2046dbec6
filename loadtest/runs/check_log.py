"""Judge a server's log without a run: `loadtest check-log`. `log_tables` renders the result.

    status     when                                                                            exit code
    CRITICAL   a record at CRITICAL, or at least 5 real errors that are over 5% of all records         1
    DEGRADED   a real error, a disconnect logged as ERROR, or under 95% of the disconnect
               records at INFO or below                                                                1
    OK         none of these                                                                           0
    NO_DATA    no record to judge                                                                      4
    DEGRADED   over half of the log unreadable, a file that is cut off, over 5% of records without
               a level, or, where --since needs times, without a time or with times in the future:
               never OK                                                                                4

A real error is a record at ERROR or worse that was not caused by a client's disconnect or a shutdown. The
apparent error ratio, which counts only by level, is shown for comparison. Records are counted as they are
read and not kept, so memory does not depend on the length of the log.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from loadtest import text
from loadtest.serverlog.log_reader import LogReader, read
from loadtest.serverlog.records import (
    MAX_EXAMPLES,
    Counts,
    Level,
    LogRecord,
    excerpt,
    is_error,
    level_name,
    understood,
)
from loadtest.serverlog.rules import DISCONNECTS, LogClass, RuleTable
from loadtest.serverlog.shapes import Shapes, shape_of
from loadtest.serverlog.times import SECOND_NS, iso
from loadtest.text import one_line, without_likely_secrets
from loadtest.verdict.log_summary import INFO_RATIO, MAX_UNREAD_RATIO, unlevelled, unread

CRITICAL_ERRORS = 5
CRITICAL_RATIO = 0.05

_MIN_SPAN_S = 60  # an hourly rate from less than a minute is meaningless
_WAITING = 1_000  # records before the first one with a time; with more, the log counts as one without times
OLDER, WITHOUT_TIME, OTHER_REVISION = "older than --since", "without a time", "other revision"
"""Why a record is not checked."""
_AHEAD_NS = 10 * 60 * SECOND_NS  # more than the difference of clocks, less than that of time zones
_LOCAL_TIME = "A log in local time must include its time zone"
EXAMPLES_SHOWN = 5
_REVISIONS_SHOWN = 5
_REVISION_SHOWN = 80  # characters
_RANK = {log_class: rank for rank, log_class in enumerate(LogClass)} | {LogClass.REAL_ERROR: -1}


class Example(Struct, frozen=True, kw_only=True):
    """Records that differ only in numbers and ids: their count, and the first of them."""

    log_class: LogClass
    level: Level | None
    text: str
    file: str
    line: int
    session: str
    at_ns: int | None
    last_ns: int | None = None
    count: int = 1


class LogReport(Struct, kw_only=True):
    """The result of a check. Add records with `add`."""

    files: tuple[str, ...] = ()
    service: str = ""
    first_ns: int | None = None
    last_ns: int | None = None
    found: Counter[tuple[LogClass, Level | None]] = field(default_factory=Counter)
    shapes: Shapes[Example] = field(default_factory=Shapes)
    reading: Counts = field(default_factory=Counts)
    since_ns: int | None = None
    now_ns: int | None = None
    left_out: Counter[str] = field(default_factory=Counter)  # records that were not selected, by reason
    examples: list[str] = field(default_factory=list)  # records without a level, as they were read
    newest_ns: int | None = None  # of all records, including those that were not selected
    revisions_skipped: set[str] = field(default_factory=set)

    def skip(self, record: LogRecord, reason: str) -> None:
        """Count a record that was not selected, and store its revision if it is new."""
        self.left_out[reason] += 1
        self._note_newest(record)
        if reason == OTHER_REVISION and len(self.revisions_skipped) < _REVISIONS_SHOWN:
            revision = one_line(without_likely_secrets(record.revision), _REVISION_SHOWN)
            self.revisions_skipped |= {revision} - {""}

    def add(self, record: LogRecord, log_class: LogClass, file: str) -> None:
        """Count a record."""
        self.found[log_class, record.level] += 1
        self.service = self.service or record.service
        self._note_newest(record)
        if record.at_ns is not None:
            if self.first_ns is None or record.at_ns < self.first_ns:
                self.first_ns = record.at_ns
            if self.last_ns is None or record.at_ns > self.last_ns:
                self.last_ns = record.at_ns
        if record.level is None and len(self.examples) < MAX_EXAMPLES:
            self.examples.append(understood(record))
        if record.level is None or record.level >= Level.WARNING:
            example = _example(record, log_class, file)
            shape = shape_of(example.text, (record.session,))
            self.shapes.add((record.level, log_class, shape), example, record.at_ns)

    @property
    def skipped(self) -> int:
        """How many records were not selected."""
        return self.left_out.total()

    @property
    def unlevelled(self) -> int:
        """How many records have no level that can be read."""
        return self._count(lambda _, level: level is None)

    def _note_newest(self, record: LogRecord) -> None:
        if record.at_ns is not None and (self.newest_ns is None or record.at_ns > self.newest_ns):
            self.newest_ns = record.at_ns

    @property
    def records(self) -> int:
        """How many records were checked."""
        return self.found.total()

    @property
    def errors(self) -> int:
        """How many records are at ERROR or worse."""
        return self._count(lambda _, level: is_error(level))

    @property
    def warnings(self) -> int:
        """How many records are at WARNING."""
        return self._count(lambda _, level: level == Level.WARNING)

    @property
    def real_errors(self) -> int:
        """How many records at ERROR or worse are real errors."""
        return self._count(lambda log_class, level: is_error(level) and log_class is LogClass.REAL_ERROR)

    @property
    def disconnects(self) -> int:
        """How many records were caused by a client's disconnect."""
        return self._count(lambda log_class, _: log_class in DISCONNECTS)

    @property
    def disconnect_errors(self) -> int:
        """How many disconnect records are at ERROR or worse."""
        return self._count(lambda log_class, level: log_class in DISCONNECTS and is_error(level))

    @property
    def disconnect_info_ratio(self) -> float | None:
        """The share at INFO or below of disconnect records with a level, None if there are none."""
        known = self._count(lambda log_class, level: log_class in DISCONNECTS and level is not None)
        quiet = self._count(
            lambda log_class, level: log_class in DISCONNECTS and level is not None and level <= Level.INFO
        )
        return quiet / known if known else None

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
        fatal = self._count(lambda _, level: level is Level.CRITICAL)
        many = self.real_errors >= CRITICAL_ERRORS and self.real_errors > CRITICAL_RATIO * self.records
        if fatal or many:
            return "CRITICAL"
        ratio = self.disconnect_info_ratio
        noisy = ratio is not None and ratio < INFO_RATIO
        return "DEGRADED" if self.doubt or self.real_errors or self.disconnect_errors or noisy else "OK"

    @property
    def doubt(self) -> str:
        """Why the log cannot be judged, empty if it can."""
        if self.reading.damage:
            return f"the rest of the log could not be read: {self.reading.damage}"
        if not self.records:
            return self._nothing
        return unread(self.reading) or self._unlevelled or self._untimed or self._early

    @property
    def _unlevelled(self) -> str:
        """Why the levels cannot be judged, with examples and how they were read; empty if they can."""
        disconnects = self._count(lambda log_class, level: log_class in DISCONNECTS and level is None)
        of_disconnects = disconnects / self.disconnects if self.disconnects else 0.0
        return unlevelled(self.unlevelled / self.records, of_disconnects, self.examples)

    @property
    def _untimed(self) -> str:
        """Why the records since a time cannot be distinguished from older ones; empty if they can."""
        if self.since_ns is None or self.reading.untimed <= MAX_UNREAD_RATIO * self.reading.records:
            return ""
        share = text.share(self.reading.untimed / self.reading.records)
        return f"{share} of the records have no readable time, but --since needs one"

    @property
    def _early(self) -> str:
        """Why --since may have selected older records too; empty if the log's times are not in the future."""
        if self.since_ns is None or self.now_ns is None or self.newest_ns is None:
            return ""
        ahead_ns = self.newest_ns - self.now_ns
        if ahead_ns < _AHEAD_NS:
            return ""
        ahead_min = ahead_ns // (60 * SECOND_NS)
        newest = f"the newest record is from {iso(self.newest_ns)}, {ahead_min:,} min in the future"
        return f"{newest}, so --since may select the wrong records. {_LOCAL_TIME}"

    @property
    def _nothing(self) -> str:
        """Why there is no record to judge."""
        if self.skipped and self._untimed:
            return self._untimed
        if self.skipped:
            revisions = ", ".join(sorted(self.revisions_skipped))
            named = f"; the log has these revisions: {revisions}" * bool(revisions)
            return f"no record was selected{self._older}{named}"
        damaged = self.reading.damaged_ratio() > 0
        return "no record was found. Give the log's format with --format" if damaged else "the log is empty"

    @property
    def _older(self) -> str:
        """The time of the newest record, if all records are older than --since; empty if not."""
        if self.since_ns is None or self.newest_ns is None or self.newest_ns >= self.since_ns:
            return ""
        newest = f"the newest is from {iso(self.newest_ns)}, older than --since ({iso(self.since_ns)})"
        return f": {newest}. {_LOCAL_TIME}"

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
        groups.sort(key=lambda group: (-(group.first.level or 0), _RANK[group.first.log_class]))
        return [
            msgspec.structs.replace(group.first, count=group.count, last_ns=group.last_ns)
            for group in groups[:EXAMPLES_SHOWN]
        ]

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
            "disconnect_info_ratio": self.disconnect_info_ratio,
            "apparent_error_ratio": round(self.apparent_error_ratio, 4),
            "classes": {log_class: self.levels(log_class) for log_class in LogClass},
            "examples": [_example_json(example) for example in self.worst()],
            "reading": self.reading.as_dict() | {"not_selected": self.skipped},
            "not_understood": self.examples,
        }

    def per_hour(self, count: int) -> float | None:
        """Return a count as a rate per hour, None if the log's duration is unknown."""
        return count / self.hours if self.hours else None

    def levels(self, log_class: LogClass) -> dict[str, int]:
        """Return the number of records of a class by level."""
        return {level_name(level): n for level in (*Level, None) if (n := self.found[log_class, level])}

    def _count(self, wanted: Callable[[LogClass, Level | None], bool]) -> int:
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
        "level": level_name(example.level),
        "count": example.count,
        "text": example.text,
        "session": example.session or None,
        "first_at": f"{example.file}:{example.line}",
        "first_time": None if example.at_ns is None else iso(example.at_ns),
        "last_time": None if example.last_ns is None else iso(example.last_ns),
    }


class Selection(Struct, frozen=True, kw_only=True):
    """Which records are checked.

    Args:
        since_ns: records from this Unix time on; None for all.
        revision: records of this revision of the server; None for all.
        now_ns: time of the check, in Unix time: records long after it show that the log is in local time.
            None if the log may be from any time.
    """

    since_ns: int | None = None
    revision: str | None = None
    now_ns: int | None = None

    def refuses(self, record: LogRecord, at_ns: int | None) -> str:
        """Return why a record of this time is not checked; empty if it is."""
        if self.since_ns is not None and at_ns is None:
            return WITHOUT_TIME
        if self.since_ns is not None and at_ns is not None and at_ns < self.since_ns:
            return OLDER
        other = self.revision is not None and record.revision != self.revision
        return OTHER_REVISION if other else ""


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
    selection = selection or Selection()
    chosen = selection.since_ns is not None or selection.revision is not None
    report = LogReport(files=tuple(map(str, paths)), since_ns=selection.since_ns, now_ns=selection.now_ns)
    for path in paths:
        reader = LogReader(format=format, option="--format")
        for record, at_ns in _with_times(read(path, reader)):
            if chosen and (reason := selection.refuses(record, at_ns)):
                report.skip(record, reason)
            else:
                report.add(record, rules.classify(record), str(path))
        report.reading = report.reading.plus(reader.counts)
    return report


def _with_times(records: Iterable[LogRecord]) -> Iterator[tuple[LogRecord, int | None]]:
    """Yield each record with its time; a record without one has that of the one before it, or the first time.

    An application often prints errors without a time among the timed records of its web server.
    """
    waiting: list[LogRecord] = []
    at_ns: int | None = None
    for record in records:
        at_ns = at_ns if record.at_ns is None else record.at_ns
        if at_ns is not None and not waiting:
            yield record, at_ns
            continue
        waiting.append(record)
        if at_ns is not None or len(waiting) >= _WAITING:
            yield from ((one, at_ns) for one in waiting)
            waiting = []
    yield from ((one, at_ns) for one in waiting)
