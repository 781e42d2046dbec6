"""Compressed messages are what the websockets library reads and writes, and expand only so far."""

from __future__ import annotations

import random
import tracemalloc
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from loadtest.transport.deflate import MOST_LAST_BLOCKS, Deflate, agreed, offer
from tests.support.growth import assert_linear

LIMIT = 10_000

messages = st.lists(
    st.binary(max_size=300) | st.integers(0, LIMIT).map(lambda size: b"ab" * (size // 2)), max_size=6
)
bits = st.integers(9, 15)


def pair(
    *, client_resets: bool, server_resets: bool, client_bits: int = 15, server_bits: int = 15
) -> tuple[Deflate, PerMessageDeflate]:
    """Return the client's streams, and the library's server that has agreed on the same."""
    client = PerMessageDeflate(server_resets, client_resets, server_bits, client_bits)
    server = PerMessageDeflate(client_resets, server_resets, client_bits, server_bits)
    return Deflate(client, LIMIT), server


@given(messages, st.booleans(), bits)
def test_the_library_reads_what_is_sent(sent: list[bytes], resets: bool, client_bits: int) -> None:
    """Whatever was agreed, with and without the context of earlier messages."""
    ours, library = pair(client_resets=resets, server_resets=False, client_bits=client_bits)
    for message in sent:
        frame = Frame(Opcode.BINARY, ours.compress(message), fin=True, rsv1=True)
        assert bytes(library.decode(frame).data) == message


@given(messages, st.booleans(), bits)
def test_what_the_library_sends_is_read(sent: list[bytes], resets: bool, server_bits: int) -> None:
    """Whatever was agreed, with and without the context of earlier messages."""
    ours, library = pair(client_resets=False, server_resets=resets, server_bits=server_bits)
    for message in sent:
        assert ours.decompress(bytes(library.encode(Frame(Opcode.BINARY, message)).data)) == message


@given(st.lists(st.binary(max_size=200), max_size=5), st.booleans())
def test_garbage_is_refused_or_bounded(payloads: list[bytes], resets: bool) -> None:
    """Whatever a server says is compressed makes a message within the limit, or one of two errors."""
    ours, _ = pair(client_resets=False, server_resets=resets)
    for payload in payloads:
        try:
            assert len(ours.decompress(payload)) <= LIMIT
        except (ProtocolError, PayloadTooBig):
            return


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("size", [LIMIT, LIMIT + 1, 50_000_000])
def test_a_message_expands_to_no_more_than_the_limit(size: int, resets: bool) -> None:
    """One of exactly the limit is read; a bomb takes no memory."""
    ours, library = pair(client_resets=False, server_resets=resets)
    payload = bytes(library.encode(Frame(Opcode.BINARY, b"\0" * size)).data)
    if size <= LIMIT:
        assert len(ours.decompress(payload)) == size
    else:
        with pytest.raises(PayloadTooBig):
            ours.decompress(payload)


def test_a_bomb_is_not_unpacked_to_be_measured() -> None:
    """What it would expand to never stands in memory."""
    ours, library = pair(client_resets=False, server_resets=False)
    payload = bytes(library.encode(Frame(Opcode.BINARY, b"\0" * 50_000_000)).data)
    tracemalloc.start()
    try:
        with pytest.raises(PayloadTooBig):
            ours.decompress(payload)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=5))
def test_messages_with_a_last_block_are_read(sent: list[bytes]) -> None:
    """A server may end each message's stream, as RFC 7692, section 7.2.3.4, allows."""
    ours, _ = pair(client_resets=False, server_resets=False)
    for message in sent:
        deflater = zlib.compressobj(wbits=-15)
        payload = deflater.compress(message) + deflater.flush() + b"\0"
        assert ours.decompress(payload) == message


def test_a_bomb_behind_a_last_block_is_bounded_too() -> None:
    """What follows a last block counts with what came before it."""
    ours, _ = pair(client_resets=False, server_resets=False)
    deflater = zlib.compressobj(wbits=-15)
    half = deflater.compress(b"\0" * (LIMIT - 1)) + deflater.flush()
    with pytest.raises(PayloadTooBig):
        ours.decompress(half + half)


EMPTY_LAST_BLOCK = b"\x03\x00"

PIECES = [
    EMPTY_LAST_BLOCK,
    b"\x02\x00",  # an empty block with fixed codes
    b"\x00\x00\x00\xff\xff",  # an empty stored one
    b"\x01\x00\x00\xff\xff",  # the same, the last one
    b"\x00\x01\x00\xfe\xffa",  # a stored one of one byte
    b"\x4b\x04\x00",  # "a" with fixed codes, the last one
]
SIZES = [2**exponent for exponent in range(15, 21)]


def test_a_message_may_have_several_last_blocks_but_not_any_number() -> None:
    """Each costs an inflater: a payload that is made of them would take minutes, and stop all sessions."""
    ours, _ = pair(client_resets=False, server_resets=False)
    assert ours.decompress(EMPTY_LAST_BLOCK * MOST_LAST_BLOCKS + b"\0") == b""
    with pytest.raises(ProtocolError, match="more than 16 last blocks"):
        ours.decompress(EMPTY_LAST_BLOCK * (MOST_LAST_BLOCKS + 1) + b"\0")


RANDOM = random.Random(1)
NONSENSE = [RANDOM.randbytes(1 + number % 6) for number in range(10)]
JOINED = [b"".join(RANDOM.choices(PIECES, k=2 + number % 3)) for number in range(6)]


@pytest.mark.parametrize("piece", [*PIECES, *JOINED, *NONSENSE])
def test_decompressing_is_linear_in_the_payload(piece: bytes) -> None:
    """Whatever it repeats: blocks that expand to nothing or to little, last ones, stored ones, nonsense."""

    def work(size: int) -> None:
        ours, _ = pair(client_resets=False, server_resets=True)
        with suppress(ProtocolError, PayloadTooBig):
            ours.decompress(piece * (size // len(piece)))

    assert_linear(work, SIZES)


def test_without_an_offer_there_is_nothing_to_agree_on() -> None:
    """Nothing is offered unless it is asked for."""
    assert offer("off") is None
    assert agreed([], LIMIT) is None
    assert [one.get_request_params() for one in offer("on") or ()] == [[("client_max_window_bits", None)]]
