"""TLS between a transport and a protocol: whatever the records and however they are cut, both sides agree."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.transport.tls_stream import TlsStream, secure
from tests.conftest import Certificates
from tests.support.dialling import trusting
from tests.support.effort import effort

pytestmark = pytest.mark.anyio


class Below(asyncio.Transport):
    """A transport that keeps what is written, and has no socket."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.ends: list[str] = []
        self.reading = True
        self.above: asyncio.BaseProtocol | None = None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.above = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self.above is not None
        return self.above

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert "write_eof" not in self.ends
        self.written += data

    def write_eof(self) -> None:
        self.ends.append("write_eof")

    def close(self) -> None:
        self.ends.append("close")

    def abort(self) -> None:
        self.ends.append("abort")

    def is_closing(self) -> bool:
        return bool({"close", "abort"} & set(self.ends))

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def get_write_buffer_size(self) -> int:
        return 0


class Above(asyncio.Protocol):
    """A protocol that keeps what it is told."""

    def __init__(self) -> None:
        self.transport: asyncio.BaseTransport | None = None
        self.received: list[bytes] = []
        self.told: list[str] = []
        self.error: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.told.append("made")

    def data_received(self, data: bytes) -> None:
        assert data
        self.received.append(data)
        self.told.append("data")

    def eof_received(self) -> bool:
        self.told.append("eof")
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.error = error
        self.told.append("lost")

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")


class Server:
    """The other side of TLS, in memory."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)

    def shake_hands(self, heard: bytes) -> bytes:
        self.incoming.write(heard)
        with suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self.outgoing.read()

    def records(self, *texts: bytes) -> bytes:
        for text in texts:
            self.tls.write(text)
        return self.outgoing.read()

    def goodbye(self) -> bytes:
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.unwrap()
        return self.outgoing.read()

    def heard(self, data: bytes) -> bytes:
        self.incoming.write(data)
        found = b""
        while True:
            try:
                part = self.tls.read()
            except ssl.SSLWantReadError:
                return found
            except ssl.SSLZeroReturnError:
                part = b""
            if not part:
                return found + b"<close_notify>"
            found += part


class Pair:
    """A client and its server, in memory."""

    def __init__(self, certificates: Certificates, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> None:
        context = certificates.server_context()
        context.minimum_version = context.maximum_version = version
        self.server = Server(context)
        self.below, self.above = Below(), Above()
        self.stream = TlsStream(self.below, self.above, trusting(certificates.authority), "localhost")

    def taken(self) -> bytes:
        data, self.below.written = self.below.written, b""
        return data

    def shake_hands(self) -> Pair:
        for _ in range(4):
            answer = self.server.shake_hands(self.taken())
            if answer:
                self.stream.data_received(answer)
        assert self.above.told == ["made"]
        assert self.above.transport is self.stream
        return self

    def cut(self, data: bytes, cuts: list[int]) -> None:
        """Have these bytes received in parts."""
        edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
        for start, stop in pairwise(edges):
            self.stream.data_received(data[start:stop])


VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
TEXTS = st.lists(
    st.binary(min_size=1, max_size=200) | st.sampled_from([b"x" * 16384, b"y" * 40_000]), max_size=5
)
CUTS = st.lists(st.integers(0, 10**5), max_size=12)


@effort(100)
@given(texts=TEXTS, cuts=CUTS, version=st.sampled_from(VERSIONS), ends=st.booleans())
async def test_any_records_cut_anyhow_are_the_same_bytes(
    certificates: Certificates, texts: list[bytes], cuts: list[int], version: ssl.TLSVersion, ends: bool
) -> None:
    """What the server writes arrives whole and in order, before its close_notify if it says that."""
    pair = Pair(certificates, version).shake_hands()
    data = pair.server.records(*texts) + (pair.server.goodbye() if ends else b"")
    pair.cut(data, cuts)
    assert b"".join(pair.above.received) == b"".join(texts)
    assert pair.above.told.count("eof") == ends
    assert pair.below.ends == ["close"] * ends
    assert (pair.above.told[-1] == "eof") == ends
    assert (pair.server.heard(pair.taken()) == b"<close_notify>") == ends


@effort(30)
@given(cuts=CUTS, version=st.sampled_from(VERSIONS))
async def test_a_handshake_cut_anyhow(
    certificates: Certificates, cuts: list[int], version: ssl.TLSVersion
) -> None:
    """It succeeds, and what follows it in the same bytes is delivered after `connection_made`."""
    pair = Pair(certificates, version)
    for _ in range(4):
        answer = pair.server.shake_hands(pair.taken())
        pair.cut(answer, cuts)
    pair.cut(pair.server.records(b"hello"), cuts)
    assert pair.above.told == ["made", "data"]
    assert pair.stream.shaken.done()


@effort(50)
@given(texts=st.lists(st.binary(min_size=1, max_size=50_000), max_size=4))
async def test_what_is_written_arrives(certificates: Certificates, texts: list[bytes]) -> None:
    """Whole and in order, and close_notify after it, then no more."""
    pair = Pair(certificates).shake_hands()
    for text in texts:
        pair.stream.write(text)
    pair.stream.close()
    pair.stream.write(b"too late")
    assert pair.server.heard(pair.taken()) == b"".join(texts) + b"<close_notify>"
    assert pair.below.ends == ["close"]
    assert pair.stream.is_closing()


async def test_fin_without_close_notify_is_no_error(certificates: Certificates) -> None:
    """The transport below closes itself; a record that was cut off is not delivered."""
    pair = Pair(certificates).shake_hands()
    pair.stream.data_received(pair.server.records(b"whole") + pair.server.records(b"cut off")[:-1])
    assert pair.stream.eof_received() is False
    pair.stream.connection_lost(None)
    assert pair.above.told == ["made", "data", "lost"]
    assert (pair.above.received, pair.above.error) == ([b"whole"], None)


async def test_close_notify_then_fin(certificates: Certificates) -> None:
    """The end is told once."""
    pair = Pair(certificates).shake_hands()
    pair.stream.data_received(pair.server.goodbye())
    pair.stream.eof_received()
    pair.stream.connection_lost(None)
    assert pair.above.told == ["made", "eof", "lost"]
    assert pair.above.error is None


async def test_an_alert_comes_after_what_was_said_before_it(certificates: Certificates) -> None:
    """The same bytes hold a record, then an alert in plain text, which TLS 1.2 takes for a forged one."""
    pair = Pair(certificates).shake_hands()
    pair.stream.data_received(pair.server.records(b"before") + b"\x15\x03\x03\0\2\2\x50")
    assert pair.above.received == [b"before"]
    assert pair.below.ends == ["abort"]
    pair.stream.connection_lost(None)
    assert isinstance(pair.above.error, ssl.SSLError)


async def test_a_client_certificate_that_is_missing_is_an_alert(certificates: Certificates) -> None:
    """In TLS 1.3 the handshake is over by then: the connection is lost, with the alert's name."""
    pair = Pair(certificates)
    pair.server.tls.context.verify_mode = ssl.CERT_REQUIRED
    pair.server.tls = pair.server.tls.context.wrap_bio(
        pair.server.incoming, pair.server.outgoing, server_side=True
    )
    pair.stream.data_received(pair.server.shake_hands(pair.taken()))
    assert pair.above.told == ["made"]
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN"):
        pair.server.shake_hands(pair.taken())
    pair.stream.data_received(pair.server.outgoing.read())
    pair.stream.connection_lost(None)
    assert isinstance(pair.above.error, ssl.SSLError)
    assert pair.above.error.reason == "TLSV13_ALERT_CERTIFICATE_REQUIRED"


