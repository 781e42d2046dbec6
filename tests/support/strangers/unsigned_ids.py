"""A server of binary frames: an unsigned 32-bit id, an unsigned 16-bit length, and so many bytes of UTF-8.

    python -m tests.support.strangers.unsigned_ids PORT [FAULT]

Faults:
    length_in_characters: the length of an answer's text is counted in characters instead of bytes.
"""

import struct

from websockets.asyncio.server import ServerConnection

from tests.support.strangers.program import FAULT, run

HEADER = struct.Struct("!IH")


def frame(number: int, text: str) -> bytes:
    """Return a frame."""
    content = text.encode()
    length = len(text) if FAULT == "length_in_characters" else len(content)
    return HEADER.pack(number, length) + content[:length]


async def handle(connection: ServerConnection) -> None:
    """Answer a client's frames with the same id and text."""
    async for data in connection:
        assert isinstance(data, bytes)
        number, length = HEADER.unpack_from(data)
        await connection.send(frame(number, data[HEADER.size :][:length].decode()))


if __name__ == "__main__":
    run(handle)
