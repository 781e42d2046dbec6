"""Limits on what a server may send on one connection, and the meter that checks them.

A server that sends endlessly keeps this process from serving its other sessions. Its connection is ended, and
the loss gives the reason. Counting is nearly free below the limits: short messages are counted by the
hundred, and the clock is read only once a limit is reached. So a burst may reach twice a limit, and a
connection that stays below its limits is never ended, however long it lasts.
"""

from collections.abc import Callable
from dataclasses import dataclass

from loadtest.options import SETTINGS

_WINDOW_NS = 1_000_000_000
_SHORT_AT_ONCE = 256
_SHORT_BYTES = 127
"""Bytes of the longest short frame: a payload of 125 and a head of 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits on what one connection may receive in a second.

    Args:
        messages_per_s: whole messages.
        frames_per_s: frames: messages, their fragments, pings and pongs.
        bytes_per_s: bytes, including frame headers.
    """

    messages_per_s: int = SETTINGS["max_messages_per_s"].default
    frames_per_s: int = SETTINGS["max_frames_per_s"].default
    bytes_per_s: int = SETTINGS["max_bytes_per_s"].default

    @property
    def short_at_once(self) -> int:
        """Number of short messages to count together; keeps the error of the count below an eighth."""
        most = min(self.messages_per_s, self.frames_per_s, self.bytes_per_s // _SHORT_BYTES)
        return min(_SHORT_AT_ONCE, most // 8)

    def exceeded_by(self, frames: int, messages: int, size: int) -> str:
        """Return, in words, the limit that these amounts in a second exceed; empty if none."""
        if messages > self.messages_per_s:
            return f"{messages:,} messages in 1 s, limit {self.messages_per_s:,} (--ws-max-messages-per-s)"
        if frames > self.frames_per_s:
            return f"{frames:,} frames in 1 s, limit {self.frames_per_s:,} (--ws-max-frames-per-s)"
        if size > self.bytes_per_s:
            return f"{size:,} bytes in 1 s, limit {self.bytes_per_s:,} (--ws-max-bytes-per-s)"
        return ""


class Meter:
    """Counts what one connection receives.

    Args:
        limits: limits for each second.
        clock: returns monotonic nanoseconds.
    """

    __slots__ = ("_began_ns", "_bytes", "_clock", "_frames", "_limits", "_messages")

    def __init__(self, limits: Limits, clock: Callable[[], int]) -> None:
        self._limits = limits
        self._clock = clock
        self._began_ns = clock()
        self._frames = self._messages = self._bytes = 0

    def add(self, frames: int, messages: int, size: int) -> bool:
        """Count received amounts; return whether a limit is exceeded."""
        self._frames += frames
        self._messages += messages
        self._bytes += size
        if not self._is_exceeded():
            return False
        now_ns = self._clock()
        if now_ns - self._began_ns < _WINDOW_NS:
            return True
        # What came last may be too much by itself. If not, it is forgotten too, as it may have come for long.
        self._began_ns = now_ns
        self._frames, self._messages, self._bytes = frames, messages, size
        if self._is_exceeded():
            return True
        self._frames = self._messages = self._bytes = 0
        return False

    def _is_exceeded(self) -> bool:
        limits = self._limits
        return (
            self._frames > limits.frames_per_s
            or self._messages > limits.messages_per_s
            or self._bytes > limits.bytes_per_s
        )

    def short(self) -> None:
        """Count `short_at_once` short messages."""
        count = self._limits.short_at_once
        self.add(count, count, count * _SHORT_BYTES)

    def exceeded(self) -> str:
        """Return, in words, the limit that is exceeded; empty if none."""
        return self._limits.exceeded_by(self._frames, self._messages, self._bytes)
