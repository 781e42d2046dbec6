"""Reports a run while it is in progress: its progress every few seconds, its problems at once.

`problems`, `drill_losses` and the live run find what there is to report; `run_output` shows it.
"""

from collections.abc import Callable, Iterable

import gevent

from loadtest.locust_plugin.drill_losses import DrillLosses, split_losses
from loadtest.locust_plugin.problems import Problems
from loadtest.locust_plugin.run_output import RunOutput
from loadtest.metrics.live_run import LiveRun, Progress
from loadtest.report.live_view import View
from loadtest.results.drill_windows import Windows
from loadtest.results.interval import PackedInterval
from loadtest.results.manifest import Manifest
from loadtest.serverlog.extract import KeptRecord


class RunReporter:
    """Reports progress and problems of a run.

    Args:
        manifest: the run's manifest at its start.
        output: shows the reports.
        other_failed: returns the number of failed requests of other users.
    """

    def __init__(self, manifest: Manifest, output: RunOutput, other_failed: Callable[[], int]) -> None:
        self._planned_s = manifest.plan.duration_s
        self._output = output
        self._other_failed = other_failed
        self._problems = Problems(manifest.plan.warmup_s)
        self._drill_losses = DrillLosses()
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def begin(self, progress: Callable[[], Progress], live: LiveRun) -> None:
        """Start reporting a run.

        Args:
            progress: returns its progress.
            live: the run so far.
        """
        self._progress, self._live = progress, live
        self._output.begin()
        self._greenlet = gevent.spawn(self._show)

    def end(self) -> None:
        """Stop reporting."""
        if self._greenlet is not None:
            self._greenlet.kill()
            self._greenlet = None
            self._output.end(self._view())

    def interval(self, packed: PackedInterval, windows: Windows, now_s: float) -> None:
        """Report the problems of an interval of any process, except losses that belong to drills.

        Args:
            packed: the interval.
            windows: the windows of drills.
            now_s: seconds since the run's start.
        """
        by_drill, others = split_losses(packed, windows)
        for line in self._drill_losses.lines(by_drill):
            self._output.info(now_s, line)
        self._problems.interval(others, windows)
        for line in self._problems.lines(now_s):
            self._output.warn(now_s, line)

    def logged(self, records: Iterable[KeptRecord]) -> None:
        """Add records of the server's log. Their texts contain no secrets."""
        self._problems.logged(records)

    def _show(self) -> None:
        elapsed_s = 0.0
        while True:
            gevent.sleep(self._output.pause_s(elapsed_s))
            view = self._view()
            elapsed_s = view.now.elapsed_s
            self._output.show(view)

    def _view(self) -> View:
        """Return the current view of the run."""
        return View(
            now=self._progress(),
            planned_s=self._planned_s,
            log_errors=self._problems.log_errors,
            other_failed=self._other_failed(),
            problems=self._problems.summary(),
            so_far=self._live.so_far,
        )
