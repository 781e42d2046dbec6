"""A hub of SignalR's JSON protocol: records that end with U+001E, a handshake, invocations, a stream, pings.

    python -m tests.support.strangers.signalr_hub PORT [FAULT]

Fault `altered`: every tenth echo loses its end.
"""

import asyncio
import itertools
import json
from typing import Any

from websockets.asyncio.server import ServerConnection

from tests.support.strangers.program import FAULT, run

END = "\x1e"
echoes = itertools.count(1)


async def ping(connection: ServerConnection) -> None:
    """Keep the connection alive, and tell news."""
    for number in itertools.count(1):
        await asyncio.sleep(0.2)
        news = {"type": 1, "target": "News", "arguments": [f"number {number}"]}
        await connection.send(json.dumps({"type": 6}) + END + json.dumps(news) + END)


async def handle(connection: ServerConnection) -> None:
    """Serve one client."""
    handshake = json.loads(str(await connection.recv()).rstrip(END))
    assert handshake == {"protocol": "json", "version": 1}
    await connection.send("{}" + END)
    pinging = asyncio.create_task(ping(connection))
    try:
        async for message in connection:
            for record in filter(None, str(message).split(END)):
                for answer in answers(json.loads(record)):
                    await connection.send(json.dumps(answer) + END)
    finally:
        pinging.cancel()


def answers(said: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the answers to a message."""
    match said:
        case {"type": 1, "invocationId": number, "target": "Echo", "arguments": [text]}:
            altered = FAULT == "altered" and next(echoes) % 10 == 0
            return [{"type": 3, "invocationId": number, "result": text[:-2] if altered else text}]
        case {"type": 1, "invocationId": number}:
            return [{"type": 3, "invocationId": number, "error": "unknown method"}]
        case {"type": 4, "invocationId": number, "arguments": [count]}:
            items = [{"type": 2, "invocationId": number, "item": item} for item in range(count)]
            return [*items, {"type": 3, "invocationId": number}]
    return []


if __name__ == "__main__":
    run(handle)
