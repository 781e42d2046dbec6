"""A bare websockets client, to compare with: sans-I/O protocol, uvloop, closed loop, nothing recorded.

python tests/benchmarks/bare_client.py PORT SESSIONS SECONDS      prints {"cpu_us": …, "round_trips": …}
"""

import asyncio
import json
import sys
import time

import uvloop
from websockets.client import ClientProtocol
from websockets.frames import Frame
from websockets.uri import parse_uri

MESSAGE = '{"sequence":12345,"text":"' + "x" * 37 + '"}'


class Client(asyncio.Protocol):
    """One session: the next message as soon as the last has come back."""

    round_trips = 0

    def __init__(self, port: int) -> None:
        self.client = ClientProtocol(parse_uri(f"ws://127.0.0.1:{port}/"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.client.send_request(self.client.connect())
        self.flush()

    def flush(self) -> None:
        for data in self.client.data_to_send():
            self.transport.write(data)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.client.receive_data(data)
        for event in self.client.events_received():
            if isinstance(event, Frame):
                bytes(event.data).decode()
                Client.round_trips += 1
            self.client.send_text(MESSAGE.encode())
        self.flush()


async def main(port: int, sessions: int, seconds: float) -> None:
    """Run and print what it cost, the first second left out."""
    loop = asyncio.get_running_loop()
    for _ in range(sessions):
        await loop.create_connection(lambda: Client(port), "127.0.0.1", port)
    await asyncio.sleep(1)
    before, cpu_s = Client.round_trips, time.process_time()
    await asyncio.sleep(seconds)
    round_trips = Client.round_trips - before
    cpu_us = (time.process_time() - cpu_s) * 1e6 / round_trips
    print(json.dumps({"cpu_us": cpu_us, "round_trips": round_trips}))


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
