"""The load of one user class in this process: an engine, controlled from gevent's thread, and its intervals.

Sessions are numbered across all processes of a run, so a user's part of the plan does not depend on the
worker that runs it. With N workers, worker w gives its k-th user the number k x N + w, which is how Locust
distributes users. In a run with several classes, `Place` keeps their numbers distinct.
"""

import functools
import gc
import itertools
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from gevent.event import Event
from gevent.lock import RLock
from locust.env import Environment

from loadtest.engine.engine import Engine
from loadtest.engine.monitor import raise_files_limit
from loadtest.errors import LoadtestError
from loadtest.events import Identity
from loadtest.locust_plugin import stats
from loadtest.locust_plugin.gevent_bridge import GeventCalls, start_native_thread
from loadtest.locust_plugin.load_settings import LoadSettings
from loadtest.locust_plugin.request_events import fire_requests
from loadtest.locust_plugin.token_command import check_token_command, with_token
from loadtest.results.drill_windows import NO_WINDOWS, Windows
from loadtest.results.interval import PackedInterval, has_texts, pack, public_name
from loadtest.scrubber import NO_SECRETS, GrowingSecrets, Secrets
from loadtest.session.recorder import Interval, Lifecycle
from loadtest.transport.target import check_source

logger = logging.getLogger(__name__)

_LATECOMER = 10_000_000
"""First user number of a worker that joined late: above all numbers of the workers present at the start."""

_ENGINE_START_S = 10.0
_DEFAULT_DRAIN_S = 1.0
_MAX_DRAIN_S = 5.0
_SAME_CLOCK_NS = 5_000_000_000
"""Latest arrival of a message from the same host: hosts cloned from one snapshot share a boot id."""

_STOP_MARGIN_S = 5.0
"""Time on top of the drain, for closing handshakes; after it the engine counts as hung."""


class RunInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The data on which all processes of a run must agree; the master decides them.

    Args:
        run_id: short and unique.
        workers: number of workers at the start; 1 for a local run.
        elapsed_ns: time since the run's start when this was sent, by the master's monotonic clock, since wall
            clocks differ between hosts and may jump.
        boot_id: the boot of the master's host; empty if unknown.
        started_monotonic_ns: the monotonic clock of the master's host at the run's start.
        windows: windows of the drills that had begun when this was sent.
    """

    run_id: str
    workers: int
    elapsed_ns: int = 0
    windows: Windows = NO_WINDOWS
    boot_id: str = ""
    started_monotonic_ns: int = 0

    def start_ns(self, received_ns: int, boot_id: str) -> int:
        """Return this process's monotonic clock at the run's start.

        On the master's host this is exact. On other hosts it is late by the transmission time of the message.
        This also applies if the same boot id belongs to another clock, by which the message would have taken
        very long.

        Args:
            received_ns: this process's monotonic clock when it received this.
            boot_id: the boot of this process's host.
        """
        latest_ns = received_ns - self.elapsed_ns
        took_ns = latest_ns - self.started_monotonic_ns
        if boot_id and boot_id == self.boot_id and 0 <= took_ns < _SAME_CLOCK_NS:
            return self.started_monotonic_ns
        return latest_ns


class Place(NamedTuple):
    """The position of a load's user class among the classes of a run.

    The sessions of the classes are numbered alternately, so that each number belongs to one session. Marks in
    texts, ids and the server's log then identify the session.

    Args:
        name: the class's name; None in a run with one class.
        nth: index of the class, from 0.
        classes: number of classes.
    """

    name: str | None = None
    nth: int = 0
    classes: int = 1

    def number(self, own: int) -> int:
        """Return the number in the run that corresponds to a number within the class."""
        return own * self.classes + self.nth

    def has(self, number: int) -> bool:
        """Return whether the session with this number belongs to the class."""
        return number % self.classes == self.nth


ALONE = Place()


class Load:
    """The sessions of one user class in this process.

    Args:
        settings: the settings of the class.
        info: the data that all processes of the run share.
        start_ns: the monotonic clock's time at the run's start.
        worker: this worker's number; None in a local run.
        place: the position of the class among the run's user classes.
        environment: Locust's environment.
        deliver: called in gevent's thread with every interval, packed, and its events before packing, with
            their secrets.
        failed: called in gevent's thread if the engine fails.
        windows: returns the known windows of the run's drills.
        token_issued: called in gevent's thread with each token of the token command, before it is used.

    Raises:
        LoadtestError: a source address does not belong to this machine, the program of the token command is
            not found here, or the engine did not start.
    """

    def __init__(
        self,
        settings: LoadSettings,
        info: RunInfo,
        *,
        start_ns: int,
        worker: int | None,
        environment: Environment,
        deliver: Callable[[PackedInterval, Iterable[Lifecycle]], None],
        failed: Callable[[BaseException], None],
        windows: Callable[[], Windows],
        token_issued: Callable[[str], None] = lambda _: None,
        place: Place = ALONE,
    ) -> None:
        self.place = place
        self._settings = settings
        self._info = info
        self._worker = worker
        self._environment = environment
        self._deliver = deliver
        self._failed = failed
        self._windows = windows
        self._users = itertools.count()
        self._told_of_rows = False
        self._running: dict[int, None] = {}  # session numbers, in order
        self._names: dict[str, str] = {}  # public names of requests, by name
        self._finished = False
        self._finishing = RLock()  # Ctrl-C in a worker's terminal and the master's request may coincide
        self._known_secrets = GrowingSecrets(settings.secrets)
        self._check_machine()
        self._gevent = GeventCalls(failed)
        engine, self._token_command = with_token(settings, self._gevent, token_issued)
        self._engine = Engine(
            engine,
            start_ns=start_ns,
            run_id=info.run_id,
            on_interval=functools.partial(self._gevent.call, self._take),
            on_failure=functools.partial(self._gevent.call, self._on_failure),
            start_thread=start_native_thread,
            start_blocking=self._gevent.start,
        )
        self._start_engine()

    def _start_engine(self) -> None:
        ready = Event()
        self._engine.start(functools.partial(self._gevent.call, ready.set))
        if not ready.wait(_ENGINE_START_S):
            raise LoadtestError(f"the engine did not start within {_ENGINE_START_S:g} s")

    def _check_machine(self) -> None:
        """Check source addresses and the token command, and raise the limit of open files.

        Existing objects are exempted from garbage collection.
        """
        check_token_command(self._settings.token)
        for address in self._settings.engine.source_ips:
            check_source(address)
        most, sessions = raise_files_limit(), self._settings.sessions
        level = logging.WARNING if sessions > most else logging.DEBUG
        logger.log(level, "`ulimit -n` allows %d connections; each user holds %d sessions", most, sessions)
        gc.collect()
        gc.freeze()

    @property
    def secrets(self) -> Secrets:
        """Texts that must not appear in a file or a log: secrets in settings, and sessions' latest tokens."""
        return self._known_secrets.now(self._engine.tokens)

    def start_user(self, holder: object = None) -> Sequence[int]:
        """Start the next user's sessions; return their numbers. `holder` is `self` in the user's script."""
        if self._finished:
            return ()
        user = self._user_number(next(self._users))
        first = user * self._settings.sessions
        rows = range(first, first + self._settings.sessions)  # the sessions' numbers within the class
        if self._lacks_rows(rows.stop):
            return ()
        run_id = self._info.run_id
        identities = [
            Identity(
                number=n,
                session_id=f"{run_id}-{n:06d}",
                thread_id=f"{run_id}-t{n:06d}",
                user=self.place.number(user),
                row=row,
            )
            for row, n in ((row, self.place.number(row)) for row in rows)
        ]
        numbers = [one.number for one in identities]
        self._running.update(dict.fromkeys(numbers))
        try:
            self._engine.call(self._engine.add, identities, holder)
        except LoadtestError:
            if self._engine.failure is None:
                raise
            return ()  # the engine has failed, which is reported once for all users
        return numbers

    def _lacks_rows(self, sessions: int) -> bool:
        """Return whether `--ws-data` has too few rows to take over the sessions of a lost worker.

        The run goes on without these sessions, and the lost worker is reported. In a local run too few rows
        are the user's mistake, which the engine detects.
        """
        if self._worker is None or not 0 < len(self._settings.engine.config.data) < sessions:
            return False
        if not self._told_of_rows:
            self._told_of_rows = True
            logger.warning(
                "--ws-data has too few rows to restart the sessions of a lost worker: they stay stopped"
            )
        return True

    def _user_number(self, nth: int) -> int:
        worker, workers = self._worker or 0, self._info.workers
        return nth * workers + worker if worker < workers else _LATECOMER * (worker + 1) + nth

    def stop_user(self, numbers: Sequence[int]) -> None:
        """Stop these sessions, and wait until they have closed."""
        remaining = [number for number in numbers if number in self._running]
        if not remaining or self._engine.failure is not None:
            return
        drain_s = self._drain_s()
        self._ask(functools.partial(self._engine.call, self._engine.stop, remaining, drain_s), drain_s)
        for number in remaining:  # only now: a concurrent `finish` must wait for them too
            self._running.pop(number, None)

    def _drain_s(self) -> float:
        """Seconds to wait for last replies: half of --stop-timeout; the other half is for closing."""
        stop_timeout_s: float = self._environment.stop_timeout or 0.0
        return min(stop_timeout_s / 2, _MAX_DRAIN_S) if stop_timeout_s else _DEFAULT_DRAIN_S

    def _ask(self, call: Callable[[Callable[[], None]], None], takes_s: float) -> bool:
        """Make a call that takes a done-callback; wait for it and return whether it came in time."""
        done = Event()
        call(functools.partial(self._gevent.call, done.set))
        in_time: bool = done.wait(takes_s + _STOP_MARGIN_S)
        if not in_time:
            logger.error("the engine did not answer within %g s", takes_s + _STOP_MARGIN_S)
        return in_time

    def begin_ending(self) -> None:
        """Begin the run's end: connections that the server ends from now on are not counted."""
        if self._engine.failure is None and not self._finished:
            self._engine.call(self._engine.begin_ending)

    def finish(self) -> None:
        """Stop all sessions, deliver the last interval, and end the engine's thread."""
        with self._finishing:
            if not self._finished:
                self.stop_user(list(self._running))
                self._finished = True
                self._end()

    def _end(self) -> None:
        if self._engine.failure is None:
            self._engine.call(self._engine.cut_short)
            if not self._ask(functools.partial(self._engine.call, self._engine.flush), 0):
                self._failed(LoadtestError("the engine did not deliver its last interval"))
            self._engine.call(self._engine.close)
        if self._token_command is not None:
            self._token_command.close()
        self._gevent.close()
        if self._engine.failure is not None:
            self._on_failure()

    def _take(self, interval: Interval) -> None:
        # This collects all sessions' credentials, so it is done only if there is something to search.
        secrets = self.secrets if has_texts(interval) else NO_SECRETS
        for name in interval.named.keys() - self._names.keys():
            self._names[name] = public_name(name, self.secrets)
        packed = pack(
            interval,
            self._worker,
            user=self.place.name,
            secrets=secrets,
            names=self._names,
            run_id=self._info.run_id,
        )
        stats.feed(self._environment.stats, packed, self._windows())
        if self._settings.locust_events:
            fire_requests(self._environment.events.request, interval, packed, self._names)
        self._deliver(packed, interval.lifecycle)

    def _on_failure(self) -> None:
        failure: Any = self._engine.failure
        self._failed(failure)
