"""Compressed messages on the wire, against the servers of the websockets library and against bare ones."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

from loadtest.transport.connection import Connection
from loadtest.transport.meter import Limits
from loadtest.transport.wire_counts import WireCounts
from tests.support.dialling import opened
from tests.support.peers import Line, Script, bare_server, client_frames, server_frame, until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nothing_left")]

RSV1 = 0x40


@asynccontextmanager
async def echo(*, resets: bool = False, compresses: bool = True) -> AsyncIterator[int]:
    """Run a server that returns what it gets; yield its port."""

    async def handler(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    factory = ServerPerMessageDeflateFactory(
        server_no_context_takeover=resets, client_no_context_takeover=resets
    )
    extensions = [factory] if compresses else None
    async with serve(
        handler, "127.0.0.1", 0, extensions=extensions, compression=None, max_size=None
    ) as server:
        yield server.sockets[0].getsockname()[1]


MESSAGES = ("a", "grüße " * 100, b"", "", b"\x00\xff" * 40_000, "x" * 200_000, "a")


@pytest.mark.parametrize("compression", ["on", "no-takeover"])
@pytest.mark.parametrize("resets", [False, True])
async def test_messages_of_all_kinds_come_back(compression: str, resets: bool) -> None:
    """Texts and binary messages of every size, in both modes, and what was agreed is counted."""
    counts = WireCounts()
    async with (
        echo(resets=resets) as port,
        opened(port, compression=compression, counts=counts) as (connection, ear),
    ):
        for message in MESSAGES * 3:
            connection.send(message)
        assert await ear.hear(len(MESSAGES) * 3) == list(MESSAGES * 3)
        connection.keep_alive(interval_ns=0, timeout_ns=10**10)
        connection.send("after the ping")
        await ear.hear(len(MESSAGES) * 3 + 1)
    alone = resets or compression == "no-takeover"
    assert (counts.opened, counts.compressed) == (1, 1)
    assert (counts.resets_sent, counts.resets_received) == (alone, alone)
    assert len(ear.pings_ns) == 1


async def test_server_may_decline() -> None:
    """Then messages are not compressed, which is counted."""
    counts = WireCounts()
    async with (
        echo(compresses=False) as port,
        opened(port, compression="on", counts=counts) as (connection, ear),
    ):
        connection.send("hello")
        assert await ear.hear(1) == ["hello"]
    assert (counts.opened, counts.compressed) == (1, 0)


async def test_the_offer_is_that_of_browsers() -> None:
    """And messages are compressed, control frames are not (RFC 7692, section 6)."""
    async with bare_server(speaking(b"")) as server:
        async with opened(server.port, compression="on") as (connection, _):
            assert (
                b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
                in server.lines[0].request
            )
            connection.send("hello " * 50)
            connection.keep_alive(interval_ns=0, timeout_ns=10**10)
            connection.close(1000)
            await (await server.line()).hear(b"\x88")
        received = server.lines[0].received
    assert received[0] == 0x80 | RSV1 | 1
    assert len(received) < 60
    plain = received[2 + 4 + (received[1] & 0x7F) :]
    assert [opcode for opcode, _ in client_frames(plain)][:2] == [9, 8]


def speaking(said: bytes) -> Script:
    """Return a script that agrees to compress, says something, and records."""

    async def script(line: Line) -> None:
        await line.upgrade("Sec-WebSocket-Extensions: permessage-deflate", then=said)
        await line.record()

    return script


def packed(message: bytes) -> bytes:
    """Return a message's compressed payload."""
    deflater = zlib.compressobj(wbits=-15)
    return (deflater.compress(message) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]


def in_fragments(payload: bytes, size: int) -> bytes:
    """Return a compressed text in fragments, with a ping after the first of them."""
    parts = [payload[at : at + size] for at in range(0, len(payload), size)]
    first = server_frame(parts[0], opcode=1, fin=False, bits=RSV1) + server_frame("p", opcode=9)
    rest = [server_frame(part, opcode=0, fin=part is parts[-1]) for part in parts[1:]]
    return b"".join((first, *rest))


