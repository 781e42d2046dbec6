"""One WebSocket: websockets' sans-I/O protocol between an asyncio transport and a listener.

The connection tells its listener of whole messages and, once, of its end; after `detach` it tells nothing,
so that a socket may linger while its session is long on another one. It is also the `Wire` that drops do
their harm to. What breaks here is the server's doing and becomes a `Lost`; nothing raises into the loop.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Protocol

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, PayloadTooBig, ProtocolError
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import OPEN

from loadtest.events import Data, Lost

_RST_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger {on, 0 s}: close() sends RST (socket(7), SO_LINGER)
_CLOSE_GRACE_S = 2.0
"""How long the server may take to close the TCP connection after the closing handshake (RFC 6455, 7.1.1)."""

ABNORMAL_CLOSURE = 1006


class Listener(Protocol):
    """Who hears what a connection has to say."""

    def received(self, data: Data) -> None:
        """A whole message came."""

    def lost(self, lost: Lost) -> None:
        """The connection ended; nothing more will come."""


class Connection(asyncio.Protocol):
    """A WebSocket from the first byte of the upgrade on.

    Args:
        client: the library's protocol, which has yet to connect.
        clock: returns monotonic nanoseconds.
    """

    __slots__ = (
        "_client",
        "_clock",
        "_early",
        "_ended",
        "_fragments",
        "_listener",
        "_loop",
        "_ping_sent_ns",
        "_pinged_ns",
        "_silent",
        "_transport",
        "opened",
        "sample",
    )

    def __init__(self, client: ClientProtocol, clock: Callable[[], int]) -> None:
        self._client = client
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._listener: Listener | None = None
        self._early: list[Data | Lost] | None = []  # what came with the upgrade's answer, before a listener
        self._transport: asyncio.Transport | None = None
        self._fragments: list[bytes] = []
        self._ended = False
        self._silent = False
        self._pinged_ns = clock()
        self._ping_sent_ns = 0  # of the ping that waits for its pong
        self.opened: asyncio.Future[None] | None = self._loop.create_future()
        self.sample: Data = ""

    # What the engine asks.

    def attach(self, listener: Listener) -> None:
        """Tell this listener from now on, and what came so far."""
        self._listener = listener
        early, self._early = self._early or (), None
        for told in early:
            if isinstance(told, Lost):
                listener.lost(told)
            else:
                listener.received(told)

    def detach(self) -> None:
        """Tell nobody any more."""
        self._listener = None

    def send(self, data: Data) -> None:
        """Send a whole message, unless the connection is closing."""
        client = self._client
        if client.state is not OPEN or self._silent:
            return
        if isinstance(data, str):
            client.send_text(data.encode())
        else:
            client.send_binary(data)
        self._flush()

    def close(self, code: int) -> None:
        """Close in good order: the closing handshake, then TCP, each within its time."""
        self.resume_reading()
        self.send_close(code)
        self._loop.call_later(_CLOSE_GRACE_S, self.abort)

    def abort(self) -> None:
        """Close the socket at once, if it still is open."""
        if self._transport is not None:
            self._transport.abort()

    @property
    def transport(self) -> asyncio.Transport:
        """The socket's transport; there is one until the connection is lost."""
        assert self._transport is not None
        return self._transport

    def keep_alive(self, *, interval_ns: int, timeout_ns: int) -> None:
        """Send a ping when one is due; give the connection up when one was not answered in time."""
        if self._silent or self._ended:
            return
        now_ns = self._clock()
        if self._ping_sent_ns:
            if now_ns - self._ping_sent_ns > timeout_ns:
                self._end(Lost(code=ABNORMAL_CLOSURE, reason="", cause="ping_timeout"))
                self.abort()
        elif now_ns - self._pinged_ns > interval_ns and self._client.state is OPEN:
            self._pinged_ns = self._ping_sent_ns = now_ns
            self._client.send_ping(b"loadtest")
            self._flush()

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the TCP connection, or the TLS one above it; the upgrade request is sent by `upgrade`."""
        self._transport = transport  # type: ignore[assignment]  # a stream's transport always is one

    def upgrade(self, headers: tuple[tuple[str, str], ...]) -> None:
        """Send the upgrade request, with these headers added to the protocol's own."""
        request = self._client.connect()
        for name, value in headers:
            request.headers[name] = value
        self._client.send_request(request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Feed the protocol and pass on what it made of the bytes."""
        client = self._client
        client.receive_data(data)
        if client.writes:
            self._flush()
        for event in client.events_received():
            if isinstance(event, Frame):
                self._frame_received(event)
            else:
                self._finish_upgrade()
        if client.parser_exc is not None:
            self._protocol_failed(client.parser_exc)

    def eof_received(self) -> bool:
        """Take the server's FIN: the transport closes itself."""
        if not self._client.reader.eof:
            self._client.receive_eof()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Take the end of the socket."""
        if not self._client.reader.eof:
            self._client.receive_eof()
        self._finish_upgrade()
        cause = "eof" if error is None else "tls" if isinstance(error, ssl.SSLError) else "reset"
        self._end(Lost(code=ABNORMAL_CLOSURE, reason="", cause=cause))
        self._transport = None

    def _finish_upgrade(self) -> None:
        """Wake who waits for the upgrade; it looks at the protocol to see how it went."""
        if self.opened is not None and not self.opened.done():
            self.opened.set_result(None)

    def _frame_received(self, frame: Frame) -> None:
        opcode = frame.opcode
        if opcode is Opcode.PONG:
            self._ping_sent_ns = 0
        elif opcode is Opcode.CLOSE:
            self._close_received()
        elif opcode is not Opcode.PING:
            self._data_received(frame)

    def _data_received(self, frame: Frame) -> None:
        data = bytes(frame.data)
        if frame.opcode is Opcode.CONT or not frame.fin:
            self._fragments.append((b"t" if frame.opcode is Opcode.TEXT else b"b") + data)
            if not frame.fin:
                return
            text = self._fragments[0][:1] == b"t"
            data = b"".join(fragment[1:] for fragment in self._fragments)
            self._fragments.clear()
        else:
            text = frame.opcode is Opcode.TEXT
        try:
            message = data.decode() if text else data
        except UnicodeDecodeError:
            self._client.fail(1007, "invalid UTF-8")
            self._flush()
            self._end(Lost(code=ABNORMAL_CLOSURE, reason="", cause="invalid_utf8"))
            return
        if self._listener is not None:
            self._listener.received(message)
        elif self._early is not None:
            self._early.append(message)

    def _close_received(self) -> None:
        close = self._client.close_rcvd or Close(ABNORMAL_CLOSURE, "")
        self._end(Lost(code=int(close.code), reason=close.reason, cause=str(int(close.code))))
        # The server closes the TCP connection first (RFC 6455, section 7.1.1), so TIME_WAIT stays with it.
        self._loop.call_later(_CLOSE_GRACE_S, self.abort)

    def _protocol_failed(self, error: Exception) -> None:
        if isinstance(error, PayloadTooBig):
            cause = "message_too_big"
        elif isinstance(error, ProtocolError):
            cause = "protocol_error"
        else:
            cause = "invalid_utf8" if isinstance(error, UnicodeDecodeError) else "eof"
        self._end(Lost(code=ABNORMAL_CLOSURE, reason=str(error)[:120], cause=cause))
        self._loop.call_later(_CLOSE_GRACE_S, self.abort)

    def _end(self, lost: Lost) -> None:
        """Tell the end, once."""
        if self._ended:
            return
        self._ended = True
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.lost(lost)
        elif self._early is not None:
            self._early.append(lost)

    def _flush(self) -> None:
        transport = self._transport
        for data in self._client.data_to_send():
            if transport is None or self._silent:
                return
            if data:
                transport.write(data)
            elif transport.can_write_eof():
                transport.write_eof()
            else:
                transport.close()  # TLS has no half-close

    @property
    def handshake_error(self) -> Exception | None:
        """Why the upgrade failed, None if it did not."""
        if self._client.state is OPEN:
            return None
        return self._client.handshake_exc or InvalidHandshake("the connection ended before the upgrade")

    # loadtest.drops.Wire

    def send_close(self, code: int) -> None:
        """Begin the closing handshake."""
        if self._client.state is OPEN:
            self._client.send_close(code)
            self._flush()

    def send_message(self, data: Data) -> None:
        """Send a message that no ledger knows."""
        self.send(data)

    def write_raw(self, data: bytes) -> None:
        """Write bytes to the socket as they are."""
        if self._transport is not None:
            self._transport.write(data)

    def pause_reading(self) -> None:
        """Stop reading from the socket."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def go_silent(self) -> None:
        """Stop reading, writing and keepalive."""
        self._silent = True
        self.pause_reading()

    def fin(self) -> None:
        """Close the socket in good order, after what is still to be written."""
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """Close the socket with RST."""
        if self._transport is None:
            return
        sock = self._transport.get_extra_info("socket")
        if sock is not None and sock.fileno() >= 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
        self._transport.abort()
