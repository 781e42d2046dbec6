"""The end of TCP on a dropped connection is told once, when the server ends it, over ws and wss."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from loadtest.transport import connection as transport
from tests.conftest import Certificates
from tests.support.dialling import opened, trusting
from tests.support.peers import Line, bare_server, close_frame, server_frame, until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nothing_left")]

PING = 9


@pytest.fixture(params=["ws", "wss"])
def tls(request: pytest.FixtureRequest, certificates: Certificates) -> dict[str, Any]:
    """The TLS contexts of both ends, None for ws."""
    if request.param == "ws":
        return {"server": None, "client": None}
    return {"server": certificates.server_context(), "client": trusting(certificates.authority)}


@pytest.mark.parametrize("end", ["fin", "reset"])
async def test_a_silent_client_sees_the_end_and_says_nothing(end: str, tls: dict[str, Any]) -> None:
    """FIN and RST are seen behind pings, messages and a close frame; none of it is answered, nor is FIN."""
    told: list[str] = []
    silent, go = asyncio.Event(), asyncio.Event()

    async def script(line: Line) -> None:
        await line.upgrade()
        await silent.wait()
        await line.send(
            server_frame("?", opcode=PING) * 100 + server_frame("x" * 500_000) + close_frame(1011)
        )
        await go.wait()
        line.fin() if end == "fin" else line.reset()
        if end == "fin":
            await line.record()

    async with (
        bare_server(script, tls["server"]) as server,
        opened(server.port, tls["client"]) as (connection, ear),
    ):
        connection.tcp_ended = lambda: told.append("ended")
        connection.go_silent()
        silent.set()
        line = await server.line()
        assert told == []
        go.set()
        await until(lambda: told, "the end of TCP")
        assert (line.received, line.end, ear.losses) == (b"", None, [])
        connection.reset()
        await until(lambda: server.ended, "the end of the line")
    assert told == ["ended"]
    assert line.end == ("reset" if end == "fin" else None)


async def test_a_silent_client_that_resets_ends_itself(tls: dict[str, Any]) -> None:
    """Where the server never ends TCP, the client's own RST does, and is told too."""
    told: list[str] = []

    async def script(line: Line) -> None:
        await line.upgrade()
        await line.record()

    async with (
        bare_server(script, tls["server"]) as server,
        opened(server.port, tls["client"]) as (connection, _),
    ):
        connection.tcp_ended = lambda: told.append("ended")
        connection.go_silent()
        line = await server.line()
        connection.reset()
        await until(lambda: line.end, "the end of the line")
        await until(lambda: told, "the end of TCP")
    assert (line.end, told) == ("reset", ["ended"])


@pytest.mark.parametrize("watched", [True, False])
async def test_a_closed_connection_waits_for_the_server(
    watched: bool, tls: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a closing handshake it stays open beyond the usual grace if, and only if, somebody watches it."""
    monkeypatch.setattr(transport, "_CLOSE_GRACE_S", 0.01)
    told: list[str] = []
    go, late = asyncio.Event(), asyncio.Event()

    async def script(line: Line) -> None:
        await line.upgrade()
        await line.hear(b"\x88")
        await line.send(close_frame(1000))
        await go.wait()
        line.fin()
        await line.record()

    async with (
        bare_server(script, tls["server"]) as server,
        opened(server.port, tls["client"]) as (connection, ear),
    ):
        if watched:
            connection.tcp_ended = lambda: told.append("ended")
        connection.send_close(1000)
        await ear.end()
        asyncio.get_running_loop().call_later(0.05, late.set)  # timers fire in the order of their times
        await late.wait()
        assert (connection._transport is not None) is watched
        assert told == []
        go.set()
        await until(lambda: server.ended, "the end of the line")
        await until(lambda: connection._transport is None, "the end of the socket")
    assert told == (["ended"] if watched else [])


async def test_the_end_behind_a_push_at_full_speed_is_seen_at_once(tls: dict[str, Any]) -> None:
    """Megabytes stand before the FIN of a server that pushes until it notices: they are read at speed.

    Judged by how long the client rests on the way, because all other times depend on the machine.
    """
    pushed = 8 * 2**20
    silent = asyncio.Event()
    told: list[str] = []

    async def script(line: Line) -> None:
        await line.upgrade()
        await silent.wait()
        await line.send(bytes(pushed))
        line.fin()
        await line.record()

    async with (
        bare_server(script, tls["server"]) as server,
        opened(server.port, tls["client"]) as (connection, _),
    ):
        pauses_s: list[float] = []
        pause_s = connection._backlog.surplus.pause_s

        def measured(size: int) -> float:
            pauses_s.append(pause_s(size))
            return pauses_s[-1]

        connection._backlog.surplus = cast("Any", SimpleNamespace(pause_s=measured))
        connection.tcp_ended = lambda: told.append("ended")
        connection.go_silent()
        silent.set()
        await until(lambda: told, "the end of TCP")
        connection.reset()
        await until(lambda: server.ended, "the end of the line")
    assert 0 < sum(pauses_s) < 0.3
