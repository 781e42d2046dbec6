"""Opening a WebSocket: DNS, TCP, TLS and the upgrade against bare servers, and each way to be refused."""

import asyncio
import gc
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.errors import ConnectFailed
from loadtest.events import Endpoint
from loadtest.session.schedule import NS_PER_S
from loadtest.text import LINE_LENGTH
from loadtest.transport import names as names_module
from loadtest.transport.connection import Connection
from loadtest.transport.opening import Dialer
from loadtest.transport.target import Target, Tls
from loadtest.transport.tls_stream import TlsStream
from loadtest.transport.wire_counts import WireCounts
from tests.conftest import Certificates
from tests.support.dialling import dialer, opened, opened_with_phases, refused, trusting
from tests.support.effort import effort
from tests.support.peers import Line, Script, bare_server, close_frame, server_frame, switching, until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nothing_left")]

TOKEN = "eyJhbGciOiJIUzI1NiJ9.secret.signature"


async def welcome(line: Line) -> None:
    """Accept, then record."""
    await line.upgrade()
    await line.record()


def answering(answer: bytes) -> Script:
    """Answer the upgrade request with these bytes, then wait for the client to leave."""

    async def script(line: Line) -> None:
        await line.hear_request()
        await line.send(answer)
        await line.record()

    return script


def http(status: str, body: str | bytes = b"", *headers: str) -> bytes:
    """Return an HTTP response."""
    content = body.encode() if isinstance(body, str) else body
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", *headers, "", "")
    return "\r\n".join(lines).encode() + content


# Phases.


async def test_plain_connection_has_no_tls_phase() -> None:
    """Over ws, DNS, TCP and upgrade take time and TLS takes none."""
    async with bare_server(welcome) as server:
        connection, phases = await opened_with_phases(server.port)
        connection.abort()
    assert phases.dns_ns > 0
    assert phases.tcp_ns > 0
    assert phases.tls_ns == 0
    assert phases.upgrade_ns > 0


async def test_phases_are_apart_and_sum_up(certificates: Certificates) -> None:
    """Over wss every phase takes time, and all of them no more than the clock saw go by."""
    ticks = [1]

    def clock() -> int:
        ticks.append(2 * ticks[-1])  # so that no sum of differences equals another
        return ticks[-1]

    async with bare_server(welcome, certificates.server_context()) as server:
        tls = trusting(certificates.authority)
        connection, phases = await opened_with_phases(server.port, tls, clock=clock)
        connection.abort()
    took = [phases.dns_ns, phases.tcp_ns, phases.tls_ns, phases.upgrade_ns]
    assert min(took) > 0
    assert len(set(took)) == 4
    assert sum(took) <= ticks[-1] - ticks[1]


# The request.


async def test_headers_of_run_and_attempt_are_sent() -> None:
    """The run's headers and the attempt's own go out with the protocol's."""
    async with bare_server(welcome) as server:
        endpoint = Endpoint(path="/a/b?c=d&e", headers=(("Authorization", "Bearer x"),))
        async with opened(server.port, endpoint=endpoint, headers=(("X-Run", "7"), ("X-Run", "8"))):
            request = server.lines[0].request.decode()
    assert request.startswith("GET /a/b?c=d&e HTTP/1.1\r\n")
    lines = request.split("\r\n")
    assert "Authorization: Bearer x" in lines
    assert [line for line in lines if line.startswith("X-Run")] == ["X-Run: 7", "X-Run: 8"]
    assert f"Host: localhost:{server.port}" in lines


async def test_own_host_header_replaces_the_protocols() -> None:
    """A request has one Host header, and it is the user's if there is one."""
    async with bare_server(welcome) as server, opened(server.port, headers=(("Host", "virtual.example"),)):
        lines = server.lines[0].request.decode().split("\r\n")
    assert [line for line in lines if line.lower().startswith("host:")] == ["Host: virtual.example"]


async def test_subprotocols_are_offered_in_order_and_one_may_be_chosen() -> None:
    """The dialect's subprotocols come first, then the run's; a chosen one that was offered is fine."""

    async def script(line: Line) -> None:
        await line.upgrade("Sec-WebSocket-Protocol: jwt")
        await line.record()

    async with bare_server(script) as server:
        endpoint = Endpoint(path="/", subprotocols=("jwt", TOKEN))
        async with opened(server.port, endpoint=endpoint, subprotocols=("chat",)):
            request = server.lines[0].request.decode()
    assert f"Sec-WebSocket-Protocol: jwt, {TOKEN}, chat\r\n" in request


async def test_no_extension_is_offered() -> None:
    """Compression would be a load of its own, so none is offered."""
    async with bare_server(welcome) as server, opened(server.port):
        assert b"sec-websocket-extensions" not in server.lines[0].request.lower()


async def test_source_addresses_are_used_in_turn() -> None:
    """With two source addresses, attempts come from each of them."""
    async with bare_server(welcome) as server:
        dial = dialer(server.port, source_ips=("127.0.0.2", "127.0.0.3"))
        for _ in range(3):
            connection, _phases = await dial.open(Endpoint(path="/"), [])
            connection.abort()
        assert [line.peer for line in server.lines] == ["127.0.0.2", "127.0.0.3", "127.0.0.2"]


