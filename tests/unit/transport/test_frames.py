"""The fast path reads and writes exactly what websockets' own protocol does, wherever the stream is cut."""

from __future__ import annotations

import codecs
import itertools
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.exceptions import ProtocolError
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from loadtest.transport.deflate import Deflate
from loadtest.transport.frames import (
    BINARY,
    COMPRESSED,
    DECODED,
    INVALID,
    LIBRARY,
    PART,
    PING,
    TEXT,
    FrameCounter,
    Splitter,
    masked_frame,
)
from tests.support.peers import server_frame

LIMIT = 1000

Heard = tuple[int, bytes | str]
"""Opcode and payload of a whole message or a control frame."""

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


class Alone:
    """What a client of websockets' own protocol hears: the second implementation."""

    def __init__(self) -> None:
        self.client = _client()
        self.heard: list[Heard] = []
        self.failure: type[Exception] | None = None
        self._parts: list[tuple[int, bytes]] = []

    def receive(self, data: bytes) -> None:
        """Take bytes, and put fragments together."""
        self.client.receive_data(data)
        for event in self.client.events_received():
            assert isinstance(event, Frame)
            if self.failure is None:
                self._take(event)
        self.failure = self.failure or (type(self.client.parser_exc) if self.client.parser_exc else None)

    def _take(self, frame: Frame) -> None:
        if frame.opcode >= Opcode.CLOSE:
            self.heard.append((frame.opcode, bytes(frame.data)))
            return
        self._parts.append((frame.opcode, bytes(frame.data)))
        kind, whole = self._parts[0][0], b"".join(data for _, data in self._parts)
        if frame.fin:
            self._parts.clear()
        if kind == TEXT:
            self._take_text(whole, last=frame.fin)
        elif frame.fin:
            self.heard.append((kind, whole))

    def _take_text(self, whole: bytes, *, last: bool) -> None:
        """Take a text as far as it is known: it fails at the first fragment that is not UTF-8."""
        try:
            codecs.getincrementaldecoder("utf-8")().decode(whole, last)
        except UnicodeDecodeError as error:
            self.failure = type(error)
            return
        if last:
            self.heard.append((TEXT, whole.decode()))


class Beside:
    """What is heard through the splitter, with the library's protocol only for what it passes on."""

    def __init__(self) -> None:
        self.client, self.splitter = _client(), Splitter(LIMIT)
        self.heard: list[Heard] = []
        self.failure: type[Exception] | None = None

    def receive(self, data: bytes) -> None:
        """Take bytes and all pieces that are complete."""
        self.splitter.add(data)
        while self.failure is None and (piece := self.splitter.next()) is not None:
            self._take(*piece)

    def _take(self, kind: int, found: Any) -> None:
        if kind == LIBRARY:
            self.client.max_message_size = self.splitter.room
            self.client.receive_data(found)
            self.heard += [
                (event.opcode, bytes(event.data))
                for event in self.client.events_received()
                if isinstance(event, Frame) and event.opcode is Opcode.CLOSE
            ]
            self.failure = type(self.client.parser_exc) if self.client.parser_exc else None
        elif kind == INVALID:
            self.failure = type(found)
        elif kind == TEXT:
            try:
                self.heard.append((TEXT, str(found, "utf-8")))
            except UnicodeDecodeError as error:
                self.failure = type(error)
        elif kind != PART:
            self.heard.append((TEXT if kind == DECODED else kind, found))


@example(stream=b"\x01\x01x\x81\x01y", cuts=[])  # a message within a message
@example(stream=b"\x01\x01x\x00\x7e\x03\xe8", cuts=[])  # too large only with the fragment before
@example(stream=b"\x01\x01x\x88\x02\x03\xe8", cuts=[3])  # closed within a message
@given(stream=streams, cuts=st.lists(st.integers(min_value=0, max_value=100_000), max_size=10))
def test_both_ways_hear_the_same(stream: bytes, cuts: list[int]) -> None:
    """Any stream, cut anywhere, gives the messages and the end that the library alone gives.

    But for a close frame within a message, which the library calls a violation.
    """
    alone, beside = Alone(), Beside()
    for part in _cut(stream, cuts):
        alone.receive(part)
        beside.receive(part)
    closed = beside.heard[-1:] and beside.heard[-1][0] == Opcode.CLOSE
    if closed and alone.failure is ProtocolError and "fragmented" in str(alone.client.parser_exc):
        assert beside.heard[:-1] == alone.heard
        assert beside.failure is None
    else:
        assert beside.heard == alone.heard
        assert beside.failure is alone.failure


