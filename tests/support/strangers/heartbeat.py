"""A chat server that logs out clients which were silent for 2 s: it closes their connection with 4408.

    python -m tests.support.strangers.heartbeat PORT [FAULT]

Faults:
    pings_ignored: a ping is answered, but only messages count as a sign of life.
"""

import asyncio
import json

from websockets.asyncio.server import ServerConnection

from tests.support.strangers.program import FAULT, run

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


if __name__ == "__main__":
    run(handle)
