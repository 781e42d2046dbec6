"""What a TLS server may change while a connection stays open: new keys, and in TLS 1.2 a new handshake."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from loadtest.transport.target import LOOPBACK, free_port
from loadtest.transport.tls_stream import TlsStream
from tests.conftest import Certificates
from tests.support.dialling import trusting

pytestmark = [pytest.mark.anyio, pytest.mark.external("openssl")]


class Ear(asyncio.Protocol):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard = b""

    def data_received(self, data: bytes) -> None:
        self.heard += data


class Eager(TlsStream):
    """Writes as soon as the server has begun a new handshake."""

    __slots__ = ("waited", "when_asked")
    waited: bool
    when_asked: bytes

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._made and self.when_asked:
            text, self.when_asked = self.when_asked, b""
            self.write(text)
            self.waited = self.get_write_buffer_size() > 0


@asynccontextmanager
async def openssl(certificate: str, version: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """Run `openssl s_server`: what it reads on its standard input it sends; `K` and `r` are commands."""
    port = free_port()
    server = await asyncio.create_subprocess_exec(
        *("openssl", "s_server", "-accept", f"{LOOPBACK}:{port}", "-cert", certificate, version),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        assert server.stdout is not None
        await server.stdout.readuntil(b"ACCEPT\n")
        yield server, port
    finally:
        server.kill()
        await server.communicate()


async def said(server: asyncio.subprocess.Process, command: bytes) -> None:
    """Give the server a line of input."""
    assert server.stdin is not None
    server.stdin.write(command)
    await server.stdin.drain()


async def until_heard(ear: Ear, wanted: bytes) -> None:
    """Wait until the client has heard this."""
    with anyio.fail_after(20):
        while wanted not in ear.heard:
            await anyio.sleep(0.001)


@pytest.mark.parametrize(("version", "command"), [("-tls1_3", b"K\n"), ("-tls1_2", b"r\n")])
async def test_the_server_changes_keys(version: str, command: bytes, certificates: Certificates) -> None:
    """Both sides go on after it; what is written in a new handshake waits for its end, in order."""
    async with openssl(str(certificates.server), version) as (server, port):
        ear = Ear()
        below, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, LOOPBACK, port)
        stream = Eager(below, ear, trusting(certificates.authority), "localhost")
        stream.when_asked = b""
        stream.waited = False
        await stream.shaken
        await said(server, b"before\n")
        await until_heard(ear, b"before\n")
        stream.when_asked = b"meanwhile\n"
        await said(server, command)
        with anyio.fail_after(20):
            assert server.stdout is not None
            await server.stdout.readuntil(b"meanwhile\n")
            stream.write(b"after\n")
            await server.stdout.readuntil(b"after\n")
        await said(server, b"and back\n")
        await until_heard(ear, b"and back\n")
        assert ear.heard == b"before\nand back\n"
        assert stream.waited == (version == "-tls1_2")
        assert stream.get_write_buffer_size() == 0
        stream.abort()
