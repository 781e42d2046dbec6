"""A free port, for programs that do not accept port 0."""

import random
import socket
from contextlib import suppress

_PORTS = range(15_000, 32_768)
"""Below those that Linux gives to clients: no connection of another test takes one meanwhile."""


def free_port() -> int:
    """Return a loopback port that was free a moment ago.

    Raises:
        OSError: none is free.
    """
    for port in random.SystemRandom().sample(_PORTS, 1000):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise OSError("no port is free")
