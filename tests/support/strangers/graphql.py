"""A GraphQL server by Strawberry (graphql-transport-ws): a query answers at once, a subscription in pieces.

    python -m tests.support.strangers.graphql PORT [FAULT]

Clients log in with `Authorization: Bearer secret` in the payload of connection_init. The server pings its
clients each second, and closes connections on which three pongs are missing.

Faults:
    pool_exhausted: every 20th answer is an error.
    cut_off: every 20th streamed answer lacks its last piece.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import strawberry
import uvicorn
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler
from strawberry.subscriptions.protocols.graphql_transport_ws.types import ConnectionInitMessage, PongMessage

from tests.support.strangers.program import FAULT, PORT

answers = itertools.count(1)
streams = itertools.count(1)


def answer(text: str) -> str:
    """Return the answer to a text."""
    if next(answers) % 20 == 0 and FAULT == "pool_exhausted":
        raise RuntimeError("connection pool exhausted")
    return text


@strawberry.type
class Query:
    """What can be asked."""

    @strawberry.field
    async def answer(self, text: str) -> str:
        """Answer at once."""
        return answer(text)


@strawberry.type
class News:
    """News, counted on each connection."""

    number: int
    text: str


@strawberry.type
class Subscription:
    """What can be subscribed to."""

    @strawberry.subscription
    async def answer(self, text: str) -> AsyncIterator[str]:
        """Answer in three pieces."""
        whole = answer(text)
        cut_off = FAULT == "cut_off" and next(streams) % 20 == 0
        for start in range(0, len(whole), step := len(whole) // 3 + 1):
            await asyncio.sleep(0.01)
            if not (cut_off and start == 2 * step):
                yield whole[start : start + step]

    @strawberry.subscription
    async def news(self, topic: str) -> AsyncIterator[News]:
        """Tell news ten times a second."""
        for number in itertools.count(1):
            yield News(number=number, text=f"news of {topic}")
            await asyncio.sleep(0.1)


class PingingHandler(BaseGraphQLTransportWSHandler[Any, Any]):
    """A connection whose client must pong."""

    pinging: asyncio.Task[None] | None = None
    pongs = 0

    async def handle_connection_init(self, message: ConnectionInitMessage) -> None:
        """Begin to ping."""
        await super().handle_connection_init(message)
        self.pinging = asyncio.create_task(self.ping())

    async def handle_pong(self, message: PongMessage) -> None:
        """Take note of a pong."""
        self.pongs += 1

    async def ping(self) -> None:
        """Ping until three pongs are missing."""
        for pings in itertools.count(1):
            await self.send_message({"type": "ping"})
            await asyncio.sleep(1)
            if self.pongs < pings - 2:
                await self.websocket.close(code=4408, reason="no pongs")
                return

    async def shutdown(self) -> None:
        """End the connection."""
        if self.pinging is not None:
            self.pinging.cancel()
        await super().shutdown()


class Application(GraphQL[Any, Any]):
    """The server's endpoint."""

    graphql_transport_ws_handler_class = PingingHandler

    async def on_ws_connect(self, context: Any) -> Any:
        """Let in who has the token."""
        if context["connection_params"].get("Authorization") != "Bearer secret":
            raise ConnectionRejectionError
        return await super().on_ws_connect(context)


if __name__ == "__main__":
    application = Application(strawberry.Schema(query=Query, subscription=Subscription))
    uvicorn.run(application, host="127.0.0.1", port=PORT, log_level="warning")
