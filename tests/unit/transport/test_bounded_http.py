"""Connecting within the time of a whole request, however many addresses a host has."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from loadtest.transport.bounded_http import connected

ADDRESSES = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"192.0.2.{one}", 80)) for one in range(1, 5)]


class Network:
    """A network whose addresses are silent, except one; 10 s are left for all of it.

    Attributes:
        timeouts_s: how long was waited for each address that was tried.
        closed: sockets that were closed.
    """

    def __init__(self, accepting: int | None) -> None:
        self.timeouts_s: list[float] = []
        self.closed = 0
        self._accepting = accepting
        self._left_s = 10.0

    def left_s(self) -> float:
        """Return the time left."""
        if self._left_s <= 0:
            raise TimeoutError("time is up")
        return self._left_s

    def try_address(self, address: tuple[str, int], timeout_s: float) -> None:
        """Take 4 seconds, or all that are allowed; then accept or fail."""
        self.timeouts_s.append(timeout_s)
        self._left_s -= min(4.0, timeout_s)
        if self._accepting is None or address != ADDRESSES[self._accepting][4]:
            raise TimeoutError("timed out")


@pytest.fixture
def network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Network:
    """A network in place of the system's."""
    made = Network(request.param)

    class Socket:
        def __init__(self, *_kind: object) -> None:
            self.timeout_s = 0.0

        def settimeout(self, timeout_s: float) -> None:
            self.timeout_s = timeout_s

        def connect(self, address: tuple[str, int]) -> None:
            made.try_address(address, self.timeout_s)

        def close(self) -> None:
            made.closed += 1

    monkeypatch.setattr(socket, "socket", Socket)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_host, **_kind: ADDRESSES)
    return made


@pytest.mark.parametrize("network", [None], indirect=True)
def test_all_addresses_share_the_time(network: Network) -> None:
    """The last ones are not tried once it is up, and nothing stays open."""
    with pytest.raises(TimeoutError, match="time is up"):
        connected("host", 80, network.left_s)
    assert network.timeouts_s == [10.0, 6.0, 2.0]
    assert network.closed == len(ADDRESSES)


@pytest.mark.parametrize("network", [1], indirect=True)
def test_the_rest_of_the_request_has_what_is_left(network: Network) -> None:
    """Of 10 s, two addresses took 8; a TLS handshake has 2."""
    sock: Any = connected("host", 80, network.left_s)
    assert network.timeouts_s == [10.0, 6.0]
    assert (sock.timeout_s, network.closed) == (2.0, 1)
