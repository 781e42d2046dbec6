"""A server that echoes, and that ends connections unasked once they have worked.

    python -m tests.support.strangers.unstable PORT [FAULT]

Faults:
    CODE: a close frame with this code and the reason "enough", a second or two after the start.
    rst, fin: the same, without a close frame.
    masked, malformed, invalid_utf8: the same, by a frame that RFC 6455 forbids; the client must close.
    idle: FIN after 1.5 seconds without a message, as from a proxy.
    too_big: 1009 for a message of more than 10,000 bytes, unless it is a connection's first.
    CODE_of_some: as CODE, but only every third connection.
"""

import asyncio
import random
import socket
import struct
from itertools import count

from websockets.asyncio.server import ServerConnection

from tests.support.strangers.program import FAULT, run

FRAMES = {
    "masked": b"\x81\x81\0\0\0\0x",  # a server must not mask (RFC 6455, section 5.1)
    "malformed": b"\xf1\x01x",  # reserved bits without an extension (section 5.2)
    "invalid_utf8": b"\x81\x01\xff",  # section 8.1
}
IDLE_S = 1.5
LIMIT_BYTES = 10_000

connections = count()


async def end(connection: ServerConnection, fault: str) -> None:
    """End a connection, or make the client end it."""
    transport = connection.transport
    if fault in FRAMES:
        transport.write(FRAMES[fault])
    elif fault == "fin":
        transport.close()
    elif fault == "rst":
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    else:
        await connection.close(int(fault), "enough")


async def end_later(connection: ServerConnection, fault: str) -> None:
    """End a connection once it has worked for a while."""
    await asyncio.sleep(random.uniform(1.0, 2.0))
    await end(connection, fault)


async def echo(connection: ServerConnection) -> None:
    """Return what the client sends, within the limits of the fault."""
    for number in count():
        timeout_s = IDLE_S if FAULT == "idle" else None
        try:
            message = await asyncio.wait_for(connection.recv(), timeout_s)
        except TimeoutError:
            connection.transport.close()
            return
        if FAULT == "too_big" and number and len(message) > LIMIT_BYTES:
            await connection.close(1009, "message too big")
            return
        await connection.send(message)


async def handle(connection: ServerConnection) -> None:
    """Serve one connection."""
    fault, _, of_some = (FAULT or "").partition("_of_")
    if fault in ("", "idle", "too_big") or (of_some and next(connections) % 3):
        await echo(connection)
        return
    ending = asyncio.create_task(end_later(connection, fault))
    try:
        await echo(connection)
    finally:
        ending.cancel()


if __name__ == "__main__":
    run(handle)
