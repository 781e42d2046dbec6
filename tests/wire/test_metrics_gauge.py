"""A gauge among a server's metrics is read from servers that are sound, and from hostile ones."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from unittest.mock import Mock

import pytest

from loadtest.errors import GaugeUnreadable
from loadtest.transport import metrics_gauge
from loadtest.transport.metrics_gauge import MetricsGauge
from loadtest.transport.target import Tls

PAGE = """# HELP ws_connections Open WebSockets
# TYPE ws_connections gauge
ws_connections{app="chat",zone="a"} 3
ws_connections{app="chat",zone="b"} 4.5
ws_connections{app="admin"} 1
ws_connections_total 1000
this is not a sample
"""

Answer = Callable[[socket.socket], None]


@contextmanager
def server(answer: Answer) -> Iterator[str]:
    """Run a server that answers one request in this way; yield the URL of its metrics."""

    def serve() -> None:
        with suppress(OSError):
            sock, _ = listening.accept()
            with sock, suppress(OSError):
                sock.recv(65536)
                answer(sock)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/metrics"
        finally:
            thread.join()


def ok(body: str | bytes, *headers: str, status: str = "200 OK") -> Answer:
    """Return an answer with this body."""
    data = body.encode() if isinstance(body, str) else body
    head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", *headers, ""))
    return lambda sock: sock.sendall(head.encode() + data)


def read(answer: Answer, selector: str = "ws_connections") -> float:
    """Return the gauge that a server answers with."""
    with server(answer) as url:
        return MetricsGauge.parse(f"{url}#{selector}", Tls()).read()


def problem(answer: Answer, selector: str = "ws_connections") -> str:
    """Return why the gauge cannot be read."""
    with pytest.raises(GaugeUnreadable) as unreadable:
        read(answer, selector)
    return unreadable.value.problem


@pytest.mark.parametrize(
    ("selector", "value"),
    [
        ("ws_connections", 8.5),
        ('ws_connections{app="chat"}', 7.5),
        ('ws_connections{app="chat",zone="a"}', 3),
        ("ws_connections_total", 1000),
    ],
)
def test_all_samples_with_the_labels_are_added_up(selector: str, value: float) -> None:
    """Other names, other labels and lines that are no samples do not count."""
    assert read(ok(PAGE), selector) == value


def test_a_page_may_come_in_chunks() -> None:
    """Transfer codings of HTTP are understood."""
    chunked = f"{len(PAGE):x}\r\n{PAGE}\r\n0\r\n\r\n"
    assert read(ok(chunked, "Transfer-Encoding: chunked")) == 8.5


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (ok("ws_other 3\n"), "has no sample"),
        (ok(""), "has no sample"),
        (ok("ws_connections NaN\n"), "is not a finite number"),
        (ok("ws_connections +Inf\n"), "is not a finite number"),
        (ok('ws_connections 1e308\nws_connections{a="b"} 1e308\n'), "is not a finite number"),
        (ok(f"ws_connections {10**400}\n"), "has no sample"),
        (ok(b"\x00\xff\xfews_connections 3" + bytes(range(256)) * 100), "has no sample"),
        (ok(b"ws_connections\xff\x00{{{ 3\n"), "has no sample"),
        (ok("", "Location: http://127.0.0.1:1/", status="302 Found"), "HTTP 302 from http://127.0.0.1:"),
        (ok("no", status="500 Oops"), "HTTP 500"),
        (lambda sock: sock.sendall(b"ws_connections 3\n"), "BadStatusLine"),
        (lambda _: None, "RemoteDisconnected"),
        (ok("ws_connections 3\n", "Content-Length: 1000"), "IncompleteRead"),
        (ok("ws_connections 3\n", *[f"X-{n}: 1" for n in range(200)]), "HTTPException"),
        (ok("zz\r\n", "Transfer-Encoding: chunked"), "IncompleteRead"),
    ],
)
def test_what_is_no_sound_answer_is_named(answer: Answer, why: str) -> None:
    """Nothing else than a finite value in an answer with status 200 is accepted."""
    assert why in problem(answer)


def test_a_misspelt_gauge_is_told_what_there_is() -> None:
    """Up to five gauges with similar names; no counters, and nothing that colours a terminal."""
    types = "".join(f"# TYPE ws_connection_{n} gauge\n" for n in range(9))
    others = "# TYPE ws_connected counter\n# TYPE ws_connectin\x1b[2J gauge\n# TYPE go_gc gauge\n"
    page = types + others
    said = problem(ok(page))
    listed = said.partition("Gauges with similar names: ")[2].split(", ")
    assert len(listed) == metrics_gauge.SIMILAR
    assert all(name.startswith("ws_connect") for name in listed)
    assert "ws_connected" not in listed
    assert "\x1b" not in said
    labels = problem(ok(PAGE), 'ws_connections{app="none"}')
    assert labels.endswith("has no sample with these labels")


def test_too_large_a_page_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page without an end, whatever it says of its length, ends at the limit."""
    monkeypatch.setattr(metrics_gauge, "SIZE_LIMIT", 2**20)
    sent = 0

    def endless(sock: socket.socket) -> None:
        nonlocal sent
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            sent += sock.send(b"ws_connections 3\n" * 1000)

    assert "the answer is larger than 1 MB" in problem(endless)
    assert sent < 2**25


@pytest.mark.parametrize(
    "page",
    ["ws_connections 3\n" * (metrics_gauge.MAX_SAMPLES + 1), "ws_connections 3" + "0" * 2**20],
    ids=["lines", "length"],
)
def test_too_many_samples_are_not_parsed(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parsing blocks the process that records the run, so a page full of samples is refused unparsed."""
    gauge = MetricsGauge.parse("http://127.0.0.1/metrics#ws_connections", Tls())
    monkeypatch.setattr(MetricsGauge, "_page", lambda _: page)
    monkeypatch.setattr(metrics_gauge, "_samples", lambda _: pytest.fail("parsed"))
    with pytest.raises(GaugeUnreadable, match="has more than 10,000 samples or 1 MB of them"):
        gauge.read()


def test_only_lines_of_the_gauge_are_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of other gauges, however long, costs no parsing, and does not count as samples."""
    gauge = MetricsGauge.parse("http://127.0.0.1/metrics#ws_connections", Tls())
    others = "ws_connections_total 1\nws_other 2\n# ws_connections 5\n" * metrics_gauge.MAX_SAMPLES
    page = f'{others}ws_connections {{a="b"}} 3\n{others}ws_connections{{a="c"}} 4'
    parsing = Mock(wraps=metrics_gauge._samples)
    monkeypatch.setattr(MetricsGauge, "_page", lambda _: page)
    monkeypatch.setattr(metrics_gauge, "_samples", parsing)
    assert gauge.read() == 7
    assert parsing.call_count == 2


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_slow_page_is_given_up(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that sends a byte now and then, in the head or in the body, does not hold the run."""
    monkeypatch.setattr(metrics_gauge, "TIME_LIMIT_S", 0.3)
    over = threading.Event()

    def drip(sock: socket.socket) -> None:
        sock.sendall(head)
        while not over.wait(0.02):
            sock.sendall(b"x")

    with server(drip) as url:
        try:
            with pytest.raises(GaugeUnreadable, match="TimeoutError"):
                MetricsGauge.parse(f"{url}#ws_connections", Tls()).read()
        finally:
            over.set()


def test_nobody_there() -> None:
    """A port where nothing listens is named as such."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(GaugeUnreadable, match=rf"connection refused by 127\.0\.0\.1:{port}$"):
        MetricsGauge.parse(f"http://127.0.0.1:{port}/#up", Tls()).read()
