"""A chat server that lets a client in if it proves that it knows its secret, without sending it.

    python -m tests.support.strangers.challenge PORT [FAULT]

A user's secret is `secret of USER`.

Faults:
    drops_zeros: writes the digest that it expects as a number, without leading zeros: one login in 16 fails.
"""

import hashlib
import hmac
import json
import secrets
from typing import Any

from websockets.asyncio.server import ServerConnection

from tests.support.strangers.program import FAULT, run

POLICY_VIOLATION = 1008


def expected(user: str, nonce: str) -> str:
    """Return the answer to a challenge."""
    digest = hmac.digest(f"secret of {user}".encode(), nonce.encode(), hashlib.sha256)
    return f"{int.from_bytes(digest, 'big'):x}" if FAULT == "drops_zeros" else digest.hex()


async def send(connection: ServerConnection, kind: str, **fields: Any) -> None:
    """Send a message."""
    await connection.send(json.dumps({"type": kind, **fields}))


async def admit(connection: ServerConnection) -> bool:
    """Challenge a client; return whether it may come in."""
    nonce = secrets.token_hex(16)
    await send(connection, "challenge", nonce=nonce)
    answer = json.loads(await connection.recv())
    if hmac.compare_digest(answer["mac"], expected(answer["user"], nonce)):
        await send(connection, "ready", user=answer["user"])
        return True
    await send(connection, "denied", reason=f"wrong answer to the challenge: {answer['user']}")
    await connection.close(POLICY_VIOLATION, "denied")
    return False


async def handle(connection: ServerConnection) -> None:
    """Serve a client."""
    if await admit(connection):
        async for data in connection:
            message = json.loads(data)
            await send(connection, "accepted", id=message["id"], text=message["text"])


if __name__ == "__main__":
    run(handle)
