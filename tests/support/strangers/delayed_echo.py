"""The echo server of the documentation of `websockets`, with a backend that takes 20 ms for each reply.

    python -m tests.support.strangers.delayed_echo PORT [FAULT]

Faults:
    slower: the backend takes 23 ms.
    tail: the backend takes 40 ms for 3 % of the replies.
"""

import asyncio
import random

from websockets.asyncio.server import ServerConnection

from tests.support.strangers.program import FAULT, run

USUAL_S = 0.020
SLOWER_S = 0.023
TAIL_S = 0.040
TAIL_RATIO = 0.03


def backend_s() -> float:
    """Return how long the backend takes for one reply."""
    if FAULT == "tail" and random.random() < TAIL_RATIO:
        return TAIL_S
    return SLOWER_S if FAULT == "slower" else USUAL_S


async def echo(connection: ServerConnection) -> None:
    """Return what one client says, in order."""
    async for message in connection:
        await asyncio.sleep(backend_s())
        await connection.send(message)


run(echo)
