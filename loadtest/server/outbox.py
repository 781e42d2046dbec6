"""Delivers replies to a connection. Many faults apply here: replies lost, duplicated, reordered or late.

Without faults the handler sends each reply at once, so a slow reader slows the handler down. A delayed reply
goes through a bounded queue: delays of successive replies overlap, and their order is kept. A reply held back
for reordering is sent after the session's next one, or alone after a timeout.
"""

import asyncio
from collections.abc import Awaitable, Callable

from loadtest.server.faults import Faults
from loadtest.server.json_lines import Reply

MAX_HOLD_S = 3.0
"""Longest wait for the next reply: sessions often send one message a second. A last reply must still go."""

_MAX_DELAYED = 1024


class Outbox:
    """Delivers the replies of one connection; call `close` when the connection ends."""

    def __init__(self, send: Callable[[Reply], Awaitable[None]], faults: Faults) -> None:
        self._send = send
        self._faults = faults
        self._held: Reply | None = None
        self._hold_timer: asyncio.TimerHandle | None = None
        self._releasing: asyncio.Task[None] | None = None
        self._delayed: asyncio.Queue[tuple[float, Reply]] | None = None
        self._sending: asyncio.Task[None] | None = None

    async def deliver(self, reply: Reply) -> None:
        """Send one reply, with the faults that strike."""
        if self._faults.strikes("lose_reply"):
            return
        if self._held is None and self._faults.strikes("reorder_reply"):
            self._hold(reply)
            return
        await self._pass_on(reply)
        if self._faults.strikes("duplicate_reply"):
            await self._pass_on(reply)
        await self._release()

    def close(self) -> None:
        """Drop replies that have not been sent."""
        for pending in (self._hold_timer, self._releasing, self._sending):
            if pending is not None:
                pending.cancel()

    def _hold(self, reply: Reply) -> None:
        self._held = reply
        self._hold_timer = asyncio.get_running_loop().call_later(MAX_HOLD_S, self._give_up_holding)

    def _give_up_holding(self) -> None:
        self._releasing = asyncio.create_task(self._release())

    async def _release(self) -> None:
        if self._held is None:
            return
        held, self._held = self._held, None
        if self._hold_timer is not None:
            self._hold_timer.cancel()
        await self._pass_on(held)

    async def _pass_on(self, reply: Reply) -> None:
        if not self._faults.delays_replies:
            await self._send(reply)
            return
        if self._delayed is None:
            self._delayed = asyncio.Queue(_MAX_DELAYED)
            self._sending = asyncio.create_task(self._send_when_due(self._delayed))
        due_s = asyncio.get_running_loop().time() + self._faults.delay_s("latency", "latency_tail")
        await self._delayed.put((due_s, reply))

    async def _send_when_due(self, delayed: asyncio.Queue[tuple[float, Reply]]) -> None:
        while True:
            due_s, reply = await delayed.get()
            await asyncio.sleep(due_s - asyncio.get_running_loop().time())
            await self._send(reply)
