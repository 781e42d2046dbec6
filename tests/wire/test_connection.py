"""An open WebSocket: messages and how they may be cut, what RFC 6455 forbids, closing, and keepalive."""

import asyncio
import ssl
import struct
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.frame_protocol import Opcode

from loadtest.events import Data
from loadtest.transport import connection as connection_module
from loadtest.transport.inflow import KEEPALIVE
from tests.conftest import Certificates
from tests.support.dialling import opened, trusting
from tests.support.effort import effort
from tests.support.peers import (
    BareServer,
    Ear,
    Line,
    Script,
    bare_server,
    client_frames,
    close_frame,
    server_frame,
    until,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nothing_left")]

TEXT, BINARY, CONT, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10

SECONDS = 10**9


def saying(*frames: bytes) -> Script:
    """Accept, send these frames, then record."""

    async def script(line: Line) -> None:
        await line.upgrade()
        await line.send(b"".join(frames))
        await line.record()

    return script


async def heard_and_end(*frames: bytes) -> tuple[Ear, BareServer]:
    """Let a client hear these frames until its connection has ended, on its side and on the server's."""
    async with bare_server(saying(*frames)) as server, opened(server.port) as (_, ear):
        await ear.end()
        await until(lambda: server.lines[0].end, "the end of the socket")
    return ear, server


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that does not wait long for a server to close the socket."""
    monkeypatch.setattr(connection_module, "_CLOSE_GRACE_S", 0.01)


# Out.


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65535, 65536, 300_000])
@pytest.mark.parametrize("secure", [False, True])
async def test_sent_messages_are_whole_masked_frames(
    length: int, secure: bool, certificates: Certificates
) -> None:
    """Text and binary of any length arrive as frames that another implementation reads."""
    messages: list[Data] = ["ü" * (length // 2) + "x" * (length % 2), b"\xff" * length]

    async def script(line: Line) -> None:
        await line.upgrade()
        await line.record()

    server_tls = certificates.server_context() if secure else None
    client_tls = trusting(certificates.authority) if secure else None
    async with bare_server(script, server_tls) as server:
        async with opened(server.port, client_tls) as (connection, _):
            for message in messages:
                connection.send(message)
            line = server.lines[0]
            await until(lambda: len(line.received) > 2 * length + 11, "both messages")
        frames = client_frames(line.received)
    opcodes = {opcode for opcode, _ in frames}
    assert opcodes <= {Opcode.TEXT, Opcode.BINARY}
    assert b"".join(_bytes(data) for opcode, data in frames if opcode is Opcode.TEXT) == _bytes(messages[0])
    assert b"".join(_bytes(data) for opcode, data in frames if opcode is Opcode.BINARY) == messages[1]


def _bytes(data: Data) -> bytes:
    return data.encode() if isinstance(data, str) else data


async def test_masks_differ() -> None:
    """Every frame has a mask of its own (RFC 6455, section 10.3)."""
    async with bare_server(saying()) as server, opened(server.port) as (connection, _):
        for _ in range(20):
            connection.send("")
        line = server.lines[0]
        await until(lambda: len(line.received) == 20 * 6, "the messages")
    masks = {line.received[start + 2 : start + 6] for start in range(0, 120, 6)}
    assert len(masks) > 15


# In.


def fragments(*parts: str | bytes, opcode: int = TEXT) -> list[bytes]:
    """Return the frames of one message in parts."""
    last = len(parts) - 1
    return [
        server_frame(part, opcode=CONT if number else opcode, fin=number == last)
        for number, part in enumerate(parts)
    ]


@pytest.mark.parametrize(
    ("frames", "messages"),
    [
        ([server_frame("")], [""]),
        ([server_frame(b"", opcode=BINARY)], [b""]),
        ([server_frame("x" * 70_000)], ["x" * 70_000]),
        ([server_frame("grüße")], ["grüße"]),
        ([server_frame("one"), server_frame("two")], ["one", "two"]),
        (fragments("o", "n", "e"), ["one"]),
        (fragments(b"\xff", b"\xfe", opcode=BINARY), [b"\xff\xfe"]),
        (fragments(b"gr\xc3", b"\xbc\xc3", b"\x9fe"), ["grüße"]),  # characters of two bytes, cut
        (fragments(*[""] * 500, "end"), ["end"]),
        (
            [*fragments("a", "b"), *fragments(b"c", b"d", opcode=BINARY), server_frame("e")],
            ["ab", b"cd", "e"],
        ),
        (  # control frames may come within a fragmented message (section 5.4)
            [
                server_frame("o", fin=False),
                server_frame("p", opcode=PING),
                server_frame("", opcode=PONG),
                server_frame("ne", opcode=CONT),
                server_frame("two"),
            ],
            ["one", "two"],
        ),
    ],
)
@pytest.mark.parametrize("slowly", [False, True])
async def test_messages_are_put_together(frames: list[bytes], messages: list[Data], slowly: bool) -> None:
    """However a message is fragmented, and its frames cut, it is heard whole, once and in order."""

    async def script(line: Line) -> None:
        await line.upgrade()
        data = b"".join(frames)
        if slowly and len(data) < 5000:
            await line.send_slowly(data)
        else:
            await line.send(data)
        await line.record()

    async with bare_server(script) as server, opened(server.port) as (connection, ear):
        assert await ear.hear(len(messages)) == messages
        assert [type(message) for message in ear.messages] == [type(message) for message in messages]
        assert connection.loss is None


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[Data], bytes, list[int]]:
    """Messages, their frames with random fragments and pings between, and where the stream is cut."""
    messages: list[Data] = draw(st.lists(st.text(max_size=20) | st.binary(max_size=20), max_size=6))
    stream = b""
    for message in messages:
        data = _bytes(message)
        cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=3)))
        parts = [data[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        for frame in fragments(*parts, opcode=TEXT if isinstance(message, str) else BINARY):
            stream += frame + draw(st.sampled_from([b"", b"", server_frame("?", opcode=PING)]))
    return messages, stream, sorted(draw(st.lists(st.integers(0, len(stream)), max_size=4)))


@effort(60, same_fixtures=True)
@given(streams())
async def test_any_sound_stream_is_heard(example: tuple[list[Data], bytes, list[int]]) -> None:
    """Any messages in any fragments and segments are heard as they were sent."""
    messages, stream, cuts = example

    async def script(line: Line) -> None:
        await line.upgrade()
        for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            if stop > start:
                await line.send(stream[start:stop])
            await asyncio.sleep(0)
        await line.send(close_frame(1000))
        await line.record()

    async with bare_server(script) as server, opened(server.port) as (_, ear):
        assert (await ear.end()).code == 1000
    assert ear.messages == messages


@effort(60, same_fixtures=True)
@given(st.binary(max_size=100))
async def test_no_bytes_break_it(data: bytes) -> None:
    """Whatever bytes come after the upgrade, the connection ends in one of the known ways."""

    async def script(line: Line) -> None:
        await line.upgrade()
        await line.send(data) if data else None

    async with bare_server(script) as server, opened(server.port) as (_, ear):
        lost = await ear.end()
    assert lost.cause in {"eof", "reset", "protocol_error", "invalid_utf8", "message_too_big"} or (
        lost.cause == str(lost.code)
    )


# What is forbidden.


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    ("frames", "cause", "code"),
    [
        ([server_frame(b"\xc3\x28")], "invalid_utf8", 1007),
        (fragments(b"\xc3", b"\x28"), "invalid_utf8", 1007),
        ([server_frame(b"\xed\xa0\x80")], "invalid_utf8", 1007),  # a surrogate
        ([server_frame("x", bits=0x40)], "protocol_error", 1002),  # compressed, as nobody agreed to
        ([server_frame("x", bits=0x20)], "protocol_error", 1002),
        ([server_frame("x", bits=0x10)], "protocol_error", 1002),
        ([server_frame("x", opcode=3)], "protocol_error", 1002),
        ([server_frame("x", opcode=15)], "protocol_error", 1002),
        ([b"\x81\x81\0\0\0\0x"], "protocol_error", 1002),  # masked
        ([server_frame("x", opcode=CONT)], "protocol_error", 1002),  # of nothing
        ([server_frame("x", fin=False), server_frame("y")], "protocol_error", 1002),
        ([server_frame("x", opcode=PING, fin=False)], "protocol_error", 1002),
        ([server_frame("x" * 126, opcode=PING)], "protocol_error", 1002),
        ([server_frame(b"\x03", opcode=CLOSE)], "protocol_error", 1002),
        ([close_frame(999)], "protocol_error", 1002),
        ([close_frame(1005)], "protocol_error", 1002),
        ([close_frame(1006)], "protocol_error", 1002),
        ([close_frame(5000)], "protocol_error", 1002),
        ([server_frame(b"\x03\xe8\xff", opcode=CLOSE)], "invalid_utf8", 1007),
        ([server_frame("x" * 1001)], "message_too_big", 1009),
        ([b"\x81\x7f" + struct.pack("!Q", 2**62)], "message_too_big", 1009),  # announced is enough
        (fragments("x" * 600, "x" * 600), "message_too_big", 1009),
    ],
)
async def test_violation_is_a_loss_and_answered(frames: list[bytes], cause: str, code: int) -> None:
    """A server that breaks RFC 6455 is told so with a close code, counted by cause, and left."""
    script = saying(server_frame("before"), *frames, server_frame("after"))
    async with bare_server(script) as server, opened(server.port, max_message_bytes=1000) as (_, ear):
        lost = await ear.end()
        line = server.lines[0]
        await until(lambda: line.end, "the client to leave a server that does not close")
    assert ear.messages == ["before"]
    assert (lost.code, lost.cause) == (1006, cause)
    assert len(lost.reason) <= 123
    assert client_frames(line.received)[-1] == (Opcode.CLOSE, struct.pack("!H", code))


@pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.BINARY])
async def test_a_fragmented_message_over_the_limit_is_explained(opcode: int) -> None:
    """With the limit as it was set, and how much of the message had been read."""
    parts = [server_frame("x" * 600, opcode=opcode, fin=False), server_frame("x" * 500, opcode=CONT)]
    async with (
        bare_server(saying(*parts)) as server,
        opened(server.port, max_message_bytes=1000) as (_, ear),
    ):
        lost = await ear.end()
    assert lost.reason == "frame with 500 bytes after reading 600 bytes exceeds limit of 1000 bytes"


async def test_largest_message_is_taken() -> None:
    """The limit itself is no violation, in one frame or in several."""
    whole, half = "x" * 1000, "x" * 500
    script = saying(server_frame(whole), *fragments(half, half))
    async with bare_server(script) as server, opened(server.port, max_message_bytes=1000) as (_, ear):
        assert await ear.hear(2) == [whole, whole]


@pytest.mark.parametrize("code", [1000, 1008, 4401])
@pytest.mark.parametrize("before", [[], [server_frame("y", opcode=CONT, fin=False)]])
async def test_close_frame_within_a_message_keeps_its_code(code: int, before: list[bytes]) -> None:
    """It is a control frame (section 5.4): the message is cut off, the code counts, and is echoed."""

    async def script(line: Line) -> None:
        await line.upgrade()
        await line.send(b"".join([server_frame("x", fin=False), *before, close_frame(code, "why")]))
        await line.hear(b"\x88")
        line.fin()
        await line.record()

    async with bare_server(script) as server, opened(server.port) as (_, ear):
        lost = await ear.end()
        await until(lambda: server.lines[0].end, "the end of the socket")
    assert ear.messages == []
    assert (lost.code, lost.reason, lost.cause) == (code, "why", str(code))
    assert client_frames(server.lines[0].received) == [(Opcode.CLOSE, struct.pack("!H", code))]


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    "violation",
    [
        server_frame(b"\xc3\x28"),
        b"".join([server_frame(b"\xc3", fin=False), server_frame(b"\x28", opcode=CONT, fin=False)]),
        server_frame("x", opcode=3),
        server_frame("x" * 1001),
        close_frame(1000),
    ],
)
@pytest.mark.parametrize("together", [True, False])
async def test_nothing_is_answered_after_the_end(violation: bytes, together: bool) -> None:
    """A failed connection answers no ping (section 7.1.7), nor does one that the server has closed."""
    pings = server_frame("?", opcode=PING) * 3

    async def script(line: Line) -> None:
        await line.upgrade()
        await line.send(violation + pings if together else violation)
        await line.hear(b"\x88")
        await line.send(pings)
        await line.record()

    async with bare_server(script) as server, opened(server.port, max_message_bytes=1000) as (_, ear):
        await ear.end()
        await until(lambda: server.lines[0].end, "the end of the socket")
    assert [opcode for opcode, _ in client_frames(server.lines[0].received)] == [Opcode.CLOSE]


@pytest.mark.usefixtures("hurried")
async def test_invalid_utf8_fails_at_its_fragment() -> None:
    """A fragment that no text can begin with ends the connection before the message is whole."""
    cut = [server_frame(b"gr\xc3", fin=False), server_frame(b"\xbc\xff", opcode=CONT, fin=False)]
    ear, server = await heard_and_end(*cut)
    assert ear.losses[0].cause == "invalid_utf8"
    assert client_frames(server.lines[0].received) == [(Opcode.CLOSE, struct.pack("!H", 1007))]


@pytest.mark.usefixtures("hurried")
async def test_flood_after_a_violation_is_cut_off() -> None:
    """A server that goes on at full speed after its violation is left, and heard no more."""

    async def script(line: Line) -> None:
        await line.upgrade()
        await line.send(server_frame("x", opcode=3))
        with suppress(ConnectionError):
            while True:
                await line.send(server_frame("x" * 60_000))
                await asyncio.sleep(0)

    async with bare_server(script) as server, opened(server.port) as (_, ear):
        assert (await ear.end()).cause == "protocol_error"
        await until(lambda: server.ended, "the end of the flood")
    assert ear.messages == []


# The end.


@pytest.mark.parametrize("code", [*range(1000, 1004), *range(1007, 1014), 3000, 3999, 4000, 4401, 4408, 4999])
async def test_close_code_is_told_and_echoed(code: int) -> None:
    """Every code that RFC 6455 and the registry allow is passed on with its reason, and echoed."""

    async def script(line: Line) -> None:
        await line.upgrade()
        await line.send(server_frame("last") + close_frame(code, "r" * 123) + server_frame("too late"))
        await line.hear(b"\x88")
        line.fin()
        await line.record()

    async with bare_server(script) as server, opened(server.port) as (_, ear):
        lost = await ear.end()
        line = server.lines[0]
        await until(lambda: line.end == "fin", "the client to close the socket after the server")
    assert ear.messages == ["last"]
    assert (lost.code, lost.reason, lost.cause) == (code, "r" * 123, str(code))
    assert client_frames(line.received) == [(Opcode.CLOSE, struct.pack("!H", code))]


@pytest.mark.usefixtures("hurried")
async def test_close_without_code_is_1005() -> None:
    """A close frame without a code is what RFC 6455 calls 1005, and a server that stays is left."""
    ear, server = await heard_and_end(close_frame())
    assert (ear.losses[0].code, ear.losses[0].cause) == (1005, "1005")
    assert server.lines[0].received[:2] == b"\x88\x80"  # an empty close frame, echoed


@pytest.mark.parametrize(("end", "cause"), [("fin", "eof"), ("reset", "reset")])
@pytest.mark.parametrize("part", [b"", server_frame("whole"), server_frame("cut off")[:-3]])
@pytest.mark.parametrize("secure", [False, True])
async def test_end_without_close_frame_is_1006(
    end: str, cause: str, part: bytes, secure: bool, certificates: Certificates
) -> None:
    """A connection that just ends, also in the middle of a frame, was closed abnormally."""

    async def script(line: Line) -> None:
        await line.upgrade()
        await line.hear(b"x")  # the client listens
        if part:
            await line.send(part)
        getattr(line, end)()

    server_tls = certificates.server_context() if secure else None
    client_tls = trusting(certificates.authority) if secure else None
    async with (
        bare_server(script, server_tls) as server,
        opened(server.port, client_tls) as (connection, ear),
    ):
        connection.write_raw(b"x")
        lost = await ear.end()
    assert (lost.code, lost.reason, lost.cause) == (1006, "", cause)
    assert ear.messages in ([], ["whole"])


@pytest.mark.parametrize("garbage", [b"\0" * 50, server_frame("plain"), b"\x15\x03\x03\0\2\2\x50"])
async def test_garbage_below_tls_is_a_loss(garbage: bytes, certificates: Certificates) -> None:
    """What is no TLS record, or a forged one, ends the connection as lost to TLS; the server is told why."""

    async def script(line: Line) -> None:
        await line.upgrade()
        await line.hear(b"go")
        await line.send_bare(garbage)
        with pytest.raises(ssl.SSLError, match="ALERT"):
            await line.record()

    tls = trusting(certificates.authority)
    async with (
        bare_server(script, certificates.server_context()) as server,
        opened(server.port, tls) as (connection, ear),
    ):
        connection.write_raw(b"go")
        lost = await ear.end()
    assert (lost.code, lost.cause) == (1006, "tls")


async def test_client_closes_in_good_order() -> None:
    """`close` sends the code, takes the answer, and lets the server close the socket first."""

    async def script(line: Line) -> None:
        await line.upgrade()
        await line.hear(b"\x88")
        await line.send(close_frame(1000))
        line.fin()
        await line.record()

    async with bare_server(script) as server, opened(server.port) as (connection, ear):
        connection.close(1000)
        connection.close(1000)  # once more does no harm
        connection.send("too late")
        connection.send_close(1001)
        assert (await ear.end()).code == 1000
        line = server.lines[0]
        await until(lambda: line.end == "fin", "the client's FIN")
    assert client_frames(line.received) == [(Opcode.CLOSE, struct.pack("!H", 1000))]


@pytest.mark.usefixtures("hurried")
async def test_server_that_does_not_answer_a_close_is_left() -> None:
    """`close` ends the socket also when the server says nothing."""
    async with bare_server(saying()) as server, opened(server.port) as (connection, ear):
        connection.close(1000)
        assert (await ear.end()).code == 1006
        await until(lambda: server.lines[0].end, "the end of the socket")


async def test_nothing_is_told_after_detach() -> None:
    """Once detached, a connection tells neither messages nor its end, but still answers the server."""

    async def script(line: Line) -> None:
        await line.upgrade()
        await line.hear(b"go")
        await line.send(server_frame("message") + close_frame(1000))
        await line.hear(b"\x88")

    async with bare_server(script) as server, opened(server.port) as (connection, ear):
        connection.detach()
        connection.write_raw(b"go")
        await until(lambda: server.ended, "the close frame's echo")
        await until(lambda: connection.loss, "the end")
    assert (ear.messages, ear.losses) == ([], [])


async def test_everything_may_be_asked_of_an_ended_connection() -> None:
    """After the end, whatever is asked does nothing."""

    async def script(line: Line) -> None:
        await line.upgrade()

    async with bare_server(script) as server, opened(server.port) as (connection, ear):
        await ear.end()
        for _ in range(10):
            connection.send("x")
            connection.send_message(b"x")
            connection.write_raw(b"x")
            connection.send_close(1000)
            connection.close(1000)
            connection.pause_reading()
            connection.resume_reading()
            connection.keep_alive(interval_ns=0, timeout_ns=0)
            connection.fin()
            connection.reset()
            connection.go_silent()
            connection.abort()
            await asyncio.sleep(0)
    assert len(ear.losses) == 1


# Pings.


@pytest.mark.parametrize("payload", [b"", b"x", b"\0\xff" * 62])
async def test_ping_is_answered_with_its_payload(payload: bytes) -> None:
    """A server's ping gets its payload back (RFC 6455, section 5.5.3); an unasked pong gets nothing."""
    script = saying(server_frame("?", opcode=PONG), server_frame(payload, opcode=PING))
    async with bare_server(script) as server, opened(server.port) as (connection, _):
        line = server.lines[0]
        await until(lambda: line.received, "the pong")
        connection.send("after")
        await until(lambda: len(client_frames(line.received)) == 2, "the message")
    assert client_frames(line.received)[0] == (Opcode.PONG, payload)


async def test_nothing_is_answered_after_the_fin_of_a_drop() -> None:
    """What the server sends when it has read a drop's FIN is read; a pong could no longer be sent."""
    failures: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, failure: failures.append(failure))

    async def script(line: Line) -> None:
        await line.upgrade()
        await line.record()
        await line.send(
            server_frame("late", opcode=PING) + server_frame("last") + server_frame(b"\x03\xe9", opcode=CLOSE)
        )

    async with bare_server(script) as server, opened(server.port) as (connection, ear):
        connection.end_writing()
        lost = await ear.end()
        assert await ear.hear(1) == ["last"]
    assert lost.code == 1001
    assert server.lines[0].received == b""
    assert failures == []


