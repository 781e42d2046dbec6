"""What a connection receives is counted once, however it is cut and however late it is handled."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from loadtest.transport.backlog import Backlog
from loadtest.transport.frames import Splitter
from loadtest.transport.inflow import Inflow
from loadtest.transport.meter import Limits
from loadtest.transport.wire_counts import WireCounts
from tests.support.peers import server_frame

pytestmark = pytest.mark.anyio

FRAME = server_frame("x", opcode=2)
COUNT = 80_000
"""Frames of one read: many times what a turn can handle."""

UNLIMITED = Limits(messages_per_s=10**9, frames_per_s=10**9, bytes_per_s=10**9)


class Received(Inflow):
    """An open connection without a socket, which keeps what it has handled."""

    def __init__(self, backlog: Backlog, limits: Limits = UNLIMITED) -> None:
        super().__init__(lambda: 0, WireCounts(), limits, backlog)
        self.handled = 0
        self.last: Any = None
        self.reason = ""
        self._splitter = Splitter(10**6)
        self._open, self._early, self._listener = True, None, cast("Any", object())
        self._deliver = self._handle_one

    def _handle_one(self, data: object) -> None:
        self.handled += 1
        self.last = data

    def _answer_received(self, data: bytes) -> bytes:
        return data

    def _feed(self, data: bytes) -> None:
        raise AssertionError(data)

    def _pong(self, payload: bytes) -> None:
        raise AssertionError(payload)

    def _ponged(self) -> None:
        raise AssertionError

    def _violated(self, error: Exception) -> None:
        raise error

    def flooded(self, reason: str) -> None:
        self.reason = self.reason or reason

    @property
    def is_behind(self) -> bool:
        """Whether something waits."""
        return self._ahead is not None

    @property
    def metered(self) -> tuple[int, int, int]:
        """Frames, messages and bytes counted so far."""
        return self._meter._frames, self._meter._messages, self._meter._bytes


async def test_what_waits_is_counted_once() -> None:
    """Of one read that no turn can handle, and of another that comes while it waits."""
    connection = Received(Backlog(asyncio.get_running_loop()))
    connection.data_received(FRAME * COUNT)
    assert connection.is_behind
    connection.data_received(FRAME * COUNT)
    while connection.is_behind:
        await asyncio.sleep(0)
    assert connection.handled == 2 * COUNT
    assert connection.metered == (2 * COUNT, 2 * COUNT, 2 * COUNT * len(FRAME))


async def test_a_server_within_its_limits_is_not_ended_because_it_waits() -> None:
    """Its bytes are counted once: a limit just above them is not exceeded."""
    limits = Limits(messages_per_s=COUNT, frames_per_s=COUNT, bytes_per_s=COUNT * len(FRAME))
    connection = Received(Backlog(asyncio.get_running_loop()), limits)
    connection.data_received(FRAME * COUNT)
    while connection.is_behind:
        await asyncio.sleep(0)
    assert connection.reason == ""
    connection.data_received(FRAME)
    assert connection.reason


@pytest.mark.parametrize("inner", [server_frame("inner"), server_frame("i" * 200)], ids=["short", "long"])
@pytest.mark.parametrize("outer_bytes", [0, 1, 60, 300], ids="after {} bytes".format)
async def test_what_looks_like_a_message_within_another_is_part_of_it(inner: bytes, outer_bytes: int) -> None:
    """A read that would be a whole text message is no message where the frame before it is not complete."""
    connection = Received(Backlog(asyncio.get_running_loop()))
    body = b"o" * outer_bytes + inner
    frame = server_frame(body, opcode=2)
    connection.data_received(server_frame("whole"))
    assert connection.last == "whole"
    connection.data_received(frame[: -len(inner)])
    connection.data_received(inner)
    assert (connection.handled, connection.last) == (2, body)
    connection.data_received(inner)
    assert (connection.handled, connection.last) == (3, inner[4 if inner[1] == 126 else 2 :].decode())


async def test_what_looks_like_a_message_between_fragments_is_none() -> None:
    """A whole text message within a fragmented one breaks the protocol: it is the library's to say so."""
    connection = Received(Backlog(asyncio.get_running_loop()))
    connection.data_received(server_frame("whole"))
    connection.data_received(server_frame("begun", fin=False))
    with pytest.raises(AssertionError):
        connection.data_received(server_frame("inner"))
    assert connection.last == "whole"
