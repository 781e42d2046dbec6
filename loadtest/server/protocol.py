"""uvicorn's `websockets` implementation, with two faults of its foundation mended.

It stands on websockets' legacy protocol, where clients that are merely slow or hasty make the log say ERROR
though nothing is wrong with the server (seen with websockets 17):

- Only one coroutine may wait for a full write buffer to drain; a second one, be it the keepalive ping, the
  answer to a client's ping, or a push beside a reply, meets an AssertionError. Here they queue up.
- Closing a connection whose client was gone before the handshake ended meets an AttributeError. Here there is
  nothing to close.
"""

import asyncio
from typing import Any

from uvicorn.protocols.websockets.websockets_impl import WebSocketProtocol


class PatientWebSocketProtocol(WebSocketProtocol):
    """The protocol to give to uvicorn as `ws`."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._drain_turn = asyncio.Lock()

    async def _drain(self) -> None:
        async with self._drain_turn:
            await super()._drain()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Perform the closing handshake, if there was an opening one."""
        if hasattr(self, "transfer_data_task"):
            await super().close(code, reason)
