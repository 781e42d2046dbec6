"""A chat server that lets a client in with a ticket, which its user fetches over HTTP and may use once.

    python -m tests.support.strangers.tickets PORT [FAULT]

Faults:
    cached: a cache in front of `POST /tickets` gives each user the same ticket again for a minute.
"""

import secrets
import time

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.support.strangers.program import FAULT, PORT

CACHED_S = 60

users: dict[str, str] = {}  # by unused ticket
cache: dict[str, tuple[float, str]] = {}  # time and ticket, by user


async def give_ticket(request: Request) -> JSONResponse:
    """Give a user a ticket."""
    user = (await request.json())["user"]
    given_s, ticket = cache.get(user, (0.0, ""))
    if FAULT != "cached" or not ticket or time.monotonic() - given_s > CACHED_S:
        ticket = secrets.token_urlsafe()
        users[ticket] = user
        cache[user] = time.monotonic(), ticket
    return JSONResponse({"ticket": ticket})


async def chat(websocket: WebSocket) -> None:
    """Serve a client with an unused ticket."""
    user = users.pop(websocket.query_params.get("ticket", ""), None)
    if user is None:
        await websocket.send_denial_response(PlainTextResponse("this ticket is unknown or used", 403))
        return
    await websocket.accept()
    await websocket.send_json({"type": "welcome", "user": user})
    try:
        while True:
            message = await websocket.receive_json()
            await websocket.send_json({**message, "type": "accepted"})
    except WebSocketDisconnect:
        pass


app = Starlette(
    routes=[Route("/tickets", give_ticket, methods=["POST"]), WebSocketRoute("/chat", chat)],
)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning")
