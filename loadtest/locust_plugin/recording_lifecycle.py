"""The lifecycle of a process that keeps the run directory: what local runs and masters share, and local runs.

It creates the directory when a run begins, writes what the load delivers, and makes and prints the verdict
when the run ends, even if a signal or a full disk ended it.
"""

import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import gevent
import msgspec
from locust.env import Environment
from locust.runners import STATE_RUNNING, STATE_SPAWNING

from loadtest.errors import LoadtestError, RecordingFailed, ResultsUnwritable, UsageError
from loadtest.locust_plugin.class_manifest import user_class
from loadtest.locust_plugin.configuration import PLACEHOLDER_URL
from loadtest.locust_plugin.drill_runner import DrillRunner, planned
from loadtest.locust_plugin.gauge_watch import GaugeWatch
from loadtest.locust_plugin.lifecycle import Lifecycle
from loadtest.locust_plugin.live_views import LiveViews
from loadtest.locust_plugin.load import RunInfo
from loadtest.locust_plugin.load_settings import LoadSettings
from loadtest.locust_plugin.locust_tables import only_on_request, other_tables
from loadtest.locust_plugin.log_watch import LogWatch
from loadtest.locust_plugin.other_requests import OtherRequests, other_requests
from loadtest.locust_plugin.prospects import Prospects
from loadtest.locust_plugin.recording import Recording
from loadtest.locust_plugin.reference_server import ReferenceServer
from loadtest.locust_plugin.revision import Revision, asking, find_revision, public_health
from loadtest.locust_plugin.run_output import output_for
from loadtest.locust_plugin.run_reporter import RunReporter
from loadtest.report.terminal import print_verdict
from loadtest.results.drill_windows import NO_WINDOWS, Windows
from loadtest.results.environment import RunStart, beginning
from loadtest.results.interval import PackedInterval
from loadtest.results.manifest import Manifest, Plan
from loadtest.results.user_classes import fields_of, manifest_of
from loadtest.results.writer import RunWriter
from loadtest.ruling import Ruling
from loadtest.runs.ci_output import CiReport, nothing_judged, run_report
from loadtest.scrubber import public_line
from loadtest.session.recorder import Lifecycle as LifecycleEvent
from loadtest.signals import ignore_signals
from loadtest.text import without_commands
from loadtest.transport.http_health import Health

logger = logging.getLogger("loadtest")


