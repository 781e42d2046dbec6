"""The upgrade: the library would send the same request, and agrees with every answer that is plain."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.http11 import Response
from websockets.protocol import CONNECTING, OPEN
from websockets.uri import WebSocketURI
from websockets.utils import accept_key

from loadtest.events import Endpoint
from loadtest.transport.deflate import offer
from loadtest.transport.target import Target, Tls
from loadtest.transport.upgrade import Headers, Upgrade, Upgrades

STATUS = "HTTP/1.1 101 Switching Protocols"


def upgrade(
    path: str = "/ws",
    *,
    url: str = "ws://127.0.0.1:8000",
    compression: str = "off",
    subprotocols: tuple[str, ...] = (),
) -> Upgrade:
    """Return the upgrade of a connection."""
    run = Upgrades(
        Target.parse(url, Tls()), subprotocols=(), extensions=offer(compression), max_message_bytes=1000
    )
    return run.of(Endpoint(path=path, subprotocols=subprotocols))


def key(one: Upgrade) -> str:
    """Return the key that its request sends."""
    (line,) = [line for line in one.request(()).split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key: ")]
    return line.removeprefix(b"Sec-WebSocket-Key: ").decode()


def answer(one: Upgrade, *more: str, without: str = "", status: str = STATUS) -> bytes:
    """Return an answer that accepts, with further header lines, and without that of one name."""
    lines = (
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept_key(key(one))}",
    )
    kept = [line for line in lines if not without or not line.startswith(f"{without}:")]
    return "\r\n".join((status, *kept, *more, "", "")).encode("latin-1")


# The request.


def by_library(one: Upgrade, client: ClientProtocol, headers: Headers) -> bytes:
    """Return the library's request with the same key and the same headers."""
    client.key = key(one)
    request = client.connect()
    for name, _ in headers:
        if name in request.headers:
            del request.headers[name]
    for name, value in headers:
        request.headers[name] = value
    client.send_request(request)
    return b"".join(client.data_to_send())


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("Authorization", "Bearer secret"), ("X-Name", "Zoë")),
        (("host", "elsewhere.example"), ("X-Twice", "1"), ("X-Twice", "2"), ("Connection", "keep-alive")),
    ],
    ids=["none", "further", "replacing"],
)
@pytest.mark.parametrize("compression", ["off", "on"])
def test_the_request_is_the_librarys(headers: Headers, compression: str) -> None:
    """Byte for byte, with headers that are added and headers that replace its own."""
    one = upgrade("/chat?room=1", compression=compression, subprotocols=("a", "b"))
    uri = WebSocketURI(False, "127.0.0.1", 8000, "/chat", "room=1")
    client = ClientProtocol(uri, extensions=offer(compression), subprotocols=["a", "b"])  # type: ignore[list-item]
    assert one.request(headers) == by_library(one, client, headers)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("ws://chat.example", "chat.example"),
        ("ws://chat.example:443", "chat.example:443"),
        ("wss://chat.example", "chat.example"),
        ("wss://[::1]:8443", "[::1]:8443"),
    ],
)
def test_the_host_header(url: str, host: str) -> None:
    """With brackets around IPv6, and without the scheme's own port."""
    assert f"\r\nHost: {host}\r\n".encode() in upgrade(url=url).request(())


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/ws?", b"/ws"),
        ("/?", b"/"),
        ("/ws?q=why?", b"/ws?q=why?"),
        ("/ws??", b"/ws??"),
        ("/ws?a=1&b=", b"/ws?a=1&b="),
    ],
)
def test_only_an_empty_query_is_left_out(path: str, sent: bytes) -> None:
    """As a URL's is; a query may end with a question mark (RFC 3986, section 3.4)."""
    assert upgrade(path).request(()).startswith(b"GET %b HTTP/1.1\r\n" % sent)


def test_every_connection_has_a_key_of_its_own() -> None:
    """RFC 6455, section 4.1: selected randomly for each connection."""
    assert len({key(upgrade()) for _ in range(100)}) == 100


# The answer.


