"""Each kind of drop on the wire: against a bare server that sees every byte, FIN and RST, and against uvicorn
with two WebSocket implementations that are not ours, by what its application and its log are told.

A drop's steps are taken by hand here, so nothing waits for its times: `begin` takes those up to the first
wait, `go_on` those up to the next.
"""

import asyncio
import struct
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from wsproto.frame_protocol import Opcode, ParseFailed

from loadtest.drops.kinds import DETECTED, DropKind, ProtocolErrorDrop, Steps
from loadtest.drops.plan import DEFAULT_WEIGHTS
from loadtest.events import Drop, Endpoint
from loadtest.transport.connection import Connection
from tests.conftest import Certificates
from tests.support.asgi_server import AsgiServer, asgi_server
from tests.support.dialling import opened, trusting
from tests.support.peers import (
    BareServer,
    Ear,
    Line,
    bare_server,
    client_frames,
    close_frame,
    server_frame,
    until,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nothing_left")]

PING = 9

NEXT = Endpoint(path="/next")
"""Of another connection at the same time."""


def begin(
    connection: Connection, kind: str, *, ordinal: int = 0, probe: str | None = '{"probe":1}'
) -> tuple[Steps, float | str | None]:
    """Begin a drop; return its further steps and what it waits for first."""
    connection.probe = probe
    drop = Drop(kind=kind, ordinal=ordinal, after_s=0, detect_s=1.5, hold_s=50)
    steps = DropKind.kinds[kind]().steps(connection, drop)
    return steps, next(steps, None)


def finish(steps: Steps) -> list[float | str]:
    """Take all further steps at once; return what they would have waited for."""
    return list(steps)


async def recorded(line: Line) -> None:
    """Accept, then record without ever answering."""
    await line.upgrade()
    await line.record()


@pytest.fixture(params=["ws", "wss"])
def tls(request: pytest.FixtureRequest, certificates: Certificates) -> dict[str, Any]:
    """The TLS contexts of both ends, None for ws."""
    if request.param == "ws":
        return {"server": None, "client": None}
    return {"server": certificates.server_context(), "client": trusting(certificates.authority)}


@asynccontextmanager
async def joined(script: Any, tls: dict[str, Any]) -> AsyncIterator[tuple[BareServer, Connection, Ear]]:
    """A client of a bare server."""
    async with (
        bare_server(script, tls["server"]) as server,
        opened(server.port, tls["client"]) as (link, ear),
    ):
        yield server, link, ear


async def ended(server: BareServer) -> Line:
    """Return the first line once the client's side has ended."""
    line = await server.line()
    await until(lambda: line.end, "the end of the line")
    return line


# On the wire.


async def test_close_does_the_closing_handshake(tls: dict[str, Any]) -> None:
    """`close` sends 1000, hears the server's answer, and lets the server close first."""

    async def script(line: Line) -> None:
        await line.upgrade()
        await line.hear(b"\x88")
        await line.send(close_frame(1000))
        line.fin()
        await line.record()

    async with joined(script, tls) as (server, connection, ear):
        steps, wait = begin(connection, "close")
        assert isinstance(wait, float)
        assert (await ear.end()).code == 1000
        line = await ended(server)
        assert finish(steps) == [DETECTED, 8.0]
    assert client_frames(line.received) == [(Opcode.CLOSE, struct.pack("!H", 1000))]
    assert line.end == "fin"


async def test_close_leaves_a_server_that_does_not_answer(tls: dict[str, Any]) -> None:
    """`close` ends with FIN when the server never answers."""
    async with joined(recorded, tls) as (server, connection, _):
        steps, _wait = begin(connection, "close")
        line = await server.line()
        await until(lambda: line.received, "the close frame")
        assert finish(steps) == [DETECTED, 8.0]
        await ended(server)
    assert client_frames(line.received) == [(Opcode.CLOSE, struct.pack("!H", 1000))]
    assert line.end == "fin"


async def test_tab_close_does_not_wait(tls: dict[str, Any]) -> None:
    """`tab_close` sends 1001 and FIN in one go, whatever the server does."""
    async with joined(recorded, tls) as (server, connection, _):
        steps, first = begin(connection, "tab_close")
        assert (first, finish(steps)) == (DETECTED, [])
        line = await ended(server)
    assert client_frames(line.received) == [(Opcode.CLOSE, struct.pack("!H", 1001))]
    assert line.end == "fin"


async def test_fin_says_nothing(tls: dict[str, Any]) -> None:
    """`fin` ends TCP in good order, without close frame and, as nobody is alive to send it, close_notify."""
    async with joined(recorded, tls) as (server, connection, _):
        steps, first = begin(connection, "fin")
        assert (first, finish(steps)) == (DETECTED, [])
        line = await ended(server)
    assert (line.received, line.end, line.said_goodbye) == (b"", "fin", False)


async def test_fin_comes_after_what_was_sent(tls: dict[str, Any]) -> None:
    """What the session sent before `fin` still arrives."""
    async with joined(recorded, tls) as (server, connection, _):
        for number in range(200):
            connection.send(str(number))
        begin(connection, "fin")
        line = await ended(server)
    assert client_frames(line.received) == [(Opcode.TEXT, str(number)) for number in range(200)]
    assert line.end == "fin"


async def test_reset_is_a_reset(tls: dict[str, Any]) -> None:
    """`reset` sends RST and no byte."""
    async with joined(recorded, tls) as (server, connection, _):
        steps, first = begin(connection, "reset")
        assert (first, finish(steps)) == (DETECTED, [])
        line = await ended(server)
    assert (line.received, line.end, line.said_goodbye) == (b"", "reset", False)


@pytest.mark.parametrize("goodbye", [b"", close_frame(1011, "keepalive ping timeout")])
async def test_half_open_is_silent_until_its_reset(goodbye: bytes, tls: dict[str, Any]) -> None:
    """`half_open` answers neither ping, message, close nor FIN while another connection lives; then RST."""

    async def script(line: Line) -> None:
        await line.upgrade()
        if line.request.startswith(b"GET / "):
            await line.hear(b"before")
            line.received = b""
            await line.send(server_frame("?", opcode=PING) + server_frame("message") + goodbye)
            if goodbye:
                line.fin()
        else:
            await line.send(server_frame("next"))
        await line.record()

    async with joined(script, tls) as (server, connection, ear):
        connection.write_raw(b"before")
        steps, wait = begin(connection, "half_open")
        assert wait == 1.5
        connection.send("unheard")
        connection.keep_alive(interval_ns=0, timeout_ns=0)
        assert next(steps) == DETECTED
        connection.detach()
        assert next(steps) == 50
        async with opened(server.port, tls["client"], endpoint=NEXT) as (_, next_ear):
            await next_ear.hear(1)
        line = server.lines[0]
        assert (line.received, line.end, connection.loss, ear.messages) == (b"", None, None, [])
        assert finish(steps) == []
        await ended(server)
    assert (line.received, line.end) == (b"", "reset")


async def test_mid_message_ends_within_a_frame(tls: dict[str, Any]) -> None:
    """`mid_message` sends half a frame, then RST."""
    async with joined(recorded, tls) as (server, connection, _):
        steps, wait = begin(connection, "mid_message")
        assert isinstance(wait, float)
        line = await server.line()
        await until(lambda: len(line.received) == 508, "half the frame")
        assert finish(steps) == [DETECTED]
        await ended(server)
    assert line.received[:8] == b"\x81\xfe\x03\xe8\0\0\0\0"  # 1000 bytes announced
    assert client_frames(line.received) == [(Opcode.TEXT, "x" * 500)]
    assert line.end == "reset"


async def test_mid_reply_meets_the_server_in_its_reply(tls: dict[str, Any]) -> None:
    """`mid_reply` asks much, reads nothing, and RST ends a send that is under way."""
    reply = server_frame("x" * 100_000)
    failures: list[BaseException] = []

    async def script(line: Line) -> None:
        await line.upgrade()
        await line.hear(b"\x81")
        try:
            while True:
                await line.send(reply)
        except ConnectionError as error:
            failures.append(error)
        await line.record()

    async with joined(script, tls) as (server, connection, ear):
        steps, wait = begin(connection, "mid_reply")
        assert wait == 0.0
        line = await server.line()
        await until(lambda: line.received, "the requests")
        assert finish(steps) == [DETECTED]
        await until(lambda: failures, "the send to fail")
    assert ear.messages == []
    frames = client_frames(line.received)
    assert frames[0] == (Opcode.TEXT, '{"probe":1}')


async def test_mid_reply_sends_its_requests(tls: dict[str, Any]) -> None:
    """`mid_reply` sends four of the dialect's probes, then FIN and RST: the answers meet a closed socket."""
    failures: list[ConnectionError] = []

    async def script(line: Line) -> None:
        await line.upgrade()
        await line.record()
        try:
            while True:
                await line.send(server_frame("an answer"))
        except ConnectionError as error:
            failures.append(error)

    async with joined(script, tls) as (server, connection, ear):
        steps, wait = begin(connection, "mid_reply")
        assert wait == 0.0
        await asyncio.sleep(wait)
        assert finish(steps) == [DETECTED]
        line = await ended(server)
        await until(lambda: failures, "the send to fail")
    assert client_frames(line.received) == [(Opcode.TEXT, '{"probe":1}')] * 4
    assert (line.end, ear.messages) == ("fin", [])


async def test_mid_reply_without_a_probe_follows_what_the_server_says(tls: dict[str, Any]) -> None:
    """With nothing to ask, `mid_reply` waits for bytes from the server, reads none of them, and resets."""

    async def script(line: Line) -> None:
        await line.upgrade()
        await line.hear(b"go")
        await line.send(server_frame("a push"))
        await line.record()

    async with joined(script, tls) as (server, connection, ear):
        steps, wait = begin(connection, "mid_reply", probe=None)
        assert (wait, next(steps)) == (0.01, 0.01)
        connection.write_raw(b"go")
        await until(connection.has_unread, "the push to arrive")
        assert finish(steps) == [DETECTED]
        line = await ended(server)
    assert (ear.messages, line.end) == ([], "reset")


async def test_slow_reader_stops_reading_and_recovers(tls: dict[str, Any]) -> None:
    """`slow_reader` hears nothing while it does not read; then all comes in order on the same connection."""
    messages = [f"{number} " + "x" * 1000 for number in range(300)]

    async def script(line: Line) -> None:
        await line.upgrade()
        if line.request.startswith(b"GET / "):
            await line.hear(b"go")
            for message in messages:
                await line.send(server_frame(message))
        else:
            await line.send(server_frame("next"))
        await line.record()

    async with joined(script, tls) as (server, connection, ear):
        steps, wait = begin(connection, "slow_reader")
        assert wait == 50
        connection.write_raw(b"go")
        for _ in range(20):  # what another connection does meanwhile, this one would hear if it listened
            async with opened(server.port, tls["client"], endpoint=NEXT) as (_, next_ear):
                await next_ear.hear(1)
        assert ear.messages == []
        assert finish(steps) == []
        assert await ear.hear(len(messages)) == messages
        assert connection.loss is None
    assert DropKind.kinds["slow_reader"].disconnects is False


async def test_slow_reader_fills_the_servers_buffers(tls: dict[str, Any]) -> None:
    """A server that sends much to a slow reader is stopped by TCP, under TLS as without."""
    chunk, sent, offered = server_frame("x" * 60_000), 0, 60_000 * 2000

    async def script(line: Line) -> None:
        nonlocal sent
        await line.upgrade()
        with suppress(ConnectionError):
            for _ in range(2000):
                await line.send(chunk)
                sent += len(chunk)

    async with joined(script, tls) as (server, connection, _):
        steps, _wait = begin(connection, "slow_reader")

        async def stalled() -> bool:
            before = sent
            await asyncio.sleep(0.2)
            return sent == before

        while not await stalled():
            pass
        assert sent < offered
        stalled_at = sent
        finish(steps)
        await until(lambda: sent > stalled_at, "the server to go on")
        connection.reset()
        await until(lambda: server.ended, "the server's end")


@pytest.mark.parametrize("ordinal", range(len(ProtocolErrorDrop.frames)))
async def test_protocol_error_sends_what_is_forbidden(ordinal: int, tls: dict[str, Any]) -> None:
    """`protocol_error` sends a frame that another implementation rejects, and resets if nobody answers."""
    async with joined(recorded, tls) as (server, connection, _):
        steps, wait = begin(connection, "protocol_error", ordinal=ordinal)
        assert isinstance(wait, float)
        line = await server.line()
        await until(lambda: len(line.received) >= len(ProtocolErrorDrop.frames[ordinal]), "the frame")
        assert finish(steps) == [DETECTED]
        await ended(server)
    with pytest.raises(ParseFailed):
        client_frames(line.received)
    assert line.end == "reset"


async def test_bad_message_is_a_sound_frame_with_a_bad_text(tls: dict[str, Any]) -> None:
    """`bad_message` breaks the application's rules only, and ends with RST when the server does nothing."""
    async with joined(recorded, tls) as (server, connection, _):
        steps, wait = begin(connection, "bad_message")
        assert isinstance(wait, float)
        line = await server.line()
        await until(lambda: line.received, "the message")
        assert finish(steps) == [DETECTED]
        await ended(server)
    assert client_frames(line.received) == [(Opcode.TEXT, "this is not JSON")]
    assert line.end == "reset"


async def test_every_kind_is_tested_here() -> None:
    """The ten kinds of the package are those of this module."""
    assert {name for name, kind in DropKind.kinds.items() if kind.__module__ == "loadtest.drops.kinds"} == {
        *DEFAULT_WEIGHTS,
        "slow_reader",
        "protocol_error",
        "bad_message",
    }


# What uvicorn sees.


@pytest.fixture(scope="module", params=["websockets", "wsproto"])
def implementation(request: pytest.FixtureRequest) -> str:
    """The WebSocket implementation of uvicorn."""
    return str(request.param)


@pytest.fixture(scope="module")
def uvicorns(
    implementation: str, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, AsgiServer]]:
    """One server without TLS and one with."""
    folder = tmp_path_factory.mktemp(f"uvicorn-{implementation}")
    with ExitStack() as stack:
        plain = stack.enter_context(asgi_server(folder, ws=implementation))
        secure = asgi_server(folder, "--certificate", str(certificates.server), ws=implementation)
        yield {"ws": plain, "wss": stack.enter_context(secure)}


