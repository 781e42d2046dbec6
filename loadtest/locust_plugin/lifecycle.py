"""Starts and ends a process's runs on Locust's events: the part all processes share, and local runs.

A run begins with Locust's `test_start` and ends with its `test_stop`. With the web UI, one process may have
many runs. What a run consists of depends on the process:

    process  load  recording  lifecycle
    local    yes   yes        LocalLifecycle
    master   no    yes        MasterLifecycle, in workers
    worker   yes   no         WorkerLifecycle, in workers: it sends its intervals to the master

Nothing here knows which process it is in; `roles` decides that.
"""

import logging
import sys
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import gevent
import msgspec
from gevent.event import Event
from locust.env import Environment
from locust.runners import STATE_RUNNING, STATE_SPAWNING

from loadtest.errors import LoadtestError, UsageError
from loadtest.locust_plugin import stats
from loadtest.locust_plugin.configuration import PLACEHOLDER_URL, Configuration
from loadtest.locust_plugin.drill_runner import DrillRunner, planned
from loadtest.locust_plugin.gauge_watch import GaugeWatch
from loadtest.locust_plugin.load import Load, RunInfo
from loadtest.locust_plugin.load_settings import LoadSettings
from loadtest.locust_plugin.log_watch import LogWatch
from loadtest.locust_plugin.prospects import Prospects
from loadtest.locust_plugin.recording import Recording
from loadtest.locust_plugin.reference_server import ReferenceServer
from loadtest.locust_plugin.revision import Revision, asking, find_revision, public_health
from loadtest.locust_plugin.web import refuse_bad_settings
from loadtest.report.judged_run import JudgedRun
from loadtest.report.terminal import print_verdict
from loadtest.results.drill_windows import NO_WINDOWS, Windows
from loadtest.results.environment import RunStart, beginning
from loadtest.results.interval import PackedInterval
from loadtest.results.manifest import Manifest, Plan, promises_of
from loadtest.results.writer import RunWriter
from loadtest.session.recorder import Lifecycle as LifecycleEvent
from loadtest.statistics.margins import margins_of
from loadtest.statistics.time_limits import stored
from loadtest.text import NO_SECRETS, Secrets, public_line
from loadtest.transport.http_health import Health

logger = logging.getLogger("loadtest")

SWITCH_INTERVAL_S = 1e-4
"""How long a thread may hold the GIL while another waits: Python's default of 5 ms would stall the engine."""

_GIVE_UP_S = 0.1
"""Delay before ending a run that could not begin: Locust is still starting it and would then start users."""