@st.composite
def texts_in_fragments(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Bytes that are mostly UTF-8, and the frames of a text message that holds them, cut anywhere."""
    data = draw(st.text(max_size=12).map(str.encode) | st.binary(max_size=8))
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), min_size=1, max_size=5)))
    parts = [data[start:end] for start, end in itertools.pairwise([0, *cuts, len(data)])]
    kinds = [TEXT, *[0] * (len(parts) - 1)]
    frames = [
        Frame(Opcode(kind), part, fin=at == len(parts) - 1).serialize(mask=False)
        for at, (kind, part) in enumerate(zip(kinds, parts, strict=True))
    ]
    return data, b"".join(frames)


@given(frames=texts_in_fragments(), cuts=st.lists(st.integers(0, 1000), max_size=5))
def test_a_text_in_fragments_is_the_text_or_invalid(frames: tuple[bytes, bytes], cuts: list[int]) -> None:
    """Characters may be cut anywhere, by fragments and by reads; what is not UTF-8 is never a text."""
    data, stream = frames
    beside = Beside()
    for part in _cut(stream, cuts):
        beside.receive(part)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        assert (beside.heard, beside.failure) == ([], UnicodeDecodeError)
    else:
        assert (beside.heard, beside.failure) == ([(TEXT, text)], None)
        assert beside.splitter.between


@st.composite
def compressed_messages(draw: st.DrawFn) -> tuple[list[Heard], bytes]:
    """Messages of a server that compresses most of them, and their bytes, with pings between fragments."""
    server = PerMessageDeflate(
        remote_no_context_takeover=False,
        local_no_context_takeover=draw(st.booleans()),
        remote_max_window_bits=15,
        local_max_window_bits=15,
    )
    heard: list[Heard] = []
    stream = b""
    for text in draw(st.lists(st.text(max_size=150), max_size=6)):
        payload, bits = text.encode(), 0
        if draw(st.booleans()):
            payload, bits = bytes(server.encode(Frame(Opcode.TEXT, payload)).data), COMPRESSED
        if draw(st.booleans()):
            middle = draw(st.integers(0, len(payload)))
            stream += server_frame(payload[:middle], fin=False, bits=bits) + server_frame("p", opcode=PING)
            stream += server_frame(payload[middle:], opcode=0)
            heard.append((PING, b"p"))
        else:
            stream += server_frame(payload, bits=bits)
        heard.append((TEXT, text))
    return heard, stream


@given(sent=compressed_messages(), cuts=st.lists(st.integers(0, 10_000), max_size=10))
def test_compressed_messages_may_be_cut_anywhere(sent: tuple[list[Heard], bytes], cuts: list[int]) -> None:
    """By reads and by fragments; those that are not compressed may stand between them."""
    heard, stream = sent
    splitter = Splitter(LIMIT, compressed=True)
    found: list[Heard] = []
    client = PerMessageDeflate(False, False, 15, 15)
    streams = Deflate(client, LIMIT)
    for part in _cut(stream, cuts):
        splitter.add(part)
        while (piece := splitter.next()) is not None:
            kind, data = piece
            if kind & COMPRESSED:
                assert isinstance(data, bytes)
                kind, data = kind & 15, streams.decompress(data)
            if kind == TEXT:
                assert isinstance(data, bytes)
                kind, data = DECODED, data.decode()
            assert not isinstance(data, UnicodeDecodeError)
            found.append((TEXT if kind == DECODED else kind, data))
    assert found == heard
    assert splitter.between


def test_a_step_reads_no_more_fragments_than_allowed() -> None:
    """Empty fragments give no message; yet a step ends, so that others have their turn."""
    splitter = Splitter(LIMIT)
    splitter.add(b"\x01\x00" + b"\x00\x00" * 1000)
    steps = list(iter(splitter.next, None))
    assert steps == [(PART, b"")] * 3
    assert (splitter.frames, splitter.messages, splitter.waits) == (1001, 0, False)


@given(stream=streams, cuts=st.lists(st.integers(min_value=0, max_value=100_000), max_size=10))
def test_frames_are_counted_as_they_are_read(stream: bytes, cuts: list[int]) -> None:
    """Frames and messages that wait are as many as will be read, if all are sound and whole."""
    splitter, counter = Splitter(10**6), FrameCounter()
    kinds = []
    for part in _cut(stream, cuts):
        counter.add(part)
        splitter.add(part)
        kinds += [kind for kind, _ in iter(splitter.next, None)]
    if splitter.between:
        assert (counter.frames, counter.messages) == (splitter.frames, splitter.messages)
    assert splitter.frames <= counter.frames or LIBRARY in kinds


@given(stream=streams, cuts=st.lists(st.integers(min_value=0, max_value=100_000), max_size=10))
def test_bytes_may_wait(stream: bytes, cuts: list[int]) -> None:
    """It makes no difference whether pieces are taken at once, or when all bytes have been added."""
    at_once, waiting = Splitter(LIMIT), Splitter(LIMIT)
    pieces = []
    for part in _cut(stream, cuts):
        at_once.add(part)
        pieces += list(iter(at_once.next, None))
        waiting.add(part)
    assert waiting.waiting_bytes <= len(stream)
    assert _joined(list(iter(waiting.next, None))) == _joined(pieces)
    assert not waiting.waits


def _joined(pieces: list[Any]) -> list[Any]:
    """Return the pieces with bytes for the library put together: they may be cut anywhere."""
    library = b"".join(found for kind, found in pieces if kind == LIBRARY)
    others = [(kind, str(found)) for kind, found in pieces if kind not in (LIBRARY, PART)]
    return [*others, library]


@given(messages=st.lists(st.binary(max_size=300), min_size=1, max_size=5))
def test_whole_messages_do_not_touch_the_library(messages: list[bytes]) -> None:
    """Unfragmented data frames within the limit are read here, several in one read too."""
    stream = b"".join(Frame(Opcode.BINARY, message).serialize(mask=False) for message in messages)
    splitter = Splitter(LIMIT)
    splitter.add(stream)
    assert list(iter(splitter.next, None)) == [(BINARY, message) for message in messages]


@given(payload=payloads, opcode=st.sampled_from([TEXT, BINARY]))
def test_a_written_frame_is_read_by_the_library(payload: bytes, opcode: int) -> None:
    """A server of the library reads a frame written here as the message it is."""
    server = ServerProtocol(state=OPEN, max_size=None)
    server.receive_data(masked_frame(opcode, payload))
    (frame,) = server.events_received()
    assert isinstance(frame, Frame)
    assert (frame.opcode, bytes(frame.data), frame.fin) == (opcode, payload, True)


def test_masks_are_not_repeated() -> None:
    """Masking keys are fresh for each frame, over the refill of the pool."""
    drawn = [masked_frame(TEXT, b"")[2:] for _ in range(3000)]
    assert {len(mask) for mask in drawn} == {4}
    assert len(set(drawn)) > 2990
