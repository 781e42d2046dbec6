"""Reads a server's frames into whole messages, pings and pongs, without the library's protocol.

Nearly every frame of a load test is a whole text message. Reading and writing it here costs 1 µs instead of
9, and a connection with nothing else needs no protocol object. Fragments are assembled here too, because a
message in many fragments is the cheapest way for a server to keep a client busy. Close frames, violations of
RFC 6455 and messages above the size limit go to websockets' protocol, byte for byte, which produces the error
messages.

From the first such frame on, the library gets all bytes. It has seen no earlier fragments: if a message is in
progress, it gets an empty fragment first. A close frame within a message needs no such fragment: it ends the
connection with its own code (RFC 6455, section 5.4), although the library would treat it as a violation.
Tests check that this module reads the same as the library alone from any stream, however the stream is split.
"""

import codecs
import os
import struct
from collections import deque
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
DECODED: Final = 16
"""Marks the text of a message that came in fragments."""

INVALID: Final = 17
"""Marks the error of a fragment that is not UTF-8."""

PART: Final = 18
"""Marks fragments of a message that is still incomplete; a turn's worth of them."""

COMPRESSED: Final = 0x40
"""RSV1: marks a compressed message where that was agreed (RFC 7692, section 6); combined with its kind."""

_FIN = 0x80
_RESERVED = 0x70
_KIND = COMPRESSED | 15
_MASKS_AT_ONCE = 1024
_PARTS_AT_ONCE = 256
"""Fragments read in one step, so that no step takes long."""

COUNTED_AT_ONCE = 2048
"""Frames counted in one step: a fraction of a millisecond."""

WHOLE_TEXT: Final = _FIN | TEXT
"""First byte of a whole text message."""

Piece = tuple[int, bytes | str | UnicodeDecodeError]
"""(TEXT or BINARY, payload) or (DECODED, text) of a whole message, (PING or PONG, payload), (LIBRARY, bytes),
(INVALID, error) or (PART, nothing). With COMPRESSED, the payload of a whole message is compressed."""

_PART_OF_MESSAGE: Final[Piece] = (PART, b"")


class Splitter:
    """Splits a server's bytes into pieces, one at a time.

    Args:
        limit: size in bytes of the largest message; the library refuses larger ones.
        compressed: whether messages may be compressed. Their payload may be slightly larger than the limit,
            because incompressible data grows.

    Attributes:
        between: whether nothing is in progress, so that a frame may be read without this splitter.
        longest: size in bytes of the longest allowed frame, with its header.
        frames, messages: numbers read so far.
        room: bytes that the message in progress may still add.
    """

    __slots__ = (
        "_at",
        "_binary",
        "_data",
        "_decoder",
        "_kind",
        "_more",
        "_needed",
        "_others",
        "_rest",
        "_slack",
        "_texts",
        "between",
        "frames",
        "limit",
        "longest",
        "messages",
        "room",
    )

    def __init__(self, limit: int, *, compressed: bool = False) -> None:
        self.limit = self.room = limit
        self._slack = limit // 100 + 64 if compressed else 0
        self._data = b""  # to be split, from `_at` on
        self._more: deque[bytes] | None = None  # to be split then; most connections never have any
        self._at = 0
        self._rest = bytearray()  # the beginning of an incomplete frame
        self._needed = 0  # length of the rest from which it is worth parsing
        self._kind = 0  # TEXT or BINARY within a fragmented message, with COMPRESSED if it is
        self._decoder: codecs.IncrementalDecoder | None = None  # of a fragmented text
        self._texts: list[str] = []
        self._binary = bytearray()
        self._others = False  # whether all further bytes are for the library
        self.between = True
        self.longest = limit + (2 if limit < 126 else 4)
        self.frames = self.messages = 0

    def add(self, data: bytes) -> None:
        """Add bytes; `next` returns the pieces that are now complete."""
        self.between = False
        if self.waits:
            self._more = self._more or deque()
            self._more.append(data)
        else:
            self._begin(data)

    def _begin(self, data: bytes) -> None:
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return
            data = bytes(self._rest)
            self._rest.clear()
        self._data, self._at = data, 0

    @property
    def waits(self) -> bool:
        """Whether bytes wait to be split."""
        return self._at < len(self._data) or bool(self._more)

    @property
    def waiting_bytes(self) -> int:
        """Number of bytes that wait to be split."""
        return len(self._data) - self._at + sum(map(len, self._more or ()))

    @property
    def waiting(self) -> bytes:
        """The bytes that wait to be split."""
        return b"".join((self._data[self._at :], *(self._more or ())))

    def discard(self) -> None:
        """Discard all bytes, now and from now on."""
        self._data, self._at, self._kind, self._others, self.between = b"", 0, 0, True, False
        self._more = None
        self._rest, self._binary, self._texts, self._decoder = bytearray(), bytearray(), [], None

    def next(self) -> Piece | None:
        """Return the next piece, None if no further one is complete."""
        piece = self._next()
        while self._more and piece is None:
            self._begin(self._more.popleft())
            piece = self._next()
        return piece

    def _next(self) -> Piece | None:
        data, at, size = self._data, self._at, len(self._data)
        parts = _PARTS_AT_ONCE
        while at < size:
            if self._others:
                return self._for_library(data[at:])
            first, second = data[at], data[at + 1] if size - at > 1 else 127
            end = at + 2 + second
            # The usual case first: a whole short text.
            if (
                first == WHOLE_TEXT
                and second < 126
                and end <= size
                and second <= self.room
                and not self._kind
            ):
                self._at = end
                self.frames += 1
                self.messages += 1
                return TEXT, data[at + 2 : end]
            start, end = (at + 2, at + 2 + second) if second < 126 else _extent(data, at)
            if size - at > 1 and (not self._is_sound(first, second) or end - start > self._room(first)):
                return self._for_library(self._beginning(first) + data[at:])
            if not start or end > size:
                self._rest += data[at:]
                self._needed = (end - at) if start else size - at + 1
                break
            self.frames += 1
            opcode = first & 15
            if (opcode and first & _FIN) or opcode >= _CLOSE:
                self._at = end
                self.messages += opcode < _CLOSE
                return first & _KIND, data[start:end]
            at = self._at = end
            piece = self._fragment(first & _KIND, data[start:end], last=bool(first & _FIN))
            if piece is not None:
                return piece
            if not (parts := parts - 1):
                return _PART_OF_MESSAGE
        self._data, self._at = b"", 0
        if self._more:
            return None
        self.between = not (self._rest or self._kind or self._others)
        return None

    def _room(self, first: int) -> int:
        if first & 15 >= _CLOSE:
            return 125
        return self.room + self._slack if first & COMPRESSED else self.room

    def _for_library(self, data: bytes) -> Piece:
        self._others = True
        self._data, self._at = b"", 0
        return LIBRARY, data

    def _beginning(self, first: int) -> bytes:
        """Return the empty first fragment that the library needs before it takes over within a message."""
        return bytes((self._kind & 15, 0)) if self._kind and first & 15 != _CLOSE else b""

    def _fragment(self, kind: int, payload: bytes, *, last: bool) -> Piece | None:
        """Add a fragment to its message; return the message if it is now complete."""
        if kind:
            self._kind = kind
            self._decoder = _new_decoder() if kind == TEXT else None
            self.room += self._slack if kind & COMPRESSED else 0
        self.room -= len(payload)
        if self._decoder is None:
            self._binary += payload
        elif payload or last:
            try:
                text = self._decoder.decode(payload, last)
            except UnicodeDecodeError as error:
                return INVALID, error
            if text:
                self._texts.append(text)
        return self._message() if last else None

    def _message(self) -> Piece:
        """Return the message that the last fragment completes."""
        kind, found = self._kind, ("".join(self._texts), bytes(self._binary))
        self._texts, self._binary, self._decoder, self._kind = [], bytearray(), None, 0
        self.room = self.limit
        self.messages += 1
        return (DECODED, found[0]) if kind == TEXT else (kind, found[1])

    def _is_sound(self, first: int, second: int) -> bool:
        """Return whether these bytes begin a valid frame (RFC 6455 section 5.2) other than a close frame."""
        opcode, fin = first & 15, first & _FIN
        if second & 0x80 or first & _RESERVED:  # a masked server frame, or reserved bits set
            starts_compressed = self._slack and first & _RESERVED == COMPRESSED and 0 < opcode < _CLOSE
            if second & 0x80 or not starts_compressed:
                return False
        if opcode >= _CLOSE:
            return opcode in (PING, PONG) and bool(fin) and second < 126
        return opcode <= BINARY and (opcode == 0) == bool(self._kind)


