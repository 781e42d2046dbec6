"""The fixture of the unit tests forbids what it says, and nothing else."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import anyio
import pytest

from tests.support.forbidden import Forbidden

ATTEMPTS: dict[str, Callable[[], object]] = {
    "IPv4 socket": lambda: socket.socket(socket.AF_INET),
    "IPv6 socket": lambda: socket.socket(socket.AF_INET6),
    "socket of no family": socket.socket,
    "create_connection": lambda: socket.create_connection(("127.0.0.1", 9)),
    "create_server": lambda: socket.create_server(("127.0.0.1", 0)),
    "Popen": lambda: subprocess.Popen([sys.executable, "-V"]),
    "fork": os.fork,
    "posix_spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
    "system": lambda: os.system("true"),
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "sleep": lambda: time.sleep(0.001),
    "asyncio.sleep": lambda: asyncio.run(asyncio.sleep(0.001)),
    "anyio.sleep": lambda: anyio.run(anyio.sleep, 0.001),
}


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS)
def test_each_attempt_raises(attempt: Callable[[], object]) -> None:
    """Sockets, processes and sleeps raise, whichever way they are asked for."""
    with pytest.raises(Forbidden, match="tests/wire or tests/e2e"):
        attempt()


def test_connecting_an_old_socket_raises(internet_socket: socket.socket) -> None:
    """A socket from before the test cannot be connected either."""
    with pytest.raises(Forbidden, match=r"socket\.connect"):
        internet_socket.connect(("127.0.0.1", 9))


def test_threads_are_seen() -> None:
    """An attempt in a thread raises there."""
    raised: list[BaseException] = []

    def attempt() -> None:
        try:
            time.sleep(0.001)
        except Forbidden as error:
            raised.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    assert len(raised) == 1


def test_loops_still_run() -> None:
    """A loop has its pair of local sockets, and may give way to its other tasks."""
    assert asyncio.run(asyncio.sleep(0, "done")) == "done"
    first, second = socket.socketpair()
    with first, second:
        first.sendall(b"x")
        assert second.recv(1) == b"x"


@pytest.fixture(scope="module")
def internet_socket() -> Iterator[socket.socket]:
    """A socket that is older than the tests; fixtures of a module are made before those of a test."""
    with socket.socket(socket.AF_INET) as unconnected:
        yield unconnected
