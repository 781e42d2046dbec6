"""The health endpoint, asked of real servers on loopback."""

import socket
import threading
from collections.abc import Iterator

import pytest

from loadtest.server.server_process import ServerProcess
from loadtest.transport.http_health import ask_health
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
        healthy, elsewhere = ask_health(target, "/api/health"), ask_health(target, "/nope")
    assert (healthy.ok, healthy.status, healthy.problem) == (True, 200, "")
    assert (elsewhere.ok, elsewhere.status) == (False, 404)
    assert str(elsewhere).startswith("GET /nope: HTTP 404 after ")


@pytest.mark.parametrize("answer", [b"", b"\x15\x03\x01\x00\x02", b"HTTP/1.1 9999 x\r\n\r\n", b"A" * 100_000])
def test_an_answer_that_is_none_is_a_problem(answering: tuple[Target, list[bytes]], answer: bytes) -> None:
    """Whatever comes instead of HTTP is told and is not healthy."""
    target, answers = answering
    answers.append(answer)
    health = ask_health(target, "/")
    assert not health.ok
    assert health.problem
    assert len(health.problem) <= 200


def test_nobody_there_is_a_problem() -> None:
    """A refused connection is told."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    health = ask_health(Target("127.0.0.1", port), "/")
    assert (health.ok, health.status) == (False, None)
    assert "refused" in health.problem


@pytest.mark.parametrize("path", ["/health?key=s3cr3t", "/health?key=s3cr3t\n"])
def test_no_value_of_a_query_is_shown(answering: tuple[Target, list[bytes]], path: str) -> None:
    """A key in the health endpoint's path stands in no field, though a malformed path is refused by name."""
    target, answers = answering
    answers.append(b"HTTP/1.1 204 No Content\r\n\r\n")
    health = ask_health(target, path)
    ask_health(target, "/")  # ends the server if the path was refused
    assert health.url == f"{target.http_url}/health?key=***"
    assert "s3cr3t" not in str(health) + repr(health)
    assert health.ok == (not health.problem) == ("\n" not in path)
