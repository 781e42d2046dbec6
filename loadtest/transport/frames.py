"""The fast path: whole, unfragmented data frames, pings and pongs, without the library's protocol.

Nearly every frame of a load test is a whole text message. Reading and writing those here costs 1 µs instead
of 9, and a connection with nothing else needs no protocol object. Everything else (close frames, fragments,
what RFC 6455 forbids or the size limit refuses) goes to websockets' protocol, byte for byte.

The library gets only whole frames, never one that was read here, so it is always between two frames. From the
first faulty frame or close frame on, it gets all bytes. Tests check that both paths read the same from any
stream, cut anywhere.
"""

import os
import struct
from collections.abc import Iterator, Sequence
from typing import Final

try:
    from websockets.speedups import apply_mask
except ImportError:  # websockets was built without a C compiler
    from websockets.utils import apply_mask

LIBRARY: Final = 0
"""Marks bytes that are for the library's protocol."""

TEXT: Final = 1
BINARY: Final = 2
_CLOSE = 8
PING: Final = 9
PONG: Final = 10
_FIN = 0x80

_WHOLE_TEXT = _FIN | TEXT
_MASKS_AT_ONCE = 1024

Piece = tuple[int, bytes]
"""(TEXT or BINARY, payload) of a whole message, (PING or PONG, payload), or (LIBRARY, bytes)."""


class Splitter:
    """Splits a server's bytes into whole messages, pings and pongs, and bytes for the library.

    Args:
        limit: largest message in bytes; the library refuses a larger one.
    """

    __slots__ = ("_between", "_fragmented", "_needed", "_others", "_rest", "_short", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._rest = bytearray()  # the beginning of an incomplete frame
        self._needed = 0  # length of the rest from which it is worth parsing
        self._between = True  # between two whole messages, none is in progress
        self._short = min(limit, 125) + 2  # the longest frame that takes the shortcut in `feed`
        self._fragmented = False  # within a fragmented message
        self._others = False  # whether all further bytes are for the library

    def feed(self, data: bytes) -> Sequence[Piece]:
        """Take bytes and return the pieces that are now complete, in order."""
        size = len(data)
        # The usual case first: one short text frame, and nothing else.
        if self._between and 1 < size <= self._short and data[1] == size - 2 and data[0] == _WHOLE_TEXT:
            return ((TEXT, data[2:]),)
        if self._others:
            return ((LIBRARY, data),)
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return ()
            data = bytes(self._rest)
            self._rest.clear()
        pieces = self._split(data)
        self._between = not (self._rest or self._fragmented or self._others)
        return pieces

    def _split(self, data: bytes) -> Sequence[Piece]:
        pieces: list[Piece] = []
        at, size = 0, len(data)
        while at < size:
            start, end = _extent(data, at)
            if size - at > 1 and (end - start > self.limit or not self._is_sound(data[at], data[at + 1])):
                self._others = True
                return [*pieces, (LIBRARY, data[at:])]
            if not start or end > size:
                self._rest += data[at:]
                self._needed = (end - at) if start else size - at + 1
                break
            opcode = data[at] & 15
            if opcode and data[at] & _FIN:
                pieces.append((opcode, data[start:end]))
            else:
                self._fragmented = not data[at] & _FIN
                pieces.append((LIBRARY, data[at:end]))
            at = end
        return pieces

    def _is_sound(self, first: int, second: int) -> bool:
        """Return whether these first bytes are of a valid frame (RFC 6455 section 5.2) other than close."""
        opcode, fin = first & 15, first & _FIN
        if first & 0x70 or second & 0x80:  # reserved bits set, or a masked server frame
            return False
        if opcode >= _CLOSE:
            return opcode in (PING, PONG) and bool(fin) and second < 126
        return opcode <= BINARY and (opcode == 0) == self._fragmented


def _extent(data: bytes, at: int) -> tuple[int, int]:
    """Return start and end of the payload of the frame at `at`; (0, 0) if its header is incomplete."""
    if len(data) - at < 2:
        return 0, 0
    length = data[at + 1] & 0x7F
    if length < 126:
        return at + 2, at + 2 + length
    width = 2 if length == 126 else 8
    start = at + 2 + width
    if len(data) < start:
        return 0, 0
    return start, start + int.from_bytes(data[at + 2 : start], "big")


class Masks:
    """Random masking keys (RFC 6455 section 5.3), drawn from the system in batches."""

    __slots__ = ("_keys",)

    def __init__(self) -> None:
        self._keys: Iterator[tuple[bytes]] = iter(())

    def next(self) -> bytes:
        """Return 4 random bytes; each key is used once."""
        for (key,) in self._keys:
            return key
        self._keys = struct.iter_unpack("4s", os.urandom(4 * _MASKS_AT_ONCE))
        return self.next()


_HEADS = [[bytes((_FIN | opcode, 0x80 | length)) for length in range(126)] for opcode in range(16)]
"""First bytes of short client frames, by opcode and length."""


def masked_frame(opcode: int, payload: bytes, mask: bytes) -> bytes:
    """Return a whole client frame."""
    length = len(payload)
    if length < 126:
        return _HEADS[opcode][length] + mask + apply_mask(payload, mask)
    if length < 65536:
        head = struct.pack("!BBH", _FIN | opcode, 0xFE, length)
    else:
        head = struct.pack("!BBQ", _FIN | opcode, 0xFF, length)
    return head + mask + apply_mask(payload, mask)