async def test_no_more_connections_than_files() -> None:
    """Of a crowd only so many get in as there are files for, and the next one when a place is free again."""
    async with bare_server(welcome) as server:
        dial = dialer(server.port, most_connections=3)
        found = await asyncio.gather(
            *(dial.open(Endpoint(path="/"), []) for _ in range(8)), return_exceptions=True
        )
        open_ones = [opened[0] for opened in found if not isinstance(opened, BaseException)]
        causes = [failed.refused.cause for failed in found if isinstance(failed, ConnectFailed)]
        assert len(open_ones) == 3
        assert causes == ["out_of_files"] * 5
        open_ones[0].abort()
        await until(lambda: server.ended, "a connection's end")
        connection, _ = await dial.open(Endpoint(path="/"), [])
        for last in (connection, *open_ones[1:]):
            last.abort()


async def test_crowd_opens_at_once() -> None:
    """Many attempts of one dialer at the same time do not get into each other's way."""
    async with bare_server(welcome) as server:
        dial = dialer(server.port)
        opening = [asyncio.create_task(dial.open(Endpoint(path=f"/{n}"), [])) for n in range(50)]
        for connection, _ in await asyncio.gather(*opening):
            connection.abort()
        asked = {line.request.split(b" ")[1] for line in server.lines}
    assert asked == {b"/%d" % number for number in range(50)}


# Names.


class Names:
    """A DNS that answers as it is told, when it is let, and counts its questions."""

    def __init__(self, *addresses: tuple[str, int]) -> None:
        self.addresses = addresses
        self.asked = 0
        self.failure: OSError | None = None
        self.let = asyncio.Event()
        self.let.set()

    async def getaddrinfo(self, host: str, port: int, **_: object) -> list[tuple[Any, ...]]:
        """Answer in the form of the loop's method."""
        assert (host, port) == ("front.example", 443)
        self.asked += 1
        await self.let.wait()
        if self.failure is not None:
            raise self.failure
        return [(None, None, None, "", address) for address in self.addresses]

    def dialer(self, **options: Any) -> Dialer:
        """Return a dialer to the host that this DNS knows."""
        return dialer(443, host="front.example", **options)


@pytest.fixture
async def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """The DNS of the loop under test."""
    names = Names()
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", names.getaddrinfo)
    return names


async def crowd(dial: Dialer, size: int) -> list[ConnectFailed]:
    """Open so many connections at once, close them, and return the failures."""
    opening = (dial.open(Endpoint(path="/"), []) for _ in range(size))
    failures = []
    for found in await asyncio.gather(*opening, return_exceptions=True):
        if isinstance(found, ConnectFailed):
            failures.append(found)
        elif isinstance(found, BaseException):
            raise found
        else:
            found[0].abort()
    return failures


async def test_dns_is_asked_once_an_interval(names: Names) -> None:
    """A crowd asks once, and so do all who come within the interval; after it the first one asks again."""
    now_ns = 1
    async with bare_server(welcome) as server:
        names.addresses = (("127.0.0.1", server.port),)
        dial = names.dialer(clock=lambda: now_ns)
        assert await crowd(dial, 200) == []
        now_ns += 30 * NS_PER_S
        assert await crowd(dial, 5) == []
        assert names.asked == 1
        now_ns += 1
        assert await crowd(dial, 200) == []
        assert names.asked == 2
        assert len(server.lines) == 405


async def test_a_failed_answer_is_not_kept(names: Names) -> None:
    """Who asks while DNS fails shares the failure; the next attempt asks again."""
    names.failure = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    async with bare_server(welcome) as server:
        names.addresses = (("127.0.0.1", server.port),)
        dial = names.dialer()
        failures = await crowd(dial, 20)
        assert [(failed.refused.phase, failed.refused.cause) for failed in failures] == [
            ("dns", "unknown_host")
        ] * 20
        assert names.asked == 1
        names.failure = None
        assert await crowd(dial, 1) == []
        assert names.asked == 2


async def test_the_last_good_answer_serves_until_the_next(names: Names) -> None:
    """A resolver that hangs or fails after it has answered fails no attempt; a new answer counts at once."""
    now_ns = 1
    async with bare_server(welcome) as old, bare_server(welcome) as new:
        names.addresses = (("127.0.0.1", old.port),)
        dial = names.dialer(clock=lambda: now_ns)
        assert await crowd(dial, 1) == []
        now_ns += 31 * NS_PER_S
        names.let.clear()
        names.failure = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        assert await crowd(dial, 5) == []
        names.let.set()
        assert await crowd(dial, 5) == []
        assert names.asked == 2
        now_ns += 31 * NS_PER_S
        names.failure = None
        names.addresses = (("127.0.0.1", new.port),)
        assert await crowd(dial, 1) == []
        assert names.asked == 3
        assert await crowd(dial, 5) == []
        assert len(old.lines) + len(new.lines) == 17
        assert len(new.lines) >= 5


