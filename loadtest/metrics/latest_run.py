"""The latest run of this process, for the web page, Prometheus and OpenTelemetry.

A run stays the latest after its end, so that its last values and its verdict can be read until the next run
begins or the process ends.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from loadtest.metrics.live_run import LiveRun, Progress
from loadtest.results.manifest import Manifest
from loadtest.verdict.items import Verdict

RUNS_KEPT = 50
"""Number of runs whose directories are kept; older ones are still on disk."""


@dataclass(slots=True, kw_only=True)
class ShownRun:
    """A run in the live views.

    Args:
        manifest: the manifest at the run's start.
        path: the run directory.
        live: the data recorded so far.
        elapsed_s: returns the seconds since its start.
        ended_after_s: its length in seconds; None while it is in progress.
        verdict: its verdict; None before there is one.
        failure: the error that ended it; empty if there was none.
    """

    manifest: Manifest
    path: Path
    live: LiveRun
    elapsed_s: Callable[[], float]
    ended_after_s: float | None = None
    verdict: Verdict | None = None
    failure: str = ""

    @property
    def length_s(self) -> float:
        """Seconds from its start to now, or to its end."""
        return self.elapsed_s() if self.ended_after_s is None else self.ended_after_s

    @property
    def progress(self) -> Progress:
        """Its progress."""
        return self.live.progress(self.length_s)


class LatestRun:
    """Holds the latest run, and the directories of all runs of this process.

    Attributes:
        shown: the latest run; None before the first.
    """

    def __init__(self) -> None:
        self.shown: ShownRun | None = None
        self._paths: dict[str, Path] = {}

    @property
    def paths(self) -> Mapping[str, Path]:
        """The directories of the runs that this process made, by run id."""
        return self._paths

    def begin(self, shown: ShownRun) -> None:
        """Show this run."""
        self.shown = shown
        self._paths[shown.manifest.run_id] = shown.path
        while len(self._paths) > RUNS_KEPT:
            del self._paths[next(iter(self._paths))]

    def stop(self) -> None:
        """Note that the run records nothing more; its verdict is being made."""
        if self.shown is not None and self.shown.ended_after_s is None:
            self.shown.ended_after_s = self.shown.elapsed_s()

    def finish(self, verdict: Verdict | None, failure: str = "") -> None:
        """Note that the run is over, with its verdict or failure."""
        self.stop()
        if self.shown is not None:
            self.shown.verdict, self.shown.failure = verdict, failure
