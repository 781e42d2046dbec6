"""A server of Phoenix channels: JSON arrays `[join_ref, ref, topic, event, payload]`.

    -> ["1", "1", "room:lobby", "phx_join", {}]       <- ["1", "1", "room:lobby", "phx_reply", {"status": …}]
    -> ["1", "2", "room:lobby", "shout", {"body": …}] <- phx_reply with the body, then a push `shouted`
    -> [null, "3", "phoenix", "heartbeat", {}]        <- phx_reply

A push to a topic that was not joined on this connection, or with another join_ref, is answered with an error.

    python -m tests.support.strangers.phoenix_channels PORT [FAULT]

Fault `altered`: every tenth body loses its end.
"""

import itertools
import json
from typing import Any

from websockets.asyncio.server import ServerConnection

from tests.support.strangers.program import FAULT, run

shouts = itertools.count(1)
bodies = itertools.count(1)


async def handle(connection: ServerConnection) -> None:
    """Serve one client."""
    joined: dict[str, str] = {}
    async for message in connection:
        join_ref, ref, topic, event, payload = json.loads(message)
        status, response = answer(joined, join_ref, topic, event, payload)
        reply = [join_ref, ref, topic, "phx_reply", {"status": status, "response": response}]
        await connection.send(json.dumps(reply))
        if event == "shout" and status == "ok":
            pushed = [None, None, topic, "shouted", {"count": next(shouts)}]
            await connection.send(json.dumps(pushed))


def answer(
    joined: dict[str, str], join_ref: str | None, topic: str, event: str, payload: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Return status and response of a reply."""
    if topic == "phoenix":
        return "ok", {}
    if event == "phx_join":
        joined[topic] = str(join_ref)
        return "ok", {"members": 1}
    if joined.get(topic) != join_ref:
        return "error", {"reason": "unmatched topic"}
    body = payload["body"]
    if FAULT == "altered" and next(bodies) % 10 == 0:
        body = body[:-2]
    return "ok", {"body": body}


if __name__ == "__main__":
    run(handle)
