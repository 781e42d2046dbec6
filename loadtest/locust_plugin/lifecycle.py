"""Starts and ends a process's runs on Locust's events: the part that all processes share.

A run begins with Locust's `test_start` and ends with its `test_stop`. With the web UI, one process may have
many runs. The process decides what a run consists of:

    process  load  recording  lifecycle
    local    yes   yes        LocalLifecycle, in recording_lifecycle
    master   no    yes        MasterLifecycle, in workers
    worker   yes   no         WorkerLifecycle, in workers: it sends its intervals to the master

This module does not depend on the kind of process; `roles` chooses the lifecycle.
"""

import logging
import sys
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import gevent
from locust.env import Environment

from loadtest.errors import LoadtestError, RecordingFailed, UsageError
from loadtest.locust_plugin import stats
from loadtest.locust_plugin.configuration import Configuration
from loadtest.locust_plugin.load import RunInfo
from loadtest.locust_plugin.load_settings import LoadSettings
from loadtest.locust_plugin.loads import Loads
from loadtest.report.judged_run import JudgedRun
from loadtest.results.drill_windows import NO_WINDOWS
from loadtest.results.interval import PackedInterval
from loadtest.scrubber import Secrets, public_line
from loadtest.session.recorder import Lifecycle as LifecycleEvent

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
        self.judged: JudgedRun | None = None
        self._environment = environment
        self._runner: Any = environment.runner
        self._configuration = Configuration(environment, classes)
        self._load: Loads | None = None
        self._failure: str | None = None  # the error that ended this run
        self._windows = NO_WINDOWS  # of this run's drills
        self._quitting = False
        self._finishing: Any = None  # the greenlet that ends, or has ended, the latest run

    records = False
    """Whether this process keeps the run directory."""

    @property
    def concluding(self) -> bool:
        """Whether a run is ending and its verdict is being made; nothing may interrupt that."""
        return self._finishing is not None and not self._finishing.ready()

    def wait_concluded(self) -> None:
        """Wait until no run is ending."""
        if self._finishing is not None:
            self._finishing.join()

    @property
    def ending(self) -> bool:
        """Whether the process is already shutting down, which a signal could only interrupt."""
        return self._quitting

    def interrupted(self, _exit_code: int) -> bool:
        """Note that a signal asks the process to end; return whether Locust shuts down in order.

        Args:
            _exit_code: the process's exit code if there is nothing to judge.
        """
        return True

    @abstractmethod
    def check(self) -> None:
        """Check all settings before anything starts.

        Raises:
            LoadtestError: a run could not begin.
        """

    def listen(self) -> None:
        """Start listening to Locust's events."""
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        # gevent's timers count from the time when its loop last ran: the imports would shorten --run-time.
        gevent.get_hub().loop.update_now()
        events = self._environment.events
        events.test_start.add_listener(self._on_test_start)
        events.test_stopping.add_listener(self._on_test_stopping)
        events.test_stop.add_listener(self._on_test_stop)
        events.quitting.add_listener(self._on_quitting)

    # Called by users.

    def start_sessions(self, user: object = None) -> Sequence[int]:
        """Start a user's sessions; return their numbers."""
        return self._load.start_user(user) if self._load is not None else ()

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
            self._finish()  # Locust's web form was submitted twice
        stats.install(self._environment.stats, self._configuration.names)
        self._failure = self._environment.process_exit_code = None  # they may be from the previous run
        try:
            self._begin()
        except LoadtestError as error:
            logger.error("%s", error)
            self._failed(str(error), error.exit_code)
        except Exception as error:  # Locust would only log it and go on without sessions
            self._fail(error)
        if self._failure is not None:
            give_up = self._runner.quit if self._configuration.options.headless else self._runner.stop
            gevent.spawn_later(_GIVE_UP_S, give_up)

    def _on_test_stopping(self, **_kwargs: Any) -> None:
        if self._load is not None:
            self._load.begin_ending()

    def _on_test_stop(self, **_kwargs: Any) -> None:
        self._finish()

    def _finish(self) -> None:
        """End the current run in a separate greenlet: Locust may kill the one that asks for it."""
        if not self.concluding:
            self._finishing = gevent.spawn(self._end_or_fail)
        self._finishing.join()

    def _end_or_fail(self) -> None:
        """End the current run; pass an error on to the exit code, because a greenlet would only print it."""
        try:
            self._end()
        except Exception as error:
            self._failure = None  # the new error replaces the one that ended the run
            self._fail(error)
        finally:
            self._load = None  # last: it holds the secrets

    def _finish_load(self) -> None:
        """Finish this process's load, if it has one; an error there fails the run, which is still judged."""
        try:
            if self._load is not None:
                self._load.finish()
        except Exception as error:
            self._fail(error)

    def _start_load(
        self,
        settings: Mapping[str, LoadSettings],
        info: RunInfo,
        *,
        start_ns: int,
        worker: int | None = None,
        token_issued: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._load = Loads(
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
        """Handle an interval of this process's load; `events` are its events, including secrets."""

    # Failures of the tool itself.

    @property
    def secrets(self) -> Secrets:
        """Texts that must not appear in a file or a log."""
        return self._load.secrets if self._load is not None else self._configuration.secrets

    def _fail(self, failure: BaseException) -> None:
        """End the run because the tool or the user's dialect has failed; the text may quote a secret."""
        if self._failure is not None:  # a failed load reports its failure again when it is finished
            return
        if isinstance(failure, UsageError | RecordingFailed):
            why = public_line(str(failure), self.secrets)
            self._failed(why, failure.exit_code)
            logger.critical("%s", why)
        else:
            why = public_line(_described(failure), self.secrets)
            self._failed(why, LoadtestError.exit_code)
            where = "".join(traceback.format_tb(failure.__traceback__))
            logger.critical("Load generator failed: %s\n%s", why, where)
        gevent.spawn(self._runner.quit)

    def _failed(self, why: str, exit_code: int) -> None:
        """Record that the run has failed."""
        self._failure = why
        self._environment.process_exit_code = exit_code


def _described(failure: BaseException) -> str:
    """Return an exception's name and text; only the name if a user's exception raises in `__str__`."""
    name = type(failure).__name__
    try:
        return f"{name}: {failure}"
    except Exception:
        return name
