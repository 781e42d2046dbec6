"""TLS between a transport and a protocol, with less CPU per message and connection than asyncio's.

It uses CPython's `ssl` with two memory buffers, as asyncio does, but without what a WebSocket client does not
need: extra queues, copies into them, timers, and an exception for each read. The transport below remains
accessible, because drops end it below TLS. A connection ends as in asyncio:

    close_notify of the server     answered, then FIN                connection_lost(None)
    FIN without it                 not an error (RFC 6455 has its own closing handshake)
    its alert, or a bad record     answered with an alert, aborted   connection_lost(SSLError)

Data received before the end is delivered first.
"""

import asyncio
import errno
import ssl
from contextlib import suppress
from typing import Any

_RECORD_BYTES = 2**14
"""The largest plaintext of a record (RFC 8446, section 5.1): each read takes a whole one."""

_NO_EXTRA: dict[str, Any] = {}


async def secure(
    below: asyncio.Transport, protocol: asyncio.Protocol, context: ssl.SSLContext, server_name: str
) -> None:
    """Do the TLS handshake; the protocol's `connection_made` is called with the TLS transport.

    Args:
        below: a transport, of TCP or of TLS.
        protocol: protocol of the transport, and of the new TLS transport.
        context: TLS context: certificates, versions and options.
        server_name: name sent to the server (SNI) and checked against its certificate.

    Raises:
        OSError: the handshake failed; an `ssl.SSLError` if TLS is the reason. The transport is aborted, and
            the protocol's `connection_lost` is not called.
    """
    try:  # without a variable for the stream: an error's traceback holds this frame, and the stream the error
        await TlsStream(below, protocol, context, server_name).shaken
    except BaseException:
        below.abort()
        raise


