"""An echo server that keeps books of its own, without a WebSocket library: it shares no code with the tool.

    python -m tests.support.strangers.counting PORT [FAULT]

GET /counters answers with its books as JSON. It reads on after a failed send, until TCP ends: on one machine
everything that a client wrote arrives, even before an RST.

Faults:
    loses: the third of each ten messages of a connection gets no reply.
    CODE: the first 60 connections are closed with this code, reason "enough", in place of the tenth reply.
"""

import asyncio
import base64
import hashlib
import json
import socket
import struct
from collections import Counter
from contextlib import suppress

from tests.support.strangers.program import FAULT, PORT

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10

CLOSED = 60
"""Connections that a fault closes: all have ended long before a run does."""

books: Counter[str] = Counter()


class Client:
    """The server's side of a connection."""

    def __init__(self, sock: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._rest = b""
        self._messages = 0
        self._number = 0
        self._closing = False  # whether the server has begun the closing handshake

    async def serve(self) -> None:
        """Answer an HTTP request; if it is an upgrade, serve the WebSocket."""
        while b"\r\n\r\n" not in self._rest:
            if not await self._read():
                return
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        key = next(
            (line[19:] for line in head.split(b"\r\n") if line[:18].lower() == b"sec-websocket-key:"), b""
        )
        if b"upgrade" not in headers:
            body = json.dumps(books).encode()
            await self._write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            return
        books["upgrades"] += 1
        digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        accept = base64.b64encode(digest)
        books["opened"] += await self._write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %s\r\n\r\n" % accept
        )
        self._number = books["opened"]
        while await self._take() and await self._read():
            pass
        books["incomplete"] += bool(self._rest)
        books["ended"] += 1

    async def _read(self) -> bool:
        """Read what has come; return whether TCP goes on."""
        try:
            data = await self._loop.sock_recv(self._sock, 65536)
        except ConnectionError:
            books["reset"] += 1
            return False
        books["fin"] += not data
        self._rest += data
        return bool(data)

    async def _write(self, data: bytes) -> bool:
        """Send bytes; return whether the client was still there."""
        with suppress(OSError):
            await self._loop.sock_sendall(self._sock, data)
            return True
        return False

    async def _take(self) -> bool:
        """Take all whole frames; return whether the connection goes on."""
        while len(self._rest) >= 2:
            first, second = self._rest[:2]
            wide = {126: 2, 127: 8}.get(second & 127, 0)
            start = 6 + wide
            size = int.from_bytes(self._rest[2 : 2 + wide]) if wide else second & 127
            if not second & 128 or first & 15 not in (TEXT, BINARY, CLOSE, PING, PONG):
                return await self._violated(1002)
            if len(self._rest) < start + size:
                return True
            mask, payload = self._rest[start - 4 : start], self._rest[start : start + size]
            self._rest = self._rest[start + size :]
            payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
            if not await self._frame(first & 15, payload):
                return False
        return True

    async def _frame(self, opcode: int, payload: bytes) -> bool:
        if opcode == CLOSE:
            code = struct.unpack("!H", payload[:2])[0] if payload else 1005
            books[f"close {code}"] += 1
            if not self._closing:
                await self._send(CLOSE, payload[:2])
            return False
        if opcode == PING:
            await self._send(PONG, payload)
        if opcode not in (TEXT, BINARY):
            return True
        try:
            payload.decode() if opcode == TEXT else None
        except UnicodeDecodeError:
            return await self._violated(1007)
        books["received"] += 1
        self._messages += 1
        if self._closing:
            return True
        if FAULT and FAULT.isdigit() and self._messages == 10 and self._number <= CLOSED:
            return await self._close(int(FAULT), b"enough")
        if FAULT != "loses" or self._messages % 10 != 3:
            books["sent"] += await self._send(opcode, payload)
        return True

    async def _violated(self, code: int) -> bool:
        """Close because of a violation of RFC 6455; return whether the client's answer is awaited."""
        books[f"violations {code}"] += 1
        self._rest = b""
        return await self._close(code)

    async def _close(self, code: int, reason: bytes = b"") -> bool:
        """Begin the closing handshake; return whether the client's answer is awaited."""
        self._closing = True
        return await self._send(CLOSE, struct.pack("!H", code) + reason)

    async def _send(self, opcode: int, payload: bytes) -> bool:
        size = len(payload)
        length = bytes([size]) if size < 126 else struct.pack("!BH", 126, size)
        return await self._write(bytes([128 | opcode]) + length + payload)


async def serve(sock: socket.socket) -> None:
    """Serve one connection, and end TCP: with FIN, and not before the client has read what was sent."""
    books["connections"] += 1
    with sock:
        await Client(sock).serve()
        with suppress(OSError):
            sock.shutdown(socket.SHUT_WR)
            while await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 65536), timeout=2):
                pass


async def main() -> None:
    """Accept connections until the process ends."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", PORT), backlog=1024) as listening:
        listening.setblocking(False)
        async with asyncio.TaskGroup() as clients:
            while True:
                sock, _ = await loop.sock_accept(listening)
                sock.setblocking(False)
                clients.create_task(serve(sock))


if __name__ == "__main__":
    asyncio.run(main())
