"""Distributed runs: the lifecycles of a master and its workers.

The master keeps the run directory and makes no load; workers make the load and keep no files. Workers get
their options from the master, so a worker checks nothing before its run begins. A worker may join during a
run: the master sends it the run's start, so that both use the same run clock. A worker on the master's host
gets the exact start, a worker elsewhere the time since the start.
"""

import functools
import logging
import time
from collections.abc import Iterable, Sequence
from typing import Any

import gevent
import msgspec
from locust.env import Environment
from locust.runners import STATE_INIT

from loadtest.errors import LoadtestError, UsageError
from loadtest.locust_plugin.lifecycle import Lifecycle
from loadtest.locust_plugin.load import RunInfo
from loadtest.locust_plugin.master_address import OWN
from loadtest.locust_plugin.parser import RUN_DESTINATION
from loadtest.locust_plugin.recording_lifecycle import RecordingLifecycle
from loadtest.locust_plugin.worker_messages import GRACE_S, MasterConnection, Workers
from loadtest.results.drill_windows import Windows
from loadtest.results.environment import boot_id
from loadtest.results.interval import PackedInterval
from loadtest.scrubber import Secrets
from loadtest.session.recorder import Lifecycle as LifecycleEvent
from loadtest.transport.target import LOOPBACK

logger = logging.getLogger("loadtest")

_HAS_DATA = (
    "a run with --ws-data is in progress, and each of its rows belongs to one session: "
    "start all workers before the run"
)


class MasterLifecycle(RecordingLifecycle):
    """Lifecycle of a master: it records what its workers send."""

    def __init__(self, environment: Environment, classes: Sequence[Any]) -> None:
        super().__init__(environment, classes)
        self._workers = Workers(self._runner, self._deliver, self._fail)
        self._info: RunInfo | None = None  # of the run under way

    def check(self) -> None:
        """Check all settings except source addresses, which must exist on the workers only."""
        self._configuration.check(connects=False)
        options = self._configuration.options
        if not OWN.mark and getattr(options, "master_bind_host", None) == LOOPBACK:
            logger.info(
                "only workers on this machine can join. To let others join, use --master-bind-host '*'"
            )
        self._ask_early()

    def listen(self) -> None:
        """Start listening to Locust's events, and check its web form."""
        super().listen()
        self._environment.events.test_stopping.add_listener(self._on_test_stopping)
        self._environment.events.worker_connect.add_listener(self._on_worker_connect)

    def _begin(self) -> None:
        settings, run_id, start = self._begin_recording()
        if any(own.engine.config.data for own in settings.values()):
            self._runner.closed_because = _HAS_DATA
        self._info = RunInfo(
            run_id=run_id,
            workers=self._workers.begin(run_id),
            boot_id=boot_id(),
            started_monotonic_ns=start.monotonic_ns,
        )
        self._send_with_options(self._info)

    @property
    def _processes(self) -> int:
        numbers: int = self._runner.worker_index_max
        return max(1, numbers)

    def interrupted(self, exit_code: int) -> bool:
        """Note that a signal asks the process to end; before a run begins the workers can also quit."""
        in_good_order = super().interrupted(exit_code)
        if not in_good_order:
            self._runner.send_message("quit")
        return in_good_order

    def _end(self) -> None:
        self._runner.closed_because = ""
        super()._end()

    def _send_with_options(self, info: RunInfo) -> None:
        """Put this and the elapsed time into the parsed options, all of which Locust sends to workers."""
        elapsed_ns = time.monotonic_ns() - info.started_monotonic_ns
        text = msgspec.json.encode(msgspec.structs.replace(info, elapsed_ns=elapsed_ns)).decode()
        setattr(self._configuration.options, RUN_DESTINATION, text)

    def _on_worker_connect(self, **_kwargs: Any) -> None:
        """Update the elapsed time and the drills for a worker that joins during a run."""
        if self._recording is not None and self._info is not None:
            self._send_with_options(msgspec.structs.replace(self._info, windows=self._windows))

    def _tell_windows(self, windows: Windows) -> None:
        super()._tell_windows(windows)
        self._workers.tell_windows(windows)

    def _on_test_stopping(self, **_kwargs: Any) -> None:
        if self._recording is not None:
            self._workers.finish(GRACE_S + (self._environment.stop_timeout or 0.0))

    @property
    def secrets(self) -> Secrets:
        return super().secrets.plus(self._workers.tokens)

    @property
    def _missing_workers(self) -> Iterable[int]:
        return self._workers.missing


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a line of Locust's log matters in the terminal that a forked worker shares with its master.

    The master's exit code is that of the whole run.
    """
    return record.getMessage() != "Shutting down (exit code 0)"


class WorkerLifecycle(Lifecycle):
    """Lifecycle of a worker: it sends its load's intervals to the master."""

    def __init__(self, environment: Environment, classes: Sequence[Any]) -> None:
        super().__init__(environment, classes)
        self._master = MasterConnection(self._runner, self._finish, self._take_windows)
        self._windows_of = ""  # the run that the windows belong to

    def check(self) -> None:
        """Check nothing: the settings come from the master when a run begins."""

    def listen(self) -> None:
        """Start listening to Locust's events; begin at once if a run is already in progress."""
        super().listen()
        if OWN.mark:
            logging.getLogger("locust.main").addFilter(_is_news)
        if self._runner.worker_state != STATE_INIT:
            self._on_test_start()

    @property
    def _under_way(self) -> bool:
        return self._load is not None

    def _begin(self) -> None:
        received_ns = time.monotonic_ns()
        info = self._run_info()
        self._master.run_id = info.run_id
        if self._windows_of != info.run_id:  # otherwise the master has already sent them
            self._windows = info.windows
        self._master.send_begun()
        settings = self._configuration.settings_by_class(self._configuration.host or "")
        start_ns = info.start_ns(received_ns, boot_id())
        self._start_load(
            settings,
            info,
            start_ns=start_ns,
            worker=self._runner.worker_index,
            token_issued=self._master.send_token,
        )

    def _run_info(self) -> RunInfo:
        text = getattr(self._configuration.options, RUN_DESTINATION, "")
        try:
            return msgspec.json.decode(text, type=RunInfo)
        except msgspec.MsgspecError as error:
            raise LoadtestError(
                "the master sent no run information: "
                "use the same locustfile and the same version of loadtest on master and workers"
            ) from error

    def _take_windows(self, run_id: str, windows: Windows) -> None:
        self._windows_of, self._windows = run_id, windows

    def _deliver(self, packed: PackedInterval, events: Iterable[LifecycleEvent] = ()) -> None:
        self._master.send_interval(packed)

    def _end(self) -> None:
        """Finish this worker's load and report it to the master."""
        self._finish_load()
        if self._failure is None:  # a failed worker has not sent everything and counts as missing
            self._master.send_finished()

    def _on_quitting(self, **_kwargs: Any) -> None:
        self._quitting = True
        self._finish()

    def _failed(self, why: str, exit_code: int) -> None:
        super()._failed(why, exit_code)
        by_user = exit_code == UsageError.exit_code
        gevent.spawn(functools.partial(self._master.send_failed, why, by_user=by_user))