async def test_who_gives_up_leaves_the_answer_to_the_others(names: Names) -> None:
    """An attempt that ends while DNS has yet to answer takes nothing from those that wait."""
    names.let.clear()
    async with bare_server(welcome) as server:
        names.addresses = (("127.0.0.1", server.port),)
        dial = names.dialer()
        giving_up, waiting = (asyncio.create_task(crowd(dial, 1)) for _ in range(2))
        await until(lambda: names.asked, "the question")
        giving_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await giving_up
        names.let.set()
        assert await waiting == []
    assert names.asked == 1


async def test_addresses_of_a_name_are_used_in_turn(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections spread over the front ends of the family that the system prefers."""
    monkeypatch.setattr(
        names_module, "NEXT_AFTER_S", 60
    )  # a busy machine is no front end that does not answer
    async with bare_server(welcome) as one, bare_server(welcome) as two, bare_server(welcome) as three:
        of_each = [("127.0.0.1", server.port) for server in (one, two, three)]
        names.addresses = (*of_each, of_each[0], ("::1", one.port))  # a name may be listed twice
        dial = names.dialer()
        assert dial.address_pairs == 1
        assert await crowd(dial, 12) == []
        assert [len(server.lines) for server in (one, two, three)] == [4, 4, 4]
        assert dial.address_pairs == 3


async def test_an_address_that_refuses_is_passed_over(names: Names) -> None:
    """The next one of the same family takes its connections, then those of the other family."""
    async with bare_server(welcome) as server:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            closed, open_one = bound.getsockname(), ("127.0.0.1", server.port)
            for addresses in ((closed, open_one), (("::1", closed[1]), open_one)):
                names.addresses = addresses
                assert await crowd(names.dialer(), 4) == []
            names.addresses = (closed, closed)
            (failure,) = await crowd(names.dialer(), 1)
    assert failure.refused.cause == "refused"
    assert len(server.lines) == 8


async def test_a_source_address_reaches_its_own_family_only(names: Names) -> None:
    """Addresses of the other family are passed over, and that none is left is told."""
    async with bare_server(welcome) as server:
        names.addresses = (("::1", 9), ("127.0.0.1", server.port))
        dial = names.dialer(source_ips=("127.0.0.2", "127.0.0.3"))
        assert await crowd(dial, 2) == []
        assert dial.address_pairs == 2
    names.addresses = (("::1", 9),)
    (failure,) = await crowd(names.dialer(source_ips=("127.0.0.2",)), 1)
    assert failure.refused.detail == "the target has no address of the source address's family"


async def test_an_address_that_does_not_answer_is_passed_over(names: Names) -> None:
    """After 250 ms the next address is tried beside it, the first connection wins, and it is counted."""
    counts = WireCounts()
    with full_backlog() as silent:
        async with bare_server(welcome) as server:
            names.addresses = (("127.0.0.1", silent), ("127.0.0.1", server.port))
            dial = names.dialer(counts=counts, timeout_s=10)
            began_s = time.monotonic()
            assert await crowd(dial, 1) == []
            assert 0.2 < time.monotonic() - began_s < 9
            await until(lambda: dial.connections == 0, "the loser's end")
    assert counts.passed_over == 1


async def test_an_ipv6_address_as_the_host() -> None:
    """It stands in brackets in the Host header."""
    async with bare_server(welcome, host="::1") as server:
        target = Target.parse(f"ws://[::1]:{server.port}", Tls())
        connection, _ = await Dialer(target, clock=time.monotonic_ns).open(Endpoint(path="/"), [])
        connection.abort()
        assert f"Host: [::1]:{server.port}\r\n".encode() in server.lines[0].request


# What comes with the answer.


@pytest.mark.parametrize("secure", [False, True])
async def test_frames_in_the_segment_of_the_answer_are_heard(
    secure: bool, certificates: Certificates
) -> None:
    """A server may speak in the very segment that accepts the upgrade."""

    async def script(line: Line) -> None:
        await line.upgrade(then=server_frame("first") + server_frame(b"second", opcode=2))
        await line.record()

    server_tls = certificates.server_context() if secure else None
    client_tls = trusting(certificates.authority) if secure else None
    async with bare_server(script, server_tls) as server, opened(server.port, client_tls) as (_, ear):
        assert await ear.hear(2) == ["first", b"second"]


async def test_close_in_the_segment_of_the_answer_is_a_loss_not_a_refusal() -> None:
    """A server that accepts, explains and closes at once is heard, with its close code."""

    async def script(line: Line) -> None:
        await line.upgrade(then=server_frame("auth") + close_frame(4401, "bad token"))
        await line.record()

    async with bare_server(script) as server, opened(server.port) as (_, ear):
        lost = await ear.end()
    assert ear.messages == ["auth"]
    assert (lost.code, lost.reason, lost.cause) == (4401, "bad token", "4401")


async def test_end_right_after_the_answer_is_a_loss() -> None:
    """A connection that ends as soon as it is open was open."""

    async def script(line: Line) -> None:
        await line.upgrade(then=server_frame("hello"))

    async with bare_server(script) as server, opened(server.port) as (_, ear):
        lost = await ear.end()
    assert ear.messages == ["hello"]
    assert (lost.code, lost.cause) == (1006, "eof")


async def test_listener_that_has_enough_hears_no_more() -> None:
    """A listener that detaches while it is told what came early is told nothing further, nor the end."""

    async def script(line: Line) -> None:
        await line.upgrade(then=server_frame("one") + server_frame("two") + close_frame(1000))
        await line.record()

    class Content:
        heard = 0

        def received(self, data: object) -> None:
            self.heard += 1
            connection.detach()

        def ponged(self, took_ns: int) -> None:
            raise AssertionError("no ping was sent")

        def lost(self, lost: object) -> None:
            raise AssertionError("it was told the end")

    async with bare_server(script) as server:
        connection, _ = await opened_with_phases(server.port)
        connection.attach(content := Content())
        connection.abort()
    assert content.heard == 1


async def test_answer_may_come_byte_by_byte() -> None:
    """However the answer and the first frames are cut, they are read."""

    async def script(line: Line) -> None:
        request = await line.hear_request()
        await line.send_slowly(switching(request) + server_frame("grüße") + close_frame(1001))
        await line.record()

    async with bare_server(script) as server, opened(server.port) as (_, ear):
        assert (await ear.end()).code == 1001
    assert ear.messages == ["grüße"]


# Refused by HTTP.


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 429, 500, 503])
async def test_status_and_body_are_told(status: int) -> None:
    """A refusal has the status as its cause and quotes the body; a server that answers is reachable."""
    async with bare_server(answering(http(f"{status} Whatever", "not  now,\nsorry"))) as server:
        refusal = await refused(server.port)
    assert (refusal.phase, refusal.cause, refusal.unreachable) == ("upgrade", f"http_{status}", False)
    assert refusal.detail == f"HTTP {status} not now, sorry"


@pytest.mark.parametrize(
    "answer",
    [
        http("503 No", b"busy"),
        b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbusy\r\n0\r\n\r\n",
        http("503 No", b"busy", "Connection: close", "Set-Cookie: a=b", "Set-Cookie: c=d"),
    ],
)
async def test_forms_of_a_body(answer: bytes) -> None:
    """The body is quoted whatever HTTP has done to it."""
    async with bare_server(answering(answer)) as server:
        refusal = await refused(server.port)
    assert (refusal.cause, refusal.detail) == ("http_503", "HTTP 503 busy")


async def test_body_without_length_ends_with_the_connection() -> None:
    """A body that is closed by the end of the connection is quoted, too."""

    async def script(line: Line) -> None:
        await line.hear_request()
        await line.send(b"HTTP/1.1 502 Bad Gateway\r\n\r\nno upstream")
        line.fin()
        await line.record()

    async with bare_server(script) as server:
        refusal = await refused(server.port)
    assert (refusal.cause, refusal.detail) == ("http_502", "HTTP 502 no upstream")


async def test_cookies_of_a_refusal_are_passed_on() -> None:
    """As browsers keep them: a load balancer may set one while it refuses."""
    answer = http("503 Busy", b"", "Set-Cookie: seat=7", "Set-Cookie: b=c")
    async with bare_server(answering(answer)) as server:
        with pytest.raises(ConnectFailed) as caught:
            await opened_with_phases(server.port)
    assert caught.value.set_cookies == ("seat=7", "b=c")


async def test_redirect_says_where_to() -> None:
    """A redirect is not followed, but its target is told."""
    answer = http("301 Moved", b"", "Location: https://elsewhere.example/ws?token=x")
    async with bare_server(answering(answer)) as server:
        refusal = await refused(server.port)
    assert (refusal.cause, refusal.detail) == (
        "http_301",
        "HTTP 301 to https://elsewhere.example/ws",
    )


@pytest.mark.parametrize("position", range(0, LINE_LENGTH + 20, 20))
async def test_token_is_taken_out_wherever_it_stands(position: int) -> None:
    """Neither the token nor a part of it is quoted, also where the excerpt ends in its middle."""
    body = "." * position + TOKEN + "." * LINE_LENGTH
    async with bare_server(answering(http("401 No", body))) as server:
        refusal = await refused(server.port, secret=TOKEN)
    assert refusal.cause == "http_401"
    assert TOKEN[:8] not in refusal.detail


async def test_excerpt_is_bounded_and_printable() -> None:
    """A body of terminal codes, zeros, bad UTF-8 and a megabyte of text makes one short printable line."""
    body = b"\x1b[31mred\x1b[0m\0\xff\xfe\r\n\xe2\x80\xae" + b"x" * 1_000_000
    async with bare_server(answering(http("500 No", body))) as server:
        refusal = await refused(server.port)
    assert refusal.cause == "http_500"
    assert len(refusal.detail) <= LINE_LENGTH
    assert refusal.detail.isprintable()


# Refused by a bad answer.


def accepting(*headers: str) -> Script:
    """Accept with further headers."""

    async def script(line: Line) -> None:
        await line.upgrade(*headers)
        await line.record()

    return script


@pytest.mark.parametrize(
    "script",
    [
        answering(b"SSH-2.0-OpenSSH_9.6\r\n"),
        answering(b"\0\1\2\3\xff\n"),
        answering(b"220 mail.example ESMTP\r\n"),
        answering(b"x" * 100_000),
        answering(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
        answering(b"HTTP/1.0 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
        answering(http("101 Switching", b"", "Upgrade: websocket", "Connection: Upgrade")),
        answering(
            http("101 X", b"", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: bm8=")
        ),
        accepting("Sec-WebSocket-Protocol: never-offered"),
        accepting("Upgrade: h2c"),
        answering(b"garbage\r\n" + server_frame("frame")),
    ],
)
async def test_bad_answer_is_told_at_once(script: Script) -> None:
    """What is no proper answer is a bad handshake, told without waiting for the server to close."""
    async with bare_server(script) as server:
        refusal = await refused(server.port, timeout_s=20)
    assert (refusal.phase, refusal.cause, refusal.unreachable) == ("upgrade", "bad_handshake", False)
    assert refusal.detail
    assert len(refusal.detail) <= LINE_LENGTH


@pytest.mark.parametrize(
    ("compression", "selected"),
    [
        ("off", "permessage-deflate"),
        ("on", "x-webkit-deflate-frame"),
        ("on", "permessage-deflate; client_max_window_bits=8"),
        ("no-takeover", "permessage-deflate"),
    ],
)
async def test_extension_that_was_not_offered_so_is_refused(compression: str, selected: str) -> None:
    """A server must choose among what it was offered: nothing, or what does not keep the context."""
    async with bare_server(accepting(f"Sec-WebSocket-Extensions: {selected}")) as server:
        refusal = await refused(server.port, compression=compression)
    assert (refusal.phase, refusal.cause, refusal.unreachable) == ("upgrade", "extension", False)


async def test_subprotocol_that_was_not_among_the_offered_is_refused() -> None:
    """A server must choose among what it was offered."""
    async with bare_server(accepting("Sec-WebSocket-Protocol: other")) as server:
        refusal = await refused(server.port, subprotocols=("mine",))
    assert refusal.cause == "bad_handshake"
    assert "other" in refusal.detail


@pytest.mark.parametrize(
    ("offered", "told"), [(("jwt", TOKEN), "(jwt, …)"), (("chat",), "(chat)"), ((TOKEN,), "(***)")]
)
async def test_server_that_selects_none_of_the_offered_is_refused(
    offered: tuple[str, ...], told: str
) -> None:
    """As in browsers; the refusal names the first that was offered, and no token."""
    async with bare_server(welcome) as server:
        refusal = await refused(server.port, endpoint=Endpoint(path="/", subprotocols=offered), secret=TOKEN)
    assert (refusal.phase, refusal.cause, refusal.unreachable) == ("upgrade", "no_subprotocol", False)
    assert refusal.detail == f"the server selected none of the subprotocols offered {told}"


async def test_server_may_select_none_if_that_is_allowed() -> None:
    """With --ws-subprotocol-optional the connection opens; one that was not offered is still refused."""
    offer: dict[str, Any] = {"subprotocols": ("chat",), "subprotocol_optional": True}
    async with bare_server(welcome) as server, opened(server.port, **offer):
        assert b"Sec-WebSocket-Protocol: chat\r\n" in server.lines[0].request
    async with bare_server(accepting("Sec-WebSocket-Protocol: other")) as server:
        refusal = await refused(server.port, **offer)
    assert refusal.cause == "bad_handshake"


@pytest.mark.parametrize(
    ("status", "headers", "wait_s"),
    [
        ("503 Busy", ("Retry-After: 7",), 7),
        ("429 Slow down", ("Retry-After: 7", "Retry-After: 9"), 7),
        ("503 Busy", (), 0),
        ("403 No", ("Retry-After: 7",), 0),
    ],
)
async def test_refusal_says_when_to_come_again(status: str, headers: tuple[str, ...], wait_s: float) -> None:
    """The Retry-After of a 429 or a 503 is passed on."""
    async with bare_server(answering(http(status, b"", *headers))) as server:
        refusal = await refused(server.port)
    assert refusal.retry_after_s == wait_s


@pytest.mark.parametrize("secure", [False, True])
async def test_server_that_speaks_first_is_refused(secure: bool, certificates: Certificates) -> None:
    """A server of another protocol, which greets before it is asked, does no harm."""

    async def script(line: Line) -> None:
        await line.send(b"SSH-2.0-OpenSSH_9.6\r\n")
        await line.record()

    tls = trusting(certificates.authority) if secure else None
    async with bare_server(script) as server:
        refusal = await refused(server.port, tls, timeout_s=20)
    assert refusal.cause == ("tls" if secure else "bad_handshake")


async def test_endless_headers_are_not_read_for_ever() -> None:
    """A server that never stops to send headers is left after a bounded part of them."""
    sent = 0

    async def script(line: Line) -> None:
        nonlocal sent
        await line.hear_request()
        await line.send(b"HTTP/1.1 101 Switching Protocols\r\n")
        with suppress(ConnectionError):
            while True:
                await line.send(b"X-Header: endless\r\n" * 100)
                sent += 1900
                await asyncio.sleep(0)

    async with bare_server(script) as server:
        refusal = await refused(server.port, timeout_s=20)
        await until(lambda: server.ended, "the end of the headers")
    assert refusal.cause == "bad_handshake"
    assert sent < 16 * 2**20  # what the socket buffers hold, at the most


@pytest.mark.parametrize("length", ["99999999999999999999", "-1", "ten"])
async def test_lying_content_length_does_no_harm(length: str) -> None:
    """A length that no body has is a refusal like others."""
    answer = b"HTTP/1.1 503 No\r\nContent-Length: " + length.encode() + b"\r\n\r\n"
    async with bare_server(answering(answer)) as server:
        refusal = await refused(server.port, timeout_s=0.3)
    assert refusal.phase == "upgrade"


@effort(60, same_fixtures=True)
@given(answer=st.binary(max_size=200) | st.binary(max_size=200).map(lambda tail: b"HTTP/1.1 " + tail))
async def test_no_answer_makes_more_than_a_refusal(answer: bytes) -> None:
    """Whatever bytes a server answers with before it closes, the attempt is refused and nothing else."""

    async def script(line: Line) -> None:
        await line.hear_request()
        if answer:
            await line.send(answer)

    async with bare_server(script) as server:
        refusal = await refused(server.port)
    assert refusal.phase == "upgrade"
    assert refusal.detail.isprintable()


# Refused by the network.


async def test_nobody_listens() -> None:
    """A port without a server refuses in the phase tcp, which an outage explains."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        refusal = await refused(bound.getsockname()[1])
    assert (refusal.phase, refusal.cause, refusal.unreachable) == ("tcp", "refused", True)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64, "a..b"])
