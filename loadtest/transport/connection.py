"""One WebSocket: websockets' sans-I/O protocol between an asyncio transport and a listener.

The connection passes whole messages to its listener and reports its end once. After `detach` it reports
nothing more, so a socket may stay open after its session has moved on to another one. It is also the `Wire`
that drops act on. The server's errors become a `Lost`; no exception reaches the loop.
"""

import asyncio
import errno
from collections.abc import Callable

from websockets.client import ClientProtocol
from websockets.extensions import Extension
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import CONNECTING, OPEN

from loadtest.events import Data, Lost
from loadtest.transport import raw_tcp
from loadtest.transport.backlog import Backlog
from loadtest.transport.connection_end import (
    by_close_frame,
    by_tcp,
    by_violation,
    close_for,
    without_close_frame,
)
from loadtest.transport.deflate import agreed
from loadtest.transport.frames import BINARY, PING, PONG, TEXT, Splitter, masked_frame
from loadtest.transport.inflow import KEEPALIVE, Inflow
from loadtest.transport.listener import Listener, discard
from loadtest.transport.meter import Limits
from loadtest.transport.unsent import FULL_BYTES, Unsent
from loadtest.transport.upgrade import Headers, Upgrade, between_frames
from loadtest.transport.wire_counts import WireCounts

_CLOSE_GRACE_S = 2.0
"""How long the server may take to close TCP after either side's close frame (RFC 6455, 7.1.1)."""

_UNSENT_LIMIT = 2**20
"""Limit on unsent bytes when a server pings without reading; above it the connection is lost."""
_EMPTY_FRAGMENTS = (bytes((TEXT, 0)), bytes((BINARY, 0)))
"""First bytes for the library if it takes over within a message (`loadtest.transport.frames`)."""

_CLOSE_FRAME = 0x88
"""First byte of a close frame (RFC 6455, section 5.2): FIN, opcode 8."""


