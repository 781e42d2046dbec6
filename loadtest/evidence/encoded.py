"""Encoded histograms from outside: checked before the library that decodes them sees them.

A file or a worker may send anything. HdrHistogram's V2 form is base64 over a header and a zlib stream, whose
own header sets how large the decoded histogram is: a few bytes could ask for gigabytes twice over. So the
stream is inflated within a bound, and only histograms of this tool's own range and precision are let through.
Layout: https://github.com/HdrHistogram/HdrHistogram (EncodableHistogram, V2EncodingCookieBase).
"""

import base64
import struct
import zlib
from typing import Any, TypeAlias

from loadtest import latency

Histogram: TypeAlias = Any
"""An HdrHistogram: the library has no types."""

TEXT_LIMIT = 1 << 19
"""Characters of an encoded histogram: 23,552 counts of 9 bytes, incompressible, in base64 are 283,000."""

_OUTER = struct.Struct(">II")
_COMPRESSED_COOKIE = 0x1C849304
_INNER = struct.Struct(">IIIIQQd")
_PLAIN_COOKIE = 0x1C849313
_WORD_BITS = 0xF0
_PAYLOAD_LIMIT = _INNER.size + 9 * len(latency.new_histogram().counts)
_MOST_SAMPLES = 2**53


def decoded(text: str) -> Histogram:
    """Return the histogram.

    Raises:
        ValueError: it is none, or one of another range or precision.
    """
    if len(text) > TEXT_LIMIT:
        raise ValueError(f"a histogram of {len(text)} characters is over the limit of {TEXT_LIMIT}")
    _check(base64.b64decode(text, validate=True))
    try:
        histogram = latency.decode(text)
    except (IndexError, OverflowError, ValueError) as problem:
        raise ValueError(f"a histogram's counts cannot be read: {problem}") from problem
    if not 0 <= histogram.get_total_count() <= _MOST_SAMPLES:
        raise ValueError("a histogram's counts are beyond reason")
    return histogram


def _check(data: bytes) -> None:
    if len(data) < _OUTER.size:
        raise ValueError("a histogram is cut short")
    cookie, length = _OUTER.unpack_from(data)
    if cookie & ~_WORD_BITS != _COMPRESSED_COOKIE:
        raise ValueError(f"a histogram's cookie is {cookie:#x}, not that of the V2 compressed form")
    if length != len(data) - _OUTER.size:
        raise ValueError(f"a histogram has {len(data) - _OUTER.size} bytes instead of {length}")
    payload = _inflated(data[_OUTER.size :])
    if len(payload) < _INNER.size:
        raise ValueError("a histogram's payload is cut short")
    cookie, length, offset, digits, lowest, highest, _ = _INNER.unpack_from(payload)
    if cookie != _PLAIN_COOKIE or length != len(payload) - _INNER.size or offset:
        raise ValueError("a histogram's payload is not in the V2 form")
    expected = (latency.DIGITS, latency.LOWEST_US, latency.HIGHEST_US)
    if (digits, lowest, highest) != expected:
        found = f"{digits} digits from {lowest} to {highest}"
        raise ValueError(
            f"a histogram has {found}, this tool's have {expected[0]} digits to {expected[2]} µs"
        )


def _inflated(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        payload = inflater.decompress(data, _PAYLOAD_LIMIT + 1)
    except zlib.error as problem:
        raise ValueError(f"a histogram cannot be inflated: {problem}") from problem
    if len(payload) > _PAYLOAD_LIMIT or not inflater.eof:
        raise ValueError("a histogram's zlib stream is cut short or over its limit")
    return payload
