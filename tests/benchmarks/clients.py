"""Clients of other libraries for comparison: echo of a 64-byte text in a closed loop, nothing recorded.

    python tests/benchmarks/clients.py NAME PORT SESSIONS SECONDS [CA]     prints {"cpu_us": …, "per_s": …}

Every session sends its next message as soon as the last one has come back. CPU is that of the whole process,
measured from two seconds after all sessions are up. All clients run on uvloop. With CA, a file of
certificates to trust, they use wss.
"""

import asyncio
import json
import ssl
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import uvloop
from websockets.client import ClientProtocol
from websockets.frames import Frame
from websockets.uri import parse_uri

MESSAGE = '{"sequence":12345,"text":"' + "x" * 37 + '"}'

AT_ONCE = 500
"""Sessions started together: started one by one, each would wait for all sessions already active."""

SETTLING_S = 2.0


@dataclass(frozen=True, slots=True)
class Server:
    """The server on this machine; `tls` is None for plain TCP."""

    port: int
    tls: ssl.SSLContext | None

    @property
    def url(self) -> str:
        """URL of its WebSocket."""
        return f"{'ws' if self.tls is None else 'wss'}://127.0.0.1:{self.port}/"


def server(port: str, ca: str = "") -> Server:
    """Return the server given by the last arguments of the command line."""
    return Server(int(port), ssl.create_default_context(cafile=ca) if ca else None)


class Tally:
    """Round trips of all sessions."""

    round_trips = 0


class SansIo(asyncio.Protocol):
    """A session of websockets' sans-I/O protocol."""

    def __init__(self, to: Server) -> None:
        self.client = ClientProtocol(parse_uri(to.url))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]  # a stream's always is one
        self.client.send_request(self.client.connect())
        self.flush()

    def data_received(self, data: bytes) -> None:
        self.client.receive_data(data)
        for event in self.client.events_received():
            if isinstance(event, Frame):
                self.echoed(bytes(event.data).decode())
            else:
                self.opened()
        self.flush()

    def opened(self) -> None:
        """The WebSocket is open."""
        self.client.send_text(MESSAGE.encode())

    def echoed(self, _text: str) -> None:
        """A message came back."""
        Tally.round_trips += 1
        self.client.send_text(MESSAGE.encode())

    def flush(self) -> None:
        """Write what the protocol has to send."""
        for data in self.client.data_to_send():
            self.transport.write(data)


async def sans_io(to: Server) -> None:
    """Start a session of websockets' sans-I/O protocol."""
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: SansIo(to), "127.0.0.1", to.port, ssl=to.tls)


async def websockets_asyncio(to: Server) -> None:
    """Start a session of websockets' asyncio client."""
    from websockets.asyncio.client import connect

    connection = await connect(to.url, ssl=to.tls, compression=None)

    async def talk() -> None:
        while True:
            await connection.send(MESSAGE)
            await connection.recv()
            Tally.round_trips += 1

    keep(talk())


async def aiohttp_client(to: Server) -> None:
    """Start a session of aiohttp's client."""
    import aiohttp

    http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    connection = await http.ws_connect(to.url, ssl=to.tls or True)

    async def talk() -> None:
        while True:
            await connection.send_str(MESSAGE)
            await connection.receive_str()
            Tally.round_trips += 1

    keep(talk())


async def picows_client(to: Server) -> None:
    """Start a session of picows."""
    import picows

    class Listener(picows.WSListener):  # type: ignore[misc]  # unknown where not installed
        def on_ws_connected(self, transport: picows.WSTransport) -> None:
            transport.send(picows.WSMsgType.TEXT, MESSAGE.encode())

        def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
            frame.get_payload_as_utf8_text()
            Tally.round_trips += 1
            transport.send(picows.WSMsgType.TEXT, MESSAGE.encode())

    await picows.ws_connect(Listener, to.url, ssl_context=to.tls)


_tasks: list[Awaitable[None]] = []


def keep(talk: Awaitable[None]) -> None:
    """Run a session's task for as long as the process lives."""
    _tasks.append(asyncio.ensure_future(talk))


CLIENTS: dict[str, Callable[[Server], Awaitable[None]]] = {
    "sans_io": sans_io,
    "websockets": websockets_asyncio,
    "aiohttp": aiohttp_client,
    "picows": picows_client,
}


async def main(name: str, to: Server, sessions: int, seconds: float) -> None:
    """Start the sessions, let them settle, measure, and print."""
    begin = CLIENTS[name]
    for first in range(0, sessions, AT_ONCE):
        await asyncio.gather(*(begin(to) for _ in range(first, min(first + AT_ONCE, sessions))))
    await asyncio.sleep(SETTLING_S)
    before, began_s, cpu_s = Tally.round_trips, time.perf_counter(), time.process_time()
    await asyncio.sleep(seconds)
    round_trips = Tally.round_trips - before
    cpu_us = (time.process_time() - cpu_s) * 1e6 / round_trips
    print(json.dumps({"cpu_us": cpu_us, "per_s": round_trips / (time.perf_counter() - began_s)}), flush=True)


if __name__ == "__main__":
    _, name, port, sessions, seconds, *ca = sys.argv
    uvloop.run(main(name, server(port, *ca), int(sessions), float(seconds)))