async def test_fragments_are_put_together() -> None:
    """Only the first fragment has RSV1; control frames may stand between them; plain messages may follow."""
    text = "".join(map(str, range(2000)))
    said = in_fragments(packed(text.encode()), 100) + server_frame("plain")
    async with bare_server(speaking(said)) as server, opened(server.port, compression="on") as (_, ear):
        assert await ear.hear(2) == [text, "plain"]


FIRST = server_frame("a", fin=False, bits=RSV1)


@pytest.mark.parametrize(
    ("said", "cause", "code"),
    [
        (server_frame(packed(b"\0" * 50_000_000), bits=RSV1), "message_too_big", 1009),
        (in_fragments(packed(b"\0" * 50_000_000), 1000), "message_too_big", 1009),
        (server_frame(b"\xff" * 2_000_000, bits=RSV1), "message_too_big", 1009),
        (server_frame(packed(b"\xc3\x28"), bits=RSV1), "invalid_utf8", 1007),
        (server_frame(b"\xff\xff\xff", bits=RSV1), "protocol_error", 1002),
        (server_frame(b"\x03\x00" * 30_000, bits=RSV1), "protocol_error", 1002),  # would take quadratic time
        (server_frame("p", opcode=9, bits=RSV1), "protocol_error", 1002),
        (server_frame("c", opcode=0, bits=RSV1), "protocol_error", 1002),
        (
            server_frame("a", fin=False, bits=RSV1) + server_frame("b", opcode=0, bits=RSV1),
            "protocol_error",
            1002,
        ),
        (server_frame("a", fin=False, bits=RSV1) + server_frame("b", bits=RSV1), "protocol_error", 1002),
        (server_frame("a", bits=0x20), "protocol_error", 1002),
        (server_frame("a", bits=0x10 | RSV1), "protocol_error", 1002),
    ],
)
async def test_what_the_extension_forbids_ends_the_connection(said: bytes, cause: str, code: int) -> None:
    """A bomb is not unpacked; the server is told why, and no text is passed on."""
    async with bare_server(speaking(said)) as server:
        async with opened(server.port, compression="on", max_message_bytes=2**20) as (_, ear):
            lost = await ear.end()
            await until(lambda: b"\x88" in server.lines[0].received, "the close frame")
        assert lost.cause == cause
        assert ear.messages == []
    assert (8, code.to_bytes(2, "big")) in client_frames(server.lines[0].received)


async def test_without_the_agreement_rsv1_is_an_error() -> None:
    """A server that compresses unasked violates the protocol."""

    async def script(line: Line) -> None:
        await line.upgrade(then=server_frame(packed(b"hello"), bits=RSV1))
        await line.record()

    async with bare_server(script) as server, opened(server.port) as (_, ear):
        assert (await ear.end()).cause == "protocol_error"


async def test_what_messages_expand_to_counts_as_received() -> None:
    """Small bombs, each within the limit of a message, are a flood of bytes."""
    said = server_frame(packed(b"\0" * 1_000_000), opcode=2, bits=RSV1)

    async def script(line: Line) -> None:
        await line.upgrade("Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover")
        await line.send(said * 20)
        await line.record()

    limits = Limits(bytes_per_s=5_000_000)
    async with (
        bare_server(script) as server,
        opened(server.port, compression="on", limits=limits, max_message_bytes=2**20) as (_, ear),
    ):
        assert (await ear.end()).cause == "flooded"
    assert len(ear.messages) < 12


async def test_idle_connections_take_little_memory() -> None:
    """No stream exists before the first message."""
    async with echo() as port, opened(port, compression="on") as (connection, _):
        assert _streams(connection) == (None, None)


def _streams(connection: Connection) -> tuple[object, object]:
    assert connection._deflate is not None
    return connection._deflate._deflater, connection._deflate._inflater
