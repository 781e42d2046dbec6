"""The receiving half of a connection: handles received bytes in order, and limits their amount and rate.

A read of the socket may bring one message or a hundred thousand frames. They are handled at once as long as
the loop's turn allows (`loadtest.transport.backlog`). The rest waits and nothing more is read, except on one
connection at a time, to measure how much its server sends. A connection ends if its server sends more than
the limits (`loadtest.transport.meter`). Bytes that are not needed, such as those after the connection's end,
are discarded at a limited rate (`loadtest.transport.raw_tcp`).
"""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from websockets.exceptions import PayloadTooBig, ProtocolError

from loadtest.events import Data, Lost
from loadtest.transport.backlog import Ahead, Backlog
from loadtest.transport.deflate import Deflate
from loadtest.transport.frames import (
    BINARY,
    COMPRESSED,
    DECODED,
    INVALID,
    LIBRARY,
    PING,
    PONG,
    TEXT,
    WHOLE_TEXT,
    Splitter,
)
from loadtest.transport.listener import Listener
from loadtest.transport.meter import Limits, Meter
from loadtest.transport.wire_counts import WireCounts

KEEPALIVE = b"loadtest"
"""Payload of this client's own pings."""


_UNTIMED = 2
"""Pieces of one read that are handled without a look at the clock: sound servers rarely send more at once."""


