"""Feeds Locust's statistics from the run's own data.

A Locust event per message would cost 3 µs and a thread switch. Instead each interval becomes one delta entry
per row, merged with `StatsEntry.extend`, as Locust merges the statistics of its workers. Times are in
milliseconds with two significant digits, so that a round trip of 0.3 ms is not shown as 0. A failure is what
the verdict would count against the server: drops and losses that belong to drills are not failures.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from locust.stats import PERCENTILES_TO_REPORT, STATS_TYPE_WIDTH, RequestStats, StatsEntry, StatsError

from loadtest import histograms
from loadtest.locust_plugin.drill_losses import split_losses
from loadtest.locust_plugin.problems import losses_by_cause
from loadtest.results.drill_windows import NO_WINDOWS, Windows
from loadtest.results.interval import PackedInterval, counts_of
from loadtest.session.recorder import NAMED, name_of

METHOD = "WS"
ROUND_TRIP = "round trip"
"""The row of all messages, and the name of messages without one in Locust's events."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of Locust's table.

    Args:
        name: the row's name in the table.
        errors: returns how often each error of the row occurred in an interval; None if none is listed.
        requests: names of the counts that add up to its requests; a name that ends with a dot is a prefix.
        failures: names of the counts that add up to its failures, in the same form.
        tags: tags of the histograms with its times.
    """

    name: str
    errors: Callable[[PackedInterval], Counter[str]] | None
    requests: tuple[str, ...]
    failures: tuple[str, ...]
    tags: tuple[str, ...]


def _errors_of(item: str, packed: PackedInterval) -> Counter[str]:
    """Return how often each error of a verdict item occurred."""
    found: Counter[str] = Counter()
    for tally in packed.errors:
        if tally.item == item:
            found[tally.error] += tally.count
    return found


def _losses(packed: PackedInterval) -> Counter[str]:
    """Return how many connections were lost, by cause."""
    return losses_by_cause(packed.lifecycle)


ROWS = (
    _Row(
        "connect",
        partial(_errors_of, "connect"),
        ("connect.established", "connect.failed"),
        ("connect.failed",),
        ("connect",),
    ),
    _Row(
        ROUND_TRIP,
        partial(_errors_of, "messaging"),
        (
            "messaging.answered",
            "messaging.late",
            "messaging.lost",
            "messaging.reordered",
            "messaging.corrupted",
            "messaging.foreign",
            "messaging.failed",
            "messaging.broken_off",
        ),
        (
            "messaging.late",
            "messaging.lost",
            "messaging.reordered",
            "messaging.corrupted",
            "messaging.foreign",
            "messaging.failed",
            "messaging.broken_off",
            "messaging.duplicated",
            "messaging.unmatched",
            "messaging.unreadable",
        ),
        ("service", "after_resume"),
    ),
    _Row(
        "reconnect",
        partial(_errors_of, "reconnect"),
        ("reconnect.resumed", "reconnect.gave_up", "reconnect.forbidden", "reconnect.silent"),
        ("reconnect.gave_up", "reconnect.forbidden", "reconnect.silent"),
        ("outage",),
    ),
    _Row("push", None, ("messaging.pushes",), (), ("push",)),
    _Row("loss", _losses, ("losses.",), ("losses.",), ()),
)


_RARE = frozenset({"push", "loss"})
"""Rows shown only if they are not empty, for each class in a run with several."""

_SECONDS_KEPT = 60
"""How many seconds of per-second counts are kept: Locust's current rate covers the last twelve."""


class Entry(StatsEntry):
    """A row that shows fractions of milliseconds, with bounded memory."""

    def extend(self, other: StatsEntry) -> None:
        """Add a delta; delete per-second counts that are no longer needed."""
        super().extend(other)
        for per_second in (self.num_reqs_per_sec, self.num_fail_per_sec):
            for second in tuple(per_second)[:-_SECONDS_KEPT]:
                del per_second[second]

    def to_string(self, current: bool = True) -> str:
        """Return the row for Locust's table, in its column widths."""
        left, marks, rest = super().to_string(current).split("|", 2)
        del marks
        times = (
            self.avg_response_time,
            self.min_response_time or 0,
            self.max_response_time,
            self.median_response_time or 0,
        )
        shown = "".join(f" {_three_digits(ms):>7}" for ms in times)
        return f"{left}|{shown} |{rest}"

    def percentile(self) -> str:
        """Return the row for Locust's percentile table, in its column widths."""
        whole = super().percentile()
        # Locust fits the name column to the terminal: derive its width from what precedes the first number.
        width = len(whole) - sum(max(6, len(str(int(self._at(p))))) + 1 for p in PERCENTILES_TO_REPORT)
        shown = " ".join(f"{_three_digits(self._at(p)):>6}" for p in PERCENTILES_TO_REPORT)
        head = f"{self.method or '':<{STATS_TYPE_WIDTH}} {self.name}"
        return f"{head:<{max(width - 9, 0)}} {shown} {self.num_requests:>8}"

    def _at(self, share: float) -> float:
        return self.get_response_time_percentile(share)


