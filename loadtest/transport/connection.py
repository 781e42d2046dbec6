"""One WebSocket: websockets' sans-I/O protocol between an asyncio transport and a listener.

The connection passes whole messages to its listener and reports its end once. After `detach` it reports
nothing more, so a socket may stay open after its session has moved on to another one. It is also the `Wire`
that drops act on. Errors here are the server's and become a `Lost`; no exception reaches the loop.
"""

import asyncio
import errno
import sys
from collections.abc import Callable

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import CONNECTING, OPEN
from websockets.typing import BytesLike
from websockets.uri import parse_uri

from loadtest.events import Data, Lost
from loadtest.transport import raw_tcp
from loadtest.transport.connection_end import by_close_frame, by_tcp, by_violation, without_close_frame
from loadtest.transport.frames import BINARY, LIBRARY, PING, PONG, TEXT, Masks, Splitter, masked_frame
from loadtest.transport.listener import Listener, discard
from loadtest.transport.wire_counts import WireCounts

_CLOSE_GRACE_S = 2.0
"""How long the server may take to close TCP after a close frame, ours or its own (RFC 6455, 7.1.1)."""

_UNSENT_LIMIT = 2**20
"""Bytes that may wait to be sent when a server pings without reading; beyond it the connection is lost."""

_PING = b"loadtest"

_MASKS = Masks()
_ANY_URI = parse_uri("ws://localhost/")  # for a protocol that starts after the upgrade
_CLOSE_FRAME = 0x88
"""First byte of a close frame (RFC 6455, section 5.2): FIN, opcode 8."""


