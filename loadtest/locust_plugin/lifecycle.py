"""Locust's events, tied to the load this process makes and the record that is kept of it.

    role     load  record
    local    yes   yes
    master   no    yes
    worker   yes   no; it sends its intervals to the master

A run begins with Locust's `test_start` and ends with its `test_stop`; the web UI may have many in one
process. What workers send is the business of `loadtest.locust_plugin.workers`.
"""

import argparse
import logging
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import gevent
import msgspec
from locust.env import Environment
from locust.runners import STATE_INIT, MasterRunner, WorkerRunner
from locust.util.timespan import parse_timespan

from loadtest.errors import LoadtestError, UsageError
from loadtest.locust_plugin import stats
from loadtest.locust_plugin.load import Load, RunInfo
from loadtest.locust_plugin.load_settings import LoadSettings, check_storms, described_revision, load_settings
from loadtest.locust_plugin.log_watch import LogWatch, check_logs
from loadtest.locust_plugin.parser import NOT_IN_WEB_FORM, RUN_DESTINATION, given_values
from loadtest.locust_plugin.recording import Record
from loadtest.locust_plugin.reference_server import OwnServer
from loadtest.locust_plugin.web import refuse_bad_settings
from loadtest.locust_plugin.workers import GRACE_S, Crew, Delivery
from loadtest.report.judged_run import JudgedRun
from loadtest.report.terminal import print_verdict
from loadtest.results.directory import check_writable
from loadtest.results.environment import new_manifest
from loadtest.results.interval import PackedInterval, cleaned
from loadtest.results.manifest import Plan
from loadtest.results.writer import RunWriter
from loadtest.runs.baselines import NO_BASELINE
from loadtest.runs.find import resolve
from loadtest.transport.target import check_reachable, check_source

logger = logging.getLogger("loadtest")

SWITCH_INTERVAL_S = 1e-4
"""How long a thread may keep the GIL when another wants it: Python's 5 ms would stall the engine's loop."""

_conductors: dict[int, "Conductor"] = {}


def of(environment: Environment) -> "Conductor":
    """Return the conductor of an environment; a worker's first users may be a moment earlier."""
    while id(environment) not in _conductors:
        gevent.sleep(0.01)
    return _conductors[id(environment)]


def attach(environment: Environment, base: type) -> None:
    """Tie a conductor to an environment that has a user class of this base."""
    classes = [kind for kind in environment.user_classes if issubclass(kind, base)]
    if classes:
        _heed_interrupts()
        _conductors[id(environment)] = Conductor(environment, classes)


