"""A Socket.IO server by python-socketio: it acknowledges each event `message` with its text, and sends news.

It pings its clients every two seconds, and closes connections on which no pong comes within two seconds.

Fault `three_byte_text`: texts pass through a database that stores up to three bytes a character.
"""

import socketio
import uvicorn

from tests.support.strangers.program import FAULT, PORT

server = socketio.AsyncServer(async_mode="asgi", ping_interval=2, ping_timeout=2)


def stored(text: str) -> str:
    """Return a text as it comes back from the database."""
    if FAULT != "three_byte_text":
        return text
    return "".join(character if ord(character) < 0x10000 else "?" for character in text)


async def connect(sid: str, _environ: object, auth: dict[str, str] | None) -> None:
    """Let in who has the token."""
    if auth != {"token": "secret"}:
        raise socketio.exceptions.ConnectionRefusedError("not authorized")
    await server.emit("news", "welcome", to=sid)


async def message(_sid: str, said: dict[str, str]) -> dict[str, str]:
    """Acknowledge a message."""
    return {"text": stored(said["text"])}


server.on("connect", connect)
server.on("message", message)

if __name__ == "__main__":
    application = socketio.ASGIApp(server)
    uvicorn.run(application, host="127.0.0.1", port=PORT, log_level="warning")
