"""Connections through proxies: every kind, with and without TLS, and every way in which a proxy refuses."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import anyio
import pytest

from loadtest.errors import InvalidSetting
from loadtest.events import Refused
from loadtest.transport.connection import Connection
from loadtest.transport.http_health import ask
from loadtest.transport.proxies import Proxy, ProxyRefused, check_proxy
from loadtest.transport.target import Target, Tls
from loadtest.transport.tunnel import Tunnel
from loadtest.transport.wire_counts import WireCounts
from tests.conftest import Certificates
from tests.support.dialling import opened, opened_with_phases, refused, trusting
from tests.support.peers import Ear, Line, bare_server, server_frame, until
from tests.support.proxy_servers import ProxyServer, proxy_server

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nothing_left")]

LOGIN = ("user", "pass:word@/")
GRANTED = b"HTTP/1.1 200 OK\r\n\r\n"
URL_LOGIN = "user:pass%3Aword%40%2F@"


async def greeting(line: Line) -> None:
    """Accept, say hello, record."""
    await line.upgrade(then=server_frame("hello"))
    await line.record()


def to(proxy: ProxyServer, scheme: str, login: str = "", tls: Tls | None = None) -> Proxy:
    """Return how the client sees a proxy."""
    return Proxy.parse(f"{scheme}://{login}localhost:{proxy.port}", tls or Tls())


async def healthy(line: Line) -> None:
    """Answer a request for the server's health, record."""
    await line.hear_request()
    await line.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    await line.record()


async def hears_hello(connection: Connection, ear: Ear, line: Line) -> None:
    """Check that both sides hear each other."""
    assert await ear.hear(1) == ["hello"]
    connection.send("hello yourself")
    await line.hear(b"")
    await until(lambda: line.received, "the client's message")


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("scheme", ["http", "https", "socks5", "socks5h"])
@pytest.mark.parametrize("login", [("", ""), LOGIN])
async def test_both_sides_hear_each_other(
    scheme: str, secure: bool, login: tuple[str, str], certificates: Certificates
) -> None:
    """Through each kind of proxy, with and without a login, TLS to the server, and TLS to the proxy."""
    behaviour = ProxyServer(
        scheme="http" if scheme == "https" else scheme.removesuffix("h"),
        login=login,
        tls=certificates.server_context() if scheme == "https" else None,
    )
    server_tls = certificates.server_context() if secure else None
    client_tls = trusting(certificates.authority) if secure else None
    async with bare_server(greeting, server_tls) as server, proxy_server(behaviour) as running:
        way = to(running, scheme, URL_LOGIN if login[0] else "", Tls(ca=certificates.authority))
        async with opened(server.port, client_tls, proxy=way) as (connection, ear):
            await hears_hello(connection, ear, server.lines[0])
        connection, phases = await opened_with_phases(server.port, client_tls, proxy=way)
        connection.abort()
        await until(lambda: len(running.ends) == 2, "the ends of the connections")
    host = "127.0.0.1" if scheme == "socks5" else "localhost"
    assert running.asked in ([f"{host}:{server.port}"] * 2, [f"::1:{server.port}"] * 2)
    assert phases.proxy_ns > 0
    assert phases.tcp_ns == 0
    assert (phases.dns_ns > 0) == (scheme == "socks5")
    assert (phases.tls_ns > 0) == secure


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
@pytest.mark.parametrize("end", ["reset", "fin", "go_silent"])
async def test_drops_reach_the_proxy(scheme: str, end: str) -> None:
    """The socket is the proxy's: RST and FIN are seen there, and silence keeps it open."""
    async with (
        bare_server(greeting) as server,
        proxy_server(ProxyServer(scheme=scheme[:6].rstrip("h"))) as running,
    ):
        async with opened(server.port, proxy=to(running, scheme)) as (connection, ear):
            await ear.hear(1)
            getattr(connection, end)()
            if end == "go_silent":
                await server.lines[0].send(server_frame("still there?"))
                assert running.ends == []
        await until(lambda: running.ends, "the connection's end")
    assert running.ends == [{"reset": "reset", "fin": "fin", "go_silent": "fin"}[end]]


HEADS = b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000

