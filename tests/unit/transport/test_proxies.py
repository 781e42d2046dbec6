"""What is said to proxies, byte for byte, and their answers: cut anywhere, or nonsense."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.errors import InvalidSetting
from loadtest.transport.proxies import Proxy, ProxyRefused
from loadtest.transport.target import Tls
from tests.support.growth import assert_linear

CONNECTED = b"HTTP/1.0 200 Connection established\r\nProxy-Agent: x\r\n\r\n"


def talk(url: str, answers: list[bytes], host: str = "server.example") -> list[bytes]:
    """Return what is said to a proxy that answers with these pieces; it must be through at their end."""
    steps = Proxy.parse(url, Tls()).steps(host, 443)
    said = [next(steps)]
    for number, answer in enumerate(answers):
        try:
            said.append(steps.send(answer))
        except StopIteration:
            assert number == len(answers) - 1
            return [one for one in said if one]
    raise AssertionError("it waits for more")


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Return the data in pieces."""
    edges = sorted({0, len(data), *(place % len(data) for place in places)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def test_connect_as_http_has_it() -> None:
    """Host and port as in a URL, and the login in base64 (RFC 7617)."""
    assert talk("http://h", [CONNECTED]) == [
        b"CONNECT server.example:443 HTTP/1.1\r\nHost: server.example:443\r\n\r\n"
    ]
    (request,) = talk("https://Aladdin:open%20sesame@h", [CONNECTED], "::1")
    assert request.startswith(b"CONNECT [::1]:443 HTTP/1.1\r\n")
    assert b"\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n" in request


def test_socks_as_its_rfcs_have_it() -> None:
    """Greeting, login and request of RFC 1928 and RFC 1929; the three kinds of addresses."""
    granted = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x04\x38"
    assert talk("socks5h://h", [b"\x05\x00", granted]) == [
        b"\x05\x01\x00",
        b"\x05\x01\x00\x03\x0eserver.example\x01\xbb",
    ]
    said = talk("socks5h://me:pw@h", [b"\x05\x02", b"\x01\x00", granted], "127.0.0.1")
    assert said == [b"\x05\x02\x00\x02", b"\x01\x02me\x02pw", b"\x05\x01\x00\x01\x7f\x00\x00\x01\x01\xbb"]
    assert (
        talk("socks5://me:pw@h", [b"\x05\x00", granted], "::1")[-1]
        == b"\x05\x01\x00\x04" + bytes(15) + b"\x01\x01\xbb"
    )


@given(st.lists(st.integers(0, 1000), max_size=20))
def test_answers_may_be_cut_anywhere(places: list[int]) -> None:
    """HTTP's head, and the replies of SOCKS with each kind of address."""
    talk("http://h", cut(CONNECTED, places))
    for bound in (b"\x01" + bytes(4), b"\x03\x05proxy", b"\x04" + bytes(16)):
        greeting, login = cut(b"\x05\x02", places), cut(b"\x01\x00", places)
        talk("socks5://me:pw@h", [*greeting, *login, *cut(b"\x05\x00\x00" + bound + b"\0\0", places)], "::1")


@given(
    st.sampled_from(["http://me:pw@h", "socks5h://me:pw@h"]),
    st.lists(
        st.binary(max_size=40)
        | st.sampled_from([b"HTTP/1.1 ", b"200", b" OK\r\n", b"\r\n", b"\x05\x02", b"\x05\x00", b"\x01\x00"]),
        max_size=12,
    ),
)
def test_nonsense_is_refused_waited_for_or_taken_as_an_answer(url: str, answers: list[bytes]) -> None:
    """Whatever a proxy says, nothing else is raised, and what is quoted is one printable line."""
    steps = Proxy.parse(url, Tls()).steps("server.example", 443)
    next(steps)
    detail = ""
    try:
        for answer in filter(None, answers):
            steps.send(answer)
    except StopIteration:
        pass
    except ProxyRefused as refused:
        detail = refused.detail
    assert detail.isprintable()
    assert len(detail) < 200


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK", b"HTTP/1.1 20", b"HT", b"\x05"])
def test_an_answer_that_is_not_whole_is_waited_for(answer: bytes) -> None:
    """It may come in pieces."""
    url = "socks5h://h" if answer == b"\x05" else "http://h"
    steps = Proxy.parse(url, Tls()).steps("server.example", 443)
    next(steps)
    assert steps.send(answer) == b""


@pytest.mark.parametrize(
    "url",
    [
        "",
        "proxy.example:8080",
        "ftp://proxy.example",
        "socks4://proxy.example",
        "http://",
        "http://:8080",
        "http://h:0",
        "http://h:99999",
        "http://h/path",
        "http://h?x=secret",
        "http://h#f",
        "http://:secret@h",
        "http://a%3Ab:secret@h",
        "http://a:sec%0Dret@h",
        "http://a:secret@h\n",
        "socks5://user@h",
        f"socks5://user:{'x' * 256}@h",
    ],
)
def test_bad_urls_are_refused(url: str) -> None:
    """Without quoting them, as they may hold a password."""
    with pytest.raises(InvalidSetting) as refused:
        Proxy.parse(url, Tls())
    assert str(refused.value).startswith("--ws-proxy ")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://me:secret@proxy.example", "http://proxy.example:80"),
        ("https://proxy.example/", "https://proxy.example:443"),
        ("socks5://[::1]", "socks5://[::1]:1080"),
        ("socks5h://me:secret@H:9", "socks5h://h:9"),
    ],
)
def test_a_proxy_is_shown_without_its_login(url: str, shown: str) -> None:
    """In text and in representations; ports are those of the schemes."""
    proxy = Proxy.parse(url, Tls())
    assert str(proxy) == shown
    assert "secret" not in repr(proxy)
    assert not any("secret" in str(part) for part in (proxy, repr(proxy)))


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("http://h", ()),
        ("http://me:secret@h", ("secret", "bWU6c2VjcmV0")),
        ("http://key@h", ("key", "a2V5Og==")),
        ("socks5://me:secret@h", ("secret", "bWU6c2VjcmV0")),
    ],
)
def test_what_must_not_be_shown(url: str, secrets: tuple[str, ...]) -> None:
    """The password; without one the user, which is then the credential."""
    assert Proxy.parse(url, Tls()).secrets == secrets


INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"


@given(st.integers(1, 3), st.lists(st.integers(0, 1000), max_size=10))
def test_interim_responses_are_skipped(count: int, places: list[int]) -> None:
    """A proxy may send some before its answer (RFC 9110, section 15.2), however they are cut."""
    early = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    talk("http://h", cut(INTERIM * count + early + CONNECTED, places))
    with pytest.raises(ProxyRefused, match="answered_403"):
        talk("http://h", cut(INTERIM + b"HTTP/1.1 403 No\r\n\r\n", places))


@pytest.mark.parametrize(
    ("answer", "refused_as"),
    [
        (INTERIM * 1000, "its response header is larger than 16 kB"),
        (
            INTERIM + b"HTTP/1.1 200 OK\r\nX: " + b"x" * 16_384,
            "its response header is larger than 16 kB",
        ),
        (INTERIM + b"SSH-2.0-X\r\n", "it answered: SSH-2.0-X"),
    ],
)
def test_interim_responses_are_bounded(answer: bytes, refused_as: str) -> None:
    """Together with the answer, and what follows them must be HTTP, too."""
    with pytest.raises(ProxyRefused) as refused:
        talk("http://h", [answer])
    assert refused.value.detail == refused_as


def test_an_answer_that_drips_costs_what_its_length_is() -> None:
    """A byte at a time, whatever it holds."""

    def work(size: int) -> None:
        steps = Proxy.parse("http://h", Tls()).steps("server.example", 443)
        next(steps)
        steps.send(b"HTTP/1.1 200 OK\r\nX: ")
        for _ in range(size):
            steps.send(b"\r")

    assert_linear(work, [2_000, 4_000, 8_000, 16_000])


def test_no_upgrade_is_taken_for_an_interim_response() -> None:
    """101 would change the protocol (RFC 9110, section 15.2.2): it refuses."""
    with pytest.raises(ProxyRefused, match="answered_101"):
        talk("http://h", [b"HTTP/1.1 101 Switching Protocols\r\n\r\n"])


def test_a_name_that_cannot_be_one() -> None:
    """A server's name that DNS cannot have is refused like one that it does not know."""
    with pytest.raises(ProxyRefused) as refused:
        next(Proxy.parse("socks5h://h", Tls()).steps("a" * 300, 80))
    assert refused.value.cause == "unknown_host"