async def test_a_strangers_certificate_fails_the_handshake(certificates: Certificates) -> None:
    """The server has an alert; the protocol was not told of a connection."""
    below, above = Below(), Above()
    server = Server(certificates.server_context())
    making = asyncio.ensure_future(secure(below, above, trusting(certificates.stranger), "localhost"))
    await asyncio.sleep(0)
    assert isinstance(below.above, TlsStream)
    answer, below.written = server.shake_hands(below.written), b""
    below.above.data_received(answer)
    with pytest.raises(ssl.SSLCertVerificationError):
        await making
    below.above.connection_lost(None)
    assert (below.ends, above.told) == (["abort"], [])
    with pytest.raises(ssl.SSLError, match="ALERT_UNKNOWN_CA"):
        server.shake_hands(below.written)


@pytest.mark.parametrize("error", [None, ConnectionResetError(104, "reset")])
async def test_an_end_within_the_handshake(error: Exception | None, certificates: Certificates) -> None:
    """It fails as a reset, and the protocol is told of nothing."""
    below, above = Below(), Above()
    making = asyncio.ensure_future(secure(below, above, trusting(certificates.authority), "localhost"))
    await asyncio.sleep(0)
    assert isinstance(below.above, TlsStream)
    if error is None:
        below.above.eof_received()
    below.above.connection_lost(error)
    with pytest.raises(ConnectionResetError):
        await making
    assert above.told == []