async def test_many_pings_are_all_answered() -> None:
    """A server that pings without end and reads the pongs is served, and its messages are heard."""
    pings = server_frame("?", opcode=PING) * 5000
    async with bare_server(saying(pings, server_frame("done"))) as server, opened(server.port) as (_, ear):
        assert await ear.hear(1) == ["done"]
        line = server.lines[0]
        await until(lambda: len(line.received) == 5000 * 7, "the pongs")


async def test_server_that_pings_without_reading_is_left() -> None:
    """Pongs that nobody reads do not fill the memory: the connection is given up."""
    sent = 0

    async def script(line: Line) -> None:
        nonlocal sent
        await line.upgrade()
        ping = server_frame("x" * 125, opcode=PING)
        with suppress(ConnectionError):
            while True:
                await line.send(ping * 500)
                sent += 500 * len(ping)
                await asyncio.sleep(0)

    async with bare_server(script) as server, opened(server.port) as (_, ear):
        lost = await ear.end()
        await until(lambda: server.ended, "the end of the pings")
    assert (lost.code, lost.cause) == (1006, "not_reading")
    assert sent < 64 * 2**20


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_ns = 1

    def __call__(self) -> int:
        return self.now_ns


async def test_keepalive_pings_when_due_and_takes_the_pong() -> None:
    """A ping goes out after each interval, one at a time, and its pong keeps the connection."""
    clock = Clock()

    async def script(line: Line) -> None:
        await line.upgrade()
        for _ in range(2):
            await line.hear(b"\x89")
            ((opcode, payload),) = client_frames(line.received)
            assert opcode is Opcode.PING
            line.received = b""
            await line.send(server_frame(payload, opcode=PONG) + server_frame("ponged"))
        await line.record()

    async with bare_server(script) as server, opened(server.port, clock=clock) as (connection, ear):
        line = server.lines[0]

        def later(seconds: float) -> None:
            clock.now_ns += int(seconds * SECONDS)
            connection.keep_alive(interval_ns=20 * SECONDS, timeout_ns=5 * SECONDS)

        later(20)  # not yet
        later(1)  # the first ping
        later(5)  # one at a time
        await ear.hear(1)
        later(10)
        later(10)  # the second, 20 s after the first
        await ear.hear(2)
        later(1)
        connection.send("after")
        await until(lambda: line.received, "the message")
        assert client_frames(line.received) == [(Opcode.TEXT, "after")]
        assert connection.loss is None


