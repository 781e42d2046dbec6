"""A server of binary messages in MessagePack, which stores each message before it accepts it.

    python -m tests.support.strangers.message_pack PORT [FAULT]

Faults:
    shared_text: one variable holds the text that is being stored, for all clients; meanwhile another's may
        replace it.
"""

import asyncio
import sys
from contextlib import suppress

import msgspec
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

FAULT = sys.argv[2] if len(sys.argv) > 2 else None

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
    with suppress(ConnectionClosed):
        async for data in connection:
            assert isinstance(data, bytes)
            stored = await storage.store(msgspec.msgpack.decode(data, type=Message))
            await connection.send(msgspec.msgpack.encode(stored))


async def main() -> None:
    """Serve until the process ends."""
    async with serve(handle, "127.0.0.1", int(sys.argv[1])) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
