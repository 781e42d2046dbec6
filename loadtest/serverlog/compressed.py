"""Reads a log file that may be compressed with gzip, within bounds.

A file can be made that grows a thousandfold when it is decompressed, so reading stops at a ratio that no log
reaches: time and memory are bounded by the file's size. Damage is an exception after the bytes that came
before it, so that they count. Other compressions are recognised and refused, with the command to decompress
them.
"""

import zlib
from collections.abc import Iterator
from io import BufferedReader

GZIP = b"\x1f\x8b"
CHUNK = 256 * 1024

MAX_RATIO = 200
"""Bytes out of one byte in. Logs compress 5 to 50 times, many copies of one line 300 times, zeros 1,030."""

FREE_BYTES = 64 * 1024 * 1024
"""What comes out before the ratio is looked at: small files may consist of a few lines, many times."""

_HEAD = 8
_OTHERS = (
    (b"\x28\xb5\x2f\xfd", "zstd", "zstdcat"),
    (b"BZh", "bzip2", "bzcat"),
    (b"\xfd7zXZ\0", "xz", "xzcat"),
    (b"\x04\x22\x4d\x18", "lz4", "lz4cat"),
    (b"PK\x03\x04", "zip", "unzip -p"),
)


class Damaged(Exception):
    """The rest of a compressed file cannot be read; `__str__` says why."""


class Unsupported(Exception):
    """A file that must be decompressed first; `__str__` says how."""


def plain_bytes(file: BufferedReader) -> Iterator[bytes]:
    """Yield a file's bytes in chunks, decompressed if it is gzipped.

    Raises:
        Damaged: gzip data end early, are damaged, or grow beyond bounds.
        Unsupported: the file is compressed otherwise, or more than once.
    """
    head = file.peek(_HEAD)[:_HEAD] if isinstance(file, BufferedReader) else b""
    _refuse(head)
    if not head.startswith(GZIP):
        while chunk := file.read1(CHUNK):
            yield chunk
        return
    start = b""
    for chunk in _members(file):
        if len(start) < _HEAD:
            start = (start + chunk)[:_HEAD]
            if start.startswith(GZIP):
                raise Unsupported(
                    "is compressed twice: decompress it first (zcat FILE | loadtest check-log -)"
                )
            _refuse(start)
        yield chunk


def _refuse(head: bytes) -> None:
    for magic, name, command in _OTHERS:
        if head.startswith(magic):
            raise Unsupported(f"is compressed with {name}, not gzip: {command} FILE | loadtest check-log -")


def _members(file: BufferedReader) -> Iterator[bytes]:
    """Yield what all members of a gzip file hold; zeros may follow them (RFC 1952, 2.2; as gzip does)."""
    taken = given = 0
    pending = file.read1(CHUNK)
    while pending:
        member = zlib.decompressobj(wbits=zlib.MAX_WBITS + 16)  # a gzip header and trailer
        while not member.eof:
            if not pending and not (pending := file.read1(CHUNK)):
                raise Damaged("the gzip data end early")
            try:
                chunk = member.decompress(pending, CHUNK)
            except zlib.error as error:
                raise Damaged(f"the gzip data are damaged ({error})") from error
            left = member.unused_data if member.eof else member.unconsumed_tail
            taken += len(pending) - len(left)
            given += len(chunk)
            pending = left
            if given > FREE_BYTES and given > MAX_RATIO * taken:
                raise Damaged(f"the gzip data expand more than {MAX_RATIO} times")
            if chunk:
                yield chunk
        pending = _next_member(file, pending)


def _next_member(file: BufferedReader, pending: bytes) -> bytes:
    """Return the bytes with which the next member begins; empty at the end of the file."""
    while not (pending := pending.lstrip(b"\0")):
        if not (pending := file.read1(CHUNK)):
            return b""
    if len(pending) < len(GZIP):
        pending += file.read(len(GZIP) - len(pending))
    if not pending.startswith(GZIP):
        raise Damaged("other data follow the gzip data")
    return pending