@pytest.mark.parametrize("pong", [b"", server_frame("", opcode=PONG), server_frame("other", opcode=PONG)])
async def test_keepalive_gives_up_without_its_pong(pong: bytes) -> None:
    """A server that does not answer the ping in time, or answers another, is lost to a ping timeout."""
    clock = Clock()

    async def script(line: Line) -> None:
        await line.upgrade()
        await line.hear(b"\x89")
        await line.send(pong + server_frame("ponged"))
        await line.record()

    async with bare_server(script) as server, opened(server.port, clock=clock) as (connection, ear):
        for seconds in (21, 5):
            clock.now_ns += seconds * SECONDS
            connection.keep_alive(interval_ns=20 * SECONDS, timeout_ns=5 * SECONDS)
            await ear.hear(1)
        assert connection.loss is None  # not before the time is over
        clock.now_ns += 1
        connection.keep_alive(interval_ns=20 * SECONDS, timeout_ns=5 * SECONDS)
        lost = await ear.end()
        await until(lambda: server.lines[0].end, "the end of the socket")
    assert (lost.code, lost.cause) == (1006, "ping_timeout")


async def test_round_trips_of_pings_are_reported() -> None:
    """Each once; a pong that nobody asked for is none."""
    clock = Clock()

    async def script(line: Line) -> None:
        await line.upgrade(then=server_frame(KEEPALIVE, opcode=PONG))
        await line.hear(b"\x89")
        clock.now_ns += 30_000_000
        await line.send(server_frame(KEEPALIVE, opcode=PONG) * 2 + server_frame("ponged"))
        await line.record()

    async with bare_server(script) as server, opened(server.port, clock=clock) as (connection, ear):
        clock.now_ns += 21 * SECONDS
        connection.keep_alive(interval_ns=20 * SECONDS, timeout_ns=5 * SECONDS)
        await ear.hear(1)
        assert ear.pings_ns == [30_000_000]