class TlsStream(asyncio.Protocol, asyncio.Transport):
    """The protocol of the transport below, and the transport of the protocol above.

    Args: see `secure`.

    Attributes:
        shaken: done when the handshake has ended.
    """

    __slots__ = (
        "_below",
        "_closing",
        "_deliver",
        "_error",
        "_incoming",
        "_made",
        "_muted",
        "_outgoing",
        "_paused",
        "_protocol",
        "_tls",
        "_unwritten",
        "shaken",
    )

    def __init__(
        self, below: asyncio.Transport, protocol: asyncio.Protocol, context: ssl.SSLContext, server_name: str
    ) -> None:
        super().__init__(_NO_EXTRA)
        self._below = below
        self._protocol = protocol
        self._deliver = protocol.data_received
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        self._unwritten: list[bytes] = []  # while the server renegotiates (TLS 1.2)
        self._made = False  # whether the handshake has succeeded
        self._closing = False
        self._paused = False
        self._muted = False  # whether the side below was closed for writing
        self._error: Exception | None = None  # what the connection ended with
        self.shaken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        below.set_protocol(self)
        self._shake_hands()

    # asyncio.Protocol: what comes from below

    def data_received(self, data: bytes) -> None:
        """Decrypt the complete records, and deliver their content at once."""
        self._incoming.write(data)
        if not self._made and not self._shake_hands():
            return
        if not self._paused:
            self._read()

    def eof_received(self) -> bool:
        """Handle FIN: returning False makes the transport below close itself."""
        self._fail_handshake(ConnectionResetError())
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Notify the protocol, if the handshake had succeeded."""
        problem = "the connection ended during the TLS handshake"
        self._fail_handshake(error or ConnectionResetError(errno.ECONNRESET, problem))
        self._closing = True
        if self._made:
            self._protocol.connection_lost(error or self._error)

    def pause_writing(self) -> None:
        """Pass it on: unsent bytes wait in the transport below."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._protocol.resume_writing()

    def _shake_hands(self) -> bool:
        """Continue the handshake; return whether it is complete."""
        if self._closing:
            return False
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except ssl.SSLError as error:
            self._flush()  # an alert
            self._fail_handshake(error.with_traceback(None))  # that would hold this stream, and it the error
            return False
        self._flush()
        self._made = True
        self._protocol.connection_made(self)
        if not self.shaken.done():  # cancelled: nobody waits any more
            self.shaken.set_result(None)
        return True

    def _fail_handshake(self, error: Exception) -> None:
        if not self._made:
            self._closing = True
            if not self.shaken.done():
                self.shaken.set_exception(error)

    def _read(self) -> None:
        parts, ended = [], False
        incoming, decrypt = self._incoming, self._tls.read
        try:
            while incoming.pending:  # or the last read would cost an exception
                part = decrypt(_RECORD_BYTES)
                if not part:
                    ended = True
                    break
                parts.append(part)
        except ssl.SSLError as error:
            ended = self._is_end(error)
        if self._outgoing.pending:  # the answer to a KeyUpdate, or an alert
            self._flush()
        if parts:
            self._deliver(parts[0] if len(parts) == 1 else b"".join(parts))
        if ended:
            self._ended()
        elif self._unwritten:
            self._write_on()

    def _is_end(self, error: ssl.SSLError) -> bool:
        if isinstance(error, ssl.SSLWantReadError):
            return False  # a record that is not complete, or none with data
        if not isinstance(error, ssl.SSLZeroReturnError):  # close_notify, after ours
            self._error = error
        return True

    def _ended(self) -> None:
        """Handle the end of TLS, unless a drop has taken over the transport below meanwhile."""
        if not self._is_in_use:
            return
        if self._error is not None:
            self.abort()
        else:
            self._protocol.eof_received()
            self.close()

    @property
    def _is_in_use(self) -> bool:
        """Whether the transport below still uses this protocol; it may be TLS too, to a proxy."""
        below = self._below
        return below.get_protocol() is self and (not isinstance(below, TlsStream) or below._is_in_use)

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data and not self._muted:
            self._below.write(data)

    # asyncio.Transport: what the protocol above does

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send."""
        if self._unwritten or self._closing:
            self._put_off(bytes(data))
            return
        try:
            self._tls.write(data)
        except ssl.SSLWantReadError:
            self._put_off(bytes(data))
        except ssl.SSLError as error:
            self._error = error
            self.abort()
        else:
            self._below.write(self._outgoing.read())

    def _put_off(self, data: bytes) -> None:
        if not self._closing:
            self._unwritten.append(data)

    def _write_on(self) -> None:
        """Send the data that had to wait for the server's renegotiation."""
        waiting, self._unwritten = self._unwritten, []
        for data in waiting:
            self.write(data)

    def write_eof(self) -> None:
        """Send the unsent bytes, then FIN without close_notify; nothing can be written afterwards."""
        self._closing = self._muted = True
        self._below.write_eof()

    def can_write_eof(self) -> bool:
        """Return True: see `write_eof`."""
        return True

    def close(self) -> None:
        """Send close_notify and close, without waiting for the server's (RFC 8446, section 6.1)."""
        if not self._closing:
            self._closing = True
            with suppress(ssl.SSLError):  # the server's has not come
                self._tls.unwrap()
            self._flush()
        self._below.close()

    def abort(self) -> None:
        """Close at once."""
        self._closing = True
        self._below.abort()

    def is_closing(self) -> bool:
        """Return whether the connection is closing or closed."""
        return self._closing or self._below.is_closing()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Set the protocol above."""
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol
        self._deliver = protocol.data_received

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol above."""
        return self._protocol

    def is_reading(self) -> bool:
        """Return whether received data is delivered."""
        return not self._paused and self._below.is_reading()

    def pause_reading(self) -> None:
        """Stop delivering until `resume_reading`."""
        self._paused = True
        self._below.pause_reading()

    def resume_reading(self) -> None:
        """Resume delivery, soon, beginning with what was received meanwhile."""
        if self._paused:
            self._paused = False
            asyncio.get_running_loop().call_soon(self._read_on)
        self._below.resume_reading()

    def _read_on(self) -> None:
        if not self._paused and not self._closing:
            self._read()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the limits at which the protocol must pause writing."""
        self._below.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return the number of unsent bytes."""
        return self._below.get_write_buffer_size() + sum(map(len, self._unwritten))

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the limits."""
        return self._below.get_write_buffer_limits()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return `ssl_object`, or the information of the transport below."""
        return self._tls if name == "ssl_object" else self._below.get_extra_info(name, default)
