"""Histograms that others have written: by the format's specification, damaged, or hostile."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadtest import histograms

# Histograms from outside.


def _encoded(payload: bytes, *, cookie: int = 0x1C849304) -> str:
    stream = zlib.compress(payload)
    return base64.b64encode(struct.pack(">II", cookie, len(stream)) + stream).decode()


def _payload(
    counts: bytes,
    *,
    digits: int = 3,
    lowest: int = 1,
    highest: int = histograms.HIGHEST_US,
    cookie: int = 0x1C849313,
) -> bytes:
    return struct.pack(">IIIIQQd", cookie, len(counts), 0, digits, lowest, highest, 1.0) + counts


def test_a_histogram_made_by_the_specification_is_read() -> None:
    """Ten samples in the bucket of 2 µs: skip two (zigzag -2), then the count 10."""
    assert histograms.buckets(histograms.decode(_encoded(_payload(bytes([3, 20]))))) == {2: 10}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not base64!",
        base64.b64encode(b"\x1c").decode(),
        _encoded(_payload(b"\x02"), cookie=0x12345678),
        _encoded(_payload(b"\x02", cookie=0x1C849303)),
        _encoded(_payload(b"\x02", digits=5)),
        _encoded(_payload(b"\x02", highest=2**62)),
        _encoded(_payload(b"\x02", lowest=0)),
        _encoded(_payload(b"\x02")[:-1]),
        _encoded(b"short"),
        _encoded(_payload(b"\x80\x80")),  # a number without an end
        _encoded(_payload(b"\xff" * 9 + b"\x02")),
        _encoded(_payload(b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f" * 4)),  # counts that overflow
        _encoded(_payload(b"\x02" * 30_000)),  # more counts than the range has
        _encoded(b"\0" * 50_000_000),  # inflates to far more than it takes
        "A" * 600_000,
    ],
)
def test_hostile_histograms_are_refused(text: str) -> None:
    """Bombs, other ranges and broken streams raise ValueError before the library meets them."""
    with pytest.raises(ValueError, match=r"histogram|base64|padding|data"):
        histograms.decode(text)


# Counts that overflow together.


def _word(number: int) -> bytes:
    """Return a count, or a gap where it is negative: zigzag, then LEB128 of 9 bytes at most."""
    rest, word = (number << 1 ^ number >> 63) & 2**64 - 1, b""
    while rest > 0x7F and len(word) < 8:
        word, rest = word + bytes([rest & 0x7F | 0x80]), rest >> 7
    return word + bytes([rest])


def _holding(*numbers: int) -> str:
    return _encoded(_payload(b"".join(map(_word, numbers))))


_NUMBERS = st.lists(
    st.integers(1, 20) | st.integers(-40, -1) | st.integers(2**40, 2**62 - 1) | st.just(2**60), max_size=25
)


@given(numbers=_NUMBERS)
@example(numbers=[2**62 - 1] * 4 + [9])  # the library counts 5 in all
@example(numbers=[-1, *[2**60] * 16])  # none in all
@example(numbers=[-1, *[2**52] * 4096])
def test_counts_beyond_64_bits_are_refused_and_forgotten(numbers: list[int]) -> None:
    """The sum must be that of the counts, not what is left of it; the next histogram has none of them."""
    decoder = histograms.Decoder()
    try:
        counted = decoder.counted(_holding(*numbers))
    except ValueError:
        pass
    else:
        assert sum(counted.counts.tolist()) == counted.samples == sum(max(number, 0) for number in numbers)
    after = decoder.counted(_holding(7, -5000, 3))
    assert (after.slots.tolist(), after.counts.tolist()) == ([0, 5001], [7, 3])
    assert not np.any(decoder._counts)
