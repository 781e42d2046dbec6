"""A bare client that sends at planned times and measures its round trips, to compare latency with.

    python -m tests.benchmarks.timed_client PORT SESSIONS PER_SECOND WARMUP_S SECONDS [CA]
                      prints {"cpu_us": …, "per_s": …, "slip_us": [p50, p99], "service_us": [p50, p99]}

It uses websockets' sans-I/O protocol on uvloop, with this tool's arrivals and timer, so that both send the
same messages at the same times.
"""

import asyncio
import json
import sys
import time
from array import array
from collections.abc import Iterable

import uvloop

from loadtest.engine.timers import Timers
from loadtest.session.schedule import Pace
from tests.benchmarks.clients import AT_ONCE, MESSAGE, SansIo, Server, server


class Timed(SansIo):
    """A session. All sessions share the pace, the timers and the round trips."""

    pace: Pace
    timers: Timers
    slip_ns = array("q")
    service_ns = array("q")

    def __init__(self, to: Server, number: int) -> None:
        super().__init__(to)
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

    def send_due(self, due_ns: int) -> None:
        """Send a message."""
        now_ns = time.monotonic_ns()
        self.slip_ns.append(abs(now_ns - due_ns))
        self.sent_ns.append(now_ns)
        self.client.send_text(MESSAGE.encode())
        self.flush()

    def echoed(self, _text: str) -> None:
        """Time the oldest message: the server answers in order."""
        self.service_ns.append(time.monotonic_ns() - self.sent_ns.pop(0))


def quantiles_us(times_ns: Iterable[int]) -> list[float]:
    """Return p50 and p99."""
    ordered = sorted(times_ns)
    return [ordered[int(len(ordered) * share)] / 1000 for share in (0.5, 0.99)]


async def main(to: Server, sessions: int, per_s: float, warmup_s: float, seconds: float) -> None:
    """Run and print."""
    loop = asyncio.get_running_loop()
    Timed.pace = Pace(per_s / sessions)
    Timed.timers = Timers(loop, 0)

    async def begin(number: int) -> None:
        await loop.create_connection(lambda: Timed(to, number), "127.0.0.1", to.port, ssl=to.tls)

    for first in range(0, sessions, AT_ONCE):
        await asyncio.gather(*(begin(number) for number in range(first, min(first + AT_ONCE, sessions))))
    await asyncio.sleep(warmup_s)
    del Timed.slip_ns[:], Timed.service_ns[:]
    cpu_s, began_s = time.process_time(), time.perf_counter()
    await asyncio.sleep(seconds)
    answered = len(Timed.service_ns)
    figures = {
        "cpu_us": (time.process_time() - cpu_s) * 1e6 / answered,
        "per_s": answered / (time.perf_counter() - began_s),
        "slip_us": quantiles_us(Timed.slip_ns),
        "service_us": quantiles_us(Timed.service_ns),
    }
    print(json.dumps(figures), flush=True)
    Timed.timers.close()


if __name__ == "__main__":
    _, port, sessions, per_s, warmup_s, seconds, *ca = sys.argv
    uvloop.run(main(server(port, *ca), int(sessions), float(per_s), float(warmup_s), float(seconds)))
