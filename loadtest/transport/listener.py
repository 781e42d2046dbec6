"""The interface through which a connection reports messages and its end."""

from typing import Protocol

from loadtest.events import Data, Lost


class Listener(Protocol):
    """Receives a connection's messages and its end."""

    def received(self, data: Data) -> None:
        """Handle a whole message."""

    def ponged(self, took_ns: int) -> None:
        """Handle the round-trip time of a keepalive ping."""

    def lost(self, lost: Lost) -> None:
        """Handle the end of the connection. This is the last call."""


def discard(_message: Data) -> None:
    """Discard a message of a connection without a listener."""
