"""TCP below asyncio: operations on a transport's socket that transports do not offer.

uvloop's sockets are not Python sockets: they have a descriptor and options, but neither `recv` nor
`shutdown`.
"""

import asyncio
import fcntl
import socket
import struct
import sys
import termios
from collections.abc import Callable

_RST_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger {on, 0 s}: close() sends RST (socket(7), SO_LINGER)


def has_unread(tcp: asyncio.Transport) -> bool:
    """Return whether the kernel has bytes that were not read."""
    # Not poll() or MSG_PEEK: gevent patches both, and uvloop's sockets have neither.
    unread = fcntl.ioctl(tcp.get_extra_info("socket").fileno(), termios.FIONREAD, bytes(4))
    return any(unread)


_BYTES_ACKED = 120
"""Offset of tcpi_bytes_acked, 64 bits, in struct tcp_info (linux/tcp.h)."""


def acknowledged_bytes(tcp: asyncio.Transport) -> int:
    """Return how many bytes the peer's kernel has acknowledged; 0 if the system does not provide it."""
    sock = tcp.get_extra_info("socket")
    if not hasattr(socket, "TCP_INFO") or sock is None or sock.fileno() < 0:
        return 0
    told = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_ACKED + 8)
    return int.from_bytes(told[_BYTES_ACKED:], sys.byteorder)


def cork(tcp: asyncio.Transport) -> None:
    """Hold back what is sent from now on, with TCP_CORK (tcp(7)) where the system has it."""
    sock = tcp.get_extra_info("socket")
    if hasattr(socket, "TCP_CORK") and sock.fileno() >= 0:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)


def reset_on_close(transport: asyncio.Transport) -> None:
    """Make the socket close with RST, which discards unsent data."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)


BYTES_PER_S = 200e6
"""Bytes a second that all connections of a loop may discard together: a few percent of a core."""

FRAMES_PER_S = 250e3
"""Frames a second that may be split although nobody needs them: a quarter of a core."""

BURST_NS = 10_000_000
"""How much of a second's allowance may be used at once."""


class Surplus:
    """Limits the rate at which all connections of a loop read bytes only to discard them.

    A server whose client is gone may push until it notices, and its FIN comes after what it has pushed. So
    reading is fast, and slows down only when the total would delay other sessions.

    Args:
        clock: returns monotonic nanoseconds.
    """

    __slots__ = ("_clock", "_until_ns")

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._until_ns = 0  # when what was read so far would have been read at the allowed rate

    def pause_s(self, size: int, frames: int = 0) -> float:
        """Return how many seconds the connection that has read this must pause."""
        now_ns = self._clock()
        needed_s = size / BYTES_PER_S + frames / FRAMES_PER_S
        self._until_ns = max(self._until_ns, now_ns - BURST_NS) + round(needed_s * 1e9)
        return max(0, self._until_ns - now_ns) / 1e9


class Silence(asyncio.Protocol):
    """Simulates a vanished client on an open TCP connection: reads, discards and never writes.

    It replaces the WebSocket, and TLS, on the transport: no pong, close frame or close_notify answers the
    server. It must read, because an unread FIN goes unnoticed. It differs from a lost network in one
    unavoidable way: the kernel acknowledges what the server sends, so the server's TCP never times out. The
    server must notice the silence, as it must behind a proxy.

    Args:
        ended: called when the server has sent FIN; the client's side stays open.
        lost: called with the error, if any, when the socket has closed.
        surplus: the loop's limit on reading to discard.
    """

    def __init__(
        self, ended: Callable[[], None], lost: Callable[[Exception | None], None], surplus: Surplus
    ) -> None:
        self._ended = ended
        self._lost = lost
        self._surplus = surplus
        self._tcp: asyncio.Transport | None = None

    def data_received(self, data: bytes) -> None:
        """Discard what the server sends."""
        pause_s = self._surplus.pause_s(len(data))
        if pause_s and self._tcp is not None:
            self._tcp.pause_reading()
            asyncio.get_running_loop().call_later(pause_s, self._read_on)

    def _read_on(self) -> None:
        if self._tcp is not None and not self._tcp.is_closing():
            self._tcp.resume_reading()

    def eof_received(self) -> bool:
        """Handle the server's FIN: returning True keeps the client's side open."""
        self._ended()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        """Handle the end of the socket."""
        self._lost(error)

    def take_over(self, tcp: asyncio.Transport) -> None:
        """Replace the transport's protocol."""
        self._tcp = tcp
        tcp.pause_reading()  # its way of reading is chosen when it starts
        tcp.set_protocol(self)
        tcp.resume_reading()
