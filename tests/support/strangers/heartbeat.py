"""A chat server that logs out clients which were silent for 2 s: it closes their connection with 4408.

    python -m tests.support.strangers.heartbeat PORT [FAULT]

Faults:
    pings_ignored: a ping is answered, but only messages count as a sign of life.
"""

import asyncio
import json
import sys

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

FAULT = sys.argv[2] if len(sys.argv) > 2 else None

SILENCE_S = 2.0
LOGGED_OUT = 4408


async def talk(connection: ServerConnection) -> None:
    """Answer a client until it has been silent for too long."""
    async with asyncio.timeout(SILENCE_S) as silence:
        async for data in connection:
            message = json.loads(data)
            if message["type"] == "ping":
                await connection.send('{"type": "pong"}')
            else:
                await connection.send(json.dumps({**message, "type": "accepted"}))
            if message["type"] != "ping" or FAULT != "pings_ignored":
                silence.reschedule(asyncio.get_running_loop().time() + SILENCE_S)


async def handle(connection: ServerConnection) -> None:
    """Serve a client; log it out when it is silent."""
    try:
        await talk(connection)
    except TimeoutError:
        await connection.close(LOGGED_OUT, f"logged out: silent for {SILENCE_S:g} s")
    except ConnectionClosed:
        pass  # without a closing handshake


async def main() -> None:
    """Serve until the process ends."""
    async with serve(handle, "127.0.0.1", int(sys.argv[1])) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
