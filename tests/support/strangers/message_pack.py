"""A server of binary messages in MessagePack, which stores each message before it accepts it.

    python -m tests.support.strangers.message_pack PORT [FAULT]

Faults:
    shared_text: one variable holds the text that is being stored, for all clients; meanwhile another's may
        replace it.
"""

import asyncio

import msgspec
from websockets.asyncio.server import ServerConnection

from tests.support.strangers.program import FAULT, run

STORING_S = 0.02


class Message(msgspec.Struct):
    """A message: as the client sends it, and as the server returns it."""

    id: int
    text: str


class Storage:
    """Stores messages; this takes time."""

    text = ""

    async def store(self, message: Message) -> Message:
        """Store a message and return it as stored."""
        self.text = message.text
        await asyncio.sleep(STORING_S)
        return Message(message.id, self.text if FAULT == "shared_text" else message.text)


storage = Storage()


async def handle(connection: ServerConnection) -> None:
    """Answer a client's messages, one after the other."""
    async for data in connection:
        assert isinstance(data, bytes)
        stored = await storage.store(msgspec.msgpack.decode(data, type=Message))
        await connection.send(msgspec.msgpack.encode(stored))


if __name__ == "__main__":
    run(handle)