class FrameCounter:
    """Counts the frames in a server's bytes without decoding them.

    Attributes:
        frames, messages: numbers counted so far; a message counts with its last fragment.
    """

    __slots__ = ("_at", "_data", "frames", "messages")

    def __init__(self) -> None:
        self._data = b""
        self._at = 0  # where the next frame begins; beyond the data if its head is still to come
        self.frames = self.messages = 0

    def add(self, data: bytes) -> bool:
        """Count the frames that begin in these bytes, which follow the previous ones; return whether all are.

        At most `COUNTED_AT_ONCE` are counted; call it again without bytes for further frames.
        """
        if data:
            self._data, self._at = self._data[self._at :] + data, max(0, self._at - len(self._data))
        data, at, messages, left = self._data, self._at, 0, COUNTED_AT_ONCE
        size = len(data)
        while at < size - 1 and left:
            length = data[at + 1] & 0x7F
            end = at + 2 + length
            if length > 125:
                start, end = _extent(data, at)
                if not start:
                    break
            messages += data[at] >= _FIN and data[at] & 15 < _CLOSE
            at = end
            left -= 1
        self._at = at
        self.frames += COUNTED_AT_ONCE - left
        self.messages += messages
        return bool(left)


_new_decoder = codecs.getincrementaldecoder("utf-8")


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


_HEADS = {
    opcode: [bytes((_FIN | opcode, 0x80 | length)) for length in range(126)]
    for opcode in (*range(16), COMPRESSED | TEXT, COMPRESSED | BINARY)
}
"""First bytes of short client frames, by opcode and length."""

_masks: list[bytes] = []
"""Random masking keys (RFC 6455 section 5.3), drawn from the system in batches; each is used once."""

_unpacked_masks = struct.Struct("4s" * _MASKS_AT_ONCE).unpack


def masked_frame(opcode: int, payload: bytes) -> bytes:
    """Return a whole client frame with a new mask; the opcode may be combined with COMPRESSED."""
    if not _masks:
        _masks.extend(_unpacked_masks(os.urandom(4 * _MASKS_AT_ONCE)))
    mask, length = _masks.pop(), len(payload)
    if length < 126:
        return _HEADS[opcode][length] + mask + apply_mask(payload, mask)
    if length < 65536:
        head = struct.pack("!BBH", _FIN | opcode, 0xFE, length)
    else:
        head = struct.pack("!BBQ", _FIN | opcode, 0xFF, length)
    return head + mask + apply_mask(payload, mask)