class Inflow(asyncio.Protocol):
    """The reading half of a connection.

    Args:
        clock: returns monotonic nanoseconds.
        counts: counts of the process; messages are added to them.
        limits: limits on what the server may send in a second.
        backlog: backlog of the loop.

    Attributes:
        loss: how the connection ended, None while it is open.
    """

    __slots__ = (
        "_ahead",
        "_backlog",
        "_behind",
        "_counts",
        "_deflate",
        "_deliver",
        "_early",
        "_held",
        "_listener",
        "_longest",
        "_loop",
        "_meter",
        "_mute",
        "_open",
        "_ping_sent_ns",
        "_short",
        "_short_at_once",
        "_silent",
        "_splitter",
        "_tcp",
        "_transport",
        "loss",
    )

    def __init__(
        self, clock: Callable[[], int], counts: WireCounts, limits: Limits, backlog: Backlog
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._counts = counts
        self._listener: Listener | None = None
        self._early: list[Data] | None = []  # messages before a listener is attached
        self._deliver: Callable[[Data], None] = self._early.append
        self._transport: asyncio.Transport | None = None
        self._tcp: asyncio.Transport | None = None  # the one below TLS, or the same
        self._splitter: Splitter | None = None  # once the WebSocket is open
        self._longest = 0  # bytes of a frame that may be read without the splitter; 0 for none
        self._deflate: Deflate | None = None  # where messages are compressed
        self._meter = Meter(limits, clock)
        self._short_at_once = self._short = limits.short_at_once  # short messages until they are counted
        self._backlog = backlog
        self._behind = False  # whether not to read, because received bytes wait, or nobody needs more
        self._ahead: Ahead | None = None  # counts the bytes that wait for a later turn of the loop
        self._open = False  # whether messages can be sent
        self._held = False  # whether a drop has stopped reading
        self._silent = False
        self._mute = False  # whether nothing may be written: silent, or FIN was sent
        self._ping_sent_ns = 0  # 0 unless a ping waits for its pong
        self.loss: Lost | None = None

    @abstractmethod
    def _answer_received(self, data: bytes) -> bytes:
        """Handle a part of the upgrade response; return the bytes after a successful one."""

    @abstractmethod
    def _feed(self, data: bytes) -> None:
        """Feed the library's protocol."""

    @abstractmethod
    def _pong(self, payload: bytes) -> None:
        """Answer a ping."""

    @abstractmethod
    def _ponged(self) -> None:
        """Handle the pong for the outstanding ping."""

    @abstractmethod
    def _violated(self, error: Exception) -> None:
        """End the connection because of an invalid message, such as one that is not UTF-8."""

    @abstractmethod
    def flooded(self, reason: str) -> None:
        """End the connection because the server sends too much."""

    def data_received(self, data: bytes) -> None:
        """Pass on whole messages, and feed everything else to the library's protocol."""
        size = len(data)
        # The usual case first: one text frame, and nothing else.
        if 3 < size <= self._longest and data[0] == WHOLE_TEXT and self._short:
            length = data[1]
            if length == size - 2 < 126:
                self._short -= 1
                try:
                    message = data[2:].decode()
                except UnicodeDecodeError as error:
                    self._violated(error)
                    return
                self._counts.received += 1
                deliver = self._deliver  # called as a method, a slot is looked up the slow way
                deliver(message)
                return
            if length == 126 and (data[2] << 8 | data[3]) == size - 4:
                self._short -= 1
                self._text_received(data[4:])
                if self._meter.add(0, 0, size):
                    self._look_if_flooded()
                return
        if self.loss is None:
            self._read(data)
        else:
            self._discarded(size)

    def _read(self, data: bytes) -> None:
        """Handle any bytes: parts of the upgrade response, frames of every kind, and parts of frames."""
        splitter = self._splitter
        if splitter is None:
            data = self._answer_received(data)
            splitter = self._splitter
            if splitter is None:
                return
        elif not self._short:
            self._short = self._short_at_once
            self._meter.short()
        splitter.add(data)
        if self._ahead is not None:
            self._ahead.add(data)
            self._metered(0, 0, len(data))
            self._set_reading()
        elif self._handle(splitter, len(data)):
            self._fall_behind(splitter)

    def _handle(self, splitter: Splitter, size: int, until_ns: int = 0) -> bool:
        """Handle the splitter's bytes for as long as this turn allows; return whether some are left.

        Args:
            splitter: splitter of this connection.
            size: number of bytes received and not yet counted; waiting bytes are counted now too.
            until_ns: monotonic time at which to stop; 0 for the end of this turn.
        """
        frames, messages, pieces = splitter.frames, splitter.messages, 0
        while (piece := splitter.next()) is not None:
            self._take(*piece)
            if self.loss is not None:
                return False
            pieces += 1
            if pieces > _UNTIMED and splitter.waits:
                until_ns = until_ns or self._backlog.turn_ends_ns()
                if time.monotonic_ns() >= until_ns:
                    break
        self._longest = splitter.longest if splitter.between else 0
        ahead = self._ahead
        if not self._is_wanted:
            self._discarded(size, splitter.frames - frames)
        elif ahead is None:
            self._metered(splitter.frames - frames, splitter.messages - messages, size)
        else:
            self._metered(*ahead.news(splitter.frames, splitter.messages), size)
        return self.loss is None and splitter.waits

    def _metered(self, frames: int, messages: int, size: int) -> None:
        if self._meter.add(frames, messages, size):
            self._look_if_flooded()

    def _fall_behind(self, splitter: Splitter) -> None:
        """Leave the remaining bytes for later turns."""
        self._behind, self._ahead = True, Ahead(splitter.frames, splitter.messages)
        self._ahead.add(splitter.waiting)
        self._set_reading()
        self._backlog.put_off(self)

    # loadtest.transport.backlog.Waiter

    @property
    def waiting_bytes(self) -> int:
        """Number of waiting bytes."""
        return self._splitter.waiting_bytes if self._splitter is not None else 0

    def catch_up(self, until_ns: int) -> bool:
        """Handle waiting bytes; return whether some are left."""
        splitter = self._splitter
        if splitter is not None and self.loss is None and self._handle(splitter, 0, until_ns):
            return True
        self._ahead = None
        if self._is_wanted:
            self._caught_up()
        else:
            self._loop.call_later(self._backlog.surplus.pause_s(0), self._caught_up)
        return False

    def read_ahead(self, until_ns: int, *, more: bool) -> None:
        """Count the waiting frames for as long as this turn allows, to detect a flood.

        Args:
            until_ns: monotonic time at which to stop.
            more: whether to read once more.
        """
        ahead, splitter = self._ahead, self._splitter
        if ahead is not None and splitter is not None and self._is_wanted:
            ahead.count(until_ns)
            self._metered(*ahead.news(splitter.frames, splitter.messages), 0)
            if more:
                self._set_reading(once=True)

    def _caught_up(self) -> None:
        if self._ahead is None:
            self._behind = False
            self._set_reading()

    @property
    def _is_wanted(self) -> bool:
        """Whether messages are needed: the connection stays open and has a listener, now or soon."""
        return self._open and (self._listener is not None or self._early is not None)

    def _take(self, kind: int, found: Any) -> None:
        if kind == TEXT:
            self._text_received(found)
        elif kind in (BINARY, DECODED):
            self._counts.received += 1
            self._deliver(found)
        elif kind == LIBRARY:
            self._feed(found)
        elif kind == PING:
            self._pong(found)
        elif kind == PONG:
            if found == KEEPALIVE and self._ping_sent_ns:
                self._ponged()
        elif kind == INVALID:
            self._violated(found)
        elif kind & COMPRESSED:
            self._compressed_received(kind, found)

    def _text_received(self, data: bytes) -> None:
        try:
            message = data.decode()
        except UnicodeDecodeError as error:
            self._violated(error)
            return
        self._counts.received += 1
        self._deliver(message)

    def _compressed_received(self, kind: int, payload: bytes) -> None:
        """Decompress a message and pass it on; its decompressed size counts towards the limit of bytes."""
        assert self._deflate is not None  # the splitter would not know such messages
        try:
            data = self._deflate.decompress(payload)
        except (ProtocolError, PayloadTooBig) as error:
            self._violated(error)
            return
        self._metered(0, 0, len(data))
        if self.loss is None:
            if kind == COMPRESSED | TEXT:
                self._text_received(data)
            else:
                self._counts.received += 1
                self._deliver(data)

    def _look_if_flooded(self) -> None:
        """End the connection if the server has sent more than the limits allow.

        A connection being dropped is not ended, because the drop may be watching whether the server ends it.
        """
        reason = self._meter.exceeded()
        if reason and self._is_wanted:
            self.flooded(reason)

    def _discarded(self, size: int, frames: int = 0) -> None:
        """Pause reading if discarding bytes would take too much of this process's time."""
        pause_s = self._backlog.surplus.pause_s(size, frames)
        if pause_s and not self._behind and self._transport is not None:
            self._behind = True
            self._set_reading()
            self._loop.call_later(pause_s, self._caught_up)

    def _set_reading(self, *, once: bool = False) -> None:
        """Read from the socket, unless a drop has stopped reading or received bytes wait.

        Args:
            once: whether to read even if bytes wait.
        """
        if self._tcp is not None and not self._tcp.is_closing() and not self._silent:
            if self._held or (self._behind and not once):
                self._tcp.pause_reading()
            else:
                self._tcp.resume_reading()

    # loadtest.drops.kinds.Wire

    def pause_reading(self) -> None:
        """Stop reading from the socket, below TLS, because the TLS transport would keep reading ahead."""
        self._held = True
        self._ping_sent_ns = 0  # its pong cannot be read in time
        self._set_reading()

    def resume_reading(self) -> None:
        """Resume reading."""
        self._held = False
        self._set_reading()
