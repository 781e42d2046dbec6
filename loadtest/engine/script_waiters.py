"""What the calls of a script wait with: for a reply, for the parts of one, for a time.

Each is resolved by the step of the session that has the outcome, or by a timer. A call may be gone by then:
its task was cancelled, or the script had a timeout of its own around it.
"""

import asyncio
from typing import Any

from msgspec import Struct

from loadtest.errors import ScriptInterrupted
from loadtest.session.script import Message


class Reply(Struct):
    """The call that waits for a reply. It is `loadtest.session.scripted_traffic.Waiter`."""

    future: Any
    timeout_ns: int | None = None

    def part(self, message: Message) -> None:
        """Take a part of the reply, of which only the end matters."""

    def replied(self, message: Message) -> None:
        """Take the reply."""
        if not self.future.done():
            self.future.set_result(message)

    def interrupted(self, error: ScriptInterrupted) -> None:
        """Take note that there will be no reply."""
        if not self.future.done():
            self.future.set_exception(error)


class Stream:
    """The call that takes a streamed reply. It is `loadtest.session.scripted_traffic.Waiter`."""

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
        """Take note that there will be no more."""
        self._messages.put_nowait(error)

    async def next(self) -> Message | None:
        """Return the next part, None after the end."""
        found = await self._messages.get()
        if isinstance(found, ScriptInterrupted):
            raise found
        return found


class Alarm:
    """Resolves a future at a time of the run. It is `loadtest.engine.timers.Timed`."""

    __slots__ = ("_future",)

    def __init__(self, future: "asyncio.Future[None]") -> None:
        self._future = future

    def fire(self, _what: object, _due_ns: int) -> None:
        """Resolve it."""
        if not self._future.done():
            self._future.set_result(None)
