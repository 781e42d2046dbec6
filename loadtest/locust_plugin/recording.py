"""The record of a run, in the process that keeps it: a local run, or the master.

Intervals of all processes go into the run directory as they come; every few seconds a line says what goes
on; at the end the verdict is made from the files alone.
"""

import logging
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass

import gevent

from loadtest import histograms, text
from loadtest.locust_plugin.log_watch import LogWatch
from loadtest.report.judged_run import JudgedRun
from loadtest.results.environment import utc_text
from loadtest.results.interval import PackedInterval
from loadtest.results.writer import RunWriter
from loadtest.runs.publish import publish


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a run stands.

    Args:
        up: sessions established now; `connecting` those on their first connection attempt, `in_outage`
            those dropped or lost and not yet back.
        sent: messages since the start; `sent_per_s` over the last seconds.
        lost: requests that no drop explains; `drops` made, both since the start.
        p50_us, p99_us: service time over the last seconds, None where there was no reply.
    """

    elapsed_s: float
    up: int
    connecting: int
    in_outage: int
    sent: int
    sent_per_s: float
    lost: int
    drops: int
    p50_us: float | None = None
    p99_us: float | None = None


def progress_line(now: Progress) -> str:
    """Return the line, without its line end."""
    return (
        f"{text.clock(now.elapsed_s)} up={now.up} connecting={now.connecting} outage={now.in_outage} "
        f"sent={now.sent} rate={now.sent_per_s:.1f}/s lost={now.lost} drops={now.drops} "
        f"p50={_latency(now.p50_us)} p99={_latency(now.p99_us)}"
    )


def _latency(us: float | None) -> str:
    return text.UNKNOWN if us is None else f"{us / 1000:.2f}ms"


logger = logging.getLogger("loadtest")

PROGRESS_EVERY_S = 5.0
_RECENT = 5
"""Intervals of each process that the progress line's rate and percentiles look back on."""

_LOST = ("messaging.lost", "messaging.corrupted", "messaging.duplicated", "messaging.reordered")


class Record:
    """A run being recorded.

    Args:
        writer: of its directory.
        log_watch: of the server's log, None where there is none.
    """

    def __init__(self, writer: RunWriter, log_watch: LogWatch | None = None) -> None:
        self.writer = writer
        self._began_ns = time.monotonic_ns()
        self._log_watch = log_watch
        self._counts: Counter[str] = Counter()
        self._recent: dict[int | None, deque[PackedInterval]] = {}
        self._progress = gevent.spawn(self._tell_progress)

    @property
    def elapsed_ns(self) -> int:
        """How long the run has gone."""
        return time.monotonic_ns() - self._began_ns

    def append(self, packed: PackedInterval) -> None:
        """Take an interval of any process."""
        self.writer.append(packed)
        self._counts.update(packed.counts)
        self._recent.setdefault(packed.worker, deque(maxlen=_RECENT)).append(packed)

    def finish(
        self,
        results: str,
        baseline: str | None,
        missing_workers: Iterable[int] = (),
        *,
        failure: str | None = None,
    ) -> JudgedRun:
        """End the run directory, complete unless the tool itself has failed; make its verdict and reports."""
        self._progress.kill()
        if failure is None:
            self.writer.finish(utc_text(time.time_ns()), missing_workers)
        else:
            self.writer.fail(failure, missing_workers)
        if self._log_watch is not None:
            self._log_watch.finish()
        return publish(self.writer.path, results=results, baseline=baseline)

    def _tell_progress(self) -> None:
        while True:
            gevent.sleep(PROGRESS_EVERY_S)
            logger.info(progress_line(self.progress()))

    def progress(self) -> Progress:
        """Return where the run stands."""
        latest = [intervals[-1] for intervals in self._recent.values()]
        recent = [interval for intervals in self._recent.values() for interval in intervals]
        gauges: dict[str, float] = defaultdict(float)
        for interval in latest:
            for name, value in interval.gauges.items():
                gauges[name] += value
        seconds = max((interval.stop_ns for interval in recent), default=0) - min(
            (interval.start_ns for interval in recent), default=0
        )
        sent = sum(interval.counts.get("messaging.sent", 0) for interval in recent)
        service = histograms.merged(
            histograms.decode(interval.histograms["service"])
            for interval in recent
            if "service" in interval.histograms
        )
        percentiles = histograms.percentiles_us(service, (50, 99))
        return Progress(
            elapsed_s=self.elapsed_ns / 1e9,
            up=int(gauges["sessions_up"]),
            connecting=int(gauges["sessions"] - gauges["sessions_up"] - gauges["sessions_in_outage"]),
            in_outage=int(gauges["sessions_in_outage"]),
            sent=self._counts["messaging.sent"],
            sent_per_s=sent / seconds * 1e9 if seconds else 0.0,
            lost=sum(self._counts[name] for name in _LOST),
            drops=sum(count for name, count in self._counts.items() if name.startswith("drops.")),
            p50_us=percentiles.get(50),
            p99_us=percentiles.get(99),
        )