async def test_unknown_host(host: str) -> None:
    """A name without an address, or that cannot have one, is refused by DNS; no outage explains it."""
    refusal = await refused(80, host=host)
    assert (refusal.phase, refusal.cause, refusal.unreachable) == ("dns", "unknown_host", False)


async def test_no_route() -> None:
    """A network that cannot be reached is told; no TCP goes to a multicast address, the kernel refuses."""
    refusal = await refused(80, host="224.0.0.1")
    assert (refusal.phase, refusal.cause, refusal.unreachable) == ("tcp", "unreachable", True)


@contextmanager
def full_backlog() -> Iterator[int]:
    """Give a port whose queue of connections is full, so that the kernel answers no more."""
    with ExitStack() as stack, socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        address = listening.getsockname()
        for _ in range(8):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with suppress(BlockingIOError):
                waiting.connect(address)
        yield address[1]


async def test_tcp_may_time_out() -> None:
    """A server whose queue of connections is full makes the attempt time out in the phase tcp."""
    with full_backlog() as port:
        refusal = await refused(port, timeout_s=0.2)
    assert (refusal.phase, refusal.cause, refusal.unreachable) == ("tcp", "timeout", True)
    assert refusal.detail == "no answer within 0.2 s"


@pytest.mark.parametrize(("secure", "phase"), [(False, "upgrade"), (True, "tls")])
async def test_silent_server_times_out(secure: bool, phase: str, certificates: Certificates) -> None:
    """A server that accepts TCP and says nothing makes the attempt time out in the phase that waits."""
    tls = trusting(certificates.authority) if secure else None
    async with bare_server(Line.record) as server:
        refusal = await refused(server.port, tls, timeout_s=0.2)
        await until(lambda: server.lines[0].end, "the client to close the socket")
    assert (refusal.phase, refusal.cause, refusal.unreachable) == (phase, "timeout", True)


