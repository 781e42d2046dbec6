"""Eclipse Mosquitto with a WebSocket listener.

Fault `acknowledgement_lost`: a proxy before it loses every 20th PUBACK.
"""

import asyncio
import os
import sys

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
log_type error
log_type warning
"""

PUBACK = 0x40
"""First byte of a PUBACK packet (MQTT 3.1.1, section 3.4)."""

MQTT = [Subprotocol("mqtt")]


def become_mosquitto(port: int) -> None:
    """Turn this process into a broker that listens on a port of loopback."""
    descriptor = os.memfd_create("mosquitto.conf", 0)
    os.write(descriptor, CONFIGURATION.format(plain=free_port(), port=port).encode())
    os.execlp("mosquitto", "mosquitto", "-c", f"/proc/self/fd/{descriptor}")


class LossyProxy:
    """Passes messages on, except for some acknowledgements of the broker.

    Args:
        broker: its URL.
    """

    def __init__(self, broker: str) -> None:
        self.broker = broker
        self.acknowledgements = 0

    async def serve(self, port: int) -> None:
        """Serve until the process ends."""
        async with serve(self.connected, "127.0.0.1", port, subprotocols=MQTT, compression=None) as server:
            await server.serve_forever()

    async def connected(self, client: ServerConnection) -> None:
        """Serve a client until it or the broker ends the connection."""
        async with connect(self.broker, subprotocols=MQTT, compression=None) as broker:
            ways = (self.passed_on(client, broker), self.passed_on(broker, client))
            tasks = [asyncio.create_task(way) for way in ways]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()

    async def passed_on(self, sender: Connection, receiver: Connection) -> None:
        """Pass on what one side sends."""
        try:
            async for packet in sender:
                if not self.loses(bytes(packet)):  # type: ignore[arg-type] # MQTT's messages are binary
                    await receiver.send(packet)
        except ConnectionClosed:
            pass

    def loses(self, packet: bytes) -> bool:
        """Return whether this packet gets lost."""
        self.acknowledgements += packet[0] == PUBACK
        return packet[0] == PUBACK and self.acknowledgements % 20 == 0


def main() -> None:
    """Run the broker, with the proxy in a second process that ends with it."""
    port = int(sys.argv[1])
    if len(sys.argv) == 2:
        become_mosquitto(port)
    behind = free_port()
    ours, brokers = os.pipe()
    os.set_inheritable(brokers, True)  # so that it closes when the broker ends
    if os.fork():
        become_mosquitto(behind)
    os.close(brokers)
    loop = asyncio.new_event_loop()
    loop.add_reader(ours, os._exit, 0)
    loop.run_until_complete(LossyProxy(f"ws://127.0.0.1:{behind}").serve(port))


if __name__ == "__main__":
    main()
