"""One WebSocket from its accept to its cleanup, independent of the protocol spoken on it.

Sends never raise. The first failure marks the connection as gone and is passed to the handling; later sends
are dropped silently. The handler goes on to its next receive, as the application does. By then starlette has
closed the socket and raises RuntimeError, which is how one lost client caused two ERROR lines.

Pushes are scheduled on the event loop's timer queue, so no task waits for a connection's next push. A push is
skipped while the previous one still waits for a slow reader, so a client that does not read holds back one
frame at most.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from loadtest.server import json_lines
from loadtest.server.backend import Backend
from loadtest.server.handling import Ending, close_code_of, ending_of
from loadtest.server.wire import wire_of

CLOSE_TAKEN_OVER = 1008
CLOSE_FAULT = 1011
CLOSE_SHUTDOWN = 1012
CLOSE_INACTIVE = 4408

_T = TypeVar("_T")


async def refuse(websocket: WebSocket, backend: Backend, *, status: int, body: str) -> None:
    """Refuse the upgrade with an HTTP error (ASGI's WebSocket denial response)."""
    backend.counters.connections_refused += 1
    await websocket.send_denial_response(PlainTextResponse(body, status))


class Connection:
    """One WebSocket of one session; `session` is its name in the log."""

    def __init__(self, websocket: WebSocket, session: str, backend: Backend) -> None:
        self.session = session
        self._websocket = websocket
        self._backend = backend
        self._gone = False
        self._close_code: int | None = None
        self._closing: asyncio.Task[None] | None = None
        self._push_timer: asyncio.TimerHandle | None = None
        self._pushing: asyncio.Task[None] | None = None
        self._push_id = 0
        self._pushes_end_s = math.inf
        self._has_replied = False

    @property
    def is_closed(self) -> bool:
        """Whether this side has ended the connection."""
        return self._close_code is not None

    async def run(self, talk: Callable[[], Awaitable[None]], *, subprotocol: str | None = None) -> None:
        """Accept, run `talk` until the connection ends, and count how it ended.

        Raises:
            CancelledError: a shutdown cancelled it; the handling has logged that.
        """
        counters = self._backend.counters
        counters.connections_accepted += 1
        counters.connections_open += 1
        ended_with = 1006
        try:
            await self._websocket.accept(subprotocol)
            if self._backend.faults.strikes("keep_sockets"):
                wire_of(self._websocket).keep_open()
            await talk()
        except asyncio.CancelledError:
            ended_with = CLOSE_SHUTDOWN
            self._backend.handling.cancelled(self.session)
            raise
        except Exception as error:
            ended_with = close_code_of(error)
            await self._end(error)
        finally:
            self._gone = True
            if self._push_timer is not None:
                self._push_timer.cancel()
            counters.connections_open -= 1
            counters.disconnects[str(self._close_code or ended_with)] += 1

    async def _end(self, error: Exception) -> None:
        self._backend.handling.ended(self.session, error)
        if ending_of(error) is Ending.FAULT:
            self._backend.counters.errors += 1
            await self.close(CLOSE_FAULT)

    async def receive_text(self) -> str:
        """Return the next message, which must be text.

        Raises:
            BadMessage: the message is binary.
            WebSocketDisconnect: the connection ended, or was inactive for too long and was closed with 4408.
            RuntimeError: starlette's, after a failed send.
        """
        try:
            text = await self._unless_inactive(self._websocket.receive_text())
        except KeyError:  # starlette's receive_text() on a binary message
            raise json_lines.BadMessage("a binary frame, not a JSON object") from None
        self._backend.counters.messages_received += 1
        return text

    async def receive_frame(self) -> json_lines.Frame:
        """Return the next message, text or binary.

        Raises:
            WebSocketDisconnect: as in `receive_text`.
        """
        message = await self._unless_inactive(self._websocket.receive())
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message["code"], message.get("reason"))
        self._backend.counters.messages_received += 1
        frame: json_lines.Frame = message["bytes"] if message.get("text") is None else message["text"]
        return frame

    async def _unless_inactive(self, receiving: Awaitable[_T]) -> _T:
        try:
            async with asyncio.timeout(self._backend.settings.inactivity_timeout_s or None) as limit:
                return await receiving
        except TimeoutError:
            if not limit.expired():
                raise
        await self.close(CLOSE_INACTIVE, "inactive for too long")
        raise WebSocketDisconnect(CLOSE_INACTIVE)

    async def send(self, frame: json_lines.Frame) -> bool:
        """Send one frame; return whether it was sent."""
        if self._gone:
            return False
        try:
            if isinstance(frame, str):
                await self._websocket.send_text(frame)
            else:
                await self._websocket.send_bytes(frame)
        except Exception as error:
            if not self._gone:
                self._gone = True
                self._backend.counters.sends_failed += 1
                self._backend.handling.send_failed(self.session, error)
            return False
        return True

    async def reply(self, reply: json_lines.Reply) -> None:
        """Send the frames of one reply; stop at the first that fails.

        On a connection that has had a reply, a fault may end it instead of sending this one.
        """
        if self._has_replied and await self._ended_by_fault():
            return
        for frame in reply:
            if not await self.send(frame):
                return
        self._has_replied = True
        self._backend.counters.replies_sent += 1

    async def _ended_by_fault(self) -> bool:
        faults = self._backend.faults
        if self._gone:
            return False
        if faults.strikes("close"):
            await self.close(int(faults.value("close")), "--fault close")
        elif faults.strikes("abort"):
            self._gone, self._close_code = True, 1006
            wire_of(self._websocket).reset()
        elif faults.strikes("bad_frame"):
            self._gone = True
            wire_of(self._websocket).send_forbidden_frame()
        return self._gone

    async def close(self, code: int, reason: str = "") -> None:
        """Close from this side; a client that has already gone is not an error."""
        self._gone = True
        self._close_code = code
        try:
            await self._websocket.close(code, reason)
        except Exception as error:
            if ending_of(error) is Ending.FAULT:
                raise

    def retire(self) -> None:
        """Start closing, because a newer connection of the session has taken over; log nothing."""
        if not self._gone:
            self._closing = asyncio.create_task(
                self.close(CLOSE_TAKEN_OVER, "taken over by a newer connection")
            )

    def start_pushes(self) -> None:
        """Push a notification every `push_every_s` seconds until the connection ends."""
        now_s = asyncio.get_running_loop().time()
        if self._backend.faults.strikes("stop_pushes"):
            self._pushes_end_s = now_s + self._backend.faults.value("stop_pushes")
        if self._backend.settings.push_every_s:
            self._push_after(now_s)

    def _push_after(self, last_s: float) -> None:
        due_s = last_s + self._backend.settings.push_every_s
        self._push_timer = asyncio.get_running_loop().call_at(due_s, self._push, due_s)

    def _push(self, due_s: float) -> None:
        if self._gone or due_s > self._pushes_end_s:
            return
        if self._pushing is None or self._pushing.done():
            self._pushing = asyncio.create_task(self._send_push())
        self._push_after(due_s)

    async def _send_push(self) -> None:
        faults, sent_at_ms = self._backend.faults, time.time() * 1e3
        self._push_id += 1
        if faults.strikes("lose_push"):
            return
        if delay_s := faults.delay_s("late_push"):
            await asyncio.sleep(delay_s)
        text = self._backend.alterations.push(self.session)
        if await self.send(json_lines.notification(self._push_id, sent_at_ms=sent_at_ms, text=text)):
            self._backend.counters.pushes_sent += 1