async def test_slow_loris_times_out() -> None:
    """A server that answers a byte now and then does not hold the attempt longer than its time."""

    async def script(line: Line) -> None:
        request = await line.hear_request()
        with suppress(ConnectionError):
            for byte in switching(request, "X-Long: " + "x" * 5000):
                await line.send(bytes([byte]))
                await asyncio.sleep(0.01)

    async with bare_server(script) as server:
        refusal = await refused(server.port, timeout_s=0.3)
    assert (refusal.phase, refusal.cause) == ("upgrade", "timeout")


@pytest.mark.parametrize(("end", "cause"), [("fin", "eof"), ("reset", "reset")])
@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: webso"])
async def test_end_before_the_answer(end: str, cause: str, part: bytes) -> None:
    """A connection that ends before the whole answer is what a server that goes down does."""

    async def script(line: Line) -> None:
        await line.hear_request()
        await line.send(part) if part else None
        getattr(line, end)()

    async with bare_server(script) as server:
        refusal = await refused(server.port)
    assert (refusal.phase, refusal.cause, refusal.unreachable) == ("upgrade", cause, True)


@pytest.mark.parametrize("end", ["fin", "reset"])
@pytest.mark.parametrize("secure", [False, True])
async def test_end_as_soon_as_connected(secure: bool, end: str, certificates: Certificates) -> None:
    """A server that lets go at once, again and again, is always a refusal."""

    async def script(line: Line) -> None:
        getattr(line, end)()

    tls = trusting(certificates.authority) if secure else None
    async with bare_server(script) as server:
        dial = dialer(server.port, tls)
        for _ in range(30):
            with pytest.raises(ConnectFailed) as caught:
                await dial.open(Endpoint(path="/"), [])
            assert caught.value.refused.cause in ("eof", "reset")
            assert caught.value.refused.unreachable
            assert caught.value.refused.detail


