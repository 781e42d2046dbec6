"""Waiters of a script's calls: for a reply, for the parts of a reply, for a time.

Each is resolved by the session's step that has the outcome, or by a timer. By then the call may be gone: its
task was cancelled, or the script's own timeout ended it.
"""

import asyncio
from typing import Any

from msgspec import Struct

from loadtest.errors import ScriptInterrupted
from loadtest.session.script import Message


class Reply(Struct):
    """A call that waits for a reply. Implements `loadtest.session.scripted_traffic.Waiter`."""

    future: Any
    timeout_ns: int | None = None

    def part(self, message: Message) -> None:
        """Ignore a part of the reply: only its end matters."""

    def replied(self, message: Message) -> None:
        """Take the reply."""
        if not self.future.done():
            self.future.set_result(message)

    def interrupted(self, error: ScriptInterrupted) -> None:
        """Handle the interruption: there will be no reply."""
        if not self.future.done():
            self.future.set_exception(error)


class Stream:
    """A call that reads a streamed reply. Implements `loadtest.session.scripted_traffic.Waiter`."""

    __slots__ = ("_messages", "timeout_ns")

    def __init__(self, timeout_ns: int | None) -> None:
        self._messages: asyncio.Queue[Message | ScriptInterrupted | None] = asyncio.Queue()
        self.timeout_ns = timeout_ns

    def part(self, message: Message) -> None:
        """Take a part of the reply."""
        self._messages.put_nowait(message)

    def replied(self, message: Message) -> None:
        """Take the end of the reply."""
        self._messages.put_nowait(message)
        self._messages.put_nowait(None)

    def interrupted(self, error: ScriptInterrupted) -> None:
        """Handle the interruption: there will be no more parts."""
        self._messages.put_nowait(error)

    async def next(self) -> Message | None:
        """Return the next part, None after the end."""
        found = await self._messages.get()
        if isinstance(found, ScriptInterrupted):
            raise found
        return found


class Alarm:
    """Resolves a future at a time of the run. Implements `loadtest.engine.timers.Timed`."""

    __slots__ = ("_future",)

    def __init__(self, future: "asyncio.Future[None]") -> None:
        self._future = future

    def fire(self, _what: object, _due_ns: int) -> None:
        """Resolve the future."""
        if not self._future.done():
            self._future.set_result(None)
