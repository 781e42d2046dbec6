"""The session object of a script's tasks, with calls that send, wait and report.

A call that waits for the server raises `Dropped` when the connection ends. So does the next call afterwards,
unless the task has already had the exception: the server may have forgotten what the task sent before the
drop. After that, and with `again=True`, a call waits until the session is established again.

Futures are resolved in the step that records the outcome in the ledger. The task continues in a later turn of
the loop, so no script ever runs within a step of the state machine.
"""

import asyncio
import math
import random
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Protocol, TypeVar

from loadtest.dialects.dialect_session import DialectSession
from loadtest.engine.awaited_pushes import PUSHES_KEPT, AwaitedPushes, Match
from loadtest.engine.script_waiters import Alarm, Reply, Stream
from loadtest.engine.timers import PAUSE_NS, Timers
from loadtest.errors import Dropped, ReplyTimeout, ScriptMistake
from loadtest.session.recorder import Recorder
from loadtest.session.schedule import NS_PER_S
from loadtest.session.script import Message
from loadtest.session.scripted_traffic import ScriptedTraffic, Waiter
from loadtest.text import one_line

Result = TypeVar("Result")
SENT_IN_A_TURN = 16
"""Messages that a script may send in a row before other sessions, and the sockets, have their turn."""

_STUBBORN: list["asyncio.Task[Any]"] = []
"""Tasks that have caught the end of their sessions twice."""


class ScriptLink(Protocol):
    """The part of a session's link that its script needs."""

    talking: bool
    """Whether the session is established and may send."""

    @property
    def room(self) -> "asyncio.Future[None] | None":
        """Resolved when less is unsent; None if there is room."""

    def ask(self, body: Any, name: str, waiter: Waiter | None, *, fixed: bool) -> None:
        """Send a message."""

    def look_for_overdue(self) -> None:
        """Give up overdue requests now."""

    def read_since_ns(self) -> int | None:
        """Return since when the session has read without a stall; None if it does not read now."""


