"""`LiveRun`: a run in progress, summed over all its processes and user classes.

The progress line, the live view, the web UI's tab and the metrics endpoint show it. The recording feeds it in
the process that keeps the run directory. It never reads a file: the verdict is made from the files alone.

A headless run without a live view needs only counts, gauges and the last seconds. With `details` a run also
keeps all its distributions, its outages and its failures so far.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from loadtest import histograms
from loadtest.metrics.bounded_names import BoundedNames
from loadtest.metrics.live_errors import LiveErrors
from loadtest.metrics.live_histograms import LIVE_TAGS, LiveHistograms, recent
from loadtest.metrics.live_outages import LiveOutages
from loadtest.metrics.verdict_so_far import ItemSoFar, VerdictSoFar
from loadtest.results.interval import PackedInterval, counts_of
from loadtest.results.manifest import Manifest
from loadtest.session.recorder import COUNTS, FAILED_MESSAGES
from loadtest.session.schedule import NS_PER_S

_RECENT = 5
"""Number of intervals kept per process."""

_RECENT_NS = 5 * NS_PER_S
"""Rates and percentiles "over the last seconds" use the intervals that ended within this time."""

_GONE_NS = 15 * NS_PER_S
"""A process this far behind the others is gone, and its sessions with it."""

_OF_PROGRESS = ("outage",)
"""Distributions that the progress needs."""

_NAMED_BY_SERVER = ("losses", "closes", "drops")
"""Families of counts whose names may come from the server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Progress of a run.

    Args:
        elapsed_s: seconds since the start.
        up: sessions that are established.
        connecting: sessions that have not been established yet.
        in_outage: sessions dropped or lost that have not resumed yet.
        sent: messages sent since the start.
        sent_per_s: messages sent per second over the last seconds.
        lost_or_failed: messages lost or failed since the start (`FAILED_MESSAGES`), not because of a drop.
        losses: connections that the server or the network ended since the start.
        drops: drops made since the start.
        p50_us, p99_us: service time over the last seconds; None if there were too few replies for it.
        p90_us: likewise.
        failed_attempts: attempts to connect that failed since the start, those in outages among them.
        drops_by_kind: drops made since the start, by kind, the most frequent first.
        outage_p50_us, outage_p95_us: length of the outages that have ended since the start; None if they were
            too few for it.
    """

    elapsed_s: float
    up: int
    connecting: int
    in_outage: int
    sent: int
    sent_per_s: float
    lost_or_failed: int
    losses: int
    drops: int
    p50_us: float | None = None
    p99_us: float | None = None
    p90_us: float | None = None
    failed_attempts: int = 0
    drops_by_kind: Mapping[str, int] = field(default_factory=dict)
    outage_p50_us: float | None = None
    outage_p95_us: float | None = None


class Details:
    """Additional data of a run, kept for live views.

    Args:
        manifest: the run's manifest.
    """

    def __init__(self, manifest: Manifest) -> None:
        self.outages = LiveOutages()
        self.errors = LiveErrors()
        self.verdict = VerdictSoFar(manifest)

    def append(self, packed: PackedInterval) -> None:
        """Add an interval of any process."""
        self.outages.append(packed.lifecycle)
        self.errors.append(packed.errors)
        self.verdict.append(packed)


class LiveRun:
    """The data that a run has recorded so far.

    Args:
        users: names of the user classes; None is the class of a run with one class.
        details: additional data to keep; None without a live view.

    Attributes:
        details: the same.
        distributions: since the run's start.
    """

    def __init__(self, users: Collection[str | None], details: Details | None = None) -> None:
        self.details = details
        self.distributions = LiveHistograms(_OF_PROGRESS if details is None else LIVE_TAGS)
        self._counts: dict[str | None, Counter[str]] = {user: Counter() for user in users}
        self._taken_back: Counter[str] = Counter()
        self._names = {family: BoundedNames() for family in _NAMED_BY_SERVER}
        self._recent: dict[tuple[int | None, str | None], deque[PackedInterval]] = {}  # by worker and class
        self._stop_ns = 0

    def append(self, packed: PackedInterval) -> None:
        """Add an interval of any process."""
        counts = self._counts.setdefault(packed.user, Counter())
        for name, count in packed.counts.items():
            counts[name if name in COUNTS else self._bounded(name)] += count
            if count < 0:
                self._taken_back[name] -= count
        self._recent.setdefault((packed.worker, packed.user), deque(maxlen=_RECENT)).append(packed)
        self._stop_ns = max(self._stop_ns, packed.stop_ns)
        self.distributions.append(packed.histograms)
        if self.details is not None:
            self.details.append(packed)

    def _bounded(self, name: str) -> str:
        family, _, own = name.partition(".")
        return f"{family}.{self._names[family].of(own)}" if family in self._names else name

    def counts(self, user: str | None) -> Mapping[str, int]:
        """Return the counts of a user class since the start."""
        return self._counts[user]

    def total(self) -> Mapping[str, int]:
        """Return the counts of all user classes since the start."""
        return sum(self._counts.values(), Counter[str]())

    @property
    def taken_back(self) -> Mapping[str, int]:
        """How often an outcome was taken back: a message was given up, and its reply arrived after all."""
        return self._taken_back

    @property
    def so_far(self) -> Sequence[ItemSoFar]:
        """The standing of each item of the verdict, a few seconds old; empty without details."""
        return self.details.verdict.items(self.distributions.totals) if self.details is not None else ()

    def gauges(self, users: Collection[str | None]) -> Mapping[str, float]:
        """Return the latest gauges of these user classes, summed over all processes that still run."""
        gauges: dict[str, float] = defaultdict(float)
        for (_, user), intervals in self._present():
            for name, value in intervals[-1].gauges.items() if user in users else ():
                gauges[name] += value
        return gauges

    def _present(self) -> Iterable[tuple[tuple[int | None, str | None], Sequence[PackedInterval]]]:
        return (
            (key, intervals)
            for key, intervals in self._recent.items()
            if intervals[-1].stop_ns + _GONE_NS > self._stop_ns
        )

    def progress(self, elapsed_s: float) -> Progress:
        """Return the run's progress.

        Args:
            elapsed_s: seconds since the start.
        """
        gauges, counts = self.gauges(self._counts), Counter(self.total())
        last = [
            interval
            for _, intervals in self._present()
            for interval in intervals
            if interval.stop_ns + _RECENT_NS > self._stop_ns
        ]
        latest = recent("service", (interval.histograms for interval in last))
        service = histograms.carried_us(latest, (50, 90, 99))
        outage = self.distributions.carried_us("outage", (50, 95))
        drops = Counter(counts_of(counts, "drops"))
        return Progress(
            elapsed_s=elapsed_s,
            up=int(gauges["sessions_up"]),
            connecting=int(gauges["sessions"] - gauges["sessions_up"] - gauges["sessions_in_outage"]),
            in_outage=int(gauges["sessions_in_outage"]),
            sent=counts["messaging.sent"],
            sent_per_s=_sent_per_s(last),
            lost_or_failed=sum(counts[f"messaging.{name}"] for name in FAILED_MESSAGES),
            losses=sum(counts_of(counts, "losses").values()),
            drops=drops.total(),
            p50_us=service.get(50),
            p99_us=service.get(99),
            p90_us=service.get(90),
            failed_attempts=counts["connect.failed"] + counts["reconnect.failed"],
            drops_by_kind=dict(drops.most_common()),
            outage_p50_us=outage.get(50),
            outage_p95_us=outage.get(95),
        )


def _sent_per_s(intervals: Sequence[PackedInterval]) -> float:
    start_ns = min((interval.start_ns for interval in intervals), default=0)
    stop_ns = max((interval.stop_ns for interval in intervals), default=0)
    sent = sum(interval.counts.get("messaging.sent", 0) for interval in intervals)
    return sent / (stop_ns - start_ns) * 1e9 if stop_ns > start_ns else 0.0