# Refused by TLS.


async def test_wrong_authority(certificates: Certificates) -> None:
    """A certificate that nobody trusted has signed is refused in the phase tls, with a way out."""
    async with bare_server(welcome, certificates.server_context()) as server:
        refusal = await refused(server.port, trusting(certificates.stranger))
        await until(lambda: server.ended, "the server's end of the handshake")
    assert (refusal.phase, refusal.cause, refusal.unreachable) == ("tls", "certificate", False)
    assert "--ws-tls-ca" in refusal.detail


async def test_a_handshake_that_failed_leaves_nothing_to_collect(certificates: Certificates) -> None:
    """Else attempts hold the memory of TLS until a collection, and those exempted from it forever."""

    def streams() -> int:
        return sum(isinstance(one, TlsStream) for one in gc.get_objects())

    gc.collect()
    before = streams()
    gc.disable()
    try:
        async with bare_server(welcome, certificates.server_context()) as server:
            for _ in range(10):
                await refused(server.port, trusting(certificates.stranger))
            await until(lambda: server.ended, "the server's end of the handshake")
        assert streams() == before
    finally:
        gc.enable()


async def test_wrong_host_name(certificates: Certificates) -> None:
    """A certificate of another host is refused."""
    async with bare_server(welcome, certificates.server_context(), host="127.0.0.2") as server:
        refusal = await refused(server.port, trusting(certificates.authority), host="127.0.0.2")
        await until(lambda: server.ended, "the server's end of the handshake")
    assert (refusal.phase, refusal.cause) == ("tls", "certificate")