class Lifecycle(ABC):
    """Lifecycle of an environment's runs: what all processes have in common.

    Args:
        environment: Locust's environment, with its runner.
        classes: the environment's subclasses of WebSocketUser.

    Attributes:
        judged: the last run that ended, with its verdict; None before that, and always on a worker.
    """

    def __init__(self, environment: Environment, classes: Sequence[Any]) -> None:
        self._concluded = Event()
        self._concluded.set()
        self.judged: JudgedRun | None = None
        self._environment = environment
        self._runner: Any = environment.runner
        self._configuration = Configuration(environment, classes)
        self._load: Load | None = None
        self._failure: str | None = None  # the error that ended this run
        self._windows = NO_WINDOWS  # of this run's drills

    @property
    def concluding(self) -> bool:
        """Whether the verdict is being made; nothing may interrupt that."""
        return not self._concluded.is_set()

    @abstractmethod
    def check(self) -> None:
        """Check all settings before anything starts.

        Raises:
            LoadtestError: a run could not begin.
        """

    def listen(self) -> None:
        """Listen to Locust's events from now on."""
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        # gevent's timers count from the time when its loop last ran: the imports would shorten --run-time.
        gevent.get_hub().loop.update_now()
        events = self._environment.events
        events.test_start.add_listener(self._on_test_start)
        events.test_stopping.add_listener(self._on_test_stopping)
        events.test_stop.add_listener(self._on_test_stop)
        events.quitting.add_listener(self._on_quitting)

    # Called by users.

    def start_sessions(self) -> Sequence[int]:
        """Start a user's sessions; return their numbers."""
        return self._load.start_user() if self._load is not None else ()

    def stop_sessions(self, numbers: Sequence[int]) -> None:
        """Stop a user's sessions and wait until they have closed."""
        if self._load is not None:
            self._load.stop_user(numbers)

    # Start and end of a run.

    @property
    @abstractmethod
    def _under_way(self) -> bool:
        """Whether a run has begun and not yet ended."""

    @abstractmethod
    def _begin(self) -> None:
        """Begin a run.

        Raises:
            LoadtestError: the run cannot begin.
        """

    @abstractmethod
    def _end(self) -> None:
        """End the current run, if there is one."""

    @abstractmethod
    def _on_quitting(self, **_kwargs: Any) -> None:
        """End a run interrupted by Ctrl-C or SIGTERM; Locust would stop it only after this event."""

    def _on_test_start(self, **_kwargs: Any) -> None:
        if self._under_way:
            self._end()  # Locust's web form was submitted twice
        stats.install(self._environment.stats)
        self._failure = None
        try:
            self._begin()
        except LoadtestError as error:
            logger.error("%s", error)
            self._failed(str(error), error.exit_code)
            give_up = self._runner.quit if self._configuration.options.headless else self._runner.stop
            gevent.spawn_later(_GIVE_UP_S, give_up)

    def _on_test_stopping(self, **_kwargs: Any) -> None:
        if self._load is not None:
            self._load.begin_ending()

    def _on_test_stop(self, **_kwargs: Any) -> None:
        self._end()

    def _start_load(
        self,
        settings: LoadSettings,
        info: RunInfo,
        *,
        start_ns: int,
        worker: int | None = None,
        token_issued: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._load = Load(
            settings,
            info,
            start_ns=start_ns,
            worker=worker,
            environment=self._environment,
            deliver=self._deliver,
            failed=self._fail,
            windows=lambda: self._windows,
            token_issued=token_issued,
        )

    @abstractmethod
    def _deliver(self, packed: PackedInterval, events: Iterable[LifecycleEvent] = ()) -> None:
        """Handle an interval of this process's load; `events` are its own, with the secrets in them."""

    # Failures of the tool itself.

    @property
    def _secrets(self) -> Secrets:
        """Texts that must not appear in a file or a log."""
        return self._load.secrets if self._load is not None else NO_SECRETS

    def _fail(self, failure: BaseException) -> None:
        """End the run because the tool or the user's dialect has failed; the text may quote a secret."""
        if self._failure is not None:  # a failed load reports its failure again when it is finished
            return
        if isinstance(failure, UsageError):
            why = public_line(str(failure), self._secrets)
            self._failed(why, failure.exit_code)
            logger.critical("%s", why)
        else:
            why = public_line(_described(failure), self._secrets)
            self._failed(why, LoadtestError.exit_code)
            where = "".join(traceback.format_tb(failure.__traceback__))
            logger.critical("Load generator failed: %s\n%s", why, where)
        gevent.spawn(self._runner.quit)

    def _failed(self, why: str, exit_code: int) -> None:
        """Record that the run has failed."""
        self._failure = why
        self._environment.process_exit_code = exit_code


def _described(failure: BaseException) -> str:
    """Return an exception's name and text; only the name if `__str__` of a user's exception raises."""
    name = type(failure).__name__
    try:
        return f"{name}: {failure}"
    except Exception:
        return name


class RecordingLifecycle(Lifecycle):
    """Lifecycle in a process that keeps the run directory: it records runs and makes their verdicts.

    Attributes:
        made_by: what makes the runs, as their manifests say it.
        health_path: path of the server's health endpoint; None for the dialect's, if it has one.
    """

    def __init__(self, environment: Environment, classes: Sequence[Any]) -> None:
        super().__init__(environment, classes)
        self.made_by: Literal["locust", "probe"] = "locust"
        self.health_path: str | None = None
        self._recording: Recording | None = None
        self._settings: LoadSettings | None = None  # of the latest run
        self._revision: Revision | None = None  # of the server, if it was asked before the first run
        self._server = ReferenceServer(environment)

    def _ask_early(self) -> None:
        """Ask for the server's revision before Locust counts the run time: a slow answer would use it up."""
        configuration = self._configuration
        if configuration.options.headless and configuration.run_time_s and configuration.host:
            self._revision = self._ask_now(configuration.settings(configuration.host))[0]

    def _ask_now(self, settings: LoadSettings) -> tuple[Revision, Health | None]:
        """Return the server's revision, and its health before a probe."""
        health_path = self.health_path or settings.engine.config.dialect.health_path
        ask = asking(settings)
        probed = self.made_by == "probe"  # other runs do not judge health
        health = public_health(ask(health_path), settings) if probed and health_path is not None else None
        known, self._revision = self._revision, None  # a later run may meet another revision
        return known or find_revision(settings, ask, health_path=health_path, probed=probed), health

    def listen(self) -> None:
        """Listen to Locust's events from now on, and check its web form."""
        super().listen()
        self._environment.events.quit.add_listener(self._on_quit)
        web_ui = self._environment.web_ui
        if web_ui is not None and web_ui.app is not None:
            refuse_bad_settings(web_ui.app, self._configuration.check_form)

    @property
    def _under_way(self) -> bool:
        return self._recording is not None or self._load is not None

    @property
    def _secrets(self) -> Secrets:
        if self._load is None and self._settings is not None:
            return self._settings.secrets
        return super()._secrets

    def _begin_recording(self) -> tuple[LoadSettings, str, RunStart]:
        """Create the run directory, after starting a reference server if no host is given.

        Returns:
            The settings, the run id and the run's start.
        """
        configuration = self._configuration
        configuration.restore()
        host = configuration.host or self._server.start(configuration.settings(PLACEHOLDER_URL).results)
        settings = self._settings = configuration.settings(host)
        configuration.check_users(settings, self._runner.target_user_count)
        revision, health = self._ask_now(settings)
        gauge_watch = None if settings.gauge is None else GaugeWatch(settings.gauge)
        start = RunStart.now()  # of all that may take long, only the load is still to come
        manifest = Manifest(
            **beginning(start.unix_ns),
            revision=revision.name,
            revision_source=revision.source or None,
            revision_said=revision.said,
            target=str(settings.engine.target),
            plan=self._plan(settings),
            promises=promises_of(settings.engine.config.dialect),
            margins=margins_of(settings.gates),
            allowed_losses=tuple(map(str, settings.allowances)),
            limits=stored(settings.limits),
            cleanup_timeout_s=settings.cleanup_timeout_s,
            server_gauge=None if gauge_watch is None else gauge_watch.reading,
            pushes_per_s=settings.engine.config.pushes_per_s or None,
            subprotocol_optional=settings.engine.subprotocol_optional,
            own_credentials=settings.own_credentials,
            drills=planned(settings.drills, settings.secrets),
            drill_window_s=settings.drill_window_s,
            made_by=self.made_by,
            locustfile=self._configuration.locustfile,
            health=health,
        )
        writer = RunWriter(settings.results, manifest)
        prospects = Prospects(
            manifest,
            all_planned=self._environment.shape_class is None,
            identifies=settings.engine.config.dialect.identifies,
            path=settings.engine.config.dialect.path,
        )
        log_watch = self._log_watch(settings, writer.path, manifest.run_id)
        self._windows = NO_WINDOWS
        self._recording = Recording(
            writer,
            prospects,
            began_ns=start.monotonic_ns,
            log_watch=log_watch,
            gauge_watch=gauge_watch,
            drills=self._drill_runner(settings, writer, start.monotonic_ns),
        )
        self.judged = None
        logger.info("run %s against %s", writer.path, manifest.target)
        return settings, manifest.run_id, start

    def _plan(self, settings: LoadSettings) -> Plan:
        """Return the plan completed from Locust's own options."""
        return msgspec.structs.replace(
            settings.plan,
            users=self._runner.target_user_count,
            spawn_rate=float(self._configuration.options.spawn_rate or 1),
            duration_s=self._configuration.run_time_s,
        )

    def _log_watch(self, settings: LoadSettings, run: Path, run_id: str) -> LogWatch | None:
        """Follow the given logs and the reference server's; return None if there are none."""
        log, reference = settings.log, self._server.move_log(run)
        if reference is not None:
            log = replace(log, paths=(str(reference), *log.paths))
        return LogWatch(log, run, run_id, lambda: self._secrets) if log.given else None

    def _drill_runner(self, settings: LoadSettings, writer: RunWriter, began_ns: int) -> DrillRunner | None:
        """Return what runs the commands of `--ws-at`; None if there are none."""
        if not settings.drills:
            return None
        return DrillRunner(
            settings.drills,
            writer.path,
            began_ns=began_ns,
            window_s=settings.drill_window_s,
            secrets=lambda: self._secrets,
            write=writer.drills,
            tell=self._tell_windows,
            failed=self._fail,
        )

    def _tell_windows(self, windows: Windows) -> None:
        """Tell the load, wherever it is, which times belong to drills."""
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
        """End a headless run in which no session can work any more, unless it is to go on."""
        going = self._runner.state in (STATE_SPAWNING, STATE_RUNNING) and recording.ended_early is None
        keep_going = self._settings is None or self._settings.keep_going
        if keep_going or not (going and self._configuration.options.headless):
            return
        if reason := recording.no_prospects(packed):
            recording.ended_early = reason
            logger.warning("ending the run early: %s", reason)
            gevent.spawn(self._runner.quit)

    def _end(self) -> None:
        if self._load is not None:
            self._load.finish()
        if self._recording is not None:
            self._conclude(self._recording)
        self._load = None
        self._server.stop()

    @property
    def _missing_workers(self) -> Iterable[int]:
        """Numbers of workers whose part of the run is incomplete."""
        return ()

    def _conclude(self, recording: Recording) -> None:
        assert self._settings is not None  # set before the recording starts
        self._recording = None
        failed_with = self._environment.process_exit_code
        self._environment.process_exit_code = LoadtestError.exit_code  # in case the conclusion itself fails
        self._concluded.clear()
        try:
            self.judged = recording.finish(
                str(self._settings.results),
                self._settings.baseline,
                self._missing_workers,
                failure=self._failure,
                usage_error=failed_with == UsageError.exit_code,
            )
        finally:
            self._concluded.set()
        judged_as = self.judged.verdict.exit_code
        self._environment.process_exit_code = judged_as if self._failure is None else failed_with
        if not self._configuration.options.headless:
            print_verdict(self.judged, to_stderr=True)

    def _on_quitting(self, **_kwargs: Any) -> None:
        if self._recording is not None:
            self._runner.quit()
        self._concluded.wait()  # the workers may have quit first: then another greenlet makes the verdict
        self._server.stop()

    def _on_quit(self, **_kwargs: Any) -> None:
        """Print the verdict below Locust's own tables."""
        options = self._configuration.options
        if self.judged is not None and options.headless:
            print_verdict(self.judged, to_stderr=options.json)


class LocalLifecycle(RecordingLifecycle):
    """Lifecycle of a run in a single process, which makes the load and records it."""

    def check(self) -> None:
        """Check all settings, and that the source addresses belong to this machine."""
        self._configuration.check(connects=True)
        self._ask_early()

    def _begin(self) -> None:
        settings, run_id, start = self._begin_recording()
        self._start_load(settings, RunInfo(run_id=run_id, workers=1), start_ns=start.monotonic_ns)
