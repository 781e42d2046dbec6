"""Small proxies for tests: HTTP CONNECT and SOCKS5, with a login, refusing, silent, or talking nonsense.

Written from the RFCs, apart from the client under test; they reach names and addresses of this machine only.
A proxy records whom it was asked for, and how each client's connection ended.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field

from tests.support.background_loop import running

LOCAL = {"localhost": "127.0.0.1", "front.example": "127.0.0.1"}
"""Names that these proxies know."""


@dataclass
class ProxyServer:
    """A proxy's behaviour, and what it has seen.

    Args:
        scheme: `http` or `socks5`.
        login: user and password that it wants, empty for none.
        refusal: what it says instead of connecting: a status such as `403 Forbidden`, or a reply of SOCKS5.
        silent: whether it accepts connections and says nothing.
        nonsense: what it answers instead of anything else.
        tls: its TLS context, None for none.
    """

    scheme: str = "http"
    login: tuple[str, str] = ("", "")
    refusal: str | int = ""
    silent: bool = False
    nonsense: bytes = b""
    tls: ssl.SSLContext | None = None
    port: int = 0
    asked: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client."""
        self.connections += 1
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, OSError):
            self.ends.append("reset")
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.silent:
            await reader.read()
        elif self.nonsense:
            writer.write(self.nonsense)
            await reader.read(1)
        elif self.scheme == "http":
            await self._connect(reader, writer)
        else:
            await self._socks(reader, writer)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, place, version = lines[0].split(" ")
        assert (method, version) == ("CONNECT", "HTTP/1.1")
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        assert headers["Host"] == place
        wanted = "Basic " + base64.b64encode(":".join(self.login).encode()).decode()
        if self.login[0] and headers.get("Proxy-Authorization") != wanted:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 4\r\n\r\nno\r\n")
            return
        self.asked.append(place)
        if self.refusal:
            writer.write(f"HTTP/1.1 {self.refusal}\r\nContent-Length: 0\r\n\r\n".encode())
            return
        host, _, port = place.rpartition(":")
        await self._relay(
            reader, writer, host.strip("[]"), int(port), b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\n", b""
        )

    async def _socks(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        version, count = await reader.readexactly(2)
        if version != 5:
            return
        methods = await reader.readexactly(count)
        method = 2 if self.login[0] else 0
        writer.write(bytes((5, method if method in methods else 0xFF)))
        if method not in methods:
            return
        if method == 2 and not await self._logged_in(reader, writer):
            return
        _, command, _, kind = await reader.readexactly(4)
        assert command == 1
        if kind == 3:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        else:
            host = str(ipaddress.ip_address(await reader.readexactly({1: 4, 4: 16}[kind])))
        port = int.from_bytes(await reader.readexactly(2), "big")
        self.asked.append(f"{host}:{port}")
        if self.refusal:
            writer.write(bytes((5, int(self.refusal), 0, 1, *bytes(6))))
            return
        bound = bytes((5, 0, 0, 3, 4)) + b"here" + b"\0\1"
        await self._relay(reader, writer, host, port, bound, bytes((5, 5, 0, 1, *bytes(6))))

    async def _logged_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        assert (await reader.readexactly(1)) == b"\1"
        fields = [await reader.readexactly((await reader.readexactly(1))[0]) for _ in ("user", "password")]
        given = [field.decode() for field in fields]
        good = tuple(given) == self.login
        writer.write(bytes((1, 0 if good else 1)))
        return good

    async def _relay(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        host: str,
        port: int,
        granted: bytes,
        refused: bytes,
    ) -> None:
        try:
            there, to_there = await asyncio.open_connection(LOCAL.get(host, host), port)
        except OSError:
            writer.write(refused or b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            return
        for position in range(len(granted)):  # however its answer is cut
            writer.write(granted[position : position + 1])
            await asyncio.sleep(0)
        back = asyncio.create_task(_copied(there, writer))
        try:
            self.ends.append(await _copied(reader, to_there))
        finally:
            to_there.close()
            back.cancel()
            with suppress(asyncio.CancelledError):
                await back


async def _copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    """Pass bytes on until one side ends; return how it ended."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        return "reset"
    finally:
        writer.close()
    return "fin"


@asynccontextmanager
async def proxy_server(proxy: ProxyServer) -> AsyncIterator[ProxyServer]:
    """Run a proxy on the test's loop."""
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, ssl=proxy.tls)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in asyncio.all_tasks():
            if "ProxyServer" in str(task.get_coro()):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


@contextmanager
def proxy_in_thread(proxy: ProxyServer) -> Iterator[ProxyServer]:
    """Run a proxy beside a real run."""
    with running(lambda: proxy_server(proxy)):
        yield proxy
