"""A market data feed: numbered ticks, ten times a second, to everyone who is connected.

    python -m tests.support.strangers.market_data PORT [FAULT]

Faults:
    skips_ticks: every 20th tick is numbered but not sent.
"""

import asyncio
import json
import random
import time
from itertools import count

from websockets.asyncio.server import ServerConnection, broadcast, serve

from tests.support.strangers.program import FAULT, PORT

PAUSE_S = 0.1

subscribers: set[ServerConnection] = set()


async def handle(connection: ServerConnection) -> None:
    """Keep a client subscribed for as long as it is connected."""
    subscribers.add(connection)
    try:
        await connection.wait_closed()
    finally:
        subscribers.discard(connection)


async def publish() -> None:
    """Send ticks, for ever."""
    price = 1.1
    for number in count(1):
        await asyncio.sleep(PAUSE_S)
        price += random.uniform(-0.001, 0.001)
        tick = {"number": number, "symbol": "EURUSD", "price": price, "time_ms": time.time() * 1000}
        if FAULT == "skips_ticks" and number % 20 == 0:
            continue
        broadcast(subscribers, json.dumps(tick))


async def main() -> None:
    """Serve until the process ends."""
    async with serve(handle, "127.0.0.1", PORT):
        await publish()


if __name__ == "__main__":
    asyncio.run(main())
