"""A connection through a proxy, until the proxy has connected to the server.

The WebSocket then uses the same socket, because drops need it. The effects of drops, such as RST and silence,
reach the proxy, which may pass them to the server in another form.
"""

import asyncio
import errno
import ssl

from loadtest.transport.proxies import ProxyRefused, Steps
from loadtest.transport.tls_stream import secure


class Tunnel(asyncio.Protocol):
    """Talks to a proxy until it has let the connection through.

    Args:
        steps: the exchange with the proxy.
    """

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._transport: asyncio.Transport | None = None
        self._tcp: asyncio.Transport | None = None
        self._begun = False
        self._early = b""  # what a proxy says before it is asked
        self._through: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket's transport, then that of TLS, if any."""
        self._transport = transport  # type: ignore[assignment]  # always a Transport for streams
        self._tcp = self._tcp or self._transport

    async def through(self, tls: ssl.SSLContext | None, name: str) -> None:
        """Return once the proxy has accepted the connection.

        Args:
            tls: the TLS context of the connection to the proxy, None for none.
            name: the proxy's name in TLS.

        Raises:
            ProxyRefused: the proxy refused the connection.
            OSError, EOFError: the connection ended.
        """
        assert self._tcp is not None
        if tls is not None:
            if self._early:
                raise ProxyRefused("bad_answer", "it sent data before the TLS handshake")
            await secure(self._tcp, self, tls, name)
            if self._through.done():
                raise EOFError
        self._begun = True
        self._go_on(b"")
        if self._early:
            self._go_on(self._early)
        await self._through

    def hand_over(self, connection: asyncio.Protocol) -> None:
        """Let another protocol use the connection from now on.

        Raises:
            ConnectionResetError: the connection has ended.
        """
        assert self._tcp is not None
        assert self._transport is not None
        if self._transport.is_closing():
            raise ConnectionResetError(errno.ECONNRESET, "the connection ended")
        connection.connection_made(self._tcp)
        if self._transport is not self._tcp:
            connection.connection_made(self._transport)
        self._transport.set_protocol(connection)
        self._transport.resume_reading()

    def abort(self) -> None:
        """Close the socket at once."""
        if self._tcp is not None:
            self._tcp.abort()

    def data_received(self, data: bytes) -> None:
        """Continue with the proxy's answer."""
        if self._begun:
            self._go_on(data)
        else:
            self._early += data

    def _go_on(self, data: bytes) -> None:
        if self._through.done() or self._transport is None:
            return
        try:
            said = self._steps.send(data) if data else next(self._steps)
        except StopIteration:
            self._transport.pause_reading()  # what comes next is for somebody else
            self._through.set_result(None)
        except ProxyRefused as refused:
            self._end(refused)
        else:
            self._transport.write(said)

    def eof_received(self) -> bool:
        """Handle the proxy's FIN: the transport closes itself."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Handle the end of the socket."""
        self._end(error or EOFError())

    def _end(self, error: Exception) -> None:
        if not self._through.done():
            self._through.set_exception(error)
            self._through.exception()  # or asyncio would complain of an attempt that was given up meanwhile
