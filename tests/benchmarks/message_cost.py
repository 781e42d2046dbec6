"""CPU per message in the transport alone: plain and compressed in one run, without a socket.

Sent messages are discarded; received ones are prepared before: JSON texts of 200 bytes, each with a different
number. Times are thread CPU, and the minimum of many short measurements, so other processes have little
effect. Compare the ratios.
"""

import asyncio
import time
import zlib
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from websockets.extensions.permessage_deflate import PerMessageDeflate

from loadtest.events import Endpoint
from loadtest.transport.backlog import Backlog
from loadtest.transport.connection import Connection
from loadtest.transport.deflate import Deflate
from loadtest.transport.frames import Splitter
from loadtest.transport.listener import discard
from loadtest.transport.meter import Limits
from loadtest.transport.target import Target
from loadtest.transport.upgrade import Upgrades
from loadtest.transport.wire_counts import WireCounts

LIMIT = 2**20
MESSAGES = 500
TEXTS: Final = [
    f'{{"type":"chat.message","payload":{{"text":"{"lorem ipsum dolor " * 8}","sequence":{number:05}}}}}'
    for number in range(MESSAGES)
]


class _Nowhere:
    """A transport that discards what is written."""

    def write(self, data: bytes) -> None:
        """Do nothing."""

    def is_closing(self) -> bool:
        """Return False."""
        return False

    def set_write_buffer_limits(self, high: int) -> None:
        """Do nothing."""


def message_cost(_port: int, *, mode: str, repeats: int) -> Mapping[str, float]:
    """Return microseconds per message, for sending and receiving.

    Args:
        mode: `off`, `on` or `no-takeover`, as in `--ws-compression`.
        repeats: number of measurements; the minimum counts.
    """
    return asyncio.run(_measured(mode, repeats))


async def _measured(mode: str, repeats: int) -> dict[str, float]:
    frames = _frames(mode)
    least: dict[str, float] = {}
    for _ in range(repeats):
        connection = _connection(mode)
        for name, work, given in (
            ("transport: CPU to send a message (µs)", connection.send, TEXTS),
            ("transport: CPU to receive one (µs)", connection.data_received, frames),
        ):
            began_ns = time.thread_time_ns()
            deque(map(work, given), maxlen=0)  # type: ignore[arg-type]  # texts are sent, bytes received
            took_us = (time.thread_time_ns() - began_ns) / 1000 / MESSAGES
            least[name] = min(took_us, least.get(name, took_us))
    return least


def _agreed(mode: str) -> PerMessageDeflate:
    resets = mode == "no-takeover"
    return PerMessageDeflate(resets, resets, 15, 15)


def _connection(mode: str) -> Connection:
    unlimited = Limits(messages_per_s=10**9, frames_per_s=10**9, bytes_per_s=10**12)
    backlog = Backlog(asyncio.get_running_loop())
    run = Upgrades(Target("localhost", 80), subprotocols=(), extensions=None, max_message_bytes=LIMIT)
    upgrade = run.of(Endpoint(path="/"))
    connection: Any = Connection(upgrade, time.monotonic_ns, set(), WireCounts(), unlimited, backlog)
    connection.connection_made(_Nowhere())
    connection._deflate = None if mode == "off" else Deflate(_agreed(mode), LIMIT)
    connection._splitter = Splitter(LIMIT, compressed=mode != "off")
    connection._open, connection._deliver = True, discard
    return connection  # type: ignore[no-any-return]  # a Connection that is open without an upgrade


def _frames(mode: str) -> list[bytes]:
    deflater = None
    frames = []
    for text in TEXTS:
        payload, first = text.encode(), 0x81
        if mode != "off":
            if deflater is None or mode == "no-takeover":
                deflater = zlib.compressobj(wbits=-15)
            payload, first = (deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4], 0xC1
        length = bytes((len(payload),)) if len(payload) < 126 else b"\x7e" + len(payload).to_bytes(2, "big")
        frames.append(bytes((first,)) + length + payload)
    return frames