@pytest.fixture(params=["ws", "wss"])
def scheme(request: pytest.FixtureRequest) -> str:
    """With TLS or without."""
    return str(request.param)


@pytest.fixture
def client_tls(scheme: str, certificates: Certificates) -> Any:
    """The client's TLS context."""
    return trusting(certificates.authority) if scheme == "wss" else None


async def told(server: AsgiServer, event: str, path: str) -> dict[str, Any]:
    """Return what the application reported of this connection's end."""

    def found() -> Any:
        return [report for report in server.events(event) if report["path"] == path]

    report: dict[str, Any] = (await until(found, f"{event} of {path}"))[0]
    return report


def own_path(path: str) -> Endpoint:
    """Return an endpoint whose reports are told from all others."""
    return Endpoint(path=f"{path}/{uuid.uuid4()}")


GONE = {"websockets": 1006, "wsproto": 1005}

CODES: list[tuple[str, int | None]] = [  # None: as the implementation calls an abnormal end
    ("close", 1000),
    ("tab_close", 1001),
    ("fin", None),
    ("reset", None),
    ("mid_message", None),
    ("bad_message", None),
]


@pytest.mark.parametrize(("kind", "code"), CODES)
async def test_application_is_told_the_code(
    kind: str,
    code: int | None,
    implementation: str,
    scheme: str,
    uvicorns: dict[str, AsgiServer],
    client_tls: Any,
) -> None:
    """The application sees the disconnect code that the table says, and uvicorn logs no error."""
    server, endpoint = uvicorns[scheme], own_path("/echo")
    async with opened(server.port, client_tls, endpoint=endpoint) as (connection, ear):
        connection.send("hello")
        assert await ear.hear(1) == ["hello"]
        steps, wait = begin(connection, kind)
        if isinstance(wait, float):
            await asyncio.sleep(min(wait, 0.01))
        if kind == "close":
            assert (await ear.end()).code == 1000
        if kind == "bad_message":  # else the reset may meet the echo: a send that fails, and no disconnect
            await ear.hear(2)
        finish(steps)
        report = await told(server, "disconnected", endpoint.path)
    assert report["code"] == (GONE[implementation] if code is None else code)
    assert report["messages"] == (2 if kind == "bad_message" else 1)
    assert server.faults == []


