"""Records a run, in the process that keeps the run directory: a local run or a master.

It writes the intervals of all processes as they arrive and passes them on to live views. At the end it makes
the verdict from the files alone.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from loadtest.errors import RecordingFailed, ResultsUnwritable
from loadtest.locust_plugin.drill_runner import DrillRunner
from loadtest.locust_plugin.gauge_watch import GaugeWatch
from loadtest.locust_plugin.log_watch import LogWatch
from loadtest.locust_plugin.prospects import Prospects
from loadtest.locust_plugin.run_reporter import RunReporter
from loadtest.metrics.live_run import Details, LiveRun, Progress
from loadtest.report.judged_run import JudgedRun
from loadtest.results.drill_windows import NO_WINDOWS, Windows
from loadtest.results.environment import utc_text
from loadtest.results.interval import PackedInterval
from loadtest.results.writer import RunWriter
from loadtest.runs.publish import judge_run, write_reports
from loadtest.session.recorder import Lifecycle


class Recording:
    """Records the current run.

    Args:
        writer: writer of the run directory.
        prospects: by name of the user class; in a run with one class, under None.
        began_ns: the monotonic clock at the run's start.
        reporter: reports the run's progress and problems.
        log_watch: follows the server's log; None if no log was given.
        gauge_watch: reads the server's gauge of its connections; None if none was given.
        drills: runs the commands of `--ws-at`; None if none was given.
        details: keeps the data for the web page and metrics; None without a live view.

    Attributes:
        live: the run so far.
        ended_early: why the run ends early; None if it does not.
        unwritable: the first file that could not be written at the run's end; None if there was none.
    """

    def __init__(
        self,
        writer: RunWriter,
        prospects: Mapping[str | None, Prospects],
        *,
        began_ns: int,
        reporter: RunReporter,
        log_watch: LogWatch | None = None,
        gauge_watch: GaugeWatch | None = None,
        drills: DrillRunner | None = None,
        details: Details | None = None,
    ) -> None:
        self.writer = writer
        self.live = LiveRun(prospects, details)
        self.ended_early: str | None = None
        self.unwritable: ResultsUnwritable | None = None
        self._prospects = prospects
        self._same_id_asked: set[str | None] = set()  # the classes
        self._began_ns = began_ns
        self._log_watch = log_watch
        self._gauge_watch = gauge_watch
        self._reporter = reporter
        self._drills = drills
        reporter.begin(self.progress, self.live)
        if gauge_watch is not None:
            gauge_watch.start()
        if drills is not None:
            drills.start()

    @property
    def windows(self) -> Windows:
        """The known windows of drills."""
        return NO_WINDOWS if self._drills is None else self._drills.windows

    @property
    def elapsed_ns(self) -> int:
        """Nanoseconds since the run's start."""
        return time.monotonic_ns() - self._began_ns

    def append(self, packed: PackedInterval, events: Iterable[Lifecycle] = ()) -> None:
        """Write an interval of any process; `events` are its events with secrets, which are not written.

        The server's log has ids unchanged, including those that contain a secret.
        """
        self.writer.append(packed)
        if self._log_watch is not None:
            self._log_watch.learn(events or packed.lifecycle)
        self.live.append(packed)
        self._look_ahead(packed)
        self._reporter.interval(packed, self.windows, self.elapsed_ns / 1e9)

    def _look_ahead(self, packed: PackedInterval) -> None:
        prospects = self._prospects.get(packed.user)
        if prospects is None:
            return
        prospects.see(packed.lifecycle)
        if packed.user not in self._same_id_asked and prospects.same_id_asked:
            self._same_id_asked.add(packed.user)
            self.writer.same_id_asked(packed.user)

    def no_prospects(self, packed: PackedInterval) -> str:
        """Return why no session can work any more; empty if one may, or if a drill is active.

        Args:
            packed: the interval just written.
        """
        if self._drills is not None and self._drills.active():
            return ""
        reasons = {
            user: prospects.none_left(self.live.counts(user), self.live.gauges([user]), packed.stop_ns)
            for user, prospects in self._prospects.items()
        }
        if not all(reasons.values()):
            return ""
        return "; ".join(why if user is None else f"{user}: {why}" for user, why in reasons.items())

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
            baseline: the baseline, as for `--ws-baseline`.
            missing_workers: numbers of the workers whose part of the run is incomplete.
            failure: the error that ended the run, which marks it incomplete; None if there was none.
            usage_error: whether that was the user's mistake.
        """
        self._reporter.end()
        if self._drills is not None:
            self._drills.finish()
        self._finish_files(missing_workers, failure, usage_error=usage_error)
        if failure is None and self.unwritable is not None:
            failure = str(RecordingFailed(self.unwritable))
        judged = judge_run(self.writer.path, results=results, baseline=baseline, failure=failure)
        with self._noting_unwritable():
            write_reports(judged)
        return judged

    def _finish_files(
        self, missing_workers: Iterable[int], failure: str | None, *, usage_error: bool
    ) -> None:
        ended_at = utc_text(time.time_ns())
        self._finish_gauge(failed=failure is not None)
        with self._noting_unwritable():
            if failure is None:
                self.writer.finish(ended_at, missing_workers, ended_early=self.ended_early)
            else:
                self.writer.fail(failure, missing_workers, usage_error=usage_error)
        with self._noting_unwritable():
            if self._log_watch is not None:
                self._log_watch.finish()

    @contextmanager
    def _noting_unwritable(self) -> Iterator[None]:
        """Record a file that cannot be written, and go on: the verdict must still be made and printed."""
        try:
            yield
        except ResultsUnwritable as error:
            self.unwritable = self.unwritable or error

    def _finish_gauge(self, *, failed: bool) -> None:
        if self._gauge_watch is not None and failed:
            self._gauge_watch.stop()
        elif self._gauge_watch is not None:
            self.writer.gauge(self._gauge_watch.finish())

    def progress(self) -> Progress:
        """Return the run's progress."""
        return self.live.progress(self.elapsed_ns / 1e9)
