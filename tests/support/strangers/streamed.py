"""An assistant that streams its answers, several at a time: `start`, some `delta`, `done`.

    python -m tests.support.strangers.streamed PORT [FAULT]

Faults:
    breaks_off: every 40th answer stops in the middle, as when the model behind the server fails unnoticed.
"""

import asyncio
import json
import random
from collections.abc import Iterator
from itertools import count
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from tests.support.strangers.program import FAULT, run

DELTA_LENGTH = 16
LONGEST_PAUSE_S = 0.15

answers = count(1)


def deltas(prompt: str) -> Iterator[str]:
    """Yield the pieces of an answer."""
    answer = f"You said: {prompt}"
    for begin in range(0, len(answer), DELTA_LENGTH):
        yield answer[begin : begin + DELTA_LENGTH]


async def stream(connection: ServerConnection, request: dict[str, Any]) -> None:
    """Stream one answer."""

    async def send(kind: str, **fields: str) -> None:
        await connection.send(json.dumps({"type": kind, "id": request["id"], **fields}))

    breaks_off = FAULT == "breaks_off" and next(answers) % 40 == 0
    try:
        await send("start")
        for number, text in enumerate(deltas(request["prompt"])):
            if breaks_off and number == 2:
                return
            await asyncio.sleep(random.uniform(0, LONGEST_PAUSE_S))
            await send("delta", text=text)
        await send("done")
    except ConnectionClosed:
        pass  # the client is gone


async def handle(connection: ServerConnection) -> None:
    """Answer a client's prompts."""
    async with asyncio.TaskGroup() as streams:
        try:
            async for message in connection:
                streams.create_task(stream(connection, json.loads(message)))
        except ConnectionClosed:
            pass  # without a closing handshake


if __name__ == "__main__":
    run(handle)