@pytest.mark.parametrize("ordinal", range(len(ProtocolErrorDrop.frames)))
async def test_protocol_error_is_answered(
    ordinal: int, implementation: str, scheme: str, uvicorns: dict[str, AsgiServer], client_tls: Any
) -> None:
    """Each forbidden frame ends the connection; websockets tells its code to the client, wsproto to the
    application.
    """
    server, endpoint = uvicorns[scheme], own_path("/echo")
    async with opened(server.port, client_tls, endpoint=endpoint) as (connection, ear):
        steps, _wait = begin(connection, "protocol_error", ordinal=ordinal)
        lost = await ear.end()
        finish(steps)
        report = await told(server, "disconnected", endpoint.path)
    code = 1007 if ordinal == 2 else 1002
    expected = (code, 1006) if implementation == "websockets" else (1006, code)
    assert (lost.code, report["code"]) == expected
    assert server.faults == []


async def test_half_open_is_noticed_by_the_servers_ping(tmp_path: Path) -> None:
    """A server that pings gives up a half-open client, whose socket is still held."""
    endpoint = own_path("/echo")
    with asgi_server(tmp_path, "--ping-interval", "0.1", ws="wsproto") as server:
        async with opened(server.port, endpoint=endpoint) as (connection, _):
            steps, _wait = begin(connection, "half_open")
            report = await told(server, "disconnected", endpoint.path)
            assert connection.loss is None
            assert finish(steps) == [DETECTED, 50]
        assert report["code"] == 1005
        assert server.faults == []


