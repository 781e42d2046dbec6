"""A chat server that replays a session's messages when its client comes back: one a frame, then an end.

    python -m tests.support.strangers.replayed_history PORT [FAULT]

Faults:
    written_in_batches: accepted messages are written to the history five at a time; those that wait for the
        next batch are lost with their connection.
    newest_first: the history is read newest first, and never turned around.
"""

import json
from collections import defaultdict
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection

from tests.support.strangers.program import FAULT, run

BATCH = 5 if FAULT == "written_in_batches" else 1

histories: defaultdict[str, list[str]] = defaultdict(list)  # texts by session


async def send(connection: ServerConnection, kind: str, **fields: Any) -> None:
    """Send a message."""
    await connection.send(json.dumps({"type": kind, **fields}))


async def talk(connection: ServerConnection, session: str) -> None:
    """Replay a session's history, then accept its messages."""
    history, batch = histories[session], list[str]()
    await send(connection, "joined", session=session)
    for text in reversed(history) if FAULT == "newest_first" else tuple(history):
        await send(connection, "earlier", text=text)
    await send(connection, "ready")
    async for data in connection:
        message = json.loads(data)
        batch.append(message["text"])
        if len(batch) == BATCH:
            history += batch
            batch.clear()
        await send(connection, "accepted", id=message["id"], text=message["text"])


async def handle(connection: ServerConnection) -> None:
    """Serve a client."""
    assert connection.request is not None
    (session,) = parse_qs(urlsplit(connection.request.path).query)["session"]
    await talk(connection, session)


if __name__ == "__main__":
    run(handle)
