"""A JSON-RPC 2.0 server with the method `echo`, which takes up to 0.2 s: answers overtake each other.

    python -m tests.support.strangers.json_rpc PORT [FAULT]

Faults:
    ids_shared: results are remembered by request id alone, as if all clients counted together.
    internal_errors: every 40th request is answered with an internal error.
"""

import asyncio
import json
import random
from contextlib import suppress
from itertools import count
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from tests.support.strangers.program import FAULT, run

METHOD_NOT_FOUND = -32601
INTERNAL_ERROR = -32603

requests = count(1)
results: dict[Any, Any] = {}


async def call(request: dict[str, Any]) -> dict[str, Any]:
    """Return the member of the response that says how the call went."""
    if request["method"] != "echo":
        return {"error": {"code": METHOD_NOT_FOUND, "message": "Method not found"}}
    await asyncio.sleep(random.uniform(0, 0.2))
    if FAULT == "internal_errors" and next(requests) % 40 == 0:
        return {"error": {"code": INTERNAL_ERROR, "message": "Internal error: database is locked"}}
    result = {"text": request["params"]["text"]}
    if FAULT == "ids_shared":
        result = results.setdefault(request["id"], result)
    return {"result": result}


async def answer(connection: ServerConnection, message: str | bytes) -> None:
    """Answer one request."""
    request = json.loads(message)
    response = {"jsonrpc": "2.0", "id": request["id"], **await call(request)}
    with suppress(ConnectionClosed):  # the client is gone
        await connection.send(json.dumps(response))


async def handle(connection: ServerConnection) -> None:
    """Answer a client's requests, several at a time."""
    async with asyncio.TaskGroup() as calls:
        try:
            async for message in connection:
                calls.create_task(answer(connection, message))
        except ConnectionClosed:
            pass  # without a closing handshake


if __name__ == "__main__":
    run(handle)