def _three_digits(ms: float) -> str:
    return f"{ms:.2f}" if ms < 10 else f"{ms:.1f}" if ms < 100 else f"{ms:.0f}"


def install(stats: RequestStats, users: Sequence[str] = ()) -> None:
    """Put empty rows into Locust's table, which Locust clears at the start of a run.

    Args:
        stats: Locust's statistics.
        users: names of the user classes in a run with several: each has its own rows.
    """
    for user in users or (None,):
        for row in ROWS:
            if user is None or row.name not in _RARE:
                _entry(stats, _named(row, user))
    stats.total = Entry(stats, "Aggregated", "", stats.use_response_times_cache)


def feed(stats: RequestStats, packed: PackedInterval, windows: Windows = NO_WINDOWS) -> None:
    """Add an interval of this process to Locust's statistics.

    Args:
        stats: Locust's statistics.
        packed: the interval.
        windows: windows of the run's drills, whose losses are left out.
    """
    _, packed = split_losses(packed, windows)
    for row in ROWS:
        delta = _delta(stats, row, packed)
        if delta is not None:
            name = _named(row, packed.user)
            _entry(stats, name).extend(delta)
            stats.total.extend(delta)
        if row.errors is not None:
            _feed_errors(stats, _named(row, packed.user), row.errors(packed))
    _feed_names(stats, packed)


def _feed_names(stats: RequestStats, packed: PackedInterval) -> None:
    """Add round trips of requests by name; they are part of `round trip` and not summed again."""
    for tag in packed.histograms:
        if tag.startswith(NAMED):
            row = _Row(name_of(tag), None, (), (), (tag,))
            delta = _new_delta(stats, row.name, _samples(packed, tag), 0)
            _fill_times(delta, row, packed)
            _entry(stats, _named(row, packed.user)).extend(delta)


def _samples(packed: PackedInterval, tag: str) -> int:
    return int(histograms.decode(packed.histograms[tag]).get_total_count())


def _named(row: _Row, user: str | None) -> str:
    return row.name if user is None else f"{user} {row.name}"


def _entry(stats: RequestStats, name: str) -> StatsEntry:
    """Return the row with this name; create it if necessary."""
    key = (name, METHOD)
    if not isinstance(stats.entries.get(key), Entry):
        stats.entries[key] = Entry(stats, name, METHOD, stats.use_response_times_cache)
    return stats.entries[key]


def _delta(stats: RequestStats, row: _Row, packed: PackedInterval) -> StatsEntry | None:
    requests, failures = (_total(packed, names) for names in (row.requests, row.failures))
    if not requests and not failures:
        return None
    delta = _new_delta(stats, row.name, requests, failures)
    _fill_times(delta, row, packed)
    delta.num_none_requests = max(0, requests - sum(delta.response_times.values()))
    return delta


def _new_delta(stats: RequestStats, name: str, requests: int, failures: int) -> StatsEntry:
    """Return an entry with these requests, without their times."""
    delta = StatsEntry(stats, name, METHOD)
    now_s = time.time()
    delta.last_request_timestamp = now_s
    delta.num_requests = requests
    delta.num_failures = failures
    delta.num_reqs_per_sec = {int(now_s): requests}
    delta.num_fail_per_sec = {int(now_s): failures}
    return delta


def _total(packed: PackedInterval, names: Iterable[str]) -> int:
    return sum(
        sum(counts_of(packed.counts, name.removesuffix(".")).values())
        if name.endswith(".")
        else packed.counts.get(name, 0)
        for name in names
    )


def _fill_times(delta: Any, row: _Row, packed: PackedInterval) -> None:
    times: dict[float, int] = {}
    for tag in row.tags:
        if tag not in packed.histograms:
            continue
        for value_us, count in histograms.buckets(histograms.decode(packed.histograms[tag])).items():
            ms = _rounded(value_us / 1000)
            times[ms] = times.get(ms, 0) + count
            delta.total_response_time += value_us / 1000 * count
    delta.response_times = times
    delta.min_response_time = min(times, default=None)
    delta.max_response_time = max(times, default=0)


def _rounded(ms: float) -> float:
    """Round to two significant digits, as Locust does from 10 ms upwards.

    Locust keeps twenty copies of each row's times; with a third digit they would take up to 30 MB.
    """
    return round(ms, 1 - math.floor(math.log10(ms))) if ms > 0 else 0.0


def _feed_errors(stats: RequestStats, row: str, errors: Counter[str]) -> None:
    for text, count in errors.items():
        key = StatsError.create_key(METHOD, row, text)
        error = stats.errors.setdefault(key, StatsError(METHOD, row, text))
        for _ in range(count):
            error.occurred()
        error.occurrences += min(count, 0)  # negative if another outcome has replaced it
        if error.occurrences <= 0:
            del stats.errors[key]
