"""A WebSocket echo server with little overhead, so that a benchmark measures its client.

    python tests/benchmarks/echo_server.py [PORT] [--tls FILE]            prints the port it listens on

The websockets library does the handshake. Then the server itself unmasks whole masked frames below 64 KiB and
sends them back. Loopback only. The server ends when its standard input closes. Several servers may share a
port, because one process can open only a limited number of files; the system distributes connections among
them.

With --tls it uses TLS 1.3 from aiofastnet: uvloop's TLS takes twice the time, so clients in a closed loop
would wait for the server.
"""

import argparse
import asyncio
import resource
import ssl
import sys
from pathlib import Path
from typing import Any

import uvloop
from websockets.http11 import Request
from websockets.server import ServerProtocol


class Echo(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self.handshake: ServerProtocol | None = ServerProtocol()
        self.rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]  # a stream's always is one

    def data_received(self, data: bytes) -> None:
        if self.handshake is None:
            self.echo(self.rest + data if self.rest else data)
            return
        server = self.handshake
        server.receive_data(data)
        for request in server.events_received():
            assert isinstance(request, Request)
            server.send_response(server.accept(request))
            self.transport.writelines(server.data_to_send())
            self.handshake = None

    def echo(self, data: bytes) -> None:
        """Send back every whole data frame; a close frame ends the connection."""
        at, answers = 0, []
        while len(data) - at >= 6:
            length, head = data[at + 1] & 127, 2
            if length == 126:
                length, head = int.from_bytes(data[at + 2 : at + 4], "big"), 4
            end = at + head + 4 + length
            if end > len(data):
                break
            mask = data[at + head : at + head + 4]
            payload = data[at + head + 4 : end]
            key = (mask * (length // 4 + 1))[:length]
            plain = (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(length, "big")
            opcode = data[at] & 15
            size = bytes((length,)) if length < 126 else b"\x7e" + length.to_bytes(2, "big")
            answers.append(bytes((0x80 | (10 if opcode == 9 else opcode),)) + size + plain)
            at = end
            if opcode == 8:
                self.transport.write(b"".join(answers))
                self.transport.close()
                return
        self.rest = data[at:]
        if answers:
            self.transport.write(b"".join(answers))


async def listen(port: int, tls: Path | None) -> asyncio.Server:
    """Start serving."""
    loop = asyncio.get_running_loop()
    if tls is None:
        return await loop.create_server(Echo, "127.0.0.1", port, backlog=4096, reuse_port=True)
    import aiofastnet

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(tls)
    server: asyncio.Server = await aiofastnet.create_server(
        loop, Echo, "127.0.0.1", port, backlog=4096, reuse_port=True, ssl=context
    )
    return server


def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Ignore connections without a TLS handshake: a run first checks whether a server listens."""
    if context["message"] != "SSL handshake failed":
        loop.default_exception_handler(context)


async def main(port: int, tls: Path | None) -> None:
    """Serve until standard input closes."""
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    server = await listen(port, tls)
    print(server.sockets[0].getsockname()[1], flush=True)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(handle)
    closed = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), closed.set)
    await closed.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port", nargs="?", type=int, default=0)
    parser.add_argument("--tls", type=Path, help="private key and certificate chain (PEM)")
    arguments = parser.parse_args()
    uvloop.run(main(arguments.port, arguments.tls))