async def test_insecure_takes_any_certificate(certificates: Certificates) -> None:
    """With `insecure`, neither authority nor host name matters."""
    tls = Tls(insecure=True).context()
    async with (
        bare_server(welcome, certificates.server_context(), host="127.0.0.2") as server,
        opened(server.port, tls, host="127.0.0.2") as (connection, _),
    ):
        assert connection.loss is None


async def test_tls_to_a_server_without_it() -> None:
    """wss to a port that speaks HTTP says that this is no TLS port."""

    async def script(line: Line) -> None:
        await line.read()
        await line.send(http("400 Bad Request"))

    async with bare_server(script) as server:
        refusal = await refused(server.port, Tls().context())
    assert (refusal.phase, refusal.cause, refusal.unreachable) == ("tls", "tls", False)
    assert "ws://" in refusal.detail


async def test_no_tls_to_a_server_with_it(certificates: Certificates) -> None:
    """ws to a TLS port is refused in the phase upgrade."""
    async with bare_server(welcome, certificates.server_context()) as server:
        refusal = await refused(server.port)
    assert refusal.phase == "upgrade"
    assert refusal.cause in ("bad_handshake", "eof", "reset")


def wanting_certificates(certificates: Certificates, version: ssl.TLSVersion) -> ssl.SSLContext:
    """Return the TLS context of a server that lets nobody in without a client certificate."""
    context = certificates.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificates.authority)
    context.minimum_version = context.maximum_version = version
    return context


VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


