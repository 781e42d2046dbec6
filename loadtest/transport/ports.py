"""A free port on loopback, for a server that is about to be started."""

import socket

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """Return a TCP port of the loopback address that nothing listens on now."""
    with socket.socket() as bound:
        bound.bind((LOOPBACK, 0))
        port: int = bound.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Tell whether a server could listen on a TCP port of the loopback address."""
    with socket.socket() as bound:
        # As servers do: connections that have ended there do not keep the port, a listener does.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((LOOPBACK, port))
        except OSError:
            return False
        return True