class RecordingLifecycle(Lifecycle):
    """Lifecycle in a process that keeps the run directory: it records runs and makes their verdicts.

    Attributes:
        made_by: the program that makes the runs, for their manifests.
        health_path: path of the server's health endpoint; None for the dialect's, if it has one.
    """

    records = True

    def __init__(self, environment: Environment, classes: Sequence[Any]) -> None:
        super().__init__(environment, classes)
        self.made_by: Literal["locust", "probe"] = "locust"
        self.health_path: str | None = None
        self._recording: Recording | None = None
        self._settings: LoadSettings | None = None  # of the latest run
        self._revision: Revision | None = None  # of the server, if it was asked before the first run
        self._server = ReferenceServer(environment)
        self._others = OtherRequests()  # of the latest run
        self._views = LiveViews(environment, self._configuration, lambda: self.secrets)
        self._why_nothing = "the run did not start"  # if nothing was judged and no error says why

    @property
    def ending(self) -> bool:
        """Whether the process is already shutting down: a headless one does once its run is judged."""
        return self._quitting or (self._configuration.options.headless and self.judged is not None)

    def interrupted(self, exit_code: int) -> bool:
        """Note that a signal asks the process to end; before a headless run begins it can exit."""
        if self._recording is None and self._configuration.options.headless:
            self._environment.process_exit_code = exit_code
            return False
        return True

    def _ask_early(self) -> None:
        """Query the server's revision before Locust starts the run time: a slow answer would use it up."""
        configuration = self._configuration
        if configuration.options.headless and configuration.run_time_s and configuration.host:
            self._revision = self._ask_now(configuration.settings(configuration.host))[0]

    def _ask_now(self, settings: LoadSettings, *, own_server: bool = False) -> tuple[Revision, Health | None]:
        """Return the server's revision, and for a probe its health."""
        health_path = self.health_path or settings.engine.config.dialect.health_path
        ask = asking(settings)
        probed = self.made_by == "probe"  # other runs do not judge health
        health = public_health(ask(health_path), settings) if probed and health_path is not None else None
        known, self._revision = self._revision, None  # a later run may meet another revision
        found = known or find_revision(
            settings, ask, health_path=health_path, probed=probed, own_server=own_server
        )
        return found, health

    def listen(self) -> None:
        """Start listening to Locust's events, and start the live views."""
        super().listen()
        only_on_request(self._configuration.options)
        self._environment.events.quit.add_listener(self._on_quit)
        self._views.start()

    @property
    def _under_way(self) -> bool:
        return self._recording is not None or self._load is not None

    def _begin_recording(self) -> tuple[Mapping[str, LoadSettings], str, RunStart]:
        """Create the run directory, after starting a reference server if no host is given.

        Returns:
            The settings by user class, the run id and the run's start.
        """
        configuration = self._configuration
        configuration.restore()
        host = configuration.host
        if not host or self._server.has_been(host):
            host = self._server.start(configuration.settings(PLACEHOLDER_URL).results)
        by_class = configuration.settings_by_class(host)
        configuration.check_users(by_class, self._runner.target_user_count, self._processes)
        settings = self._settings = configuration.settings(host)
        revision, health = self._ask_now(settings, own_server=self._server.has_been(host))
        gauge_watch = None if settings.gauge is None else GaugeWatch(settings.gauge)
        start = RunStart.now()  # after all slow steps except starting the load
        manifest = msgspec.structs.replace(
            self._manifest(by_class, revision, start),
            server_gauge=None if gauge_watch is None else gauge_watch.reading,
            health=health,
        )
        writer = RunWriter(settings.results, manifest)
        output = output_for(configuration.options)
        reporter = RunReporter(manifest, output, lambda: other_requests(self._runner).failed)
        self._windows = NO_WINDOWS
        self._recording = Recording(
            writer,
            self._prospects(by_class, manifest),
            began_ns=start.monotonic_ns,
            reporter=reporter,
            log_watch=self._log_watch(settings, writer.path, manifest.run_id, reporter),
            gauge_watch=gauge_watch,
            drills=self._drill_runner(settings, writer, start.monotonic_ns),
            details=self._views.details(manifest, watched=output.detailed),
        )
        self._views.begin(manifest, self._recording)
        self.judged = None
        logger.info("run %s against %s", writer.path, manifest.target)
        return by_class, manifest.run_id, start

    @property
    def _processes(self) -> int:
        """Number of processes that make the load."""
        return 1

    def _manifest(
        self, by_class: Mapping[str, LoadSettings], revision: Revision, start: RunStart
    ) -> Manifest:
        """Return the manifest of a run that begins."""
        users = self._configuration.users_by_class(self._runner.target_user_count)
        classes = [
            user_class(name, own, self._plan(own, users[name]), self._configuration.codes[name])
            for name, own in by_class.items()
            if name in self._configuration.taking_part
        ]
        settings = next(iter(by_class.values()))
        return Manifest(
            **beginning(start.unix_ns),
            revision=revision.name,
            revision_source=revision.source or None,
            revision_said=revision.said,
            target=str(settings.engine.target),
            proxy=None if settings.engine.proxy is None else str(settings.engine.proxy),
            drills=planned(settings.drills, self._configuration.secrets),
            drill_window_s=settings.drill_window_s,
            made_by=self.made_by,
            locustfile=self._configuration.locustfile,
            **fields_of(classes, several=len(by_class) > 1),
        )

    def _prospects(
        self, by_class: Mapping[str, LoadSettings], manifest: Manifest
    ) -> dict[str | None, Prospects]:
        any_known = manifest.plan.users > 0
        of_classes: dict[str | None, Manifest] = {
            one.name: manifest_of(manifest, one)
            for one in manifest.classes
            if one.plan.users or not any_known
        } or {None: manifest}
        first = next(iter(by_class))
        return {
            name: Prospects(
                own,
                all_planned=self._environment.shape_class is None,
                identifies=by_class[name or first].engine.config.dialect.identifies,
                path=by_class[name or first].engine.config.dialect.path,
            )
            for name, own in of_classes.items()
        }

    def _plan(self, settings: LoadSettings, users: int) -> Plan:
        """Return a class's plan, completed from Locust's own options."""
        return msgspec.structs.replace(
            settings.plan,
            users=users,
            spawn_rate=float(self._configuration.options.spawn_rate or 1),
            duration_s=self._configuration.run_time_s,
        )

    def _log_watch(
        self, settings: LoadSettings, run: Path, run_id: str, reporter: RunReporter
    ) -> LogWatch | None:
        """Follow the given logs and the reference server's; return None if there are none."""
        log, reference = settings.log, self._server.move_log(run)
        if reference is not None:
            log = replace(log, paths=(str(reference), *log.paths))
        if not log.given:
            return None
        return LogWatch(log, run, run_id, lambda: self.secrets, self._fail, reporter.logged)

    def _drill_runner(self, settings: LoadSettings, writer: RunWriter, began_ns: int) -> DrillRunner | None:
        """Return the runner of the commands of `--ws-at`; None if there are none."""
        if not settings.drills:
            return None
        return DrillRunner(
            settings.drills,
            writer.path,
            began_ns=began_ns,
            window_s=settings.drill_window_s,
            secrets=lambda: self.secrets,
            write=writer.drills,
            tell=self._tell_windows,
            failed=self._fail,
        )

    def _tell_windows(self, windows: Windows) -> None:
        """Send the windows of drills to the load, in this process or on workers."""
        self._windows = windows

    def _deliver(self, packed: PackedInterval, events: Iterable[LifecycleEvent] = ()) -> None:
        """Write an interval; a failure ends the run, because a recording with a gap is useless."""
        if self._recording is None or self._failure is not None:
            return
        try:
            self._recording.append(packed, events)
            self._end_without_prospects(self._recording, packed)
        except Exception as error:
            self._fail(error)

    def _end_without_prospects(self, recording: Recording, packed: PackedInterval) -> None:
        """End a headless run in which no session can work any more, unless `keep_going` is set."""
        going = self._runner.state in (STATE_SPAWNING, STATE_RUNNING) and recording.ended_early is None
        keep_going = self._settings is None or self._settings.keep_going
        if keep_going or not (going and self._configuration.options.headless):
            return
        if reason := recording.no_prospects(packed):
            recording.ended_early = reason
            logger.warning("ending the run early: %s", reason)
            gevent.spawn(self._runner.quit)

    def _end(self) -> None:
        try:
            self._finish_load()
            if self._recording is not None:
                self._conclude(self._recording)
        finally:
            self._server.stop()

    @property
    def _missing_workers(self) -> Iterable[int]:
        """Numbers of workers whose part of the run is incomplete."""
        return ()

    def _conclude(self, recording: Recording) -> None:
        assert self._settings is not None  # set before the recording starts
        self._recording = None
        self._views.latest.stop()
        failed_with = self._environment.process_exit_code
        self._environment.process_exit_code = LoadtestError.exit_code  # in case the conclusion itself fails
        try:
            self.judged = recording.finish(
                str(self._settings.results),
                self._settings.baseline,
                self._missing_workers,
                failure=self._failure,
                usage_error=failed_with == UsageError.exit_code,
            )
        except LoadtestError as error:
            why = public_line(str(error), self.secrets)
            self._views.latest.finish(None, why)
            self._why_nothing = f"no verdict: {why}"
            logger.critical("%s", self._why_nothing)
            return
        self._views.latest.finish(self.judged.verdict, self._failure or "")
        if self._failure is None and recording.unwritable is not None:
            self._fail(recording.unwritable)
        if self._failure is None:
            ruling, inconclusive = self.judged.verdict.verdict, self._settings.inconclusive_exit
            self._environment.process_exit_code = (
                inconclusive if ruling is Ruling.INCONCLUSIVE else ruling.exit_code
            )
        elif failed_with is not None:
            self._environment.process_exit_code = failed_with
        if not self._configuration.options.headless:
            print_verdict(self.judged, to_stderr=True)
            self._write_for_ci(run_report(self.judged))

    def _fail(self, failure: BaseException) -> None:
        """End the run; failing to write a file during the run is the tool's failure, not a usage error."""
        if isinstance(failure, ResultsUnwritable):
            failure = RecordingFailed(failure)
        super()._fail(failure)

    def _on_quitting(self, **_kwargs: Any) -> None:
        self._quitting = True
        if self._recording is not None:
            self._runner.quit()
        self._finish()  # also what Locust has not ended, because its greenlet was killed
        self._server.stop()
        self._fail_without_verdict()
        self._count_others()
        if self._configuration.options.headless:
            self._write_for_ci(self._ci_report())

    def _count_others(self) -> None:
        """Fail the process for failures outside the sessions, as Locust does without sessions."""
        self._others = other_requests(self._runner)
        environment = self._environment
        if self.judged is not None and not self._others.sound and self._failure is None:
            on_error = getattr(self._configuration.options, "exit_code_on_error", Ruling.FAIL.exit_code)
            if self.judged.verdict.verdict is not Ruling.FAIL:
                environment.process_exit_code = on_error or environment.process_exit_code

    def _fail_without_verdict(self) -> None:
        """Fail a headless process that has judged nothing: Locust would exit with 0."""
        options = self._configuration.options
        if options.headless and self.judged is None and self._environment.process_exit_code is None:
            over = "" if self._configuration.run_time_s is None else " before --run-time was over"
            self._why_nothing = f"the run did not start{over}: nothing was judged"
            logger.critical("%s", self._why_nothing)
            self._environment.process_exit_code = LoadtestError.exit_code

    def _ci_report(self) -> CiReport:
        """Return the CI report of a headless run."""
        if self.judged is None:
            return nothing_judged(self._failure or self._why_nothing)
        problems = []
        if not self._others.sound:
            problems.append(f"outside the sessions, {self._others}")
        if self._failure is not None and self.judged.run.manifest.failure is None:
            problems.append(self._failure)  # its files could not be written to the end
        return run_report(self.judged, problems)

    def _write_for_ci(self, report: CiReport) -> None:
        """Write the files for CI; a file that cannot be written is the tool's failure."""
        try:
            self._configuration.ci.write(report)
        except ResultsUnwritable as error:
            logger.critical("%s", RecordingFailed(error))
            self._environment.process_exit_code = RecordingFailed.exit_code

    def _on_quit(self, **_kwargs: Any) -> None:
        """Print the verdict, or the reason for having none, and Locust's tables of other requests."""
        options = self._configuration.options
        if self.judged is not None and options.headless:
            tables = [] if options.print_stats else other_tables(self._runner)
            print_verdict(self.judged, to_stderr=options.json, others=tables)
            if not self._others.sound:
                code = self._environment.process_exit_code
                told = f"outside the sessions, {self._others} (exit code {code})"
                print(told, file=sys.stderr if options.json else sys.stdout)
        elif self._failure is not None and options.headless:
            print(without_commands(f"Nothing was judged: {self._failure}"), file=sys.stderr)
        ignore_signals()


class LocalLifecycle(RecordingLifecycle):
    """Lifecycle of a run in a single process, which makes the load and records it."""

    def check(self) -> None:
        """Check all settings, and that the source addresses belong to this machine."""
        self._configuration.check(connects=True)
        self._ask_early()

    def _begin(self) -> None:
        settings, run_id, start = self._begin_recording()
        self._start_load(settings, RunInfo(run_id=run_id, workers=1), start_ns=start.monotonic_ns)
