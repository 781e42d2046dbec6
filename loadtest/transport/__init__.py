"""The WebSocket on a socket, and the ways to break it. Only home of websockets and socket.

One transport for everything: the sans-I/O protocol of the websockets library, driven by an own
asyncio.Protocol. That costs half the CPU of the library's high-level client, and hands the socket to the
drops and each step's time to the recorder.
"""

from loadtest.transport.connection import Connection, Listener
from loadtest.transport.health import Health, ask_health
from loadtest.transport.opening import Dialer
from loadtest.transport.target import Target, Tls, check_reachable, check_source

__all__ = [
    "Connection",
    "Dialer",
    "Health",
    "Listener",
    "Target",
    "Tls",
    "ask_health",
    "check_reachable",
    "check_source",
]
