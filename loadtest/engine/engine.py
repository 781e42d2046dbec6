"""The event loop in its native thread, and the methods that other threads may call.

Sessions, timers, sockets and the recorder belong to the loop's thread. Other threads call in through
`call_soon_threadsafe`. Intervals leave through a callback that runs on the loop's thread and must only hand
them over. Never share a lock with other threads: under gevent, a greenlet that holds it across a switch would
stop the loop.

The caller passes the function that starts the thread, because only the caller knows how to start a native
thread when Python's threads are monkey-patched.
"""

import _thread
import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import anyio

from loadtest.dialects.dialect_session import DialectSession
from loadtest.drops.plan import DropPlan
from loadtest.engine.blocking import BlockingCalls, Start
from loadtest.engine.dropping import Dropping
from loadtest.engine.lasting_objects import LastingObjects
from loadtest.engine.link import Link, LinkContext
from loadtest.engine.login import Login, TokenSource, credentials
from loadtest.engine.monitor import Health, most_connections
from loadtest.engine.openers import Openers
from loadtest.engine.script_runner import link_of_run, mistake_beside
from loadtest.engine.script_watches import watched
from loadtest.engine.shared_token import SharedToken
from loadtest.engine.stopped_sessions import Stopping
from loadtest.engine.timers import PAUSE_NS, Timers
from loadtest.errors import ConnectFailed, LoadtestError, ScriptInterrupted
from loadtest.events import Identity, Phases
from loadtest.session.data_rows import too_few_rows
from loadtest.session.recorder import Interval, Recorder
from loadtest.session.schedule import NS_PER_S
from loadtest.session.session_config import SessionConfig
from loadtest.session.state import UP, State
from loadtest.transport.connection import Connection
from loadtest.transport.meter import Limits
from loadtest.transport.opening import Dialer
from loadtest.transport.proxies import Proxy
from loadtest.transport.target import Target
from loadtest.transport.wire_counts import WireCounts

SWEEPS_PER_S = 20
"""Each sweep covers a twentieth of the sessions: all are swept once a second, and no sweep takes long."""

_GONE_GRACE_S = 2.5
"""How long stopping waits for closing handshakes after the drain; just over a connection's own grace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Settings of the engine.

    Args:
        target: the server.
        config: how sessions behave.
        drops: the plan of drops.
        token: returns a token, or an awaitable of one, and is called before each attempt; or the token that
            all sessions share.
        headers: added to every upgrade request.
        subprotocols: offered in addition to the dialect's.
        subprotocol_optional: whether the server may select none of the subprotocols offered.
        source_ips: local addresses to connect from, in turn.
        open_timeout_s: limit for each of: getting a token, opening the WebSocket, establishing the session.
        max_message_bytes: size of the largest message accepted.
        flood: what the server may send on one connection in a second.
        compression: what to offer, a key of `loadtest.transport.deflate.OFFERS`.
        proxy: the proxy to connect through, None for none.
        ping_interval_ns: time between keepalive pings, 0 for none.
        ping_timeout_ns: time allowed for their pongs.
        connect_concurrency: maximum number of simultaneous attempts; others wait.
    """

    target: Target
    config: SessionConfig
    drops: DropPlan
    token: TokenSource | SharedToken = lambda: None
    headers: tuple[tuple[str, str], ...] = ()
    subprotocols: tuple[str, ...] = ()
    subprotocol_optional: bool = False
    source_ips: tuple[str, ...] = ()
    open_timeout_s: float = 10.0
    max_message_bytes: int = 2**20
    flood: Limits = field(default_factory=Limits)
    compression: str = "off"
    proxy: Proxy | None = None
    ping_interval_ns: int = 0
    ping_timeout_ns: int = 20 * NS_PER_S
    connect_concurrency: int = 256


