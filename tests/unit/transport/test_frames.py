"""The fast path reads and writes exactly what websockets' own protocol does, wherever the stream is cut."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from loadtest.transport.frames import BINARY, LIBRARY, PING, TEXT, Masks, Splitter, masked_frame

LIMIT = 1000

opcodes = st.sampled_from([0, 1, 2, 3, 8, 9, 10, 11])
payloads = st.binary(max_size=130) | st.text(max_size=60).map(str.encode) | st.just(b"x" * 70_000)


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """A frame as a server might send it: mostly sound, sometimes not."""
    payload = draw(payloads)
    first = draw(opcodes) | draw(st.sampled_from([0x80, 0x80, 0x80, 0x00, 0xC0]))
    masked = draw(st.sampled_from([0, 0, 0, 0, 0x80]))
    length = len(payload)
    if length < 126:
        head = bytes((first, masked | length))
    elif length < 65536:
        head = bytes((first, masked | 126)) + length.to_bytes(2, "big")
    else:
        head = bytes((first, masked | 127)) + length.to_bytes(8, "big")
    return head + payload


streams = st.lists(frames(), max_size=8).map(b"".join) | st.binary(max_size=300)


def _client() -> ClientProtocol:
    return ClientProtocol(parse_uri("ws://localhost/"), state=OPEN, max_size=LIMIT)


def _cut(stream: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    return [stream[start:end] for start, end in itertools.pairwise(places)]


def _frames_of(client: ClientProtocol) -> list[tuple[int, bytes, bool]]:
    return [
        (event.opcode, bytes(event.data), event.fin)
        for event in client.events_received()
        if isinstance(event, Frame)
    ]


@given(stream=streams, cuts=st.lists(st.integers(min_value=0, max_value=100_000), max_size=10))
def test_both_ways_read_the_same(stream: bytes, cuts: list[int]) -> None:
    """Any stream, cut anywhere, gives the frames, the answers and the error that the library alone gives."""
    alone, beside, splitter = _client(), _client(), Splitter(LIMIT)
    wanted: list[tuple[int, bytes, bool]] = []
    found: list[tuple[int, bytes, bool]] = []
    for part in _cut(stream, cuts):
        alone.receive_data(part)
        wanted += _frames_of(alone)
        for opcode, data in splitter.feed(part):
            if opcode == LIBRARY:
                beside.receive_data(data)
                found += _frames_of(beside)
            else:
                found.append((opcode, data, True))
                if opcode == PING:
                    beside.writes.append(Frame(Opcode.PONG, data).serialize(mask=True))
    assert found == wanted
    assert type(beside.parser_exc) is type(alone.parser_exc)
    assert beside.state is alone.state
    assert _plain(beside.data_to_send()) == _plain(alone.data_to_send())


def _plain(writes: list[bytes]) -> list[tuple[int, bytes]]:
    """Return opcode and payload of what a client answered: each is masked with another key."""
    server = ServerProtocol(state=OPEN, max_size=None)
    for data in writes:
        if data:
            server.receive_data(data)
    return [
        (event.opcode, bytes(event.data)) for event in server.events_received() if isinstance(event, Frame)
    ]


@given(messages=st.lists(st.binary(max_size=300), min_size=1, max_size=5))
def test_whole_messages_do_not_touch_the_library(messages: list[bytes]) -> None:
    """Unfragmented data frames within the limit are read here, several in one read too."""
    stream = b"".join(
        Frame(Opcode.BINARY, message).serialize(mask=False) for message in messages if len(message) <= LIMIT
    )
    assert list(Splitter(LIMIT).feed(stream)) == [(BINARY, message) for message in messages]


@given(payload=payloads, opcode=st.sampled_from([TEXT, BINARY]))
def test_a_written_frame_is_read_by_the_library(payload: bytes, opcode: int) -> None:
    """A server of the library reads a frame written here as the message it is."""
    server = ServerProtocol(state=OPEN, max_size=None)
    server.receive_data(masked_frame(opcode, payload, Masks().next()))
    (frame,) = server.events_received()
    assert isinstance(frame, Frame)
    assert (frame.opcode, bytes(frame.data), frame.fin) == (opcode, payload, True)


def test_masks_are_not_repeated() -> None:
    """Masking keys are fresh for each frame, over the refill of the pool."""
    masks = Masks()
    drawn = [masks.next() for _ in range(3000)]
    assert {len(mask) for mask in drawn} == {4}
    assert len(set(drawn)) > 2990
