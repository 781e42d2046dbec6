"""A bare client that sends at planned times and times its own round trips, to compare latency with.

    python -m tests.benchmarks.timed_client PORT SESSIONS PER_SECOND WARMUP_S SECONDS
                                                    prints {"cpu_us": …, "service_us": [p50, p99]}

websockets' sans-I/O protocol on uvloop; the arrivals and the timer are those of this tool, so that both send
the same messages at the same times.
"""

import asyncio
import json
import sys
import time
from array import array

import uvloop

from loadtest.engine.timers import Timers
from loadtest.session.schedule import Pace
from tests.benchmarks.clients import MESSAGE, SansIo


class Timed(SansIo):
    """A session. All sessions share the pace, the timers and the round trips."""

    pace: Pace
    timers: Timers
    service_ns = array("q")

    def __init__(self, port: int, number: int) -> None:
        super().__init__(port)
        self.number = number
        self.planned = 0
        self.sent_ns: list[int] = []

    def opened(self) -> None:
        """Plan the first message."""
        self.timers.plan(self.next_due_ns(time.monotonic_ns()), self)

    # loadtest.engine.timers.Sender

    def next_due_ns(self, due_ns: int) -> int:
        """Plan the message after this time."""
        gap_ns = self.pace.gap_ns(self.number, self.planned)
        assert gap_ns is not None
        self.planned += 1
        return due_ns + gap_ns

    def send_due(self, _due_ns: int) -> None:
        """Send a message."""
        self.sent_ns.append(time.monotonic_ns())
        self.client.send_text(MESSAGE.encode())
        self.flush()

    def echoed(self, _text: str) -> None:
        """Time the oldest message: the server answers in order."""
        self.service_ns.append(time.monotonic_ns() - self.sent_ns.pop(0))


async def main(port: int, sessions: int, per_s: float, warmup_s: float, seconds: float) -> None:
    """Run and print."""
    loop = asyncio.get_running_loop()
    Timed.pace = Pace(per_s / sessions)
    Timed.timers = Timers(loop, 0)
    for number in range(sessions):
        await loop.create_connection(lambda number=number: Timed(port, number), "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.sleep(warmup_s)
    del Timed.service_ns[:]
    cpu_s = time.process_time()
    await asyncio.sleep(seconds)
    cpu_us = (time.process_time() - cpu_s) * 1e6 / len(Timed.service_ns)
    ordered = sorted(Timed.service_ns)
    service_us = [ordered[int(len(ordered) * share)] / 1000 for share in (0.5, 0.99)]
    print(json.dumps({"cpu_us": cpu_us, "service_us": service_us}), flush=True)
    Timed.timers.close()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), *map(float, sys.argv[3:6])))
