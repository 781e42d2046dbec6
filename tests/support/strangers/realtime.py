"""A double of OpenAI's Realtime API that repeats what it is told; the package's types check all events.

    python -m tests.support.strangers.realtime PORT [FAULT]

Each message of a client must be an event of the published interface, and so is each message of the server.
The key is `secret`, in the header Authorization or in a subprotocol.

Faults:
    delta_lost: every 20th response lacks a delta, but has its whole text at the end.
    rate_limited: every 20th response fails.
"""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from typing import Any
from uuid import uuid4

from openai.types import realtime
from openai.types.realtime.realtime_response import RealtimeResponse
from openai.types.realtime.realtime_response_status import Error, RealtimeResponseStatus
from pydantic import TypeAdapter, ValidationError
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.support.strangers.program import FAULT, run

KEY = "openai-insecure-api-key."
PIECE = 16

client_events: TypeAdapter[Any] = TypeAdapter(realtime.RealtimeClientEvent)
server_events: TypeAdapter[Any] = TypeAdapter(realtime.RealtimeServerEvent)
responses = count(1)


def read(message: str | bytes) -> Any:
    """Return a client's event; the package's type for it lacks references to items, and has one for those."""
    content = json.loads(message)
    items = (content.get("response") or {}).get("input") or [{}]
    if items[0].get("type") != "item_reference":
        return client_events.validate_python(content)
    references = [realtime.ResponseItemReference.model_validate(item) for item in items]
    event: Any = client_events.validate_python({**content, "response": {**content["response"], "input": []}})
    event.response.input = references
    return event


class Session:
    """A connected client."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        self.said: dict[str, str] = {}
        self.in_conversation = False

    async def send(self, kind: str, **fields: Any) -> None:
        """Send an event, which must be one of the interface, unless the client is gone."""
        event = server_events.validate_python(
            {"type": kind, "event_id": f"event_{uuid4().hex[:16]}", **fields}
        )
        with suppress(ConnectionClosed):
            await self.connection.send(event.model_dump_json(exclude_none=True))

    async def error(self, message: str, code: str, event_id: str | None = None) -> None:
        """Send an error."""
        error = {"type": "invalid_request_error", "message": message, "code": code, "event_id": event_id}
        await self.send("error", error=error)

    @property
    def has_key(self) -> bool:
        """Whether the client has the key."""
        headers = self.connection.request.headers if self.connection.request else {}
        offered = str(headers.get("Sec-WebSocket-Protocol", ""))
        return headers.get("Authorization") == "Bearer secret" or f"{KEY}secret" in offered.split(", ")

    async def serve(self) -> None:
        """Read until the client is gone."""
        if not self.has_key:
            await self.error("Incorrect API key provided.", "invalid_api_key")
            await self.connection.close(3000, "invalid_request_error.invalid_api_key")
            return
        await self.send("session.created", session={"type": "realtime"})
        async with asyncio.TaskGroup() as tasks:
            with suppress(ConnectionClosed):  # without a closing handshake
                async for message in self.connection:
                    try:
                        event = read(message)
                    except ValidationError as error:
                        await self.error(str(error)[:200], "invalid_event")
                        continue
                    tasks.create_task(self.handle(event))

    async def handle(self, event: Any) -> None:
        """Do what the client wants."""
        match event.type:
            case "session.update":
                await self.send("session.updated", session=event.session.model_dump(exclude_none=True))
            case "conversation.item.create":
                self.said[event.item.id or uuid4().hex] = event.item.content[0].text
                for kind in ("added", "done"):
                    await self.send(
                        f"conversation.item.{kind}", item=event.item.model_dump(exclude_none=True)
                    )
            case "response.create":
                await self.respond(event)

    async def respond(self, event: Any) -> None:
        """Stream a response; a conversation has one at a time."""
        wanted = event.response
        if wanted is not None and wanted.conversation == "none":
            await self.stream(wanted.input[0].content[0].text, wanted.metadata)
        elif self.in_conversation:
            code = "conversation_already_has_active_response"
            await self.error("Conversation already has an active response", code, event.event_id)
        else:
            self.in_conversation = True
            referred = wanted.input[0].id if wanted and wanted.input else next(reversed(self.said))
            await self.stream(self.said[referred], wanted.metadata if wanted else None)
            self.in_conversation = False

    async def stream(self, prompt: str, metadata: dict[str, str] | None) -> None:
        """Stream what was said."""
        has_fault = next(responses) % 20 == 0
        text = f"You said: {prompt}"
        response = RealtimeResponse(id=f"resp_{uuid4().hex[:16]}", metadata=metadata, status="in_progress")
        await self.send("response.created", response=response.model_dump())
        if FAULT == "rate_limited" and has_fault:
            error = Error(type="server_error", code="rate_limit_exceeded", message="Rate limit reached")
            details = RealtimeResponseStatus(type="failed", error=error)
            failed = response.model_copy(update={"status": "failed", "status_details": details})
            await self.send("response.done", response=failed.model_dump())
            return
        where = {"response_id": response.id, "item_id": "item_1", "output_index": 0, "content_index": 0}
        for start in range(0, len(text), PIECE):
            await asyncio.sleep(0.005)
            if not (FAULT == "delta_lost" and has_fault and start == PIECE):
                await self.send("response.output_text.delta", delta=text[start : start + PIECE], **where)
        await self.send("response.output_text.done", text=text, **where)
        content = [{"type": "output_text", "text": text}]
        output = [{"type": "message", "role": "assistant", "content": content}]
        done = {**response.model_dump(), "status": "completed", "output": output}
        await self.send("response.done", response=done)


async def handle(connection: ServerConnection) -> None:
    """Serve a client."""
    await Session(connection).serve()


def subprotocol(_connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Return the subprotocol of browsers; other clients offer none."""
    return next((one for one in offered if one == "realtime"), None)


if __name__ == "__main__":
    run(handle, select_subprotocol=subprotocol)
