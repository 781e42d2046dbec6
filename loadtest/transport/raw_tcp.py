"""TCP below asyncio: what a transport cannot say or do by itself, through its socket's options.

uvloop's sockets are not Python's: they have neither `recv` nor `shutdown`, but a descriptor and options.
"""

import asyncio
import fcntl
import socket
import struct
import termios
from collections.abc import Callable

_RST_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger {on, 0 s}: close() sends RST (socket(7), SO_LINGER)


def has_unread(tcp: asyncio.Transport) -> bool:
    """Return whether the kernel holds bytes that were not read."""
    # Not poll() or MSG_PEEK: gevent patches both, and uvloop's sockets have neither.
    unread = fcntl.ioctl(tcp.get_extra_info("socket").fileno(), termios.FIONREAD, bytes(4))
    return any(unread)


def cork(tcp: asyncio.Transport) -> None:
    """Hold back what is sent from now on: with TCP_CORK (tcp(7)), where the system has it."""
    sock = tcp.get_extra_info("socket")
    if hasattr(socket, "TCP_CORK") and sock.fileno() >= 0:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)


def reset_on_close(transport: asyncio.Transport) -> None:
    """Have the socket closed with RST, which discards unsent data."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)


class Silence(asyncio.Protocol):
    """A client that is gone, on a TCP connection that is not: reads and discards, and never writes.

    It takes the place of the WebSocket, and of TLS, on the transport: no pong, close frame or close_notify
    answers the server. It has to read, because an unread FIN goes unnoticed. A lost network differs in one
    way that cannot be helped: here the kernel acknowledges what the server sends, so the server's TCP never
    times out by itself. The server has to notice the silence, as it must behind a proxy.

    Args:
        ended: called when the server has sent FIN; the client's side stays open.
        lost: called with the error, if any, when the socket has closed.
    """

    def __init__(self, ended: Callable[[], None], lost: Callable[[Exception | None], None]) -> None:
        self._ended = ended
        self._lost = lost

    def eof_received(self) -> bool:
        """Handle the server's FIN: returning True keeps the client's side open."""
        self._ended()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        """Handle the end of the socket."""
        self._lost(error)

    def take_over(self, tcp: asyncio.Transport) -> None:
        """Take the place of the transport's protocol."""
        tcp.pause_reading()  # its way of reading is chosen when it starts
        tcp.set_protocol(self)
        tcp.resume_reading()