@pytest.mark.parametrize("version", VERSIONS)
async def test_client_certificate_is_shown(version: ssl.TLSVersion, certificates: Certificates) -> None:
    """A server that wants a client certificate gets it."""
    shown = Tls(ca=certificates.authority, cert=certificates.server)
    async with (
        bare_server(welcome, wanting_certificates(certificates, version)) as server,
        shown_to(server.port, shown) as connection,
    ):
        assert connection.loss is None


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("alerts", [True, False])
async def test_missing_client_certificate_is_named(
    alerts: bool, version: ssl.TLSVersion, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the server says so with a TLS alert, or ends the connection without a word, as asyncio does."""
    if not alerts:
        monkeypatch.setattr(Line, "_last_words", no_words)
    async with bare_server(welcome, wanting_certificates(certificates, version)) as server:
        refusal = await refused(server.port, trusting(certificates.authority))
    assert (refusal.phase, refusal.cause, refusal.unreachable) == ("tls", "client_certificate", False)
    assert "asked for a client certificate, got none" in refusal.detail


async def no_words(_line: Line) -> None:
    """Send no TLS alert."""


async def test_missing_client_certificate_as_nginx_says_it() -> None:
    """It lets the TLS handshake succeed, and answers the request over HTTP."""
    body = "<html><head><title>400 No required SSL certificate was sent</title></head></html>"
    async with bare_server(answering(http("400 Bad Request", body))) as server:
        refusal = await refused(server.port)
    assert (refusal.phase, refusal.cause) == ("tls", "client_certificate")


@pytest.mark.parametrize("version", VERSIONS)
async def test_client_certificate_of_a_stranger(version: ssl.TLSVersion, certificates: Certificates) -> None:
    """It is refused by an alert that is quoted."""
    stranger = Tls(ca=certificates.authority, cert=certificates.strangers_client)
    async with bare_server(welcome, wanting_certificates(certificates, version)) as server:
        with pytest.raises(ConnectFailed) as caught:
            async with shown_to(server.port, stranger):
                pass
    refusal = caught.value.refused
    assert (refusal.phase, refusal.cause) == ("tls", "client_certificate_refused")
    assert refusal.detail == "the server sent the TLS alert 'unknown ca'"


async def test_server_that_asks_and_does_not_insist_is_down_when_it_is(certificates: Certificates) -> None:
    """One that has let connections in without a certificate ends them for another reason."""
    welcomed = 0

    async def script(line: Line) -> None:
        nonlocal welcomed
        welcomed += 1
        if welcomed == 1:
            await welcome(line)
        else:
            line.fin()

    context = wanting_certificates(certificates, ssl.TLSVersion.TLSv1_3)
    context.verify_mode = ssl.CERT_OPTIONAL
    async with bare_server(script, context) as server:
        dial = dialer(server.port, trusting(certificates.authority))
        connection, _ = await dial.open(Endpoint(path="/"), [])
        connection.abort()
        with pytest.raises(ConnectFailed) as caught:
            await dial.open(Endpoint(path="/"), [])
    assert caught.value.refused.cause in ("eof", "reset")


@asynccontextmanager
async def shown_to(port: int, tls: Tls) -> AsyncIterator[Connection]:
    """Open a connection with a client certificate."""
    target = Target.parse(f"wss://localhost:{port}", tls)
    connection, _ = await Dialer(target, clock=time.monotonic_ns).open(Endpoint(path="/"), [])
    try:
        yield connection
    finally:
        connection.abort()


async def test_name_in_tls(certificates: Certificates) -> None:
    """With an SNI, the server is asked for that name, and its certificate must have it."""
    asked: list[str | None] = []
    context = certificates.server_context()
    context.sni_callback = lambda _connection, name, _context: asked.append(name)
    tls = Tls(ca=certificates.authority)
    async with bare_server(welcome, context, host="127.0.0.2") as server:
        url = f"wss://127.0.0.2:{server.port}"
        for sni, works in (("localhost", True), ("other.example", False)):
            dial = Dialer(Target.parse(url, tls, sni=sni), clock=time.monotonic_ns)
            if works:
                connection, _ = await dial.open(Endpoint(path="/"), [])
                connection.abort()
            else:
                with pytest.raises(ConnectFailed) as caught:
                    await dial.open(Endpoint(path="/"), [])
                assert caught.value.refused.cause == "certificate"
        await until(lambda: server.ended == 2, "the connections' ends")
    assert asked == ["localhost", "other.example"]


# Given up from outside.


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("silent", [False, True])
async def test_cancelled_attempts_leave_nothing(
    secure: bool, silent: bool, certificates: Certificates
) -> None:
    """An attempt that is cancelled in whatever phase closes its socket (see `nothing_left`)."""

    async def patient(line: Line) -> None:
        with suppress(AssertionError):  # the client may leave before it has asked
            await welcome(line)

    server_tls = certificates.server_context() if secure and not silent else None
    client_tls = trusting(certificates.authority) if secure else None
    async with bare_server(Line.record if silent else patient, server_tls) as server:
        dial = dialer(server.port, client_tls)
        for turns in range(25):
            opening = asyncio.create_task(dial.open(Endpoint(path="/"), []))
            for _ in range(turns):
                await asyncio.sleep(0)
            opening.cancel()
            with suppress(asyncio.CancelledError):
                connection, _phases = await opening
                connection.abort()


def stand_still(meanwhile: Callable[[], object]) -> None:
    """Stop the whole loop for 0.6 s, where it looks at its sockets, as a stopped process mostly is."""
    loop = asyncio.get_running_loop()
    here, there = socket.socketpair()

    def stop() -> None:
        loop.remove_reader(here)
        here.close()
        there.close()
        meanwhile()
        time.sleep(0.6)

    loop.add_reader(here, stop)
    there.send(b"now")


async def test_an_answer_that_came_during_a_pause_is_read() -> None:
    """Who stood still for longer than the timeout looks for the answer before it gives the attempt up."""

    async def script(line: Line) -> None:
        await line.hear_request()
        stand_still(lambda: line._sock.send(switching(line.request)))
        await line.record()

    async with bare_server(script) as server:
        connection, phases = await opened_with_phases(server.port, timeout_s=0.3)
        connection.abort()
    assert phases.upgrade_ns > 0.3 * NS_PER_S


async def test_a_pause_is_granted_once_only() -> None:
    """A server that says nothing after a pause either has timed out, within twice the time."""

    async def script(line: Line) -> None:
        await line.hear_request()
        stand_still(lambda: None)
        await line.record()

    async with bare_server(script) as server:
        refusal = await refused(server.port, timeout_s=0.3)
    assert (refusal.phase, refusal.cause) == ("upgrade", "timeout")


async def test_timeout_counts_from_the_start() -> None:
    """The time of an attempt is that of all its phases together, by the loop's clock of milliseconds.

    The system's clock may show up to one less: the loop's stands still within a turn.
    """
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    async with bare_server(Line.record) as server:
        refusal = await refused(server.port, timeout_s=0.05)
    assert refusal.cause == "timeout"
    assert round(loop.time() - began_s, 3) >= 0.05
