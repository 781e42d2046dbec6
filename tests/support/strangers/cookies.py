"""An application on FastAPI that lets in who has logged in, from its own pages only.

POST /login takes user and password and sets a session cookie. /ws wants this cookie and the application's
Origin, and renews the cookie: each connection uses up the one that it came with. It greets with the user's
name and returns what it is sent.

Fault `renewal_lost`: the renewed cookie is sent but not stored.
"""

import secrets
from typing import Annotated

import uvicorn
from fastapi import Cookie, FastAPI, Header, HTTPException, Response, WebSocket, WebSocketDisconnect
from pydantic import BaseModel

from tests.support.strangers.program import FAULT, PORT

ORIGIN = "https://app.example.org"

app = FastAPI()
users: dict[str, str] = {}
"""Who is logged in, by the value of the cookie."""


class Credentials(BaseModel):
    """What the login form sends."""

    user: str
    password: str


def new_session(user: str) -> str:
    """Store a session; return the value of its cookie."""
    value = secrets.token_urlsafe(16)
    users[value] = user
    return value


@app.post("/login")
async def login(given: Credentials, response: Response) -> None:
    """Check the password, which is the user's name backwards."""
    if given.password != given.user[::-1]:
        raise HTTPException(403, "wrong user or password")
    response.set_cookie("session", new_session(given.user), httponly=True, samesite="lax")


@app.websocket("/ws")
async def conversation(
    websocket: WebSocket,
    session: Annotated[str | None, Cookie()] = None,
    origin: Annotated[str | None, Header()] = None,
) -> None:
    """Greet the user, then return each message."""
    user = users.pop(session or "", None)
    if user is None or origin != ORIGIN:
        await websocket.close()  # before accept(): answers 403
        return
    renewed = secrets.token_urlsafe(16) if FAULT == "renewal_lost" else new_session(user)
    await websocket.accept(headers=[(b"set-cookie", f"session={renewed}; HttpOnly; Path=/".encode())])
    try:
        await websocket.send_json({"type": "welcome", "user": user})
        while True:
            said = await websocket.receive_json()
            await websocket.send_json({"type": "message", "id": said["id"], "text": said["text"]})
    except WebSocketDisconnect:
        pass


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning")
