"""The recording of a run, in the process that keeps the run directory: a local run, or a master.

Intervals of all processes are written as they arrive, and a progress line is logged every few seconds. At the
end the verdict is made from the files alone.
"""

import logging
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import gevent

from loadtest import histograms, text
from loadtest.locust_plugin.drill_losses import DrillLosses, split_losses
from loadtest.locust_plugin.drill_runner import DrillRunner
from loadtest.locust_plugin.gauge_watch import GaugeWatch
from loadtest.locust_plugin.log_watch import LogWatch
from loadtest.locust_plugin.loss_warnings import LossWarnings
from loadtest.locust_plugin.prospects import Prospects
from loadtest.report.judged_run import JudgedRun
from loadtest.results.drill_windows import NO_WINDOWS, Windows
from loadtest.results.environment import utc_text
from loadtest.results.interval import PackedInterval, counts_of
from loadtest.results.writer import RunWriter
from loadtest.runs.publish import publish
from loadtest.session.recorder import Lifecycle

logger = logging.getLogger("loadtest")

PROGRESS_EVERY_S = 5.0
_RECENT = 5
"""Intervals of each process that the progress line's rate and percentiles cover."""

_LOST = ("messaging.lost", "messaging.corrupted", "messaging.duplicated", "messaging.reordered")


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
        lost: messages lost, corrupted, duplicated or reordered since the start, and not because of a drop.
        losses: connections that the server or the network ended since the start.
        drops: drops made since the start.
        p50_us, p99_us: service time over the last seconds; None if there was no reply.
    """

    elapsed_s: float
    up: int
    connecting: int
    in_outage: int
    sent: int
    sent_per_s: float
    lost: int
    losses: int
    drops: int
    p50_us: float | None = None
    p99_us: float | None = None


def progress_line(now: Progress) -> str:
    """Return the progress line, without a line end."""
    return (
        f"{text.clock(now.elapsed_s)} up={now.up} connecting={now.connecting} outage={now.in_outage} "
        f"sent={now.sent} rate={now.sent_per_s:.1f}/s lost_messages={now.lost} "
        f"lost_connections={now.losses} "
        f"drops={now.drops} p50={_latency(now.p50_us)} p99={_latency(now.p99_us)}"
    )


def _latency(us: float | None) -> str:
    return text.UNKNOWN if us is None else f"{us / 1000:.2f}ms"


class Recording:
    """Records the current run.

    Args:
        writer: writer of the run directory.
        prospects: of the run.
        began_ns: the monotonic clock at the run's start.
        log_watch: follows the server's log; None if no log was given.
        gauge_watch: reads the server's gauge of its connections; None if none was given.
        drills: runs the commands of `--ws-at`; None if none was given.

    Attributes:
        ended_early: why the run is ended before its time; None if it is not.
    """

    def __init__(
        self,
        writer: RunWriter,
        prospects: Prospects,
        *,
        began_ns: int,
        log_watch: LogWatch | None = None,
        gauge_watch: GaugeWatch | None = None,
        drills: DrillRunner | None = None,
    ) -> None:
        self.writer = writer
        self.ended_early: str | None = None
        self._prospects = prospects
        self._same_id_asked = False
        self._began_ns = began_ns
        self._log_watch = log_watch
        self._gauge_watch = gauge_watch
        self._counts: Counter[str] = Counter()
        self._recent: dict[int | None, deque[PackedInterval]] = {}
        self._loss_warnings = LossWarnings()
        self._drill_losses = DrillLosses()
        self._drills = drills
        self._progress = gevent.spawn(self._log_progress)
        if gauge_watch is not None:
            gauge_watch.start()
        if drills is not None:
            drills.start()

    @property
    def windows(self) -> Windows:
        """The times that belong to drills, as far as they are known."""
        return NO_WINDOWS if self._drills is None else self._drills.windows

    @property
    def elapsed_ns(self) -> int:
        """Nanoseconds since the run's start."""
        return time.monotonic_ns() - self._began_ns

    def append(self, packed: PackedInterval, events: Iterable[Lifecycle] = ()) -> None:
        """Write an interval, from any process; `events` are its own with secrets, which are not written.

        The server's log has ids as they are, also those that hold a secret.
        """
        self.writer.append(packed)
        if self._log_watch is not None:
            self._log_watch.learn(events or packed.lifecycle)
        self._counts.update(packed.counts)
        self._prospects.see(packed.lifecycle)
        if not self._same_id_asked and self._prospects.same_id_asked:
            self._same_id_asked = True
            self.writer.same_id_asked()
        self._recent.setdefault(packed.worker, deque(maxlen=_RECENT)).append(packed)
        self._tell_losses(packed, self.elapsed_ns / 1e9)

    def _tell_losses(self, packed: PackedInterval, now_s: float) -> None:
        by_drill, others = split_losses(packed, self.windows)
        for line in self._drill_losses.lines(by_drill, now_s):
            logger.info("%s", line)
        if line := self._loss_warnings.line(others, now_s):
            logger.warning("%s", line)

    def no_prospects(self, packed: PackedInterval) -> str:
        """Return why no session can work any more, empty if one may: in a drill, all may be away for a while.

        Args:
            packed: the interval just written.
        """
        if self._drills is not None and self._drills.active():
            return ""
        return self._prospects.none_left(self._counts, self._gauges(), packed.stop_ns)

    def finish(
        self,
        results: str,
        baseline: str | None,
        missing_workers: Iterable[int] = (),
        *,
        failure: str | None = None,
        usage_error: bool = False,
    ) -> JudgedRun:
        """Complete the run directory, then make its verdict and reports.

        Args:
            results: folder of all runs.
            baseline: what to compare with, as for `--ws-baseline`.
            missing_workers: numbers of the workers whose part of the run is incomplete.
            failure: the error that ended the run, which marks it incomplete; None if none did.
            usage_error: whether that was the user's mistake.
        """
        self._progress.kill()
        if self._drills is not None:
            self._drills.finish()
        ended_at = utc_text(time.time_ns())
        self._finish_gauge(failed=failure is not None)
        if failure is None:
            self.writer.finish(ended_at, missing_workers, ended_early=self.ended_early)
        else:
            self.writer.fail(failure, missing_workers, usage_error=usage_error)
        if self._log_watch is not None:
            self._log_watch.finish()
        return publish(self.writer.path, results=results, baseline=baseline)

    def _finish_gauge(self, *, failed: bool) -> None:
        if self._gauge_watch is not None and failed:
            self._gauge_watch.stop()
        elif self._gauge_watch is not None:
            self.writer.gauge(self._gauge_watch.finish())

    def _log_progress(self) -> None:
        while True:
            gevent.sleep(PROGRESS_EVERY_S)
            logger.info(progress_line(self.progress()))

    def progress(self) -> Progress:
        """Return the run's progress."""
        gauges = self._gauges()
        recent = [interval for intervals in self._recent.values() for interval in intervals]
        percentiles = _service_percentiles_us(recent)
        return Progress(
            elapsed_s=self.elapsed_ns / 1e9,
            up=int(gauges["sessions_up"]),
            connecting=int(gauges["sessions"] - gauges["sessions_up"] - gauges["sessions_in_outage"]),
            in_outage=int(gauges["sessions_in_outage"]),
            sent=self._counts["messaging.sent"],
            sent_per_s=_sent_per_s(recent),
            lost=sum(self._counts[name] for name in _LOST),
            losses=sum(counts_of(self._counts, "losses").values()),
            drops=sum(counts_of(self._counts, "drops").values()),
            p50_us=percentiles.get(50),
            p99_us=percentiles.get(99),
        )

    def _gauges(self) -> Mapping[str, float]:
        """Return the latest gauges, summed over all processes."""
        gauges: dict[str, float] = defaultdict(float)
        for intervals in self._recent.values():
            for name, value in intervals[-1].gauges.items():
                gauges[name] += value
        return gauges


def _sent_per_s(intervals: Sequence[PackedInterval]) -> float:
    start_ns = min((interval.start_ns for interval in intervals), default=0)
    stop_ns = max((interval.stop_ns for interval in intervals), default=0)
    sent = sum(interval.counts.get("messaging.sent", 0) for interval in intervals)
    return sent / (stop_ns - start_ns) * 1e9 if stop_ns > start_ns else 0.0


def _service_percentiles_us(intervals: Sequence[PackedInterval]) -> Mapping[float, float]:
    service = histograms.merged(
        histograms.decode(interval.histograms["service"])
        for interval in intervals
        if "service" in interval.histograms
    )
    return histograms.percentiles_us(service, (50, 99))
