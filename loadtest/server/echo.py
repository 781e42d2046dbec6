"""The echo endpoints, `/` and `/echo`: what comes in, text or binary, goes back; no session, no database."""

from starlette.websockets import WebSocket

from loadtest.server import frames
from loadtest.server.backend import Backend
from loadtest.server.connection import Connection, refuse
from loadtest.server.outbox import Outbox


async def echo(websocket: WebSocket) -> None:
    """Serve one upgrade request to its end; to the faults each is a first connect."""
    backend: Backend = websocket.app.state.backend
    if backend.faults.strikes("refuse_connect"):
        await refuse(websocket, backend, status=503, body="try again later")
        return
    connection = Connection(websocket, f"echo-{backend.counters.connections_accepted + 1}", backend)
    outbox = Outbox(connection.reply, backend.faults)

    async def talk() -> None:
        while True:
            frame = await connection.receive_frame()
            if backend.faults.strikes("corrupt_reply"):
                frame = frames.corrupted_frame(frame)
            await outbox.deliver((frame,))

    try:
        await connection.run(talk)
    finally:
        outbox.close()
