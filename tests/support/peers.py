"""A bare server for tests of the transport and the drops: scripts decide every byte that it sends.

It records what it receives, including FIN and RST. It runs on the test's own loop (not in a thread, which
gevent may have patched) and does TLS through memory BIOs, so that it sees the end of the TCP connection and
not only `close_notify`. wsproto, which shares no code with the transport under test, parses client frames.
"""

import asyncio
import base64
import hashlib
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import Any

from wsproto.frame_protocol import FrameProtocol, Opcode

from loadtest.events import Data, Lost

PATIENCE_S = 20.0
"""How long to wait for a condition before the test fails."""


async def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait until the condition is true; return its value."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + PATIENCE_S
    while not (value := condition()):
        assert loop.time() < deadline_s, f"waited in vain for {what}"
        await asyncio.sleep(0.001)
    return value


def open_sockets() -> int:
    """Return how many sockets and timerfds this process has open."""
    found = 0
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the descriptor of the listing itself
            name = os.readlink(f"/proc/self/fd/{descriptor}")
            found += name.startswith("socket:") or "timerfd" in name
    return found


class Ear:
    """A listener that records messages and the connection's end."""

    def __init__(self) -> None:
        self.messages: list[Data] = []
        self.losses: list[Lost] = []
        self.pings_ns: list[int] = []

    def received(self, data: Data) -> None:
        """Record a message; none may come after the end."""
        assert not self.losses
        self.messages.append(data)

    def ponged(self, took_ns: int) -> None:
        """Record the round trip of a ping."""
        self.pings_ns.append(took_ns)

    def lost(self, lost: Lost) -> None:
        """Record the end."""
        self.losses.append(lost)

    async def hear(self, count: int) -> list[Data]:
        """Wait for at least this many messages; return all so far."""
        await until(lambda: len(self.messages) >= count, f"{count} messages, heard {self.messages}")
        return self.messages

    async def end(self) -> Lost:
        """Wait for the end and return it; there must be exactly one."""
        await until(lambda: self.losses, "the end of the connection")
        assert len(self.losses) == 1
        return self.losses[0]


def server_frame(payload: str | bytes, *, opcode: int = 1, fin: bool = True, bits: int = 0) -> bytes:
    """Return a frame as a server sends it, unmasked (RFC 6455, section 5.2)."""
    data = payload.encode() if isinstance(payload, str) else payload
    if len(data) < 126:
        length = bytes([len(data)])
    elif len(data) < 65536:
        length = b"\x7e" + struct.pack("!H", len(data))
    else:
        length = b"\x7f" + struct.pack("!Q", len(data))
    return bytes([fin << 7 | bits | opcode]) + length + data


def close_frame(code: int | None = None, reason: str = "") -> bytes:
    """Return a server's close frame."""
    payload = b"" if code is None else struct.pack("!H", code) + reason.encode()
    return server_frame(payload, opcode=8)


def client_frames(data: bytes) -> list[tuple[Opcode, bytes | str]]:
    """Return opcode and payload of the frames a client sent after the upgrade; for a close, only the code.

    Raises:
        wsproto.frame_protocol.ParseFailed: the bytes violate RFC 6455.
    """
    protocol = FrameProtocol(client=False, extensions=[])
    protocol.receive_bytes(data)
    frames: list[tuple[Opcode, bytes | str]] = []
    for frame in protocol.received_frames():
        match frame.payload:
            case tuple((code, _reason)):  # a close frame's payload
                frames.append((frame.opcode, struct.pack("!H", code)))
            case str(text):
                frames.append((frame.opcode, text))
            case data:
                frames.append((frame.opcode, bytes(data)))
    return frames


def switching(request: bytes, *headers: str) -> bytes:
    """Return the response that accepts this upgrade request (RFC 6455, section 4.2.2)."""
    keys = (
        line.split(b":", 1)[1].strip()
        for line in request.split(b"\r\n")
        if line.lower().startswith(b"sec-websocket-key:")
    )
    key = next(keys, b"")
    assert key, "the client asked for something else than an upgrade: its health, say"
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
    lines = (
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept}",
        *headers,
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


