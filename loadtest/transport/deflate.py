"""Compressed messages (permessage-deflate, RFC 7692): the offer, and both streams of a connection.

The websockets library parses the server's agreement. Compression is done here, for two reasons: the fast path
(`loadtest.transport.frames`) does not use the library's frames, and the library's state takes 300 kB per
connection. The state here is created with the first message of each direction and takes about 80 kB. A client
may compress with a smaller window than agreed, because a larger window can decompress it (RFC 7692, section
7.1.2).

The decompressed size is limited, because a kilobyte can expand to a megabyte. Control frames are never
compressed (section 6).
"""

import zlib
from typing import Final

from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, PerMessageDeflate

from loadtest.events import Data
from loadtest.transport.frames import BINARY, COMPRESSED, TEXT, masked_frame

OFFERS: Final = {
    "off": None,
    "on": {"client_max_window_bits": True},  # as browsers do
    "no-takeover": {
        "client_max_window_bits": True,
        "client_no_context_takeover": True,
        "server_no_context_takeover": True,
    },
}
"""Parameters of the offer, by value of `--ws-compression`."""

_TAIL = b"\x00\x00\xff\xff"
"""End of a flushed block, which is left out on the wire (RFC 7692, section 7.2.1)."""

_EMPTY = b"\x00"
"""An empty message (section 7.2.3.6)."""

_SENT_BITS = 12
"""Window for what is sent, at most: 4 kB, several messages of a load test."""

_SENT_MEMORY = 5
"""zlib's memLevel: 16 kB."""

_WINDOW = 2**15

MOST_LAST_BLOCKS = 16
"""Last blocks within a message that are read on after; senders make none or one."""

MAX_OUTPUT = 2**30
"""Bytes of a message, whatever its limit: zlib takes no larger one on every platform."""


def offer(compression: str) -> list[ClientPerMessageDeflateFactory] | None:
    """Return the extensions to offer for a value of `--ws-compression`, None for none."""
    parameters = OFFERS[compression]
    if parameters is None:
        return None
    # The library's own compressor is never used: let it take as little memory as it can.
    return [ClientPerMessageDeflateFactory(**parameters, compress_settings={"memLevel": 1})]


class Deflate:
    """The compressed streams of one connection.

    Args:
        agreed: the extension agreed on by client and server.
        limit: size in bytes of the largest message that is accepted.

    Attributes:
        resets_sent, resets_received: whether each message is compressed separately, by direction.
    """

    __slots__ = (
        "_deflater",
        "_inflater",
        "_limit",
        "_received_bits",
        "_sent_bits",
        "resets_received",
        "resets_sent",
    )

    def __init__(self, agreed: PerMessageDeflate, limit: int) -> None:
        self.resets_sent = agreed.local_no_context_takeover
        self.resets_received = agreed.remote_no_context_takeover
        self._sent_bits = min(agreed.local_max_window_bits, _SENT_BITS)
        self._received_bits = agreed.remote_max_window_bits
        self._limit = min(limit, MAX_OUTPUT)
        self._deflater: zlib._Compress | None = None
        self._inflater: zlib._Decompress | None = None

    def frame(self, data: Data) -> bytes:
        """Return the frame of a message; messages must be sent in the order of these calls."""
        opcode, payload = (TEXT, data.encode()) if isinstance(data, str) else (BINARY, data)
        return masked_frame(COMPRESSED | opcode, self.compress(payload))

    def compress(self, payload: bytes) -> bytes:
        """Return a message's payload, compressed."""
        deflater = self._deflater
        if deflater is None:
            deflater = zlib.compressobj(wbits=-self._sent_bits, memLevel=_SENT_MEMORY)
            if not self.resets_sent:
                self._deflater = deflater
        data = deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH)
        return data[:-4] or _EMPTY  # zlib flushes nothing where nothing has come

    def decompress(self, payload: bytes) -> bytes:
        """Return the decompressed payload of a message.

        Raises:
            ProtocolError: the payload is not compressed as agreed.
            PayloadTooBig: the decompressed message is larger than the limit.
        """
        inflater = self._inflater or zlib.decompressobj(wbits=-self._received_bits)
        try:
            message = inflater.decompress(payload + _TAIL, self._limit + 1)
            if inflater.eof:  # a last block (section 7.2.3.4): what follows is a stream of its own
                message, inflater = self._beyond_the_end(inflater, message)
        except zlib.error as error:
            raise ProtocolError(f"decompression failed: {error}") from error
        if len(message) > self._limit:
            raise PayloadTooBig(None, self._limit)
        self._inflater = None if self.resets_received else inflater
        return message

    def _beyond_the_end(self, ended: "zlib._Decompress", message: bytes) -> tuple[bytes, "zlib._Decompress"]:
        """Continue after a last block; return the whole message, and the decompressor for the next one."""
        last_blocks = 0
        while ended.eof and len(message) <= self._limit:
            last_blocks += 1
            if last_blocks > MOST_LAST_BLOCKS:
                raise ProtocolError(f"a compressed message has more than {MOST_LAST_BLOCKS} last blocks")
            rest = ended.unused_data  # a copy, so without a bound on their number this would be quadratic
            # Later messages may refer to this one. To an earlier one they cannot: zlib would say so.
            ended = zlib.decompressobj(wbits=-self._received_bits, zdict=message[-_WINDOW:])
            message += ended.decompress(rest, self._limit + 1 - len(message))
        return message, ended


def agreed(extensions: list[Extension], limit: int) -> Deflate | None:
    """Return the streams of a connection with these extensions, None if its messages are not compressed.

    Args:
        extensions: those of the library's protocol after the upgrade.
        limit: size in bytes of the largest message that is accepted.
    """
    found = (Deflate(one, limit) for one in extensions if isinstance(one, PerMessageDeflate))
    return next(found, None)
