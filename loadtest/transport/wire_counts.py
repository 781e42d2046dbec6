"""Counts what a process sends and receives on the wire: the tool's side of the accounting.

A server that counts what it receives and sends must arrive at the same numbers. Counting happens where bytes
are written and read, so it includes everything that drops and dialects send. The counts are plain attributes,
because messages are counted on the hot path.

Two differences are unavoidable: a message written just before an RST may not arrive, and messages that a
server sends to a reset or silent connection are not read.
"""

from collections import Counter

from loadtest.transport.deflate import Deflate


class WireCounts:
    """Counts since the last `take`.

    Attributes:
        upgrades: upgrade requests sent.
        opened: WebSockets opened: upgrade requests that were answered with 101.
        compressed: of these, those that agreed to compress messages.
        resets_sent, resets_received: of these, those that compress each message separately, by direction.
        passed_over: TCP connections to an address that was not the first one tried.
        sent: whole messages sent.
        drop_sent: of these, messages sent by drops.
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
        """Count an open WebSocket and what was agreed on it."""
        self.opened += 1
        if deflate is not None:
            self.compressed += 1
            self.resets_sent += deflate.resets_sent
            self.resets_received += deflate.resets_received

    def take(self) -> dict[str, int]:
        """Return the counts by their names in `loadtest.session.recorder.COUNTS`, and reset them."""
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
