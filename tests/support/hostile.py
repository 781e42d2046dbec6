"""Servers that send too much: each path is one flood, `/echo` is sound.

    python -m tests.support.hostile PORT [CERTIFICATE]      with TLS if there is one (PEM, with its key)

A flood is a function that returns what to send again and again, as fast as it is read; some send only once,
or at certain moments. What clients send is read and discarded, but for `/echo`. Not an asyncio server of
websockets: it must send what RFC 6455 forbids, and faster than a client reads.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from loadtest.transport.target import LOOPBACK
from tests.support.examples import stranger
from tests.support.peers import close_frame, server_frame, switching

CHUNK = 2**18
"""Bytes written at once."""

PAUSE_S = 0.01
SILENCE_S = 0.2

MANY_LINES = server_frame(b"{}\n" * 1_000_000)
LONG_TEXT = server_frame(b"x" * 2**20)


def _times(frame: bytes) -> bytes:
    return frame * (CHUNK // len(frame) + 1)


_ID = b'{"type":"ws:ack","payload":{"received":true,"echo":{"payload":{"sequence":987654,"text":"x"}}}}'

FLOODS: dict[str, bytes] = {
    "empty_texts": _times(server_frame("")),
    "pings": _times(server_frame("", opcode=9)),
    "pongs": _times(server_frame("", opcode=10)),
    "empty_continuations": server_frame("", fin=False) + _times(server_frame("", opcode=0, fin=False)),
    "tiny_replies": _times(server_frame(b"0")),
    "unasked_ids": _times(server_frame(_ID)),
    "errors": _times(server_frame(b'{"type":"ws:error","payload":{"message":"no"}}')),
    "pushes": _times(server_frame(b'{"type":"ws:push"}')),
    "established_again": _times(
        server_frame(b'{"type":"ws:session_established","payload":{"session_id":"s"}}')
    ),
    "unreadable": _times(server_frame(b"\x00\x01", opcode=2)),
    "many_lines": MANY_LINES,
    "largest_messages": LONG_TEXT,
}
"""What is sent without end, by path."""

_ONE_MESSAGE = server_frame("", fin=False) + server_frame("x", opcode=0, fin=False) * 1000


async def _received(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Return opcode and payload of the client's next frame, which is short."""
    head = await reader.readexactly(2)
    length = head[1] & 127
    if length == 126:
        length = int.from_bytes(await reader.readexactly(2), "big")
    mask = await reader.readexactly(4)
    data = await reader.readexactly(length)
    return head[0] & 15, bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    opcode = 0
    while opcode != 8:
        opcode, data = await _received(reader)
        writer.write(server_frame(data, opcode=opcode))
        await writer.drain()


async def _acknowledge(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a few requests well, so that the session has worked."""
    for _ in range(3):
        writer.write(_acknowledgement((await _received(reader))[1]))


def _acknowledgement(text: bytes) -> bytes:
    return server_frame(b'{"type":"ws:ack","payload":{"echo":{"payload":{"text":"' + text + b'"}}}}')


async def _without_end(writer: asyncio.StreamWriter, data: bytes) -> None:
    while True:
        writer.write(data)
        await writer.drain()


async def _bursts(writer: asyncio.StreamWriter, data: bytes) -> None:
    while True:
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(PAUSE_S)


async def _in_parts(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send one legal message in a thousand fragments, again and again, but not fast."""
    await _bursts(writer, _ONE_MESSAGE + server_frame("", opcode=0))


async def _ping_bursts(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _bursts(writer, server_frame("?", opcode=9) * 200)


async def _after_close(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(close_frame(1000))
    await _without_end(writer, FLOODS["empty_texts"])


async def _after_leaving(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer until the client has left, by a close frame, FIN or silence; then send without end."""
    with suppress(asyncio.IncompleteReadError, TimeoutError):
        while True:
            opcode, data = await asyncio.wait_for(_received(reader), SILENCE_S)
            if opcode == 8:
                break
            writer.write(_acknowledgement(data))
    await _without_end(writer, FLOODS["empty_texts"])


async def _tiny_records(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send every byte in a record of its own, where there is TLS: as fast as this server can encrypt."""
    while True:
        writer.writelines([bytes((byte,)) for byte in server_frame("", opcode=10)] * 1000)
        await writer.drain()


SCRIPTS: dict[str, Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]] = {
    "echo": _echo,
    "in_parts": _in_parts,
    "ping_bursts": _ping_bursts,
    "after_close": _after_close,
    "after_leaving": _after_leaving,
    "tiny_records": _tiny_records,
}

ANSWERS: dict[str, tuple[bytes, bytes]] = {
    "endless_head": (b"HTTP/1.1 101 Switching Protocols\r\n", b"X: " + b"y" * 1000 + b"\r\n"),
    "endless_line": (b"HTTP/1.1 101 ", b"x" * 1000),
    "endless_body": (b"HTTP/1.1 401 Unauthorized\r\n\r\n", b"x" * 1000),
    "huge_body": (b"HTTP/1.1 302 Found\r\nContent-Length: 99999999999\r\n\r\n", b"x" * 1000),
    "endless_chunks": (
        b"HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"3e8\r\n" + b"x" * 1000 + b"\r\n",
    ),
}
"""Answers to the upgrade: how they begin, and what follows without end."""


async def _slow_head(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nX: ")
    while True:
        writer.write(b"y")
        await writer.drain()
        await asyncio.sleep(PAUSE_S)


async def _discard(reader: asyncio.StreamReader) -> None:
    with suppress(ConnectionError):
        while await reader.read(2**16):
            pass


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        request = await reader.readuntil(b"\r\n\r\n")
        path = request.split(b" ")[1].decode().partition("?")[0].strip("/")
        if path in ANSWERS:
            begin, more = ANSWERS[path]
            writer.write(begin)
            await _without_end(writer, more * 100)
        elif path == "slow_head":
            await _slow_head(writer)
        else:
            writer.write(switching(request))
            await _talk(path, reader, writer)
    writer.close()


async def _talk(path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if path in SCRIPTS:
        await SCRIPTS[path](reader, writer)
        return
    if path.startswith("later/"):
        await _acknowledge(reader, writer)
    discarding = asyncio.ensure_future(_discard(reader))
    try:
        await _without_end(writer, FLOODS[path.removeprefix("later/")])
    finally:
        discarding.cancel()


async def _main(port: int, certificate: Path | None) -> None:
    tls = None
    if certificate is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
    server = await asyncio.start_server(_serve, LOOPBACK, port, ssl=tls)
    async with server:
        await server.serve_forever()


@contextmanager
def hostile(certificate: Path | None = None) -> Iterator[int]:
    """Run the servers in a process of their own until the block ends; yield their port.

    Args:
        certificate: of their TLS, with its key; None for no TLS.
    """
    command = (sys.executable, "-m", "tests.support.hostile")
    with stranger("hostile", str(certificate) if certificate else None, command=command) as url:
        yield int(url.rpartition(":")[2])


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None))
