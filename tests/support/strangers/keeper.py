"""An echo server that pings each second and lets go of clients that are gone; it counts its connections.

    python -m tests.support.strangers.keeper PORT [FAULT]

GET /metrics returns the gauge `ws_connections` in Prometheus' text format.

Faults:
    no_fin: after the closing handshake it leaves TCP open.
    no_pings: it never notices that a half-open client is gone.
    gauge_leaks: each third connection is never taken off the gauge.
    gauge_stands: the gauge is always 0.
"""

import itertools
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from tests.support.strangers.program import FAULT, run

FOR_EVER_S = 3600.0

numbers = itertools.count(1)
connections = 0


class NoFin(ServerConnection):
    """A connection of which only the WebSocket is closed."""

    def send_data(self) -> None:
        """Send what there is to send; empty data, which asks for FIN, is ignored."""
        for data in self.protocol.data_to_send():
            if data:
                self.transport.write(data)


async def handle(connection: ServerConnection) -> None:
    """Return what a client sends, and count the client as long as it is connected."""
    global connections  # the process is one server
    leaks = FAULT == "gauge_leaks" and next(numbers) % 3 == 0
    connections += 1
    try:
        async for message in connection:
            await connection.send(message)
    finally:
        connections -= not leaks


def metrics(connection: ServerConnection, request: Request) -> Response | None:
    """Answer GET /metrics; everything else is to become a WebSocket."""
    if request.path != "/metrics":
        return None
    shown = 0 if FAULT == "gauge_stands" else connections
    return connection.respond(HTTPStatus.OK, f"# TYPE ws_connections gauge\nws_connections {shown}\n")


if __name__ == "__main__":
    run(
        handle,
        process_request=metrics,
        create_connection=NoFin if FAULT == "no_fin" else ServerConnection,
        ping_interval=None if FAULT == "no_pings" else 1.0,
        ping_timeout=1.0,
        close_timeout=FOR_EVER_S if FAULT == "no_fin" else 1.0,
    )
