"""Read a run directory as `RunData`. No file is trusted: any may be damaged, truncated or hostile.

A killed run may leave an incomplete last line: it is skipped with a warning. Anything else that cannot be
read raises `RunUnreadable` with the file, the line and the problem. Files are read line by line, and the
length of a line is limited.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from loadtest import histograms
from loadtest.drops.kinds import disconnects
from loadtest.errors import RunUnreadable
from loadtest.histograms import Histogram
from loadtest.results import directory, hlog
from loadtest.results.coincidence import Coincidences
from loadtest.results.data import (
    SECONDS_TAGS,
    STEADY_TAGS,
    OutageGroup,
    Recoveries,
    RunData,
    Second,
    Series,
    plausible,
)
from loadtest.results.drill_recovery import DrillGathering
from loadtest.results.identities import Identities
from loadtest.results.interval import TEXT_LIMIT, IntervalLine, second_of
from loadtest.results.manifest import Manifest
from loadtest.results.uptime import UptimeGathering
from loadtest.session.recorder import COUNTS, TAGS, ErrorTally, Lifecycle, size_tag
from loadtest.session.schedule import NS_PER_S
from loadtest.text import one_line

OTHER = "other"
NAMES_LIMIT = 1000
"""Maximum number of distinct counts, errors, gauges or causes: a real run has a few dozen, a server may
send any number of close codes. Further counts, errors and causes are added up as `OTHER`, but the tool's own
counts are always kept; further gauges are dropped."""

ROWS_LIMIT = 7200
"""Maximum number of rows per tag: two hours of one-second rows, about 100 MB at most."""

PHASES = ("detect", "wait", "dns", "tcp", "tls", "upgrade", "resume")

_HOUR_NS = 3600 * NS_PER_S
"""An interval, or a gap before one, longer than this gives a warning; a running process writes one per
second."""

_WEEK_NS = 168 * _HOUR_NS
"""An interval or gap longer than this means a damaged line: no one leaves a run suspended for longer. This
bounds how much one bad line can coarsen the rows (128 s instead of 1 s); `ROWS_LIMIT` bounds their number in
any case."""


class Gathering:
    """Aggregates a run. Add every line, intervals first, then call `evidence`."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        by_size = frozenset(map(size_tag, manifest.plan.sizes))
        self._tags, self._steady = by_size.union(TAGS), by_size | STEADY_TAGS
        self._stop_ns = 0
        self._counts: Counter[str] = Counter()
        self._errors: dict[tuple[str, str], ErrorTally] = {}
        self._gauges: dict[tuple[str, int | None], Series] = {}
        self._histograms: dict[str, Histogram] = {}
        self._rows: dict[str, dict[int, dict[int, int]]] = {tag: {} for tag in SECONDS_TAGS}
        self._row_s = 0  # 0 until the run's length is known
        self._attempts: Counter[int] = Counter()
        self._outages = _Outages()
        self._recoveries = Recoveries(manifest.plan.storms)
        self._drills = DrillGathering(manifest)
        self._uptime = UptimeGathering()
        self._coincidences = Coincidences()
        self._identities = Identities()
        self._warnings: list[str] = []
        self._standstills = 0
        self._longest_ns = 0

    def warn(self, text: str) -> None:
        """Add a warning about a problem that does not prevent reading the run."""
        self._warnings.append(text)

    def interval(self, line: IntervalLine) -> None:
        """Add what one process counted in one interval.

        Raises:
            ValueError: its times are impossible.
        """
        if not line.start_ns <= line.stop_ns <= line.start_ns + _WEEK_NS:
            raise ValueError("an interval ends before it starts, or takes over a week")
        if line.start_ns > self._stop_ns + _WEEK_NS:
            raise ValueError("an interval starts over a week after all others")
        for passed_ns in (line.stop_ns - line.start_ns, line.start_ns - self._stop_ns):
            if passed_ns > _HOUR_NS:
                self._standstills += 1
                self._longest_ns = max(self._longest_ns, passed_ns)
        self._stop_ns = max(self._stop_ns, line.stop_ns)
        self._uptime.up(line.gauges.get("session_s", 0.0))
        self._drills.interval(line.start_ns, line.stop_ns, line.counts)
        for name, count in line.counts.items():
            known = name in COUNTS or name in self._counts or len(self._counts) < NAMES_LIMIT
            self._counts[name if known else _further(name)] += count
        for tally in line.errors:
            self._error(tally)
        for name, value in line.gauges.items():
            key = (name, line.worker)
            if key in self._gauges or len(self._gauges) < NAMES_LIMIT:
                series = self._gauges.setdefault(key, Series(array("d"), array("d")))
                series.at_s.append(line.start_ns / NS_PER_S)
                series.values.append(value)

    def _error(self, tally: ErrorTally) -> None:
        key = (tally.item, tally.error)
        if key not in self._errors and len(self._errors) >= NAMES_LIMIT:
            key = (tally.item[:TEXT_LIMIT], OTHER)
        known = self._errors.get(key)
        first = tally if known is None or tally.at_ns < known.at_ns else known
        self._errors[key] = ErrorTally(
            item=key[0],
            error=key[1],
            count=plausible(tally.count) + (known.count if known else 0),
            session=first.session[:TEXT_LIMIT],
            at_ns=plausible(first.at_ns),
            example=first.example[:TEXT_LIMIT],
        )

    def histogram(self, tag: str, second: int, histogram: Histogram) -> None:
        """Add a tag's histogram of one second. Add all intervals first: they give the run's length.

        Raises:
            ValueError: its counts are inconsistent or overflow.
        """
        if tag not in self._tags or not histogram.get_total_count():
            return
        self._row_s = self._row_s or _row_s(self._stop_ns)
        if tag in self._rows:
            buckets = histograms.buckets(histogram)
            if sum(buckets.values()) != histogram.get_total_count():
                raise ValueError("a histogram's counts do not add up")
            self._row(tag, second, buckets)
        if tag not in self._steady or second >= self._manifest.plan.warmup_s:
            self._add(tag, histogram)

    def _row(self, tag: str, second: int, buckets: dict[int, int]) -> None:
        if second * NS_PER_S > self._stop_ns:  # no interval covers this second
            return
        row = self._rows[tag].setdefault(second // self._row_s, {})
        for value_us, count in buckets.items():
            row[value_us] = row.get(value_us, 0) + count

    def _add(self, tag: str, histogram: Histogram) -> None:
        total: Histogram = self._histograms.setdefault(tag, histograms.new_histogram())
        try:
            total.add(histogram)
        except OverflowError as problem:
            raise ValueError(f"a histogram's counts are beyond reason: {problem}") from problem

    def event(self, record: Lifecycle) -> None:
        """Add a lifecycle event."""
        if record.event == "attempt":
            latest_ns = self._stop_ns + _HOUR_NS  # a killed run may lack the last interval
            if 0 <= record.at_ns <= latest_ns:
                self._attempts[record.at_ns // NS_PER_S] += 1
                self._drills.attempt(record, in_outage=self._outages.is_open(record.session))
        else:
            self._outages.event(record)
            in_outage = self._outages.is_open(record.session)
            drill = self._drills.event(record, in_outage=in_outage)
            self._coincidences.event(record, in_outage=in_outage, drill=drill)
            self._recoveries.event(record)
            self._uptime.event(record, in_drill=drill is not None)
            self._identities.event(record)

    def data(self) -> RunData:
        """Return everything added so far."""
        gauges: defaultdict[str, dict[int | None, Series]] = defaultdict(dict)
        for (name, worker), series in self._gauges.items():
            gauges[name][worker] = series
        row_s = self._row_s or _row_s(self._stop_ns)
        uptime = self._uptime.uptime()
        promised = self._manifest.promised
        identifies = promised is None or promised.identifies
        return RunData(
            manifest=self._manifest,
            length_s=self._stop_ns / NS_PER_S,
            counts={name: count for name, count in self._counts.items() if count},
            errors=sorted(self._errors.values(), key=lambda tally: (-tally.count, tally.at_ns)),
            histograms=self._histograms,
            seconds={
                tag: [Second(float(row * row_s), rows[row]) for row in sorted(rows)]
                for tag, rows in self._rows.items()
            },
            row_s=row_s,
            gauges=dict(gauges),
            attempts_per_s=dict(sorted(self._attempts.items())),
            outages=self._outages.groups(),
            phases=self._outages.phases(),
            storms=self._recoveries.of(self._attempts),
            drills=self._drills.recoveries(self._attempts, self._coincidences.turned_away()),
            uptime=uptime,
            shared_identities=self._identities.shared() if identifies else None,
            explained_by_losses=self._coincidences.explained(uptime.away),
            warnings=(*self._warnings, *self._standstill_warning()),
        )

    def _standstill_warning(self) -> Iterator[str]:
        """Yield a warning if nothing was recorded for over an hour."""
        if self._standstills:
            times = "once" if self._standstills == 1 else f"{self._standstills} times"
            longest = f"{self._longest_ns / _HOUR_NS:.1f} hours at the longest"
            yield (
                f"nothing was recorded for over an hour {times}, {longest}: a process of the load generator "
                "was stopped, or its machine stood still"
            )


class _Outages:
    """Aggregates outages by trigger and cause, and their phases."""

    def __init__(self) -> None:
        self._begun: Counter[tuple[str, str]] = Counter()
        self._open: dict[str, tuple[str, str]] = {}  # by session, what began its outage
        self._kept: dict[str, str] = {}  # by session, the last drop that was to keep its connection
        self._outages_ns: defaultdict[tuple[str, str], array[int]] = defaultdict(lambda: array("q"))
        self._phases_ns: defaultdict[str, array[int]] = defaultdict(lambda: array("q"))

    def event(self, record: Lifecycle) -> None:
        match record.event:
            case "dropped" if disconnects(record.kind):
                self._begin("drop", record.kind or OTHER, record.session)
            case "dropped":
                self._kept[record.session] = record.kind or OTHER
            case "ended" if record.session in self._kept:  # in a drop that was to keep the connection
                self._begin("drop", self._kept[record.session], record.session)
            case "ended" | "lost" if not record.final:
                self._begin("loss", record.cause or OTHER, record.session)
            case "resumed":
                self._resumed(record)

    def is_open(self, session: str) -> bool:
        """Return whether a session is in an outage, as far as events tell."""
        return session in self._open

    def _begin(self, trigger: str, name: str, session: str) -> None:
        key = (trigger, name[:TEXT_LIMIT])
        if key not in self._begun and len(self._begun) >= NAMES_LIMIT:
            key = (trigger, OTHER)
        self._begun[key] += 1
        self._open[session] = key
        self._kept.pop(session, None)

    def _resumed(self, record: Lifecycle) -> None:
        key = self._open.pop(record.session, ("loss", OTHER))
        self._outages_ns[key].append(plausible(record.outage_ns))
        for phase in PHASES:
            self._phases_ns[phase].append(plausible(getattr(record, f"{phase}_ns")))

    def groups(self) -> list[OutageGroup]:
        keys = {**self._begun, **dict.fromkeys(self._outages_ns.keys() - self._begun.keys(), 0)}
        return [self._group(key, begun) for key, begun in sorted(keys.items())]

    def _group(self, key: tuple[str, str], begun: int) -> OutageGroup:
        outages_ns = self._outages_ns.get(key, array("q"))
        at = histograms.percentiles_us(histograms.fold(outages_ns)[0], (50, 95, 100))
        return OutageGroup(
            trigger=key[0],
            name=key[1],
            begun=begun,
            resumed=len(outages_ns),
            p50_us=at.get(50),
            p95_us=at.get(95),
            max_us=at.get(100),
        )

    def phases(self) -> dict[str, Histogram]:
        return {
            phase: histograms.fold(self._phases_ns[phase])[0] for phase in PHASES if self._phases_ns[phase]
        }


def _further(name: str) -> str:
    """Return the name under which a count beyond `NAMES_LIMIT` is added up."""
    family = name.partition(".")[0]
    return f"{family}.{OTHER}" if family in ("drops", "losses", "closes") else OTHER


def _row_s(stop_ns: int) -> int:
    """Return the seconds per row for a run of this length: the smallest sufficient power of two."""
    row_s = 1
    while stop_ns > ROWS_LIMIT * row_s * NS_PER_S:
        row_s *= 2
    return row_s


LINE_LIMIT = 1 << 20
"""Maximum length of a line in bytes: the longest are intervals with a hundred errors of 200 characters."""

FILE_LIMIT = 1 << 22
"""Maximum size in bytes of a JSON file: run.json, verdict.json, duel.json."""

_Record = TypeVar("_Record")
_MALFORMED = (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError)

_decode_event = msgspec.json.Decoder(Lifecycle).decode
_decode_interval = msgspec.json.Decoder(IntervalLine).decode


def read_run(path: Path) -> RunData:
    """Read a run directory, complete or not.

    Raises:
        RunUnreadable: a file is missing or damaged, or has another schema.
    """
    gathering = Gathering(read_manifest(path))

    def enter_histogram(line: bytes) -> None:
        entry = hlog.parsed(line.decode())
        if entry is not None:
            gathering.histogram(entry.tag, second_of(entry.start_ns), entry.histogram)

    readers: dict[str, Callable[[bytes], None]] = {
        directory.INTERVALS: lambda line: gathering.interval(_decode_interval(line)),
        directory.EVENTS: lambda line: gathering.event(_decode_event(line)),
        directory.HISTOGRAMS: enter_histogram,
    }
    for name, enter in readers.items():
        read_lines(path / name, enter, gathering.warn)
    return gathering.data()


def read_manifest(path: Path) -> Manifest:
    """Read a run directory's run.json.

    Raises:
        RunUnreadable: the file is missing or damaged, or has another schema.
    """
    return read_json(path / directory.MANIFEST, Manifest)


def read_json(file: Path, kind: type[_Record]) -> _Record:
    """Read a JSON file as a record of this type.

    Raises:
        RunUnreadable: the file is missing, damaged or too large, or has another schema.
    """
    try:
        with file.open("rb") as opened:
            data = opened.read(FILE_LIMIT + 1)
    except OSError as error:
        raise RunUnreadable(file, error.strerror or str(error)) from error
    if len(data) > FILE_LIMIT:
        raise RunUnreadable(file, f"is over {FILE_LIMIT} bytes")
    try:
        return msgspec.json.decode(data, type=kind)
    except _MALFORMED as error:
        raise RunUnreadable(file, f"cannot be read: {error}{_hint(data)}") from error


def _hint(data: bytes) -> str:
    """Return a hint for the error if an unreadable file has another schema number."""
    try:
        schema = msgspec.json.decode(data, type=dict[str, object]).get("schema")
    except _MALFORMED:
        return ""
    known = schema == 1 or not isinstance(schema, int)  # anything else is hostile, not a version
    return "" if known else f" (its schema is {one_line(str(schema), 20)}, this version reads 1)"


def read_lines(
    file: Path, enter: Callable[[bytes], None], warn: Callable[[str], None] = lambda _text: None
) -> None:
    """Call `enter` with each line of a file.

    Args:
        file: file to read.
        enter: raises a ValueError or an error of msgspec if the line is malformed.
        warn: called with a warning if the last line is malformed and incomplete; that line is skipped.

    Raises:
        RunUnreadable: a line is too long, a complete line is malformed, or the file cannot be read.
    """
    try:
        for number, line in enumerate(_lines(file), start=1):
            if len(line) == LINE_LIMIT and not line.endswith(b"\n"):
                raise RunUnreadable(file, f"line {number}: is over {LINE_LIMIT} bytes")
            try:
                enter(line)
            except _MALFORMED as error:
                if not line.endswith(b"\n"):
                    warn(f"{file.name}: the last line is cut short and was left out")
                    return
                raise RunUnreadable(file, f"line {number}: {error}") from error
    except OSError as error:
        raise RunUnreadable(file, error.strerror or str(error)) from error


def _lines(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while line := opened.readline(LINE_LIMIT):
            yield line