class ScriptSession:
    """A session as its tasks see it. Each session has one; many sessions share one user, `self`.

    Attributes:
        number: number of the session in the run, from 0.
        session_id: its id, unique across runs.
        data: its row of `--ws-data` by column; all values are secrets.
        memory: for the tasks and the dialect; kept across tasks and connections.
        random: its random generator, seeded with the run's seed and the session's number.
    """

    __slots__ = (
        "_about",
        "_clock",
        "_link",
        "_loop",
        "_over",
        "_pushes",
        "_recorder",
        "_refused",
        "_reply_timeout_s",
        "_sent",
        "_stale",
        "_timers",
        "_traffic",
        "_unseen",
        "_up",
        "task",
        "waited",
    )

    def __init__(
        self,
        about: DialectSession,
        link: ScriptLink,
        traffic: ScriptedTraffic,
        *,
        reply_timeout_ns: int,
        clock: Callable[[], int],
        timers: Timers,
        recorder: Recorder,
    ) -> None:
        self.task = ""  # the one that runs, for messages
        self.waited = False  # whether it has waited for anything, so that others had their turn
        self._about = about
        self._link = link
        self._traffic = traffic
        self._reply_timeout_s = reply_timeout_ns / NS_PER_S
        self._clock = clock
        self._timers = timers
        self._recorder = recorder
        self._loop = asyncio.get_running_loop()
        self._stale = False  # whether the connection has ended, and no call has raised Dropped for it
        self._over = self._refused = False
        self._up: asyncio.Future[None] | None = None  # resolved once the session is established again
        self._pushes = AwaitedPushes(link, clock, timers)
        self._sent = 0  # messages by `send`
        self._unseen = 0  # pushes discarded before the task awaited one in vain

    @property
    def number(self) -> int:
        return self._about.number

    @property
    def session_id(self) -> str:
        return self._about.session_id

    @property
    def connection(self) -> int:
        """Number of the current connection, from 0; it grows with each reconnect."""
        return self._about.connection

    @property
    def data(self) -> Mapping[str, str]:
        return self._about.data

    @property
    def memory(self) -> dict[Any, Any]:
        return self._about.memory

    @property
    def random(self) -> random.Random:
        return self._about.random

    # Out.

    def text(self) -> str:
        """Return a marked text for the next message, of `--ws-message-bytes`.

        The tool recognises the reply and checks that the text comes back intact. Send it once, and soon.
        """
        return self._traffic.take_text(talking=self._link.talking)

    async def request(
        self, body: Any = None, *, name: str = "", timeout: float | None = None, again: bool = False
    ) -> Message:
        """Send a message and wait for its reply.

        Args:
            body: str, bytes, a `loadtest.Template`, or a function of session and sequence number that returns
                a message; None for the request of the dialect.
            name: name of this type of message.
            timeout: seconds allowed for the reply, `--ws-reply-timeout` if None. After that the request is
                lost, which fails `messaging`.
            again: whether to repeat the request when the connection ends.

        Returns:
            The reply, as read by the dialect and as received.

        Raises:
            Dropped: the connection ended before the reply.
            ReplyTimeout: no reply came in time.
            RequestFailed: the server answered with an error.
        """
        while True:
            if self._stale or self._over or not self._link.talking:
                await self._established(again=again)
            self.waited = True
            reply = Reply(self._loop.create_future())
            if timeout is None:
                self._link.ask(body, name, reply, fixed=not again)
            else:
                reply.timeout_ns = _ns(timeout)
                self._ask(body, name, reply, again=again)
            try:
                return await reply.future  # type: ignore[no-any-return]  # a Message
            except Dropped:
                self._stale = False
                if not again:
                    raise

    async def stream(
        self, body: Any = None, *, name: str = "", timeout: float | None = None, again: bool = False
    ) -> AsyncIterator[Message]:
        """Send a message and yield the parts of its reply as they arrive, then the end of the reply.

        Arguments and exceptions are those of `request`. `timeout` is the longest time without a part. With
        `again`, the parts start over after a drop.
        """
        while True:
            if self._stale or self._over or not self._link.talking:
                await self._established(again=again)
            stream = Stream(_ns(timeout))
            self._ask(body, name, stream, again=again)
            try:
                while (message := await stream.next()) is not None:
                    yield message
            except Dropped:
                self._stale = False
                if not again:
                    raise
            else:
                return

    async def send(self, body: Any = None, *, name: str = "", again: bool = False) -> None:
        """Send a message that expects no reply; a reply to it would count as `unmatched`.

        Arguments and exceptions are those of `request`. With `again`, the call waits for the session to be
        established. The call also waits while many bytes sent earlier are still buffered.
        """
        if self._stale or self._over or not self._link.talking:
            await self._established(again=again)
        self._ask(body, name, None, again=False)
        self._sent += 1
        if (room := self._link.room) is not None:
            self.waited = True
            await asyncio.shield(room)  # the server reads more slowly than the script sends
        elif not self._sent % SENT_IN_A_TURN:
            await asyncio.sleep(0)

    def _ask(self, body: Any, name: str, waiter: Waiter | None, *, again: bool) -> None:
        self._link.ask(body, name, waiter, fixed=not again)
        if waiter is not None and waiter.timeout_ns is not None:
            self._timers.schedule(self._clock() + waiter.timeout_ns + 1, self, None)

    async def _established(self, *, again: bool) -> None:
        """Wait until the session is established; raise Dropped if the task has not seen the latest drop."""
        if self._over:
            await self._refuse()
        if self._stale:
            self._stale = False
            if not again:
                raise Dropped
        while not self._link.talking:
            if self._up is None:
                self._up = self._loop.create_future()
            await asyncio.shield(self._up)

    async def _refuse(self) -> None:
        """Cancel a task that continues after its session's end; a task that catches that waits forever.

        The task is unregistered from the loop, which would otherwise wait for it when it closes.
        """
        if not self._refused:
            self._refused = True
            raise asyncio.CancelledError
        stubborn = asyncio.current_task()
        if stubborn is not None:
            asyncio.tasks._unregister_task(stubborn)
            _STUBBORN.append(stubborn)  # collected, it would be asked to end once more
        await self._loop.create_future()

    # In.

    async def next_push(self, match: Match | None = None, *, timeout: float | None = None) -> Message:
        """Wait for a push, and return it.

        Pushes received since the last call are returned first; up to 100 of them are kept. Pushes that do not
        match are discarded.

        Args:
            match: takes a push and returns whether it matches; None matches any.
            timeout: in seconds, `--ws-reply-timeout` if None.

        Raises:
            Dropped: the connection ended.
            ReplyTimeout: no push matched in time. This fails `messaging` unless the task catches it.
        """
        wait_s = self._reply_timeout_s if timeout is None else _checked_s(timeout)
        if self._stale or self._over or not self._link.talking:
            await self._established(again=False)
        try:
            return await self._pushes.next(match, wait_s)
        except Dropped:
            self._stale = False
            raise
        except ReplyTimeout as missed:
            self._unseen = missed.discarded
            raise

    # loadtest.engine.timers.Timed

    def fire(self, what: object, due_ns: int) -> None:
        """Give up overdue requests. After a pause of the process, first read what arrived meanwhile."""
        now_ns = self._clock()
        if now_ns - due_ns > PAUSE_NS:
            self._timers.schedule(now_ns + PAUSE_NS // 2, self, what)
        else:
            self._link.look_for_overdue()

    # loadtest.session.scripted_traffic.Listener

    def pushed(self, message: Message) -> None:
        """Pass a push to the call that waits for it, or keep it."""
        self._pushes.pushed(message)

    def dropped(self) -> None:
        """Interrupt the calls that wait for pushes: the connection has ended."""
        self._stale = True
        self._pushes.dropped()

    # Around messages.

    async def sleep(self, seconds: float) -> None:
        """Wait this many seconds. A drop does not interrupt the wait."""
        if self._over:
            await self._refuse()
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = self._loop.create_future()
        self._timers.schedule(self._clock() + int(seconds * NS_PER_S), Alarm(future), None)
        await future

    def fail(self, why: str) -> None:
        """Count a failure of `messaging`; the task continues.

        Args:
            why: what was wrong, as a short fixed text: failures are counted by it.

        Raises:
            ScriptMistake: the task awaited a push that did not come, but the tool may have discarded it, so
                whether the server sent it is unknown.
        """
        if self._unseen and not self._recorder.ending:
            raise self._blamed()
        self._recorder.counts["messaging.script_failed"] += 1
        self._recorder.error(
            "messaging",
            f"script: {one_line(str(why), 120)}",
            session=self._about.session_id,
            at_ns=self._clock(),
            example=self.task,
        )

    def missed(self, missed: ReplyTimeout) -> None:
        """Count a push that a task awaited but did not get; not at the end of the run, when its senders stop.

        Raises:
            ScriptMistake: the push may be among those discarded unread.
        """
        if not (missed.recorded or self._recorder.ending):
            self.fail(str(missed))  # which raises ScriptMistake if pushes were discarded

    def _blamed(self) -> ScriptMistake:
        problem = (
            f"awaited a push that did not come after {self._unseen:,} pushes had been discarded unread, and "
            f"it may be one of them: next_push() keeps at most {PUSHES_KEPT}. Take pushes as they arrive"
        )
        return ScriptMistake(self.task, problem, f"session {self.number}")

    async def blocking(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call a blocking function, such as one of an HTTP client; see `DialectSession.blocking`."""
        return await self._about.blocking(function, *arguments)

    # For the runner.

    def begin(self, task: str) -> None:
        """Begin a task; `task` is its class and method."""
        self.task = task
        self._unseen = self._pushes.discarded = 0

    async def established(self) -> None:
        """Wait until the session is established; earlier drops are not reported to the next task."""
        await self._established(again=True)

    @property
    def stale(self) -> bool:
        """Whether the connection has ended since the task began, and no call has raised Dropped for it."""
        return self._stale

    @property
    def ready(self) -> bool:
        """Whether a task may begin immediately."""
        return self._link.talking and not (self._stale or self._over)

    def came_up(self) -> None:
        """Resume the calls that wait for an established session."""
        if self._up is not None and not self._up.done():
            self._up.set_result(None)
        self._up = None

    def end(self) -> None:
        """Refuse further calls."""
        self._over = True


def _ns(timeout_s: float | None) -> int | None:
    return None if timeout_s is None else int(_checked_s(timeout_s) * NS_PER_S)


def _checked_s(timeout_s: float) -> float:
    if not 0 < timeout_s < math.inf:
        raise ValueError(f"timeout must be a number of seconds above 0 (got {timeout_s!r})")
    return timeout_s
