"""A game that speaks in lines of words, with a number in each.

    <- WELCOME player-K
    -> MOVE 7 north           <- OK 7 north
    -> SAY 8 hello there      <- SAID 8 hello there
    -> PING                   <- PONG
    <- TICK 1                 every 100 ms

    python -m tests.support.strangers.game_words PORT [FAULT]

Fault `altered`: every tenth text loses its end.
"""

import asyncio
import itertools

from websockets.asyncio.server import ServerConnection

from tests.support.strangers.program import FAULT, run

players = itertools.count(1)
said = itertools.count(1)


async def tick(connection: ServerConnection) -> None:
    """Count for one player."""
    for number in itertools.count(1):
        await connection.send(f"TICK {number}")
        await asyncio.sleep(0.1)


async def handle(connection: ServerConnection) -> None:
    """Serve one player."""
    await connection.send(f"WELCOME player-{next(players)}")
    ticking = asyncio.create_task(tick(connection))
    try:
        async for line in connection:
            await connection.send(answer(str(line)))
    finally:
        ticking.cancel()


def answer(line: str) -> str:
    """Return the answer to a line."""
    command, _, rest = line.partition(" ")
    if command == "PING":
        return "PONG"
    if command == "SAY":
        return f"SAID {rest[:-2] if FAULT == 'altered' and next(said) % 10 == 0 else rest}"
    return f"OK {rest}"


if __name__ == "__main__":
    run(handle)
