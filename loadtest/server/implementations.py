"""uvicorn's WebSocket implementations, extended to give the faults access to their transport."""

import asyncio
import importlib.util
import warnings
from typing import Any

from loadtest.errors import InvalidSetting
from loadtest.server.server_settings import WebSocketImplementation
from loadtest.server.wire import lend

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # both libraries will drop it, a reason to test against it
    from uvicorn.protocols.websockets.websockets_impl import WebSocketProtocol


def implementation(name: WebSocketImplementation) -> type[asyncio.Protocol]:
    """Return the implementation of this name.

    Raises:
        InvalidSetting: its library is not installed.
    """
    library = name.partition("-")[0]
    if importlib.util.find_spec(library) is None:
        raise InvalidSetting("--ws-implementation", name, "must be installed", f"Run 'pip install {library}'")
    match name:
        case "websockets":
            return PatientWebSocketProtocol
        case "websockets-sansio":
            return _lending_sansio()
        case "wsproto":
            return _lending_wsproto()


class PatientWebSocketProtocol(WebSocketProtocol):
    """uvicorn's `websockets` implementation with two bugs fixed.

    It uses websockets' legacy protocol, in which a slow or hasty client causes ERROR lines although nothing
    is wrong with the server (seen with websockets 17):

    - Only one coroutine may wait for a full write buffer to drain. A second one (a keepalive ping, the answer
      to a client's ping, or a push beside a reply) raises AssertionError. Here they wait in turn.
    - Closing a connection whose client left before the handshake ended raises AttributeError. Here the close
      does nothing.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._drain_turn = asyncio.Lock()

    async def run_asgi(self) -> None:
        """Run the application with access to the transport."""
        lend(self, self.scope["extensions"])
        await super().run_asgi()

    async def _drain(self) -> None:
        async with self._drain_turn:
            await super()._drain()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Perform the closing handshake if the opening handshake was completed."""
        if hasattr(self, "transfer_data_task"):
            await super().close(code, reason)


def _lending_sansio() -> type[asyncio.Protocol]:
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

    class LendingSansIOProtocol(WebSocketsSansIOProtocol):
        async def run_asgi(self) -> None:
            lend(self, self.scope["extensions"])
            await super().run_asgi()

    return LendingSansIOProtocol


def _lending_wsproto() -> type[asyncio.Protocol]:
    from uvicorn.protocols.websockets.wsproto_impl import WSProtocol  # its library is optional

    class LendingWSProtocol(WSProtocol):
        async def run_asgi(self) -> None:
            lend(self, self.scope["extensions"])
            await super().run_asgi()

    return LendingWSProtocol