@pytest.mark.parametrize("path", ["/reply/2000000/1", "/echo"])
async def test_mid_reply_makes_a_send_fail(
    path: str, implementation: str, scheme: str, uvicorns: dict[str, AsgiServer], client_tls: Any
) -> None:
    """`mid_reply` meets an application in its send, at least four times in five, whether the reply is short
    or long; uvicorn's wsproto implementation does not tell it of that. No application sees anything worse.
    """
    server = uvicorns[scheme]
    endpoints = [own_path(path) for _ in range(10)]
    for endpoint in endpoints:
        async with opened(server.port, client_tls, endpoint=endpoint) as (connection, _):
            steps, wait = begin(connection, "mid_reply")
            while isinstance(wait, float):
                await asyncio.sleep(wait)
                wait = next(steps)
            assert finish(steps) == []

    def reports() -> list[str]:
        events = server.events("send_failed") + server.events("disconnected")
        paths = {endpoint.path for endpoint in endpoints}
        return [report["event"] for report in events if report["path"] in paths]

    await until(lambda: len(reports()) == len(endpoints), "the end of every connection")
    assert server.faults == []
    if implementation == "websockets":
        assert reports().count("send_failed") >= 0.8 * len(endpoints)


async def test_slow_reader_is_no_disconnect(
    scheme: str, uvicorns: dict[str, AsgiServer], client_tls: Any
) -> None:
    """After `slow_reader`, the connection is the same and nothing is missing."""
    server, endpoint = uvicorns[scheme], own_path("/reply/10000/300")
    async with opened(server.port, client_tls, endpoint=endpoint) as (connection, ear):
        steps, _wait = begin(connection, "slow_reader")
        connection.send("talk")
        assert finish(steps) == []
        assert await ear.hear(300) == ["x" * 10_000] * 300
        assert connection.loss is None
    assert server.faults == []
