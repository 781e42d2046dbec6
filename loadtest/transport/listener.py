"""What a connection reports, and to whom."""

from typing import Protocol

from loadtest.events import Data, Lost


class Listener(Protocol):
    """Receives a connection's messages and its end."""

    def received(self, data: Data) -> None:
        """Handle a whole message."""

    def ponged(self, took_ns: int) -> None:
        """Take note of how long a keepalive ping took to its pong."""

    def lost(self, lost: Lost) -> None:
        """Handle the end of the connection; it is the last call."""


def discard(_message: Data) -> None:
    """Discard a message of a connection without a listener."""