@cache
def _heed_interrupts() -> None:
    """Take Ctrl-C between two greenlets' turns, and raise it where Locust waits.

    Python would raise it in the middle of whatever runs, which may be the writing of an interval or a
    finalizer: the one would lose what was recorded, the other the interrupt.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else somebody ignores it, or knows
        gevent.signal_handler(signal.SIGINT, _interrupt, gevent.getcurrent())


def _interrupt(main: Any) -> None:
    if any(conductor.concluding for conductor in _conductors.values()):
        logger.warning("the verdict is being made, which takes a moment")
    else:
        gevent.kill(main, KeyboardInterrupt)


class Conductor:
    """What a process does for the runs of its environment.

    Attributes:
        concluding: whether the verdict on a run is being made.
    """

    def __init__(self, environment: Environment, classes: Sequence[Any]) -> None:
        self._environment = environment
        self._classes = classes
        self._runner: Any = environment.runner
        self._load: Load | None = None
        self._record: Record | None = None
        self._own_server = OwnServer()
        self._settings: LoadSettings | None = None
        # Of the process's start: no web request names files or commands, here or on a worker.
        self._given = {name: getattr(self._options, name, None) for name in NOT_IN_WEB_FORM}
        self._published: JudgedRun | None = None
        self.concluding = False
        self._failure: str | None = None  # why the tool itself has failed, whatever the verdict says
        is_master, is_worker = isinstance(self._runner, MasterRunner), isinstance(self._runner, WorkerRunner)
        self._crew = Crew(self._runner, self._append) if is_master else None
        self._delivery = Delivery(self._runner, self._deliver_last) if is_worker else None
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._check()
        self._listen()
        self._catch_up()

    @property
    def _options(self) -> Any:
        return self._environment.parsed_options

    def _check(self) -> None:
        """Refuse bad settings before anything starts; a worker gets them from its master later."""
        if self._delivery is not None:
            return
        try:
            settings = self._configure(self._host() or "ws://127.0.0.1")
            check_writable(settings.results)
            check_logs(settings.log)
            check_storms(settings.plan.storms, self._run_time_s)
            if settings.baseline not in (None, NO_BASELINE):
                resolve(settings.baseline, settings.results)
            if self._crew is None:
                for address in settings.engine.source_ips:
                    check_source(address)
            if self._host() and self._options.headless:
                check_reachable(settings.engine.target)
        except LoadtestError as error:
            _exit(error)

    def _listen(self) -> None:
        events = self._environment.events
        events.test_start.add_listener(self._on_test_start)
        events.test_stopping.add_listener(self._on_test_stopping)
        events.test_stop.add_listener(self._on_test_stop)
        events.quitting.add_listener(self._on_quitting)
        events.quit.add_listener(self._on_quit)
        if self._crew is not None:
            events.worker_connect.add_listener(self._on_worker_connect)
        web_ui = self._environment.web_ui
        if web_ui is not None and web_ui.app is not None:
            refuse_bad_settings(web_ui.app, self._check_form)

    def _catch_up(self) -> None:
        """Begin in a worker that joined a run under way: Locust did so before anybody could listen."""
        if self._delivery is not None and self._runner.worker_state != STATE_INIT:
            self._on_test_start()

    # Settings.

    def _check_form(self, form: Mapping[str, str]) -> None:
        """Refuse what Locust would take from its form and a run could not begin with."""
        changes = {name: text for name, text in form.items() if name.startswith("ws_")}
        settings = self._configure(
            form.get("host") or self._host() or "ws://127.0.0.1", {**changes, **self._given}
        )
        with suppress(ValueError):  # which Locust tells
            run_time = form.get("run_time")
            check_storms(settings.plan.storms, parse_timespan(run_time) if run_time else None)

    def _user_class(self) -> Any:
        if len(self._classes) > 1:
            names = ", ".join(kind.__name__ for kind in self._classes)
            raise UsageError(
                f"a run has one kind of WebSocketUser, and there are {len(self._classes)}: {names}. "
                "Name one at the end of the command line"
            )
        return self._classes[0]

    def _host(self) -> str | None:
        host: str | None = self._environment.host or self._user_class().host
        return host

    def _configure(self, host: str, changes: Mapping[str, Any] | None = None) -> LoadSettings:
        """Return the settings; those of options are as they were given, with these changes."""
        options = argparse.Namespace(**{**vars(self._options), **(changes or {})})
        return load_settings(self._user_class().values() | given_values(options), host)

    # A run begins.

    def _on_test_start(self, **_kwargs: Any) -> None:
        if self._record is not None or self._load is not None:
            self._on_test_stop()  # Locust's form was sent twice: the first run ends here
        stats.install(self._environment.stats)
        self._failure = None
        try:
            self._begin()
        except LoadtestError as error:
            logger.error("%s", error)
            self._failure = str(error)
            if self._delivery is not None:
                self._delivery.failed(self._failure)
            self._environment.process_exit_code = error.exit_code
            # Not at once: Locust is within its own start, and would go on to start users.
            give_up = self._runner.quit if self._options.headless else self._runner.stop
            gevent.spawn_later(0.1, give_up)

    def _begin(self) -> None:
        delivery = self._delivery
        facts = self._begin_record() if delivery is None else self._facts_from_master()
        if delivery is not None:
            delivery.run_id = facts.run_id
        if self._crew is not None:
            return
        self._load = Load(
            self._settings or self._configure(self._host() or ""),
            facts,
            worker=None if delivery is None else self._runner.worker_index,
            environment=self._environment,
            deliver=self._append if delivery is None else delivery.interval,
            failed=self._on_failure,
        )

    def _facts_from_master(self) -> RunInfo:
        text = getattr(self._options, RUN_DESTINATION, "")
        try:
            return msgspec.json.decode(text, type=RunInfo)
        except msgspec.MsgspecError as error:
            raise LoadtestError(
                "the master sent no facts of the run: do all run the same locustfile and version?"
            ) from error

    def _begin_record(self) -> RunInfo:
        """Make the run directory, start the reference server if there is no target, and tell the workers."""
        vars(self._options).update(self._given)
        host = self._host() or self._start_server()
        settings = self._settings = self._configure(host)
        if settings.revision is None:
            logger.info("without --ws-revision the server counts as what `git describe` says here")
        manifest = new_manifest(
            revision=settings.revision or described_revision(),
            target=str(settings.engine.target),
            plan=self._plan(settings),
            gates=settings.gates,
        )
        writer = RunWriter(settings.results, manifest)
        self._record = Record(writer, self._log_watch(writer.path))
        self._published = None
        logger.info("run %s against %s", self._record.writer.path, manifest.target)
        workers = 1 if self._crew is None else self._crew.begin(manifest.run_id)
        facts = RunInfo(run_id=manifest.run_id, workers=workers)
        self._tell_workers(facts)
        return facts

    def _plan(self, settings: LoadSettings) -> Plan:
        """Return the plan with what Locust's own options say of it."""
        return msgspec.structs.replace(
            settings.plan,
            users=self._runner.target_user_count,
            spawn_rate=float(self._options.spawn_rate or 1),
            duration_s=self._run_time_s,
        )

    @property
    def _run_time_s(self) -> float | None:
        return float(self._options.run_time) if self._options.run_time else None

    def _tell_workers(self, facts: RunInfo) -> None:
        """Have these facts go to whichever worker Locust now sends the options."""
        setattr(self._options, RUN_DESTINATION, msgspec.json.encode(facts).decode())

    def _on_worker_connect(self, **_kwargs: Any) -> None:
        """A worker that joins a run under way must know how long it has gone."""
        if self._record is not None:
            facts = msgspec.structs.replace(self._facts_from_master(), elapsed_ns=self._record.elapsed_ns)
            self._tell_workers(facts)

    def _log_watch(self, run: Path) -> LogWatch | None:
        """Follow the logs that were given, and that of our own server."""
        assert self._settings is not None
        log, own = self._settings.log, self._own_server.move_log(run)
        if own is not None:
            log = replace(log, paths=(str(own), *log.paths))
        return LogWatch(log, run, self._secrets) if log.given else None

    def _secrets(self) -> Sequence[str]:
        if self._load is not None:
            return self._load.secrets
        return self._settings.secrets if self._settings is not None else ()

    def _start_server(self) -> str:
        url = self._environment.host = self._own_server.start(self._configure("ws://127.0.0.1").results)
        return url

    def _stop_server(self) -> None:
        if self._own_server.stop():
            self._environment.host = None

    # Users come and go.

    def start_sessions(self) -> Sequence[int]:
        """Start the sessions of a user and return their numbers."""
        return self._load.start_user() if self._load is not None else ()

    def stop_sessions(self, numbers: Sequence[int]) -> None:
        """Stop a user's sessions and wait until they have closed."""
        if self._load is not None:
            self._load.stop_user(numbers)

    # Intervals.

    def _append(self, packed: PackedInterval) -> None:
        """Write an interval; a record with a gap is worth nothing, so a failure ends the run."""
        if self._record is None or self._failure is not None:
            return
        try:
            self._record.append(packed)
        except Exception as error:
            self._on_failure(error)

    # A run ends.

    def _on_test_stopping(self, **_kwargs: Any) -> None:
        if self._crew is not None and self._record is not None:
            self._crew.finish(GRACE_S + (self._environment.stop_timeout or 0.0))

    def _deliver_last(self) -> None:
        """Finish this worker's load and say so."""
        assert self._delivery is not None
        if self._load is not None:
            self._load.finish()
            self._load = None
        if self._failure is None:  # a broken worker has not delivered all, and counts as missing
            self._delivery.finished()

    def _on_test_stop(self, **_kwargs: Any) -> None:
        if self._delivery is not None:
            self._deliver_last()
            return
        if self._load is not None:
            self._load.finish()
        if self._record is not None:
            self._conclude(self._record)
        self._load = None
        self._stop_server()

    def _conclude(self, record: Record) -> None:
        assert self._settings is not None
        self._record = None
        self._environment.process_exit_code = LoadtestError.exit_code  # should the conclusion itself fail
        missing = () if self._crew is None else self._crew.missing
        self.concluding = True
        try:
            self._published = record.finish(
                str(self._settings.results), self._settings.baseline, missing, failure=self._failure
            )
        finally:
            self.concluding = False
        if self._failure is None:
            self._environment.process_exit_code = self._published.verdict.exit_code
        if not self._options.headless:
            print_verdict(self._published, to_stderr=True)

    @property
    def published(self) -> JudgedRun | None:
        """The last run that ended, judged."""
        return self._published

    def _on_quitting(self, **_kwargs: Any) -> None:
        """End a run that Ctrl-C or SIGTERM interrupts; Locust would stop it only after this event."""
        if self._delivery is not None:
            self._deliver_last()
        elif self._record is not None:
            self._runner.quit()
        self._stop_server()

    def _on_quit(self, **_kwargs: Any) -> None:
        if self._published is not None and self._options.headless:
            print_verdict(self._published, to_stderr=self._options.json)

    def _on_failure(self, failure: BaseException) -> None:
        """End the run because the tool itself has failed; what was raised may quote a secret."""
        if self._failure is not None:  # it is told again when the load is finished
            return
        self._failure = cleaned(_described(failure), self._secrets())
        self._environment.process_exit_code = LoadtestError.exit_code
        if self._delivery is not None:
            gevent.spawn(self._delivery.failed, self._failure)
        gevent.spawn(self._runner.quit)
        where = "".join(traceback.format_tb(failure.__traceback__))
        logger.critical("the load generator failed: %s\n%s", self._failure, where)


def _described(failure: BaseException) -> str:
    """Return what an exception says, whatever a user's own does when it is asked."""
    name = type(failure).__name__
    try:
        return f"{name}: {failure}"
    except Exception:
        return name


def _exit(error: LoadtestError) -> NoReturn:
    print(f"Error: {error}", file=sys.stderr)
    sys.exit(error.exit_code)
