"""A JSON-RPC 2.0 server by jsonrpcserver: calls take up to 0.2 s, so their responses overtake each other.

    python -m tests.support.strangers.json_rpc PORT [FAULT]

It has the methods `echo` and `login`, sends news that are counted, and calls its clients: it closes
connections whose client has not answered within 4 s.

Faults:
    ids_shared: results are remembered by request id alone, as if all clients counted together.
    internal_errors: every 40th call is answered with an internal error.
    quiet: no fault, but it sends no news and calls nobody.
"""

import asyncio
import json
import random
from contextlib import suppress
from itertools import count
from typing import Any

from jsonrpcserver import Error, Result, Success, async_dispatch
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from tests.support.strangers.program import FAULT, run

INTERNAL_ERROR = -32603
NOT_AUTHORIZED = -32001

calls = count(1)
results: dict[Any, Any] = {}


async def echo(text: str) -> Result:
    """Return the text, after a while."""
    await asyncio.sleep(random.uniform(0, 0.2))
    if FAULT == "internal_errors" and next(calls) % 40 == 0:
        return Error(INTERNAL_ERROR, "Internal error: database is locked")
    return Success({"text": text})


async def login(user: str) -> Result:
    """Let everyone in but nobody."""
    return Error(NOT_AUTHORIZED, "no such user") if user == "nobody" else Success({"user": user})


def defective(response: Any) -> Any:
    """Return a response as the defect has it."""
    if FAULT == "ids_shared" and "result" in response:
        return {**response, "result": results.setdefault(response["id"], response["result"])}
    return response


class Client:
    """A connected client."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        self.has_answered = asyncio.Event()

    async def send(self, message: Any) -> None:
        """Send a message, unless the client is gone."""
        with suppress(ConnectionClosed):
            await self.connection.send(json.dumps(message))

    async def answer(self, message: str | bytes) -> None:
        """Answer a call, or a batch of them."""
        response = await async_dispatch(str(message), methods={"echo": echo, "login": login})
        await self.send(defective(json.loads(response)))

    async def tell_news(self) -> None:
        """Send notifications, five a second."""
        for number in count(1):
            await self.send({"jsonrpc": "2.0", "method": "news", "params": {"number": number}})
            await asyncio.sleep(0.2)

    async def ask(self) -> None:
        """Call the client."""
        await self.send({"jsonrpc": "2.0", "id": "ask-1", "method": "ask", "params": []})
        try:
            await asyncio.wait_for(self.has_answered.wait(), 4)
        except TimeoutError:
            await self.connection.close(4000, "the client answers no calls")

    async def serve(self) -> None:
        """Read until the client is gone; several calls run at a time."""
        async with asyncio.TaskGroup() as tasks:
            speaks = () if FAULT == "quiet" else (self.tell_news(), self.ask())
            own = [tasks.create_task(one) for one in speaks]
            with suppress(ConnectionClosed):  # without a closing handshake
                async for message in self.connection:
                    if json.loads(message) == {"jsonrpc": "2.0", "id": "ask-1", "result": {"ready": True}}:
                        self.has_answered.set()
                    else:
                        tasks.create_task(self.answer(message))
            for task in own:
                task.cancel()


async def handle(connection: ServerConnection) -> None:
    """Serve a client."""
    await Client(connection).serve()


if __name__ == "__main__":
    run(handle)