class Connection(Inflow):
    """A WebSocket from the first byte of the upgrade on.

    Args:
        upgrade: upgrade of this connection.
        clock: returns monotonic nanoseconds.
        sockets: the open connections; this one removes itself when its socket has closed.
        counts: counts of the process; this connection adds to them.
        limits: limits on what the server may send in a second.
        backlog: backlog of the loop.

    Attributes:
        opened: done when the upgrade has succeeded or failed; None afterwards.
        answered: whether the server answered the upgrade request, with success or failure.
        error: the exception that the socket ended with.
        loss: how the connection ended, None while it is open.
        tcp_ended: called once when the server has ended TCP, or the socket has closed for another reason. If
            it is set, a closing server has more than the usual time.
        probe: see `loadtest.drops.kinds.Wire`.
        set_cookies: the Set-Cookie headers of the upgrade response.
        unsent: the unsent bytes while they are many; otherwise None.
    """

    __slots__ = (
        "_client",
        "_clock",
        "_pinged_ns",
        "_sockets",
        "_tail",
        "_upgrade",
        "answered",
        "error",
        "opened",
        "probe",
        "set_cookies",
        "tcp_ended",
        "unsent",
    )

    def __init__(
        self,
        upgrade: Upgrade,
        clock: Callable[[], int],
        sockets: set["Connection"],
        counts: WireCounts,
        limits: Limits,
        backlog: Backlog,
    ) -> None:
        self._client: ClientProtocol | None = None  # the library's protocol, where it is needed
        self._upgrade = upgrade
        super().__init__(clock, counts, limits, backlog)
        self._sockets = sockets
        self._clock = clock
        self._tail = b""  # last bytes of the upgrade response, where its blank line may begin
        self._pinged_ns = clock()
        self.opened: asyncio.Future[None] | None = self._loop.create_future()
        self.answered = False
        self.error: Exception | None = None
        self.tcp_ended: Callable[[], None] | None = None
        self.probe: Data | None = None
        self.unsent: Unsent | None = None
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
        """Stop reporting to the listener."""
        self._listener = None
        self._deliver = discard
        self.resume_writing()

    def send(self, data: Data) -> None:
        """Send a whole message; do nothing if the connection is closing."""
        transport = self._transport
        if not self._open or transport is None:
            return
        if self._deflate is not None:
            frame = self._deflate.frame(data)
        elif isinstance(data, str):
            frame = masked_frame(TEXT, data.encode())
        else:
            frame = masked_frame(BINARY, data)
        self._counts.sent += 1
        transport.write(frame)

    def close(self, code: int) -> None:
        """Close with the closing handshake; abort if it and closing TCP take longer than the grace period."""
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
                self.ping_missed("")
        elif now_ns - self._pinged_ns > interval_ns and self._open and self._transport is not None:
            self._pinged_ns = self._ping_sent_ns = now_ns
            self._transport.write(masked_frame(PING, KEEPALIVE))

    def ping_missed(self, reason: str) -> None:
        """End the connection: a pong or the application's ping is overdue, and is not among unread bytes."""
        if self.loss is None and not self._behind:
            self._end(without_close_frame("ping_timeout", reason))
            self.abort()

    def check_unsent(self, timeout_ns: int, *, excused: bool) -> None:
        """End the connection if the server does not read the messages sent to it; see `Unsent.flaw`."""
        if self.unsent is None or not self._transport or not self._tcp:
            return
        excused |= self._behind
        if flaw := self.unsent.flaw(self._transport, self._tcp, timeout_ns, excused=excused):
            self._end(without_close_frame("not_reading", flaw))
            self.abort()

    # asyncio.Protocol; `Inflow` has the rest

    def pause_writing(self) -> None:
        """Handle a full write buffer."""
        if self._open and self._listener is not None:
            self.unsent = Unsent(self._clock, self._loop.create_future())

    def resume_writing(self) -> None:
        """Handle a drained write buffer: resume those that wait for room."""
        if self.unsent is not None and not self.unsent.room.done():
            self.unsent.room.set_result(None)
        self.unsent = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the TCP transport, then the TLS one if any; `upgrade` sends the upgrade request."""
        self._transport = transport  # type: ignore[assignment]  # always a Transport for streams
        transport.set_write_buffer_limits(FULL_BYTES)  # type: ignore[attr-defined]
        self._tcp = self._tcp or self._transport

    def upgrade(self, headers: Headers) -> None:
        """Send the upgrade request; these headers replace its own of the same name."""
        self._counts.upgrades += 1
        if self._transport is not None:
            self._transport.write(self._upgrade.request(headers))

    def _answer_received(self, data: bytes) -> bytes:
        """Read the upgrade response; return the bytes after a successful one."""
        end = (self._tail + data).find(b"\r\n\r\n") + 4 - len(self._tail)
        if end >= 4 - len(self._tail):
            self._head_received(data[:end])
            data = data[end:]
            if self._open:
                return data
        self._tail = (self._tail + data)[-3:]
        self._feed(data)
        return b""

    def _head_received(self, head: bytes) -> None:
        upgrade = self._upgrade
        cookies = upgrade.plainly_accepted(head) if self._client is None else None
        if cookies is not None:
            self.set_cookies, self.answered = cookies, True
            self._upgraded([])
            self._finish_upgrade()
            return
        self._feed(head)
        client = self._library
        if client.state is OPEN:
            self._client = None
            self._upgraded(upgrade.accepted_by(client))

    def _upgraded(self, extensions: list[Extension]) -> None:
        limit = self._upgrade.max_message_bytes
        self._deflate = agreed(extensions, limit)
        self._splitter = Splitter(limit, compressed=self._deflate is not None)
        self._longest = self._splitter.longest
        self._open = True
        self._counts.opened_with(self._deflate)
        del self._upgrade  # it is over

    def _feed(self, data: bytes) -> None:
        """Feed the library's protocol, then handle its output and events."""
        client = self._library
        splitter = self._splitter
        if splitter is not None and splitter.room < splitter.limit and data[:2] in _EMPTY_FRAGMENTS:
            # The library takes over within a message: it must know how much of it has been read.
            client.receive_data(data[:2])
            data, client.current_size = data[2:], splitter.limit - splitter.room
        client.receive_data(data)
        self._flush(client)
        for event in client.events_received():
            if isinstance(event, Frame):
                if event.opcode is Opcode.CLOSE:
                    self._close_received()
            elif isinstance(event, Response):
                self.set_cookies = tuple(event.headers.get_all("Set-Cookie"))
        if client.parser_exc is not None:
            self._protocol_failed(client.parser_exc)
        if self.opened is not None and (client.state is not CONNECTING or client.handshake_exc is not None):
            self.answered = True
            self._finish_upgrade()

    @property
    def _library(self) -> ClientProtocol:
        """The library's protocol, created when needed: most connections never need it."""
        if self._client is None:
            splitter = self._splitter
            self._client = self._upgrade.library() if splitter is None else between_frames(splitter.limit)
        return self._client

    def _ponged(self) -> None:
        took_ns, self._ping_sent_ns = self._clock() - self._ping_sent_ns, 0
        if self._listener is not None:
            self._listener.ponged(took_ns)

    def _pong(self, payload: bytes) -> None:
        """Answer a ping (RFC 6455, section 5.5.2); end the connection if too many pongs are unsent."""
        if self._transport is None or self._mute:
            return
        self._transport.write(masked_frame(PONG, payload))
        if self._transport.get_write_buffer_size() > _UNSENT_LIMIT:
            reason = "the server sends pings but does not read the pongs"
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
        if self._client is not None:
            self._client.parser.close()  # it refers to the protocol, and that to it
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

    def flooded(self, reason: str) -> None:
        """End the connection because the server sends too much: close frame 1008, then RST."""
        if self.loss is None:
            self._fail(1008, "too much was sent")
            self._end(without_close_frame("flooded", reason))
            self.reset()

    def _violated(self, error: Exception) -> None:
        self._fail(*close_for(error))
        self._protocol_failed(error)

    def _fail(self, code: int, reason: str) -> None:
        """Fail the connection and tell the server why (RFC 6455, section 7.1.7)."""
        self._library.fail(code, reason)
        self._flush(self._library)

    def _close_received(self) -> None:
        self._end(by_close_frame(self._library.close_rcvd))
        # The server should close TCP first (RFC 6455, section 7.1.1), so that TIME_WAIT stays on its side.
        self._loop.call_later(_CLOSE_GRACE_S, self._grace_over)

    def _grace_over(self) -> None:
        """Close the socket, unless a drop waits for the server to do so."""
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
        self._longest = 0
        if self._splitter is not None:
            self._splitter.discard()
        listener = self._listener
        self.detach()
        if listener is not None:
            listener.lost(lost)

    def _flush(self, client: ClientProtocol) -> None:
        transport = self._transport
        for data in client.data_to_send():
            # Empty data asks for EOF. It is ignored: a failed upgrade is aborted by its caller, and after the
            # closing handshake the server closes TCP.
            if data and transport is not None and not self._mute:
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

    def has_unread(self) -> bool:
        """Return whether the kernel has bytes that were not read."""
        return self._tcp is not None and not self._tcp.is_closing() and raw_tcp.has_unread(self._tcp)

    def hold_back(self) -> None:
        """Hold back what is sent from now on."""
        if self._tcp is not None:
            raw_tcp.cork(self._tcp)

    def end_writing(self) -> None:
        """Send the held-back bytes and FIN, below TLS, which has no half-closed connections."""
        self._open, self._mute = False, True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write_eof()

    def go_silent(self) -> None:
        """Stop writing and keepalive, and discard everything read, including the connection's end."""
        self._silent = self._mute = True
        self._open = False
        self.detach()
        if self._tcp is not None and not self._tcp.is_closing():
            raw_tcp.Silence(self._tcp_has_ended, self._silence_lost, self._backlog.surplus).take_over(
                self._tcp
            )

    def _silence_lost(self, error: Exception | None) -> None:
        self.abort()  # the transport of TLS, if any, was not told
        self.connection_lost(error)

    def fin(self) -> None:
        """Close the socket with FIN after sending what is buffered, without a TLS close_notify.

        A killed process sends no close_notify.
        """
        if self._tcp is not None:
            self._tcp.close()

    def reset(self) -> None:
        """Close the socket with RST."""
        if self._transport is not None:
            raw_tcp.reset_on_close(self._transport)
            self._transport.abort()
