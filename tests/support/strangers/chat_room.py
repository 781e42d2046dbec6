"""A chat in JSON whose room keeps its newest messages for all members, and restores them to who comes back.

Acknowledgements name a message by the UUID that its client made, and have no text. Fault `loses_stored`: one
message in twenty is acknowledged and pushed, but not stored.
"""

import json
import random
import uuid
from collections import deque
from typing import Any

from websockets.asyncio.server import ServerConnection, broadcast

from tests.support.strangers.program import FAULT, run

WINDOW = 50
"""Messages that a room keeps."""

members: dict[str, ServerConnection] = {}
history: deque[dict[str, Any]] = deque(maxlen=WINDOW)
known: set[str] = set()
chance = random.Random(1)


def _to_others(session: str, message: dict[str, Any]) -> None:
    broadcast([member for name, member in members.items() if name != session], json.dumps(message))


def _store(message: dict[str, Any]) -> None:
    if FAULT != "loses_stored" or chance.random() >= 1 / 20:
        history.append(message)


async def handle(connection: ServerConnection) -> None:
    """Let a client join, and pass on what it says."""
    asked = json.loads(await connection.recv())["session"]
    session = asked if asked in known else str(uuid.uuid4())
    known.add(session)
    members[session] = connection
    try:
        joined = {"type": "joined", "session": session, "history": list(history)}
        await connection.send(json.dumps(joined))
        _to_others(session, {"type": "presence", "session": session, "online": True})
        async for data in connection:
            said = json.loads(data)
            message = {"type": "message", "from": session, "text": said["text"]}
            _store(message)
            await connection.send(json.dumps({"type": "ack", "client_id": said["client_id"]}))
            _to_others(session, message)
    finally:
        if members.get(session) is connection:
            del members[session]


run(handle)
