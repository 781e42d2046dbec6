"""The health endpoint, asked of real servers on loopback."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from loadtest.server.server_process import ServerProcess
from loadtest.transport import http_health
from loadtest.transport.http_health import ask
from loadtest.transport.target import Target, Tls


@pytest.fixture
def answering() -> Iterator[tuple[Target, list[bytes]]]:
    """A server that answers one connection with what the test puts into the list."""
    answers: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(answers[0])

    thread = threading.Thread(target=answer)
    thread.start()
    yield Target("127.0.0.1", listener.getsockname()[1]), answers
    thread.join()
    listener.close()


def test_a_healthy_server_says_so() -> None:
    """The reference server answers 200 at its health endpoint and 404 elsewhere."""
    with ServerProcess() as server:
        target = Target.parse(server.url, Tls())
        healthy, elsewhere = ask(target, "/api/health").health, ask(target, "/nope").health
    assert (healthy.ok, healthy.status, healthy.problem) == (True, 200, "")
    assert (elsewhere.ok, elsewhere.status) == (False, 404)
    assert str(elsewhere).startswith("GET /nope: HTTP 404 after ")


@pytest.mark.parametrize("answer", [b"", b"\x15\x03\x01\x00\x02", b"HTTP/1.1 9999 x\r\n\r\n", b"A" * 100_000])
def test_an_answer_that_is_none_is_a_problem(answering: tuple[Target, list[bytes]], answer: bytes) -> None:
    """Whatever comes instead of HTTP is told and is not healthy."""
    target, answers = answering
    answers.append(answer)
    health = ask(target, "/").health
    assert not health.ok
    assert health.problem
    assert len(health.problem) <= 200


def test_nobody_there_is_a_problem() -> None:
    """A refused connection is told."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    health = ask(Target("127.0.0.1", port), "/").health
    assert (health.ok, health.status) == (False, None)
    assert "refused" in health.problem


@pytest.mark.parametrize("path", ["/health?key=s3cr3t", "/health?key=s3cr3t\n"])
def test_no_value_of_a_query_is_shown(answering: tuple[Target, list[bytes]], path: str) -> None:
    """A key in the health endpoint's path stands in no field, though a malformed path is refused by name."""
    target, answers = answering
    answers.append(b"HTTP/1.1 204 No Content\r\n\r\n")
    health = ask(target, path).health
    ask(target, "/")  # ends the server if the path was refused
    assert health.url == f"{target.http_url}/health?key=***"
    assert "s3cr3t" not in str(health) + repr(health)
    assert health.ok == (not health.problem) == ("\n" not in path)


def test_headers_and_body_come_with_the_status(answering: tuple[Target, list[bytes]]) -> None:
    """Headers have all their values, whatever the case of their name."""
    target, answers = answering
    answers.append(b"HTTP/1.1 426 Upgrade Required\r\nX-Version: v1\r\nx-version: v2\r\n\r\n{}")
    answer = ask(target, "/")
    assert (answer.health.status, answer.body) == (426, b"{}")
    assert (answer.values("x-VERSION"), answer.values("server")) == (["v1", "v2"], [])


def test_the_sessions_headers_are_sent_and_nothing_else_of_theirs() -> None:
    """A proxy in front of the server may ask for them. A given Host takes the place of the usual one."""
    requests = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                with connection:
                    requests.append(connection.recv(4096))
                    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        target = Target("127.0.0.1", listener.getsockname()[1])
        ask(target, "/a?b", (("Authorization", "Bearer x"), ("X-Two", "1"), ("X-Two", "2")))
        ask(target, "/", (("HOST", "chat.example.org"),))
        thread.join()
    first, second = (set(request.rstrip().split(b"\r\n")) for request in requests)
    usual = {b"Accept: */*", b"Accept-Encoding: identity", b"Connection: close"}
    host = f"Host: 127.0.0.1:{target.port}".encode()
    own = {b"Authorization: Bearer x", b"X-Two: 1", b"X-Two: 2"}
    assert first == {b"GET /a?b HTTP/1.1", host} | usual | own
    assert second == {b"GET / HTTP/1.1", b"HOST: chat.example.org"} | usual


@pytest.mark.parametrize("body", [b"x" * (http_health.SIZE_LIMIT + 1), b""])
def test_a_body_without_an_end_is_none_and_the_status_stands(
    body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is too large, and one that does not come in time."""
    monkeypatch.setattr(http_health, "TIME_LIMIT_S", 5.0 if body else 0.3)
    asked = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n" + body)
                asked.wait(30)

        thread = threading.Thread(target=answer)
        thread.start()
        answered = ask(Target("127.0.0.1", listener.getsockname()[1]), "/")
        asked.set()
        thread.join()
    assert (answered.health.status, answered.body) == (200, b"")
