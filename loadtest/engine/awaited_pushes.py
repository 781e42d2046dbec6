"""A session's pushes for its script: a queue of received pushes, and the calls that wait for one.

The queue is bounded, so a script that reads too slowly loses the oldest pushes. A later call that times out
must not count against the server: its exception includes the number of pushes discarded since the task began.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from loadtest.engine.timers import PAUSE_NS, Timers
from loadtest.errors import Dropped, ReplyTimeout
from loadtest.session.schedule import NS_PER_S
from loadtest.session.script import Message

Match = Callable[[Message], object]

PUSHES_KEPT = 100
"""Pushes kept for `next_push`; further ones replace the oldest."""

PUSHED_BYTES_KEPT = 2**18
"""Size limit of these pushes in bytes: a thousand sessions must not fill the memory."""


class Reading(Protocol):
    """The part of a session's link that waiting for pushes needs."""

    def read_since_ns(self) -> int | None:
        """Return since when the session has read without a stall; None if it does not read now."""


@dataclass(slots=True, eq=False)
class Wait:
    """A call of `next_push`.

    Args:
        done: resolved with a push, or with what the script's own `match` raised.
        match: takes a push and returns whether it matches; None matches any.
        timeout_s: how long it waits, in seconds.
        began_ns: since when it has waited while the session read.
    """

    done: "asyncio.Future[Message | BaseException]"
    match: Match | None
    timeout_s: float
    began_ns: int


class AwaitedPushes:
    """Received pushes and the calls that wait for one. Implements `loadtest.engine.timers.Timed`.

    Args:
        link: the session's.
        clock: returns nanoseconds since the run's start.
        timers: end the waits.

    Attributes:
        discarded: pushes discarded since the task began.
    """

    __slots__ = ("_clock", "_kept", "_kept_bytes", "_link", "_timers", "_waits", "discarded")

    def __init__(self, link: Reading, clock: Callable[[], int], timers: Timers) -> None:
        self.discarded = 0
        self._link = link
        self._clock = clock
        self._timers = timers
        self._kept: deque[Message] = deque()
        self._kept_bytes = 0
        self._waits: dict[Wait, None] = {}  # in order

    async def next(self, match: Match | None, timeout_s: float) -> Message:
        """Return the next push that matches; see `ScriptSession.next_push`.

        Raises:
            Dropped: the connection ended.
            ReplyTimeout: no push matched in time.
            BaseException: `match` raised it.
        """
        while self._kept:
            push = self._kept.popleft()
            self._kept_bytes -= len(push.data)
            if match is None or match(push):
                return push
        now_ns = self._clock()
        wait = Wait(asyncio.get_running_loop().create_future(), match, timeout_s, now_ns)
        self._waits[wait] = None
        self._timers.schedule(now_ns + int(timeout_s * NS_PER_S), self, wait)
        try:
            found = await wait.done
        finally:
            del self._waits[wait]
        if isinstance(found, BaseException):
            raise found
        return found

    def pushed(self, message: Message) -> None:
        """Pass a push to the call that waits for it, or keep it."""
        for wait in self._waits:
            if wait.done.done():
                continue
            try:
                wanted = wait.match is None or wait.match(message)
            except BaseException as error:  # the script's, which goes on where it waits
                wait.done.set_result(error)  # a future refuses StopIteration as its exception
                return
            if wanted:
                wait.done.set_result(message)
                return
        if self._waits:
            return
        self._kept.append(message)
        self._kept_bytes += len(message.data)
        while len(self._kept) > PUSHES_KEPT or self._kept_bytes > PUSHED_BYTES_KEPT:
            self._kept_bytes -= len(self._kept.popleft().data)
            self.discarded += 1

    def dropped(self) -> None:
        """Interrupt the calls and clear the queue: the connection has ended."""
        self._kept.clear()
        self._kept_bytes = self.discarded = 0
        for wait in self._waits:
            if not wait.done.done():
                wait.done.set_exception(Dropped())

    def fire(self, what: Any, due_ns: int) -> None:
        """End the wait for a push. After a pause of the process, first read what arrived meanwhile."""
        now_ns = self._clock()
        if now_ns - due_ns > PAUSE_NS:
            self._timers.schedule(now_ns + PAUSE_NS // 2, self, what)
        elif not what.done.done():
            self._overdue(what, now_ns)

    def _overdue(self, wait: Wait, now_ns: int) -> None:
        since_ns = self._link.read_since_ns()
        wait.began_ns = now_ns if since_ns is None else max(since_ns, wait.began_ns)
        due_ns = wait.began_ns + int(wait.timeout_s * NS_PER_S)
        if due_ns > now_ns:  # a stalled session was not reading, so no push could arrive
            self._timers.schedule(due_ns, self, wait)
        else:
            missed = ReplyTimeout("the push", wait.timeout_s, recorded=False, discarded=self.discarded)
            wait.done.set_exception(missed)