async def test_who_gives_up_the_handshake_aborts(certificates: Certificates) -> None:
    """What still comes changes nothing."""
    below, above = Below(), Above()
    server = Server(certificates.server_context())
    making = asyncio.ensure_future(secure(below, above, trusting(certificates.authority), "localhost"))
    await asyncio.sleep(0)
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert below.ends == ["abort"]
    assert isinstance(below.above, TlsStream)
    below.above.data_received(server.shake_hands(below.written))
    below.above.connection_lost(None)


async def test_nothing_is_delivered_while_reading_is_paused(certificates: Certificates) -> None:
    """What has come meanwhile is delivered afterwards, in order."""
    pair = Pair(certificates).shake_hands()
    pair.stream.pause_reading()
    assert not pair.below.reading
    pair.stream.data_received(pair.server.records(b"one"))
    assert pair.above.received == []
    pair.stream.resume_reading()
    assert pair.below.reading
    await asyncio.sleep(0)
    pair.stream.data_received(pair.server.records(b"two"))
    assert pair.above.received == [b"one", b"two"]


async def test_fin_below_tls_silences_it(certificates: Certificates) -> None:
    """After `write_eof` not even the server's close_notify is answered: a killed process says nothing."""
    pair = Pair(certificates).shake_hands()
    pair.taken()
    pair.stream.write_eof()
    pair.stream.data_received(pair.server.records(b"still read") + pair.server.goodbye())
    assert pair.above.received == [b"still read"]
    assert pair.taken() == b""
    assert pair.below.ends == ["write_eof", "close"]


async def test_fin_below_tls_leaves_no_alert(certificates: Certificates) -> None:
    """Nor is a bad record answered then."""
    pair = Pair(certificates).shake_hands()
    pair.taken()
    pair.stream.write_eof()
    pair.stream.data_received(bytes(50))
    assert pair.taken() == b""
    assert pair.below.ends == ["write_eof", "abort"]


async def test_who_takes_the_transport_below_is_left_alone(certificates: Certificates) -> None:
    """A drop that has replaced TLS in what it was told is not answered for by TLS."""
    pair = Pair(certificates).shake_hands()
    pair.taken()

    def take_over(_data: bytes) -> None:
        pair.below.set_protocol(asyncio.Protocol())

    pair.above.data_received = take_over  # type: ignore[method-assign,assignment]  # a double
    pair.stream.set_protocol(pair.above)
    pair.stream.data_received(pair.server.records(b"x") + pair.server.goodbye())
    assert (pair.taken(), pair.below.ends) == (b"", [])


async def test_backpressure_is_passed_on(certificates: Certificates) -> None:
    """Writing pauses where the transport below pauses it."""
    pair = Pair(certificates).shake_hands()
    pair.stream.pause_writing()
    pair.stream.resume_writing()
    assert pair.above.told == ["made", "pause", "resume"]


class Nested(Pair):
    """A stream on a stream, as through a proxy with https: `server` is the proxy, `inner` the server."""

    def __init__(self, certificates: Certificates) -> None:
        super().__init__(certificates)
        self.shake_hands()
        self.inner = Server(certificates.server_context())
        self.top = Above()
        self.nested = TlsStream(self.stream, self.top, trusting(certificates.authority), "localhost")
        for _ in range(3):
            answer = self.inner.shake_hands(self.server.heard(self.taken()))
            if answer:
                self.stream.data_received(self.server.records(answer))
        assert self.top.transport is self.nested

    def say(self, data: bytes) -> None:
        """Have the inner server's bytes received."""
        self.stream.data_received(self.server.records(data))


async def test_tls_within_tls(certificates: Certificates) -> None:
    """Each layer has its own records, and `abort` reaches the lowest transport."""
    pair = Nested(certificates)
    pair.say(pair.inner.records(b"deep"))
    assert pair.top.received == [b"deep"]
    pair.nested.write(b"echo")
    assert pair.inner.heard(pair.server.heard(pair.taken())) == b"echo"
    pair.nested.abort()
    assert pair.below.ends == ["abort"]


async def test_who_takes_the_transport_below_both_is_left_alone(certificates: Certificates) -> None:
    """Neither layer answers for it."""
    pair = Nested(certificates)
    pair.taken()

    def take_over(_data: bytes) -> None:
        pair.below.set_protocol(asyncio.Protocol())

    pair.top.data_received = take_over  # type: ignore[method-assign,assignment]  # a double
    pair.nested.set_protocol(pair.top)
    pair.say(pair.inner.records(b"x") + pair.inner.goodbye())
    assert (pair.taken(), pair.below.ends) == (b"", [])