class Connection(asyncio.Protocol):
    """A WebSocket from the first byte of the upgrade on.

    Args:
        client: the library's protocol, before the upgrade.
        clock: returns monotonic nanoseconds.
        sockets: the open connections; this one removes itself when its socket has closed.
        counts: of the process; this connection adds to them.

    Attributes:
        opened: done when the upgrade has ended, well or not; None afterwards.
        answered: whether the server answered the upgrade request, well or not.
        error: the exception that the socket ended with.
        loss: how the connection ended, None while it has not.
        tcp_ended: called once when the server has ended TCP, or the socket has closed for another reason. Set
            it to give a server that closes more than the usual time to do so.
        probe: see `loadtest.drops.kinds.Wire`.
        set_cookies: the Set-Cookie headers of the upgrade response.
    """

    __slots__ = (
        "_client",
        "_clock",
        "_counts",
        "_deliver",
        "_early",
        "_fragments",
        "_listener",
        "_loop",
        "_open",
        "_ping_sent_ns",
        "_pinged_ns",
        "_silent",
        "_sockets",
        "_splitter",
        "_tail",
        "_tcp",
        "_text",
        "_transport",
        "answered",
        "error",
        "loss",
        "opened",
        "probe",
        "set_cookies",
        "tcp_ended",
    )

    def __init__(
        self,
        client: ClientProtocol,
        clock: Callable[[], int],
        sockets: set["Connection"],
        counts: WireCounts,
    ) -> None:
        self._client: ClientProtocol | None = client
        self._sockets, self._counts = sockets, counts
        self._open = False  # whether messages can be sent
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._listener: Listener | None = None
        self._early: list[Data] | None = []  # messages before a listener is attached
        self._deliver: Callable[[Data], None] = self._early.append
        self._transport: asyncio.Transport | None = None
        self._tcp: asyncio.Transport | None = None  # the one below TLS, or the same
        self._fragments = bytearray()  # of an unfinished message
        self._text = False  # whether the fragments are text
        self._silent = False
        self._splitter: Splitter | None = None  # once the WebSocket is open
        self._tail = b""  # last bytes of the upgrade response, where its blank line may begin
        self._pinged_ns = clock()
        self._ping_sent_ns = 0  # 0 unless a ping waits for its pong
        self.opened: asyncio.Future[None] | None = self._loop.create_future()
        self.answered = False
        self.error: Exception | None = None
        self.loss: Lost | None = None
        self.tcp_ended: Callable[[], None] | None = None
        self.probe: Data | None = None
        self.set_cookies: tuple[str, ...] = ()

    # For the engine.

    def attach(self, listener: Listener) -> None:
        """Report to this listener from now on, and pass on the messages received so far."""
        self._listener, self._deliver = listener, listener.received
        early, self._early = self._early or (), None
        for message in early:
            self._deliver(message)  # the listener may detach on the way; the rest is then discarded
        if self.loss is not None and self._listener is not None:
            self.detach()
            listener.lost(self.loss)

    def detach(self) -> None:
        """Report nothing more."""
        self._listener = None
        self._deliver = discard

    def send(self, data: Data) -> None:
        """Send a whole message; do nothing if the connection is closing."""
        if not self._open or self._transport is None:
            return
        if isinstance(data, str):
            frame = masked_frame(TEXT, data.encode(), _MASKS.next())
        else:
            frame = masked_frame(BINARY, data, _MASKS.next())
        self._counts.sent += 1
        self._transport.write(frame)

    def close(self, code: int) -> None:
        """Close with the closing handshake; abort if that and closing TCP take longer than the grace."""
        self.resume_reading()
        self.send_close(code)
        self._loop.call_later(_CLOSE_GRACE_S, self.abort)

    def abort(self) -> None:
        """Close the socket at once, if it is still open."""
        if self._transport is not None:
            self._transport.abort()

    @property
    def transport(self) -> asyncio.Transport:
        """The socket's transport.

        Raises:
            ConnectionResetError: the connection has ended.
        """
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError(errno.ECONNRESET, "the connection ended")
        return self._transport

    def keep_alive(self, *, interval_ns: int, timeout_ns: int) -> None:
        """Send a ping if one is due; end the connection if a pong is overdue."""
        if self._silent or self.loss is not None:
            return
        now_ns = self._clock()
        if self._ping_sent_ns:
            if now_ns - self._ping_sent_ns > timeout_ns:
                self._end(without_close_frame("ping_timeout"))
                self.abort()
        elif now_ns - self._pinged_ns > interval_ns and self._open and self._transport is not None:
            self._pinged_ns = self._ping_sent_ns = now_ns
            self._transport.write(masked_frame(PING, _PING, _MASKS.next()))

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the TCP transport, then the TLS one if any; `upgrade` sends the upgrade request."""
        self._transport = transport  # type: ignore[assignment]  # always a Transport for streams
        if self._tcp is None:
            self._tcp = self._transport

    def upgrade(self, headers: tuple[tuple[str, str], ...]) -> None:
        """Send the upgrade request; these headers replace the library's of the same name."""
        client = self._library
        request = client.connect()
        for name, _ in headers:
            if name in request.headers:
                del request.headers[name]
        for name, value in headers:
            request.headers[name] = value
        client.send_request(request)
        self._counts.upgrades += 1
        self._flush(client)

    def data_received(self, data: bytes) -> None:
        """Pass on whole messages, and feed everything else to the library's protocol."""
        if self._splitter is None:
            data = self._answer_received(data)
            if self._splitter is None:
                return
        for opcode, piece in self._splitter.feed(data):
            if opcode == TEXT:
                self._text_received(piece)
            elif opcode == BINARY:
                self._counts.received += 1
                self._deliver(piece)
            elif opcode == LIBRARY:
                self._feed(piece)
            elif opcode == PING:
                self._pong(piece)
            elif piece == _PING:
                self._ping_sent_ns = 0

    def _answer_received(self, data: bytes) -> bytes:
        """Feed the upgrade response to the library's protocol; return the bytes after a successful one."""
        end = (self._tail + data).find(b"\r\n\r\n") + 4 - len(self._tail)
        if end >= 4 - len(self._tail):
            self._feed(data[:end])
            data = data[end:]
            client = self._library
            if client.state is OPEN:
                self._splitter = Splitter(client.max_message_size or sys.maxsize)
                self._open = True
                self._counts.opened += 1
                self._client = None
                return data
        self._tail = (self._tail + data)[-3:]
        self._feed(data)
        return b""

    def _feed(self, data: bytes) -> None:
        """Feed the library's protocol, then handle its output and events."""
        client = self._library
        client.receive_data(data)
        self._flush(client)
        for event in client.events_received():
            if isinstance(event, Frame):
                self._frame_received(event)
            elif isinstance(event, Response):
                self.set_cookies = tuple(event.headers.get_all("Set-Cookie"))
        if client.parser_exc is not None:
            self._protocol_failed(client.parser_exc)
        if self.opened is not None and (client.state is not CONNECTING or client.handshake_exc is not None):
            self.answered = True
            self._finish_upgrade()

    @property
    def _library(self) -> ClientProtocol:
        """The library's protocol: the one of the upgrade, or a new one that takes over between two frames.

        Most open connections never need it again, so the one of the upgrade is released: it takes a third of
        an idle session's memory.
        """
        if self._client is None:
            limit = self._splitter.limit if self._splitter is not None else None
            self._client = ClientProtocol(_ANY_URI, state=OPEN, max_size=limit)
        return self._client

    def _pong(self, payload: bytes) -> None:
        """Answer a ping (RFC 6455, section 5.5.2); end the connection if too many pongs are unsent."""
        if self._transport is None or self._silent:
            return
        self._transport.write(masked_frame(PONG, payload, _MASKS.next()))
        if self._transport.get_write_buffer_size() > _UNSENT_LIMIT:
            reason = "the server pings without reading the pongs"
            self._end(without_close_frame("not_reading", reason))
            self.abort()

    def eof_received(self) -> bool:
        """Handle the server's FIN: returning False makes the transport close itself."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Handle the end of the socket."""
        self._sockets.discard(self)
        self.error = error
        if self._splitter is None:
            self._library.receive_eof()
        self._finish_upgrade()
        self._end(by_tcp(error))
        self._transport = self._tcp = None
        self._tcp_has_ended()

    def _tcp_has_ended(self) -> None:
        """Report the end of TCP, once."""
        ended, self.tcp_ended = self.tcp_ended, None
        if ended is not None:
            ended()

    def _finish_upgrade(self) -> None:
        """Wake the task that waits for the upgrade; it checks the result itself."""
        if self.opened is not None and not self.opened.done():
            self.opened.set_result(None)

    def _frame_received(self, frame: Frame) -> None:
        if frame.opcode is Opcode.CLOSE:
            self._close_received()
        elif frame.opcode not in (Opcode.PING, Opcode.PONG):
            self._data_received(frame)

    def _data_received(self, frame: Frame) -> None:
        data = frame.data
        if frame.opcode is Opcode.CONT or not frame.fin:
            if frame.opcode is not Opcode.CONT:
                self._text = frame.opcode is Opcode.TEXT
            self._fragments += data
            if not frame.fin:
                return
            data, self._fragments = self._fragments, bytearray()
            text = self._text
        else:
            text = frame.opcode is Opcode.TEXT
        if text:
            self._text_received(data)
        else:
            self._counts.received += 1
            self._deliver(bytes(data))

    def _text_received(self, data: BytesLike) -> None:
        try:
            message = str(data, "utf-8")
        except UnicodeDecodeError as error:
            self._library.fail(1007, "invalid UTF-8")
            self._flush(self._library)
            self._protocol_failed(error)
            return
        self._counts.received += 1
        self._deliver(message)

    def _close_received(self) -> None:
        self._end(by_close_frame(self._library.close_rcvd))
        # The server should close TCP first (RFC 6455, section 7.1.1), so that TIME_WAIT stays on its side.
        self._loop.call_later(_CLOSE_GRACE_S, self._grace_over)

    def _grace_over(self) -> None:
        """Close the socket, unless somebody waits for the server to do so."""
        if self.tcp_ended is None:
            self.abort()

    def _protocol_failed(self, error: Exception) -> None:
        if self.loss is not None:
            return
        self._end(by_violation(error))
        self._loop.call_later(_CLOSE_GRACE_S, self._grace_over)

    def _end(self, lost: Lost) -> None:
        """Report the end of the connection, once."""
        if self.loss is not None:
            return
        self.loss = lost
        self._open = False
        listener = self._listener
        self.detach()
        if listener is not None:
            listener.lost(lost)

    def _flush(self, client: ClientProtocol) -> None:
        transport = self._transport
        for data in client.data_to_send():
            # Empty data asks for EOF. It is ignored: a failed upgrade is aborted by its caller, and after the
            # closing handshake the server closes TCP.
            if data and transport is not None and not self._silent:
                transport.write(data)
                if data[0] == _CLOSE_FRAME and client.close_sent is not None:
                    self._counts.closes[int(client.close_sent.code)] += 1

    @property
    def handshake_error(self) -> Exception | None:
        """Why the upgrade failed, None if it did not."""
        return self._client.handshake_exc if self._client is not None else None

    # loadtest.drops.kinds.Wire

    def send_close(self, code: int) -> None:
        """Begin the closing handshake."""
        if self._open:
            self._open = False
            self._library.send_close(code)
            self._flush(self._library)

    def send_message(self, data: Data) -> None:
        """Send a message outside the ledger."""
        self._counts.drop_sent += self._open and self._transport is not None
        self.send(data)

    def write_raw(self, data: bytes) -> None:
        """Write bytes to the socket as they are."""
        if self._transport is not None:
            self._transport.write(data)

    def pause_reading(self) -> None:
        """Stop reading from the socket; below TLS, whose own transport would keep reading ahead."""
        if self._tcp is not None and not self._tcp.is_closing():
            self._tcp.pause_reading()

    def has_unread(self) -> bool:
        """Return whether the kernel holds bytes that were not read."""
        return self._tcp is not None and not self._tcp.is_closing() and raw_tcp.has_unread(self._tcp)

    def resume_reading(self) -> None:
        """Resume reading."""
        if self._tcp is not None and not self._tcp.is_closing():
            self._tcp.resume_reading()

    def hold_back(self) -> None:
        """Hold back what is sent from now on."""
        if self._tcp is not None:
            raw_tcp.cork(self._tcp)

    def end_writing(self) -> None:
        """Send what was held back and FIN, below TLS, which has no half-closed connections."""
        self._open = False
        if self._tcp is not None and not self._tcp.is_closing():
            self._tcp.write_eof()

    def go_silent(self) -> None:
        """Stop writing and keepalive, and discard what is read, the connection's end included."""
        self._silent = True
        self._open = False
        self.detach()
        if self._tcp is not None and not self._tcp.is_closing():
            raw_tcp.Silence(self._tcp_has_ended, self._silence_lost).take_over(self._tcp)

    def _silence_lost(self, error: Exception | None) -> None:
        self.abort()  # the transport of TLS, if any, was not told
        self.connection_lost(error)

    def fin(self) -> None:
        """Close the socket with FIN after sending what is buffered, without a TLS close_notify.

        A killed process sends none, and TLS's own transport would wait for the server's before the FIN.
        """
        if self._tcp is not None:
            self._tcp.close()

    def reset(self) -> None:
        """Close the socket with RST."""
        if self._transport is not None:
            raw_tcp.reset_on_close(self._transport)
            self._transport.abort()
