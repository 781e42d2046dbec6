"""The faults of the transport below a WebSocket.

ASGI has no message for what a broken server or its network does to a socket: RST, a frame that RFC 6455
forbids, a socket that is never closed. So the implementations in `loadtest.server.implementations` pass their
transport to the application, as an extension of the ASGI scope; `wire_of` returns it.
"""

import asyncio
import os
import socket
import struct
from typing import Any, Protocol, cast

from starlette.websockets import WebSocket

_EXTENSION = "loadtest.wire"
_RST_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger {on, 0 s}: close() sends RST (socket(7), SO_LINGER)
_MASKED_FRAME = b"\x81\x82" + bytes(4) + b"{}"
"""A text frame with a mask, which a server must not send (RFC 6455, section 5.1)."""


class Implementation(Protocol):
    """One connection of an ASGI server."""

    transport: asyncio.Transport


class Wire:
    """The transport of one WebSocket."""

    def __init__(self, implementation: Implementation) -> None:
        self._implementation = implementation

    def reset(self) -> None:
        """End the connection with RST."""
        transport = self._implementation.transport
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.fileno() >= 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
        transport.abort()

    def send_forbidden_frame(self) -> None:
        """Send a frame that makes a client end the connection."""
        self._implementation.transport.write(_MASKED_FRAME)

    def keep_open(self) -> None:
        """Keep the socket open until this process ends, whoever closes the connection."""
        transport = self._implementation.transport
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.fileno() >= 0:
            os.dup(sock.fileno())  # while there is a duplicate, close() sends no FIN
            self._implementation.transport = cast("asyncio.Transport", _WithoutFin(transport))


class _WithoutFin:
    """A transport that never sends FIN: shutting it down would send one even for a duplicated socket."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def can_write_eof(self) -> bool:
        """Return False: it cannot send FIN."""
        return False


def wire_of(websocket: WebSocket) -> Wire:
    """Return the transport passed to a WebSocket's application."""
    wire = websocket.scope["extensions"][_EXTENSION]
    assert isinstance(wire, Wire)
    return wire


def lend(implementation: Implementation, extensions: dict[str, Any]) -> None:
    """Pass the transport to the application, through the extensions of the ASGI scope."""
    extensions[_EXTENSION] = Wire(implementation)