REFUSALS: list[tuple[str, dict[str, Any], str, str]] = [
    ("http", {"login": LOGIN}, "answered_407", "HTTP 407 Proxy Authentication Required"),
    ("http", {"refusal": "403 Not for you"}, "answered_403", "HTTP 403 Not for you"),
    ("http", {"refusal": "503 Busy"}, "server_unreachable", "HTTP 503 Busy"),
    ("http", {"nonsense": b"SSH-2.0-X\r\n"}, "bad_answer", "it answered: SSH-2.0-X"),
    ("http", {"nonsense": GRANTED + b"x"}, "bad_answer", "it sent unexpected data after its answer: x"),
    ("http", {"nonsense": HEADS}, "bad_answer", "its response header is larger than 16 kB"),
    ("http", {"scheme": "socks5"}, "eof", "the connection ended before the proxy answered"),
    ("http", {"silent": True}, "timeout", "no answer within 0.3 s"),
    ("socks5h", {"login": LOGIN}, "login", "it does not accept clients without a login"),
    ("socks5h", {"refusal": 2}, "socks_2", "SOCKS5 reply 2, not allowed by its rules"),
    ("socks5", {"refusal": 4}, "server_unreachable", "SOCKS5 reply 4, host unreachable"),
    ("socks5", {"nonsense": b"\5\7"}, "bad_answer", "it chose the login method 7, which was not offered"),
    ("socks5h", {"nonsense": b"HTTP/1.1 400 Bad\r\n"}, "bad_answer", "it answered: HTTP/1.1 400 Bad"),
    ("socks5h", {"silent": True}, "timeout", "no answer within 0.3 s"),
]


@pytest.mark.parametrize(("scheme", "behaviour", "cause", "detail"), REFUSALS)
async def test_what_a_proxy_refuses_is_named_as_its_own(
    scheme: str, behaviour: dict[str, Any], cause: str, detail: str
) -> None:
    """The phase is `proxy`, and the detail has its answer; a server that is down explains some of them."""
    proxy = ProxyServer(**{"scheme": scheme.removesuffix("h"), **behaviour})
    async with proxy_server(proxy) as running:
        refusal = await refused(9, timeout_s=0.3, proxy=to(running, scheme))
    assert (refusal.phase, refusal.cause, refusal.detail) == ("proxy", cause, detail)
    assert refusal.unreachable is (cause in ("server_unreachable", "eof", "timeout"))


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
async def test_a_rejected_password_is_not_shown(scheme: str) -> None:
    """Neither as it is nor as it stands in a header, although the proxy quotes it."""
    proxy = ProxyServer(scheme=scheme.removesuffix("h"), login=LOGIN)
    if scheme == "http":
        proxy.nonsense = b"HTTP/1.1 407 bad login user:wrong-password dXNlcjp3cm9uZy1wYXNzd29yZA==\r\n\r\n"
    async with proxy_server(proxy) as running:
        refusal = await refused(9, proxy=to(running, scheme, "user:wrong-password@"))
    assert refusal.cause in ("answered_407", "login")
    assert "wrong-password" not in refusal.detail
    assert "dXNlcjp3" not in refusal.detail


async def test_a_user_without_a_password_is_not_shown() -> None:
    """An API key often stands there: it is the secret, as it is and in base64."""
    proxy = ProxyServer(nonsense=b"HTTP/1.1 407 bad key-of-customer a2V5LW9mLWN1c3RvbWVyOg==\r\n\r\n")
    async with proxy_server(proxy) as running:
        refusal = await refused(9, proxy=to(running, "http", "key-of-customer@"))
    assert refusal.cause == "answered_407"
    assert "key-of" not in refusal.detail
    assert "a2V5" not in refusal.detail


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h"])
async def test_a_proxy_that_does_not_reach_the_server(scheme: str) -> None:
    """As when the server is down: an outage explains it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        async with proxy_server(ProxyServer(scheme=scheme.removesuffix("h"))) as running:
            refusal = await refused(bound.getsockname()[1], proxy=to(running, scheme))
    assert (refusal.phase, refusal.cause, refusal.unreachable) == ("proxy", "server_unreachable", True)


async def failing(url: str, **options: Any) -> Refused:
    """Try to connect through a proxy that is not there."""
    return await refused(9, proxy=Proxy.parse(url, Tls()), **options)


async def test_a_proxy_that_is_not_there() -> None:
    """Its port and its name are named in the phase `proxy`, and checked before a run."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"socks5h://127.0.0.1:{bound.getsockname()[1]}"
        assert (await failing(url)).cause == "refused"
        with pytest.raises(InvalidSetting, match=r"--ws-proxy cannot be reached at 127\.0\.0\.1"):
            check_proxy(Proxy.parse(url, Tls()))
    refusal = await failing("http://no-such-host.invalid:8080")
    assert (refusal.phase, refusal.cause) == ("proxy", "unknown_host")


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
async def test_what_speaks_first_is_no_such_proxy(scheme: str) -> None:
    """Its greeting is quoted, whenever it comes."""
    for early in (True, False):
        steps = Proxy.parse(f"{scheme}://h", Tls()).steps("server.example", 80)
        tunnel = Tunnel(steps)
        tunnel.connection_made(NOWHERE)
        if early:
            tunnel.data_received(b"SSH-2.0-X\r\n")
        else:
            asyncio.get_running_loop().call_soon(tunnel.data_received, b"SSH-2.0-X\r\n")
        with pytest.raises(ProxyRefused) as caught:
            await tunnel.through(None, "h")
        assert (caught.value.cause, caught.value.detail) == ("bad_answer", "it answered: SSH-2.0-X")


