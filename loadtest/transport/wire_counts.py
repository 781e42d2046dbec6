"""What a process has put on the wire and taken from it: the tool's side of the books.

A server that counts what it receives and sends must come to the same numbers. Counted is where bytes are
written and read, so nothing that a drop or a dialect says can be left out. Plain attributes, because messages
are counted on the hot path.

What the two sides cannot agree on: a message that was written just before an RST may not arrive, and what a
server sends to a connection that is reset or silent is not read.
"""

from collections import Counter

from loadtest.transport.deflate import Deflate


class WireCounts:
    """Counts since they were last taken.

    Attributes:
        upgrades: upgrade requests sent.
        opened: WebSockets opened: upgrade requests that were answered with 101.
        compressed: of these, those that agreed on compressing messages.
        resets_sent, resets_received: of these, those that compress each message by itself, by direction.
        passed_over: TCP connections made although another address of the server's name was tried first.
        sent: whole messages sent.
        drop_sent: how many of these drops sent.
        received: whole messages received.
        closes: close frames sent, by their code; 1005 for one without a code.
    """

    __slots__ = (
        "closes",
        "compressed",
        "drop_sent",
        "opened",
        "passed_over",
        "received",
        "resets_received",
        "resets_sent",
        "sent",
        "upgrades",
    )

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self.upgrades = self.opened = self.sent = self.drop_sent = self.received = 0
        self.compressed = self.resets_sent = self.resets_received = self.passed_over = 0
        self.closes: Counter[int] = Counter()

    def opened_with(self, deflate: Deflate | None) -> None:
        """Count a WebSocket that is open, and what was agreed on it."""
        self.opened += 1
        if deflate is not None:
            self.compressed += 1
            self.resets_sent += deflate.resets_sent
            self.resets_received += deflate.resets_received

    def take(self) -> dict[str, int]:
        """Return the counts by their names in `loadtest.session.recorder.COUNTS`, and begin anew."""
        taken = {
            "connect.upgrades": self.upgrades,
            "connect.opened": self.opened,
            "connect.compressed": self.compressed,
            "connect.resets_sent": self.resets_sent,
            "connect.resets_received": self.resets_received,
            "connect.passed_over": self.passed_over,
            "messaging.wire_sent": self.sent,
            "messaging.drop_sent": self.drop_sent,
            "messaging.wire_received": self.received,
            **{f"closes.{code}": count for code, count in self.closes.items()},
        }
        self._begin()
        return {name: count for name, count in taken.items() if count}
