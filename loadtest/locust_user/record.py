"""The record of a run, in the process that keeps it: a local run, or the master.

Intervals of all processes go into the run directory as they come; every few seconds a line says what goes
on; at the end the verdict is made from the files alone.
"""

import logging
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterable

import gevent

from loadtest import latency
from loadtest.evidence import PackedInterval
from loadtest.locust_user.log_watch import LogWatch
from loadtest.report import Published, publish
from loadtest.report.progress import Progress, progress_line
from loadtest.run import RunWriter, utc_text

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
    ) -> Published:
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
        service = latency.merged(
            latency.decode(interval.histograms["service"])
            for interval in recent
            if "service" in interval.histograms
        )
        percentiles = latency.percentiles_us(service, (50, 99))
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
