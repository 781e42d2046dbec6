"""Eclipse Mosquitto with a WebSocket listener.

Faults, which a proxy before it has:
`acknowledgement_lost`: every 20th PUBACK of the broker is lost.
`session_forgotten`: clients are always given a clean session, asked for or not.
"""

import asyncio
import os
import sys
from contextlib import suppress

from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.support.ports import free_port

CONFIGURATION = """
# Mosquitto 2.0 does not start without a listener for plain MQTT.
listener {plain} 127.0.0.1
listener {port} lo
protocol websockets

allow_anonymous true
persistence false
# The next message with QoS 1 is sent only when the client has acknowledged the last.
max_inflight_messages 1
"""

CONNECT, PUBACK = 0x10, 0x40
"""First bytes of packets (MQTT 3.1.1, section 2.2)."""

FLAGS_AT, CLEAN_SESSION = 9, 0x02
"""In CONNECT packets shorter than 128 bytes (section 3.1.2.4)."""

MQTT = [Subprotocol("mqtt")]


def become_mosquitto(port: int) -> None:
    """Turn this process into a broker that listens on a port of loopback."""
    descriptor = os.memfd_create("mosquitto.conf", 0)
    os.write(descriptor, CONFIGURATION.format(plain=free_port(), port=port).encode())
    os.execlp("mosquitto", "mosquitto", "-c", f"/proc/self/fd/{descriptor}")


class Proxy:
    """Passes messages on, with a fault.

    Args:
        port: of the broker.
        fault: its name.
    """

    def __init__(self, port: int, fault: str) -> None:
        self.broker = f"ws://127.0.0.1:{port}"
        self.fault = fault
        self.acknowledgements = 0

    async def serve(self, port: int) -> None:
        """Serve once the broker does, until the process ends."""
        while True:
            try:
                await connect(self.broker, subprotocols=MQTT)
                break
            except OSError:
                await asyncio.sleep(0.05)
        async with serve(self.connected, "127.0.0.1", port, subprotocols=MQTT) as server:
            await server.serve_forever()

    async def connected(self, client: ServerConnection) -> None:
        """Serve a client until it or the broker ends the connection."""
        async with connect(self.broker, subprotocols=MQTT) as broker:
            ways = (self.passed_on(client, broker), self.passed_on(broker, client))
            tasks = [asyncio.create_task(way) for way in ways]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()

    async def passed_on(self, sender: Connection, receiver: Connection) -> None:
        """Pass on what one side sends."""
        with suppress(ConnectionClosed):
            async for packet in sender:
                assert isinstance(packet, bytes)
                if not self.loses(packet):
                    await receiver.send(self.changed(packet))

    def loses(self, packet: bytes) -> bool:
        """Return whether a packet gets lost."""
        self.acknowledgements += packet[0] == PUBACK
        lossy = self.fault == "acknowledgement_lost" and packet[0] == PUBACK
        return lossy and self.acknowledgements % 20 == 0

    def changed(self, packet: bytes) -> bytes:
        """Return the packet as it is passed on."""
        if self.fault != "session_forgotten" or packet[0] != CONNECT:
            return packet
        return packet[:FLAGS_AT] + bytes([packet[FLAGS_AT] | CLEAN_SESSION]) + packet[FLAGS_AT + 1 :]


def main() -> None:
    """Run the broker; with a fault, run a proxy in a second process that ends with the broker."""
    port, *faults = sys.argv[1:]
    if not faults:
        become_mosquitto(int(port))
    behind = free_port()
    ours, brokers = os.pipe()
    os.set_inheritable(brokers, True)  # closed when the broker ends
    if os.fork():
        become_mosquitto(behind)
    os.close(brokers)
    loop = asyncio.new_event_loop()
    loop.add_reader(ours, os._exit, 0)
    loop.run_until_complete(Proxy(behind, faults[0]).serve(int(port)))


if __name__ == "__main__":
    main()