class Line:
    """The bare server's side of a connection.

    Attributes:
        peer: the client's IP address.
        request: the upgrade request.
        received: bytes received after the upgrade, decrypted.
        end: how the client's side of TCP ended: "fin" or "reset"; None if it has not.
        said_goodbye: whether TLS announced the end (close_notify).
    """

    def __init__(self, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = tls.wrap_bio(self._incoming, self._outgoing, server_side=True) if tls else None
        self.peer: str = sock.getpeername()[0]
        self.request = b""
        self.received = b""
        self.end: str | None = None
        self.said_goodbye = False

    async def secure(self) -> bool:
        """Do the TLS handshake if this is a TLS connection; return whether it succeeded."""
        while self._tls is not None and self.end is None:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._pump()
                self._incoming.write(await self._receive())
            except ssl.SSLError:
                await self._last_words()
                return False
            else:
                await self._pump()
                break
        return self.end is None

    async def _last_words(self) -> None:
        """Send the TLS alert; some servers do not."""
        await self._pump()

    async def _pump(self) -> None:
        if self._outgoing.pending:
            await self._loop.sock_sendall(self._sock, self._outgoing.read())

    async def _receive(self) -> bytes:
        """Return the next bytes from the socket; empty at the end of TCP."""
        try:
            data = await self._loop.sock_recv(self._sock, 65536)
        except ConnectionResetError:
            self.end = "reset"
            return b""
        if not data:
            self.end = "fin"
        return data

    async def read(self) -> bytes:
        """Return the next bytes, decrypted; empty at the end of TCP."""
        if self._tls is None:
            return await self._receive()
        while not (plain := self._decrypted(self._tls)):
            data = await self._receive()
            if not data:
                return b""
            self._incoming.write(data)
        return plain

    def _decrypted(self, tls: ssl.SSLObject) -> bytes:
        plain = b""
        with suppress(ssl.SSLWantReadError):
            while not self.said_goodbye:
                try:
                    data = tls.read(65536)
                except ssl.SSLZeroReturnError:
                    data = b""
                self.said_goodbye = not data
                plain += data
        return plain

    async def send(self, data: bytes) -> None:
        """Send these bytes, encrypted on a TLS connection."""
        if self._tls is not None:
            self._tls.write(data)
            await self._pump()
        else:
            await self._loop.sock_sendall(self._sock, data)

    async def send_bare(self, data: bytes) -> None:
        """Send these bytes unencrypted, even on a TLS connection."""
        await self._loop.sock_sendall(self._sock, data)

    async def send_slowly(self, data: bytes) -> None:
        """Send every byte separately."""
        for position in range(len(data)):
            await self.send(data[position : position + 1])
            await asyncio.sleep(0)

    async def upgrade(self, *headers: str, then: bytes = b"") -> None:
        """Read the upgrade request and accept it; send `then` together with the response."""
        await self.hear_request()
        await self.send(switching(self.request, *headers) + then)

    async def hear_request(self) -> bytes:
        """Read the upgrade request and return it."""
        while b"\r\n\r\n" not in self.request:
            data = await self.read()
            assert data, "the client left before it had asked"
            self.request += data
        return self.request

    async def record(self) -> None:
        """Record received bytes until the client's side ends."""
        while data := await self.read():
            self.received += data

    async def hear(self, wanted: bytes) -> None:
        """Record received bytes until these are among them."""
        while wanted not in self.received:
            data = await self.read()
            assert data, f"the client left before it sent {wanted!r}"
            self.received += data

    def fin(self) -> None:
        """Close the server's side with FIN."""
        self._sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close the connection with RST."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()


Script = Callable[[Line], Awaitable[None]]


class BareServer:
    """A server made by `bare_server`.

    Attributes:
        port: the port it listens on.
        lines: all connections so far, in order.
        ended: how many scripts have ended.
    """

    def __init__(self, listening: socket.socket) -> None:
        self.port: int = listening.getsockname()[1]
        self.lines: list[Line] = []
        self.ended = 0

    async def line(self, number: int = 0) -> Line:
        """Wait for the connection with this number and return it."""
        await until(lambda: len(self.lines) > number, f"connection {number}")
        return self.lines[number]


@asynccontextmanager
async def bare_server(
    script: Script, tls: ssl.SSLContext | None = None, *, host: str = "127.0.0.1"
) -> AsyncIterator[BareServer]:
    """Run a server that runs the script for every connection; its errors fail the test."""
    loop = asyncio.get_running_loop()
    with ExitStack() as sockets:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = sockets.enter_context(socket.create_server((host, 0), family=family))
        listening.setblocking(False)
        server = BareServer(listening)

        async def serve(sock: socket.socket) -> None:
            line = Line(sock, tls)
            server.lines.append(line)
            if await line.secure():
                await script(line)
            sock.close()
            server.ended += 1

        async def accept() -> None:
            async with asyncio.TaskGroup() as connections:
                while True:
                    sock, _ = await loop.sock_accept(listening)
                    sockets.enter_context(sock)
                    sock.setblocking(False)
                    connections.create_task(serve(sock))

        accepting = loop.create_task(accept())
        try:
            yield server
        finally:
            accepting.cancel()
            with suppress(asyncio.CancelledError):
                await accepting
