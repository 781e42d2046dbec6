"""Aggregates a run's intervals, histograms and events as `RunData`, a line at a time.

In a run of several user classes everything is added up twice: for the whole run and for the class. The number
of rows, values and names that are kept is limited, whatever a file holds.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from msgspec import structs

from loadtest.histograms import Counted, Total
from loadtest.results.coincidence import Coincidences
from loadtest.results.data import (
    SECONDS_TAGS,
    STEADY_TAGS,
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
from loadtest.results.outages import OutageGathering
from loadtest.results.per_second import OTHER, PerSecondGathering, row_s_of
from loadtest.results.uptime import UptimeGathering
from loadtest.results.user_classes import manifest_of
from loadtest.session.recorder import COUNTS, NAMED, TAGS, ErrorTally, Lifecycle, size_tag
from loadtest.session.recorder import NAMES_LIMIT as NAMES_OF_REQUESTS
from loadtest.session.schedule import NS_PER_S
from loadtest.statistics.time_limits import stored

NAMES_LIMIT = 1000
"""Maximum number of distinct counts, errors, gauges or causes: a real run has a few dozen, a server may
send any number of close codes. Further counts, errors and causes are added up as `OTHER`, but the tool's own
counts are always kept; further gauges are dropped."""

CELLS_LIMIT = 5_000_000
"""Maximum number of values over all rows, about 500 MB: a second has some hundred, a planted file 23,552."""

ADDED = frozenset(
    {
        *("sessions", "sessions_up", "session_s", "sessions_in_outage"),
        *("cpu_ratio", "files_ratio", "ports_ratio"),
    }
)
"""Gauges that are added up over the user classes of a process; of the others the highest one counts.