async def test_a_pong_that_waits_to_be_handled_is_not_overdue() -> None:
    """Where this process has more to handle than it can, the server is not to blame."""
    clock = Clock()
    async with bare_server(saying()) as server, opened(server.port, clock=clock) as (connection, _):
        clock.now_ns += 21 * SECONDS
        connection.keep_alive(interval_ns=20 * SECONDS, timeout_ns=5 * SECONDS)
        clock.now_ns += 6 * SECONDS
        connection._behind = True
        connection.keep_alive(interval_ns=20 * SECONDS, timeout_ns=5 * SECONDS)
        assert connection.loss is None
        connection._behind = False
        connection.keep_alive(interval_ns=20 * SECONDS, timeout_ns=5 * SECONDS)
        assert connection.loss is not None


async def test_a_ping_whose_pong_was_not_read_is_no_loss() -> None:
    """A drop that stops reading keeps the pong in the socket: only the next ping counts."""
    clock = Clock()
    async with bare_server(saying()) as server, opened(server.port, clock=clock) as (connection, ear):
        clock.now_ns += 21 * SECONDS
        connection.keep_alive(interval_ns=20 * SECONDS, timeout_ns=5 * SECONDS)
        connection.pause_reading()
        clock.now_ns += 6 * SECONDS
        connection.resume_reading()
        connection.keep_alive(interval_ns=20 * SECONDS, timeout_ns=5 * SECONDS)
        assert connection.loss is None
        assert ear.losses == []


async def test_closing_connection_is_not_pinged() -> None:
    """Once the closing handshake has begun, no ping goes out."""
    clock = Clock()
    async with bare_server(saying()) as server, opened(server.port, clock=clock) as (connection, _):
        connection.send_close(1000)
        clock.now_ns += 100 * SECONDS
        connection.keep_alive(interval_ns=SECONDS, timeout_ns=SECONDS)
        connection.write_raw(b"")
        line = server.lines[0]
        await until(lambda: line.received, "the close frame")
        connection.fin()
        await until(lambda: line.end, "the end")
    assert client_frames(line.received) == [(Opcode.CLOSE, struct.pack("!H", 1000))]
