"""A run's counts beside those of the server: what must be the same, and what the run's end leaves open.

On loopback all that a client writes reaches its server, also before an RST. What a server has written when
its client resets the connection is not read. So where a run ends while sessions come back, the server may
have upgraded connections whose sessions are already over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from tests.support.serverclient import counters, get, wait_for


def final_counters(url: str) -> dict[str, Any]:
    """Return the reference server's counters once it has noticed that all connections have ended."""

    def final() -> dict[str, Any] | None:
        found = counters(url)
        return None if found["connections_open"] else found

    return dict(wait_for(final, what="the server to notice that all connections have ended"))


def final_books(url: str) -> Counter[str]:
    """Return the books of the server `counting` once all its connections have ended."""

    def final() -> Counter[str] | None:
        books = Counter(get(url, "/counters")[1])
        return books if books["upgrades"] == books["ended"] else None

    books: Counter[str] = wait_for(final, what="the end of all connections")
    return books


def closes_of(books: Counter[str]) -> dict[str, int]:
    """Return how many close frames the server `counting` has received, by their code."""
    return {name[6:]: count for name, count in books.items() if name.startswith("close ")}


def cut_short(counts: Mapping[str, int]) -> int:
    """Return how many sessions the run's end found in outage or connecting: their connections are reset."""
    return counts.get("connect.cut_short", 0) + counts.get("reconnect.cut_short", 0)


def assert_same_upgrades(counts: Mapping[str, int], *, upgrades: int, opened: int) -> None:
    """Check upgrades against what a server has counted.

    An attempt that the run's end cuts short is aborted a moment later. Until then it may send its request,
    and the server may answer it: neither is in the run's counts any more.
    """
    cut = cut_short(counts)
    assert 0 <= upgrades - counts["connect.upgrades"] <= cut
    assert 0 <= opened - counts["connect.opened"] <= cut


def assert_same_books(counts: Mapping[str, int], books: Counter[str]) -> None:
    """Check a run's counts against the books of the server `counting`: what the client did, that has seen.

    What the server sent and the client did not read went down with a connection: replies to requests that an
    outage or the end of the session cut off, and to what drops sent.
    """
    assert_same_upgrades(counts, upgrades=books["upgrades"], opened=books["opened"])
    assert books["received"] == counts["messaging.wire_sent"]
    closes = {name[7:]: count for name, count in counts.items() if name.startswith("closes.")}
    assert closes == closes_of(books)
    cut_off = ("lost_in_outage", "unfinished", "drop_sent", "other_sent")
    unread = books["sent"] - counts["messaging.wire_received"]
    assert 0 <= unread <= sum(counts.get(f"messaging.{name}", 0) for name in cut_off)


def assert_all_received(counts: Mapping[str, int], books: Mapping[str, Any]) -> None:
    """Check the messages of a run without drops against the reference server's counters.

    Its application is told of no message that waits when a reply cannot be sent: one that is unfinished when
    its session has been drained and closes.
    """
    unfinished = counts.get("messaging.unfinished", 0)
    assert 0 <= counts["messaging.sent"] - books["messages_received"] <= unfinished
    assert 0 <= books["replies_sent"] - counts["messaging.answered"] <= unfinished
