"""A language model as OpenAI-realtime-like APIs serve it: typed events, and answers in parts without ids.

    <- {"type": "session.created", "session": {"id": …}}
    -> {"type": "session.update", "session": {…}}              <- {"type": "session.updated", …}
    -> {"type": "conversation.item.create", "item": {… text …}} <- {"type": "conversation.item.created", …}
    -> {"type": "response.create"}         <- response.created, response.text.delta …, response.done

    python -m tests.support.strangers.realtime_llm PORT [FAULT]

Fault `broken_stream`: every fifth answer stops before its end.
"""

import asyncio
import itertools
import json
import uuid
from typing import Any

from websockets.asyncio.server import ServerConnection

from tests.support.strangers.program import FAULT, run

answers = itertools.count(1)


async def handle(connection: ServerConnection) -> None:
    """Serve one client."""

    async def tell(kind: str, **content: Any) -> None:
        await connection.send(
            json.dumps({"type": kind, "event_id": f"event_{uuid.uuid4().hex[:12]}", **content})
        )

    await tell("session.created", session={"id": f"sess_{uuid.uuid4().hex[:16]}", "model": "model-1"})
    async for message in connection:
        said = json.loads(message)
        match said["type"]:
            case "session.update":
                await tell("session.updated", session=said["session"])
            case "conversation.item.create":
                await tell(
                    "conversation.item.created", item={**said["item"], "id": f"item_{uuid.uuid4().hex[:12]}"}
                )
            case "response.create":
                await answer(tell)
            case _:
                await tell("error", error={"message": "unknown event"})


async def answer(tell: Any) -> None:
    """Stream one answer."""
    response = f"resp_{uuid.uuid4().hex[:12]}"
    broken = FAULT == "broken_stream" and next(answers) % 5 == 0
    await tell("response.created", response={"id": response})
    for word in ("I", " think", " so"):
        await tell("response.text.delta", response_id=response, delta=word)
        await asyncio.sleep(0.01)
    if not broken:
        await tell("response.done", response={"id": response, "status": "completed"})


if __name__ == "__main__":
    run(handle, subprotocols=["realtime"])