class Nowhere(asyncio.Transport):
    """A transport that throws away what is written."""

    def write(self, data: Any) -> None:
        """Do nothing."""


NOWHERE = Nowhere()


async def test_the_servers_own_failures_stay_its_own(certificates: Certificates) -> None:
    """Behind a proxy that works, a bad certificate and a refused upgrade belong to the server."""

    async def forbidding(line: Line) -> None:
        await line.hear_request()
        await line.send(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
        await line.record()

    async with proxy_server(ProxyServer()) as running:
        way = to(running, "http")
        async with bare_server(greeting, certificates.server_context()) as server:
            refusal = await refused(server.port, trusting(certificates.stranger), proxy=way)
            assert (refusal.phase, refusal.cause) == ("tls", "certificate")
        async with bare_server(forbidding) as server:
            refusal = await refused(server.port, proxy=way)
            assert (refusal.phase, refusal.cause) == ("upgrade", "http_403")


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h"])
async def test_health_is_asked_through_the_proxy(scheme: str) -> None:
    """The request before a run takes the same way."""
    async with (
        bare_server(healthy) as server,
        proxy_server(ProxyServer(scheme=scheme.removesuffix("h"))) as running,
    ):
        way = to(running, scheme)
        answer = await anyio.to_thread.run_sync(
            lambda: ask(Target("localhost", server.port), "/health", proxy=way)
        )
        refusing = (
            ProxyServer(refusal="403 No") if scheme == "http" else ProxyServer(scheme="socks5", refusal=2)
        )
        async with proxy_server(refusing) as other:
            way = to(other, scheme)
            problem = await anyio.to_thread.run_sync(
                lambda: ask(Target("localhost", server.port), "/health", proxy=way)
            )
    assert answer.health.ok
    assert len(running.asked) == 1
    assert problem.health.problem.startswith("the proxy refused the request: ")


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
@pytest.mark.parametrize("dead", ["127.0.0.2", "::1"])
async def test_a_name_with_a_dead_address(scheme: str, dead: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next address is tried within the attempt, as without a proxy; socks5h leaves that to the proxy."""
    loop = asyncio.get_running_loop()
    known = loop.getaddrinfo

    async def getaddrinfo(host: str, port: int, **options: Any) -> list[Any]:
        if host != "localhost":
            return await known(host, port, **options)
        return [(None, None, None, "", (address, port)) for address in (dead, "127.0.0.1")]

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    async with bare_server(greeting) as server, proxy_server(ProxyServer(scheme="socks5")) as running:
        way = Proxy.parse(f"{scheme}://127.0.0.1:{running.port}", Tls())
        counts = WireCounts()
        async with opened(server.port, proxy=way, counts=counts) as (connection, ear):
            await hears_hello(connection, ear, server.lines[0])
        await until(lambda: len(running.ends) == 1, "the connection's end")
    last = {"socks5": f"127.0.0.1:{server.port}", "socks5h": f"localhost:{server.port}"}[scheme]
    assert running.asked == [f"{dead}:{server.port}", last][scheme == "socks5h" :]
    assert counts.passed_over == (scheme == "socks5")


@pytest.mark.parametrize("dead", ["127.0.0.2", "::1"])
async def test_health_of_a_name_with_a_dead_address(dead: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request before a run tries the next address, too."""
    known = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, **options: Any) -> list[Any]:
        if host != "front.example":
            return known(host, port, **options)
        return [found for one in (dead, "127.0.0.1") for found in known(one, port, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    async with bare_server(healthy) as server, proxy_server(ProxyServer(scheme="socks5")) as running:
        way = Proxy.parse(f"socks5://127.0.0.1:{running.port}", Tls())
        answer = await anyio.to_thread.run_sync(
            lambda: ask(Target("front.example", server.port), "/health", proxy=way)
        )
    assert answer.health.ok, answer.health.problem
    assert running.asked == [f"{dead}:{server.port}", f"127.0.0.1:{server.port}"]