def test_a_plain_answer_is_accepted() -> None:
    """Names and words in any case, with further headers, and the cookies in order."""
    one = upgrade()
    assert one.plainly_accepted(answer(one)) == ()
    assert one.plainly_accepted(answer(one, "Server: x", "Date:Mon, 01 Jan 2024 00:00:00 GMT")) == ()
    accept = accept_key(key(one))
    spelled = f"HTTP/1.1 101 \r\nUPGRADE:WebSocket\r\nconnection:  upgrade \r\nsec-websocket-accept: {accept}"
    cookies = "Set-Cookie: a=1; Path=/\r\nset-cookie: b=2"
    assert one.plainly_accepted(f"{spelled}\r\n{cookies}\r\n\r\n".encode()) == ("a=1; Path=/", "b=2")


def refuse(one: Upgrade) -> list[bytes]:
    """Return answers that do not accept, or that the library must read."""
    return [
        answer(one, status="HTTP/1.1 200 OK"),
        answer(one, status="HTTP/1.0 101 Switching Protocols"),
        answer(one, without="Upgrade"),
        answer(one, without="Connection"),
        answer(one, without="Sec-WebSocket-Accept"),
        answer(one, f"Sec-WebSocket-Accept: {accept_key('another')}", without="Sec-WebSocket-Accept"),
        answer(one, f"Sec-WebSocket-Accept: {accept_key(key(one))}"),
        answer(one, "Upgrade: h2c"),
        answer(one, "Connection: close", without="Connection"),
        answer(one, "Connection: keep-alive, Upgrade", without="Connection"),
        answer(one, "Sec-WebSocket-Extensions: permessage-deflate"),
        answer(one, "Sec-WebSocket-Protocol: a"),
        answer(one, "Content-Length: 5"),
        answer(one, "Transfer-Encoding: chunked"),
        answer(one, "no colon"),
        answer(one, " folded: line"),
        answer(one, "X Y: name with a space"),
        answer(one, "X: \x00"),
        answer(one, "X: Zoë"),
        answer(one, "X: bare\nline: end"),
        answer(one, *(f"X-{number}: 1" for number in range(200))),
        answer(one, f"X: {'x' * 5000}"),
    ]


@pytest.mark.parametrize("nth", range(len(refuse(upgrade()))))
def test_every_other_answer_is_the_librarys(nth: int) -> None:
    """Refusals, what must be negotiated, and whatever is written unusually."""
    one = upgrade()
    assert one.plainly_accepted(refuse(one)[nth]) is None


def read(client: ClientProtocol, head: bytes) -> list[str]:
    """Return the cookies of an answer that the library has accepted."""
    client.receive_data(head)
    assert client.state is OPEN
    (response,) = client.events_received()
    assert isinstance(response, Response)
    return response.headers.get_all("Set-Cookie")


TEXTS = st.text(st.characters(max_codepoint=255), max_size=20)
NAMES = st.sampled_from(
    ("Upgrade", "Connection", "sec-websocket-accept", "Set-Cookie", "Server", "Content-Length", "X Y", "Vary")
)
LINES = st.one_of(
    TEXTS,
    st.builds("{}:{}{}".format, NAMES, st.sampled_from(("", " ", "\t")), TEXTS),
    st.builds("{}: websocket".format, NAMES),
)


@given(
    lines=st.lists(LINES, max_size=4),
    without=st.sampled_from(("", "", "", "Upgrade", "Connection", "Sec-WebSocket-Accept")),
    status=st.sampled_from((STATUS, STATUS, "HTTP/1.1 101 ", "HTTP/1.1 101", "HTTP/1.1 404 Not Found")),
)
@example(lines=["Set-Cookie: a=1", "Set-Cookie:\tb"], without="", status=STATUS)
def test_the_library_accepts_what_is_accepted_here(lines: list[str], without: str, status: str) -> None:
    """Whatever a server answers: with the same cookies, no extension and no subprotocol."""
    one = upgrade(subprotocols=("a",), compression="on")
    head = answer(one, *lines, without=without, status=status)
    cookies = one.plainly_accepted(head)
    if cookies is not None:
        client = one.library()
        assert client.state is CONNECTING
        assert read(client, head) == list(cookies)
        assert one.accepted_by(client) == []
        assert one.subprotocol is None


def test_the_library_reads_the_answer_to_this_request() -> None:
    """It has the same key, and knows what was offered."""
    one = upgrade(compression="on", subprotocols=("a",))
    head = answer(one, "Sec-WebSocket-Protocol: a", "Sec-WebSocket-Extensions: permessage-deflate")
    assert one.plainly_accepted(head) is None
    client = one.library()
    assert read(client, head) == []
    assert [extension.name for extension in one.accepted_by(client)] == ["permessage-deflate"]
    assert one.subprotocol == "a"
