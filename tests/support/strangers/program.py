"""What the servers here have in common as programs: `python -m tests.support.strangers.NAME PORT [FAULT]`."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

PORT = int(sys.argv[1])
"""The port of 127.0.0.1 to listen on."""

FAULT = sys.argv[2] if len(sys.argv) > 2 else None
"""The one defect to have; None for a sound server."""


def run(handle: Callable[[ServerConnection], Awaitable[None]], **options: Any) -> None:
    """Serve WebSockets until the process ends; clients may leave without a closing handshake.

    Args:
        handle: serves one client.
        options: for `websockets.asyncio.server.serve`.
    """

    async def handle_until_closed(connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            await handle(connection)

    async def main() -> None:
        async with serve(handle_until_closed, "127.0.0.1", PORT, **options) as server:
            await server.serve_forever()

    asyncio.run(main())