class Engine:
    """Runs sessions on its own event loop.

    Args:
        settings: settings of the run.
        start_ns: time of the monotonic clock at the start of the run.
        run_id: part of the sessions' texts; must not contain dots or brackets.
        on_interval: called with each interval on the loop's thread; must not block.
        on_failure: called on the loop's thread when the loop has failed; `failure` holds the exception.
        start_blocking: starts a blocking function of a dialect outside the loop.
        start_thread: starts a native thread for the loop.
        new_link: creates the link of a session; takes the user passed to `add`.
    """

    def __init__(
        self,
        settings: EngineSettings,
        *,
        start_ns: int,
        run_id: str = "run",
        on_interval: Callable[[Interval], None],
        on_failure: Callable[[], None],
        start_blocking: Start,
        start_thread: Callable[[Callable[[], None], tuple[()]], Any] = _thread.start_new_thread,
        new_link: Callable[[DialectSession, LinkContext, object], Link] = link_of_run,
    ) -> None:
        self.settings = settings
        self.recorder = Recorder()
        self.droppings: set[Dropping] = set()
        self._wire_counts = WireCounts()
        self.failure: BaseException | None = None
        self._login = Login(settings.config.dialect, settings.token, settings.open_timeout_s, self.held_up)
        self._start_ns = start_ns
        self._run_id = run_id
        self._on_interval = on_interval
        self._on_failure = on_failure
        self._start_thread = start_thread
        self._start_blocking = start_blocking
        self._new_link = new_link
        self._slices: list[dict[int, Link]] = [{} for _ in range(SWEEPS_PER_S)]  # by session number
        self._stopping: dict[int, list[Stopping]] = {}  # by session number
        self._added = 0  # sessions so far
        self.swept = 0
        self._session_ns = self._counted_ns = 0  # time that sessions were up, summed over all, so far
        self._paused = False  # whether the last sweep was skipped because of a pause

    # From any thread.

    def start(self, ready: Callable[[], None]) -> None:
        """Start the thread; it calls `ready` once `call` can be used."""
        self._ready = ready
        self._start_thread(self._run, ())

    def call(self, function: Callable[..., None], *arguments: object) -> None:
        """Call a method of this engine on the loop's thread.

        Raises:
            LoadtestError: the loop is not running.
        """
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except (AttributeError, RuntimeError) as error:
            raise LoadtestError(f"the engine is not running ({self.failure or error})") from error

    # On the loop's thread, through `call`.

    def add(self, identities: Iterable[Identity], user: object = None) -> None:
        """Start these sessions; `user` is the Locust user that holds them, for its script."""
        for identity in identities:
            link = self._new_link(self._about(identity), self._context, user)
            self._slice(identity.number)[identity.number] = link
            link.start()
            self._added += 1
            self._exempt_sessions(self._added)

    def _exempt_sessions(self, size: int) -> None:
        if self._lasting is not None:
            self._lasting.grown_to(size)

    def _about(self, identity: Identity) -> DialectSession:
        config = self.settings.config
        row = identity.number if identity.row is None else identity.row
        if config.data and row >= len(config.data):
            raise too_few_rows(len(config.data), row + 1)
        return DialectSession(
            identity,
            run_id=self._run_id,
            seed=config.pace.seed,
            size_of=config.size_of,
            data=config.data[row] if config.data else None,
            http_url=self.settings.target.http_url,
            blocking=self._blocking.call,
        )

    def _slice(self, number: int) -> dict[int, Link]:
        return self._slices[number % SWEEPS_PER_S]

    def stop(self, numbers: Iterable[int], drain_s: float, done: Callable[[], None]) -> None:
        """Stop these sessions and call `done` when all have ended.

        Args:
            numbers: of the sessions.
            drain_s: how long to wait for their last replies.
            done: called on the loop's thread.
        """
        links = [link for number in numbers if (link := self._slice(number).get(number)) is not None]
        group = Stopping({link.session.about.number for link in links}, done)
        self._loop.call_later(drain_s + _GONE_GRACE_S, self._stop_waiting, group)
        for link in links:
            self._stopping.setdefault(link.session.about.number, []).append(group)
            link.stop(drain_s)
            if link.ended:
                self._ended(link)
        group.check()

    def _stop_waiting(self, group: Stopping) -> None:
        for number in tuple(group.remaining):
            link = self._slice(number)[number]
            link.abort()
            self._ended(link)

    def begin_ending(self) -> None:
        """Begin the end of the run: connections that the server ends from now on are not counted."""
        self.recorder.ending = True

    def cut_short(self) -> None:
        """End the watches of dropped connections early: the run ends before their time is up."""
        for dropping in tuple(self.droppings):
            dropping.cut_short()

    def flush(self, done: Callable[[], None]) -> None:
        """Hand over the interval recorded so far, then call `done`."""
        self._hand_over()
        done()

    def close(self) -> None:
        """Abort all connections and end the thread."""
        self._closing.set()

    def _abort_all(self) -> None:
        for dropping in tuple(self.droppings):
            dropping.abandon()
        for links in self._slices:
            for link in links.values():
                link.abort()

    # For links.

    def _link_context(self) -> LinkContext:
        settings = self.settings
        return LinkContext(
            config=settings.config,
            drops=settings.drops,
            open_timeout_s=settings.open_timeout_s,
            ping_interval_ns=settings.ping_interval_ns,
            ping_timeout_ns=settings.ping_timeout_ns,
            clock=self.clock,
            timers=self._timers,
            recorder=self.recorder,
            droppings=self.droppings,
            connect=self._openers.open,
            open=self._open,
            token_rejected=self._login.token_rejected,
            ended=self._ended,
            fail=self.fail,
        )

    def fail(self, error: Exception) -> None:
        """End the thread because of a defect; only the first defect is reported."""
        if self.failure is None:
            self.failure = error
            self._closing.set()

    def clock(self) -> int:
        """Return the run's clock: nanoseconds since its start."""
        return time.monotonic_ns() - self._start_ns

    # loadtest.engine.script_watches.Watched

    def held_up(self, error: str, example: str, session: str) -> None:
        """Record what has blocked the event loop."""
        self.recorder.error("generator", error, session=session, at_ns=self.clock(), example=example)

    def give_up(self, error: Exception) -> None:
        """Report from another thread that the loop is blocked for good."""
        if self.failure is None:
            self.failure = error
            self._on_failure()

    def _ended(self, link: Link) -> None:
        """Handle the end of a link: its session has ended and its connection is closed."""
        number = link.session.about.number
        groups = self._stopping.pop(number, ())
        if groups:
            del self._slice(number)[number]
        for group in groups:
            group.remaining.discard(number)
            group.check()

    async def _open(
        self, about: DialectSession, token_awaited: Callable[[], None]
    ) -> tuple[Connection, Phases]:
        """Log in, then open a WebSocket for this session.

        Raises:
            ConnectFailed: no token was available, the login failed, or the WebSocket did not open.
            DialectMistake: `login` or `endpoint` of the dialect raised.
        """
        endpoint = await self._login.endpoint(about, token_awaited)
        try:
            connection, phases = await self._dialer.open(endpoint, credentials(about))
        except ConnectFailed as failure:
            self._login.keep_cookies(about, failure.set_cookies)
            raise
        self._login.keep_cookies(about, connection.set_cookies)
        return connection, phases

    @property
    def tokens(self) -> frozenset[str]:
        """The sessions' credentials, to redact in all output."""
        return self._login.secrets

    # The thread.

    def _run(self) -> None:
        try:
            anyio.run(self._main, backend="asyncio", backend_options={"use_uvloop": True})
        except BaseException as error:
            self.failure = error
            self._on_failure()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._closing = anyio.Event()
        self._blocking = BlockingCalls(self._start_blocking)
        self._dialer = self._new_dialer()
        self._unread_ns = 0  # of the dialer, at the end of the last interval
        self._timers = Timers(self._loop, self._start_ns)
        self.recorder.swap(self.clock())
        self._health = Health()
        self._lasting = LastingObjects() if self.settings.config.script is None else None
        self._loop.set_exception_handler(self._unhandled)
        try:
            async with anyio.create_task_group() as tasks:
                self._openers = Openers(tasks, self.settings.connect_concurrency, self.fail)
                self._context = self._link_context()
                self._schedule_sweep(self.clock())
                self._schedule_interval()
                self._ready()
                with watched(self.settings.config.script, self, self._start_thread):
                    await self._closing.wait()
                tasks.cancel_scope.cancel()
        finally:
            self._abort_all()
            self._timers.close()
            self._health.close()
            await self._dialer.close()
            if self._lasting is not None:
                self._lasting.close()
        if self.failure is not None:
            raise self.failure

    def _new_dialer(self) -> Dialer:
        settings = self.settings
        return Dialer(
            settings.target,
            clock=self.clock,
            timeout_s=settings.open_timeout_s,
            headers=settings.headers,
            subprotocols=settings.subprotocols,
            subprotocol_optional=settings.subprotocol_optional,
            max_message_bytes=settings.max_message_bytes,
            source_ips=settings.source_ips,
            most_connections=most_connections(),
            counts=self._wire_counts,
            limits=settings.flood,
            compression=settings.compression,
            proxy=settings.proxy,
        )

    def _unhandled(self, _loop: object, context: dict[str, Any]) -> None:
        """Handle what asyncio would log: a defect ends the engine, errors of closed sockets are ignored."""
        error = context.get("exception")
        if isinstance(error, Exception) and not isinstance(error, OSError | ScriptInterrupted):
            self.fail(mistake_beside(error, self.settings.config.script))

    # loadtest.engine.timers.Timed

    def fire(self, what: object, due_ns: int) -> None:
        """Sweep, or end the interval."""
        if what == "sweep":
            late_ns = self.clock() - due_ns
            self._health.woke(late_ns)
            self.recorder.samples("loop_lag").append(max(late_ns, 0))
            self._schedule_sweep(due_ns)
            self._paused = late_ns > PAUSE_NS and not self._paused
            if not self._paused:  # after a pause, read what arrived first; sweep next time
                self._sweep()
        else:
            self._schedule_interval()
            self._hand_over()

    def _schedule_sweep(self, last_ns: int) -> None:
        self._timers.schedule(max(last_ns, self.clock()) + NS_PER_S // SWEEPS_PER_S, self, "sweep")

    def _schedule_interval(self) -> None:
        """Schedule the interval's end on a whole second of the run, so that all workers' intervals align."""
        self._timers.schedule((self.clock() // NS_PER_S + 1) * NS_PER_S, self, "interval")

    def _sweep(self) -> None:
        now_ns = self.clock()
        up = self._sessions_up()
        self._session_ns += up * (now_ns - self._counted_ns)
        self._counted_ns = now_ns
        self._exempt_sessions(self._added + up)
        self.swept = (self.swept + 1) % SWEEPS_PER_S
        for link in tuple(self._slices[self.swept].values()):
            link.sweep()

    def _sessions_up(self) -> int:
        return sum(self.recorder.population[state] for state in UP)

    def _hand_over(self) -> None:
        interval = self.recorder.swap(self.clock())
        interval.counts.update(self._wire_counts.take())
        interval.gauges.update(self._gauges((interval.stop_ns - interval.start_ns) or 1))
        self._on_interval(interval)

    def _gauges(self, elapsed_ns: int) -> dict[str, float]:
        population = self.recorder.population
        session_s, self._session_ns = self._session_ns / NS_PER_S, 0
        unread_ns, self._unread_ns = self._dialer.unread_ns - self._unread_ns, self._dialer.unread_ns
        return {
            "sessions": sum(population.values()) - population[State.ENDED],
            "sessions_up": self._sessions_up(),
            "session_s": session_s,
            "sessions_in_outage": self.recorder.outages_open,
            "unread_ratio": unread_ns / elapsed_ns,
            **self._health.sample(
                elapsed_ns,
                connections=self._dialer.connections,
                address_pairs=self._dialer.address_pairs,
            ),
        }