The classes' engines are threads that share one GIL, so their CPU is limited together.
"""

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
        self._names = 0  # of requests
        self._stop_ns = 0
        self._counts: Counter[str] = Counter()
        self._errors: dict[tuple[str, str], ErrorTally] = {}
        self._cells = 0  # values in all rows
        self._gauges: dict[tuple[str, int | None], dict[str | None, Series]] = {}  # by user class
        self._users = frozenset(one.name for one in manifest.classes)
        self._totals: dict[str, Total] = {}
        self._rows: dict[str, dict[int, dict[int, int]]] = {tag: {} for tag in SECONDS_TAGS}
        self._row_s = 0  # 0 until the run's length is known
        self._per_second = PerSecondGathering()
        self._attempts: Counter[int] = Counter()
        self._outages = OutageGathering(NAMES_LIMIT)
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
            raise ValueError("an interval ends before it starts, or is longer than a week")
        if line.start_ns > self._stop_ns + _WEEK_NS:
            raise ValueError("an interval starts over a week after all others")
        for passed_ns in (line.stop_ns - line.start_ns, line.start_ns - self._stop_ns):
            if passed_ns > _HOUR_NS:
                self._standstills += 1
                self._longest_ns = max(self._longest_ns, passed_ns)
        self._stop_ns = max(self._stop_ns, line.stop_ns)
        self._uptime.up(line.gauges.get("session_s", 0.0))
        self._drills.interval(line.start_ns, line.stop_ns, line.counts)
        span_s = (line.stop_ns - line.start_ns) / NS_PER_S
        self._per_second.interval(second_of(line.start_ns), line.counts, span_s=span_s)
        for name, count in line.counts.items():
            known = name in COUNTS or name in self._counts or len(self._counts) < NAMES_LIMIT
            self._counts[name if known else _further(name)] += count
        for tally in line.errors:
            self._error(tally)
        for name, value in line.gauges.items():
            self._gauge(name, value, line)

    def _gauge(self, name: str, value: float, line: IntervalLine) -> None:
        key, user = (name, line.worker), line.user if line.user in self._users else None
        if key not in self._gauges and len(self._gauges) >= NAMES_LIMIT:
            return
        series = self._gauges.setdefault(key, {}).setdefault(user, Series(array("d"), array("d")))
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
            count=plausible(tally.count) - plausible(-tally.count) + (known.count if known else 0),
            session=first.session[:TEXT_LIMIT],
            at_ns=plausible(first.at_ns),
            example=first.example[:TEXT_LIMIT],
        )

    def histogram(self, tag: str, second: int, counted: Counted) -> None:
        """Add a tag's histogram of one second. Add all intervals first: they give the run's length.

        Raises:
            ValueError: there are too many different times, or values.
        """
        if not self._is_known(tag) or not counted.samples:
            return
        self._row_s = self._row_s or row_s_of(self._stop_ns)
        if tag in self._rows:
            self._row(tag, second, counted.buckets())
        if tag not in self._steady or second >= self._manifest.plan.warmup_s:
            if tag not in self._totals:  # `setdefault` would make one, 190 kB, for each histogram
                self._totals[tag] = Total()
            self._totals[tag].add(counted)

    def _is_known(self, tag: str) -> bool:
        """Return whether a tag is kept; names of requests are, up to a limit."""
        if tag.startswith(NAMED) and tag not in self._tags and self._names < 2 * NAMES_OF_REQUESTS:
            self._names += 1
            self._tags, self._steady = self._tags | {tag}, self._steady | {tag}
        return tag in self._tags

    def _row(self, tag: str, second: int, buckets: dict[int, int]) -> None:
        if second * NS_PER_S > self._stop_ns:  # no interval covers this second
            return
        row = self._rows[tag].setdefault(second // self._row_s, {})
        before = len(row)
        if not before:
            row.update(buckets)
        else:
            for value_us, count in buckets.items():
                row[value_us] = row.get(value_us, 0) + count
        self._cells += len(row) - before
        if self._cells > CELLS_LIMIT:
            raise ValueError(f"it has more than {CELLS_LIMIT:,} different times")

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
        for (name, worker), of_classes in self._gauges.items():
            gauges[name][worker] = _together(name, list(of_classes.values()))
        row_s = self._row_s or row_s_of(self._stop_ns)
        uptime = self._uptime.uptime()
        promised = self._manifest.promised
        identifies = promised is None or promised.identifies
        return RunData(
            manifest=self._manifest,
            length_s=self._stop_ns / NS_PER_S,
            counts={name: count for name, count in self._counts.items() if count},
            errors=sorted(
                (tally for tally in self._errors.values() if tally.count > 0),  # the others were taken back
                key=lambda tally: (-tally.count, tally.at_ns),
            ),
            histograms={tag: total.histogram() for tag, total in self._totals.items()},
            seconds={
                tag: [Second(float(row * row_s), rows[row]) for row in sorted(rows)]
                for tag, rows in self._rows.items()
            },
            row_s=row_s,
            per_second=self._per_second.per_second(self._stop_ns),
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
                f"nothing was recorded for over an hour {times}, {longest}: a load generator process was "
                "stopped, or its machine was suspended"
            )


def _together(name: str, of_classes: Sequence[Series]) -> Series:
    """Return a gauge of one process: the values of its user classes in one second are one value.

    At a run's end the classes' intervals come one class after the other, so seconds are not in order. A class
    may have two intervals in a second, of which the second is its last.
    """
    if len(of_classes) == 1:
        return of_classes[0]
    found: dict[tuple[int, int], tuple[float, float]] = {}
    for series in of_classes:
        nths: Counter[int] = Counter()
        for at_s, value in zip(series.at_s, series.values, strict=True):
            second = second_of(round(at_s * NS_PER_S))
            place = (second, nths[second])
            nths[second] += 1
            first_s, other = found.get(place, (at_s, value))
            both = value if place not in found else other + value if name in ADDED else max(other, value)
            found[place] = (first_s, both)
    in_order = [found[place] for place in sorted(found)]
    return Series(*(array("d", column) for column in zip(*in_order, strict=True)))


class RunGathering:
    """Aggregates a run as a whole and, if it has several user classes, each of them; used as `Gathering`."""

    def __init__(self, manifest: Manifest) -> None:
        self._whole = Gathering(manifest)
        self._classes = {one.name: Gathering(manifest_of(manifest, one)) for one in manifest.classes}

    def warn(self, text: str) -> None:
        """Add a warning about a problem that does not prevent reading the run."""
        self._whole.warn(text)

    def interval(self, line: IntervalLine) -> None:
        """Add what one process counted in one interval; see `Gathering.interval`."""
        self._whole.interval(line)
        if line.user in self._classes:
            self._classes[line.user].interval(line)

    def histogram(self, tag: str, second: int, counted: Counted) -> None:
        """Add a tag's histogram of one second; see `Gathering.histogram`."""
        user, slash, own = tag.partition("/")
        if slash and user in self._classes:
            self._classes[user].histogram(own, second, counted)
            tag = own
        self._whole.histogram(tag, second, counted)

    def event(self, record: Lifecycle) -> None:
        """Add a lifecycle event."""
        self._whole.event(record)
        if record.user in self._classes:
            self._classes[record.user].event(record)

    def data(self) -> RunData:
        """Return everything added so far."""
        classes = {name: one.data() for name, one in self._classes.items()}
        named = {name for own in classes.values() for name in own.name_tags.values()}
        return replace(
            self._whole.data(), classes={name: _with_own_limits(own, named) for name, own in classes.items()}
        )


def _with_own_limits(run: RunData, named: Collection[str]) -> RunData:
    """Return a class's data without limits on requests of a name that only other classes have.

    An option gives all classes the same limits. A name that no class has stays: it may be misspelled.

    Args:
        run: data of the class.
        named: the names of requests in all classes.
    """
    others = set(named) - set(run.name_tags.values())
    kept = [limit for limit in run.manifest.time_limits if limit.of not in others]
    return replace(run, manifest=structs.replace(run.manifest, limits=stored(kept)))


def _further(name: str) -> str:
    """Return the name under which a count beyond `NAMES_LIMIT` is added up."""
    family = name.partition(".")[0]
    return f"{family}.{OTHER}" if family in ("drops", "losses", "closes") else OTHER
